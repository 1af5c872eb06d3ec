"""The provider's API key: where it may come from, and the operating system's keyring.

The environment variable, else the key file, else the keyring. Everything here blocks (a keyring
may even wait for its owner to unlock it): call it in a worker thread.
"""

from __future__ import annotations

import codecs
import os
import re
import stat
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

import msgspec

from gateway.vault_error import VaultError as VaultError  # noqa: PLC0414 - whoever asks a vault meets it

VARIABLES = {"anthropic": "ANTHROPIC_API_KEY"}
"""The environment variable of each provider that a key can be kept for."""

_KEY = re.compile(r"[!-~]{1,512}")
_CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"  # systemd.exec(5)


class KeySource(StrEnum):
    """Where a key comes from, the first that has one wins."""

    ENVIRONMENT = "environment"
    FILE = "file"
    KEYRING = "keyring"


class FoundKey(msgspec.Struct, frozen=True):
    """A key; neither `str` nor `repr` shows it."""

    key: str
    source: KeySource

    def __repr__(self) -> str:
        return f"FoundKey(source={self.source.value!r})"


class SourceState(msgspec.Struct, frozen=True):
    """One source: `where` it is, whether its key is the one in use, or its `problem`."""

    source: KeySource
    where: str
    present: bool
    wins: bool
    problem: str | None


class Vault:
    """Finds the key of a provider, and keeps one in the keyring. Every method blocks.

    All of them raise VaultError, for an unknown provider too.
    """

    def __init__(
        self, api_key_file: Path | None = None, environ: Mapping[str, str] = os.environ
    ) -> None:
        self._file = api_key_file
        self._environ = environ

    def find(self, provider: str = "anthropic") -> FoundKey | None:
        """The key in use, or `None`; raises VaultError for a source that has an unusable one."""
        for source in KeySource:
            if key := self._read(source, provider):
                return FoundKey(key, source)
        return None

    def sources(self, provider: str = "anthropic") -> list[SourceState]:
        """What each source has, the first that wins first; of the keys themselves nothing."""
        states: list[SourceState] = []
        for source in KeySource:
            problem = None
            present = False
            try:
                present = self._read(source, provider) is not None
            except VaultError as error:
                problem = str(error)
            # A source with a problem hides what comes after it: `find` raises there.
            wins = present and not any(state.wins or state.problem for state in states)
            states.append(
                SourceState(source, self._where(source, provider), present, wins, problem)
            )
        return states

    def add(self, provider: str, key: str) -> None:
        """Keep `key` in the keyring, and read it back."""
        from gateway import system_keyring  # noqa: PLC0415 - most gateways do without

        _variable(provider)
        _checked(key, "the key")
        system_keyring.add(provider, key, self._environ)

    def remove(self, provider: str) -> None:
        """Remove the key from the keyring; raises VaultError when there is none."""
        from gateway import system_keyring  # noqa: PLC0415 - most gateways do without

        _variable(provider)
        system_keyring.remove(provider)

    def _read(self, source: KeySource, provider: str) -> str | None:
        variable = _variable(provider)
        match source:
            case KeySource.ENVIRONMENT:
                key = self._environ.get(variable)
                return _checked(key, variable) if key else None
            case KeySource.FILE:
                return self._read_file(self._file) if self._file else None
            case KeySource.KEYRING:
                return _read_keyring(provider)

    def _where(self, source: KeySource, provider: str) -> str:
        match source:
            case KeySource.ENVIRONMENT:
                return _variable(provider)
            case KeySource.FILE:
                return str(self._file) if self._file else "api_key_file is not set"
            case KeySource.KEYRING:
                return "the operating system's keyring"

    def _read_file(self, path: Path) -> str:
        """A credential of systemd has a folder that its service alone may enter; its own mode says
        nothing (0440 beside an access list, report: systemd/systemd 29435)."""
        credentials = self._environ.get(_CREDENTIALS_VARIABLE)
        is_credential = bool(credentials) and path.parent == Path(str(credentials))
        return _read_key_file(path, may_be_shared=is_credential)


def _variable(provider: str) -> str:
    try:
        return VARIABLES[provider]
    except KeyError:
        known = ", ".join(VARIABLES)
        raise VaultError(f"There is no provider {provider!r}: choose one of {known}.") from None


def _checked(key: str, what: str) -> str:
    if not _KEY.fullmatch(key):
        raise VaultError(
            f"{what} is no API key: give 1 to 512 printable ASCII characters without spaces."
        )
    return key


def _read_key_file(path: Path, *, may_be_shared: bool) -> str:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if os.name == "posix" and stat.S_IMODE(mode) & 0o077 and not may_be_shared:
                raise VaultError(
                    f"The key file {path} can be read by others: make it yours alone with "
                    f"`chmod 600 {path}`."
                )
            content = file.read(4_096)
    except OSError as error:
        raise VaultError(
            f"The key file {path} cannot be read ({error.strerror}): correct api_key_file."
        ) from error
    return _checked(key_in(content), f"The content of {path}")


def key_in(content: bytes) -> str:
    """The key in what a file or a pipe has: without the BOM and the line end of some programs."""
    return content.removeprefix(codecs.BOM_UTF8).decode("latin-1").strip(" \t\r\n")


def _read_keyring(provider: str) -> str | None:
    from gateway import system_keyring  # noqa: PLC0415 - most gateways do without

    key = system_keyring.get(provider)
    return _checked(key, "What the keyring has") if key else None
