"""How messages look: rendered to plain text of a given width."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from decimal import Decimal
from itertools import count
from typing import Any

import msgspec
import pytest
from msgspec import UNSET
from rich.console import Console, RenderableType
from rich.text import Text

from agentspace.messages import (
    Calibration,
    ChatStreamDelta,
    ChatStreamEnd,
    ChatStreamNotice,
    ChatStreamReasoning,
    ChatStreamSource,
    ChatStreamStart,
    ContextInspection,
    ErrorMessage,
    GatewayStatusReport,
    GrandTotal,
    HistoryMessage,
    MailboxDepth,
    ModelUsage,
    Section,
    SectionName,
    SectionWeight,
    SentContext,
    SessionHistoryPage,
    SessionListing,
    SessionSummary,
    Source,
    StepUsage,
    ToolApprovalRequest,
    ToolCall,
    ToolError,
    ToolResult,
    Totals,
    TurnInspection,
    Usage,
    UsageReport,
    Window,
    WireCost,
)
from gateway.cli.console import stdout
from gateway.cli.views.answer import RichAnswer
from gateway.cli.views.ending import sources
from gateway.cli.views.figures import counted, duration, money, share, size
from gateway.cli.views.fitting import Pairs
from gateway.cli.views.harmless import harmless
from gateway.cli.views.inspection import inspection
from gateway.cli.views.keys import key_sources
from gateway.cli.views.lists import history, session_listing, text_of
from gateway.cli.views.markdown import trimmed_markdown
from gateway.cli.views.plain import PlainAnswer
from gateway.cli.views.status import status_report
from gateway.cli.views.tables import table
from gateway.cli.views.turn import Notice
from gateway.cli.views.usage import usage_report
from gateway.vault import Vault
from protocol.server import Usage as WireUsage
from protocol.stopping import StopDetails
from protocol.usage import TokenCounts

COST = WireCost(
    input_cost=Decimal("0.001"), output_cost=Decimal("0.002"), total_cost=Decimal("0.003")
)


def rendered(renderable: RenderableType, width: int = 80, **options: Any) -> str:
    """What a terminal of this width shows, without colours."""
    console = Console(file=io.StringIO(), width=width, color_system=None, **options)
    console.print(renderable)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def usage_of(**counts: int) -> Usage:
    sent = WireUsage.of(TokenCounts(**counts), estimated=False)
    return msgspec.json.decode(msgspec.json.encode(sent), type=Usage)


def end_of(**fields: Any) -> ChatStreamEnd:
    """A turn's end."""
    given = {
        "request_id": "r",
        "turn_id": "t",
        "seq": 9,
        "stop_reason": "end_turn",
        "usage": usage_of(uncached=200, cache_read=1_000, output=300, thinking=50),
        "cost": COST,
        **fields,
    }
    return ChatStreamEnd(**given)


START = ChatStreamStart(request_id="r", session_id="s", model="claude-x", turn_id="t", seq=0)


def delta(text: str) -> ChatStreamDelta:
    return ChatStreamDelta(request_id="r", delta=text, seq=1)


def thought(text: str) -> ChatStreamReasoning:
    return ChatStreamReasoning(request_id="r", delta=text, seq=1)


def source(url: str, title: str) -> ChatStreamSource:
    return ChatStreamSource(request_id="r", source=Source(url=url, title=title), seq=1)


def clock() -> Callable[[], float]:
    return count(0, 2.0).__next__


def shown_rich(*messages: Any, animate: bool = False, width: int = 60) -> str:
    """What is left on a terminal's screen after these messages."""
    console = Console(file=io.StringIO(), width=width, color_system=None, force_terminal=animate)
    with RichAnswer(console, animate=animate, clock=clock()) as answer:
        for message in messages:
            answer.show(message)
            answer.refresh()
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def shown_plain(*messages: Any) -> tuple[str, str]:
    """What goes to the pipe, and what goes beside it."""
    out = Console(file=io.StringIO(), width=200, color_system=None)
    notes = Console(file=io.StringIO(), width=200, color_system=None)
    with PlainAnswer(out, notes, clock=clock()) as answer:
        for message in messages:
            answer.show(message)
    return out.file.getvalue(), notes.file.getvalue()  # type: ignore[attr-defined]


