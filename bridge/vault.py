"""The vault: who a `record_ref` is, kept by the council alone, one encrypted store per partner.

Each identity is encrypted (AES-256-GCM) under a data key of its own, and that key is wrapped by the
partner's key. Erasing a subject destroys the wrapped data key, so that even a backup of the identity can no
longer be read; a tombstone stays, and a later delivery cannot bring the subject back.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb
import pyarrow as pa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bridge.zone import CouncilZone
from stores.encrypted import attached, storage_key
from stores.keys import derive_key

VAULT_VERSION = "1"
KEY_BYTES = 32
NONCE_BYTES = 12

SUBJECTS_TABLE = """
create table if not exists subjects (
    record_ref varchar primary key, feed varchar, table_name varchar, delivery_date date, received_date date,
    delivery_id varchar, wrapped_key blob, identity blob, erased boolean
)
"""

# An erased subject stays erased, and an older delivery that arrives late does not put back an older identity.
WANTED = """
select arrived.place
from arrived left join subjects using (record_ref)
where subjects.record_ref is null
    or (not subjects.erased
        and (subjects.delivery_date, subjects.received_date, subjects.delivery_id)
            < (arrived.delivery_date, arrived.received_date, arrived.delivery_id))
"""

SUBJECT_SCHEMA = pa.schema(
    [
        ("record_ref", pa.string()),
        ("feed", pa.string()),
        ("table_name", pa.string()),
        ("delivery_date", pa.date32()),
        ("received_date", pa.date32()),
        ("delivery_id", pa.string()),
        ("wrapped_key", pa.binary()),
        ("identity", pa.binary()),
        ("erased", pa.bool_()),
    ]
)


class VaultError(RuntimeError):
    """An identity cannot be read back: erased, damaged, or under another key."""


@dataclass(frozen=True)
class Arrival:
    """The newest identity of one record in a batch, with the delivery that brought it."""

    record_ref: str
    feed: str
    table_name: str
    delivery_date: date
    received_date: date
    delivery_id: str
    identity: Mapping[str, Any]


@dataclass(frozen=True)
class VaultReport:
    """Counts of one check of a partner's vault."""

    subjects: int
    erased: int
    unreadable: int


