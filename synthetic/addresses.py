"""Addresses as text, in the style of each partner's system, with its abbreviations and slips."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthetic.errors import bits, error_model, typing_slips
from synthetic.properties import Properties

_ABBREVIATIONS = (
    (" Road", " Rd"), (" Street", " St"), (" Close", " Cl"), (" Avenue", " Ave"), (" Lane", " Ln"),
    (" Drive", " Dr"), (" Gardens", " Gdns"), (" Crescent", " Cres"),
)  # fmt: skip

_POSTCODE_LETTERS = "ABDEFGHJLN"


@dataclass(frozen=True)
class AddressText:
    """Address parts as typed: `home` (flat and building, may be empty), `street` line, `town`, `postcode`; and the
    errors in them, as bits of `synthetic.errors.ERRORS`.
    """

    home: np.ndarray
    street: np.ndarray
    town: np.ndarray
    postcode: np.ndarray
    applied: np.ndarray

    def one_line(self, separator: str = ", ") -> np.ndarray:
        """Join what is there into one line."""
        line = self.home
        for part in (self.street, self.town):
            line = np.strings.add(
                np.strings.add(line, np.where((line != "") & (part != ""), separator, "")), part
            )
        return line


def plain(properties: Properties, rows: np.ndarray) -> AddressText:
    """The address as the gazetteer writes it."""
    flat = properties.flat[rows]
    building = properties.building[rows]
    flat_text = np.where(flat != "", np.strings.add("Flat ", flat), "")
    home = _join(flat_text, building, ", ")
    street = _join(properties.number[rows], properties.street[rows], " ")
    none = np.zeros(len(rows), dtype=np.uint32)
    return AddressText(home, street, properties.town[rows], properties.postcode[rows], none)


def typed(
    properties: Properties, rows: np.ndarray, weights: np.ndarray, generator: np.random.Generator
) -> AddressText:
    """The address as somebody types it: abbreviations, other ways to write a flat, slips, a town or a space
    left out.
    """
    rates = error_model()["address"]
    count = len(rows)
    flat, building = properties.flat[rows], properties.building[rows]
    number, street = properties.number[rows], properties.street[rows]
    style = generator.random(count)
    flat_text = np.where(
        flat == "",
        "",
        np.where(
            style < 0.78,
            np.strings.add("Flat ", flat),
            np.where(style < 0.9, np.strings.add("Apartment ", flat), flat),
        ),
    )
    building = np.where(generator.random(count) < 0.1, "", building)
    home = _join(flat_text, building, ", ")
    short = street
    for old, new in _ABBREVIATIONS:
        ends = np.strings.endswith(street, old)
        short = np.where(ends, np.strings.replace(street, old, new), short)
    street = np.where(generator.random(count) < rates["abbreviated_street"], short, street)
    slip = generator.random(count) < rates["typing_slip"] * weights
    slipped = np.flatnonzero(slip)
    street = street.copy()
    street[slipped] = typing_slips(street[slipped], generator)
    town = np.where(generator.random(count) < rates["town_missing"], "", properties.town[rows])
    line = _join(number, street, " ")
    care_of = generator.random(count) < rates["care_of"] * weights
    home = np.where(care_of, _join(np.full(count, "C/O The Occupier"), home, ", "), home)
    postcode, postcode_slip = _typed_postcodes(properties.postcode[rows], weights, generator)
    applied = bits(address_typing_slip=slip, care_of=care_of, postcode_slip=postcode_slip)
    return AddressText(home, line, town, postcode, applied)


def typed_postcodes(postcode: np.ndarray, weights: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Postcodes with a space left out or a slip."""
    return _typed_postcodes(postcode, weights, generator)[0]


def _typed_postcodes(
    postcode: np.ndarray, weights: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    rates = error_model()["address"]
    count = len(postcode)
    slip = generator.random(count) < rates["postcode_slip"] * weights
    slipped = np.flatnonzero(slip)
    typed = postcode.copy()
    letters = np.array(list(_POSTCODE_LETTERS))
    place = generator.integers(0, len(letters), len(slipped))
    if len(slipped):
        right = np.array([text[-1:] for text in typed[slipped].tolist()])
        last = np.where(letters[place] == right, letters[(place + 1) % len(letters)], letters[place])
        stems = np.array([text[:-1] for text in typed[slipped].tolist()], dtype=typed.dtype)
        typed[slipped] = np.strings.add(stems, last)
    without = generator.random(count) < rates["postcode_without_space"]
    return np.where(without, np.strings.replace(typed, " ", ""), typed), slip


def _join(first: np.ndarray, second: np.ndarray, separator: str) -> np.ndarray:
    between = np.where((first != "") & (second != ""), separator, "")
    return np.strings.add(np.strings.add(first, between), second)
