"""The operating system's keyring: the border to the library of that name.

A keyring is not trusted blindly: what it keeps is read back, and one that writes plain text must be
chosen. Everything here blocks, and raises VaultError.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import keyring
from keyring.errors import KeyringLocked, NoKeyringError, PasswordDeleteError

from gateway.vault_error import VaultError

SERVICE: Final = "agentspace"
_BACKEND_VARIABLE = "PYTHON_KEYRING_BACKEND"  # keyring's own
_INSTEAD = "Use the environment variable ANTHROPIC_API_KEY or a key file (api_key_file) instead."


def get(provider: str) -> str | None:
    """What the keyring has for a provider; `None` without a keyring, too."""
    with _keyring("be asked for the key"):
        try:
            return keyring.get_password(SERVICE, provider)
        except NoKeyringError:
            return None


def add(provider: str, key: str, environ: Mapping[str, str]) -> None:
    """Keep a key, and read it back. A keyring of plain text must be chosen in `environ`."""
    with _keyring("keep the key"):
        if _is_plaintext() and not environ.get(_BACKEND_VARIABLE):
            raise VaultError(
                f"The keyring {_backend()} would write the key to a file as plain text: choose "
                f"it with {_BACKEND_VARIABLE} if you want that. {_INSTEAD}"
            )
        keyring.set_password(SERVICE, provider, key)
        kept = keyring.get_password(SERVICE, provider)
    if kept != key:
        raise VaultError(f"The keyring {_backend()} does not keep keys. {_INSTEAD}")


def remove(provider: str) -> None:
    """Remove a key; raises VaultError when there is none."""
    with _keyring("remove the key"):
        try:
            keyring.delete_password(SERVICE, provider)
        except PasswordDeleteError as error:
            raise VaultError(f"The keyring has no key for {provider}.") from error


@contextmanager
def _keyring(action: str) -> Iterator[None]:
    """The border to keyring: whatever its backend raises becomes a VaultError."""
    try:
        yield
    except VaultError:
        raise
    except NoKeyringError as error:
        raise VaultError(f"This system has no keyring. {_INSTEAD}") from error
    except KeyringLocked as error:
        raise VaultError(f"The keyring is locked: unlock it and try again. {_INSTEAD}") from error
    except Exception as error:  # a backend is a plug-in, and raises what it likes
        name = type(error).__name__
        raise VaultError(f"The keyring could not {action} ({name}). {_INSTEAD}") from error


def backend() -> str | None:
    """The name of the system's keyring, as keyring has it; `None` when there is none."""
    name = _backend()
    return None if name.startswith("keyring.backends.fail.") else name


def _backend() -> str:
    kind = type(keyring.get_keyring())
    return f"{kind.__module__}.{kind.__qualname__}"


def _is_plaintext() -> bool:
    """Whether a new key would go to one of keyrings.alt's files: it wins once it is installed."""
    backend = keyring.get_keyring()
    # A chain of backends writes to its first one.
    first = next(iter(getattr(backend, "backends", ())), backend)
    kind = type(first)
    return kind.__module__.startswith("keyrings.alt") and "Encrypted" not in kind.__qualname__
