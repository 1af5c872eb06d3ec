"""What an answer costs that was cut off after the provider's own tools have run.

Each of their results makes the model read the prompt once more, and the provider tells so only at
the end (laravel/ai 996 booked the first pass alone).
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway.prices import GenaiPrices
from gateway.simulator import Fault, Reply, ReplyText, WebFetch, WebSearch
from gateway.simulator.reply import FaultKind
from protocol.provider.brought import FOUND
from protocol.usage import TokenCounts
from tests.support import TERMINAL, Frame, Talk, World, open_world, status_when

MODEL = "claude-sonnet-5-5"
PRICES = GenaiPrices()
SEARCHES = tuple(
    block
    for number in range(5)
    for block in (
        WebSearch("tea", ((f"https://tea.example/{number}", "All about tea " * 40),)),
        ReplyText("It is said of tea that one drinks it hot. " * 5),
    )
)


async def idle(talk: Talk) -> None:
    """Wait until no turn is left."""
    await status_when(talk, lambda status: not any(status["turns"].values()))


def billed(world: World) -> TokenCounts:
    """What the provider has billed for the latest answer."""
    usage = world.simulator.billed[-1].usage
    return TokenCounts(
        uncached=usage["input_tokens"],
        cache_read=usage["cache_read_input_tokens"],
        cache_write5m=usage["cache_creation_input_tokens"],
        output=usage["output_tokens"],
        web_searches=usage.get("server_tool_use", {}).get("web_search_requests", 0),
    )


def cost(counts: TokenCounts) -> Decimal:
    """USD for these."""
    found = PRICES.price(MODEL, counts)
    assert found is not None
    return found.total_cost


async def heard_of(talk: Talk, number: int) -> None:
    """Wait for what this search has found."""
    while (await talk.hear()).get("source", {}).get("url") != f"https://tea.example/{number}":
        pass


async def cut(world: World, kind: FaultKind, how: str) -> str:
    """A session whose only turn was cut off as its third search brought something."""
    fault = Fault(kind, results=3)
    world.simulator.script(Reply(blocks=SEARCHES, fault=fault))
    async with world.talk() as talk:
        session = str((await talk.ask("session.create", model=MODEL))["sessionId"])
        send = {"sessionId": session, "content": "Tea?", "onDisconnect": "cancel"}
        request = await talk.say("chat.send", **send)
        await heard_of(talk, 2)
        if how == "gone":
            return session
        if how == "cancelled":
            await talk.say("chat.cancel", requestId=request)
        while (end := await talk.hear())["type"] not in TERMINAL:
            pass
        assert end["usage"]["estimated"] is True
        assert end["cost"]["estimated"] is True
    return session


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("reset", "broken"),
        ("end", "broken"),
        ("error", "broken"),
        ("stall", "silent"),
        ("stall", "cancelled"),
        ("stall", "gone"),
    ],
)
async def test_every_pass_of_an_answer_that_was_cut_off_is_booked(
    tmp_path: Path, kind: FaultKind, how: str
) -> None:
    """Four, however it was cut off; it was the first one alone."""
    silence = 0.3 if how == "silent" else 30
    async with (
        open_world(tmp_path, server_tools=("web_search",), llm_idle_seconds=silence) as world,
        world.talk() as watcher,
    ):
        session = await cut(world, kind, how)
        await idle(watcher)
        await world.simulator.wait_idle()
        report = await watcher.ask("usage.query", sessionId=session)
    booked, true = report["perModel"][MODEL], billed(world)
    assert booked["webSearches"] == true.web_searches == 3
    assert booked["estimatedRequests"] == 1
    assert booked["inputTokens"] == pytest.approx(true.input, rel=0.1)
    assert booked["totalCost"] == pytest.approx(float(cost(true)), rel=0.1)


async def test_an_end_that_does_not_tell_the_input_is_no_bill_of_several_passes(
    tmp_path: Path,
) -> None:
    """Some proxies tell the output alone there: the rest is estimated, and the output is exact."""
    untold = dict.fromkeys(
        ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    )
    async with open_world(tmp_path, server_tools=("web_search",)) as world, world.talk() as talk:
        world.simulator.script(Reply(blocks=SEARCHES[:4], usage_at_end=untold))
        end = (await talk.turn("Tea?", model=MODEL))[-1]
        assert end["stopReason"] == "end_turn"
        assert end["usage"]["estimated"] is True
        told = world.simulator.billed[-1].usage
        assert end["usage"]["outputTokens"] == told["output_tokens"]
        world.simulator.script(Reply(blocks=SEARCHES[:4]))
        same = (await talk.turn("Tea?", model=MODEL))[-1]
        assert "estimated" not in same["cost"]
        exact = same["usage"]["inputTokens"]
        assert end["usage"]["inputTokens"] == pytest.approx(exact, rel=0.1)


@pytest.mark.parametrize("kind", ["reset", "end"])
async def test_an_estimated_output_is_within_what_was_asked_for(
    tmp_path: Path, kind: FaultKind
) -> None:
    """The model cannot have said more than `maxTokens`, whatever its text is counted as."""
    said = ReplyText("tea " * 2_000)
    async with open_world(tmp_path) as world, world.talk() as talk:
        world.simulator.script(Reply(blocks=(said,), fault=Fault(kind, -3)))
        end = (await talk.turn("Tea?", maxTokens=500))[-1]
        assert (end["type"], end["usage"]["outputTokens"]) == ("error", 500)


# --- what a client will pay ----------------------------------------------------------------------

SLOW = "[[sim: search={results} searches=9 count={words} tool_delay=0.3]]"
"""A search takes its time, as they do: a cancel reaches the provider before its result."""


async def limited(talk: Talk, text: str, most: float) -> Frame:
    """The end of a turn with a limit."""
    frames = await talk.turn(text, model=MODEL, maxCost=most)
    assert frames[-1]["type"] == "chat.stream.end", frames[-1]
    return frames[-1]


@pytest.mark.parametrize(
    ("results", "most"), [(4, 0.02), (4, 0.05), (20, 0.025), (30, 0.025), (30, 0.05), (40, 0.1)]
)
async def test_no_search_is_begun_that_is_too_dear(
    tmp_path: Path, results: int, most: float
) -> None:
    """What an average page brings, at most, is paid for before the search runs."""
    async with open_world(tmp_path, server_tools=("web_search",)) as world, world.talk() as talk:
        end = await limited(talk, SLOW.format(results=results, words=20), most)
        await world.simulator.wait_idle()
        assert end["cost"]["totalCost"] <= most
        assert Decimal("0.01") < cost(billed(world)) <= Decimal(str(most))


@pytest.mark.parametrize("most", [0.02, 0.025])
async def test_a_search_that_brings_too_much_is_read_once(tmp_path: Path, most: float) -> None:
    """The bound: what it brings beyond an average page, at the price of input."""
    async with open_world(tmp_path, server_tools=("web_search",)) as world, world.talk() as talk:
        end = await limited(talk, SLOW.format(results=200, words=20), most)
        await world.simulator.wait_idle()
    assert end["stopReason"] == "budget"
    found = PRICES.estimate(MODEL, billed(world).input - FOUND)
    assert found is not None
    assert cost(billed(world)) - Decimal(str(most)) <= found
    assert billed(world).web_searches == 1


async def test_a_search_beyond_their_number_ends_no_turn(tmp_path: Path) -> None:
    """It fails, which costs a pass alone: there is money left for an answer."""
    async with open_world(tmp_path, server_tools=("web_search",)) as world, world.talk() as talk:
        end = await limited(talk, "[[sim: search=2 searches=2 count=5]]", 0.02)
        sent: list[dict[str, Any]] = world.sent()[-1]["tools"]
        assert [tool["max_uses"] for tool in sent] == [1]
        assert (end["stopReason"], end["usage"]["webSearches"]) == ("end_turn", 1)
        assert end["cost"]["totalCost"] <= 0.02
        assert "estimated" not in end["cost"]


@pytest.mark.parametrize(("size", "most", "fetched"), [(10_000, 0.0045, 0), (40_000, 0.055, 1)])
async def test_a_page_is_paid_for_before_it_is_fetched(
    tmp_path: Path, size: int, most: float, fetched: int
) -> None:
    """As an average page, or as the largest one of this answer: the next one would be too dear."""
    page = WebFetch("https://tea.example/", text="tea and " * (size // 8))
    said = ReplyText("So it is said. ")
    async with open_world(tmp_path, server_tools=("web_fetch",)) as world, world.talk() as talk:
        world.simulator.script(Reply(blocks=(page, said, page, said), tool_delay=0.3))
        end = await limited(talk, "Tea?", most)
        await world.simulator.wait_idle()
    assert end["stopReason"] == "budget"
    assert end["cost"]["totalCost"] <= most
    assert cost(billed(world)) <= Decimal(str(most))
    fetches = world.simulator.billed[-1].usage.get("server_tool_use", {})
    assert fetches.get("web_fetch_requests", 0) == fetched
