"""The register of a zone's root keys: which version is current, and what the others are still good for.

`keys.json` holds no secret: for every root its versions, each with its key id, its state and the day it was
made. A root that is not in it has one version, 1. A key whose id is not the registered one is refused, so
that a wrong key stops a run before anything is written with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any

from stores.files import written_atomically
from stores.key_derivation import KeyUnavailableError

REGISTER_FILE = "keys.json"
REGISTER_FORMAT = 1
FIRST_VERSION = 1


class KeyState(StrEnum):
    """What a version of a root key may be used for."""

    ACTIVE = "active"
    DECRYPT_ONLY = "decrypt_only"
    RETIRED = "retired"


@dataclass(frozen=True)
class KeyVersion:
    """One version of a root. `key_id` is None until the key was first seen; `since` is an ISO date or None."""

    state: KeyState
    key_id: str | None = None
    since: str | None = None


@dataclass(frozen=True)
class RegisteredRoot:
    """The versions of one root by number."""

    current: int = FIRST_VERSION
    versions: Mapping[int, KeyVersion] = field(
        default_factory=lambda: {FIRST_VERSION: KeyVersion(KeyState.ACTIVE)}
    )

    @property
    def usable(self) -> tuple[int, ...]:
        """The versions that can still open something: the current one first, then from the newest down."""
        older = sorted(
            (v for v, known in self.versions.items() if known.state != KeyState.RETIRED), reverse=True
        )
        return (self.current, *(version for version in older if version != self.current))


@dataclass(frozen=True)
class KeyRegister:
    """What `keys.json` says. Every change is a new register; `save` puts it in place in one move."""

    folder: Path
    roots: Mapping[str, RegisteredRoot] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> KeyRegister:
        """Return the register in `folder`; without a file, every root is at version 1.

        Raises `KeyUnavailableError` if the file is damaged or of another format.
        """
        path = folder / REGISTER_FILE
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            if document["format"] != REGISTER_FORMAT:
                raise KeyUnavailableError(
                    f"{path}: its format is {document['format']}; this version of Doorstep reads {REGISTER_FORMAT}."
                )
            return cls(folder, {name: _root(described) for name, described in document["roots"].items()})
        except FileNotFoundError:
            return cls(folder)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise KeyUnavailableError(
                f"{path}: damaged. Restore it from the backup of the keys; it says which key is current."
            ) from None

    def root(self, name: str) -> RegisteredRoot:
        return self.roots.get(name, RegisteredRoot())

    def version(self, name: str, version: int) -> KeyVersion:
        """Return what is known of one version. Raises `KeyUnavailableError` if there is no such version."""
        known = self.root(name).versions.get(version)
        if known is None:
            raise KeyUnavailableError(
                f"{self.folder / REGISTER_FILE}: the {name} root has no version {version}."
            )
        return known

    def with_key(self, name: str, version: int, key_id: str, on: date | None = None) -> KeyRegister:
        """Register the id of a key that is there already; an id that is registered stays."""
        root = self.root(name)
        known = root.versions.get(version, KeyVersion(KeyState.ACTIVE))
        seen = replace(known, key_id=known.key_id or key_id, since=known.since or _text(on))
        return self._with(name, replace(root, versions={**root.versions, version: seen}))

    def with_current(self, name: str, version: int, key_id: str, on: date | None = None) -> KeyRegister:
        """Make a new version the current one; the one before it opens, and makes nothing new."""
        root = self.root(name)
        versions = {
            number: replace(known, state=KeyState.DECRYPT_ONLY) if known.state == KeyState.ACTIVE else known
            for number, known in root.versions.items()
        }
        versions[version] = KeyVersion(KeyState.ACTIVE, key_id, _text(on))
        return self._with(name, RegisteredRoot(version, versions))

    def with_retired(self, name: str, version: int) -> KeyRegister:
        """Mark a version that is not current as retired."""
        root = self.root(name)
        if version == root.current:
            raise ValueError(f"version {version} of the {name} root is the current one")
        known = replace(self.version(name, version), state=KeyState.RETIRED)
        return self._with(name, replace(root, versions={**root.versions, version: known}))

    def save(self) -> None:
        """Write the register in place of the one before, whole or not at all."""
        document = {
            "format": REGISTER_FORMAT,
            "roots": {
                name: {
                    "current": root.current,
                    "versions": {
                        str(number): asdict(known) for number, known in sorted(root.versions.items())
                    },
                }
                for name, root in self.roots.items()
            },
        }
        with written_atomically(self.folder / REGISTER_FILE) as aside:
            aside.write_text(json.dumps(document, indent=2, sort_keys=True), encoding="utf-8")

    def _with(self, name: str, root: RegisteredRoot) -> KeyRegister:
        return replace(self, roots={**self.roots, name: root})


def _root(described: Mapping[str, Any]) -> RegisteredRoot:
    versions = {
        int(number): KeyVersion(KeyState(known["state"]), known["key_id"], known["since"])
        for number, known in described["versions"].items()
    }
    root = RegisteredRoot(int(described["current"]), versions)
    if versions[root.current].state != KeyState.ACTIVE:
        raise ValueError("the current version must be active")
    return root


def _text(on: date | None) -> str | None:
    return on.isoformat() if on else None
