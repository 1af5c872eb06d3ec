"""What the provider does with one question, and what a client may then hear of it."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Literal

import trio
from hypothesis import strategies as st

from gateway.simulator import ErrorReply, Fault, Reply, ReplyText, ReplyThinking
from gateway.simulator.reply import FaultKind

RETRIES = 2
"""How often the gateway tries again."""

LONG = 150_000
"""Characters: more than the buffers between the gateway and a client that does not read."""

CODES = {429: "RATE_LIMITED", 529: "OVERLOADED"}
HARMLESS = (None, "unknown_event", "double_stop", "split")
SILENT = ("stall", "pings")

Kind = Literal["", "text", "thinking"]


class Plan:
    """One answer: what is refused before it, its blocks, its fault, and whether it is held.

    The fault strikes before event `at`, counted around the answer's events. A plan that is `held`
    waits there, or before its first refusal, until its gate is set. Silences last for ever for an
    impatient gateway, and are short for a patient one.
    """

    def __init__(
        self,
        *,
        thought: str = "",
        texts: tuple[str, ...] = ("Yes.",),
        chars: int = 16,
        rate: float = 0,
        fault: FaultKind | None = None,
        at: int = 0,
        held: bool = False,
        refusals: tuple[int, ...] = (),
    ) -> None:
        self.thought = thought
        self.texts = texts
        self.chars = chars
        self.rate = rate
        self.fault = fault
        self.at = 0 if fault == "out_of_order" else at % len(self.events)
        self.held = held and fault != "double_stop"
        self.refusals = refusals

    def __repr__(self) -> str:
        texts = tuple(text if len(text) < 100 else f"{text[:20]}…" for text in self.texts)
        said = {**vars(self), "texts": texts}
        names = ["thought", "texts", "chars", "rate", "fault", "at", "held", "refusals"]
        return f"Plan({', '.join(f'{name}={said[name]!r}' for name in names)})"

    @cached_property
    def events(self) -> list[tuple[Kind, str]]:
        """What each event of the stream adds."""
        blocks: list[tuple[Kind, str]] = [("text", text) for text in self.texts]
        if self.thought:
            blocks.insert(0, ("thinking", self.thought))
        events: list[tuple[Kind, str]] = [("", "")]  # message_start
        for index, (kind, text) in enumerate(blocks):
            events += [("", "")] * (2 if index == 0 else 1)  # its start, and a ping
            pieces = [text[i : i + self.chars] for i in range(0, len(text), self.chars)]
            events += [(kind, piece) for piece in pieces]
            events += [("", "")] * (2 if kind == "thinking" else 1)  # a signature, and its stop
        return [*events, ("", ""), ("", "")]  # message_delta and message_stop

    @cached_property
    def text(self) -> str:
        """All of the answer's text."""
        return "".join(self.texts)

    @cached_property
    def text_before(self) -> str:
        """The text that is sent before the fault."""
        return "".join(piece for kind, piece in self.events[: self.at] if kind == "text")

    @property
    def text_held(self) -> str:
        """The text that is sent before it is held."""
        return "" if self.refusals or self.fault == "hang_up" else self.text_before

    @property
    def keeps_what_came_before(self) -> bool:
        """Whether all arrives that was sent before the fault; a reset may overtake some of it."""
        kept = ("error", "truncate", "end", "bad_json", "bad_utf8")
        return self.fault in kept and len(self.refusals) <= RETRIES

    def outcomes(self, *, patient: bool) -> set[str]:
        """How a turn may end that nobody cancels: `completed`, or the error's code."""
        slow = set() if patient else {"LLM_TIMEOUT"}
        if len(self.refusals) > RETRIES:
            return {CODES[self.refusals[RETRIES]]} | slow
        if self.fault in HARMLESS:
            return {"completed"} | slow
        if self.fault in SILENT:
            return {"completed"} if patient else slow
        return {"OVERLOADED" if self.fault == "error" else "LLM_ERROR"} | slow

    def reply(self, attempt: int, gate: trio.Event, *, patient: bool) -> Reply:
        """What the provider answers at this attempt, counted from 0."""
        held = gate if self.held else None
        if attempt < len(self.refusals):
            failure = ErrorReply(self.refusals[attempt], retry_after=0.01)
            return Reply(failure=failure, gate=held)
        thought = (ReplyThinking(self.thought),) if self.thought else ()
        return Reply(
            blocks=(*thought, *map(ReplyText, self.texts)),
            chars=self.chars,
            rate=self.rate,
            flush=1,
            gate=held,
            fault=self._fault(patient=patient),
        )

    def _fault(self, *, patient: bool) -> Fault | None:
        if self.fault in SILENT:
            return Fault(self.fault, self.at, seconds=0.05 if patient else math.inf)
        if self.fault is not None:
            return Fault(self.fault, self.at)
        return Fault("stall", self.at, seconds=0) if self.held else None


FAULTS: list[FaultKind | None] = [
    None,
    "error",
    "reset",
    "truncate",
    "end",
    "bad_json",
    "bad_utf8",
    "hang_up",
    "unknown_event",
    "out_of_order",
    "stall",
    "pings",
    "double_stop",
    "split",
]
WORDS = ["word ", "`", "```\n", "\n```python\n", "\n", "~~~\n", "é", "🌍", "世界 "]

# A block that begins with a letter is never blank, however little of it comes.
blocks = st.lists(st.sampled_from(WORDS), max_size=6).map(lambda words: "".join(["A", *words]))
answers = st.lists(blocks, min_size=1, max_size=3).map(tuple)
held_plans = st.builds(
    Plan, texts=answers, chars=st.sampled_from([1, 5]), at=st.integers(0, 60), held=st.just(True)
)
plans = held_plans | st.builds(
    Plan,
    thought=st.sampled_from(["", "Hm."]),
    texts=answers,
    chars=st.sampled_from([1, 5, 16]),
    rate=st.sampled_from([0.0, 400.0]),
    fault=st.sampled_from(FAULTS),
    at=st.integers(0, 60),
    held=st.booleans(),
    refusals=st.just(()) | st.lists(st.sampled_from([429, 529]), min_size=1, max_size=3).map(tuple),
)


def _long_plan(fault: FaultKind | None) -> Plan:
    texts = ("A long answer. é\n" * (LONG // 17),)
    return Plan(texts=texts, chars=1_500, fault=fault, at=90)


long_faults: list[FaultKind | None] = [None, "end"]
long_plans = st.sampled_from(long_faults).map(_long_plan)
