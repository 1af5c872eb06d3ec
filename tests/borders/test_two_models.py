"""A turn whose requests were answered by two models: each is billed for its own.

Providers let another model answer when the asked one declines or is overloaded (the page "Refusals
and fallback", November 2026), and a turn with tools makes several requests.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trio
from msgspec.structs import replace

from gateway.app import NOTE_SECONDS
from gateway.simulator import Fault, Reply, ReplyText, calls, open_simulator
from tests.child import open_child
from tests.support import SECONDS, TERMINAL, Frame, Talk, World, open_world, status_when

ASKED, OTHER = "claude-sonnet-5-5", "claude-opus-5-5"
TIDE = [{"name": "tide", "description": "Tides.", "inputSchema": {"type": "object"}}]
QUESTION = "Tide? [[sim: count=5 tool=tide model_after_tools={}]]"


async def ask(talk: Talk, other: str = OTHER, **fields: Any) -> None:
    """Ask the one model; to what the tool answers, the other one answers."""
    question = {"content": QUESTION.format(other), "model": ASKED, "tools": TIDE, **fields}
    await talk.say("chat.send", **question)
    while (frame := await talk.hear())["type"] != "tool.call":
        pass
    await talk.say("tool.output", toolCallId=frame["toolCallId"], content="high")


async def ended(talk: Talk) -> Frame:
    """The terminal frame."""
    while (frame := await talk.hear())["type"] not in TERMINAL:
        pass
    return frame


def money(amount: float) -> Decimal:
    """As the wire says it."""
    return Decimal(str(amount)).quantize(Decimal("1e-12"))


def billed(world: World, number: int) -> int:
    """The tokens that the provider has billed for a request."""
    usage = world.simulator.billed[number].usage
    cached = usage["cache_read_input_tokens"] + usage["cache_creation_input_tokens"]
    return int(usage["input_tokens"] + cached + usage["output_tokens"])


async def shares(talk: Talk, **query: Any) -> tuple[Frame, Frame]:
    """What the asked and the other model have cost; the sums are those of the whole."""
    report = await talk.ask("usage.query", **query)
    models, total = report["perModel"], report["grandTotal"]
    costs = [money(one["totalCost"]) for one in models.values()]
    assert sum(costs) == money(total["totalCost"])
    assert sum(one["totalTokens"] for one in models.values()) == total["totalTokens"]
    assert [*models] == sorted((ASKED, OTHER))
    return models[ASKED], models[OTHER]


async def test_each_model_is_told_its_own_tokens_and_cost(tmp_path: Path) -> None:
    """One row, whose cost is the sum to the last digit; the turn is a request of each model."""
    async with open_world(tmp_path) as world:
        for _ in range(2):
            async with world.talk() as talk:
                await ask(talk)
                end = await ended(talk)
                assert end["model"] == OTHER
        async with world.talk() as talk:
            first, second = await shares(talk)
            total = (await talk.ask("usage.query"))["grandTotal"]
            assert (first["requestCount"], second["requestCount"]) == (2, 2)
            assert (total["requestCount"], "estimatedRequests" in total) == (2, False)
            assert first["totalTokens"] == billed(world, 0) + billed(world, 2)
            assert second["totalTokens"] == billed(world, 1) + billed(world, 3)
            await talk.turn("Plain.", model=OTHER)
            again, more = await shares(talk)
            assert (again, more["requestCount"]) == (first, 3)
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as database:
        assert database.execute("SELECT count(*) FROM Turn").fetchone() == (3,)
    async with open_world(tmp_path) as world, world.talk() as talk:
        assert await shares(talk) == (again, more)


async def test_the_end_of_a_turn_costs_what_the_report_says(tmp_path: Path) -> None:
    """Also at a price that is no whole number of the smallest parts that are kept."""
    prices = tmp_path / "prices.json"
    odd = '{"input": 0.0000007, "output": 1.0000003, "cache_write_5m": 0.0000003}'
    prices.write_text(f'{{"{ASKED}": {odd}, "{OTHER}": {odd}}}')
    async with open_world(tmp_path, prices_file=prices) as world, world.talk() as talk:
        await ask(talk)
        end = await ended(talk)
        first, second = await shares(talk)
        parts = [Decimal(str(one["totalCost"])) for one in (first, second)]
        assert sum(parts) == Decimal(str(end["cost"]["totalCost"]))
        tokens = first["totalTokens"] + second["totalTokens"]
        assert tokens == end["usage"]["totalTokens"]


CALLED = calls(("tide", {}), say="I look.")
ENDLESS = Reply(blocks=(ReplyText("High and low. " * 9_000),), model=OTHER, rate=50)


@pytest.mark.parametrize("how", ["cancelled", "gone", "broken"])
async def test_of_a_turn_that_is_cut_off_the_last_answer_alone_is_an_estimate(
    tmp_path: Path, how: str
) -> None:
    """The asked model's answer was whole."""
    fault = Fault("reset", 6) if how == "broken" else None
    async with open_world(tmp_path) as world, world.talk() as watcher:
        world.simulator.script(CALLED, replace(ENDLESS, fault=fault))
        async with world.talk() as talk:
            await ask(talk, id="asked", onDisconnect="cancel")
            while (await talk.hear())["type"] != "chat.stream.delta":
                pass
            if how == "cancelled":
                await talk.say("chat.cancel", requestId="asked")
            end = None if how == "gone" else await ended(talk)
        await status_when(watcher, lambda status: not any(status["turns"].values()))
        first, second = await shares(watcher)
        assert first["totalTokens"] == billed(world, 0)
        assert ("estimatedRequests" in first, second["estimatedRequests"]) == (False, 1)
        if end is not None:
            assert end["cost"]["estimated"] is True
            parts = [money(one["totalCost"]) for one in (first, second)]
            assert money(end["cost"]["totalCost"]) == sum(parts)


