"""What a rotation of the linkage epoch sends: link keys alone, in packages listed by a manifest.

    outbox/epochs/epoch-0002-council_tax-accounts-0a1b2c3d4e5f.sealed
    outbox/epochs/epoch-0002-manifest.sealed

The manifest is sealed last. Until it is there, and every package it lists is what it says, the analytics zone
stays in its old epoch.
"""

from __future__ import annotations

import re

import pyarrow as pa

from exchange.link_key_schema import LINK_KEY_SCHEMA
from exchange.sealed import SEALED_SUFFIX

EPOCH_KIND = "epoch"
EPOCHS_FOLDER = "epochs"
MANIFEST = "manifest"
EPOCH_NAME = re.compile(r"^epoch-(?P<epoch>\d{4,})-")
MANIFEST_NAME = re.compile(rf"^epoch-(?P<epoch>\d{{4,}})-{MANIFEST}{re.escape(SEALED_SUFFIX)}$")

IDENTITY_DELIVERY_FIELDS = (
    pa.field("delivery_id", pa.string(), nullable=False),
    pa.field("delivery_date", pa.date32(), nullable=False),
    pa.field("received_date", pa.date32(), nullable=False),
    pa.field("kind", pa.string(), nullable=False),
)

EPOCH_SCHEMA = pa.schema([*LINK_KEY_SCHEMA, *IDENTITY_DELIVERY_FIELDS])
"""A link key row, and the delivery that brought the identity it was made from."""

MANIFEST_SCHEMA = pa.schema(
    [
        pa.field("file_name", pa.string(), nullable=False),
        pa.field("feed", pa.string(), nullable=False),
        pa.field("table_name", pa.string(), nullable=False),
        pa.field("row_count", pa.int64(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
    ]
)
"""One row per package; `sha256` is of its sealed bytes."""


def epoch_name(epoch: int) -> str:
    """Return what the names of an epoch's packages begin with."""
    return f"epoch-{epoch:04d}"


def manifest_name(epoch: int) -> str:
    """Return the file name of an epoch's manifest."""
    return f"{epoch_name(epoch)}-{MANIFEST}{SEALED_SUFFIX}"
