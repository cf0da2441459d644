"""Simulated residents to attack: identities of the synthetic county, and keys that live as long as the attack."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bridge.standardise.identities import standardise_identities
from synthetic.names import draw_forenames, draw_surnames, read_names
from synthetic.streams import pick, stream
from synthetic.world import make_world

RESIDENTS_PER_HOUSEHOLD = 2.2
"""Fewer than the county has on any day, so that enough households are made."""

FAMILIES_PER_RESIDENT = 0.45
BIRTH_YEARS = (1935, 2015)
FIRST_MONTH = date(2024, 10, 1)


@dataclass(frozen=True)
class Names:
    """Forename and surname of each record, in standard form, and the two with a space between."""

    forenames: npt.NDArray[np.str_]
    surnames: npt.NDArray[np.str_]

    @property
    def full(self) -> npt.NDArray[np.str_]:
        return np.strings.add(np.strings.add(self.forenames, " "), self.surnames)

    def __len__(self) -> int:
        return len(self.forenames)

    def at(self, places: npt.NDArray) -> Names:
        return Names(self.forenames[places], self.surnames[places])


def county_names(count: int, seed: int) -> Names:
    """Draw the names of `count` residents as the county does, families sharing a surname."""
    generator = stream(seed, "attacked names")
    families = max(1, int(count * FAMILIES_PER_RESIDENT))
    origins = pick(generator, dict(read_names().shares), families)
    family_names = draw_surnames(origins, generator)
    family = generator.integers(0, families, count)
    given = draw_forenames(
        origins[family], generator.random(count) < 0.5, generator.integers(*BIRTH_YEARS, count), generator
    )
    return standard_names(pa.table({"forename": given.tolist(), "surname": family_names[family].tolist()}))


def distinct_names(count: int, seed: int) -> Names:
    """Draw `count` residents of whom no two have the same name."""
    drawn = county_names(int(count * 1.15) + 200, seed)
    both = drawn.at(np.flatnonzero((drawn.forenames != "") & (drawn.surnames != "")))
    _, first = np.unique(both.full, return_index=True)
    if len(first) < count:
        raise ValueError(f"only {len(first)} distinct names among {len(drawn)} residents")
    return both.at(np.random.default_rng(seed).permutation(first)[:count])


def standard_names(identities: pa.Table) -> Names:
    """Return the names of `identities` in standard form; empty text where one is missing."""
    standard = standardise_identities(identities)
    forename, surname = (
        np.array(standard[column].fill_null("").to_pylist(), dtype=np.str_)
        for column in ("forename", "surname")
    )
    return Names(forename, surname)


def county_residents(residents: int, seed: int) -> pa.Table:
    """Return the identities of at least `residents` people who live in a county on one day, one record each.

    Columns: record_ref, forename, middle_name, surname, date_of_birth, nino, phone, uprn, postcode, and lsoa_code
    (an attribute, not an identifier).
    """
    world = make_world(int(residents / RESIDENTS_PER_HOUSEHOLD), 1, seed, FIRST_MONTH)
    stays = world.residences
    here = (stays.start <= world.first_day) & (stays.end > world.first_day)
    person, home = stays.person[here], stays.property[here]
    people, homes = world.course.people, world.properties
    columns = {
        "record_ref": [f"{number:032x}" for number in range(len(person))],
        "forename": people.forename[person].tolist(),
        "middle_name": people.middle_name[person].tolist(),
        "surname": people.surname[person].tolist(),
        "nino": people.nino[person].tolist(),
        "phone": people.phone[person].tolist(),
        "uprn": homes.uprn[home].astype(str).tolist(),
        "postcode": homes.postcode[home].astype(str).tolist(),
        "lsoa_code": homes.lsoa_code[home].astype(str).tolist(),
    }
    table = pa.table(columns)
    born = pa.array(people.date_of_birth[person].astype("datetime64[D]"), pa.date32())
    return table.append_column("date_of_birth", born)