@dataclass(frozen=True)
class Vault:
    """One partner's open vault. Made by `open_vault`; used while its block lasts."""

    partner: str
    partner_key: bytes
    connection: duckdb.DuckDBPyConnection

    def keep(self, arrivals: Sequence[Arrival]) -> int:
        """Encrypt and keep every identity that is newer than the one held; return how many were kept.

        `arrivals` holds a record at most once. Erased subjects are left erased. One transaction.
        """
        if not arrivals:
            return 0
        self.connection.register("arrived", _places(arrivals))
        places = [place for (place,) in self.connection.execute(WANTED).fetchall()]
        self.connection.unregister("arrived")
        if not places:
            return 0
        kept = pa.Table.from_pylist(
            [self._subject(arrivals[place]) for place in sorted(places)], schema=SUBJECT_SCHEMA
        )
        self.connection.register("kept", kept)
        self.connection.execute("insert or replace into subjects select * from kept")
        self.connection.unregister("kept")
        return kept.num_rows

    def identity(self, record_ref: str) -> Mapping[str, Any]:
        """Return the identity behind `record_ref`. Raises `VaultError` if it is unknown, erased or
        unreadable."""
        row = self.connection.execute(
            "select wrapped_key, identity, erased from subjects where record_ref = ?", [record_ref]
        ).fetchone()
        if row is None:
            raise VaultError(f"{self.partner}: the vault holds no such record reference.")
        if row[2]:
            raise VaultError(f"{self.partner}: this subject was erased; the identity cannot be brought back.")
        return self._decrypted(record_ref, row[0], row[1])

    def erase(self, record_ref: str) -> bool:
        """Destroy the data key and the identity of `record_ref`, leaving a tombstone; False if it was not
        held.

        The bytes leave the file when the store is next rewritten (`stores.encrypted.rewrite`).
        """
        erased = self.connection.execute(
            "update subjects set wrapped_key = null, identity = null, erased = true "
            "where record_ref = ? and not erased returning 1",
            [record_ref],
        ).fetchall()
        return bool(erased)

    def verify(self) -> VaultReport:
        """Decrypt every identity that is held and count those that cannot be read."""
        subjects = erased = unreadable = 0
        for record_ref, wrapped_key, identity, gone in self._rows():
            subjects += 1
            if gone:
                erased += 1
                # A tombstone that still holds a key or an identity is no tombstone.
                unreadable += wrapped_key is not None or identity is not None
                continue
            try:
                self._decrypted(record_ref, wrapped_key, identity)
            except VaultError:
                unreadable += 1
        return VaultReport(subjects, erased, unreadable)

    def contents(self) -> Iterator[tuple[str, str | None]]:
        """Yield every record reference with its identity as canonical JSON (None once erased), for the
        digest."""
        for record_ref, wrapped_key, identity, gone in self._rows():
            yield record_ref, None if gone else _canonical(self._decrypted(record_ref, wrapped_key, identity))

    def identities(self) -> Iterator[Mapping[str, Any]]:
        """Yield every identity that is held and not erased."""
        for record_ref, wrapped_key, identity, gone in self._rows():
            if not gone:
                yield self._decrypted(record_ref, wrapped_key, identity)

    def _rows(self) -> list[tuple[str, bytes | None, bytes | None, bool]]:
        return self.connection.execute(
            "select record_ref, wrapped_key, identity, erased from subjects order by record_ref"
        ).fetchall()

    def _subject(self, arrival: Arrival) -> dict[str, Any]:
        data_key = os.urandom(KEY_BYTES)
        return {
            "record_ref": arrival.record_ref,
            "feed": arrival.feed,
            "table_name": arrival.table_name,
            "delivery_date": arrival.delivery_date,
            "received_date": arrival.received_date,
            "delivery_id": arrival.delivery_id,
            "wrapped_key": _encrypted(self.partner_key, data_key, self._bound("key", arrival.record_ref)),
            "identity": _encrypted(
                data_key, _canonical(arrival.identity).encode(), self._bound("identity", arrival.record_ref)
            ),
            "erased": False,
        }

    def _decrypted(
        self, record_ref: str, wrapped_key: bytes | None, identity: bytes | None
    ) -> Mapping[str, Any]:
        try:
            data_key = _decrypted(self.partner_key, wrapped_key or b"", self._bound("key", record_ref))
            return json.loads(_decrypted(data_key, identity or b"", self._bound("identity", record_ref)))
        except (InvalidTag, ValueError):
            raise VaultError(
                f"{self.partner}: an identity is damaged, or was kept under another key."
            ) from None

    def _bound(self, what: str, record_ref: str) -> bytes:
        # Associated data: a ciphertext moved to another row, partner or role does not open.
        return "\0".join(("vault", VAULT_VERSION, self.partner, what, record_ref)).encode()


@contextmanager
def open_vault(zone: CouncilZone, partner: str) -> Iterator[Vault]:
    """Open `partner`'s vault for writing, making it where missing; the writer's lock is held until the
    block ends.

    Raises `KeyUnavailableError` if the storage root cannot be had, `StoreUnreadableError` on a wrong key.
    """
    store = f"vault/{partner}"
    key = storage_key(zone.keys, store)
    partner_key = derive_key(zone.keys.root("storage"), "vault", partner)
    with attached(zone.home.vault_db(partner), key) as connection:
        connection.execute(SUBJECTS_TABLE)
        yield Vault(partner, partner_key, connection)


def _places(arrivals: Sequence[Arrival]) -> pa.Table:
    return pa.table(
        {
            "place": pa.array(range(len(arrivals)), pa.int64()),
            "record_ref": pa.array([arrival.record_ref for arrival in arrivals], pa.string()),
            "delivery_date": pa.array([arrival.delivery_date for arrival in arrivals], pa.date32()),
            "received_date": pa.array([arrival.received_date for arrival in arrivals], pa.date32()),
            "delivery_id": pa.array([arrival.delivery_id for arrival in arrivals], pa.string()),
        }
    )


def _canonical(identity: Mapping[str, Any]) -> str:
    return json.dumps(identity, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def _encrypted(key: bytes, content: bytes, bound: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, content, bound)


def _decrypted(key: bytes, content: bytes, bound: bytes) -> bytes:
    return AESGCM(key).decrypt(content[:NONCE_BYTES], content[NONCE_BYTES:], bound)
