"""When all is quiet: what is on the disk, what was billed, and that nothing is left over."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

import trio

from gateway.simulator import Bill
from gateway.simulator.request import last_text
from protocol.provider.content import plain_text
from tests.interleavings.client import Client
from tests.interleavings.model import Question, Session, outcome_of
from tests.interleavings.stage import Stage
from tests.support import SECONDS, Frame

Row = dict[str, Any]

STATUSES = {"completed": "completed", "cancelled": "cancelled"}
PROMPT = ("uncached", "cache_read", "cache_write5m", "cache_write1h")


class Audit:
    """The last scene of a stage."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def run(self) -> None:
        """Bring everything to its end, and check what is left."""
        stage = self._stage
        for client in stage.clients:
            client.read_on()
        await self._see_the_cancelled_end()
        for question in stage.questions:
            question.let_go()
        await self._hear_everything()
        auditor = await stage.connect()
        await self._be_quiet(auditor)
        await self._hear_nothing_more()
        stage.check()
        rows = self._rows()
        await self._check_rows(rows)
        await self._check_report(auditor, rows)
        for session in stage.sessions:
            await check_history(stage, auditor, session, settled=True)
        await self._hear_again(auditor)
        stage.check()

    async def _see_the_cancelled_end(self) -> None:
        """What runs and was cancelled ends by itself, though the provider never goes on."""
        due = [q.turn_id for q in self._stage.questions if q.must_cancel]

        def run() -> bool:
            return any(row["status"] == "open" for row in self._rows() if row["turn_id"] in due)

        with trio.move_on_after(SECONDS) as patience:
            while run():  # noqa: ASYNC110 - it looks into a file
                await trio.sleep(0.01)
        assert not patience.cancelled_caught, "a cancelled turn goes on"

    async def _hear_everything(self) -> None:
        """Each stream of each client that is still here gets its end."""
        stage = self._stage
        here = [client for client in stage.clients if not client.is_gone]
        due = [s for client in here for s in client.streams if not s.may_be_ignored]
        await stage.until(
            lambda: (
                all(stream.is_over for stream in due)
                and all(client.answers.keys() == client.questions.keys() for client in here)
            ),
            "what clients were still to hear",
        )

    async def _be_quiet(self, auditor: Client) -> None:
        """Nothing runs and nothing waits any more."""
        here = sum(not client.is_gone for client in self._stage.clients)
        with trio.move_on_after(SECONDS):
            await self._stage.world.simulator.wait_idle()
            while True:
                status = await self._ask(auditor, "gateway.status")
                depths = [box["waiting"] for box in status["mailboxes"].values()]
                left = {
                    "turns": sum(status["turns"].values()),
                    "streams": status["upstreamStreams"],
                    "rows": status["openRows"],
                    "writes": status["ledgerQueue"],
                    "mail": sum(depths),
                    "detached": status["detachedLogs"],
                    "connections": status["connections"] - here,
                }
                if not any(left.values()):
                    return
                await trio.sleep(0.01)
        raise AssertionError(f"left over: {locals().get('left', 'streams of the provider')}")

    async def _hear_nothing_more(self) -> None:
        """Two rounds: what a writer had when the first was answered is out before the second."""
        for _ in range(2):
            for client in self._stage.clients:
                if not client.is_gone:
                    await self._ask(client, "ping")
        for client in self._stage.clients:
            late = [s for s in client.streams if not s.is_over and not client.is_gone]
            assert all(not s.began for s in late), "a stream without an end"

    async def _ask(self, client: Client, kind: str, **fields: Any) -> Frame:
        place = await client.ask(kind, **fields)
        await self._stage.until(lambda: place in client.answers, f"an answer to {kind}")
        self._stage.check()
        return client.answers[place]

    # --- rows and bills ------------------------------------------------------------------------

    def _select(self, query: str) -> list[Row]:
        path = self._stage.world.settings.data_dir / "ledger.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute(query)]

    def _rows(self) -> list[Row]:
        return self._select('SELECT * FROM "Turn"')

    async def _check_rows(self, rows: list[Row]) -> None:
        """One row a turn, which says what its watchers have heard and the provider has billed."""
        bills = self._bills()
        asked = self._select("SELECT turn_id, content FROM Entry WHERE role = 'user'")
        contents = {entry["turn_id"]: plain_text(entry["content"].encode()) for entry in asked}
        claimed = 0
        for question in self._stage.questions:
            mine = [row for row in rows if is_of(row, question, contents.get(row["turn_id"]))]
            assert len(mine) <= 1, f"{question.content} has {len(mine)} rows"
            assert mine or question.turn_id is None, f"{question.content} has no row"
            for row in mine:
                check_row(row, question)
                check_bill(row, question, bills.get(question.content, []))
            if not mine:
                assert question.content not in bills, f"{question.content} was billed without a row"
            claimed += len(mine)
        assert claimed == len(rows), "a row that nobody asked for"

    def _bills(self) -> dict[str, list[Bill]]:
        """The provider's bills, by question."""
        simulator = self._stage.world.simulator
        asked = {r.request_id: r.body for r in simulator.requests if r.path == "/v1/messages"}
        bills: dict[str, list[Bill]] = {}
        for bill in simulator.billed:
            bills.setdefault(last_text(asked[bill.request_id]), []).append(bill)
        return bills

    async def _check_report(self, auditor: Client, rows: list[Row]) -> None:
        report = await self._ask(auditor, "usage.query")
        total = sum(row[name] for row in rows for name in (*PROMPT, "output"))
        assert report["grandTotal"]["totalTokens"] == total
        assert report["grandTotal"]["requestCount"] == len(rows)

    # --- once more -----------------------------------------------------------------------------

    async def _hear_again(self, auditor: Client) -> None:
        """A finished turn is told again to who asks for it, but not one of a deleted session."""
        for question in self._stage.questions:
            if question.turn_id is not None:
                stream = await auditor.resume(question, None)
                await self._stage.until(lambda s=stream: s.is_over, f"{question.content} again")  # type: ignore[misc]
                was_deleted = question.session.deleted
                assert (stream.refusal is not None) == was_deleted or question.session.deletion_said


