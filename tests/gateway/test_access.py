"""The gateway's own token."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.access import access_rules, find_token
from gateway.config import ConfigError, Settings


def test_a_token_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    """The second start finds what the first has made; no draft is left."""
    settings = Settings(data_dir=tmp_path)
    made = access_rules(settings).token
    assert made is not None
    assert access_rules(settings).token == made == find_token(settings)
    assert [path.name for path in tmp_path.iterdir()] == ["token"]
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"\n", b"short", "ünüsäble-in-a-header".encode()])
def test_a_token_file_without_a_token_never_opens_the_door(tmp_path: Path, content: bytes) -> None:
    """An empty file, say of a full disk, is refused: it must not mean that none is needed."""
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(ConfigError, match="holds no token"):
        access_rules(Settings(data_dir=tmp_path))


def test_bytes_that_are_no_text_are_one_line(tmp_path: Path) -> None:
    """It says what to do."""
    (tmp_path / "token").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="Delete it"):
        access_rules(Settings(data_dir=tmp_path))


def test_no_token_is_asked_for_when_that_was_said(tmp_path: Path) -> None:
    """And none is made."""
    assert access_rules(Settings(data_dir=tmp_path, auth="none")).token is None
    assert list(tmp_path.iterdir()) == []


def test_an_ipv6_host_is_one_name_with_and_without_brackets(tmp_path: Path) -> None:
    """A Host header has them, a comparison has not."""
    rules = access_rules(Settings(data_dir=tmp_path, allowed_hosts=("[fe80::5]",)))
    assert "fe80::5" in rules.hosts