def inspected(**fields: Any) -> ContextInspection:
    """An inspection with one section of some weight and one without."""
    given = {
        "request_id": "r",
        "model": "claude-x",
        "sections": [
            Section(
                name="system_prompt",
                content="a",
                byte_count=4_000,
                token_estimate=750,
                cost_estimate=Decimal("0.0015"),
            ),
            Section(
                name="history",
                content="b",
                byte_count=1_000,
                token_estimate=250,
                cost_estimate=None,
            ),
        ],
        "totals": Totals(byte_count=5_000, token_estimate=1_000, cost_estimate=None),
        "window": Window(limit=200_000, used=1_000, free=199_000),
        "calibration": Calibration(ratio=1.25, samples=3),
        **fields,
    }
    return ContextInspection(**given)


def test_an_inspection_shows_weight_share_window_and_calibration() -> None:
    """Every figure of the inspection has its place, unknown costs are no zeros."""
    text = rendered(inspection(inspected()))
    assert "system_prompt  4,000     750    0.4%  $0.001500  ███████████████" in text
    assert "history        1,000     250    0.1%          -  █████" in text
    assert "total          5,000   1,000    0.5%          -" in text
    assert "1,000 of 200,000 tokens used (0.5%), 199,000 free" in text
    assert "x1.250, learned from 3 billed requests" in text


def test_an_inspection_tells_the_exact_count_and_what_was_left_out() -> None:
    """What only some inspections have is shown when it is there."""
    found = inspected(exact_tokens=990, context=SentContext(left_out_turns=1, left_out_messages=2))
    text = rendered(inspection(found))
    assert "990 tokens, counted by the provider" in text
    assert "the oldest 1 turn" in text


CACHED = inspected(
    sections=[
        Section(
            name="tools",
            content="a",
            byte_count=4_000,
            token_estimate=700,
            cost_estimate=Decimal("0.0014"),
            cached=True,
            cached_tokens=700,
            cached_cost_estimate=Decimal("0.00014"),
        ),
        Section(
            name="provider_overhead",
            content="",
            byte_count=0,
            token_estimate=300,
            cost_estimate=Decimal("0.0006"),
            cached=False,
            cached_tokens=0,
            cached_cost_estimate=Decimal("0.0006"),
        ),
    ],
    totals=Totals(
        byte_count=4_000,
        token_estimate=1_000,
        cost_estimate=Decimal("0.002"),
        cached_tokens=700,
        cached_cost_estimate=Decimal("0.00074"),
    ),
    calibration=Calibration(ratio=1.25, samples=3, error=0.034),
    turn=TurnInspection(
        turn_id="t",
        sections=[],
        token_estimate=980,
        billed_tokens=1_000,
        cost_estimate=Decimal("0.0019"),
        billed_cost=Decimal("0.00194"),
        error=0.02,
    ),
)
"""An inspection in which everything is told."""


def test_an_inspection_shows_the_cold_cost_beside_the_cached_one() -> None:
    """What the provider adds has tokens and costs, but no bytes."""
    text = rendered(inspection(CACHED))
    assert "tools              4,000     700    0.3%  $0.001400  $0.000140  ███████" in text
    assert "provider_overhead      -     300    0.1%  $0.000600  $0.000600  ███" in text
    assert "total              4,000   1,000    0.5%  $0.002000  $0.000740" in text
    assert "cache        700 tokens most likely cached" in text


