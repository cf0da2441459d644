"""The county's homes: streets, buildings, flats, postcodes, small areas, tenure.

Assumed: 22 addresses a street, 16 % flats, 17 addresses a postcode, 650 homes an LSOA, 5 LSOAs a ward.
Published (feeds.md): tenure of homes that people live in, owner 65 %, private rent 19 %, social 16 %. About 6
% of homes stand empty at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from synthetic.dates import MISSING, Days
from synthetic.identifiers import digits
from synthetic.streams import pick, stream

PLACES_FILE = Path(__file__).with_name("places.yaml")
OWNER, PRIVATE, SOCIAL = range(3)
TENURES = ("owner", "private", "social")
TENURE_SHARES = {"owner": 0.65, "private": 0.19, "social": 0.16}
VACANT_SHARE = 0.06
OVER_ALLOWANCE_POUNDS = 25.0  # feeds.md

_INWARD_LETTERS = np.array(list("ABDEFGHJLNPQRSTUWXYZ"))
_ADDRESSES_PER_STREET, _ADDRESSES_PER_POSTCODE, _HOMES_PER_LSOA, _LSOAS_PER_WARD = 22, 17, 650, 5
_BLOCK_SHARE_OF_BUILDINGS = 0.026
_NEW_BUILD_SHARE = 0.012


@cache
def read_places(path: Path = PLACES_FILE) -> dict[str, Any]:
    """Read `places.yaml`: areas, street types and names, block types."""
    with path.open(encoding="utf-8") as file:
        places: dict[str, Any] = yaml.load(file, Loader=yaml.CSafeLoader)
    return places


@dataclass(frozen=True)
class Properties:
    """One position per addressable property. Homes come first (`homes` of them), buildings that hold flats
    after.
    """

    homes: int
    uprn: np.ndarray
    parent: np.ndarray
    flat: np.ndarray
    building: np.ndarray
    number: np.ndarray
    street: np.ndarray
    town: np.ndarray
    postcode: np.ndarray
    property_class: np.ndarray
    lsoa_code: np.ndarray
    ward_code: np.ndarray
    tenure: np.ndarray
    band: np.ndarray
    weekly_rent: np.ndarray
    built_on: Days
    bedrooms: np.ndarray
    lha_weekly: np.ndarray
    """Local Housing Allowance for the home's bedrooms and area, pounds a week."""

    def over_allowance(self, *, rent_factor: float = 1.0, allowance_factor: float = 1.0) -> np.ndarray:
        """Homes let privately at a rent of more than £25 a week over the Local Housing Allowance."""
        gap = self.weekly_rent * rent_factor - self.lha_weekly * allowance_factor
        return (self.tenure == PRIVATE) & (gap > OVER_ALLOWANCE_POUNDS)


