"""Changing root keys: a new version is prepared, made current, and an old one destroyed when nothing needs it."""

from __future__ import annotations

from datetime import date

from stores.key_derivation import KeyUnavailableError, key_id
from stores.keys import FileKeys, KeyProvider, KeyState, RegisteredKeys


class KeyRotationError(RuntimeError):
    """A key cannot be rotated or retired; the message says why, and what to do."""


def prepare_version(keys: KeyProvider, name: str, version: int) -> None:
    """Make sure that a version of root `name` can be had: made where keys are files, else it must be there.

    Raises `KeyUnavailableError`, saying where it has to be put, if it is not; `KeyRotationError` if the provider
    keeps no register, or the new key is an old one.
    """
    registered = _registered(keys)
    if isinstance(registered, FileKeys):
        registered.make(name, version)
    fresh = registered.fetch(name, version)
    known = registered.register.root(name).versions
    if any(each.key_id == key_id(fresh) and number != version for number, each in known.items()):
        raise KeyRotationError(
            f"{registered.where(name, version)}: this key was the {name} root before. Put a new random key there."
        )


def make_current(keys: KeyProvider, name: str, version: int, on: date | None = None) -> None:
    """Make a prepared version the one that new things are made with. One move of one file."""
    registered = _registered(keys)
    register = registered.register
    older = register.root(name).current
    if register.version(name, older).key_id is None:
        register = register.with_key(name, older, key_id(registered.fetch(name, older)))
    register.with_current(name, version, key_id(registered.fetch(name, version)), on).save()


def destroy_version(keys: KeyProvider, name: str, version: int) -> None:
    """Retire a version and destroy its key. The caller has made sure that nothing needs it.

    The register comes first: a stop between the two leaves a key that is refused, and is destroyed the next time.
    Raises `KeyRotationError` for the current version or an unknown one.
    """
    registered = _registered(keys)
    register = registered.register
    root = register.root(name)
    if version == root.current:
        raise KeyRotationError(
            f"version {version} of the {name} root is the current one. Rotate it first: `doorstep keys rotate`."
        )
    if version not in root.versions:
        raise KeyRotationError(
            f"the {name} root has no version {version}. `doorstep keys status` lists them."
        )
    if root.versions[version].state != KeyState.RETIRED:
        register.with_retired(name, version).save()
    if isinstance(registered, FileKeys):
        registered.destroy(name, version)


def _registered(keys: KeyProvider) -> RegisteredKeys:
    if not isinstance(keys, RegisteredKeys):
        raise KeyUnavailableError("these keys are not a zone's own: they cannot be rotated.")
    return keys
