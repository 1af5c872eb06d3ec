"""Lists: sessions, models, the messages of a session."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import UNSET
from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from agentspace.messages import (
    HistoryMessage,
    ModelListing,
    ModelSummary,
    SessionHistoryPage,
    SessionListing,
    SessionSummary,
)
from gateway.cli.views.figures import UNKNOWN, count, counted, moment
from gateway.cli.views.fitting import Clipped, Fitting
from gateway.cli.views.markdown import trimmed_markdown
from gateway.cli.views.tables import table
from protocol.provider.content import Block

_OF_SESSION: Final = ("session", "messages", "last active", "title")
_OF_MODEL: Final = ("name", "window", "$/M in", "$/M out")


def session_listing(listing: SessionListing, current: str | None = None) -> RenderableType:
    """A numbered row a session; `current` is the id of the one in use."""
    if not listing.sessions:
        return Text("There are no sessions yet.")

    def build(columns: Sequence[str]) -> Table:
        shown = table()
        shown.add_column("", justify="right", no_wrap=True)
        for name in columns:
            right = name == "messages"
            shown.add_column(name, justify="right" if right else "left", no_wrap=name != "title")
        for number, session in enumerate(listing.sessions, start=1):
            row = _session(session)
            style = "bold cyan" if session.session_id == current else ""
            shown.add_row(str(number), *(row[name] for name in columns), style=style)
        return shown

    return Fitting(build, _OF_SESSION, ("messages", "last active", "session"))


def _session(session: SessionSummary) -> dict[str, RenderableType]:
    title = "" if session.title is UNSET else session.title
    return {
        "session": session.session_id,
        "messages": count(session.message_count),
        "last active": moment(session.last_active_at),
        "title": Clipped(" ".join(title.split()) or f"({session.model})"),
    }


def model_listing(listing: ModelListing, current: str) -> RenderableType:
    """A row a model, with its window in tokens and its prices; `current` is in use."""

    def build(columns: Sequence[str]) -> Table:
        shown = table()
        shown.add_column("model", no_wrap=True, overflow="fold")
        for name in columns:
            left = name == "name"
            shown.add_column(name, justify="left" if left else "right", no_wrap=not left)
        for model in listing.models:
            row = _model(model)
            style = "bold cyan" if model.id == current else ""
            shown.add_row(model.id, *(row[name] for name in columns), style=style)
        return shown

    return Fitting(build, _OF_MODEL, _OF_MODEL)


def _model(model: ModelSummary) -> dict[str, RenderableType]:
    return {
        "name": Clipped(model.display_name),
        "window": count(model.max_input_tokens),
        "$/M in": UNKNOWN if model.input_price is None else f"{model.input_price:.2f}",
        "$/M out": UNKNOWN if model.output_price is None else f"{model.output_price:.2f}",
    }


def history(page: SessionHistoryPage) -> RenderableType:
    """The messages of a page, oldest first."""
    if not page.messages:
        return Text("This session has no messages yet.")
    return Group(*(part for message in page.messages for part in _message(message)))


def _message(message: HistoryMessage) -> Iterator[RenderableType]:
    tokens = "" if message.tokens is UNSET else f" · {counted(message.tokens, 'token')}"
    status = "" if message.status is UNSET else f" · {message.status}"
    yield Rule(
        Text(f"{message.role} · {moment(message.created_at)}{tokens}{status}", style="dim"),
        align="left",
        style="dim",
    )
    yield trimmed_markdown(text_of(message.content))


def text_of(content: str | list[Block]) -> str:
    """The text of a message; a block that is none is named in brackets."""
    if isinstance(content, str):
        return content
    return "".join(_text(block) for block in content)


def _text(block: Block) -> str:
    match block.get("type"):
        case "text":
            return str(block.get("text", ""))
        case "thinking" | "redacted_thinking":
            return ""
        case "tool_use":
            return f"\n\n*calls* `{block.get('name')}`\n\n"
        case kind:
            return f"\n\n*[{kind}]*\n\n"