def test_an_inspection_shows_the_last_estimate_beside_its_bill() -> None:
    """How far the estimates are off is said, on average and for the last turn."""
    lines = " ".join(rendered(inspection(CACHED)).split())
    assert "learned from 3 billed requests; of late 3.4% off" in lines
    assert "estimated 980 tokens, $0.001900; billed 1,000 tokens, $0.001940 (2.0% off)" in lines
    assert CACHED.turn is not UNSET
    free = msgspec.structs.replace(CACHED.turn, billed_tokens=0)
    assert "nothing was billed" in rendered(inspection(inspected(turn=free)))


@pytest.mark.parametrize("found", [inspected(), CACHED], ids=["little told", "all told"])
@pytest.mark.parametrize("width", [40, 50, 60, 70, 80, 120])
def test_no_line_is_wider_than_the_terminal(width: int, found: ContextInspection) -> None:
    """Tables fit themselves to the terminal: figures go, none is cut."""
    text = rendered(inspection(found), width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "…" not in text


def test_what_the_model_does_not_see_is_said() -> None:
    """Turns that were left out, tools' answers that the provider cleared, thinking that is lost."""
    sent = SentContext(
        left_out_turns=2,
        left_out_messages=4,
        cleared_tool_uses=3,
        cleared_tokens=12_000,
        dropped_thinking=1,
        epoch=2,
    )
    for text in (
        rendered(inspection(inspected(context=sent)), 120),
        shown_rich(START, delta("a"), end_of(context=sent), width=120),
    ):
        assert "the oldest 2 turns: more does not fit the window" in text
        assert "3 old answers of tools, 12,000 tokens: the provider cleared them" in text
        assert "the thinking of earlier turns: the conversation began anew for the model" in text
        assert "1 thought of earlier turns: the provider found them bound" in text


def test_without_unicode_a_bar_is_drawn_with_what_there_is() -> None:
    """A terminal that knows ASCII alone gets ASCII bars."""
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    console = Console(file=file, width=80, color_system=None)
    console.print(inspection(inspected()))
    file.seek(0)
    assert "###############" in file.read()


def test_an_answer_has_its_sources_and_its_cost_below_it() -> None:
    """Reasoning, text, sources and the bill stand in this order, a line between them."""
    text = shown_rich(
        START,
        thought("Hm."),
        delta("**Hello** "),
        delta("there."),
        source("https://a.example/1", "One"),
        end_of(),
    )
    assert [line.rstrip() for line in text.splitlines()] == [
        "  Hm.",
        "",
        "Hello there.",
        "",
        "Sources",
        "1. One  https://a.example/1",
        "",
        "claude-x · 1,200 tokens in (1,000 cached) · 300 out (50",
        "thinking) · $0.003000 · 2.0 s",
    ]


def test_finished_blocks_are_printed_once() -> None:
    """Streaming repeats nothing: what is done is not drawn again."""
    paragraphs = [delta(f"Paragraph number {number}.\n\n") for number in range(50)]
    text = shown_rich(START, *paragraphs, end_of(), animate=True)
    assert text.count("Paragraph number 7.") == text.count("Paragraph number 40.")
    assert text.rindex("number 7.") < text.index("number 9.")


def test_what_is_printed_for_good_is_not_drawn_below_itself() -> None:
    """The text that ends an answer stands there once, from the moment on at which it is done."""
    console = Console(file=io.StringIO(), width=60, color_system=None, force_terminal=True)
    file: io.StringIO = console.file  # type: ignore[assignment]
    with RichAnswer(console, animate=True, clock=clock()) as answer:
        answer.show(START)
        answer.show(delta("the last words"))
        answer.refresh()
        drawn = len(file.getvalue())
        answer.show(end_of())
        assert file.getvalue()[drawn:].count("the last words") == 1


def test_the_cost_of_streaming_grows_with_the_text_alone() -> None:
    """Twice the text is about twice the bytes to the terminal, not four times."""

    def written(number: int) -> int:
        text = "A sentence of some words.\n" * 4
        return len(shown_rich(START, *[delta(text + "\n")] * number, end_of(), animate=True))

    assert written(200) < 2.5 * written(100)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("cancelled", "cancelled · "),
        ("max_tokens", "cut: it reached the longest answer allowed · "),
        ("max_steps", "stopped: it went on calling tools for too long · "),
        ("repetition", "stopped: it called the same tools over and over · "),
        ("budget", "stopped: its budget is spent · "),
        ("refusal", "the model declined to answer · "),
        ("pause_turn", "paused by the provider: ask it to go on · "),
        ("model_context_window_exceeded", "cut: the window is full, /new begins afresh · "),
        ("end_turn", ""),
    ],
)
def test_an_unusual_end_is_named(reason: str, words: str) -> None:
    """Whoever reads an answer knows when it is not whole."""
    assert f"{words}claude-x" in shown_rich(
        START, delta("a"), end_of(stop_reason=reason), width=150
    )


