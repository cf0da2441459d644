"""The vault: identities in and out, their history, and what erasing leaves behind, on real encrypted stores."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

from bridge.vault.arrivals import ARRIVAL_SCHEMA
from bridge.vault.identity_texts import FIELDS, identity_columns, identity_texts
from bridge.vault.key_wrap import unwrap_keys, wrap_keys
from bridge.vault.keys import partner_key
from bridge.vault.vault import Vault, VaultError, VaultReport, open_vault, shred
from bridge.zone import CouncilZone
from stores.encrypted import attached
from stores.home import Home
from stores.keys import COUNCIL_ROOTS, create_missing_keys

PARTNER = "district"
ANN, BEN, CAT = (f"{number:032x}" for number in (1, 2, 3))
DAYS = tuple(date(2025, month, 6) for month in range(1, 6))


@pytest.fixture
def zone(tmp_path: Path) -> CouncilZone:
    home = Home(tmp_path / "home")
    create_missing_keys(home.council_keys, COUNCIL_ROOTS)
    return CouncilZone.open(home)


def arriving(day: date, **surnames: str | None) -> pa.Table:
    """One delivery: a surname for each of `ann`, `ben`, `cat`."""
    references = {"ann": ANN, "ben": BEN, "cat": CAT}
    rows = [
        {
            "record_ref": references[who],
            "feed": "council_tax",
            "table_name": "accounts",
            "delivery_date": day,
            "received_date": day,
            "delivery_id": f"{day}-full",
            "partner_key": f'{{"account_ref":"{who}"}}',
            "forename": who.title(),
            "surname": surname,
            "date_of_birth": date(1980, 2, 29),
        }
        for who, surname in surnames.items()
    ]
    return pa.Table.from_pylist(rows, schema=ARRIVAL_SCHEMA)


def kept(zone: CouncilZone, *deliveries: pa.Table) -> list[int]:
    counts = []
    for delivery in deliveries:
        with open_vault(zone, PARTNER) as vault:
            counts.append(vault.keep(delivery))
    return counts


def surnames(vault: Vault, record_ref: str) -> list[tuple[str, str, str | None]]:
    return [
        (past.first_delivery_id[:7], past.last_delivery_id[:7], past.identity.get("surname"))
        for past in vault.history(record_ref)
    ]


def lines(zone: CouncilZone) -> list[str]:
    with open_vault(zone, PARTNER) as vault:
        return sorted(vault.history_lines())


def test_what_is_kept_is_read_back_with_the_delivery_that_said_it_last(zone: CouncilZone) -> None:
    assert kept(zone, arriving(DAYS[0], ann="Old", ben=None), arriving(DAYS[1], ann="Old")) == [2, 0]
    with open_vault(zone, PARTNER) as vault:
        assert vault.identity(ANN) == {
            "key": {"account_ref": "ann"},
            "forename": "Ann",
            "surname": "Old",
            "date_of_birth": date(1980, 2, 29),
        }
        assert "surname" not in vault.identity(BEN)
        (batch,) = vault.identity_batches()
    assert batch.schema == ARRIVAL_SCHEMA
    assert dict(zip(batch["record_ref"].to_pylist(), batch["delivery_date"].to_pylist(), strict=True)) == {
        ANN: DAYS[1],
        BEN: DAYS[0],
    }


def test_each_change_of_an_identity_is_kept_and_nothing_twice(zone: CouncilZone) -> None:
    counts = kept(
        zone, *(arriving(day, ann=name) for day, name in zip(DAYS, ("A", "A", "B", "B", "A"), strict=True))
    )
    assert counts == [1, 0, 1, 0, 0]
    with open_vault(zone, PARTNER) as vault:
        assert surnames(vault, ANN) == [("2025-03", "2025-04", "B"), ("2025-01", "2025-05", "A")]
        assert vault.status().identities == 2


def test_any_order_and_any_grouping_of_deliveries_leaves_the_same_history(tmp_path: Path) -> None:
    deliveries = [
        arriving(DAYS[0], ann="A", ben="X"),
        arriving(DAYS[1], ann="B"),
        arriving(DAYS[2], ann="A", cat="C"),
    ]
    together = pa.concat_tables(deliveries)
    ways: list[Sequence[pa.Table]] = [
        *list(itertools.permutations(deliveries))[::2],
        [together],
        [*deliveries, together],
    ]
    found = []
    for number, way in enumerate(ways):
        home = Home(tmp_path / str(number))
        create_missing_keys(home.council_keys, COUNCIL_ROOTS)
        zone = CouncilZone.open(home)
        kept(zone, *way)
        found.append(lines(zone))
        with open_vault(zone, PARTNER) as vault:
            assert vault.identity(ANN)["surname"] == "A"
    assert len(found[0]) == 4
    assert all(each == found[0] for each in found)


def test_a_stop_between_keys_and_identities_is_made_good_by_keeping_again(
    zone: CouncilZone, monkeypatch: pytest.MonkeyPatch
) -> None:
    class StoppedError(Exception):
        pass

    class Stopping:
        def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
            self.connection = connection

        def execute(self, sql: str, *values: Any) -> Any:
            if "insert into identities" in sql:
                raise StoppedError
            return self.connection.execute(sql, *values)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.connection, name)

    delivery = arriving(DAYS[0], ann="A")
    with open_vault(zone, PARTNER) as vault, pytest.raises(StoppedError):
        Vault(vault.partner, vault.wrapping_key, vault.digest_key, Stopping(vault.connection)).keep(delivery)  # type: ignore[arg-type]
    assert kept(zone, delivery) == [1]
    with open_vault(zone, PARTNER) as vault:
        assert vault.identity(ANN)["surname"] == "A"
        assert vault.status().unused_keys == 1
        assert vault.verify() == VaultReport(subjects=1, erased=0, unreadable=0)


def test_an_erased_subject_is_gone_with_the_whole_history_and_does_not_come_back(zone: CouncilZone) -> None:
    kept(zone, arriving(DAYS[0], ann="A", ben="X"), arriving(DAYS[1], ann="B"))
    with open_vault(zone, PARTNER) as vault:
        assert vault.erase(ANN)
        assert not vault.erase(ANN)
        assert not vault.erase(CAT)
    assert kept(zone, arriving(DAYS[2], ann="C", ben="X")) == [0]
    with open_vault(zone, PARTNER) as vault:
        with pytest.raises(VaultError, match="erased"):
            vault.identity(ANN)
        assert vault.verify() == VaultReport(subjects=2, erased=1, unreadable=0)
        assert [batch.num_rows for batch in vault.identity_batches()] == [1]
        assert dict(vault.contents())[ANN] is None


def test_identities_put_back_from_a_backup_do_not_open_for_whoever_was_shredded_since(
    zone: CouncilZone, tmp_path: Path
) -> None:
    kept(zone, arriving(DAYS[0], ann="A", ben="X"))
    backup = tmp_path / "backup.duckdb"
    shutil.copy(zone.home.vault_db(PARTNER), backup)
    with open_vault(zone, PARTNER) as vault:
        (before,) = vault.connection.execute(
            "select wrapped_key from vault_keys.data_keys where record_ref = ?", [ANN]
        ).fetchone()  # type: ignore[misc]
    assert shred(zone, PARTNER, [ANN]) == 1
    shutil.copy(backup, zone.home.vault_db(PARTNER))

    with open_vault(zone, PARTNER) as vault:
        rows = vault.connection.execute(
            "select version, nonce, identity from identities where record_ref = ?", [ANN]
        ).fetchall()
        assert len(rows) == 1
        ((version, nonce, content),) = rows
        held = vault.connection.execute("select wrapped_key from vault_keys.data_keys").fetchall()
        keys, intact = unwrap_keys(
            vault.wrapping_key, np.stack([np.frombuffer(key, np.uint8) for (key,) in held])
        )
        assert intact.all()
        bound = vault._bound(pa.array([ANN]), pa.array([version]))[0]
        for key in keys:
            with pytest.raises(InvalidTag):
                AESGCM(key.tobytes()).decrypt(nonce, content, bound)
        # With the key that was destroyed it would open: the check above tries the right thing.
        lost, _ = unwrap_keys(vault.wrapping_key, np.frombuffer(before, np.uint8).reshape(1, -1))
        assert b"Ann" in AESGCM(lost[0].tobytes()).decrypt(nonce, content, bound)
        with pytest.raises(VaultError, match="erased"):
            vault.identity(ANN)
        assert vault.identity(BEN)["surname"] == "X"
        assert vault.status().shredded == 1
        assert vault.verify() == VaultReport(subjects=2, erased=1, unreadable=0)


@pytest.mark.parametrize("damage", ["swap", "flip", "key", "no key"])
def test_a_row_that_was_moved_changed_or_lost_its_key_is_noticed(zone: CouncilZone, damage: str) -> None:
    kept(zone, arriving(DAYS[0], ann="A", ben="X", cat="C"))
    changes = {
        "swap": "update identities set nonce = b.nonce, identity = b.identity from identities as b "
        f"where identities.record_ref = '{ANN}' and b.record_ref = '{BEN}'",
        "flip": f"update identities set identity = identity || '\\x00'::blob where record_ref = '{ANN}'",
        "key": f"update vault_keys.data_keys set wrapped_key = '\\x00'::blob where record_ref = '{ANN}'",
        "no key": f"delete from vault_keys.data_keys where record_ref = '{ANN}'",
    }
    with open_vault(zone, PARTNER) as vault:
        vault.connection.execute(changes[damage])
        assert vault.verify().unreadable == 1
        with pytest.raises(VaultError, match="damaged"):
            vault.identity(ANN)
        assert vault.identity(CAT)["surname"] == "C"
        with pytest.raises(VaultError, match="damaged"):
            list(vault.identity_batches())


def test_rewrapping_moves_every_key_to_the_new_partner_key_and_the_old_one_opens_nothing(
    zone: CouncilZone,
) -> None:
    kept(zone, arriving(DAYS[0], ann="A", ben="X"), arriving(DAYS[1], ann="B"))
    old, new = partner_key(zone.keys.root("storage"), PARTNER), bytes(range(32))
    with open_vault(zone, PARTNER) as vault:
        assert vault.rewrap(old, new) == 3
        assert vault.rewrap(old, new) == 0
        assert vault.verify().unreadable == 3
        moved = Vault(PARTNER, new, vault.digest_key, vault.connection)
        assert moved.verify().unreadable == 0
        assert surnames(moved, ANN)[-1][2] == "B"
        with pytest.raises(VaultError, match="another key"):
            vault.rewrap(old, bytes(32))
    with pytest.raises(VaultError, match="no usable storage key"), open_vault(zone, PARTNER):
        pytest.fail("a vault opened under a key that is not the council's")


def test_a_vault_of_the_former_layout_is_brought_over_and_its_table_goes(zone: CouncilZone) -> None:
    with former_vault(zone) as old:
        old.execute(
            "insert into subjects values (?, 'f', 't', ?, ?, 'd', null, null, true)", [CAT, *DAYS[:2]]
        )
        for reference, name in ((ANN, "A"), (BEN, "B")):
            wrapped, identity = as_formerly_encrypted(zone, reference, name)
            old.execute(
                "insert into subjects values (?, 'f', 't', ?, ?, 'd', ?, ?, false)",
                [reference, DAYS[0], DAYS[0], wrapped, identity],
            )
    with open_vault(zone, PARTNER) as vault:
        assert vault.identity(ANN) == {
            "key": {"account_ref": "1"},
            "surname": "A",
            "date_of_birth": date(1980, 2, 29),
        }
        assert vault.verify() == VaultReport(subjects=3, erased=1, unreadable=0)
        assert vault.keep(arriving(DAYS[3], cat="C")) == 0
    with open_vault(zone, PARTNER) as vault:
        assert vault.connection.execute("from duckdb_tables() where table_name = 'subjects'").fetchall() == []


@contextmanager
def former_vault(zone: CouncilZone) -> Iterator[duckdb.DuckDBPyConnection]:
    with attached(zone.home.vault_db(PARTNER), zone.storage_key(f"vault/{PARTNER}")) as connection:
        connection.execute(
            "create table subjects (record_ref varchar primary key, feed varchar, table_name varchar, "
            "delivery_date date, received_date date, delivery_id varchar, wrapped_key blob, identity blob, "
            "erased boolean)"
        )
        yield connection


def as_formerly_encrypted(zone: CouncilZone, reference: str, surname: str) -> tuple[bytes, bytes]:
    key, data_key, nonce = partner_key(zone.keys.root("storage"), PARTNER), b"k" * 32, b"n" * 12
    text = f'{{"date_of_birth":"1980-02-29","key":{{"account_ref":"1"}},"surname":"{surname}"}}'
    bound = [f"vault\x001\x00{PARTNER}\x00{what}\x00{reference}".encode() for what in ("key", "identity")]
    return (
        nonce + AESGCM(key).encrypt(nonce, data_key, bound[0]),
        nonce + AESGCM(data_key).encrypt(nonce, text.encode(), bound[1]),
    )


def test_key_wrap_gives_the_bytes_of_the_standard() -> None:
    # RFC 3394, section 4.6: 256 bits of key data under a 256-bit key.
    wrapping = bytes(range(32))
    data = bytes.fromhex("00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F")
    expected = "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21"
    wrapped = wrap_keys(wrapping, np.frombuffer(data, np.uint8).reshape(1, 32))
    assert wrapped.tobytes().hex().upper() == expected


def test_many_keys_wrapped_at_once_are_those_of_the_library_and_a_changed_one_does_not_unwrap() -> None:
    keys = np.random.default_rng(3).integers(0, 256, (200, 32), dtype=np.uint8)
    wrapping = b"w" * 32
    wrapped = wrap_keys(wrapping, keys)
    assert [row.tobytes() for row in wrapped] == [aes_key_wrap(wrapping, key.tobytes()) for key in keys]
    wrapped[7, 11] ^= 1
    unwrapped, intact = unwrap_keys(wrapping, wrapped)
    assert np.flatnonzero(~intact).tolist() == [7]
    assert not unwrapped[7].any()
    assert np.array_equal(np.delete(unwrapped, 7, axis=0), np.delete(keys, 7, axis=0))
    assert not unwrap_keys(b"x" * 32, wrapped)[1].any()


def test_identity_texts_keep_every_character_apart() -> None:
    values = [
        "plain",
        None,
        "",
        "\x1e",
        "\x1f",
        "\x1d",
        "\x1dn",
        "a\x1fb\x1ec\x1de",
        'línea\nnueva \\ "q"',
        "Ł日",
    ]
    table = pa.table({**dict.fromkeys(FIELDS, pa.nulls(len(values), pa.string())), "surname": values})
    table = table.set_column(table.column_names.index("address"), "address", pa.array(values[::-1]))
    texts = identity_texts(table)
    assert len(set(texts.to_pylist())) == len(values)
    read = identity_columns(texts)
    assert read["surname"].to_pylist() == values
    assert read["address"].to_pylist() == values[::-1]
    assert read["forename"].null_count == len(values)
