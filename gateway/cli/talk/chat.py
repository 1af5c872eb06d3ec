"""The chat: lines in, turns and tables out, until the person leaves."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, aclosing, contextmanager, nullcontext
from typing import Final

import trio
from rich.text import Text

from agentspace.client import AgentSpaceError, ConnectionLost, GatewayError
from agentspace.messages import ChatStreamEnd
from gateway.cli.exit_codes import DECLINED, FAILED, of_signal
from gateway.cli.options import Stop
from gateway.cli.talk.commands import Command, Say, Unknown, meaning_of
from gateway.cli.talk.consent import Consent, ConsentingTurn, Policy
from gateway.cli.talk.conversation import ChatSession
from gateway.cli.talk.desk import Desk
from gateway.cli.talk.keyboard import Key, Keyboard
from gateway.cli.talk.quiet import loud_terminal, quiet_terminal
from gateway.cli.talk.screen import Screen
from gateway.cli.talk.suspending import receive_suspends, suspend
from gateway.cli.views.answer import REFRESH_SECONDS, AnswerView
from gateway.cli.views.ending import is_whole
from gateway.cli.views.harmless import harmless
from gateway.cli.views.wording import in_words

GOODBYE: Final = Text("Ctrl-C again or Ctrl-D leaves.", style="dim")

SIGNALS: Final = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
GIVEN_UP: Final = Text(
    "Not waited for: what the model still answers will be in the session.", style="yellow"
)


class Chat:
    """Runs until the lines end or the person leaves."""

    def __init__(
        self,
        conversation: ChatSession,
        screen: Screen,
        keyboard: Keyboard,
        policy: Policy = "ask",
    ) -> None:
        self._conversation = conversation
        self._screen = screen
        self._keyboard = keyboard
        self._consent = Consent(conversation, keyboard.choose, policy)
        self._desk = Desk(conversation, screen)
        self._answer: AnswerView | None = None
        self._turn: trio.CancelScope | None = None
        self._interrupts = 0
        self._exit_code = 0
        self._signal: int | None = None

    @property
    def exit_code(self) -> int:
        """What became of the last line that asked for something, unless a signal has ended all."""
        return self._exit_code if self._signal is None else of_signal(self._signal)

    @property
    def was_ended(self) -> bool:
        """Whether a signal has ended it."""
        return self._signal is not None

    async def run(self) -> None:
        """Talk until the end."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_signals, nursery.cancel_scope)
            nursery.start_soon(receive_suspends, self._suspend)
            await self._converse()
            nursery.cancel_scope.cancel()

    async def answer(self, text: str) -> int:
        """One turn and no other, whatever the text begins with; the exit code.

        Raises KeyboardInterrupt when Ctrl-C cancelled it, and AgentSpaceError when there is no
        answer at all.
        """
        self._exit_code = FAILED
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_signals, nursery.cancel_scope)
            nursery.start_soon(receive_suspends, self._suspend)
            await self._ask(text, nullcontext())
            nursery.cancel_scope.cancel()
        if self._interrupts:
            raise KeyboardInterrupt
        return self.exit_code

    async def _converse(self) -> None:
        while True:
            line = await self._keyboard.read()
            if line is Key.END:
                return
            if line is Key.INTERRUPT:
                self._interrupts += 1
                if self._interrupts > 1:
                    return
                self._screen.show(GOODBYE)
                continue
            self._interrupts = 0
            if not await self._act_on(str(line)):
                return

    async def _act_on(self, line: str) -> bool:
        """Do what the line means; whether to go on."""
        match meaning_of(line):
            case Say(text):
                await self._ask(text, self._in_words())
            case Command(name="/quit"):
                return False
            case Command(name, argument):
                with self._in_words():
                    await self._desk.serve(name, argument)
            case Unknown(hint):
                self._complain(hint)
        return True

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        """What cannot be done is said, and the chat goes on."""
        try:
            yield
        except GatewayError as error:
            self._complain(in_words(error.message))
        except ConnectionLost as error:
            self._complain(f"There is no connection: {str(error).rstrip('.')}.")
        except AgentSpaceError as error:
            self._complain(str(error))
        except Stop as error:
            self._complain(error.message)

    def _complain(self, text: str) -> None:
        self._exit_code = FAILED
        self._screen.show(Text(harmless(text), style="red"))

    async def _ask(self, text: str, failing: AbstractContextManager[None]) -> None:
        """One turn, shown while it streams. Ctrl-C cancels it; `failing` has what is raised."""
        self._screen.space()
        with quiet_terminal(), self._screen.answer() as answer, self._showing(answer):
            async with trio.open_nursery() as nursery:
                self._turn = nursery.cancel_scope
                nursery.start_soon(_redraw, answer.refresh)
                try:
                    await self._show(text, answer, nursery, failing)
                finally:
                    self._turn = None
                nursery.cancel_scope.cancel()
        if self._interrupts > 1:
            self._screen.show(GIVEN_UP)
        self._screen.space()

    async def _show(
        self,
        text: str,
        answer: AnswerView,
        everything: trio.Nursery,
        failing: AbstractContextManager[None],
    ) -> None:
        async def cancel() -> None:
            await self._interrupt(everything.cancel_scope)

        async with trio.open_nursery() as nursery:
            turn = ConsentingTurn(
                self._consent, answer, cancel, nursery=nursery, telling=everything
            )
            with failing:
                async with aclosing(self._conversation.turn(text)) as messages:
                    async for message in messages:
                        self._exit_code = _exit_code_of(message)
                        turn.take(message)
            turn.end()

    @contextmanager
    def _showing(self, answer: AnswerView) -> Iterator[None]:
        self._answer = answer
        try:
            yield
        finally:
            self._answer = None

    def _suspend(self) -> None:
        """Stop until the shell lets it go on, with the terminal as the shell had it."""
        if self._keyboard.suspend():
            return
        with nullcontext() if self._answer is None else _stepping_back(self._answer):
            suspend()

    async def _watch_signals(self, everything: trio.CancelScope) -> None:
        with trio.open_signal_receiver(*SIGNALS) as signals:
            async for number in signals:
                if number == signal.SIGINT and self._turn is not None:
                    await self._interrupt(self._turn)
                else:
                    self._signal = number
                    self._keyboard.leave()
                    everything.cancel()

    async def _interrupt(self, turn: trio.CancelScope) -> None:
        """The first Ctrl-C asks the gateway to stop, the next one no longer waits for it."""
        self._interrupts += 1
        if self._conversation.link_state != "connected":
            self._interrupts += 1
        if self._interrupts > 1:
            turn.cancel()
        else:
            await self._conversation.cancel()


def _exit_code_of(message: object) -> int:
    """What a turn has come to with this message, should it be the last one."""
    if not isinstance(message, ChatStreamEnd):
        return FAILED
    if message.stop_reason == "refusal":
        return DECLINED
    return 0 if is_whole(message) else FAILED


@contextmanager
def _stepping_back(answer: AnswerView) -> Iterator[None]:
    """The terminal as the shell had it, for as long as the block lasts."""
    with answer.hidden(), loud_terminal():
        yield


async def _redraw(draw: Callable[[], None]) -> None:
    while True:
        await trio.sleep(REFRESH_SECONDS)
        draw()
