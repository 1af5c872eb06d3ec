"""A short scripted conversation, for a demo that nobody sits in front of."""

from __future__ import annotations

from contextlib import aclosing
from typing import Final

from rich.text import Text

from gateway.cli.console import stdout
from gateway.cli.talk.conversation import Conversation
from gateway.cli.talk.desk import Desk
from gateway.cli.talk.keyboard import PROMPT
from gateway.cli.talk.link import open_link
from gateway.cli.talk.screen import PlainScreen
from gateway.client import Target
from protocol.server import ChatStreamEnd

QUESTIONS: Final = (
    "How does a gateway stream an answer over a WebSocket?",
    "Which sources explain backpressure?",
)
COMMANDS: Final = ("/context", "/usage")


async def hold_showcase(target: Target) -> bool:
    """Ask, show the answers, the context and the bill; whether every question was answered."""
    console = stdout()
    screen = PlainScreen(console, console)
    async with open_link(target) as link:
        conversation = Conversation(link)
        answered = [await _ask(conversation, screen, question) for question in QUESTIONS]
        desk = Desk(conversation, screen)
        for command in COMMANDS:
            _say_line(screen, command)
            await desk.serve(command, "")
    return all(answered)


async def _ask(conversation: Conversation, screen: PlainScreen, question: str) -> bool:
    _say_line(screen, question)
    screen.space()
    frames = 0
    message = None
    with screen.answer() as answer:
        async with aclosing(conversation.turn(question)) as messages:
            async for message in messages:
                answer.show(message)
                frames += 1
    screen.show(Text(f"(streamed as {frames} messages over one WebSocket)"))
    return isinstance(message, ChatStreamEnd)


def _say_line(screen: PlainScreen, line: str) -> None:
    screen.space()
    screen.show(Text(f"{PROMPT}{line}"))
