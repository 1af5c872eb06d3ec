"""A turn's events as the turn log keeps them, and the frames that a watcher gets of them.

An event's place in the log is its `seq`. Events know nothing of who watches: the frames made of
them carry the watcher's own request id.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, assert_never

import msgspec
from msgspec import UNSET, UnsetType

from protocol.context import SentContext
from protocol.errors import Failure
from protocol.server import (
    ChatStreamDelta,
    ChatStreamEnd,
    ChatStreamNotice,
    ChatStreamReasoning,
    ChatStreamSource,
    ChatStreamStart,
    ContentType,
    ErrorMessage,
    NoticeKind,
    ServerMessage,
    SessionCreated,
    Source,
    StepUsage,
    ToolApprovalRequest,
    ToolCall,
    ToolError,
    ToolResult,
    Usage,
    WireCost,
)
from protocol.stopping import StopDetails
from protocol.tools import Approval, Risk, ToolAnswer

LONGEST_JOINED = 65_536
"""Characters; neighbouring deltas are joined into frames of at most about this size."""

STOP_CANCELLED = "cancelled"
STOP_BUDGET = "budget"
STOP_STEPS = "max_steps"
STOP_REPETITION = "repetition"


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """The turn is on its way to the provider; `new_session_key` when it made its session."""

    session_id: str
    model: str
    turn_id: str
    new_session_key: str | None


class Text(msgspec.Struct, frozen=True, gc=False):
    """More text, of one kind."""

    text: str
    kind: ContentType


class Reasoning(msgspec.Struct, frozen=True, gc=False):
    """More reasoning."""

    text: str


class SourceFound(msgspec.Struct, frozen=True):
    """A url that the answer rests on, or a file that the provider made for it."""

    url: str
    title: str | None
    file_id: str | None = None


class ToolCalled(msgspec.Struct, frozen=True):
    """The model calls a tool; `args` are whole."""

    tool_call_id: str
    name: str
    args: dict[str, Any]
    client_side: bool


class ApprovalAsked(msgspec.Struct, frozen=True, kw_only=True):
    """The tool waits until somebody says whether it may run, for the session or each time."""

    tool_call_id: str
    name: str
    args: dict[str, Any]
    risk: Risk | None
    approval: Approval


class ToolAnswered(msgspec.Struct, frozen=True):
    """A tool's answer, or why there is none, as the model gets it."""

    tool_call_id: str
    name: str
    answer: ToolAnswer


