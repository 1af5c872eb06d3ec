"""Whatever course a session takes: no thinking is lost, and what is inspected is what is sent.

Hypothesis draws the courses: what is remembered, what the client says of itself and of its tools,
which model is asked and how it is to think, where turns are cut short, when the gateway is
restarted, when the window is full, and what the provider does. What must hold of each request is
told in `tests/courses/watch.py`.

What is drawn is the same at every run. `AGENTSPACE_COURSES=1000` draws so many, and other ones at
every run.
"""

from __future__ import annotations

import os
from typing import Any, Literal

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from gateway.simulator import Reply
from tests.courses import replies
from tests.courses.portal import Portal
from tests.courses.provider import prose
from tests.courses.replies import ATTEMPTS, FORGETFUL, MISMATCHED, OVERLOADED, asks, tide
from tests.courses.session import Session
from tests.courses.stage import MODEL

PROGRAMS = int(os.environ.get("AGENTSPACE_COURSES", "0"))
WINDOW = 14_000
"""Tokens: some ten long questions."""
SKILLS = ("knots", "charts")

Cut = Literal["thought", "text", "search", "call", "tool", "pause"]
Upset = Literal["overloaded", "overloaded for long", "mismatch", "dropped"]

models = st.sampled_from(
    [MODEL, MODEL, "claude-sonnet-4-5", "claude-opus-4-1", "claude-sonnet-5", "claude-opus-4-8"]
)
cuts: st.SearchStrategy[Cut] = st.sampled_from(
    ["thought", "text", "search", "call", "tool", "pause"]
)
upsets: st.SearchStrategy[Upset] = st.sampled_from(
    ["overloaded", "overloaded for long", "mismatch", "dropped"]
)


