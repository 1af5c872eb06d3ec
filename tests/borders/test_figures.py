"""The provider's figures: null is not told, nonsense is a malformed answer, and no sum is harmed.

Public reports of figures in unexpected places or missing: jeremychone/rust-genai 258,
envoyproxy/ai-gateway 2290, vercel/ai 17326.
"""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway.simulator import Reply, ReplyText
from tests.support import Frame, Talk, World, open_world, text_of

ANSWER = "All of it came through. " * 20
UNPRICED = "claude-mythos-5"
NULLS: dict[str, Any] = dict.fromkeys(
    ("cache_creation_input_tokens", "cache_read_input_tokens", "server_tool_use", "cache_creation")
)
NONSENSE = [
    {"input_tokens": -5},
    {"input_tokens": 2**63 - 1},
    {"input_tokens": 10**9 + 1},
    {"cache_read_input_tokens": 10**30},
    {"output_tokens": 1.5},
    {"output_tokens": "7"},
    {"output_tokens": True},
    {"cache_creation": {"ephemeral_1h_input_tokens": -1}},
    {"server_tool_use": {"web_search_requests": [3]}},
    {"output_tokens_details": {"thinking_tokens": 1e9}},
]


async def asked(world: World, talk: Talk, usage: dict[str, Any], **fields: Any) -> list[Frame]:
    """A turn that is answered with these figures in its bill."""
    world.simulator.script(Reply(blocks=(ReplyText(ANSWER),), usage=usage))
    return await talk.turn("Do the figures matter?", **fields)


async def total(talk: Talk) -> Frame:
    """All that was ever billed."""
    report: Frame = (await talk.ask("usage.query"))["grandTotal"]
    return report


async def test_a_null_is_a_figure_that_was_not_told(tmp_path: Path) -> None:
    """In a figure, in the parts of one, and for all of the usage but what is needed."""
    inner = {
        "cache_creation": {"ephemeral_5m_input_tokens": None, "ephemeral_1h_input_tokens": None},
        "server_tool_use": {"web_search_requests": None, "web_fetch_requests": None},
        "output_tokens_details": {"thinking_tokens": None},
    }
    async with open_world(tmp_path) as world, world.talk() as talk:
        for usage in (NULLS, inner, {"output_tokens_details": None, "of_tomorrow": {"a": [1]}}):
            frames = await asked(world, talk, {"input_tokens": 7, "output_tokens": 9, **usage})
            end = frames[-1]
            assert (end["type"], text_of(frames)) == ("chat.stream.end", ANSWER)
            assert (end["usage"]["inputTokens"], end["usage"]["outputTokens"]) == (7, 9)
            assert end["usage"]["estimated"] is False


async def test_what_was_never_told_is_estimated(tmp_path: Path) -> None:
    """The answer is whole, so it was billed: its input, or its output, is an estimate."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        for name in ("input_tokens", "output_tokens"):
            end = (await asked(world, talk, {name: None, "cache_creation": None, **NULLS}))[-1]
            assert end["type"] == "chat.stream.end"
            assert end["usage"]["estimated"] is True
            assert end["usage"]["inputTokens"] > 10
            assert end["usage"]["outputTokens"] > 100


@pytest.mark.parametrize("usage", NONSENSE, ids=str)
async def test_nonsense_is_a_malformed_answer(tmp_path: Path, usage: dict[str, Any]) -> None:
    """It is settled as an estimate of what was sent; the next turn and start are as ever."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        good = (await asked(world, talk, {}))[-1]["usage"]
        for model in ({}, {"model": UNPRICED}):
            end = (await asked(world, talk, usage, **model))[-1]
            assert (end["type"], end["code"], end["retryable"]) == ("error", "LLM_ERROR", True)
            booked = end["usage"]
            assert booked["estimated"] is True
            assert booked["inputTokens"] == pytest.approx(good["inputTokens"], rel=0.3)
            assert booked["outputTokens"] <= good["outputTokens"] * 1.3
            assert end["cost"] is None if model else end["cost"]["estimated"]
        assert (await asked(world, talk, {}))[-1]["type"] == "chat.stream.end"
    async with open_world(tmp_path) as world, world.talk() as talk:
        report = await total(talk)
        assert report["totalTokens"] < 5 * good["totalTokens"]
        counted = ("requestCount", "estimatedRequests", "unpricedRequests")
        assert [report[name] for name in counted] == [4, 1, 1]


async def test_nonsense_at_the_end_leaves_what_was_told_before(tmp_path: Path) -> None:
    """The input was told; the output is estimated from what came."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        whole = (await asked(world, talk, {}))[-1]["usage"]
        world.simulator.script(
            Reply(blocks=(ReplyText(ANSWER),), usage_at_end={"output_tokens": -1})
        )
        frames = await talk.turn("Do the figures matter?")
        end = frames[-1]
        assert (end["type"], text_of(frames)) == ("error", ANSWER)
        assert end["usage"]["estimated"] is True
        assert end["usage"]["inputTokens"] == whole["inputTokens"]
        assert end["usage"]["outputTokens"] == pytest.approx(whole["outputTokens"], rel=0.3)


# --- what stands in the rows ---------------------------------------------------------------------

STRANGE: list[dict[str, Any]] = [
    {"uncached": -5, "output": 2**63 - 1},
    {"uncached": 2**63 - 1, "cache_read": 2**63 - 1},
    {"uncached": "many", "output": b"\xff", "web_searches": 1.5},
    {"input_cost": -1, "output_cost": "free"},
    {"input_cost": 2**63 - 1, "output_cost": 2**63 - 1},
    {"steps": "[{", "weights": "null"},
    {"steps": '[{"counts": {"uncached": -1}, "stop_reason": null}]', "weights": "[7]"},
    {"steps": "[" * 100_000, "counted_tokens": -1, "token_estimate": 2**62},
    {"model": b"\xff\xfe", "stop_reason": 7, "created_at": "then", "settled_at": -1},
    {"status": "undead"},
]


def spoil(folder: Path, turn_id: str, **values: Any) -> None:
    """Write into a turn's row what no gateway writes."""
    assigned = ", ".join(f"{name} = ?" for name in values)
    with closing(sqlite3.connect(folder / "ledger.db")) as database, database:
        database.execute(
            f"UPDATE Turn SET {assigned} WHERE turn_id = ?",
            (*values.values(), turn_id),
        )


@pytest.mark.parametrize("status", ["open", "completed"])
async def test_a_start_goes_on_whatever_stands_in_a_row(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, status: str
) -> None:
    """It says so in one line; open rows are settled, and what is queried is a figure."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        ended = [(await asked(world, talk, {}))[-1] for _ in range(len(STRANGE) + 1)]
    for end, values in zip(ended, STRANGE, strict=False):
        spoil(tmp_path, end["turnId"], **{"status": status, **values})
    caplog.set_level(logging.WARNING)
    async with open_world(tmp_path) as world, world.talk() as talk:
        lines = [one.getMessage() for one in caplog.records if "cannot be read" in one.getMessage()]
        assert len(lines) == 1
        report = await total(talk)
        assert report["requestCount"] == len(ended)
        assert 0 < report["totalTokens"] < 10**6
        assert (await asked(world, talk, {}))[-1]["type"] == "chat.stream.end"
        with closing(sqlite3.connect(tmp_path / "ledger.db")) as database:
            (left,) = database.execute("SELECT count(*) FROM Turn WHERE status = 'open'").fetchone()
        assert left == 0
