"""Folding the provider's events into an answer."""

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.answer import MOST_OPEN, Answer
from protocol.free_form import DEEPEST, HEAVIEST
from protocol.provider.asides import AppliedEdit
from protocol.provider.content import Block
from protocol.provider.events import (
    BlockDelta,
    CacheCreation,
    CitationsDelta,
    ContentBlockDelta,
    ContentBlockStart,
    ContentBlockStop,
    InputJsonDelta,
    MalformedEvent,
    MessageDelta,
    MessageEnd,
    MessageStart,
    MessageStop,
    OutputTokensDetails,
    ProviderEvent,
    ProviderMessage,
    ProviderPing,
    ProviderUsage,
    ServerToolUse,
    SignatureDelta,
    TextDelta,
    ThinkingDelta,
    UnknownDelta,
    UnknownEvent,
    UnreadableStart,
)
from protocol.server_uses import ServerUses
from protocol.sizes import JSON_DENSITY
from protocol.sources import MOST_SOURCES
from protocol.stopping import StopDetails
from protocol.turn import Reasoning, SourceFound, Text, TurnEvent
from protocol.usage import TokenCounts

START = MessageStart(ProviderMessage("model", ProviderUsage(input_tokens=10, output_tokens=1)))
END = MessageDelta(MessageEnd("end_turn"), ProviderUsage(output_tokens=7))
STOP = MessageStop()
TEXT: Block = {"type": "text", "text": ""}
THINKING: Block = {"type": "thinking", "thinking": "", "signature": ""}
THINKING_TYPES = ("thinking", "redacted_thinking")
TOOL: Block = {"type": "tool_use", "id": "call", "name": "clock", "input": {}}


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


def begin(block: Block, index: int = 0) -> ContentBlockStart:
    return ContentBlockStart(index, block)


def grow(*deltas: BlockDelta, index: int = 0) -> list[ContentBlockDelta]:
    return [ContentBlockDelta(index, delta) for delta in deltas]


def block(begun: Block, *deltas: BlockDelta, index: int = 0) -> list[ProviderEvent]:
    return [begin(begun, index), *grow(*deltas, index=index), ContentBlockStop(index)]


def told(*events: ProviderEvent) -> tuple[Answer, list[TurnEvent]]:
    answer = Answer()
    return answer, [shown for event in events for shown in answer.feed(event)]


def shown_by(*events: ProviderEvent) -> list[TurnEvent]:
    return told(START, *events)[1]


# --- blocks ------------------------------------------------------------------------------------


def test_a_whole_answer() -> None:
    """Its blocks as the provider will want them back, its stop reason, its text."""
    answer, events = told(
        START,
        ProviderPing(),
        *block(THINKING, ThinkingDelta("Hm"), ThinkingDelta("m."), SignatureDelta("sig")),
        *block(TEXT, TextDelta("It is "), TextDelta("noon."), index=1),
        *block(TOOL, InputJsonDelta('{"zone"'), InputJsonDelta(':"UTC"}'), index=2),
        UnknownEvent("news"),
        END,
        STOP,
    )
    assert answer.blocks == [
        {"type": "thinking", "thinking": "Hmm.", "signature": "sig"},
        {"type": "text", "text": "It is noon."},
        {"type": "tool_use", "id": "call", "name": "clock", "input": {"zone": "UTC"}},
    ]
    assert answer.complete
    assert answer.stop_reason == "end_turn"
    assert answer.text == 'Hmm.It is noon.{"zone": "UTC"}'
    assert answer.size == 15 + JSON_DENSITY * len('{"zone":"UTC"}')
    assert events == [
        Reasoning("Hm"),
        Reasoning("m."),
        Text("It is ", "text"),
        Text("noon.", "text"),
    ]


def test_an_answer_is_whole_with_message_stop_alone() -> None:
    """A stop reason is not enough."""
    answer, _ = told(START, END)
    assert not answer.complete
    assert answer.output_is_final


def test_blocks_may_begin_with_content() -> None:
    """What a block begins with is shown, and grows."""
    answer, events = told(
        START,
        *block({"type": "text", "text": "Hel"}, TextDelta("lo")),
        *block({"type": "thinking", "thinking": "H"}, ThinkingDelta("m"), index=1),
        *block({"type": "text", "text": None}, TextDelta("!"), index=2),
    )
    assert [one.get("text") or one.get("thinking") for one in answer.blocks] == ["Hello", "Hm", "!"]
    assert events == [
        Text("Hel", "text"),
        Text("lo", "text"),
        Reasoning("H"),
        Reasoning("m"),
        Text("!", "text"),
    ]
    assert answer.size == 8


def test_blocks_of_other_types_are_kept_as_they_are() -> None:
    """Redacted thinking, search results, what the provider invents next."""
    blocks: list[Block] = [
        {"type": "redacted_thinking", "data": "abc"},
        {"type": "from_the_future", "x": [1, {"y": None}]},
    ]
    answer, events = told(START, *block(blocks[0]), *block(blocks[1], index=1))
    assert answer.blocks == blocks
    assert events == []
    assert answer.text == ""


@pytest.mark.parametrize("pieces", [[], [""]])
def test_an_input_that_comes_whole_stays(pieces: list[str]) -> None:
    """Some send it in the block's beginning, and after it an empty piece or none."""
    begun = {**TOOL, "input": {"zone": "UTC"}}
    answer, _ = told(START, *block(begun, *map(InputJsonDelta, pieces)))
    assert answer.blocks == [begun]
    assert answer.calls[0]["input"] == {"zone": "UTC"}