def make_properties(households: int, seed: int, first_day: int, last_day: int) -> Properties:
    """Make homes for `households` and the empty ones beside them.

    `built_on` is `MISSING` for homes that stood before `first_day` (days since 1970); a few are built up to
    `last_day`.
    """
    generator = stream(seed, "properties")
    places = read_places()
    homes = int(np.ceil(households / (1 - VACANT_SHARE)))
    sizes = np.where(generator.random(homes) < _BLOCK_SHARE_OF_BUILDINGS, generator.integers(3, 13, homes), 1)
    buildings = int(np.searchsorted(np.cumsum(sizes), homes)) + 1
    sizes = sizes[:buildings].copy()
    sizes[-1] -= sizes.sum() - homes
    of_home = np.repeat(np.arange(buildings), sizes)
    is_block = sizes > 1

    first_home = np.cumsum(sizes) - sizes
    street = first_home // _ADDRESSES_PER_STREET
    street_count = int(street[-1]) + 1
    area = np.sort(generator.integers(0, len(places["areas"]), street_count))
    street_name = _street_names(area, generator)
    number_in_street = np.arange(buildings) - np.searchsorted(street, street) + 1
    number = number_in_street.astype("U8")
    suffixed = generator.random(buildings) < 0.01
    number = np.where(suffixed, np.strings.add(number, "A"), number)

    postcode_block = street * 64 + (number_in_street - 1) // _ADDRESSES_PER_POSTCODE
    distinct, postcode_of = np.unique(postcode_block, return_inverse=True)
    postcode = _postcodes(area[distinct // 64], generator)[postcode_of]

    first_names, last_names = np.array(places["street_starts"]), np.array(places["block_types"])
    block_name = np.strings.add(
        np.strings.add(first_names[generator.integers(0, len(first_names), buildings)], " "),
        last_names[generator.integers(0, len(last_names), buildings)],
    )
    block_name = np.where(is_block & (generator.random(buildings) < 0.5), block_name, "")
    flat_number = np.arange(homes) - first_home[of_home] + 1
    flat = np.where(is_block[of_home], flat_number.astype("U4"), "")

    lsoa = first_home // _HOMES_PER_LSOA
    lsoa_code = np.strings.add("E01", digits(24000 + lsoa, 6))
    ward_code = np.strings.add("E05", digits(12000 + lsoa // _LSOAS_PER_WARD, 6))

    blocks = np.flatnonzero(is_block)
    parent_of_building = np.full(buildings, -1)
    parent_of_building[blocks] = homes + np.arange(len(blocks))
    of_all = np.concatenate([of_home, blocks])
    total = len(of_all)
    serial = np.cumsum(generator.integers(1, 20, total)) + 100_062_000_000
    uprn = serial[generator.permutation(total)].astype("U12")

    tenure = _tenures(of_home, street, is_block, generator)
    kind = np.array(["RD02", "RD03", "RD04"])[
        pick(generator, {"RD02": 0.25, "RD03": 0.38, "RD04": 0.37}, buildings)
    ]
    property_class = np.concatenate(
        [np.where(is_block[of_home], "RD06", kind[of_home]), np.full(len(blocks), "PP")]
    )
    band = np.array(list("ABCDEFGH"))[
        np.clip(np.round(generator.normal(np.array([3.2, 2.2, 1.6])[tenure], 1.2)), 0, 7).astype(int)
    ]
    rooms = stream(seed, "bedrooms")
    bedrooms = np.clip(
        np.round(rooms.normal(np.array([3.1, 2.4, 2.2])[tenure] - 0.9 * (is_block[of_home]), 0.8)), 1, 5
    ).astype(np.int8)
    lha = _allowances(places)[area[street[of_home]], np.minimum(bedrooms, 4) - 1]
    rent = lha * np.array([0.0, 1.04, 0.56])[tenure] * np.exp(rooms.normal(0, 0.16, homes))
    built_on = np.full(total, MISSING, dtype=np.int32)
    new = np.flatnonzero(generator.random(homes) < _NEW_BUILD_SHARE)
    new = new[property_class[new] != "RD06"]
    built_on[new] = generator.integers(first_day, last_day, len(new))
    empty = np.full(len(blocks), "", dtype="U4")
    return Properties(
        homes=homes,
        uprn=uprn,
        parent=np.concatenate([parent_of_building[of_home], np.full(len(blocks), -1)]),
        flat=np.concatenate([flat, empty]),
        building=block_name[of_all],
        number=number[of_all],
        street=street_name[street[of_all]],
        town=np.array(list(places["areas"].values()))[area[street[of_all]]],
        postcode=postcode[of_all],
        property_class=property_class,
        lsoa_code=lsoa_code[of_all],
        ward_code=ward_code[of_all],
        tenure=tenure,
        band=band,
        weekly_rent=np.round(rent, 2),
        built_on=built_on,
        bedrooms=bedrooms,
        lha_weekly=lha,
    )


def _allowances(places: dict[str, Any]) -> np.ndarray:
    """Local Housing Allowance, pounds a week: areas x bedrooms (1 to 4)."""
    by_code = {
        code: market["allowance"] for market in places["rent_areas"].values() for code in market["outward"]
    }
    return np.array([by_code[code] for code in places["areas"]], dtype=float)


def _street_names(area: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Name each street; a name appears once in an area."""
    places = read_places()
    starts, types = places["street_starts"], places["street_types"]
    names = np.array([f"{start} {kind}" for kind in types for start in starts], dtype="U28")
    weights = np.repeat(np.array(list(types.values())), len(starts))
    chosen = np.empty(len(area), dtype="U28")
    for number in range(len(places["areas"])):
        here = np.flatnonzero(area == number)
        # Keys u^(1/w) in falling order are a weighted draw without replacement.
        order = np.argsort(-(generator.random(len(names)) ** (1 / weights)), kind="stable")
        rounds = np.arange(len(here)) // len(names)
        again = np.where(rounds == 0, "", np.strings.add(" ", (rounds + 1).astype("U3")))
        chosen[here] = np.strings.add(names[order[np.arange(len(here)) % len(names)]], again)
    return chosen


def _postcodes(area: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return a distinct postcode for each position, in the outward code of its area."""
    areas = read_places()["areas"]
    order = generator.permutation(9 * len(_INWARD_LETTERS) ** 2)
    place = np.empty(len(area), dtype=np.int64)
    for number in range(len(areas)):
        here = np.flatnonzero(area == number)
        place[here] = np.arange(len(here))
    code = order[place % len(order)]
    letters = len(_INWARD_LETTERS)
    sector = (code // letters**2 + 1).astype("U1")
    unit = np.strings.add(_INWARD_LETTERS[code // letters % letters], _INWARD_LETTERS[code % letters])
    outward = np.array(list(areas))[area]
    return np.strings.add(np.strings.add(np.strings.add(outward, " "), sector), unit)


def _tenures(
    of_home: np.ndarray, street: np.ndarray, is_block: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Tenure of each home: clustered by street, flats rented more often, exact shares over the county."""
    homes = len(of_home)
    estate = generator.normal(0, 1.2, int(street[-1]) + 1)[street[of_home]]
    flat = is_block[of_home]
    social_score = estate + 0.6 * flat + generator.normal(0, 0.8, homes)
    tenure = np.full(homes, OWNER)
    social = round(homes * TENURE_SHARES["social"])
    tenure[np.argsort(-social_score, kind="stable")[:social]] = SOCIAL
    rest = np.flatnonzero(tenure == OWNER)
    private_score = 0.8 * flat[rest] + generator.normal(0, 1, len(rest))
    private = round(homes * TENURE_SHARES["private"])
    tenure[rest[np.argsort(-private_score, kind="stable")[:private]]] = PRIVATE
    return tenure
