"""From a turn's events to the frames of one watcher."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.codec import JSON, MSGPACK, Codec
from protocol.context import SentContext
from protocol.errors import Failure
from protocol.server import (
    ChatStreamDelta,
    ChatStreamEnd,
    ChatStreamReasoning,
    ChatStreamSource,
    ChatStreamStart,
    ErrorMessage,
    ServerMessage,
    SessionCreated,
    StepUsage,
    ToolCall,
    Usage,
    WireCost,
)
from protocol.stopping import StopDetails
from protocol.tools import ToolAnswer
from protocol.turn import (
    LONGEST_JOINED,
    ApprovalAsked,
    Ended,
    Failed,
    Noticed,
    Reasoning,
    SourceFound,
    Started,
    Text,
    ToolAnswered,
    ToolCalled,
    TurnEvent,
    frames,
    size_of,
)
from protocol.usage import TokenCounts

USAGE = Usage.of(TokenCounts(uncached=1, output=2), estimated=False)
COST = WireCost(input_cost=Decimal(1), output_cost=Decimal(2), total_cost=Decimal(3))
STARTED = Started(session_id="s", model="m", turn_id="t", new_session_key=None)
FAILURE = Failure(code="LLM_ERROR", message="Send again.", retryable=True)

some_text = st.text(min_size=1, max_size=4) | st.just("x" * (LONGEST_JOINED // 2))
deltas = st.builds(Text, some_text, st.sampled_from(["text", "code"])) | st.builds(
    Reasoning, some_text
)
between = st.builds(SourceFound, st.sampled_from("ab"), st.none() | st.just("A")) | st.builds(
    ToolCalled, st.just("call"), st.just("tool"), st.just({"a": 1}), st.booleans()
)
logs = st.lists(deltas | deltas | deltas | between, max_size=20)


def shown(events: Sequence[TurnEvent], first: int = 0) -> list[ServerMessage]:
    return list(frames(events, first, "r"))


def in_batches(events: list[TurnEvent], places: list[int]) -> list[ServerMessage]:
    ends = sorted({0, len(events), *(place % (len(events) + 1) for place in places)})
    return [
        frame for start, end in pairwise(ends) for frame in shown(events[start:end], first=start)
    ]


def said(message: object) -> tuple[str, str]:
    """The kind of a text, and the text; for all else its name."""
    match message:
        case Text(text, kind):
            return kind, text
        case ChatStreamDelta(delta=text, content_type=kind):
            return ("code" if kind == "code" else "text"), text
        case Reasoning(text) | ChatStreamReasoning(delta=text):
            return "reasoning", text
    return "event", type(message).__name__.removeprefix("ChatStream")[:4]


def story(messages: Sequence[object]) -> list[tuple[str, str]]:
    """What a client puts together: neighbouring texts of a kind, joined; all else in its place."""
    parts: list[tuple[str, str]] = []
    for kind, text in map(said, messages):
        if parts and parts[-1][0] == kind != "event":
            parts[-1] = (kind, parts[-1][1] + text)
        else:
            parts.append((kind, text))
    return parts


def seq_of(message: ServerMessage) -> int:
    assert isinstance(message, ChatStreamDelta | ChatStreamReasoning | ChatStreamSource | ToolCall)
    return message.seq


@given(logs, st.lists(st.integers(0, 100)))
def test_however_a_log_is_read_its_text_is_the_same(
    events: list[TurnEvent], places: list[int]
) -> None:
    """To the character, and in the same order with all else: nothing is lost or repeated."""
    assert story(in_batches(events, places)) == story(events)


@given(logs, st.lists(st.integers(0, 100)))
def test_seq_grows_and_is_that_of_the_last_event_joined(
    events: list[TurnEvent], places: list[int]
) -> None:
    """So that a cursor at `seq + 1` continues exactly where the frame ends."""
    messages = in_batches(events, places)
    seqs = [seq_of(message) for message in messages]
    assert all(earlier < later for earlier, later in pairwise(seqs))
    assert not events or seqs[-1] == len(events) - 1
    for message in messages:
        seen = messages[: messages.index(message) + 1]
        assert story(seen) == story(events[: seq_of(message) + 1])


@given(logs, st.integers(0, 20))
def test_resuming_after_any_seq_gives_the_rest(events: list[TurnEvent], cut: int) -> None:
    """What came and what is resumed are the whole, to the character."""
    messages = shown(events)[:cut]
    after = seq_of(messages[-1]) + 1 if messages else 0
    assert story([*messages, *shown(events[after:], first=after)]) == story(events)


@given(logs)
def test_a_joined_frame_has_a_bounded_size(events: list[TurnEvent]) -> None:
    """The bound, and at most one delta more."""
    longest = max((len(e.text) for e in events if isinstance(e, Text | Reasoning)), default=0)
    for message in shown(events):
        if isinstance(message, ChatStreamDelta | ChatStreamReasoning):
            assert len(message.delta) < LONGEST_JOINED + longest


def test_neighbouring_deltas_of_one_kind_are_one_frame() -> None:
    """Text, code and reasoning are never mixed."""
    events: list[TurnEvent] = [
        Reasoning("a"),
        Reasoning("b"),
        Text("c", "text"),
        Text("d", "text"),
        Text("e", "code"),
    ]
    assert shown(events, first=7) == [
        ChatStreamReasoning(request_id="r", delta="ab", seq=8),
        ChatStreamDelta(request_id="r", delta="cd", seq=10),
        ChatStreamDelta(request_id="r", delta="e", content_type="code", seq=11),
    ]


@pytest.mark.parametrize(("codec", "most"), [(JSON, 3.3), (MSGPACK, 2.75)])
def test_a_delta_of_30_characters_costs_few_bytes(codec: Codec, most: float) -> None:
    """Its frame, a header of 2 bytes included, for a byte of text; most of it is fields' names."""
    (delta,) = frames([Text("x" * 30, "text")], 100, "1")
    assert (2 + len(codec.encode(delta))) / 30 < most


