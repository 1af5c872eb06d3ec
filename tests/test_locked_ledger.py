"""Another program holds the database's lock, just as a turn begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.simulator.request import last_text
from tests.gateway.ledger.support import locked
from tests.support import Frame, open_world, status_when

QUESTION = "What makes the tides?"
SECONDS = 2.0


def session_of(frames: list[Frame]) -> str:
    """The session of a turn."""
    return next(str(frame["sessionId"]) for frame in frames if "sessionId" in frame)


@pytest.mark.parametrize("again", ["mine", "another"])
async def test_a_question_that_was_refused_is_there_once_when_it_is_sent_again(
    tmp_path: Path, again: str
) -> None:
    """Under the same id or another: the session knows nothing of the first try, nor of its wishes.

    The beginning is written late, when its client has been told to send again; then it is undone.
    """
    async with (
        open_world(tmp_path, ask_seconds=SECONDS, connect_seconds=1.0) as world,
        world.talk() as talk,
    ):
        session_id = session_of(await talk.turn("Hello."))
        report = await talk.ask("usage.query")
        (session,) = (await talk.ask("session.list"))["sessions"]
        with locked(world.settings.data_dir):
            wishes = {"model": "claude-opus-5-5", "system": "Be a poet."}
            (error,) = await talk.turn(QUESTION, id="mine", sessionId=session_id, **wishes)
            assert (error["code"], error["retryable"]) == ("OVERLOADED", True)
            (error,) = await talk.turn(QUESTION, maxTokens=500)
            assert (error["code"], error["retryable"]) == ("OVERLOADED", True)
        await status_when(talk, lambda now: now["openRows"] == now["ledgerQueue"] == 0)
        assert (await talk.ask("session.list"))["sessions"] == [session]
        assert {**(await talk.ask("usage.query")), "requestId": ""} == {**report, "requestId": ""}
        frames = await talk.turn(QUESTION, id=again, sessionId=session_id)
        assert frames[-1]["type"] == "chat.stream.end"
        history = await talk.ask("session.history", sessionId=session_id)
        roles = [(one["role"], one.get("status")) for one in history["messages"]]
        assert roles == [("user", None), ("assistant", None)] * 2
        _, body = world.sent()
        assert [one["role"] for one in body["messages"]] == ["user", "assistant", "user"]
        assert (body["model"], last_text(body)) == (session["model"], QUESTION)
