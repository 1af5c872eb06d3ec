"""The API key: three sources, a keyring that is not trusted blindly, and no key ever shown."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail, null
from keyring.errors import KeyringLocked, PasswordDeleteError

from gateway.vault import FoundKey, KeySource, Vault, VaultError

KEY = "sk-ant-a-key-of-the-tests"


class MemoryKeyring(KeyringBackend):
    """A keyring that keeps what it is given, in memory."""

    priority = -1  # every subclass is registered, and must never be chosen by itself

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.kept.pop((service, username), None) is None:
            raise PasswordDeleteError("not found")


class LockedKeyring(MemoryKeyring):
    """A keyring whose owner does not unlock it."""

    def get_password(self, service: str, username: str) -> str | None:
        raise KeyringLocked("dismissed")


class BrokenKeyring(MemoryKeyring):
    """A keyring whose daemon is gone."""

    def get_password(self, service: str, username: str) -> str | None:
        raise ConnectionResetError(f"while asking for {KEY}")


class PlaintextKeyring(MemoryKeyring):
    """As keyrings.alt has it."""

    __module__ = "keyrings.alt.file"


class EncryptedKeyring(MemoryKeyring):
    """As keyrings.alt has it."""

    __module__ = "keyrings.alt.file"


@pytest.fixture(autouse=True)
def memory_keyring() -> Iterator[MemoryKeyring]:
    """A keyring in memory in place of the machine's own."""
    before = keyring.get_keyring()
    backend = MemoryKeyring()
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(before)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """A key file as it should be."""
    path = tmp_path / "key"
    path.write_text(f"{KEY}-of-the-file\n")
    path.chmod(0o600)
    return path


def vault(file: Path | None = None, **environ: str) -> Vault:
    return Vault(file, environ)


def test_without_any_source_there_is_no_key() -> None:
    """Nothing found is no error."""
    assert vault().find() is None


def test_the_environment_wins_over_the_file_over_the_keyring(
    key_file: Path, memory_keyring: MemoryKeyring
) -> None:
    """Three sources, in this order."""
    memory_keyring.set_password("agentspace", "anthropic", KEY)
    assert vault().find() == FoundKey(KEY, KeySource.KEYRING)
    assert vault(key_file).find() == FoundKey(f"{KEY}-of-the-file", KeySource.FILE)
    found = vault(key_file, ANTHROPIC_API_KEY="k").find()
    assert found == FoundKey("k", KeySource.ENVIRONMENT)


def test_an_empty_variable_is_no_key(key_file: Path) -> None:
    """`ANTHROPIC_API_KEY=` means no more than an absent one."""
    found = vault(key_file, ANTHROPIC_API_KEY="").find()
    assert found is not None
    assert found.source is KeySource.FILE


def test_a_found_key_is_never_shown() -> None:
    """Whoever logs it, logs its source."""
    found = FoundKey(KEY, KeySource.FILE)
    assert KEY not in f"{found} {found!r}"
    assert repr(found) == "FoundKey(source='file')"


@pytest.mark.skipif(os.name != "posix", reason="permission bits are POSIX")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_a_key_file_of_others_is_refused(key_file: Path, mode: int) -> None:
    """Whoever can read it has the key; the line says what to do."""
    key_file.chmod(mode)
    with pytest.raises(VaultError, match=f"chmod 600 {key_file}"):
        vault(key_file).find()


def test_a_credential_of_systemd_is_taken_with_the_mode_it_has(
    key_file: Path, tmp_path: Path
) -> None:
    """Its folder is closed to others; a file that only lies next to that folder gets no mercy."""
    key_file.chmod(0o440)
    found = vault(key_file, CREDENTIALS_DIRECTORY=str(tmp_path)).find()
    assert found == FoundKey(f"{KEY}-of-the-file", KeySource.FILE)
    for elsewhere in ("", str(tmp_path / "k"), str(tmp_path.parent)):
        with pytest.raises(VaultError, match="chmod 600"):
            vault(key_file, CREDENTIALS_DIRECTORY=elsewhere).find()


def test_a_missing_key_file_is_refused(tmp_path: Path) -> None:
    """It was asked for by name: to look elsewhere would hide the mistake."""
    with pytest.raises(VaultError, match="No such file"):
        vault(tmp_path / "none").find()


@pytest.mark.parametrize("key", ["a key", "a\nkey", "kéy", "k" * 513, "", "\x7f"])
def test_what_is_no_key_is_refused_and_not_shown(key: str, key_file: Path) -> None:
    """A key is 1 to 512 printable ASCII characters, wherever it comes from."""
    with pytest.raises(VaultError, match="is no API key") as caught:
        vault().add("anthropic", key)
    assert not key or key not in str(caught.value)
    key_file.write_text(key)
    with pytest.raises(VaultError, match="is no API key"):
        vault(key_file).find()


