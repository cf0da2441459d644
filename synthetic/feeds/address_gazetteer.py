"""The address gazetteer (LLPG): every home and every building that holds flats; new builds appear some weeks
late.
"""

from __future__ import annotations

import numpy as np

from synthetic.addresses import plain
from synthetic.dates import MISSING
from synthetic.feeds.deliveries import MONTH_START, TableRecords, never_dropped
from synthetic.world import World

RHYTHM = MONTH_START
ALWAYS_FULL = False
WHOLE = True


def make_records(world: World) -> dict[str, TableRecords]:
    """One record per property, in UPRN order; one version each."""
    properties = world.properties
    generator = world.stream("address_gazetteer")
    rows = np.argsort(properties.uprn, kind="stable")
    built = properties.built_on[rows]
    lag = generator.integers(14, 70, len(rows))
    known = np.where(built == MISSING, world.first_day - 1, built + lag).astype(np.int32)
    parent = properties.parent[rows]
    columns = {
        "uprn": properties.uprn[rows],
        "parent_uprn": np.where(parent >= 0, properties.uprn[np.maximum(parent, 0)], ""),
        "address": plain(properties, rows).one_line(),
        "postcode": properties.postcode[rows],
        "property_class": properties.property_class[rows],
        "lsoa_code": properties.lsoa_code[rows],
        "ward_code": properties.ward_code[rows],
    }
    records = TableRecords(
        columns, np.arange(len(rows)), known, never_dropped(len(rows)), properties.uprn[rows]
    )
    return {"addresses": records}