class Noticed(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a person who waits should know."""

    kind: NoticeKind
    message: str
    retry_after_ms: int | None = None


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """The turn is over and settled; `steps` when it asked the provider several times."""

    turn_id: str
    stop_reason: str
    usage: Usage
    cost: WireCost | None
    context: SentContext | None
    steps: list[StepUsage] = []
    stop_details: StopDetails | None = None
    model: str | None = None
    stop_sequence: str | None = None


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """The turn failed and is settled; `usage` when anything was billed.

    `model` when another one answered than was asked, here as in `Ended`.
    """

    turn_id: str
    failure: Failure
    usage: Usage | None
    cost: WireCost | None
    stop_details: StopDetails | None = None
    model: str | None = None


TurnEvent = (
    Started
    | Text
    | Reasoning
    | SourceFound
    | ToolCalled
    | ApprovalAsked
    | ToolAnswered
    | Noticed
    | Ended
    | Failed
)


SAID = (Text, Reasoning)
"""What the model says as it says it: the events that there are thousands of."""


def size_of(event: TurnEvent) -> int:
    """About how many bytes of memory an event takes, for the bound on kept logs.

    A tool call's arguments and its answer are encoded for it: once, when they are appended.
    """
    if isinstance(event, SAID):
        return len(event.text) + 64
    match event:
        case ToolCalled(args=carried) | ApprovalAsked(args=carried) | ToolAnswered(answer=carried):
            return len(msgspec.json.encode(carried)) + 512
        case SourceFound(url, title):
            return len(url) + len(title or "") + 512
        case _:
            return 512


def frames(events: Sequence[TurnEvent], first: int, request_id: str) -> Iterator[ServerMessage]:
    """The frames for `events`, of which the first has the seq `first`.

    Neighbouring deltas of one kind are joined; a joined frame carries the last one's seq.
    """
    at = 0
    while at < len(events):
        event = events[at]
        end = at + 1
        if isinstance(event, SAID):
            end = _run_end(events, at)
        yield from _frames_of(event, _joined(events, at, end), first + end - 1, request_id)
        at = end


def _run_end(events: Sequence[TurnEvent], start: int) -> int:
    """Where the run of deltas that can be joined with the one at `start` ends."""
    first = events[start]
    length = 0
    for at in range(start, len(events)):
        event = events[at]
        if type(event) is not type(first):
            return at
        assert isinstance(event, SAID)
        if length and length + len(event.text) > LONGEST_JOINED:
            return at
        if isinstance(event, Text) and event.kind != first.kind:  # type: ignore[union-attr]
            return at
        length += len(event.text)
    return len(events)


def _joined(events: Sequence[TurnEvent], start: int, end: int) -> str:
    if end - start == 1:
        return getattr(events[start], "text", "")
    return "".join(event.text for event in events[start:end])  # type: ignore[union-attr]


def _frames_of(event: TurnEvent, text: str, seq: int, request_id: str) -> Iterator[ServerMessage]:
    match event:
        case Text() | Reasoning():
            yield delta_frame(event, text, seq, request_id)
        case SourceFound(url, title, file_id):
            source = Source(url=url, title=title or UNSET, file_id=file_id or UNSET)
            yield ChatStreamSource(request_id=request_id, source=source, seq=seq)
        case ToolCalled() | ApprovalAsked() | ToolAnswered():
            yield _tool_frame(event, seq, request_id)
        case Noticed(kind=about, message=message, retry_after_ms=wait):
            yield ChatStreamNotice(
                request_id=request_id,
                seq=seq,
                kind=about,
                message=message,
                retry_after_ms=UNSET if wait is None else wait,
            )
        case Started():
            if event.new_session_key is not None:
                yield SessionCreated(
                    session_id=event.session_id,
                    session_key=event.new_session_key,
                    request_id=request_id,
                )
            yield ChatStreamStart(
                request_id=request_id,
                session_id=event.session_id,
                model=event.model,
                turn_id=event.turn_id,
                seq=seq,
            )
        case Ended():
            yield ChatStreamEnd(
                request_id=request_id,
                turn_id=event.turn_id,
                seq=seq,
                stop_reason=event.stop_reason,
                usage=event.usage,
                cost=event.cost,
                context=event.context or UNSET,
                steps=event.steps if len(event.steps) > 1 else UNSET,
                stop_details=event.stop_details or UNSET,
                model=event.model or UNSET,
                stop_sequence=event.stop_sequence or UNSET,
            )
        case Failed():
            yield _error(event, request_id)
        case _:
            assert_never(event)


def delta_frame(
    event: Text | Reasoning, text: str, seq: int, request_id: str
) -> ChatStreamDelta | ChatStreamReasoning:
    """The frame of a delta like `event` with this `text`: its own, or that of a whole run."""
    if not isinstance(event, Text):
        return ChatStreamReasoning(request_id=request_id, delta=text, seq=seq)
    # What is most often sent says what it must: a piece that names no kind is text.
    kind: Literal["code"] | UnsetType = "code" if event.kind == "code" else UNSET
    return ChatStreamDelta(request_id=request_id, delta=text, content_type=kind, seq=seq)


def _tool_frame(
    event: ToolCalled | ApprovalAsked | ToolAnswered, seq: int, request_id: str
) -> ServerMessage:
    call: dict[str, Any] = {
        "request_id": request_id,
        "tool_call_id": event.tool_call_id,
        "tool_name": event.name,
        "seq": seq,
    }
    match event:
        case ToolCalled(args=args, client_side=client_side):
            return ToolCall(**call, args=args, client_side=client_side or UNSET)
        case ApprovalAsked(args=args, risk=risk, approval=approval):
            return ToolApprovalRequest(**call, args=args, risk=risk or UNSET, approval=approval)
        case ToolAnswered(answer=ToolAnswer(is_error=True) as answer):
            return ToolError(**call, error=answer.text)
        case ToolAnswered(answer=answer):
            return ToolResult(**call, result=answer.content)
    assert_never(event)


def _error(event: Failed, request_id: str) -> ErrorMessage:
    failure = msgspec.structs.replace(event.failure, turn_id=event.failure.turn_id or event.turn_id)
    billed = event.usage is not None
    return msgspec.structs.replace(
        ErrorMessage.of(failure, request_id),
        usage=event.usage or UNSET,
        cost=event.cost if billed else UNSET,
        stop_details=event.stop_details or UNSET,
        model=event.model or UNSET,
    )
