"""`agentspace sessions`: list them, show one, delete one."""

from __future__ import annotations

import click
from msgspec import UNSET

from agentspace.client import new_id
from agentspace.messages import (
    SessionDelete,
    SessionHistory,
    SessionList,
)
from gateway.cli.console import stdout
from gateway.cli.json_line import print_json
from gateway.cli.options import json_option
from gateway.cli.session_ids import complete_session
from gateway.cli.target import FoundGateway, ask, gateway_options
from gateway.cli.views.harmless import harmless
from gateway.cli.views.lists import history, session_listing

PAGE = click.IntRange(1, 200)


class _ListsByDefault(click.Group):
    """Alone or with flags only, it is its command `list`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        is_named = bool(args) and (not args[0].startswith("-") or args[0] in ctx.help_option_names)
        if is_named or ctx.resilient_parsing:  # a shell that completes wants all commands
            return super().parse_args(ctx, args)
        return super().parse_args(ctx, ["list", *args])


@click.group(cls=_ListsByDefault)
def sessions() -> None:
    """List sessions, show one, or delete one. Alone it lists them."""


@sessions.command("list")
@gateway_options
@click.option("--limit", type=PAGE, default=50, show_default=True, help="Most rows.")
@click.option("--before", metavar="NEXT", help="The page after another: its `next`.")
@json_option
def list_sessions(found: FoundGateway, limit: int, before: str | None, *, as_json: bool) -> None:
    """List sessions, the most recently active first."""
    question = SessionList(id=new_id(), limit=limit, before=before)
    listing = ask(found, question)
    if as_json:
        return print_json(listing)
    stdout().print(session_listing(harmless(listing)))
    if listing.next is not UNSET:
        click.echo(f"More: agentspace sessions list --limit {limit} --before {listing.next}")
    return None


@sessions.command("show")
@click.argument("session", shell_complete=complete_session)
@gateway_options
@click.option("--limit", type=PAGE, default=20, show_default=True, help="Most messages.")
@click.option("--before", metavar="NEXT", help="Older messages: a former page's `next`.")
@json_option
def show_session(
    session: str,
    found: FoundGateway,
    limit: int,
    before: str | None,
    *,
    as_json: bool,
) -> None:
    """Show the last messages of SESSION."""
    question = SessionHistory(id=new_id(), session_id=session, limit=limit, before=before)
    page = ask(found, question)
    if as_json:
        return print_json(page)
    if page.next is not UNSET:
        click.echo(f"Older: agentspace sessions show {session} --before {page.next}")
    stdout().print(history(harmless(page)))
    return None


@sessions.command("delete")
@click.argument("session", shell_complete=complete_session)
@gateway_options
@json_option
def delete_session(session: str, found: FoundGateway, *, as_json: bool) -> None:
    """Delete the messages of SESSION. What it was billed stays in the usage."""
    deleted = ask(found, SessionDelete(id=new_id(), session_id=session))
    if as_json:
        return print_json(deleted)
    click.echo(f"Session {session} is deleted.")
    return None
