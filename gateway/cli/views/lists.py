"""Lists: sessions, models, the messages of a session."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import UNSET
from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.text import Text

from agentspace.messages import (
    HistoryMessage,
    ModelListing,
    SessionHistoryPage,
    SessionListing,
    SessionSummary,
)
from gateway.cli.views.figures import UNKNOWN, count, counted, moment
from gateway.cli.views.markdown import trimmed_markdown
from gateway.cli.views.tables import clipped, table
from protocol.provider.content import Block


def session_listing(listing: SessionListing, current: str | None = None) -> RenderableType:
    """A numbered row a session; `current` is the id of the one in use."""
    if not listing.sessions:
        return Text("There are no sessions yet.")
    shown = table()
    shown.add_column("", justify="right", no_wrap=True)
    shown.add_column("session", no_wrap=True)
    shown.add_column("messages", justify="right", no_wrap=True)
    shown.add_column("last active", no_wrap=True)
    shown.add_column("title")
    for number, session in enumerate(listing.sessions, start=1):
        is_current = session.session_id == current
        shown.add_row(str(number), *_session(session), style="bold cyan" if is_current else "")
    return shown


def _session(session: SessionSummary) -> tuple[RenderableType, ...]:
    title = "" if session.title is UNSET else session.title
    return (
        session.session_id,
        count(session.message_count),
        moment(session.last_active_at),
        clipped(" ".join(title.split()) or f"({session.model})"),
    )


def model_listing(listing: ModelListing, current: str) -> RenderableType:
    """A row a model, with its window in tokens and its prices; `current` is in use."""
    shown = table()
    shown.add_column("model", no_wrap=True)
    shown.add_column("name")
    shown.add_column("window", justify="right", no_wrap=True)
    shown.add_column("$/M in", justify="right", no_wrap=True)
    shown.add_column("$/M out", justify="right", no_wrap=True)
    for model in listing.models:
        shown.add_row(
            model.id,
            clipped(model.display_name),
            count(model.max_input_tokens),
            UNKNOWN if model.input_price is None else f"{model.input_price:.2f}",
            UNKNOWN if model.output_price is None else f"{model.output_price:.2f}",
            style="bold cyan" if model.id == current else "",
        )
    return shown


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