def test_a_turn_starts_once() -> None:
    """In a session that was there before, with one frame."""
    assert shown([STARTED]) == [
        ChatStreamStart(request_id="r", session_id="s", model="m", turn_id="t", seq=0)
    ]


def test_a_new_session_is_told_before_the_start() -> None:
    """Both carry the watcher's request id."""
    created, started = shown([msgspec.structs.replace(STARTED, new_session_key="agent:a:s")])
    assert created == SessionCreated(session_id="s", session_key="agent:a:s", request_id="r")
    assert isinstance(started, ChatStreamStart)


def test_a_source_has_its_title_when_it_is_known() -> None:
    """And no `title` otherwise."""
    with_title, without = shown([SourceFound("http://a", "A"), SourceFound("http://b", None)])
    assert msgspec.to_builtins(with_title) == {
        "type": "chat.stream.source",
        "requestId": "r",
        "source": {"url": "http://a", "title": "A"},
        "seq": 0,
    }
    assert msgspec.to_builtins(without)["source"] == {"url": "http://b"}


@pytest.mark.parametrize("client_side", [True, False])
def test_a_tool_call_says_when_the_client_must_answer(client_side: bool) -> None:
    """`clientSide` is there when it is true."""
    (call,) = shown([ToolCalled("c", "t", {"a": 1}, client_side)])
    assert msgspec.to_builtins(call) == {
        "type": "tool.call",
        "requestId": "r",
        "toolCallId": "c",
        "toolName": "t",
        "args": {"a": 1},
        "seq": 0,
        **({"clientSide": True} if client_side else {}),
    }


CALL = {"requestId": "r", "toolCallId": "c", "toolName": "t"}


@pytest.mark.parametrize("risk", ["high", None])
def test_a_call_that_needs_consent_is_asked_about(risk: Any) -> None:
    """With what it would do, and how risky that is, if that is known."""
    event = ApprovalAsked(tool_call_id="c", name="t", args={"a": 1}, risk=risk, approval="session")
    (asked,) = shown([event], first=2)
    assert msgspec.to_builtins(asked) == {
        "type": "tool.approval.request",
        **CALL,
        "args": {"a": 1},
        "seq": 2,
        "approval": "session",
        **({"risk": risk} if risk else {}),
    }


@pytest.mark.parametrize("content", ["Done.", [{"type": "text", "text": "Done."}]])
def test_a_tools_answer_is_shown_as_the_model_gets_it(content: Any) -> None:
    """Text, or blocks."""
    (result,) = shown([ToolAnswered("c", "t", ToolAnswer(content=content))])
    assert msgspec.to_builtins(result) == {
        "type": "tool.result",
        **CALL,
        "result": content,
        "seq": 0,
    }


@pytest.mark.parametrize("content", ["No.", [{"type": "image"}, {"type": "text", "text": "No."}]])
def test_a_tools_failure_is_told_in_words(content: Any) -> None:
    """Those of its text."""
    answer = ToolAnswer(content=content, is_error=True)
    (error,) = shown([ToolAnswered("c", "t", answer)])
    assert msgspec.to_builtins(error) == {"type": "tool.error", **CALL, "error": "No.", "seq": 0}


