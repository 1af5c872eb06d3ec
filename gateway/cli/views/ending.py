"""What stands below an answer: its sources, what it cost, or why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import UNSET
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agentspace.messages import ChatStreamEnd, ErrorMessage, Source, Usage, WireCost
from gateway.cli.views.figures import count, counted, money
from gateway.cli.views.leftover import unseen
from gateway.cli.views.sections import weights
from gateway.cli.views.wording import in_words

_REFUSED: Final = {
    "cyber": "it could help with attacks on computers",
    "bio": "it could help with biological harm",
    "frontier_llm": "it could help to build a competing model",
    "reasoning_extraction": "it asks for the model's own reasoning as text",
    "general_harms": "it could do harm",
}
"""What the provider's categories mean (its page on refusals, November 2026)."""

_WORDS: Final = {
    "cancelled": "cancelled",
    "budget": "stopped: its budget is spent",
    "max_steps": "stopped: it went on calling tools for too long",
    "repetition": "stopped: it called the same tools over and over",
    "max_tokens": "cut: it reached the longest answer allowed",
    "model_context_window_exceeded": "cut: the window is full, /new begins afresh",
    "refusal": "the model declined to answer",
    "pause_turn": "paused by the provider: ask it to go on",
}
"""Stop reasons that a person should know of."""


def is_whole(end: ChatStreamEnd) -> bool:
    """Whether the answer came to its own end, and is one."""
    return end.stop_reason not in _WORDS


def sources(found: Sequence[Source]) -> RenderableType:
    """A numbered line a source."""
    lines = Table.grid(padding=(0, 1))
    lines.add_column(justify="right", no_wrap=True)
    lines.add_column(overflow="fold")
    for number, source in enumerate(found, start=1):
        line = Text("" if source.title is UNSET else f"{source.title}  ")
        line.append(source.url, style="dim underline")
        lines.add_row(f"{number}.", line)
    return Group(Text("Sources", style="bold"), lines)


def refusal(end: ChatStreamEnd) -> Text | None:
    """Why the provider refused, in its own words or in words for its category."""
    if end.stop_details is UNSET:
        return None
    explanation, category = end.stop_details.explanation, end.stop_details.category
    if explanation is not UNSET:
        why = f"Declined: {explanation}"
    else:
        why = f"Declined: {_REFUSED.get(str(category), 'no reason was given')}"
    line = Text(why, style="yellow")
    return line if category is UNSET else line.append(f"  {category}", style="dim")


def footer(end: ChatStreamEnd, model: str, seconds: float | None) -> Text:
    """Model, tokens, cost, steps and time in one line."""
    cost = "price unknown" if end.cost is None else _paid(end.cost)
    answered = model if end.model is UNSET else f"{end.model} in the place of {model}"
    parts = [answered, *_tokens(end.usage), cost]
    if end.steps is not UNSET:
        parts.append(counted(len(end.steps), "step"))
    if seconds is not None:
        parts.append(f"{seconds:.1f} s")
    line = Text(" · ".join(parts), style="dim")
    if end.stop_reason in _WORDS:
        line = Text(_WORDS[end.stop_reason], style="yellow").append(" · ").append_text(line)
    return line


def left_out(end: ChatStreamEnd) -> Text | None:
    """Lines when the model did not see the whole history."""
    lines = [] if end.context is UNSET else [f"Left out: {line}." for line in unseen(end.context)]
    return Text("\n".join(lines), style="yellow") if lines else None


def failure(error: ErrorMessage) -> RenderableType:
    """Why there is no answer, what to do, what it cost all the same, and what was too large."""
    line = Text(in_words(error.message), style="red").append(f"  {error.code}", style="dim")
    if error.cost is not UNSET and error.cost is not None:
        line.append(f" · {_paid(error.cost)}", style="dim")
    return Group(line, weights(error.sections)) if error.sections else line


def _paid(cost: WireCost) -> str:
    amount = money(cost.total_cost)
    return amount if cost.estimated is UNSET else f"about {amount}"


def _tokens(usage: Usage) -> list[str]:
    cached = usage.input_details.cache_read
    thought = usage.output_details.thinking
    told = f"{count(usage.input_tokens)} tokens in"
    said = f"{'about ' if usage.estimated else ''}{count(usage.output_tokens)} out"
    return [
        f"{told} ({count(cached)} cached)" if cached else told,
        f"{said} ({count(thought)} thinking)" if thought else said,
    ]
