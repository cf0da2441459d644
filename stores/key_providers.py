"""Where root keys come from: files, environment variables, or a command that asks a key service.

Each provider hands over a key only if the zone's register lets that version be used, and only if it is the
key that the register knows by its id.
"""

from __future__ import annotations

import os
import secrets
import shlex
import stat
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from stores.files import flush_folder, written_atomically
from stores.key_derivation import KEY_BYTES, KeyUnavailableError, key_from_hex, key_id
from stores.key_register import FIRST_VERSION, KeyRegister, KeyState

COMMAND_PATIENCE_SECONDS = 30.0


@runtime_checkable
class KeyProvider(Protocol):
    """Something that can hand over root keys by name and version."""

    def root(self, name: str, version: int | None = None) -> bytes:
        """Return the 32-byte root key called `name`, the current version if none is given.

        Raises `KeyUnavailableError` if it cannot be had, is retired, or is not the one it should be.
        """
        ...

    def current(self, name: str) -> int:
        """Return the version of root `name` that new things are made with."""
        ...

    def usable(self, name: str) -> tuple[int, ...]:
        """Return the versions of root `name` that are not retired, the current one first."""
        ...


class RegisteredKeys(ABC):
    """What every provider shares: the register decides, the provider fetches."""

    @property
    @abstractmethod
    def register(self) -> KeyRegister:
        """The versions of the zone's roots, their ids and states."""

    @abstractmethod
    def fetch(self, name: str, version: int) -> bytes:
        """Return the key as it is kept, unchecked. Raises `KeyUnavailableError`."""

    @abstractmethod
    def where(self, name: str, version: int) -> str:
        """Say where the key is kept, for messages."""

    def current(self, name: str) -> int:
        return self.register.root(name).current

    def usable(self, name: str) -> tuple[int, ...]:
        return self.register.root(name).usable

    def root(self, name: str, version: int | None = None) -> bytes:
        register = self.register
        version = register.root(name).current if version is None else version
        known = register.version(name, version)
        if known.state == KeyState.RETIRED:
            raise KeyUnavailableError(
                f"version {version} of the {name} root is retired. Nothing that it protected can be opened again."
            )
        key = self.fetch(name, version)
        if known.key_id is not None and key_id(key) != known.key_id:
            raise KeyUnavailableError(
                f"{self.where(name, version)}: this is key {key_id(key)}, but version {version} of the {name} root "
                f"is key {known.key_id}. Restore that one from the backup of the keys; nothing was written."
            )
        return key


@dataclass(frozen=True)
class FileKeys(RegisteredKeys):
    """Root keys as hexadecimal files, each readable by its owner alone: `<name>.key` is version 1, later ones
    are `<name>.<version>.key`."""

    folder: Path

    @property
    def register(self) -> KeyRegister:
        return KeyRegister.read(self.folder)

    def path(self, name: str, version: int) -> Path:
        return self.folder / (f"{name}.key" if version == FIRST_VERSION else f"{name}.{version}.key")

    def where(self, name: str, version: int) -> str:
        return str(self.path(name, version))

    def fetch(self, name: str, version: int) -> bytes:
        path = self.path(name, version)
        if not path.is_file():
            raise KeyUnavailableError(
                f"{path}: no such key. Make one with `doorstep keys init`, or restore it."
            )
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise KeyUnavailableError(f"{path}: other users can read this key. Run `chmod 600` on it.")
        try:
            text = path.read_text(encoding="ascii", errors="replace")
        except PermissionError:
            raise KeyUnavailableError(
                f"{path}: you may not read this key. Run as the user who owns it."
            ) from None
        return key_from_hex(text, str(path))

    def make(self, name: str, version: int) -> None:
        """Make a random key, whole or not at all. A key that is there is left as it is."""
        path = self.path(name, version)
        if path.exists():
            return
        with written_atomically(path) as aside:
            aside.touch(mode=0o600)
            aside.write_text(secrets.token_hex(KEY_BYTES), encoding="ascii")
        self.folder.chmod(0o700)

    def destroy(self, name: str, version: int) -> None:
        """Overwrite a key file and remove it. (Flash storage and backups may keep a copy; see docs/keys.md.)"""
        path = self.path(name, version)
        if not path.exists():
            return
        with path.open("r+b") as handle:
            handle.write(b"0" * path.stat().st_size)
            handle.flush()
            os.fsync(handle.fileno())
        path.unlink()
        flush_folder(self.folder)


