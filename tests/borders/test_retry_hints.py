"""When the provider wants to be asked again.

Reported of other gateways: an HTTP date is no number and ends the turn or is passed over
(Helicone/helicone 5687), and a hint of days is waited for (can1357/oh-my-pi 7003).
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import trio

from gateway.simulator import ErrorReply, Reply
from gateway.simulator.reply import Json
from tests.support import Frame, World, kinds_of, open_world

BUSY = (429, 503, 529)


async def answered(
    world: World, directives: str, subprotocol: str | None = None
) -> tuple[list[Frame], list[float]]:
    """The frames of a turn whose first request alone is refused so; seconds between requests."""
    came: list[float] = []

    def refuse_once(body: Json) -> Reply | None:
        came.append(trio.current_time())
        return None if len(came) == 1 else Reply()

    world.simulator.script(refuse_once)
    async with world.talk(subprotocol) as talk:
        frames = await talk.turn(f"[[sim: {directives}]]")
    return frames, [later - earlier for earlier, later in pairwise(came)]


@pytest.mark.parametrize("status", BUSY)
@pytest.mark.parametrize("hint", ["retry_after=0.3", "retry_after_ms=300"])
async def test_the_provider_is_asked_again_when_it_says(
    tmp_path: Path, status: int, hint: str
) -> None:
    """Not sooner, and once."""
    async with open_world(tmp_path) as world:
        frames, (gap,) = await answered(world, f"status={status} {hint}")
        assert frames[-1]["type"] == "chat.stream.end"
        assert len(world.sent()) == 2
    assert 0.3 <= gap < 2


async def test_a_date_is_a_hint_like_any_other(tmp_path: Path) -> None:
    """HTTP's dates have no fractions: one that is two seconds ahead is one to two of them."""
    async with open_world(tmp_path) as world:
        frames, (gap,) = await answered(world, "status=503 retry_date=2")
        assert frames[-1]["type"] == "chat.stream.end"
    assert 0.9 < gap < 4


@pytest.mark.parametrize("status", BUSY)
@pytest.mark.parametrize(
    ("hint", "least", "most"),
    [
        ("retry_after=86400", 86_400_000, 86_400_000),
        ("retry_after_ms=302539000", 302_539_000, 302_539_000),
        ("retry_date=3600", 3_598_000, 3_600_000),
        ("retry_after=60000000", 604_800_000, 604_800_000),
    ],
)
async def test_a_long_wait_is_the_clients(
    tmp_path: Path, status: int, hint: str, least: int, most: int
) -> None:
    """The turn fails at once, and says when to come back: after a week at most."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        error = (await talk.turn(f"[[sim: status={status} {hint}]]"))[-1]
        assert (error["type"], error["retryable"]) == ("error", True)
        assert least <= error["retryAfterMs"] <= most
        assert len(world.sent()) == 1


@pytest.mark.parametrize("value", ["soon", "-5", "nan", "inf", "Mon, 99 Nov 2026 00:00:00 GMT"])
async def test_a_hint_that_is_no_time_is_none(tmp_path: Path, value: str) -> None:
    """The pause is the gateway's own, and the turn fares no worse."""
    async with open_world(tmp_path, retry_cap_seconds=0.1) as world, world.talk() as talk:
        failure = ErrorReply(529, headers=(("retry-after", value),))
        world.simulator.script(Reply(failure=failure))
        assert (await talk.turn("Hello?"))[-1]["type"] == "chat.stream.end"
        assert len(world.sent()) == 2


@pytest.mark.parametrize("status", [*BUSY, 500])
async def test_a_provider_that_says_no_is_not_asked_again(tmp_path: Path, status: int) -> None:
    """`x-should-retry: false` means what it says, for the client as well."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        error = (await talk.turn(f"[[sim: status={status} should_retry=off]]"))[-1]
        assert (error["type"], error["retryable"]) == ("error", False)
        assert len(world.sent()) == 1


async def test_a_client_is_told_while_its_turn_waits(tmp_path: Path) -> None:
    """Why, and how long; it may show it or not."""
    async with open_world(tmp_path) as world:
        frames, _ = await answered(world, "status=529 retry_after=0.3", "agentspace.v1.json")
    start, notice, *_ = (frame for frame in frames if frame["type"] != "session.created")
    assert (start["type"], notice["type"]) == ("chat.stream.start", "chat.stream.notice")
    assert (notice["kind"], notice["seq"]) == ("retry", 1)
    assert 300 <= notice["retryAfterMs"] <= 600
    assert notice["message"].startswith("The provider is overloaded; it is asked again in 0.")


async def test_a_client_of_the_original_never_hears_of_it(tmp_path: Path) -> None:
    """It asked for no subprotocol and has no word for a notice; `seq` only grows all the same."""
    async with open_world(tmp_path) as world:
        frames, _ = await answered(world, "status=529 retry_after=0.1", None)
    assert "chat.stream.notice" not in kinds_of(frames)
    assert frames[-1]["type"] == "chat.stream.end"
    seqs = [frame["seq"] for frame in frames if "seq" in frame]
    assert seqs == sorted(set(seqs))
