"""Root keys of a zone and everything derived from them.

One 256-bit root per purpose and zone, each in versions; every other key is derived from a root. A missing,
malformed or wrong key stops the caller: there is no fallback to plaintext, nor from one provider to another.

A zone's keys come from the first of these that is configured, and from that alone:

- a command, where `DOORSTEP_<ZONE>_KEY_COMMAND` is set (for a key service),
- environment variables, where `DOORSTEP_<ZONE>_KEY_STORAGE` is set,
- files in the zone's `keys` folder.
"""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

from stores.key_derivation import (
    DERIVATION_VERSION,
    KEY_BYTES,
    KeyUnavailableError,
    derive_key,
    key_id,
)
from stores.key_providers import (
    COMMAND_PATIENCE_SECONDS,
    CommandKeys,
    EnvironmentKeys,
    FileKeys,
    KeyProvider,
    PinnedKeys,
    RegisteredKeys,
    command_arguments,
)
from stores.key_register import FIRST_VERSION, KeyRegister, KeyState

__all__ = [
    "ANALYTICS_ROOTS",
    "COUNCIL_ROOTS",
    "DERIVATION_VERSION",
    "FIRST_VERSION",
    "KEY_BYTES",
    "CommandKeys",
    "EnvironmentKeys",
    "FileKeys",
    "KeyProvider",
    "KeyRegister",
    "KeyState",
    "KeyUnavailableError",
    "PinnedKeys",
    "RegisteredKeys",
    "create_missing_keys",
    "derive_key",
    "key_id",
    "register_keys",
    "zone_keys",
]

COUNCIL_ROOTS = ("pseudonym", "linkage", "storage", "exchange")
ANALYTICS_ROOTS = ("identifier", "storage", "exchange")


def zone_keys(zone: str, folder: Path) -> RegisteredKeys:
    """Return the keys of `zone` ("council" or "analytics") from the provider that is configured for it.

    `folder` holds the key files, or the register alone. Raises `KeyUnavailableError` if two are configured.
    """
    prefix = f"DOORSTEP_{zone.upper()}_KEY"
    command, timeout = f"{prefix}_COMMAND", f"{prefix}_COMMAND_SECONDS"
    if os.environ.get(command):
        if f"{prefix}_STORAGE" in os.environ:
            raise KeyUnavailableError(f"{command} and {prefix}_STORAGE are both set. Unset one of them.")
        patience = _seconds(os.environ.get(timeout), timeout)
        return CommandKeys(zone, command_arguments(os.environ[command], command), folder, patience)
    if f"{prefix}_STORAGE" in os.environ:
        return EnvironmentKeys(prefix, folder)
    return FileKeys(folder)


def create_missing_keys(folder: Path, names: tuple[str, ...], on: date | None = None) -> list[str]:
    """Make a random key file for every root that has none yet, and register all; return the names made.

    Never replaces a key: one that is registered but missing must be restored, since a new one would open
    nothing. Raises `KeyUnavailableError` then, and if a key that is there cannot be used.
    """
    keys = FileKeys(folder)
    made = [name for name in names if not keys.path(name, keys.current(name)).exists()]
    for name in made:
        register = keys.register
        version = register.root(name).current
        if register.version(name, version).key_id is not None:
            raise KeyUnavailableError(
                f"{keys.path(name, version)}: this key is missing, and what was made with it needs it. "
                "Restore it from the backup of the keys. (Where nothing was made with it yet, remove "
                f"{name} from {folder / 'keys.json'} first.)"
            )
        keys.make(name, version)
    register_keys(keys, tuple(name for name in names if name not in made))
    register_keys(keys, tuple(made), on)
    return made


def register_keys(keys: RegisteredKeys, names: tuple[str, ...], on: date | None = None) -> None:
    """Write the ids of the current keys into the zone's register, where they are not in it yet.

    Raises `KeyUnavailableError` if one cannot be had, or is not the one that is registered.
    """
    register = known = keys.register
    for name in names:
        root = keys.root(name)
        register = register.with_key(name, register.root(name).current, key_id(root), on)
    if register != known:
        register.save()


def _seconds(text: str | None, variable: str) -> float:
    if not text:
        return COMMAND_PATIENCE_SECONDS
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if seconds <= 0:
        raise KeyUnavailableError(f"{variable}: not a number of seconds.")
    return seconds