def test_a_call_may_begin_without_an_input() -> None:
    """The provider wants one back."""
    begun = {name: value for name, value in TOOL.items() if name != "input"}
    assert told(START, *block(begun))[0].blocks == [TOOL]
    answer, _ = told(START, *block(begun, InputJsonDelta('{"a":1}')))
    assert answer.blocks == [{**TOOL, "input": {"a": 1}}]


def test_half_a_character_in_arguments_is_replaced() -> None:
    """The model wrote it as an escape; two halves are a character."""
    written = InputJsonDelta('{"a":"\\ud83d","b":"\\ud83d\\ude00"}')
    answer, _ = told(START, *block(TOOL, written))
    assert answer.blocks[0]["input"] == {"a": "\ufffd", "b": "\U0001f600"}


def test_nothing_empty_is_shown() -> None:
    """An empty delta makes no event."""
    assert shown_by(*block(TEXT, TextDelta("")), *block(THINKING, ThinkingDelta(""), index=1)) == []


def test_code_is_told_from_text_across_deltas() -> None:
    """What was held back comes out when the answer ends."""
    events = [*block(TEXT, TextDelta("a\n``"), TextDelta("`py\nx\n```")), END, STOP]
    assert shown_by(*events) == [
        Text("a\n", "text"),
        Text("```py\nx\n", "code"),
        Text("```", "code"),
    ]


@given(
    text=st.text(),
    thinking=st.text(),
    zone=st.text(),
    places=st.tuples(*[st.lists(st.integers(0, 99), max_size=5)] * 3),
)
def test_however_deltas_are_cut_the_answer_is_the_same(
    text: str, thinking: str, zone: str, places: tuple[list[int], list[int], list[int]]
) -> None:
    """The same blocks, the same text, the same kinds of text."""
    arguments = '{"zone":' + repr([ord(letter) for letter in zone]) + "}"

    def answer_of(cuts: tuple[list[int], list[int], list[int]]) -> tuple[Answer, list[TurnEvent]]:
        return told(
            START,
            *block(THINKING, *map(ThinkingDelta, cut(thinking, cuts[0])), SignatureDelta("s")),
            *block(TEXT, *map(TextDelta, cut(text, cuts[1])), index=1),
            *block(TOOL, *map(InputJsonDelta, cut(arguments, cuts[2])), index=2),
            END,
            STOP,
        )

    in_pieces, pieces = answer_of(places)
    whole, events = answer_of(([], [], []))
    assert in_pieces.blocks == whole.blocks
    assert (in_pieces.text, in_pieces.counts) == (whole.text, whole.counts)
    assert in_pieces.reasoning == whole.reasoning == thinking
    least = len(text) + len(thinking) + JSON_DENSITY * len(arguments)
    assert in_pieces.size == pytest.approx(whole.size)
    assert whole.size >= least - 0.01
    assert characters(pieces) == characters(events)


def cut(text: str, places: list[int]) -> list[str]:
    ends = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:end] for start, end in pairwise(ends)]


def characters(events: list[TurnEvent]) -> list[object]:
    singles: list[object] = []
    for event in events:
        match event:
            case Text(text, kind):
                singles += [(letter, kind) for letter in text]
            case Reasoning(text):
                singles += [(letter, "reasoning") for letter in text]
            case _:
                singles.append(event)
    return singles


# --- tool calls --------------------------------------------------------------------------------


def test_nothing_is_shown_of_a_call() -> None:
    """Not before the answer stands, and then it is not for the answer to say who runs it."""
    answer, events = told(START, *block(TOOL), MessageDelta(MessageEnd("tool_use")), STOP)
    assert (answer.calls, events) == ([TOOL], [])


def test_a_tool_of_the_providers_own_is_not_called_here() -> None:
    """It is kept, with its arguments."""
    search = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    answer, events = told(START, *block(search, InputJsonDelta('{"query":"trio"}')))
    assert answer.blocks == [{**search, "input": {"query": "trio"}}]
    assert events == []


@pytest.mark.parametrize("pieces", [[], [""], ["{", "}"]])
def test_a_call_without_arguments_has_none(pieces: list[str]) -> None:
    """However that is said."""
    answer, _ = told(START, *block(TOOL, *map(InputJsonDelta, pieces)))
    assert answer.blocks == [TOOL]


def test_enormous_integers_are_kept() -> None:
    """The provider gets back what it sent."""
    answer, _ = told(START, *block(TOOL, InputJsonDelta('{"n":' + "9" * 30 + "}")))
    assert answer.blocks[0]["input"] == {"n": 10**30 - 1}


def test_a_call_that_the_limit_cut_off_is_kept_with_what_is_wrong() -> None:
    """With `max_tokens` half a call is nothing to wonder at, and the bill is the final one."""
    answer, events = told(
        START,
        *block(TEXT, TextDelta("Well,")),
        *block(TOOL, InputJsonDelta('{"zone": "U'), index=1),
        MessageDelta(MessageEnd("max_tokens"), ProviderUsage(output_tokens=9)),
        STOP,
    )
    assert answer.complete
    assert answer.output_is_final
    assert answer.kept_blocks()[1:] == [TOOL]
    assert "not a whole one" in answer.faults["call"]
    assert events == [Text("Well,", "text")]