@pytest.mark.parametrize("wait", [None, 1_500])
def test_a_notice_is_told_with_its_place(wait: int | None) -> None:
    """Like everything that a turn says."""
    (notice,) = shown([Noticed(kind="retry", message="Wait.", retry_after_ms=wait)], first=3)
    told = {"type": "chat.stream.notice", "requestId": "r", "seq": 3, "kind": "retry"}
    hint = {} if wait is None else {"retryAfterMs": wait}
    assert msgspec.to_builtins(notice) == {**told, "message": "Wait.", **hint}


def test_the_steps_of_a_turn_are_told_when_they_are_several() -> None:
    """One step's figures are those of the turn."""
    step = StepUsage(stop_reason="tool_use", usage=USAGE)
    told = []
    for steps in ([step], [step, step]):
        ended = Ended(
            turn_id="t", stop_reason="end_turn", usage=USAGE, cost=COST, context=None, steps=steps
        )
        (end,) = shown([ended])
        told.append(msgspec.to_builtins(end).get("steps"))
    assert told == [None, [msgspec.to_builtins(step)] * 2]


@pytest.mark.parametrize("context", [None, SentContext(left_out_turns=1, left_out_messages=2)])
def test_an_end_carries_what_was_billed(context: SentContext | None) -> None:
    """And what was left out of the context, if anything was."""
    ended = Ended(turn_id="t", stop_reason="end_turn", usage=USAGE, cost=COST, context=context)
    (end,) = shown([ended], first=4)
    assert isinstance(end, ChatStreamEnd)
    assert (end.seq, end.usage, end.cost) == (4, USAGE, COST)
    assert ("context" in msgspec.to_builtins(end)) == (context is not None)


def test_an_end_without_a_known_price_says_null() -> None:
    """Never a guess."""
    (end,) = shown([Ended(turn_id="t", stop_reason="budget", usage=USAGE, cost=None, context=None)])
    assert msgspec.to_builtins(end)["cost"] is None


def failed(
    failure: Failure = FAILURE, usage: Usage | None = None, cost: WireCost | None = None
) -> dict[str, object]:
    (error,) = shown([Failed(turn_id="t", failure=failure, usage=usage, cost=cost)])
    assert isinstance(error, ErrorMessage)
    return dict(msgspec.to_builtins(error))


def test_a_failure_that_cost_nothing_says_nothing_of_cost() -> None:
    """Neither `usage` nor `cost`."""
    assert failed() == {
        "type": "error",
        "code": "LLM_ERROR",
        "message": "Send again.",
        "retryable": True,
        "requestId": "r",
        "turnId": "t",
    }


def test_a_failure_that_was_billed_says_so() -> None:
    """`usage` and `cost`, which is null when the price is not known."""
    billed = failed(usage=USAGE, cost=COST)
    assert "usage" in billed
    assert "cost" in billed
    assert failed(usage=USAGE)["cost"] is None


@pytest.mark.parametrize("kind", ["end", "failure"])
def test_the_end_says_why_it_stopped_and_who_answered(kind: str) -> None:
    """If the provider said why, and another model answered than was asked."""
    more: dict[str, Any] = {"stop_details": StopDetails(category="bio"), "model": "other"}
    ended = Ended(turn_id="t", stop_reason="refusal", usage=USAGE, cost=COST, context=None, **more)
    broken = Failed(turn_id="t", failure=FAILURE, usage=None, cost=None, **more)
    (frame,) = shown([ended if kind == "end" else broken])
    told = msgspec.to_builtins(frame)
    assert (told["stopDetails"], told["model"]) == ({"category": "bio"}, "other")


def test_a_failure_says_when_to_try_again_and_which_turn_is_in_the_way() -> None:
    """`retryAfterMs`, and the running turn's id rather than the refused one's."""
    failure = msgspec.structs.replace(FAILURE, retry_after_ms=5, turn_id="other")
    told = failed(failure)
    assert (told["retryAfterMs"], told["turnId"]) == (5, "other")


@given(st.text())
def test_the_size_of_an_event_grows_with_its_text(text: str) -> None:
    """And with a tool call's arguments and a source's address; the rest is a constant."""
    assert size_of(Text(text, "text")) == size_of(Reasoning(text)) == len(text) + 64
    called = ToolCalled("call", "tool", {"text": text}, client_side=True)
    assert size_of(called) == len(msgspec.json.encode({"text": text})) + 512
    assert size_of(SourceFound(text, text)) == size_of(SourceFound(text * 2, None))
    assert size_of(SourceFound(text, None)) == len(text) + 512
    assert size_of(STARTED) == 512