@pytest.mark.parametrize(
    ("details", "words"),
    [
        (StopDetails(category="cyber", explanation="Not this one."), "Declined: Not this one.  cy"),
        (StopDetails(category="bio"), "Declined: it could help with biological harm  bio"),
        (StopDetails(category="new"), "Declined: no reason was given  new"),
        (StopDetails(explanation="Not this one."), "Declined: Not this one."),
    ],
)
def test_a_refusal_says_why(details: StopDetails, words: str) -> None:
    """In the provider's words, else in words for its category."""
    end = end_of(stop_reason="refusal", stop_details=details)
    assert words in shown_rich(START, end, width=150)
    assert words in shown_plain(START, end)[1]


def test_another_model_that_answered_is_named() -> None:
    """It is the one that was billed."""
    text = shown_rich(START, end_of(model="claude-y"), width=150)
    assert "claude-y in the place of claude-x · " in text


def test_a_notice_is_one_quiet_line() -> None:
    """A person who waits learns why; in a pipe it stands among the notes."""
    notice = ChatStreamNotice(
        request_id="r", seq=1, kind="retry", message="It is asked again in 2.0 s."
    )
    text = shown_rich(START, notice, delta("Yes."), end_of())
    assert text.index("It is asked again in 2.0 s.") < text.index("Yes.")
    out, notes = shown_plain(START, notice, delta("Yes."), end_of())
    assert "asked again" not in out
    assert "It is asked again in 2.0 s.\n" in notes


def test_several_steps_are_counted() -> None:
    """A turn that asked the provider more than once says how often."""
    step = StepUsage(stop_reason="tool_use", usage=usage_of(output=1))
    assert "· 3 steps ·" in shown_rich(START, end_of(steps=[step] * 3), width=150)


def test_an_unknown_price_is_not_a_zero() -> None:
    """Without a price the bill says so."""
    assert "price unknown" in shown_rich(START, delta("a"), end_of(cost=None), width=120)


def test_a_failure_says_why_and_what_it_cost() -> None:
    """An error shows its message, its code and its cost."""
    error = ErrorMessage(
        code="LLM_ERROR", message="It broke. Try again.", retryable=True, cost=COST
    )
    text = shown_rich(START, delta("half"), error)
    assert "half" in text
    assert "It broke. Try again.  LLM_ERROR · $0.003000" in text


def test_a_context_that_is_too_large_shows_what_is_large() -> None:
    """The sections stand below the refusal, with their weight."""
    weights: list[tuple[SectionName, int, Decimal | None]] = [
        ("system_prompt", 1_000, Decimal("0.002")),
        ("user_message", 9_000, None),
    ]
    sections = [
        SectionWeight(name=name, byte_count=4 * tokens, token_estimate=tokens, cost_estimate=cost)
        for name, tokens, cost in weights
    ]
    error = ErrorMessage(
        code="CONTEXT_TOO_LARGE", message="It does not fit.", retryable=False, sections=sections
    )
    text = shown_rich(START, error, width=80)
    assert "It does not fit.  CONTEXT_TOO_LARGE" in text
    assert "user_message   36,000   9,000          -  ██████████████████" in text
    assert "total          40,000  10,000          -" in text
    assert shown_plain(START, error)[1] == "agentspace: It does not fit.\n", "a log gets one line"


