"""`agentspace chat`: talk to a running gateway from the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Final, get_args

import click
import msgspec
from rich.text import Text

from agentspace.client import Client
from agentspace.client.address import shown
from agentspace.client.local import Target
from gateway.cli.console import can_draw, can_type, is_interactive, stderr, stdout
from gateway.cli.exit_codes import FAILED
from gateway.cli.options import BAD_USAGE, Stop, json_option
from gateway.cli.piped import piped_text
from gateway.cli.running import run
from gateway.cli.session_ids import complete_session
from gateway.cli.streams import sound
from gateway.cli.talk.chat import Chat
from gateway.cli.talk.consent import Policy
from gateway.cli.talk.conversation import ChatSession
from gateway.cli.talk.desk import LAST_MESSAGES
from gateway.cli.talk.keyboard import Editor, Keyboard, PlainLines, open_history
from gateway.cli.talk.screen import PlainScreen, RichScreen, Screen
from gateway.cli.talk.single import JsonScreen, NoKeyboard
from gateway.cli.target import FoundGateway, gateway_options, open_client
from gateway.cli.views.lists import history

NO_SESSION: Final = "there is no session yet to go on with: ask without --continue."


class Topic(msgspec.Struct, frozen=True):
    """In which session, and of which model, is asked; `None` is a new one, and the default."""

    session_id: str | None = None
    latest: bool = False
    model: str | None = None


@click.command()
@click.argument("question", nargs=-1)
@gateway_options
@click.option(
    "--session",
    "session_id",
    metavar="ID",
    shell_complete=complete_session,
    help="Session to go on with.",
)
@click.option("-c", "--continue", "latest", is_flag=True, help="Go on with the last session.")
@click.option("--model", metavar="ID", help="Model that answers.")
@click.option(
    "--tools",
    type=click.Choice(get_args(Policy)),
    default="ask",
    show_default=True,
    help="Let tools run that need consent: ask (denies when nobody can be asked), all, or none.",
)
@json_option
def chat(
    question: tuple[str, ...],
    found: FoundGateway,
    session_id: str | None,
    model: str | None,
    tools: Policy,
    *,
    latest: bool,
    as_json: bool,
) -> None:
    """Talk to a running gateway, or ask it one QUESTION.

    A question, or text that is piped in, is answered on stdout, and the command ends; all else goes
    to stderr. A question and a text are sent together: git diff | agentspace chat "Any mistakes?"

    Without either this is a chat: /help lists what can be typed besides messages.
    """
    if session_id is not None and latest:
        raise click.UsageError("give --session or --continue, not both.")
    topic = Topic(session_id, latest, model)
    text = _question(sound(" ".join(question)).strip())

    async def converse() -> int:
        if text:
            return await hold_answer(found, topic, text, tools, as_json=as_json)
        return await hold_chat(found.target, found.data_dir, topic, tools)

    if not text and as_json:
        raise click.UsageError("--json needs a question.")
    raise SystemExit(run(converse))


def _question(given: str) -> str:
    """What is asked at once; empty when a person is to type."""
    text = "\n\n".join(filter(None, [given, piped_text(optional=bool(given))]))
    if not text and not can_type():
        raise Stop("there is no question: give one, or pipe a text.", code=BAD_USAGE)
    return text


async def hold_answer(
    found: FoundGateway, topic: Topic, text: str, tools: Policy, *, as_json: bool
) -> int:
    """One question and its answer; the exit code."""
    async with open_client(found.target) as client:
        conversation = await _open_session(client, topic, raw=as_json)
        screen = JsonScreen(stderr()) if as_json else _screen()
        keyboard = NoKeyboard() if as_json else _keyboard(conversation, found.data_dir)
        return await Chat(conversation, screen, keyboard, tools).answer(text)


async def hold_chat(
    target: Target, history_folder: Path, topic: Topic, tools: Policy = "ask"
) -> int:
    """The chat, from the first connection to the goodbye; the exit code.

    A person has seen what became of the last turn, and leaves in good order.
    """
    async with open_client(target) as client:
        conversation = await _open_session(client, topic)
        screen = _screen()
        chat = Chat(conversation, screen, _keyboard(conversation, history_folder), tools)
        if is_interactive():
            await _greet(conversation, screen, target)
        await chat.run()
    return 0 if is_interactive() and not chat.was_ended else chat.exit_code


async def _open_session(client: Client, topic: Topic, *, raw: bool = False) -> ChatSession:
    conversation = ChatSession(client, topic.session_id, topic.model, raw=raw)
    if topic.latest:
        sessions = (await conversation.sessions()).sessions
        if not sessions:
            raise Stop(NO_SESSION, FAILED, code="SESSION_NOT_FOUND")
        conversation.enter(sessions[0].session_id)
    return conversation


async def _greet(conversation: ChatSession, screen: Screen, target: Target) -> None:
    screen.show(Text(f"Connected to {shown(target.url)}. /help lists the commands.", style="dim"))
    if conversation.session_id is not None:
        screen.show(history(await conversation.history(LAST_MESSAGES)))


def _screen() -> Screen:
    out = stdout()
    if can_draw(out):
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
