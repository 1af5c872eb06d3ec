"""A short scripted conversation, for a demo that nobody sits in front of."""

from __future__ import annotations

from contextlib import aclosing
from typing import Final

import trio
from rich.text import Text

from agentspace.client import AnswerRefused
from agentspace.client.local import Target
from agentspace.messages import ChatStreamEnd
from gateway.cli.console import stdout
from gateway.cli.talk.consent import Consent, ConsentingTurn
from gateway.cli.talk.conversation import ChatSession
from gateway.cli.talk.desk import Desk
from gateway.cli.talk.keyboard import PROMPT
from gateway.cli.talk.question import Choice
from gateway.cli.talk.screen import PlainScreen, Screen
from gateway.cli.target import open_client
from gateway.cli.views.turn import Shown

TOOL: Final = "machine__free_space"
TOOL_QUESTION: Final = f'How much room is left in "/"? Use {TOOL}.'
QUESTIONS: Final = (
    "How does a gateway stream an answer over a WebSocket?",
    "Which sources explain backpressure?",
)
TOOL_SECONDS: Final = 10.0
LOOK_SECONDS: Final = 0.05
COMMANDS: Final = ("/context", "/usage")


async def hold_showcase(target: Target) -> bool:
    """Ask, show the answers, the context and the bill; whether every question was answered."""
    console = stdout()
    screen = PlainScreen(console, console)
    async with open_client(target) as client:
        conversation = ChatSession(client)
        questions = [*QUESTIONS]
        if await offers_tool(conversation):
            questions.append(TOOL_QUESTION)
        answered = [await _ask(conversation, screen, question) for question in questions]
        desk = Desk(conversation, screen)
        for command in COMMANDS:
            _say_line(screen, command)
            await desk.serve(command, "")
    return all(answered)


async def offers_tool(conversation: ChatSession) -> bool:
    """Whether the demo's tool is there; it takes a moment to start."""
    with trio.move_on_after(TOOL_SECONDS):
        while True:
            found = await conversation.inspect(None)
            if any(TOOL in section.content for section in found.sections):
                return True
            await trio.sleep(LOOK_SECONDS)
    return False


async def _ask(conversation: ChatSession, screen: Screen, question: str) -> bool:
    _say_line(screen, question)
    screen.space()
    messages = await show_turn(conversation, screen, question)
    screen.show(Text(f"(streamed as {len(messages)} messages over one WebSocket)"))
    return isinstance(messages[-1], ChatStreamEnd)


async def show_turn(conversation: ChatSession, screen: Screen, question: str) -> list[Shown]:
    """Ask, agree to whatever tool wants to run, and show it; the messages."""
    consent = Consent(conversation, _agree)
    shown: list[Shown] = []
    with screen.answer() as answer:
        async with trio.open_nursery() as telling:
            async with trio.open_nursery() as asking:
                turn = ConsentingTurn(
                    consent, answer, conversation.cancel, nursery=asking, telling=telling
                )
                async with aclosing(conversation.turn(question)) as messages:
                    async for message in messages:
                        turn.take(message)
                        if not isinstance(message, AnswerRefused):
                            shown.append(message)
                turn.end()
            telling.cancel_scope.cancel()
    return shown


async def _agree() -> Choice:
    """The demo's tool is the demo's own, and looks without touching."""
    await trio.lowlevel.checkpoint()
    return Choice.ONCE


def _say_line(screen: Screen, line: str) -> None:
    screen.space()
    screen.show(Text(f"{PROMPT}{line}"))
