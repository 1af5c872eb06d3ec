"""Which token a call shows: one rule, for the library and the commands."""

from __future__ import annotations

from pathlib import Path

import pytest

import agentspace.client
from agentspace.client import AgentSpaceError
from agentspace.client.local import find_target
from agentspace.client.tokens import Call, choose_token, exposure
from gateway.cli import target as commands
from gateway.presence import Presence

OWN = "ws://127.0.0.1:4000/gateway"
OTHER_PORT = "ws://127.0.0.1:5000/gateway"
ELSEWHERE = "wss://gateway.example/gateway"
HERE_BY_NAME = "ws://192.168.1.5:4000/gateway"


@pytest.mark.parametrize(
    ("call", "given", "exported", "kept"),
    [
        (Call(OWN, is_named=False, own=OWN), True, True, True),
        (Call(OWN, is_named=True, own=OWN), True, True, True),
        (Call(HERE_BY_NAME, is_named=False, own=HERE_BY_NAME), True, True, True),
        (Call(OTHER_PORT, is_named=True, own=OWN), True, True, False),
        (Call(OTHER_PORT, is_named=False, own=None), True, True, False),
        (Call(ELSEWHERE, is_named=True, own=OWN), True, True, False),
        (Call(ELSEWHERE, is_named=False, own=None), True, False, False),
    ],
)
def test_each_token_goes_where_the_rule_says(
    call: Call, given: bool, exported: bool, kept: bool
) -> None:
    """One that is given anywhere; the environment's here and where an address was given; the
    folder's to its own gateway."""
    tokens = {"given": "given", "exported": "exported", "kept": lambda: "kept"}

    def chosen(name: str) -> str | None:
        alone = {"given": None, "exported": None, "kept": lambda: None, name: tokens[name]}
        return choose_token(call, **alone)  # type: ignore[arg-type]

    assert (chosen("given"), chosen("exported"), chosen("kept")) == (
        "given" if given else None,
        "exported" if exported else None,
        "kept" if kept else None,
    )


def test_what_is_given_for_the_call_comes_first_and_the_folder_s_last() -> None:
    """A gateway may have been started with a token that its folder does not know."""
    call = Call(OWN, is_named=False, own=OWN)
    assert choose_token(call, given="1", exported="2", kept=lambda: "3") == "1"
    assert choose_token(call, given=None, exported="2", kept=lambda: "3") == "2"


def test_a_folder_is_not_even_read_for_another_gateway() -> None:
    """That its token cannot be read is no reason not to call elsewhere."""

    def read() -> str | None:
        raise AssertionError

    assert (
        choose_token(Call(ELSEWHERE, is_named=True, own=OWN), given=None, exported=None, kept=read)
        is None
    )


@pytest.mark.parametrize("exported", [None, "a-token-of-the-environment"])
@pytest.mark.parametrize("given", [None, "a-token-that-was-given"])
@pytest.mark.parametrize("url", [None, OWN, OTHER_PORT, ELSEWHERE, "ws://gateway.example/gateway"])
def test_the_library_and_the_commands_show_the_same_token(
    url: str | None,
    given: str | None,
    exported: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever is asked, and by whatever is called."""
    monkeypatch.setenv("AGENTSPACE_TOKEN", exported or "")
    monkeypatch.setenv("AGENTSPACE_CONFIG_DIR", str(tmp_path))
    (tmp_path / "token").write_text("a-token-that-is-kept\n")
    with Presence(tmp_path) as presence:
        presence.show(OWN)
        by_library = find_target(url, given, tmp_path)
        assert commands.find_target(url, tmp_path, given).target == by_library


@pytest.mark.parametrize(
    ("url", "token", "is_told"),
    [
        ("ws://gateway.example/gateway", "t", True),
        ("WS://10.0.0.5:3271/gateway", "t", True),
        ("ws://gateway.example/gateway", None, False),
        ("wss://gateway.example/gateway", "t", False),
        ("ws://127.0.0.1:3271/gateway", "t", False),
        ("ws://[::1]:3271/gateway", "t", False),
        ("ws://gateway.localhost:3271/gateway", "t", False),
        ("ws://[x", "t", False),
    ],
)
def test_a_token_that_leaves_this_machine_unencrypted_is_told_of(
    url: str, token: str | None, is_told: bool
) -> None:
    """By its address alone, without what may be a secret in it."""
    assert (exposure(url, token) is not None) is is_told
    told = exposure("ws://user:secret@gateway.example/gateway?token=secret", "secret")
    assert told is not None
    assert "secret" not in told


async def test_the_library_warns_where_it_was_called() -> None:
    """`python -W error` makes an error of it before anything is sent. Here no such port exists."""
    with pytest.warns(UserWarning, match="unencrypted") as caught, pytest.raises(AgentSpaceError):
        async with agentspace.client.connect("ws://gateway.example:99999/gateway", "a-token"):
            pass
    assert [warning.filename for warning in caught] == [__file__]
