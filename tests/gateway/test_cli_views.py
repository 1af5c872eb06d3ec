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

from gateway.cli.views.answer import RichAnswer
from gateway.cli.views.figures import counted, duration, money, share, size
from gateway.cli.views.inspection import inspection
from gateway.cli.views.keys import key_sources
from gateway.cli.views.lists import history, session_listing, text_of
from gateway.cli.views.plain import PlainAnswer
from gateway.cli.views.status import status_report
from gateway.cli.views.turn import Notice
from gateway.cli.views.usage import usage_report
from gateway.vault import Vault
from protocol.context import Calibration, Section, SentContext, Totals, Window
from protocol.server import (
    ChatStreamDelta,
    ChatStreamEnd,
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
    SessionHistoryPage,
    SessionListing,
    SessionSummary,
    Source,
    Usage,
    UsageReport,
    WireCost,
)
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
    return Usage.of(TokenCounts(**counts), estimated=False)


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


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    """Tables fit themselves to the terminal."""
    text = rendered(inspection(inspected()), width)
    assert max(len(line) for line in text.splitlines()) <= width


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
        ("end_turn", ""),
    ],
)
def test_an_unusual_end_is_named(reason: str, words: str) -> None:
    """Whoever reads an answer knows when it is not whole."""
    assert f"{words}claude-x" in shown_rich(
        START, delta("a"), end_of(stop_reason=reason), width=150
    )


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
