"""What counts as a right address: the home, its building, another place, nothing."""

from __future__ import annotations

import json
import os

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from doorstep.cli import app
from evaluation.addresses import AddressFigures, judged
from evaluation.datasets import BENCHMARK_DATA_VARIABLE

GAZETTEER = pa.table({"uprn": ["30", "301", "302", "7"], "parent_uprn": [None, "30", "30", None]})

# Ann lives in flat 301 and lived at 7 before; Ben lives in flat 302; nobody knows where Cat lives.
TRUE_HOMES = pa.table({"address_id": ["ann", "ann", "ben"], "uprn": ["301", "7", "302"]})


def figures(
    *rows: tuple[str, str, str | None, str | None], least_right: float | None = None
) -> AddressFigures:
    names = ("address_id", "level", "uprn", "parent_uprn")
    asked = pa.Table.from_pylist(
        [dict(zip(names, row, strict=True)) for row in rows],
        schema=pa.schema([(name, pa.string()) for name in names]),
    )
    feeds = pa.repeat("hub", len(rows))
    return judged("own", asked.append_column("feed", feeds), TRUE_HOMES, GAZETTEER, least_right=least_right)


def test_each_address_is_right_or_wrong_or_leads_nowhere() -> None:
    total = figures(
        ("ann", "as_written", "301", None),
        ("ann", "sure", "7", None),
        ("ann", "sure", "302", None),
        ("ben", "parent", None, "30"),
        ("ben", "parent", None, "99"),
        ("ben", "ambiguous", None, None),
        ("ben", "unmatched", None, None),
        ("cat", "likely", "7", None),
    ).total
    assert (total.addresses, total.right, total.right_building, total.wrong) == (8, 2, 1, 2)
    assert (total.ambiguous, total.unmatched, total.unknown) == (1, 1, 1)
    assert total.share_right == pytest.approx(2 / 7)
    assert total.wrong_by_level == {"sure": 1, "parent": 1}


def test_the_promise_is_of_found_places_and_of_few_wrong_ones() -> None:
    right = [("ann", "sure", "301", None)] * 98 + [("ben", "parent", None, "30")]
    nothing = ("ann", "unmatched", None, None)
    assert figures(*right, nothing, least_right=0.99).holds
    assert not figures(*right, nothing, nothing, least_right=0.99).holds
    assert figures(*right, nothing, nothing).holds
    assert not figures(*right, ("ann", "sure", "302", None), ("ann", "sure", "302", None)).holds


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get(BENCHMARK_DATA_VARIABLE), reason=f"{BENCHMARK_DATA_VARIABLE} is not set"
)
def test_the_labelled_addresses_lead_to_their_property_or_building() -> None:
    result = CliRunner().invoke(app, ["evaluate", "addresses", "--dataset", "labelled", "--json"])
    document = json.loads(result.stdout)
    assert (result.exit_code, document["holds"]) == (0, True)
    assert document["total"]["addresses"] == 2_088
    assert document["total"]["wrong"] <= 10
