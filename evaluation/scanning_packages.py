"""Opening sealed packages for a scan: what the receiver can read of them, part by part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa

from bridge.zone import CouncilZone
from exchange.link_key_schema import FIRST_EPOCH
from exchange.sealed import PackageLabel, Part, SealedPackageError, open_sealed, public_key_hex, seal
from stores.analytics import AnalyticsZone

A_DAY = date(2000, 1, 1)


@dataclass(frozen=True)
class BothWays:
    """Packages between two zones: deliveries open with the analytics zone's key, returns with the council's."""

    council: CouncilZone
    analytics: AnalyticsZone

    def tables(self, path: Path) -> Iterator[tuple[str, pa.Table]]:
        """Yield (part, rows) of the package at `path`. Raises `SealedPackageError` if neither zone can open it."""
        package = path.read_bytes()
        try:
            opened = open_sealed(package, self.analytics.keys, _public(self.council))
        except SealedPackageError:
            opened = open_sealed(package, self.council.keys, _public(self.analytics))
        for part in opened.parts:
            yield f"{part.kind}.{part.table}", part.rows

    def plant(self, path: Path, rows: pa.Table) -> None:
        """Seal `rows` as the council does and write the package to `path`."""
        label = PackageLabel("canary", path.stem, A_DAY, A_DAY, "full", "canary", "0", FIRST_EPOCH)
        package = seal(label, (Part("payload", "canary", rows),), self.council.keys, _public(self.analytics))
        path.write_bytes(package)


def _public(zone: CouncilZone | AnalyticsZone) -> bytes:
    return bytes.fromhex(public_key_hex(zone.keys))