def test_a_bad_variable_is_named(key_file: Path) -> None:
    """It does not fall through to the next source."""
    with pytest.raises(VaultError, match="ANTHROPIC_API_KEY is no API key"):
        vault(key_file, ANTHROPIC_API_KEY="two words").find()


def test_a_key_is_added_found_and_removed() -> None:
    """What was added is found, until it is removed."""
    vault().add("anthropic", KEY)
    assert vault().find() == FoundKey(KEY, KeySource.KEYRING)
    vault().remove("anthropic")
    assert vault().find() is None
    with pytest.raises(VaultError, match="has no key for anthropic"):
        vault().remove("anthropic")


def test_a_keyring_that_discards_is_found_out() -> None:
    """The null backend says yes and keeps nothing."""
    keyring.set_keyring(null.Keyring())
    with pytest.raises(VaultError, match=r"null\.Keyring does not keep keys\. Use the environment"):
        vault().add("anthropic", KEY)


def test_without_a_keyring_the_alternatives_are_named() -> None:
    """Looking finds nothing, adding says what to do instead."""
    keyring.set_keyring(fail.Keyring())
    assert vault().find() is None
    attempts: list[Callable[[], None]] = [
        lambda: vault().add("anthropic", KEY),
        lambda: vault().remove("anthropic"),
    ]
    for attempt in attempts:
        with pytest.raises(VaultError) as caught:
            attempt()
        assert str(caught.value) == (
            "This system has no keyring. "
            "Use the environment variable ANTHROPIC_API_KEY or a key file (api_key_file) instead."
        )


def test_a_plaintext_keyring_must_be_chosen() -> None:
    """It wins by itself once it is installed, and would write the key to a file."""
    keyring.set_keyring(PlaintextKeyring())
    with pytest.raises(VaultError, match="plain text: choose it with PYTHON_KEYRING_BACKEND"):
        vault().add("anthropic", KEY)
    assert vault().find() is None
    vault(PYTHON_KEYRING_BACKEND="keyrings.alt.file.PlaintextKeyring").add("anthropic", KEY)
    assert vault().find() == FoundKey(KEY, KeySource.KEYRING)


def test_an_encrypted_keyring_is_no_plaintext_one() -> None:
    """The same package has an encrypted backend, too."""
    keyring.set_keyring(EncryptedKeyring())
    vault().add("anthropic", KEY)
    assert vault().find() == FoundKey(KEY, KeySource.KEYRING)


def test_the_first_keyring_of_a_chain_decides(memory_keyring: MemoryKeyring) -> None:
    """A chain writes to its first backend."""
    memory_keyring.backends = [PlaintextKeyring()]  # type: ignore[attr-defined]
    with pytest.raises(VaultError, match="plain text"):
        vault().add("anthropic", KEY)


@pytest.mark.parametrize(
    ("backend", "says"),
    [(LockedKeyring(), "is locked: unlock it"), (BrokenKeyring(), "ConnectionResetError")],
)
def test_a_keyring_that_fails_is_reported_without_its_words(
    backend: KeyringBackend, says: str
) -> None:
    """What a backend says may hold the key."""
    keyring.set_keyring(backend)
    with pytest.raises(VaultError, match=says) as caught:
        vault().find()
    assert KEY not in str(caught.value)


def test_an_unknown_provider_is_refused() -> None:
    """A misspelled name must not be kept as a provider of its own."""
    for attempt in (
        lambda: vault().add("antropic", KEY),
        lambda: vault().remove("antropic"),
        lambda: vault().find("antropic"),
        lambda: vault().sources("antropic"),
    ):
        with pytest.raises(VaultError, match="'antropic': choose one of anthropic"):
            attempt()


def test_the_sources_are_listed_with_the_one_in_use(key_file: Path) -> None:
    """For `keys list`: which exist, which wins, nothing of the keys."""
    vault().add("anthropic", KEY)
    environment, file, ring = vault(key_file).sources()
    assert (environment.present, file.present, ring.present) == (False, True, True)
    assert (environment.wins, file.wins, ring.wins) == (False, True, False)
    assert environment.where == "ANTHROPIC_API_KEY"
    assert file.where == str(key_file)
    assert KEY not in repr((environment, file, ring))


def test_a_source_with_a_problem_hides_the_next(key_file: Path) -> None:
    """The list agrees with what `find` does."""
    key_file.chmod(0o644)
    vault().add("anthropic", KEY)
    _, file, ring = vault(key_file).sources()
    assert file.problem is not None
    assert "chmod 600" in file.problem
    assert (ring.present, ring.wins) == (True, False)


def test_a_file_that_is_not_set_is_listed_so() -> None:
    """The list names the setting that would bring it into play."""
    assert vault().sources()[1].where == "api_key_file is not set"