@dataclass(frozen=True)
class EnvironmentKeys(RegisteredKeys):
    """Root keys as hexadecimal environment variables: `<PREFIX>_<NAME>` is version 1, later ones are
    `<PREFIX>_<NAME>_<VERSION>`. `folder` holds the register alone."""

    prefix: str
    folder: Path | None = None

    @property
    def register(self) -> KeyRegister:
        return KeyRegister(Path()) if self.folder is None else KeyRegister.read(self.folder)

    def where(self, name: str, version: int) -> str:
        variable = f"{self.prefix}_{name.upper()}"
        return variable if version == FIRST_VERSION else f"{variable}_{version}"

    def fetch(self, name: str, version: int) -> bytes:
        variable = self.where(name, version)
        text = os.environ.get(variable)
        if not text:
            raise KeyUnavailableError(
                f"{variable} is not set: it must hold the {name} root key, 64 hexadecimal digits."
            )
        return key_from_hex(text, variable)


@dataclass(frozen=True)
class CommandKeys(RegisteredKeys):
    """Root keys as a command prints them, such as the client of a cloud key service.

    `command` is a list of arguments, run without a shell; `{zone}`, `{name}` and `{version}` are filled in. It
    must print 64 hexadecimal digits. A key is asked for once in a process; neither what the command prints nor
    what it complains of is ever shown or logged.
    """

    zone: str
    command: tuple[str, ...]
    folder: Path
    patience: float = COMMAND_PATIENCE_SECONDS
    _asked: dict[tuple[str, int], bytes] = field(default_factory=dict, repr=False, compare=False)

    @property
    def register(self) -> KeyRegister:
        return KeyRegister.read(self.folder)

    def where(self, name: str, version: int) -> str:
        return f"key command {Path(self.command[0]).name} for {self.zone}/{name}, version {version}"

    def fetch(self, name: str, version: int) -> bytes:
        if (name, version) not in self._asked:
            self._asked[name, version] = self._ask(name, version)
        return self._asked[name, version]

    def _ask(self, name: str, version: int) -> bytes:
        where = self.where(name, version)
        filled = {"{zone}": self.zone, "{name}": name, "{version}": str(version)}
        try:
            done = subprocess.run(  # noqa: S603  no shell, and the command is the council's own configuration
                [_filled(argument, filled) for argument in self.command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=self.patience,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise KeyUnavailableError(
                f"{where}: no answer within {self.patience:.0f} s. Is the key service reachable?"
            ) from None
        except OSError as error:
            raise KeyUnavailableError(
                f"{where}: it cannot be run ({error.strerror}). Give the program's full path."
            ) from None
        if done.returncode != 0:
            raise KeyUnavailableError(
                f"{where}: it ended with exit code {done.returncode}. Run it by hand to see why."
            )
        return key_from_hex(done.stdout.decode("ascii", errors="replace"), where)


@dataclass(frozen=True)
class PinnedKeys:
    """Another provider's keys with one version of a root standing for its current one."""

    keys: KeyProvider
    pinned: Mapping[str, int]

    def root(self, name: str, version: int | None = None) -> bytes:
        return self.keys.root(name, self.current(name) if version is None else version)

    def current(self, name: str) -> int:
        return self.pinned.get(name) or self.keys.current(name)

    def usable(self, name: str) -> tuple[int, ...]:
        return (self.pinned[name],) if name in self.pinned else self.keys.usable(name)


def command_arguments(text: str, variable: str) -> tuple[str, ...]:
    """Split a configured command into arguments as a POSIX shell would, without running one.

    Raises `KeyUnavailableError` if it is empty or a quotation mark is left open.
    """
    try:
        arguments = tuple(shlex.split(text))
    except ValueError:
        arguments = ()
    if not arguments:
        raise KeyUnavailableError(
            f"{variable}: not a command. Write a program and its arguments; close quotes."
        )
    return arguments


def _filled(argument: str, values: Mapping[str, str]) -> str:
    for placeholder, value in values.items():
        argument = argument.replace(placeholder, value)
    return argument