def call(**fields: Any) -> ToolCall:
    """A call of a tool."""
    given = {"tool_call_id": "c1", "tool_name": "weather", "args": {"city": "Oslo"}, **fields}
    return ToolCall(request_id="r", seq=1, **given)


def result(value: Any, **fields: Any) -> ToolResult:
    """A tool's answer."""
    given = {"tool_call_id": "c1", "tool_name": "weather", **fields}
    return ToolResult(request_id="r", seq=1, result=value, **given)


def approval(**fields: Any) -> ToolApprovalRequest:
    """A tool that wants to run."""
    given = {"tool_call_id": "c1", "tool_name": "weather", "args": {"city": "Oslo"}, **fields}
    return ToolApprovalRequest(request_id="r", seq=1, **given)


def test_tools_stand_together_apart_from_the_text() -> None:
    """A call and its answer have a line each; empty lines are where the text begins and ends."""
    failed = ToolError(request_id="r", tool_call_id="c2", tool_name="tides", error="Gone.", seq=1)
    text = shown_rich(
        START,
        delta("I look."),
        call(),
        call(tool_call_id="c2", tool_name="tides", args={}),
        result("sunny"),
        failed,
        delta("It is sunny."),
    )
    assert [line.rstrip() for line in text.splitlines()] == [
        "I look.",
        "",
        'calls weather(city="Oslo")',
        "calls tides()",
        "  weather: sunny",
        "  tides failed: Gone.",
        "",
        "It is sunny.",
    ]


def test_a_pipe_gets_no_word_of_a_tool() -> None:
    """Calls and answers go beside the text."""
    out, notes = shown_plain(START, call(), result("sunny"), delta("It is sunny."))
    assert out == "It is sunny.\n"
    assert notes == 'calls weather(city="Oslo")\n  weather: sunny\n'


def test_calls_of_the_same_tool_are_told_apart() -> None:
    """The second one has a number, and so has its answer, whichever comes first."""
    text = shown_rich(
        START,
        call(),
        call(tool_call_id="c2"),
        result("rain", tool_call_id="c2"),
        result("sun"),
    )
    assert 'calls weather #2(city="Oslo")' in text
    assert "  weather #2: rain\n" in text
    assert "  weather: sun\n" in text


def test_long_arguments_are_shortened() -> None:
    """Values are cut in their middle, and what there is no room for is counted."""
    args = {"text": "begin" + 500 * "x" + "end", **{f"number{n}": n for n in range(50)}}
    text = " ".join(shown_rich(START, call(args=args), width=80).split())
    assert text.startswith('calls weather(text="beginxxx')
    assert "…xxxxxxxx" in text
    assert 'xend", number0=0,' in text
    assert len(text) < 250
    assert re.search(r"and \d+ more\)$", text)


def test_a_long_answer_shows_its_first_lines_and_what_was_left_out() -> None:
    """Lines and bytes that are not shown are counted."""
    lines = [f"line {number}" for number in range(20)]
    text = shown_rich(START, result("\n".join(lines)))
    assert "  line 4\n" in text
    assert "line 5" not in text
    assert "… and 15 lines, 115 B more" in text
    assert "… and 1.4 KiB more" in shown_rich(START, result("x" * 2_000))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("", "(nothing)"),
        ([{"type": "text", "text": "a"}, {"type": "image", "source": {}}], "a\n  [image]"),
        ({"degrees": 3}, '{"degrees":3}'),
        (None, "null"),
    ],
)
def test_an_answer_of_any_shape_is_shown(value: Any, shown: str) -> None:
    """Text as it is, blocks without text by their kind, everything else as JSON."""
    assert shown in shown_rich(START, result(value))


