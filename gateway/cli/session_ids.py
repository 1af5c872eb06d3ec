"""Completion of a session's id in the shell: the sessions of the gateway that would be asked."""

from __future__ import annotations

from typing import Final

import click
from click.shell_completion import CompletionItem

from agentspace.client import new_id
from agentspace.messages import SessionList, SessionSummary
from gateway.cli.target import ask, find_target
from gateway.cli.views.harmless import harmless

MOST: Final = 50
LONGEST_TITLE: Final = 60


def complete_session(
    ctx: click.Context,
    param: click.Parameter,  # noqa: ARG001 - click's signature
    incomplete: str,
) -> list[CompletionItem]:
    """The latest sessions whose ids begin like that; none without a gateway."""
    try:
        given = ctx.params
        found = find_target(given.get("url"), given.get("data_dir"), given.get("token"))
        listing = ask(found, SessionList(id=new_id(), limit=MOST))
    except click.ClickException:
        return []
    return [
        CompletionItem(session.session_id, help=_title(session))
        for session in listing.sessions
        if session.session_id.startswith(incomplete)
    ]


def _title(session: SessionSummary) -> str:
    """One line: shells tell suggestions apart by their ends."""
    title = session.title if isinstance(session.title, str) else ""
    return " ".join(harmless(title).split())[:LONGEST_TITLE]