def is_of(row: Row, question: Question, content: str | None) -> bool:
    """Whether a row is the question's: by what was asked, or, where that is deleted, by ids."""
    if content is not None:
        return content == question.content
    named = (row["session_id"], row["request_id"])
    return named == (question.session.id, question.request_id)


def check_row(row: Row, question: Question) -> None:
    """The row's outcome is the terminal frame's, and may be so."""
    assert row["status"] in ("completed", "cancelled", "failed"), row
    outcome = row["error_code"] if row["status"] == "failed" else row["status"]
    terminal = question.terminal
    if terminal is None:
        allowed = question.outcomes
        assert outcome in allowed, f"{question.content}: {outcome}, not of {allowed}"
        return
    assert row["turn_id"] == terminal["turnId"] == question.turn_id
    assert outcome == outcome_of(terminal)
    prompt = sum(row[name] for name in PROMPT)
    usage = terminal.get("usage")
    if usage is None:
        assert not prompt, "an error hides what was billed"
        assert not row["output"], "an error hides what was billed"
        return
    details = usage["inputDetails"]
    assert [row[name] for name in PROMPT] == [
        details[name] for name in ("uncached", "cacheRead", "cacheWrite5m", "cacheWrite1h")
    ]
    assert (prompt, row["output"]) == (usage["inputTokens"], usage["outputTokens"])
    assert row["thinking"] == usage["outputDetails"]["thinking"]
    assert bool(row["estimated"]) == usage["estimated"]


def check_bill(row: Row, question: Question, bills: list[Bill]) -> None:
    """What the provider told is in the row, to the token; what it did not tell is estimated."""
    prompt = sum(row[name] for name in PROMPT)
    if not bills:
        assert not prompt, f"{question.content} was not billed"
        assert not row["output"], f"{question.content} was not billed"
        return
    usage = bills[-1].usage
    billed = usage["input_tokens"] + usage["cache_creation_input_tokens"]
    billed += usage["cache_read_input_tokens"]
    if row["status"] == "completed":
        assert bills[-1].outcome == "completed"
        assert not row["estimated"]
    if not prompt:  # nothing was told: the stream broke before it had begun
        assert not question.text, "text without a prompt"
        assert not row["output"], "output without a prompt"
        # An error that the provider tells of is its own word that there is no answer.
        assert row["estimated"] or question.plan.fault == "error", "billed, and no doubt told"
        return
    assert prompt == billed, f"{question.content}: {prompt} tokens of prompt, not {billed}"
    if not row["estimated"]:
        assert row["output"] == bills[-1].output_tokens


async def check_history(stage: Stage, client: Client, session: Session, *, settled: bool) -> None:
    """Each turn whose end was heard is in the history with its text; a deleted session is gone."""
    ended = [q for q in session.questions if q.terminal is not None]
    if session.id is None:
        return
    was_deleted, might_be = session.deleted, session.deletion_said
    place = await client.ask("session.history", sessionId=session.id, limit=200)
    await stage.answer(client, place)
    stage.check()
    history = client.answers.get(place)
    if history is None:
        return
    if history["type"] == "error":
        assert history["code"] == "SESSION_NOT_FOUND", history
        assert session.deletion_said, "nobody has deleted it"
        return
    assert not was_deleted, "a deleted session lives"
    assert not (settled and might_be and session.deleted)
    for question in ended:
        said = [m for m in history["messages"] if m["turnId"] == question.turn_id]
        check_messages(question, said)


def never_began(question: Question) -> bool:
    """Whether a turn failed without a first event of an answer: the model has not got it then."""
    terminal = question.terminal
    return terminal is not None and terminal["type"] == "error" and "usage" not in terminal


def check_messages(question: Question, messages: list[Frame]) -> None:
    """A turn's messages: the question, and of the answer exactly what was heard."""
    assert [m["role"] for m in messages] == ["user", "assistant"][: 2 if question.text else 1], (
        question.content,
        messages,
    )
    assert messages[0]["content"] == question.content
    assert messages[0].get("status") == ("unanswered" if never_began(question) else None)
    if not question.text:
        return
    answer = messages[1]
    kept = "".join(block.get("text", "") for block in answer["content"])
    assert kept == question.text, f"{kept!r} is kept of {question.text!r}"
    whole = question.terminal is not None and outcome_of(question.terminal) == "completed"
    assert answer.get("status") == (None if whole else "partial"), json.dumps(answer)
