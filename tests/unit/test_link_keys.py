"""What link keys keep of an identity, what they hide, and that only the key decides."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from bridge.link_keys.columns import keyed_digests
from bridge.link_keys.encoding import SHARED_TOKEN_KEYS, TOKEN_FIELDS, encode_link_keys, encode_tokens
from exchange.link_key_schema import FILTER_BITS, FILTER_COLUMNS, FIRST_EPOCH, LINK_KEY_SCHEMA, TOKEN_COLUMNS
from stores.keys import FileKeys, KeyUnavailableError, key_id


@dataclass(frozen=True)
class FixedKeys:
    """Root keys that differ by name and council."""

    council: str = "one"

    def root(self, name: str, version: int | None = None) -> bytes:  # noqa: ARG002
        return hashlib.sha256(f"{self.council}/{name}".encode()).digest()


KNOWN_VECTOR = "496259d38c12eeae76d6847fc4351665"

PERSON = {
    "forename": "Frederick",
    "surname": "Hartnoll",
    "date_of_birth": date(1961, 3, 4),
    "nino": "AB123456C",
    "uprn": "1001",
    "postcode": "AB1 2CD",
    "partner_person_reference": "P1",
}


def encode(
    *people: dict[str, Any],
    epoch: int = FIRST_EPOCH,
    council: str = "one",
    feed: str = "housing",
    minors: list[bool] | None = None,
) -> pa.Table:
    rows = [{"record_ref": f"r{number}", **person} for number, person in enumerate(people)]
    columns = {
        name: [row.get(name) for row in rows] for name in dict.fromkeys(key for row in rows for key in row)
    }
    marked = None if minors is None else np.array(minors)
    return encode_link_keys(pa.table(columns), FixedKeys(council), epoch, feed=feed, minors=marked)


def filters(link_keys: pa.Table) -> np.ndarray:
    return np.stack([link_keys[column].to_numpy() for column in FILTER_COLUMNS], axis=1)


def distance(link_keys: pa.Table) -> float:
    """Share of filter bits in which the first two records differ."""
    first, second = filters(link_keys)[:2]
    return float(np.bitwise_count(first ^ second).sum()) / FILTER_BITS


def shared_tokens(link_keys: pa.Table, one: int = 0, other: int = 1) -> set[str]:
    columns = {column: link_keys[column].to_pylist() for column in TOKEN_COLUMNS}
    return {
        column.removesuffix("_token")
        for column, values in columns.items()
        if values[one] is not None and values[one] == values[other]
    }


def test_the_schema_is_the_one_that_both_zones_share() -> None:
    link_keys = encode(PERSON, {"surname": "Uglow"})
    assert link_keys.schema == LINK_KEY_SCHEMA
    assert link_keys["record_ref"].to_pylist() == ["r0", "r1"]
    assert link_keys["epoch"].to_pylist() == [FIRST_EPOCH] * 2


def test_two_spellings_of_one_identity_give_the_same_keys() -> None:
    other = PERSON | {
        "forename": " FREDERICK ",
        "surname": "Mr Hartnoll",
        "nino": "ab 12 34 56",
        "postcode": "ab12cd",
    }
    link_keys = encode(PERSON, other)
    assert distance(link_keys) == 0
    assert {column.removesuffix("_token") for column in TOKEN_COLUMNS} - shared_tokens(link_keys) == {
        "nhs_number",
        "middle_full_name",
        "middle_uprn",
        "upn",
        "phone",
        "forwarding_uprn",
        "initial_forwarding_uprn",
        "bare_initial_uprn",
        "surname_forwarding_uprn",
        "surname_forwarding_postcode",
    }


def test_similar_names_differ_in_few_bits_and_strangers_in_many() -> None:
    near = distance(encode(PERSON, PERSON | {"forename": "Frederik"}))
    far = distance(encode(PERSON, {"forename": "Ottoline", "surname": "Quickfall"}))
    assert 0 < near < 0.26
    assert far > 0.44


def test_half_of_all_filter_bits_are_set_whatever_the_name_so_that_weight_tells_nothing() -> None:
    link_keys = encode(
        *({"forename": f"{a}{b}lfrith", "surname": f"{b}{a}more"} for a in "abcdefg" for b in "hijklm")
    )
    share = np.bitwise_count(filters(link_keys)).sum(axis=1) / FILTER_BITS
    assert 0.44 < share.min() <= share.max() < 0.56


def test_swapped_names_share_the_full_name_token_only_among_name_tokens() -> None:
    swapped = {"forename": "Hartnoll", "surname": "Frederick"}
    assert shared_tokens(encode({"forename": "Frederick", "surname": "Hartnoll"}, swapped)) == {"full_name"}


@pytest.mark.parametrize("name", ["forename", "surname"])
def test_no_token_stands_for_one_name_alone(name: str) -> None:
    link_keys = encode({name: "Hartnoll"}, {name: "Hartnoll"})
    assert shared_tokens(link_keys) == set()
    assert all(link_keys[column].null_count == 2 for column in TOKEN_COLUMNS)


def test_a_forwarding_address_meets_the_new_home() -> None:
    leaving = {
        "surname": "Uglow",
        "forename": "T",
        "forwarding_uprn": "2002",
        "forwarding_postcode": "AB3 4EF",
    }
    arriving = {"surname": "Uglow", "forename": "Thaddeus", "uprn": "2002", "postcode": "AB34EF"}
    link_keys = encode(leaving, arriving)
    for forwarding, home in (
        ("forwarding_uprn", "uprn"),
        ("surname_forwarding_uprn", "surname_uprn"),
        ("surname_forwarding_postcode", "surname_postcode"),
        ("initial_forwarding_uprn", "initial_uprn"),
    ):
        assert link_keys[f"{forwarding}_token"][0] == link_keys[f"{home}_token"][1]


def test_a_bare_initial_meets_the_whole_forename_at_the_same_property_only() -> None:
    link_keys = encode(PERSON, PERSON | {"forename": "F"}, PERSON | {"forename": "F", "uprn": "1002"})
    bare = link_keys["bare_initial_uprn_token"].to_pylist()
    assert bare[0] is None
    assert bare[1] == link_keys["initial_uprn_token"][0].as_py() != bare[2]


def test_swapped_day_and_month_share_a_token_and_so_do_two_parts_of_a_date() -> None:
    name = {"forename": "Thaddeus", "surname": "Uglow"}
    link_keys = encode(
        name | {"date_of_birth": date(1961, 3, 4)},
        name | {"date_of_birth": date(1961, 4, 3)},
        name | {"date_of_birth": date(1961, 3, 9)},
    )
    assert {token for token in shared_tokens(link_keys, 0, 1) if "birth" in token} == {
        "initials_birth_swapped",
        "name_starts_birth_year",
    }
    assert {token for token in shared_tokens(link_keys, 0, 2) if "birth" in token} == {
        "initials_birth_year_month",
        "full_name_birth_year_month",
        "name_starts_birth_year",
    }


@pytest.mark.parametrize("value", [{"date_of_birth": date(1961, 3, 4)}, {"postcode": "AB1 2CD"}])
def test_a_date_of_birth_or_a_postcode_gives_no_token_without_a_name(value: dict[str, Any]) -> None:
    assert shared_tokens(encode(value, value)) == set()


def test_a_date_of_birth_agrees_with_either_name_and_not_with_another_person() -> None:
    born = {"date_of_birth": date(1961, 3, 4)}
    maiden, married = {"forename": "Ruth", "surname": "Uglow"}, {"forename": "Ruth", "surname": "Hartnoll"}
    stranger = {"forename": "Jago", "surname": "Penrose"}
    link_keys = encode(maiden | born, married | born, stranger | born)
    assert "forename_start_birth_date" in shared_tokens(link_keys, 0, 1)
    assert shared_tokens(link_keys, 0, 2) == set()


def test_the_first_of_january_gives_no_month_and_day_token() -> None:
    assert shared_tokens(
        encode(
            {"forename": "T", "surname": "U", "date_of_birth": date(1961, 1, 1)},
            {"forename": "T", "surname": "U", "date_of_birth": date(1962, 1, 1)},
        )
    ) == {"full_name", "name_starts"}


def test_a_partners_reference_means_nothing_in_another_feed() -> None:
    here, there = encode(PERSON, feed="housing"), encode(PERSON, feed="council_tax")
    assert here["partner_reference_token"] != there["partner_reference_token"]
    assert here["nino_token"] == there["nino_token"]


def test_equal_parts_in_other_columns_give_other_tokens() -> None:
    link_keys = encode(
        {"uprn": "12345"}, {"phone": "12345", "partner_person_reference": "12345", "postcode": "12345"}
    )
    tokens = [link_keys[column][row].as_py() for column in TOKEN_COLUMNS for row in (0, 1)]
    present = [token for token in tokens if token is not None]
    assert len(present) == len(set(present))


@pytest.mark.parametrize("change", [{"epoch": FIRST_EPOCH + 1}, {"council": "two"}])
def test_another_epoch_or_council_shares_no_key(change: dict[str, Any]) -> None:
    here, there = encode(PERSON), encode(PERSON, **change)
    both = pa.concat_tables([here, there])
    assert shared_tokens(both) == set()
    assert distance(both) > 0.2


def test_no_clear_value_is_in_the_link_keys() -> None:
    content = repr(encode(PERSON).drop_columns(["record_ref"]).to_pylist()).lower()
    for value in ("frederick", "hartnoll", "1961-03-04", "ab123456", "ab12cd"):
        assert value not in content
        assert value.encode().hex() not in content.replace("\\x", "")


def test_missing_identities_give_null_keys_and_no_error() -> None:
    link_keys = encode({"surname": None}, {"surname": "Unknown"})
    assert all(link_keys[column].null_count == 2 for column in (*FILTER_COLUMNS, *TOKEN_COLUMNS))
    assert encode_link_keys(pa.table({"record_ref": pa.array([], pa.string())}), FixedKeys(), 1).num_rows == 0


def test_keys_do_not_depend_on_which_records_are_encoded_together() -> None:
    others = [{"forename": f"N{number}", "surname": "Uglow", "uprn": str(number)} for number in range(50)]
    alone, together = encode(PERSON), encode(PERSON, *others)
    assert alone.drop_columns(["record_ref"]) == together.slice(0, 1).drop_columns(["record_ref"])


def test_a_missing_linkage_root_stops_the_encoding(tmp_path: Any) -> None:
    with pytest.raises(KeyUnavailableError):
        encode_link_keys(pa.table({"record_ref": ["r"]}), FileKeys(tmp_path), FIRST_EPOCH)


def test_digests_are_hmac_sha256() -> None:
    assert keyed_digests(b"k" * 32, [b"message"]) == [hmac.digest(b"k" * 32, b"message", "sha256")]


def test_link_keys_of_a_known_identity_do_not_change_between_versions() -> None:
    """A changed encoding needs a new epoch: this vector notices an accidental one."""
    link_keys = encode(PERSON)
    digest = hashlib.sha256()
    for column in (*FILTER_COLUMNS, *TOKEN_COLUMNS):
        digest.update(repr(link_keys[column][0].as_py()).encode())
    assert digest.hexdigest()[:32] == KNOWN_VECTOR


def test_a_child_shares_a_home_with_other_records_of_children_and_with_no_adult() -> None:
    parent, child = PERSON | {"nino": None}, PERSON | {"date_of_birth": None, "nino": None}
    link_keys = encode(parent, child, child, minors=[False, True, True])
    homes = {"uprn", "initial_postcode", "initial_uprn", "surname_uprn", "forename_uprn", "surname_postcode"}
    assert shared_tokens(link_keys) & homes == set()
    assert shared_tokens(link_keys, 1, 2) >= homes
    assert shared_tokens(link_keys) >= {"full_name", "full_name_outward_code"}


def test_a_middle_name_meets_the_forename_that_somebody_goes_by() -> None:
    whole = {"forename": "Sophie", "middle_name": "Eleanor Ann", "surname": "Fraser", "uprn": "1001"}
    link_keys = encode(whole, {"forename": "Eleanor", "surname": "Fraser", "uprn": "1001"})
    for middle, name in (("middle_full_name_token", "full_name_token"), ("middle_uprn_token", None)):
        assert link_keys[middle][0].as_py() == link_keys[name or "forename_uprn_token"][1].as_py()


def test_a_unique_pupil_number_meets_itself_however_it_is_written() -> None:
    pupil = {"surname": "Uglow", "upn": "Z123456789012"}
    assert shared_tokens(encode(pupil, {"surname": "Other", "upn": "z1234 56789012"})) >= {"upn"}
    assert "upn" not in shared_tokens(encode(pupil | {"upn": "123"}, pupil | {"upn": "123"}))


def test_attributes_get_tokens_of_their_own() -> None:
    places = pa.chunked_array([["Devon", "devon", None]])
    born, died = (encode_tokens([places], field, FixedKeys(), 1) for field in ("birth_place", "death_place"))
    assert born[0] != born[1]
    assert born[2].as_py() is None
    assert born[0] != died[0]


def test_records_encoded_in_chunks_have_the_keys_that_they_have_all_at_once() -> None:
    people = [
        PERSON
        | {
            "forename": f"N{chr(97 + number % 7)}",
            "uprn": str(number % 5),
            "postcode": None if number % 3 else "AB1 2CD",
        }
        for number in range(40)
    ]
    minors = [number % 4 == 0 for number in range(40)]
    whole = encode(*people, minors=minors).drop_columns(["record_ref"])
    parts = [encode(*people[at : at + 7], minors=minors[at : at + 7]) for at in range(0, 40, 7)]
    assert pa.concat_tables(parts).drop_columns(["record_ref"]).combine_chunks() == whole.combine_chunks()


def test_one_name_alone_gives_a_filter_near_that_of_the_whole_name() -> None:
    link_keys = encode(
        {"surname": "Hartnoll"}, {"forename": "Jo", "surname": "Hartnoll"}, {"surname": "Quickfall"}
    )
    bits = filters(link_keys)
    near, far = (np.bitwise_count(bits[0] ^ bits[other]).sum() / FILTER_BITS for other in (1, 2))
    assert near < 0.44 < far


def test_every_row_names_the_key_that_it_was_made_with() -> None:
    here, there = encode(PERSON, PERSON), encode(PERSON, council="two")
    assert here["key_id"].to_pylist() == [key_id(FixedKeys().root("linkage"))] * 2
    assert here["key_id"][0] != there["key_id"][0]


def test_tokens_that_share_a_key_have_the_same_number_of_fields() -> None:
    """CBC-MAC is a pseudorandom function only for messages of one length under each key (ADR 0011)."""
    for token, other in SHARED_TOKEN_KEYS.items():
        assert len(TOKEN_FIELDS[token]) == len(TOKEN_FIELDS[other])


def test_no_name_date_or_postcode_has_a_token_alone() -> None:
    alone = {fields[0] for fields in TOKEN_FIELDS.values() if len(fields) == 1}
    assert not {
        field for field in alone if field.startswith(("forename", "surname", "birth", "postcode", "outward"))
    }


def test_swapped_names_still_meet_in_birth_date_and_postcode() -> None:
    right = {
        "forename": "Harpreet",
        "surname": "Gill",
        "date_of_birth": date(1961, 3, 4),
        "postcode": "AB1 2CD",
    }
    link_keys = encode(right, right | {"forename": "Gill", "surname": "Harpreet"})
    for one, other in (
        ("forename_start_birth_date", "surname_start_birth_date"),
        ("initial_postcode", "surname_initial_postcode"),
    ):
        assert link_keys[f"{one}_token"][0].as_py() == link_keys[f"{other}_token"][1].as_py() is not None
        assert link_keys[f"{one}_token"][0].as_py() != link_keys[f"{one}_token"][1].as_py()
