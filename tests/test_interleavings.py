"""Whatever clients and the provider do, in whatever order: the promises hold.

Hypothesis draws what happens; all of it is real: the gateway, its database, sockets, a provider
that speaks HTTP. Clients connect, send, send again, cancel, stop reading, hang up and take turns
up again, sessions are deleted, and the provider fails in every way it can or stands still until a
rule lets it go on. Each frame is judged when it is heard (`tests/interleavings/model.py`), and
when all is quiet the database, the provider's bills and the gateway's own figures are held against
what was heard (`tests/interleavings/audit.py`).

What is drawn is the same at every run. Only waiting makes what follows it certain; where a rule
does not wait, things race, and every outcome that an order of them allows is taken.

`AGENTSPACE_INTERLEAVINGS=1000` draws so many programs, and other ones at every run.
"""

from __future__ import annotations

import os
from typing import Any, Literal

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    precondition,
    rule,
)

from tests.interleavings.audit import Audit, check_history
from tests.interleavings.client import Client, Leave
from tests.interleavings.model import Question, Session, Stream
from tests.interleavings.plan import Plan, long_plans, plans
from tests.interleavings.stage import SUBPROTOCOLS, Stage

PROGRAMS = int(os.environ.get("AGENTSPACE_INTERLEAVINGS", "0"))
MOST_CLIENTS = 5
MOST_QUESTIONS = 8
MOST_PENDING = 12
"""Questions that a client which does not read may have; beyond 16 the gateway refuses."""

Patience = Literal["none", "start", "text", "end"]

patiences = st.sampled_from(["none", "start", "text", "end"])
gone = st.sampled_from(["detach", "cancel"])