def test_a_question_shows_the_risk_and_all_arguments() -> None:
    """Whoever agrees has seen everything: nothing is shortened, however long it is."""
    args = {"path": "/tmp/" + 100 * "x", "code": "one\ntwo", "deep": {"list": [1, 2]}}
    text = shown_rich(START, approval(args=args, risk="high"), width=60)
    assert "weather wants to run · high risk" in text
    assert "".join(text.split()).endswith(
        '{"path":"/tmp/' + 100 * "x" + '","code":"one\\ntwo","deep":{"list":[1,2]}}'
    )
    assert "nobody knows how risky it is" in shown_rich(START, approval())


def test_what_drives_a_terminal_is_taken_out() -> None:
    """Escape sequences, other controls and marks that turn text around become harmless."""
    evil = "a\x1b[2J\x07\x9b1m\r\u202eb"
    message = harmless(call(tool_name=evil, args={evil: [evil, {"x": evil}], "n": 1}))
    text = shown_rich(START, message, harmless(approval(args={evil: evil})))
    assert not set(text) & set("\x1b\x07\x9b\r\u202e")
    assert harmless("tab\t line\n é 日本 👩\u200d💻") == "tab\t line\n é 日本 👩\u200d💻"
    assert harmless(UNSET) is UNSET


@pytest.mark.parametrize(
    "source",
    ["&#27;[31mred", "&#x9b;31m", "[a](http://x/&#27;[2J)", "# a &#x202e;b", "| &#x2066; |\n|--|"],
)
def test_markdown_makes_no_control_out_of_a_name(source: str) -> None:
    """A character that is written as an entity reaches the terminal no more than itself."""
    assert not set(shown_rich(START, delta(source))) & set("\x1b\x9b\u202e\u2066")


def test_a_link_shows_where_it_leads() -> None:
    """The terminal gets no hidden address; one that stands for itself is shown once."""
    file = io.StringIO()
    console = Console(file=file, width=80, force_terminal=True, legacy_windows=False)
    source = Source(url="https://example.com/c", title="c")
    console.print(trimmed_markdown("[a](https://example.com/a) <https://example.com/b>"))
    console.print(sources([source]))
    text = Text.from_ansi(file.getvalue()).plain
    assert "a (https://example.com/a) https://example.com/b" in text
    assert text.count("https://example.com/b") == 1
    assert "c  https://example.com/c" in text
    assert "\x1b]8" not in file.getvalue()


