"""`agentspace chat`: talk to a running gateway from the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import click
from rich.text import Text

from gateway.cli.console import is_interactive, stderr, stdout
from gateway.cli.running import FAILED, run
from gateway.cli.talk.chat import Chat
from gateway.cli.talk.consent import Policy
from gateway.cli.talk.conversation import ChatSession
from gateway.cli.talk.desk import LAST_MESSAGES
from gateway.cli.talk.keyboard import Editor, Keyboard, PlainLines, open_history
from gateway.cli.talk.link import open_link
from gateway.cli.talk.screen import PlainScreen, RichScreen, Screen
from gateway.cli.target import FoundGateway, gateway_options
from gateway.cli.views.lists import history
from gateway.client import Target


@click.command()
@gateway_options
@click.option("--session", "session_id", metavar="ID", help="Session to go on with.")
@click.option("--model", metavar="ID", help="Model that answers.")
@click.option(
    "--tools",
    type=click.Choice(get_args(Policy)),
    default="ask",
    show_default=True,
    help="Let tools run that need consent: ask (denies when nobody can be asked), all, or none.",
)
def chat(
    found: FoundGateway,
    session_id: str | None,
    model: str | None,
    tools: Policy,
) -> None:
    """Talk to a running gateway.

    /help lists what can be typed besides messages. When stdin is no terminal, every line of it is
    a message: echo "Why is the sky blue?" | agentspace chat
    """

    async def converse() -> bool:
        return await hold_chat(found.target, session_id, model, found.data_dir, tools)

    if not run(converse):
        raise SystemExit(FAILED)


async def hold_chat(
    target: Target,
    session_id: str | None,
    model: str | None,
    history_folder: Path,
    tools: Policy = "ask",
) -> bool:
    """The chat, from the first connection to the goodbye; whether the last turn went well."""
    async with open_link(target) as link:
        conversation = ChatSession(link, session_id, model)
        screen = _screen()
        chat = Chat(conversation, screen, _keyboard(conversation, history_folder), tools)
        if is_interactive():
            await _greet(conversation, screen, target)
        await chat.run()
    return is_interactive() or not chat.failed


async def _greet(conversation: ChatSession, screen: Screen, target: Target) -> None:
    screen.show(Text(f"Connected to {target.url}. /help lists the commands.", style="dim"))
    if conversation.session_id is not None:
        screen.show(history(await conversation.history(LAST_MESSAGES)))


def _screen() -> Screen:
    out = stdout()
    if out.is_terminal and not out.is_dumb_terminal:
        return RichScreen(out)
    return PlainScreen(out, out if out.is_terminal else stderr())


def _keyboard(conversation: ChatSession, history_folder: Path) -> Keyboard:
    if not is_interactive():
        return PlainLines()

    def status() -> str:
        parts = [conversation.answers, conversation.session_id or "new session"]
        if conversation.link_state != "connected":
            parts.append("connection lost, reconnecting")
        return " · ".join(part for part in parts if part)

    return Editor(open_history(history_folder), status)
