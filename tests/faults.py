"""The faults of a provider, each at every place where it can strike, and what is to come of it.

| fault | places |
|---|---|
| `400` `401` `429` `500` `529` | before: a status stands instead of an answer |
| `hang_up` `silence` | before: there is not even a status, but a reset or nothing at all |
| `error` `reset` `truncate` `end` `stall` `pings` | before, begun, amid, end |
| `bad_json` `bad_utf8` | before, begun, amid, end |
| `out_of_order` | before, amid, end |
| `unknown_event` | before, amid, end: it does no harm |
| `double_stop` | end: only there is something to double; it does no harm |

*Before* is before the first event; *begun*, right after it, when nothing has been said and the
input is billed; *amid*, in the second of two text blocks; *end*, when all text and the bill have
come and only `message_stop` has not. Two neighbouring deltas that changed places are a text like
any other, so what comes out of order is the frame of the message or of a block: its first event,
the second block's, or the last two. What is tried again strikes twice over: only at the first
attempt (`before_once`), and at both. The rest is not tried again: a refusal stays one, a pause of a
minute is the client's to make, and who sends garbage may be billing for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import msgspec

from gateway.simulator import ErrorReply, Fault
from gateway.simulator.reply import FaultKind

Heard = Literal["nothing", "the first block", "half", "all"]
Told = Literal["nothing", "the input", "all"]

DELTAS = 10
"""How many deltas a text block of the answer has."""

BEGUN = 1
AMID = -(3 + DELTAS // 2)
SECOND_BLOCK = -(3 + DELTAS + 1)


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One fault at one place, and what is to come of it.

    - `times`: how many requests it befalls, the next is answered; `asked`: how many are made
    - `heard`: how much of the text comes before the fault
    - `code`: of the error at the end; without one, the turn completes
    - `told`: what of the bill the provider tells; `doubtful`: it may bill more than that
    """

    name: str
    failure: ErrorReply | None = None
    fault: Fault | None = None
    delay: float = 0.0
    times: int = 1
    asked: int = 1
    heard: Heard = "all"
    code: str | None = None
    told: Told = "all"
    doubtful: bool = False
    settings: dict[str, float] = {}

    @property
    def retryable(self) -> bool:
        """Whether the client is told to send again."""
        return self.failure is None or self.failure.status >= 429

    @property
    def retry_after_ms(self) -> int | None:
        """When it is told to."""
        if self.failure is None or self.failure.retry_after is None:
            return None
        return round(self.failure.retry_after * 1_000)


def cells() -> Iterator[Cell]:
    """Every fault at every place where there can be one."""
    yield from _refusals()
    yield from _failures_to_begin()
    yield from _breaks()
    yield from _garbles()
    yield from _oddities()


def _refusals() -> Iterator[Cell]:
    """What is not tried again."""
    refusals = {
        "400": ("LLM_ERROR", ErrorReply(400)),
        "401": ("NO_API_KEY", ErrorReply(401)),
        "429-for_a_minute": ("RATE_LIMITED", ErrorReply(429, retry_after=60)),
    }
    for name, (code, failure) in refusals.items():
        yield Cell(name=name, failure=failure, code=code, heard="nothing", told="nothing")


def _failures_to_begin() -> Iterator[Cell]:
    for status, code in ((429, "RATE_LIMITED"), (500, "LLM_ERROR"), (529, "OVERLOADED")):
        failure = ErrorReply(status, retry_after=0.01 if status == 429 else None)
        yield from _tried_again(Cell(name=f"{status}", failure=failure, code=code))
    yield from _tried_again(Cell(name="hang_up", fault=Fault("hang_up"), code="LLM_ERROR"))
    yield from _tried_again(Cell(name="silence", delay=math.inf, code="LLM_TIMEOUT", doubtful=True))
    for kind, code in BREAKS.items():
        doubtful = kind != "error"
        yield from _tried_again(Cell(name=kind, fault=Fault(kind), code=code, doubtful=doubtful))


def _tried_again(cell: Cell) -> Iterator[Cell]:
    """Before the first event: at the first attempt only, and at both."""
    waits = cell.code == "LLM_TIMEOUT"
    yield msgspec.structs.replace(
        cell,
        name=f"{cell.name}-before_once",
        asked=2,
        heard="nothing",
        code=None,
        settings={"first_content_seconds": 0.4} if waits else {},
    )
    yield msgspec.structs.replace(
        cell,
        name=f"{cell.name}-before",
        times=2,
        asked=2,
        heard="nothing",
        told="nothing",
        settings={"first_content_seconds": 0.1} if waits else {},
    )


BREAKS: dict[FaultKind, str] = {
    "error": "OVERLOADED",
    "reset": "LLM_ERROR",
    "truncate": "LLM_ERROR",
    "end": "LLM_ERROR",
    "stall": "LLM_TIMEOUT",
    "pings": "LLM_TIMEOUT",
}
GARBLES: tuple[FaultKind, ...] = ("bad_json", "bad_utf8")


def _breaks() -> Iterator[Cell]:
    for kind, code in {**BREAKS, **dict.fromkeys(GARBLES, "LLM_ERROR")}.items():
        settings = {"llm_idle_seconds": 0.2} if code == "LLM_TIMEOUT" else {}
        cell = Cell(name=f"{kind}-end", fault=Fault(kind, -1), code=code, settings=settings)
        yield cell
        yield msgspec.structs.replace(
            cell,
            name=f"{kind}-amid",
            fault=Fault(kind, AMID),
            heard="half",
            told="the input",
            doubtful=True,
        )
        yield msgspec.structs.replace(
            cell,
            name=f"{kind}-begun",
            fault=Fault(kind, BEGUN),
            heard="nothing",
            told="the input",
            doubtful=True,
            settings={"first_content_seconds": 1.0} if settings else {},
        )


def _garbles() -> Iterator[Cell]:
    """What is not tried again, though nothing has come; and what comes in the wrong place."""
    nothing = Cell(name="", code="LLM_ERROR", heard="nothing", told="nothing", doubtful=True)
    for kind in (*GARBLES, "out_of_order"):
        yield msgspec.structs.replace(nothing, name=f"{kind}-before", fault=Fault(kind))
    for place, at, heard in (("amid", SECOND_BLOCK, "the first block"), ("end", -2, "all")):
        yield msgspec.structs.replace(
            nothing,
            name=f"out_of_order-{place}",
            fault=Fault("out_of_order", at),
            heard=heard,
            told="the input",
        )


def _oddities() -> Iterator[Cell]:
    """What does no harm."""
    places: dict[str, tuple[int, Heard]] = {
        "before": (0, "nothing"),
        "amid": (AMID, "half"),
        "end": (-1, "all"),
    }
    for place, (at, heard) in places.items():
        yield Cell(name=f"unknown_event-{place}", fault=Fault("unknown_event", at), heard=heard)
    yield Cell(name="double_stop-end", fault=Fault("double_stop"))