class Interleavings(RuleBasedStateMachine):
    """Clients, sessions and questions, and all that may happen to them."""

    clients: Bundle[Client] = Bundle("clients")
    sessions: Bundle[Session] = Bundle("sessions")
    questions: Bundle[Question] = Bundle("questions")

    def __init__(self) -> None:
        super().__init__()
        self._stage: Stage | None = None
        self.is_broken = False
        self.here = 0
        self.asked = 0

    @property
    def stage(self) -> Stage:
        """Where it happens."""
        assert self._stage is not None
        return self._stage

    def do(self, work: Any, *args: Any) -> Any:
        """Run a scene; what goes wrong in it is the program's end."""
        try:
            return self.stage.do(work, *args)
        except BaseException:
            self.is_broken = True
            raise

    @initialize(target=clients, patient=st.sampled_from([True, True, False]))
    def begin(self, patient: bool) -> Client:
        """A gateway, and its first client."""
        stage = Stage(patient=patient)
        stage.open()
        self._stage = stage
        self.here = 1
        client: Client = self.do(stage.connect)
        return client

    def teardown(self) -> None:
        """The last scene."""
        if self._stage is None:
            return
        try:
            if not self.is_broken:
                self.do(Audit(self.stage).run)
        finally:
            self.stage.close()

    # --- clients -------------------------------------------------------------------------------

    @precondition(lambda self: self.here < MOST_CLIENTS)
    @rule(target=clients, subprotocol=st.sampled_from(SUBPROTOCOLS))
    def connect(self, subprotocol: str | None) -> Client:
        """Another client."""
        self.here += 1
        client: Client = self.do(self.stage.connect, subprotocol)
        return client

    @precondition(lambda self: self.here > 1)
    @rule(client=consumes(clients), how=st.sampled_from(["politely", "silently", "with a reset"]))
    def hang_up(self, client: Client, how: Leave) -> None:
        """A client goes."""
        self.here -= 1
        self.do(client.leave, how)

    @rule(client=clients)
    def stop_reading(self, client: Client) -> None:
        """A client's buffers fill up."""
        client.pause()

    @rule(client=clients)
    def read_on(self, client: Client) -> None:
        """And are emptied."""

        async def scene() -> None:
            client.read_on()

        self.do(scene)

    # --- questions -----------------------------------------------------------------------------

    @precondition(lambda self: self.asked < MOST_QUESTIONS)
    @rule(target=questions, client=clients, plan=plans, gone=gone, patience=patiences)
    def send_new(self, client: Client, plan: Plan, gone: str, patience: Patience) -> Question:
        """A question without a session."""
        return self._send(client, Session(), plan, gone, patience)

    @precondition(lambda self: self.asked < MOST_QUESTIONS)
    @rule(
        target=questions,
        client=clients,
        session=sessions,
        plan=plans,
        gone=gone,
        patience=patiences,
    )
    def send(
        self, client: Client, session: Session, plan: Plan, gone: str, patience: Patience
    ) -> Question:
        """A question in a session."""
        return self._send(client, session, plan, gone, patience)

    @precondition(lambda self: self.asked < MOST_QUESTIONS)
    @rule(target=questions, client=clients, session=sessions, plan=long_plans, patience=patiences)
    def send_for_long(
        self, client: Client, session: Session, plan: Plan, patience: Patience
    ) -> Question:
        """A question with an answer that no buffer holds."""
        return self._send(client, session, plan, "detach", patience)

    @precondition(lambda self: self.asked < MOST_QUESTIONS)
    @rule(
        target=questions,
        client=clients,
        question=questions,
        plan=plans,
        gone=gone,
        patience=patiences,
    )
    def follow_up(
        self, client: Client, question: Question, plan: Plan, gone: str, patience: Patience
    ) -> Question:
        """A question in the session of another, which may still be answered."""
        self.do(self.stage.learn, question)
        session = question.session if question.session.id is not None else Session()
        return self._send(client, session, plan, gone, patience)

    def _send(
        self, client: Client, session: Session, plan: Plan, gone: str, patience: Patience
    ) -> Question:
        stage = self.stage
        self.asked += 1

        async def scene() -> Question:
            if session not in stage.sessions:
                stage.sessions.append(session)
            question = stage.question(client, session, plan, gone)
            await self._wait(client, await client.send(question), patience)
            return question

        asked: Question = self.do(scene)
        return asked

    async def _wait(self, client: Client, stream: Stream, patience: Patience) -> None:
        """Listen for so long, where there is something to be heard."""
        plan, question = stream.question.plan, stream.question
        if patience == "none" or stream.may_be_ignored:
            return
        if plan.held and not question.gate.is_set():
            patience = "text" if plan.text_held and patience != "start" else "start"

        def heard() -> bool:
            if stream.is_over or not client.reads.is_set():
                return True
            if question.began and stream.resumes and patience == "start":
                return True
            return {"start": stream.began, "text": bool(stream.text), "end": False}[patience]

        await self.stage.until(heard, f"the {patience} of {question.content}")

    @rule(client=clients, question=questions, patience=patiences)
    def send_again(self, client: Client, question: Question, patience: Patience) -> None:
        """The same request once more, on this connection or another."""
        stage = self.stage

        async def scene() -> None:
            await stage.learn(question)
            others = [s for s in client.streams if s.question is not question]
            if question.session.id is None or question.request_id in {s.request_id for s in others}:
                return
            await self._wait(client, await client.send(question), patience)

        self.do(scene)

    @rule(
        client=clients,
        question=questions,
        heard_by=st.none() | st.integers(0, 3),
        patience=patiences,
    )
    def resume(
        self, client: Client, question: Question, heard_by: int | None, patience: Patience
    ) -> None:
        """A turn is taken up behind what one of its watchers has heard, or from its beginning."""
        stage = self.stage

        async def scene() -> None:
            await stage.learn(question)
            if question.turn_id is None:
                return
            began = [s for s in question.streams if s.began and s.seq >= 0]
            earlier = None
            if heard_by is not None and began:
                earlier = began[heard_by % len(began)]
            await self._wait(client, await client.resume(question, earlier), patience)

        self.do(scene)

    @rule(
        client=clients,
        question=questions,
        by=st.sampled_from(["turn", "request", "stream"]),
        times=st.integers(1, 2),
    )
    def cancel(self, client: Client, question: Question, by: str, times: int) -> None:
        """A turn is cancelled, once or twice, early or late."""
        stage = self.stage

        async def scene() -> None:
            if by == "turn":
                await stage.learn(question)
            for _ in range(times):
                if by != "turn":
                    await self._cancel_request(client, question, by)
                elif question.turn_id is not None:
                    must = question.surely_runs
                    question.cancel()
                    await client.cancel(must=must, turnId=question.turn_id)

        self.do(scene)

    async def _cancel_request(self, client: Client, question: Question, by: str) -> None:
        watched = client.stream_of(question)
        request_id = question.request_id
        if by == "stream" and watched is not None:
            request_id = watched.request_id
        must = False
        for stream in client.in_flight:
            if stream.request_id == request_id:
                sure = stream.watches and stream.question.surely_runs
                must = must or sure
                if sure:
                    stream.question.cancel()
                stream.question.may_cancel = True
        # A request's id may be another client's too: then a turn that somebody else watches is
        # safe, and one that nobody watches is not.
        for other in self.stage.questions:
            if other.request_id == request_id and not self._is_watched(other, client):
                other.may_cancel = True
        await client.cancel(must=must, requestId=request_id)

    def _is_watched(self, question: Question, but: Client) -> bool:
        return any(s.watches for s in question.streams if s not in but.streams)

    @rule(question=questions)
    def let_go(self, question: Question) -> None:
        """The provider goes on."""

        async def scene() -> None:
            question.let_go()

        self.do(scene)

    @rule(question=questions)
    def hear_out(self, question: Question) -> None:
        """Nothing else happens until a turn has ended."""
        stage = self.stage

        async def scene() -> None:
            question.let_go()
            await stage.until(
                lambda: (
                    question.is_over or not any(stage.hopes(stream) for stream in question.streams)
                ),
                f"the end of {question.content}",
            )

        self.do(scene)

    # --- what needs no stream ------------------------------------------------------------------

    @rule(target=sessions, client=clients)
    def create_session(self, client: Client) -> Session:
        """A session, before anything is asked in it."""
        stage = self.stage

        async def scene() -> Session:
            session = Session()
            client.read_on()
            place = await client.ask("session.create")
            await stage.answer(client, place)
            session.id = client.answers[place]["sessionId"]
            stage.sessions.append(session)
            return session

        created: Session = self.do(scene)
        return created

    @rule(client=clients, question=questions)
    def delete_session(self, client: Client, question: Question) -> None:
        """A session is deleted, maybe in the middle of a turn, which is cancelled then."""
        stage = self.stage

        async def scene() -> None:
            await stage.learn(question)
            session = question.session
            if session.id is None:
                return
            before = session.deletion_said
            session.deletion_said = True
            running = [question for question in session.questions if question.surely_runs]
            for asked in session.questions:
                asked.may_cancel = True
            place = await client.ask("session.delete", sessionId=session.id)
            await stage.answer(client, place)
            answer = client.answers.get(place)
            if answer is not None:
                for asked in running:
                    asked.must_cancel = not asked.gate.is_set()
                assert answer["type"] == "session.deleted" or (
                    before and answer["code"] == "SESSION_NOT_FOUND"
                ), answer
                session.deleted = True

        self.do(scene)

    @rule(client=clients, question=questions)
    def inspect(self, client: Client, question: Question) -> None:
        """The context of a session, while something happens in it."""
        stage = self.stage

        async def scene() -> None:
            await stage.learn(question)
            session = question.session
            if session.id is None or len(client.pending) >= MOST_PENDING:
                return
            place = await client.ask("context.inspect", sessionId=session.id, content="And?")
            await stage.answer(client, place)
            answer = client.answers.get(place)
            if answer is not None and answer["type"] == "error":
                assert answer["code"] == "SESSION_NOT_FOUND", answer
                assert session.deletion_said, answer
            elif answer is not None:
                assert answer["type"] == "context.inspection", answer

        self.do(scene)

    @rule(client=clients, question=questions)
    def read_history(self, client: Client, question: Question) -> None:
        """A session's history has all turns whose ends were heard."""
        stage = self.stage

        async def scene() -> None:
            await stage.learn(question)
            if len(client.pending) < MOST_PENDING:
                await check_history(stage, client, question.session, settled=False)

        self.do(scene)

    @rule(client=clients)
    def ask_status(self, client: Client) -> None:
        """The gateway's figures are those of what surely runs, and of no more than may."""
        stage = self.stage

        async def scene() -> None:
            sure = [q for q in stage.questions if q.surely_runs]
            most = sum(not q.is_over for q in stage.questions)
            here = sum(not c.is_gone for c in stage.clients)
            place = await client.ask("gateway.status")
            await stage.answer(client, place)
            status = client.answers.get(place)
            if status is None:
                return
            least = sum(q.surely_runs for q in sure)
            assert least <= sum(status["turns"].values()) <= most, status
            assert least <= status["openRows"] <= most, status
            assert status["upstreamStreams"] <= most, status
            assert here <= status["connections"] <= len(stage.clients), status
            assert status["ledger"] == "ok"

        self.do(scene)


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(
    max_examples=PROGRAMS or 60,
    stateful_step_count=30,
    derandomize=not PROGRAMS,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)