class Courses(RuleBasedStateMachine):
    """One session, and all that may happen to it."""

    def __init__(self) -> None:
        super().__init__()
        self._portal: Portal | None = None
        self._session: Session | None = None
        self.is_broken = False
        self.model = MODEL
        self.fields: dict[str, Any] = {}
        """What the next message says beside its text."""

    @property
    def session(self) -> Session:
        """The session."""
        assert self._session is not None
        return self._session

    def do(self, work: Any, *args: Any, **fields: Any) -> Any:
        """Play a scene; what goes wrong in it is the program's end."""
        assert self._portal is not None

        async def scene() -> Any:
            return await work(*args, **fields)

        try:
            return self._portal.do(scene)
        except BaseException:
            self.is_broken = True
            raise

    def ask(self, *replies: Reply, **fields: Any) -> None:
        """A message that gets these replies, and after them prose."""
        self.session.stage.provider.arrange(*replies)
        said, self.fields = {**self.fields, **fields}, {}
        self.do(self.session.ask, **said)

    @initialize()
    def begin(self) -> None:
        """A gateway and a session."""
        self._portal = Portal(WINDOW, max_tokens=2_000, system_prompt=prose(0, 12))

        async def scene() -> Session:
            stage = self._portal.stage  # type: ignore[union-attr]
            created = await stage.talk.ask("session.create")
            return Session(stage, created["sessionId"], estimates=False)

        self._session = self.do(scene)

    def teardown(self) -> None:
        """In the end, two plain messages are answered."""
        if self._portal is None:
            return
        try:
            if not self.is_broken:
                self.do(self.session.finish)
        finally:
            self._portal.close()

    # --- what changes --------------------------------------------------------------------------

    @rule(words=st.sampled_from([0, 4, 4, 40]))
    def remember(self, words: int) -> None:
        """The memory is another one, or there is none."""
        text = self.session.text("To be remembered", words) if words else ""
        self.session.stage.write_memory(text)

    @rule(name=st.sampled_from(SKILLS), there=st.booleans())
    def learn(self, name: str, there: bool) -> None:
        """A skill is there, new or in other words, or it is not."""
        stage = self.session.stage
        if there:
            stage.write_skill(name, self.session.text("How to do it", 1))
        elif stage.has_skill(name):
            stage.remove_skill(name)

    @rule(words=st.sampled_from([0, 3]))
    def introduce(self, words: int) -> None:
        """The client's system prompt is another one, or none."""
        self.fields["system"] = self.session.text("You are a pilot", words) if words else ""

    @rule(tools=st.sampled_from([[], tide(), tide("Tells when the tide turns.")]))
    def offer(self, tools: list[dict[str, Any]]) -> None:
        """The client's tools are others."""
        self.fields["tools"] = tools

    @rule(tools=st.sampled_from([[], ["web_search"], ["web_search", "web_fetch"]]))
    def search(self, tools: list[str]) -> None:
        """The provider's tools are others."""
        self.fields["serverTools"] = tools

    @rule(model=models)
    def switch(self, model: str) -> None:
        """Another model is asked from the next message on."""
        self.fields["model"] = self.model = model

    @rule()
    def think_less(self) -> None:
        """The next message is to be answered with the least thinking."""
        self.fields["thinking"] = "off"

    @rule(response_format=st.booleans(), system_prompt=st.booleans())
    def restart(self, response_format: bool, system_prompt: bool) -> None:
        """Another gateway takes over, with other settings."""
        prompt = prose(int(system_prompt), 12)
        self.do(self.session.stage.restart, response_format=response_format, system_prompt=prompt)

    # --- what is said --------------------------------------------------------------------------

    @rule(words=st.sampled_from([4, 4, 60, 180]))
    def send(self, words: int) -> None:
        """A question, short or long, and its answer."""
        self.ask(content=self.session.text("Question", words))

    @rule(steps=st.integers(1, 4), words=st.sampled_from([1, 30]))
    def use_tools(self, steps: int, words: int) -> None:
        """The model calls the client's tool step by step."""
        calls = [asks("tide", f"Anna {step}") for step in range(steps)]
        self.ask(*calls, tools=tide(), output=self.session.text("The tide", words))

    @rule(pauses=st.booleans())
    def use_search(self, pauses: bool) -> None:
        """The provider searches, at one go or with a pause."""
        said = [replies.pauses(), replies.goes_on()] if pauses else [replies.searches()]
        self.ask(*said, serverTools=["web_search"])

    @rule(behind_a_tool=st.booleans(), words=st.booleans())
    def refuse(self, behind_a_tool: bool, words: bool) -> None:
        """The model would not answer."""
        before = [asks("tide")] if behind_a_tool else []
        refusal = replies.refuses(*(["I can"] if words else []))
        self.ask(*before, refusal, tools=tide(), ends=("refusal",))

    @rule(at=cuts, behind_a_tool=st.booleans())
    def cut(self, at: Cut, behind_a_tool: bool) -> None:
        """A turn is cancelled somewhere."""
        said, fields = cut_at(at)
        before = [asks("tide")] if behind_a_tool and at not in ("tool", "thought") else []
        self.ask(*before, *said, **{"tools": tide(), "thinking": "auto", **fields})

    @rule(how=upsets)
    def upset(self, how: Upset) -> None:
        """The provider does what nobody expects, as far as this model's may."""
        match how:
            case "overloaded":
                self.ask(OVERLOADED)
            case "overloaded for long":
                self.ask(*[OVERLOADED] * ATTEMPTS, ends=("OVERLOADED",))
            case "mismatch" if self.model == MODEL:
                self.ask(MISMATCHED, thinking="auto")
            case "dropped" if self.model == MODEL:
                self.ask(FORGETFUL, thinking="auto")


def cut_at(place: Cut) -> tuple[list[Reply], dict[str, Any]]:
    """Replies that stand still at a place, and what the message says: when it is cancelled."""
    search = {"serverTools": ["web_search"], "cut": ["chat.stream.delta"]}
    match place:
        case "thought":
            return [replies.stalls_in_thought()], {
                "cut": ["chat.stream.reasoning", "chat.stream.delta"]
            }
        case "text":
            return [replies.stalls_in_text()], {"cut": ["chat.stream.delta"]}
        case "search":
            return [replies.stalls_in_search()], search
        case "call":
            return [replies.stalls_in_call()], {"cut": ["chat.stream.delta"]}
        case "tool":
            return [asks("tide")], {"cut": ["tool.call"]}
        case "pause":
            return [replies.pauses(), replies.stalls_in_text()], search


TestCourses = Courses.TestCase
TestCourses.settings = settings(
    max_examples=PROGRAMS or 30,
    stateful_step_count=20,
    derandomize=not PROGRAMS,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)
