"""A conversation only grows: the courses that a session can take, end to end.

All of it is real but the provider, which is strict: it refuses thinking that does not stand where
it was thought. What must hold in every course is told in `tests/courses/watch.py`, the courses
are listed in `tests/courses/table.py`.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from gateway.mcp.settings import McpServer
from tests.courses.bodies import thinking_in
from tests.courses.replies import MISMATCHED, asks, refuses, tide
from tests.courses.server import ToolServer
from tests.courses.session import Session
from tests.courses.stage import Stage, open_stage, window_of
from tests.courses.table import COURSES, Course

OLDER = Path(__file__).parent / "gateway" / "ledger" / "fixtures" / "schema_3.sql"


async def new_session(stage: Stage) -> Session:
    """An empty session."""
    created = await stage.talk.ask("session.create")
    return Session(stage, created["sessionId"])


def servers_in(folder: Path) -> tuple[ToolServer, ToolServer]:
    """A server that the settings name, and one that they may name later."""
    return ToolServer(folder / "harbour"), ToolServer(folder / "yard", "yard", "crane")


def named(servers: Sequence[ToolServer]) -> tuple[McpServer, ...]:
    """What the settings say of them at first: the first one alone."""
    return tuple(server.settings for server in servers[:1])


@pytest.mark.parametrize("course", COURSES, ids=[course.name for course in COURSES])
async def test_a_session_survives(course: Course, tmp_path: Path) -> None:
    """Each message is answered, no thinking is lost, and what was inspected is what was sent."""
    servers = servers_in(tmp_path) if course.served else ()
    async with open_stage(tmp_path, *servers, mcp_servers=named(servers)) as stage:
        session = await new_session(stage)
        await course.play(session)
        await session.finish()
        assert session.began <= course.epochs


@pytest.mark.parametrize("order", range(2))
async def test_a_session_survives_everything(order: int, tmp_path: Path) -> None:
    """All courses in one session, in several orders."""
    courses = [*COURSES]
    random.Random(order).shuffle(courses)
    servers = servers_in(tmp_path)
    async with open_stage(tmp_path, *servers, mcp_servers=named(servers)) as stage:
        await stage.server.is_there()
        session = await new_session(stage)
        for course in courses:
            await course.play(session)
        await session.finish()


async def test_a_client_is_told_of_thinking_for_which_a_request_was_refused(
    tmp_path: Path,
) -> None:
    """As it is told of thinking that the provider drops by itself."""
    async with open_stage(tmp_path) as stage:
        session = await new_session(stage)
        await session.ask()
        stage.provider.arrange(MISMATCHED)
        turn = await session.ask()
        assert turn.context.get("droppedThinking"), turn.context


async def test_a_full_window_costs_the_thinking_of_few_requests(tmp_path: Path) -> None:
    """Turn after turn behind a full window is answered, and 9 of 10 requests carry thinking."""
    with window_of(22_500):
        async with open_stage(tmp_path, max_tokens=2_000) as stage:
            session = await new_session(stage)
            for _ in range(10):
                await session.ask(session.text("A long question", 76))
            before = len(stage.provider.exchanges)
            for _ in range(40):
                await session.ask()
            assert session.last.context["leftOutTurns"] > 0
            assert session.began >= 2
            requests = stage.provider.exchanges[before:]
            thinking = sum(bool(thinking_in(one.body["messages"])) for one in requests)
            assert thinking >= 0.9 * len(requests)
            await session.finish()


@pytest.mark.parametrize("then", ["a question", "a restart", "a refusal"])
async def test_a_window_that_fills_inside_a_tool_loop_ends_no_turn(
    then: str, tmp_path: Path
) -> None:
    """Once the provider's own clearing does not suffice, a new epoch begins within the turn.

    The provider drops what the turn had thought before, in this turn and in no later one.
    """
    with window_of(32_500):
        async with open_stage(tmp_path, max_tokens=2_000) as stage:
            session = await new_session(stage)
            await session.ask(tools=tide())
            for _ in range(5):
                await session.ask(session.text("A long question", 140))
            stage.provider.arrange(*[asks("tide", f"Anna {n}") for n in range(5)])
            turn = await session.ask(output=session.text("A long tide", 190))
            assert len(turn.exchanges) == 6
            assert session.began >= 1
            if then == "a restart":
                await stage.restart()
            elif then == "a refusal":
                stage.provider.arrange(refuses("I can"))
                await session.ask(ends=("refusal",))
            await session.finish()


async def test_a_memory_edit_behind_60_turns_writes_little(tmp_path: Path) -> None:
    """The provider remembers all that it had; only what is new is written to its cache."""
    async with open_stage(tmp_path, sentences=14) as stage:
        session = await new_session(stage)
        stage.write_memory(session.text("An old memory", 24))
        for _ in range(60):
            await session.ask(session.text("A question", 10))
        stage.write_memory(session.text("A new memory", 24))
        turn = await session.ask()
        assert 40_000 < turn.end["usage"]["inputTokens"] < 55_000
        assert turn.end["usage"]["inputDetails"]["cacheWrite5m"] <= 3_000


def loaded(folder: Path) -> list[str]:
    """Make the folder one of an older gateway; the sessions in it."""
    with closing(sqlite3.connect(folder / "ledger.db")) as database:
        database.executescript(OLDER.read_text())
        return [row[0] for row in database.execute("SELECT session_id FROM Session")]


@pytest.mark.skipif(not OLDER.exists(), reason="there is no such database yet")
async def test_a_session_of_an_older_database_goes_on(tmp_path: Path) -> None:
    """Its thinking is of unknown conversations: an epoch begins, and then thinking is kept."""
    sessions = loaded(tmp_path)
    assert sessions
    async with open_stage(tmp_path) as stage:
        for session_id in sessions:
            session = Session(stage, session_id)
            await session.ask(model="claude-sonnet-5-5")
            await session.ask()
            await session.finish()