def test_a_call_that_cannot_be_run_is_known_by_its_id() -> None:
    """The others can."""
    good, bad = {**TOOL, "id": "good"}, {**TOOL, "id": "bad", "name": "?"}
    answer, _ = told(START, *block(good), *block(bad, index=1))
    assert answer.calls == [good, {**bad, "name": "_"}]
    assert list(answer.faults) == ["bad"]


HEAVY = '{"a":[' + "[]," * (HEAVIEST // 5) + "[]]}"


@pytest.mark.parametrize("arguments", ["{", "[]", "7", HEAVY], ids=["{", "[]", "7", "heavy"])
def test_a_use_of_the_providers_own_tool_has_an_object_for_its_arguments(arguments: str) -> None:
    """Nothing else is taken back; the provider has told what came of it."""
    answer, _ = told(START, *block(SEARCH, InputJsonDelta(arguments)))
    assert answer.blocks == [SEARCH]


def test_an_answer_that_says_nothing_may_be_at_work() -> None:
    """It thinks, writes arguments, waits for a tool of the provider's, or is between two blocks.

    Text comes as it is written, and nothing is left to do once the answer is closing.
    """
    found = {"type": "web_search_tool_result", "tool_use_id": "s", "content": []}
    search = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    answer, seen = Answer(), []
    for event in (
        START,
        *block(THINKING, ThinkingDelta("Hm")),
        *block(TEXT, TextDelta("Well")),
        *block(search),
        *block(found),
        *block(TOOL),
        MessageDelta(MessageEnd(stop_reason="end_turn")),
    ):
        answer.feed(event)
        seen.append(answer.is_working)
    assert seen == [
        True,
        *[True] * 3,
        *[False, False, True],
        *[True] * 2,
        *[True] * 2,
        *[True] * 2,
        False,
    ]


def test_text_next_to_a_running_tool_is_no_reason_to_give_up() -> None:
    """The tool still runs."""
    search = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    answer, _ = told(START, *block(search), ContentBlockStart(1, TEXT))
    assert answer.is_working


# --- who answers, and why it stops -------------------------------------------------------------


def test_the_model_that_answers_is_known() -> None:
    """As soon as the answer begins."""
    assert told()[0].model is None
    assert told(START)[0].model == "model"


@pytest.mark.parametrize("message", ['{"id":"m","model":null}', '{"model":""}', "{}"])
def test_a_proxy_need_not_name_the_model(message: str) -> None:
    """Then the one that was asked has answered."""
    event = msgspec.json.decode(
        f'{{"type":"message_start","message":{message}}}', type=MessageStart
    )
    answer, _ = told(event)
    assert (answer.started, answer.model) == (True, None)


def test_what_was_done_to_the_request_may_be_of_any_type() -> None:
    """The provider may add some; those that are known are counted."""
    reason = "prefix_binding_mismatch"
    start = {
        "id": "m",
        "model": "model",
        "input_transformations": [
            {"type": "thinking_dropped", "path": "messages.1.content.0", "reason": reason},
            {"type": "thinking_mismatch_allowed", "path": None, "reason": reason},
            {"type": "thinking_dropped", "reason": "model_binding_mismatch"},
            {"type": ["new"], "reason": None},
        ],
    }
    answer, _ = told(MessageStart(msgspec.convert(start, ProviderMessage)))
    assert (answer.mismatched, answer.dropped) == (2, 1)


ODD = [5, "x", [5], {"x": 5}, {"applied_edits": 5}, {"applied_edits": [5, {}]}, True]
"""What a proxy may make of a field that it does not know."""


@pytest.mark.parametrize("odd", ODD, ids=str)
def test_a_field_without_which_the_answer_is_whole_may_be_odd(odd: Any) -> None:
    """It counts as not told, and what was told before stays."""
    container = {"id": "container_1"}
    usage = ProviderUsage(input_tokens=10, output_tokens=1)
    start = MessageStart(ProviderMessage("model", usage, odd, container))
    text = begin({"type": "text", "text": "Hi", "citations": odd})
    cited = ContentBlockDelta(0, CitationsDelta(odd))
    end = MessageEnd("end_turn", stop_details=odd, stop_sequence=odd, container=odd)
    answer, _ = told(start, text, cited, ContentBlockStop(0), MessageDelta(end, usage, odd), STOP)
    assert answer.complete
    assert (answer.said, answer.container) == ("Hi", container)
    assert (answer.mismatched, answer.dropped) == (0, 0)
    assert sum(edit.cleared_input_tokens for edit in answer.edits) == 0


@pytest.mark.parametrize("odd", [5, None, [], {}])
def test_an_odd_reason_to_stop_and_an_odd_model_are_not_told(odd: Any) -> None:
    """A reason that was told before stays."""
    usage = ProviderUsage(input_tokens=10, output_tokens=1)
    start = MessageStart(ProviderMessage(odd, usage))
    ends = [MessageDelta(MessageEnd(reason), usage) for reason in ("end_turn", odd)]
    answer, _ = told(start, *ends, STOP)
    assert (answer.model, answer.stop_reason) == (None, "end_turn")


@pytest.mark.parametrize("odd", [-1, 10**9 + 1, "5", None, True, 1.5])
def test_an_odd_figure_of_what_was_cleared_is_none(odd: object) -> None:
    """The others count."""
    edits = [{"cleared_tool_uses": odd, "cleared_input_tokens": 7}, {"cleared_input_tokens": odd}]
    end = MessageDelta(MessageEnd("end_turn"), ProviderUsage(), {"applied_edits": edits})
    answer, _ = told(START, end, STOP)
    assert answer.edits == [AppliedEdit(0, 7), AppliedEdit(0, 0)]


def test_an_answer_says_why_it_stopped() -> None:
    """Later figures do not take it back."""
    details = {"type": "refusal", "category": "bio", "explanation": None}
    refusal = MessageDelta(MessageEnd("refusal", details), ProviderUsage(output_tokens=1))
    answer, _ = told(START, refusal, MessageDelta(MessageEnd()), STOP)
    assert answer.stop_details == StopDetails(category="bio")


@pytest.mark.parametrize(("text", "is_free"), [("", True), ("N", False)])
def test_a_refusal_in_which_nothing_stands_is_free(text: str, is_free: bool) -> None:
    """A block of text alone is no output."""
    answer, _ = told(
        START, *block({"type": "text", "text": text}), MessageDelta(MessageEnd("refusal"))
    )
    assert answer.terms("model").is_free is is_free


# --- sources -----------------------------------------------------------------------------------


def test_each_url_is_a_source_once() -> None:
    """From search results and from citations, in the order in which they come."""
    results = {
        "type": "web_search_tool_result",
        "content": [
            {"type": "web_search_result", "url": "https://a.example", "title": "A"},
            {"type": "web_search_result", "url": "http://b.example", "title": None},
        ],
    }
    again: Block = {"type": "web_search_result_location", "url": "https://a.example", "title": "A"}
    own: Block = {
        "type": "search_result_location",
        "source": "https://c.example",
        "title": "C",
        "cited_text": "c",
    }
    answer, events = told(
        START,
        *block(results),
        *block(TEXT, TextDelta("So."), CitationsDelta(again), CitationsDelta(own), index=1),
    )
    assert events == [
        SourceFound("https://a.example", "A"),
        SourceFound("http://b.example", None),
        Text("So.", "text"),
        SourceFound("https://c.example", "C"),
    ]
    assert answer.blocks[1] == {"type": "text", "text": "So.", "citations": [again, own]}


def test_citations_are_added_to_those_a_block_began_with() -> None:
    """Null is none."""
    answer, _ = told(
        START,
        *block({**TEXT, "citations": [{"n": 1}]}, CitationsDelta({"n": 2})),
        *block({**TEXT, "citations": None}, CitationsDelta({"n": 3}), index=1),
    )
    assert [one["citations"] for one in answer.blocks] == [[{"n": 1}, {"n": 2}], [{"n": 3}]]


@pytest.mark.parametrize(
    "citation",
    [
        {"type": "char_location", "document_index": 0, "cited_text": "x"},
        {"type": "search_result_location", "source": "notes.txt"},
        {"url": "javascript:alert(1)"},
        {"url": "file:///etc/passwd", "title": "x"},
    ],
    ids=["document", "own search", "script", "file"],
)
def test_what_has_no_web_address_is_no_source(citation: Block) -> None:
    """It is kept with its block, and not shown."""
    answer, events = told(START, *block(TEXT, CitationsDelta(citation)))
    assert events == []
    assert answer.blocks[0]["citations"] == [citation]


def test_a_turn_shows_no_more_than_so_many_sources() -> None:
    """Each is a frame for the client."""
    results = [{"type": "web_search_result", "url": f"https://a.example/{n}"} for n in range(1_500)]
    found = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": results}
    assert len(shown_by(begin(found))) == MOST_SOURCES


def test_a_failed_search_has_no_sources() -> None:
    """Its content is an error."""
    error = {"type": "web_search_tool_result_error", "error_code": "unavailable"}
    assert shown_by(*block({"type": "web_search_tool_result", "content": error})) == []


# --- usage -------------------------------------------------------------------------------------

figures = st.none() | st.integers(0, 10**6)
usages = st.builds(
    ProviderUsage,
    input_tokens=figures,
    output_tokens=figures,
    cache_creation_input_tokens=figures,
    cache_read_input_tokens=figures,
    cache_creation=st.none()
    | st.builds(CacheCreation, st.integers(0, 10**6), st.integers(0, 10**6)),
    server_tool_use=st.none() | st.builds(ServerToolUse, st.integers(0, 9)),
    output_tokens_details=st.none() | st.builds(OutputTokensDetails, st.integers(0, 10**6)),
)


@given(st.lists(usages, min_size=1))
def test_a_later_figure_replaces_an_earlier_one(told_usages: list[ProviderUsage]) -> None:
    """Cumulative figures are never added; what is not told again stays."""
    first, *later = told_usages
    answer, _ = told(
        MessageStart(ProviderMessage("model", first)),
        *(MessageDelta(MessageEnd(), usage) for usage in later),
    )

    def last(name: str, inner: str | None = None) -> Any:
        values = [getattr(usage, name) for usage in told_usages]
        known = [value for value in values if value is not None] or [None]
        return getattr(known[-1], inner, None) or 0 if inner else known[-1] or 0

    kinds = (
        last("cache_creation", "ephemeral_5m_input_tokens"),
        last("cache_creation", "ephemeral_1h_input_tokens"),
    )
    written = max(last("cache_creation_input_tokens"), sum(kinds))
    assert answer.counts.cache_write5m + answer.counts.cache_write1h == written
    assert answer.counts == TokenCounts(
        uncached=last("input_tokens"),
        cache_read=last("cache_read_input_tokens"),
        cache_write5m=answer.counts.cache_write5m,
        cache_write1h=answer.counts.cache_write1h,
        output=last("output_tokens"),
        thinking=last("output_tokens_details", "thinking_tokens"),
        web_searches=last("server_tool_use", "web_search_requests"),
    )
    assert answer.counts.input == (last("input_tokens") + last("cache_read_input_tokens") + written)


def test_nothing_is_billed_before_the_start() -> None:
    """All zero."""
    assert Answer().counts == TokenCounts()


@pytest.mark.parametrize(
    ("begun", "tells"),
    [
        (TEXT, True),
        (TOOL, True),
        ({"type": "new"}, True),
        ({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}, False),
        ({"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}, False),
        (
            {"type": "bash_code_execution_tool_result", "tool_use_id": "srvtoolu_1", "content": {}},
            False,
        ),
    ],
)
def test_a_bill_of_several_passes_says_nothing_of_the_prompt(begun: Block, tells: bool) -> None:
    """The prompt is billed again with what the provider's tools brought."""
    assert not Answer().tells_size
    answer, _ = told(START, *block(begun))
    assert answer.tells_size == tells


def test_passes_that_are_told_say_the_same() -> None:
    """Whatever the blocks are."""
    passes = [{"type": "message"}, {"type": "message"}]
    answer, _ = told(START, MessageDelta(MessageEnd(), ProviderUsage(iterations=passes)))
    assert not answer.tells_size


def test_the_output_is_final_once_it_is_told_with_a_stop_reason() -> None:
    """The figure of message_start is only its beginning."""
    answer, _ = told(START)
    finals = []
    for event in (
        MessageDelta(MessageEnd(), ProviderUsage(output_tokens=3)),
        MessageDelta(MessageEnd("max_tokens")),
        MessageDelta(MessageEnd(), ProviderUsage(output_tokens=4)),
        MessageDelta(MessageEnd()),
    ):
        answer.feed(event)
        finals.append(answer.output_is_final)
    assert finals == [False, False, True, True]
    assert (answer.stop_reason, answer.counts.output) == ("max_tokens", 4)


# --- answers that break off --------------------------------------------------------------------


SIGNED: Block = {"type": "thinking", "thinking": "Hm.", "signature": "sig"}
REDACTED: Block = {"type": "redacted_thinking", "data": "abc"}
SEARCH: Block = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
FOUND: Block = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
SAID: Block = {"type": "text", "text": "Well."}


def broken_off(*blocks: Block, rest: Iterable[ProviderEvent] = ()) -> list[Block]:
    """What history keeps of an answer with these blocks and no end."""
    events = [event for index, one in enumerate(blocks) for event in block(one, index=index)]
    return told(START, *events, *rest)[0].kept_blocks()


def whole(*blocks: Block) -> list[Block]:
    """What history keeps of a whole answer with these blocks."""
    events = [event for index, one in enumerate(blocks) for event in block(one, index=index)]
    return told(START, *events, END, STOP)[0].kept_blocks()


def test_a_whole_answer_is_kept_as_it_came() -> None:
    """In its order: empty thinking, calls, searches, and what the provider invents next."""
    came: list[Block] = [
        {"type": "thinking", "thinking": "", "signature": "sig"},
        SEARCH,
        REDACTED,
        FOUND,
        {"type": "from_the_future", "x": 1},
        SIGNED,
        SAID,
        TOOL,
    ]
    assert whole(*came) == came
    assert whole() == []


def test_what_grew_in_an_unknown_way_does_not_go_back() -> None:
    """It would not be what the provider sent, and the thinking after it is bound to it."""

    def grown(one: Block) -> list[Block]:
        rest = [*block(one, index=1), *block(SIGNED, index=2), *block(SAID, index=3), END, STOP]
        unknown = UnknownDelta(1, "news")
        answer, _ = told(START, *block(SIGNED), rest[0], unknown, *rest[1:])
        return answer.kept_blocks()

    assert grown({"type": "from_the_future"}) == [SIGNED, SAID]
    assert grown(SIGNED) == [SIGNED, SAID]
    assert grown(SAID) == [SIGNED, SAID, SIGNED, SAID], "it is what the model said"


CITED: Block = {"type": "text", "text": "Well.", "citations": []}


@pytest.mark.parametrize(
    ("one", "strays", "kept"),
    [
        (SIGNED, [TextDelta("a"), CitationsDelta({"url": "u"})], []),
        (REDACTED, [SignatureDelta("s"), TextDelta("a")], []),
        (FOUND, [InputJsonDelta("{}")], []),
        (SEARCH, [ThinkingDelta("a")], [SEARCH]),
        (TOOL, [TextDelta("a")], [TOOL]),
        (SAID, [ThinkingDelta("a"), SignatureDelta("s")], [SAID]),
        (CITED, [CitationsDelta(None)], [CITED]),
    ],
    ids=lambda one: one.get("type") if isinstance(one, dict) else None,
)
def test_a_piece_of_another_type_is_no_part_of_its_block(
    one: Block, strays: list[BlockDelta], kept: list[Block]
) -> None:
    """The block goes back without it, or not at all: the provider takes no field that is odd."""
    before = [SEARCH] if one is FOUND else []
    lead = [event for index, made in enumerate(before) for event in block(made, index=index)]
    pieces = block(one, *strays, index=len(before))
    answer, events = told(START, *lead, *pieces, END, STOP)
    assert answer.kept_blocks() == kept
    shown = [type(event) for event in events if isinstance(event, Text | Reasoning)]
    said = {TextDelta: Text, ThinkingDelta: Reasoning}
    assert set(shown) >= {said[type(stray)] for stray in strays if type(stray) in said}


def test_an_unknown_delta_of_no_block_is_nothing() -> None:
    """It is no piece of anything that is kept."""
    answer, events = told(START, UnknownDelta(7, "news"), *block(TEXT, TextDelta("a")), END, STOP)
    assert answer.complete
    assert events == [Text("a", "text")]


def test_a_broken_off_answer_is_kept_up_to_its_last_whole_block() -> None:
    """And with the text of the block that broke off."""
    rest: list[ProviderEvent] = [begin(TEXT, 9), *grow(TextDelta("So f"), index=9)]
    assert broken_off(SIGNED, REDACTED, SEARCH, FOUND, SAID, rest=rest) == [
        SIGNED,
        REDACTED,
        SEARCH,
        FOUND,
        SAID,
        {"type": "text", "text": "So f"},
    ]
    rest = [begin(TOOL, 9), *grow(InputJsonDelta('{"zo'), index=9)]
    assert broken_off(SAID, rest=rest) == [SAID]


def test_a_broken_off_answer_keeps_whole_calls_and_no_thought_without_its_signature() -> None:
    """The model learns that nobody ran the one; the provider does not take back the other."""
    unsigned = {"type": "thinking", "thinking": "unsigned"}
    assert broken_off(SAID, TOOL) == [SAID, TOOL]
    assert broken_off(SIGNED, SAID, unsigned, SAID) == [SIGNED, SAID, SAID]


def test_no_block_is_taken_out_from_in_front_of_kept_thinking() -> None:
    """Thinking is bound to what stood before it, so it goes with what is missing there."""
    blank = {"type": "text", "text": " \n"}
    assert whole(SIGNED, blank, SIGNED, SAID, REDACTED, SAID) == [SIGNED, SAID, SAID]
    assert broken_off(SIGNED, blank, SIGNED, SAID) == [SIGNED, SAID]


def test_an_answer_that_calls_tools_keeps_its_thinking() -> None:
    """It is not over, and the provider takes none out of it before it is."""
    blank = {"type": "text", "text": " \n"}
    assert whole(SIGNED, blank, SIGNED, TOOL) == [SIGNED, SIGNED, TOOL]


@pytest.mark.parametrize("keep", [whole, broken_off])
def test_no_answer_ends_with_thinking(keep: Callable[..., list[Block]]) -> None:
    """The provider refuses a message that does."""
    assert keep(SIGNED) == []
    assert keep(SAID, SIGNED, REDACTED) == [SAID]
    assert keep(SAID, SIGNED, {"type": "text", "text": ""}) == [SAID]


def test_a_search_without_its_result_stays() -> None:
    """An answer may pause between the two; what is never taken up is mended later."""
    assert whole(SAID, SEARCH) == [SAID, SEARCH]
    assert broken_off(SAID, SEARCH) == [SAID, SEARCH]


def test_a_use_that_would_not_be_taken_back_goes_with_its_result() -> None:
    """And with the thinking after it, but in a tool loop."""
    odd = {**SEARCH, "name": "web search"}
    assert whole(SIGNED, SAID, odd, FOUND, SIGNED, SAID) == [SIGNED, SAID, SAID]
    assert broken_off(SIGNED, SAID, odd, FOUND, SIGNED, SAID) == [SIGNED, SAID, SAID]
    assert whole(SIGNED, odd, FOUND, SIGNED, TOOL) == [SIGNED, SIGNED, TOOL]
    assert whole({**SEARCH, "id": "toolu_1"}, SAID) == [SAID]


def test_a_result_that_would_not_be_taken_back_goes_with_its_use() -> None:
    """But where another result of the use is kept."""
    odd = {**FOUND, "content": ["a page"]}
    assert whole(SAID, SEARCH, odd, SIGNED, SAID) == [SAID, SAID]
    assert whole(SEARCH, FOUND, FOUND, SAID) == [SEARCH, FOUND, SAID]
    assert whole(SEARCH, odd, FOUND, SAID) == [SEARCH, FOUND, SAID]
    assert whole(FOUND, SEARCH, SAID) == [SAID]
    assert whole(SEARCH, {**FOUND, "tool_use_id": "srvtoolu_2"}, SAID) == [SEARCH, SAID]


def test_a_result_may_come_in_a_later_answer_of_the_turn() -> None:
    """The use paused in between."""
    uses = ServerUses()
    for came in (SEARCH, FOUND):
        answer = Answer(uses=uses)
        for event in (START, *block(came), *block(SAID), END, STOP):
            answer.feed(event)
        assert answer.kept_blocks() == [came, SAID]


def test_what_is_no_citation_is_left_out_of_a_text() -> None:
    """The text is what the model said."""
    cited = {"type": "web_search_result_location", "url": "https://a.example/"}
    assert whole({**SAID, "citations": [7, cited]}) == [{**SAID, "citations": [cited]}]


def test_no_thinking_without_a_signature_goes_back() -> None:
    """Not in a tool loop either: the provider refuses it, and the turn would be lost."""
    unsigned: Block = {"type": "thinking", "thinking": "Hm."}
    assert whole(unsigned, SAID) == [SAID]
    assert whole({**unsigned, "signature": ""}, SIGNED, TOOL) == [SIGNED, TOOL]


def test_no_redacted_thinking_without_its_data_goes_back() -> None:
    """Nor the thinking after it."""
    assert whole({**REDACTED, "data": 1}, SIGNED, SAID) == [SAID]
    assert whole({"type": "redacted_thinking"}, SAID) == [SAID]


def test_a_citation_of_odd_fields_does_not_go_back() -> None:
    """The provider would refuse all of the session for it; the text stays."""
    fits = {"type": "web_search_result_location", "url": "https://a.example", "title": None}
    odd = [{**fits, "url": 7}, {**fits, "encrypted_index": None}, {**fits, "type": 1.5}]
    assert whole({**SAID, "citations": [fits, *odd]}) == [{**SAID, "citations": [fits]}]
    pieces = block(CITED, *map(CitationsDelta, [*odd, fits]))
    assert told(START, *pieces, END, STOP)[0].kept_blocks() == [{**SAID, "citations": [fits]}]


def test_a_result_of_odd_fields_does_not_go_back() -> None:
    """Nor its use."""
    result = {"type": "web_search_result", "url": "https://a.example", "encrypted_content": 7}
    assert whole(SEARCH, {**FOUND, "content": [result]}, SAID) == [SAID]


def test_text_held_back_can_be_had_when_the_answer_breaks_off() -> None:
    """Once."""
    answer, events = told(START, begin(TEXT), *grow(TextDelta("a\n``")))
    assert events == [Text("a\n", "text")]
    assert answer.flush() == [Text("``", "text")]
    assert answer.flush() == []
    assert answer.text == "a\n``"


def test_the_text_of_an_open_block_counts_from_its_beginning() -> None:
    """For an estimate of what was never billed."""
    answer, _ = told(START, begin({"type": "text", "text": "Hel"}), *grow(TextDelta("lo")))
    assert answer.text == "Hello"


# --- events out of order -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "events",
    [
        [START, START],
        [begin(TEXT)],
        [END],
        [STOP],
        [START, begin(TEXT), begin(TEXT)],
        [START, *grow(TextDelta("x"))],
        [START, ContentBlockStop(0)],
        [START, begin(TEXT), *grow(TextDelta("x"), index=1)],
        [START, *block(TEXT), *grow(TextDelta("x"))],
        [START, STOP],
        [START, END, begin(TEXT), STOP],
        [START, begin(TEXT), *grow(InputJsonDelta("{}"))],
        [START, END, STOP, STOP],
        [START, END, STOP, END],
        [START, END, STOP, begin(TEXT)],
        [UnreadableStart()],
    ],
)
def test_an_event_out_of_order_is_malformed(events: list[ProviderEvent]) -> None:
    """The last one of each row."""
    *before, last = events
    answer, _ = told(*before)
    with pytest.raises(MalformedEvent):
        answer.feed(last)


@pytest.mark.parametrize(
    "begun",
    [
        {},
        {"type": 7},
        {"type": ["text"]},
        {"type": "text", "text": 5},
        {"type": "thinking", "thinking": ["Hm"]},
        {"type": "server_tool_use", "id": [], "name": "web_search", "input": {}},
        {"type": "web_search_tool_result", "tool_use_id": {}, "content": []},
        {"type": "new", "found": deep(DEEPEST)},
    ],
    ids=str,
)
def test_a_block_that_cannot_be_read_is_malformed(begun: Block) -> None:
    """It would fail each later request of the session, or what reads it again."""
    answer, _ = told(START)
    with pytest.raises(MalformedEvent):
        answer.feed(begin(begun))
    assert not answer.kept_blocks()


def test_arguments_that_come_whole_may_be_nested_too_deeply() -> None:
    """The session goes on, as it does where they are written piece by piece."""
    given = {"a": deep(DEEPEST)}
    answer, _ = told(START, *block({**TOOL, "input": given}), *block({**SEARCH, "input": given}))
    assert answer.blocks == [TOOL, SEARCH]
    assert answer.faults == {"call": "The arguments are nested too deeply. Nothing was run."}
    answer, _ = told(START, begin({**TOOL, "input": {"a": deep(900)}}))
    assert answer.text == ""


def test_a_block_of_an_unknown_type_may_have_any_fields() -> None:
    """It stays as it came; what grows in a field of another kind takes its place."""
    odd = {"type": "new", "text": {}, "thinking": 5, "citations": 7, "tool_use_id": []}
    grown = grow(TextDelta("a"), ThinkingDelta("b"), CitationsDelta({"url": "https://a.example"}))
    answer, _ = told(START, *block(odd), begin(odd, 1))
    assert answer.kept_blocks() == [odd]
    assert (answer.text, answer.said, answer.reasoning) == ("", "", "")
    answer, _ = told(START, begin(odd), *grown, ContentBlockStop(0))
    assert answer.blocks[0]["text"] == "a"
    assert answer.blocks[0]["thinking"] == "b"
    assert answer.blocks[0]["citations"] == [{"url": "https://a.example"}]


def test_a_text_that_never_came_says_nothing() -> None:
    """Its block has no text at all, or `null`."""
    answer, _ = told(START, *block({"type": "text"}), *block({"type": "text", "text": None}))
    assert answer.said == ""
    assert answer.kept_blocks() == []


blocks = st.sampled_from([TEXT, THINKING, TOOL, {"type": "redacted_thinking", "data": "x"}])
some_deltas = st.sampled_from(
    [
        TextDelta("t"),
        ThinkingDelta("h"),
        InputJsonDelta("{"),
        InputJsonDelta("}"),
        SignatureDelta("s"),
        CitationsDelta({"url": "https://a.example"}),
    ]
)
indexes = st.integers(0, 2)
any_events = st.one_of(
    st.sampled_from([START, END, STOP, ProviderPing(), UnknownEvent("x")]),
    st.builds(ContentBlockStart, indexes, blocks),
    st.builds(ContentBlockDelta, indexes, some_deltas),
    st.builds(ContentBlockStop, indexes),
)


def test_no_more_than_so_many_blocks_are_open_at_once() -> None:
    """What is looked at with every event is bounded; each that ends makes room for another."""
    answer, _ = told(START, *[begin(TEXT, index) for index in range(MOST_OPEN)])
    with pytest.raises(MalformedEvent):
        answer.feed(begin(TEXT, MOST_OPEN))
    answer.feed(ContentBlockStop(0))
    answer.feed(begin(TEXT, MOST_OPEN))


@given(st.lists(any_events, max_size=30))
def test_in_any_order_events_are_taken_or_malformed(events: list[ProviderEvent]) -> None:
    """No other exception, and what was received can always be had."""
    answer, _ = told(START)
    for event in events:
        try:
            answer.feed(event)
        except MalformedEvent:
            continue
    kept = answer.kept_blocks()
    assert not kept or kept[-1]["type"] not in THINKING_TYPES
    assert isinstance(answer.text, str)
    assert answer.counts.input == 10
    answer.flush()


def test_an_answer_that_paused_says_so_once_it_is_whole() -> None:
    """Before its end nobody knows."""
    pause = MessageDelta(MessageEnd("pause_turn"), ProviderUsage(output_tokens=1))
    answer, _ = told(START, *block(TEXT, TextDelta("Hm")), pause)
    assert not answer.pauses
    answer.feed(STOP)
    assert answer.pauses


def test_the_calls_of_an_answer_are_those_of_tools_that_are_not_the_providers() -> None:
    """Each whole."""
    answer, _ = told(START, *block(SEARCH), *block(FOUND), *block(TOOL), begin(TOOL, 1))
    assert [call["type"] for call in answer.calls] == ["tool_use"]


def test_a_page_that_was_fetched_is_a_source() -> None:
    """With its title, where it has one."""
    fetched = {
        "type": "web_fetch_tool_result",
        "tool_use_id": "f",
        "content": {
            "type": "web_fetch_result",
            "url": "https://a.example/",
            "content": {"type": "document", "title": "A"},
        },
    }
    bare = {**fetched, "content": {"type": "web_fetch_result", "url": "https://b.example/"}}
    failed = {**fetched, "content": {"type": "web_fetch_tool_result_error", "error_code": "x"}}
    _, events = told(START, *block(fetched), *block(bare), *block(failed))
    assert events == [
        SourceFound("https://a.example/", "A"),
        SourceFound("https://b.example/", None),
    ]


def test_a_url_that_the_turn_has_shown_is_not_shown_again() -> None:
    """A turn may have several answers."""
    urls = {"https://a.example/"}
    answer = Answer(urls=urls)
    answer.feed(START)
    found = {"type": "web_search_tool_result", "content": [{"url": url} for url in urls]}
    assert answer.feed(begin(found)) == []


def test_what_the_provider_left_out_of_the_prompt_is_known() -> None:
    """It says so with the stop reason."""
    edits = [{"cleared_tool_uses": 3, "cleared_input_tokens": 9_000}]
    end = MessageDelta(MessageEnd("end_turn"), ProviderUsage(), {"applied_edits": edits})
    answer, _ = told(START, end, STOP)
    assert answer.edits == [AppliedEdit(3, 9_000)]


def test_the_container_is_the_one_that_was_told_of_last() -> None:
    """With the beginning or with the end of an answer."""
    first, last = {"id": "container_1"}, {"id": "container_2"}
    begun = ProviderMessage("model", ProviderUsage(input_tokens=1), container=first)
    answer, _ = told(MessageStart(begun))
    assert answer.container == first
    answer.feed(MessageDelta(MessageEnd("end_turn")))
    assert answer.container == first
    answer.feed(MessageDelta(MessageEnd("end_turn", container=last)))
    assert answer.container == last


def ran(kind: str, *outputs: Any) -> Block:
    """What came of code that was executed."""
    result = {"type": f"{kind}_result", "stdout": "", "content": list(outputs)}
    return {"type": f"{kind}_tool_result", "tool_use_id": "s", "content": result}


@pytest.mark.parametrize("kind", ["bash_code_execution", "code_execution"])
def test_a_file_that_code_has_made_is_a_source_once(kind: str) -> None:
    """It is to be had from the Files API by its id."""
    output = {"type": f"{kind}_output", "file_id": "file_1"}
    odd = [{**output, "file_id": "a/../b"}, {**output, "file_id": 7}, {"type": "new"}, 7]
    url = "https://api.anthropic.com/v1/files/file_1/content"
    events = shown_by(*block(ran(kind, output, output, *odd)), *block(ran(kind, output), index=1))
    assert events == [SourceFound(url, None, "file_1")]
