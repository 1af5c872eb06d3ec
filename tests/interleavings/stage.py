"""A gateway, its provider and its clients, in a thread of their own.

Hypothesis calls a machine's rules one after the other from a thread without a loop; each of them
hands one async function to the thread in which trio runs, and waits for it.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import outcome
import trio

from gateway.simulator import Reply
from gateway.simulator.request import last_text
from tests.interleavings.client import Client
from tests.interleavings.model import Question, Session, Stream
from tests.interleavings.plan import RETRIES, Plan
from tests.support import SECONDS, open_world

T = TypeVar("T")

SUBPROTOCOLS = ("agentspace.v1.json", "agentspace.v1.msgpack", None)
IMPATIENCE = 0.3
"""Seconds of silence after which an impatient gateway gives an answer up."""
LONGEST_RULE = 6 * SECONDS


class _Alarm(logging.Handler):
    """Collects what the gateway logs as an error: a mistake of its own."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"logged: {logging.Formatter().format(record)}")


class Stage:
    """Everything that takes part; `patient` is whether the gateway bears a silent provider."""

    def __init__(self, *, patient: bool) -> None:
        self.patient = patient
        self.clients: list[Client] = []
        self.sessions: list[Session] = []
        self.questions: list[Question] = []
        self.violations: list[str] = []
        self.journal: deque[str] = deque(maxlen=100)
        self._alarm = _Alarm()
        self._news = trio.lowlevel.ParkingLot()
        self._started: queue.SimpleQueue[trio.lowlevel.TrioToken | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._play, name="stage", daemon=True)
        self._ended: outcome.Outcome[None] = outcome.Value(None)

    # --- from the machine's thread -------------------------------------------------------------

    def open(self) -> None:
        """Start the world."""
        logging.getLogger().addHandler(self._alarm)
        self._thread.start()
        token = self._started.get(timeout=LONGEST_RULE)
        if token is None:
            self._ended.unwrap()
        self._token = token

    def do(self, work: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Run `work` in the world; what goes wrong is told with what was said before."""

        async def bounded() -> T:
            with trio.fail_after(LONGEST_RULE):
                return await work(*args)

        try:
            result = trio.from_thread.run(bounded, trio_token=self._token)
            self.check()
        except BaseException as error:
            error.add_note("\n".join(self.journal))
            raise
        return result

    def close(self) -> None:
        """End the world."""
        logging.getLogger().removeHandler(self._alarm)
        if self._thread.is_alive():
            trio.from_thread.run_sync(self._over.set, trio_token=self._token)
        self._thread.join(LONGEST_RULE)
        assert not self._thread.is_alive(), "the world does not end"
        self._ended.unwrap()

    def check(self) -> None:
        """Nothing has been heard or logged that must not be."""
        faults = [*self.violations, *self._alarm.lines]
        assert not faults, "\n".join(faults)

    # --- in the world --------------------------------------------------------------------------

    def _play(self) -> None:
        self._ended = outcome.capture(trio.run, self._main)
        self._started.put(None)

    async def _main(self) -> None:
        self._over = trio.Event()
        silence = 60.0 if self.patient else IMPATIENCE
        with TemporaryDirectory() as folder:
            async with (
                open_world(
                    Path(folder),
                    retry_attempts=RETRIES,
                    retry_cap_seconds=0.02,
                    first_content_seconds=silence,
                    llm_idle_seconds=silence,
                ) as self.world,
                trio.open_nursery() as self._nursery,
            ):
                self.world.simulator.script(self._reply)
                self._started.put(trio.lowlevel.current_trio_token())
                await self._over.wait()
                self._nursery.cancel_scope.cancel()

    def _reply(self, body: dict[str, Any]) -> Reply:
        (question,) = [q for q in self.questions if q.content == last_text(body)]
        question.attempts += 1
        return question.plan.reply(question.attempts - 1, question.gate, patient=self.patient)

    def report(self, violation: str) -> None:
        """Something has happened that must not."""
        self.violations.append(violation)

    def announce(self) -> None:
        """Something has been heard."""
        self._news.unpark_all()

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition on what was heard."""
        with trio.move_on_after(SECONDS) as patience:
            while not condition() and not self.violations:
                await self._news.park()
        if patience.cancelled_caught:
            self.report(f"waited in vain for {what}")
        self.check()

    async def connect(self, subprotocol: str | None = SUBPROTOCOLS[0]) -> Client:
        """A new client."""
        client = Client(
            len(self.clients), self.report, self.announce, self.journal, subprotocol=subprotocol
        )
        with trio.fail_after(SECONDS):
            await self._nursery.start(client.live, self.world)
        self.clients.append(client)
        return client

    def question(self, client: Client, session: Session, plan: Plan, gone: str) -> Question:
        """A new question; clients choose their ids alone, so that they are alike."""
        used = client.used_ids | {question.request_id for question in session.questions}
        request_id = next(name for n in range(1_000) if (name := f"r{n}") not in used)
        question = Question(
            session, request_id, len(self.questions), plan, gone, patient=self.patient
        )
        self.questions.append(question)
        return question

    async def learn(self, question: Question) -> None:
        """Wait for a question's turn and session, unless nobody will hear of them."""
        await self.until(
            lambda: question.turn_id is not None or not any(map(self.hopes, question.streams)),
            f"the turn of {question.content}",
        )

    def hopes(self, stream: Stream) -> bool:
        """Whether its client will hear more of it."""
        (client,) = [c for c in self.clients if stream in c.streams]
        return client.reads.is_set() and not (
            client.is_gone or stream.is_over or stream.may_be_ignored
        )

    async def answer(self, client: Client, place: str) -> None:
        """Wait for an answer, unless the client does not read."""
        await self.until(
            lambda: not client.reads.is_set() or place in client.answers,
            f"an answer to {client.questions[place]}",
        )