def test_a_name_is_no_markup(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Brackets in what a model, a tool or a file is called are brackets."""
    monkeypatch.setenv("TERM", "xterm")
    shown = table()
    shown.add_column("a")
    shown.add_row("[link=http://x]a[/b] :smile:")
    stdout().print(shown)
    assert "[link=http://x]a[/b] :smile:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("width", "names"),
    [
        (20, {"cost"}),
        (44, {"tokens", "cost"}),
        (56, {"out", "tokens", "cost"}),
        (90, {"requests", "in", "cached", "out", "tokens", "cost"}),
    ],
)
def test_figures_give_way_until_the_rest_fits(width: int, names: set[str]) -> None:
    """On a narrow terminal the model and the cost stay, and nothing is cut."""
    row = ModelUsage(
        input_tokens=1_234_567,
        output_tokens=30_000,
        total_tokens=1_264_567,
        input_details=usage_of(uncached=5).input_details,
        output_details=usage_of(output=5).output_details,
        web_searches=0,
        total_cost=Decimal("12.5"),
        request_count=200,
        unpriced_requests=0,
    )
    total = GrandTotal(
        total_cost=Decimal("12.5"), total_tokens=1_264_567, request_count=200, unpriced_requests=0
    )
    report = UsageReport(request_id="r", per_model={"claude-sonnet-5-5": row}, grand_total=total)
    lines = rendered(usage_report(report), width).splitlines()
    assert set(lines[1].split()) == {"model", *names}
    assert max(map(len, lines)) <= width
    assert all("\u2026" not in line for line in lines)
    assert any("$12.500000" in line for line in lines)


def test_names_stand_above_their_values_where_there_is_no_room() -> None:
    """A value next to its name would have a few cells a line."""
    pairs = Pairs([("a longer name", "some words that go on"), ("", "and on")])
    assert rendered(pairs, 50).startswith("a longer name  some words")
    lines = [line.rstrip() for line in rendered(pairs, 24).splitlines()]
    assert lines == ["a longer name", "  some words that go on", "  and on"]


def test_a_terminal_is_free_while_somebody_else_has_it() -> None:
    """Nothing is drawn until the terminal is given back, and nothing printed is erased."""
    console = Console(file=io.StringIO(), width=60, color_system=None, force_terminal=True)
    file: io.StringIO = console.file  # type: ignore[assignment]
    with RichAnswer(console, animate=True, clock=clock()) as answer:
        answer.show(START)
        answer.show(delta("unfinished"))
        answer.refresh()
        with answer.aside():
            assert "unfinished" in file.getvalue()
            before = file.getvalue()
            answer.refresh()
            assert file.getvalue() == before
            file.write("<somebody else>")
        drawn = len(file.getvalue())
        answer.refresh()
        after = file.getvalue()[drawn:]
    assert "Ctrl-C cancels" in after
    assert "\x1b[1A" not in after


def test_a_pipe_gets_the_text_and_nothing_else() -> None:
    """Markdown goes out as it is; reasoning, sources and the bill go elsewhere."""
    out, notes = shown_plain(
        START,
        thought("Hm."),
        delta("# Title\n"),
        delta("**bold**"),
        source("https://a.example/1", "One"),
        end_of(),
        Notice("Connected again."),
    )
    assert out == "# Title\n**bold**\n"
    assert notes.startswith("(thinking) Hm.\n")
    assert "https://a.example/1" in notes
    assert "$0.003000" in notes
    assert notes.endswith("Connected again.\n")


def test_a_usage_report_has_a_row_a_model_and_a_total() -> None:
    """What was billed stands by model; requests without a price are counted, not guessed."""
    usage = usage_of(uncached=5, cache_read=15, output=30)
    row = ModelUsage(
        input_tokens=20,
        output_tokens=30,
        total_tokens=50,
        input_details=usage.input_details,
        output_details=usage.output_details,
        web_searches=0,
        total_cost=Decimal("0.5"),
        request_count=2,
        unpriced_requests=1,
    )
    total = GrandTotal(
        total_cost=Decimal("0.5"), total_tokens=50, request_count=2, unpriced_requests=1
    )
    report = UsageReport(request_id="r", per_model={"claude-x": row}, grand_total=total)
    lines = [line.split() for line in rendered(usage_report(report)).splitlines()]
    assert ["claude-x", "2", "20", "15", "30", "50", "$0.500000"] in lines
    assert ["total", "2", "20", "15", "30", "50", "$0.500000"] in lines
    assert ["without", "1", "request", "of", "unknown", "price"] in lines


def test_sessions_are_numbered_and_keep_their_ids_whole() -> None:
    """An id can be copied from the list, however long the title is."""
    session = SessionSummary(
        session_id="session_0123456789abcdef",
        session_key="agent:default:session_0123456789abcdef",
        model="claude-x",
        created_at="2026-11-21T09:00:00.000Z",
        last_active_at="2026-11-21T09:00:00.000Z",
        message_count=4,
        title="A title that goes on\nand on " * 5,
    )
    text = rendered(session_listing(SessionListing(request_id="r", sessions=[session])))
    row = next(line for line in text.splitlines() if "session_" in line)
    assert row.split()[:3] == ["1", "session_0123456789abcdef", "4"]
    assert len(text.strip().splitlines()) == 3


def test_history_shows_who_said_what() -> None:
    """Messages come with role, tokens and status; blocks without text are named."""
    page = SessionHistoryPage(
        request_id="r",
        session_id="s",
        messages=[
            HistoryMessage(role="user", content="Hi", created_at="2026-11-21T09:00:00.000Z"),
            HistoryMessage(
                role="assistant",
                content=[
                    {"type": "thinking", "thinking": "secret"},
                    {"type": "text", "text": "Hello"},
                    {"type": "tool_use", "name": "free__space", "input": {}},
                    {"type": "image"},
                ],
                created_at="2026-11-21T09:00:01.000Z",
                tokens=1,
                status="partial",
            ),
        ],
    )
    text = rendered(history(page))
    assert "1 token · partial" in text
    assert "calls free__space" in text
    assert "[image]" in text
    assert "secret" not in text
    assert text_of("plain") == "plain"


def test_a_status_shows_figures_in_units() -> None:
    """Times, sizes and numbers are written for people."""
    report = GatewayStatusReport(
        request_id="r",
        version="1.2.3",
        uptime_seconds=3_725.0,
        connections=1_234,
        turns={"streaming": 2},
        upstream_streams=2,
        logs=3,
        log_bytes=5 * 1024 * 1024,
        mailboxes={"llm": MailboxDepth(waiting=1, size=64)},
        ledger="ok",
        ledger_queue=0,
        open_rows=2,
        memory_bytes=200 * 1024 * 1024,
        draining=True,
    )
    text = rendered(status_report(report))
    for words in ("draining", "1 h 2 min 5 s", "1,234", "2 streaming", "5.0 MiB", "llm 1/64"):
        assert words in text
    assert lines_of(text)["of them detached"] == "-, -"
    told = msgspec.structs.replace(
        report,
        detached_logs=1,
        detached_log_bytes=2_048,
        provider_pings=4_321,
        longest_silence_seconds=12.5,
        oldest_open_row_seconds=61.0,
    )
    lines = lines_of(rendered(status_report(told)))
    assert lines["of them detached"] == "1, 2.0 KiB"
    assert lines["provider's pings"] == "4,321"
    assert lines["longest silence"] == "12.5 s"
    assert lines["oldest open row"] == "1 min 1 s"


def lines_of(text: str) -> dict[str, str]:
    """What stands behind each name."""
    pairs = (re.split(r"\s{2,}", line.strip(), maxsplit=1) for line in text.splitlines() if line)
    return {pair[0]: pair[-1] for pair in pairs}


def test_where_a_key_comes_from_never_shows_the_key() -> None:
    """The winner is named; the key is not."""
    states = Vault(environ={"ANTHROPIC_API_KEY": "sk-very-secret"}).sources()
    text = rendered(key_sources(states), 120)
    assert "in use" in text
    assert "sk-very-secret" not in text


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (money(None), "-"),
        (money(Decimal("0.0000001")), "<$0.000001"),
        (money(Decimal("0.0123456")), "$0.012346"),
        (money(Decimal(1234)), "$1,234.00"),
        (counted(1, "turn"), "1 turn"),
        (counted(2_000, "turn"), "2,000 turns"),
        (size(1_023), "1023 B"),
        (size(1_536), "1.5 KiB"),
        (size(3 * 1024**4), "3,072.0 GiB"),
        (share(1, 3), "33.3%"),
        (share(0, 0), "-"),
        (duration(1.25), "1.2 s"),
        (duration(90_061), "1 d 1 h 1 min 1 s"),
    ],
)
def test_figures_are_for_people(shown: str, expected: str) -> None:
    """Money, counts, sizes and times in their usual form."""
    assert shown == expected


def test_lists_say_when_they_are_empty() -> None:
    """Nothing is said in words, not with an empty table."""
    nothing = GrandTotal(
        total_cost=Decimal(0), total_tokens=0, request_count=0, unpriced_requests=0
    )
    report = UsageReport(request_id="r", per_model={}, grand_total=nothing)
    assert "Nothing was billed." in rendered(usage_report(report))
    listing = SessionListing(request_id="r", sessions=[], next=UNSET)
    assert "no sessions" in rendered(session_listing(listing))
    page = SessionHistoryPage(request_id="r", session_id="s", messages=[])
    assert "no messages" in rendered(history(page))