async def test_a_turn_that_dies_with_the_process_is_told_by_model_too(tmp_path: Path) -> None:
    """The next start settles it; what the second model had begun is an estimate."""
    async with open_simulator() as simulator:
        simulator.script(CALLED, ENDLESS)
        # Its queue has no bound: one that is full would wait for ever to close.
        async with (
            open_child(tmp_path, simulator) as child,
            child.talk(max_queue=None) as talk,
        ):
            await ask(talk)
            while (await talk.hear())["type"] != "chat.stream.delta":
                pass
            await trio.sleep(NOTE_SECONDS)  # younger answers are settled as they were estimated
            async with child.talk() as other:
                await other.ask("usage.query")  # answered after what was noted before it
            child.kill()
        with trio.fail_after(SECONDS):
            await simulator.wait_idle()
        async with open_child(tmp_path, simulator) as child, child.talk() as talk:
            first, second = await shares(talk)
            assert first["totalTokens"] == billed(child, 0)
            assert second["inputDetails"]["uncached"] > 0
            assert ("estimatedRequests" in first, second["estimatedRequests"]) == (False, 1)
            total = (await talk.ask("usage.query"))["grandTotal"]
            assert (total["requestCount"], total["estimatedRequests"]) == (1, 1)


async def test_a_turn_from_before_is_shared_too(tmp_path: Path) -> None:
    """Its requests kept model and tokens; today's prices say the rest, if they make the sum."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        await ask(talk)
        await ended(talk)
        both = await shares(talk)
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as database, database:
        ((steps,),) = database.execute("SELECT steps FROM Turn").fetchall()
        bare = [{name: one[name] for name in one if name != "cost"} for one in json.loads(steps)]
        database.execute("UPDATE Turn SET steps = ?", (json.dumps(bare),))
        database.execute("ALTER TABLE Turn DROP COLUMN mixed")
        database.execute("UPDATE Meta SET value = 6 WHERE name = 'schema'")
    async with open_world(tmp_path) as world, world.talk() as talk:
        assert await shares(talk) == both
