"""Where the person's lines come from: an editor on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable
from enum import Enum
from pathlib import Path
from typing import Final, Protocol

import click
import trio
from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.styles import Style

from gateway.cli.streams import has_unicode, sound, spelled
from gateway.cli.talk.commands import COMMANDS
from gateway.cli.talk.pasting import TOGETHER_SECONDS, send_unless_pasted
from gateway.cli.talk.question import Choice, KeyQuestion, ask_for_line
from gateway.cli.talk.stage import PreRun, Stage
from gateway.cli.talk.suspending import add_suspend_key

PROMPT: Final = "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} "
HISTORY_FILE: Final = "chat_history"
READ_BYTES: Final = 65_536
TOOLBAR_SECONDS: Final = 0.5
_STYLE: Final = Style.from_dict(
    {"prompt": "bold ansicyan", "bottom-toolbar": "noreverse ansibrightblack"}
)


class Key(Enum):
    """What was pressed instead of a line."""

    INTERRUPT = "Ctrl-C"
    END = "Ctrl-D"


TypedLine = str | Key


class Keyboard(Protocol):
    """Gives the person's lines."""

    async def read(self) -> TypedLine:
        """The next line, without its end; `Key.END` when there are no more."""
        ...

    async def choose(self) -> Choice:
        """Whether a tool may run, as the person says."""
        ...

    def leave(self) -> None:
        """Let `read` return `Key.END` now, if it can."""
        ...

    def suspend(self) -> bool:
        """Suspend and give the terminal back for that, if it is taken; whether it is."""
        ...


class PlainLines:
    """Lines of a file descriptor: of a pipe, a file, or a terminal without abilities.

    It reads the descriptor itself: a thread that hangs in `sys.stdin` would hold its lock, and the
    interpreter could not end.
    """

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._is_terminal = os.isatty(descriptor)
        self._decoder = getincrementaldecoder("utf-8")("replace")
        self._text = ""
        self._ended = False

    async def read(self) -> TypedLine:
        """The next line; at a terminal all that were pasted with it, as one message."""
        if not self._is_terminal:
            return await self._read()
        if "\n" not in self._text:
            click.echo(PROMPT, nl=False, err=True)
        first = await self._read()
        return first if isinstance(first, Key) else await self._with_more(first)

    async def _with_more(self, line: str) -> str:
        while await self._has_more():
            following = await self._read()
            if isinstance(following, Key):
                break
            line += f"\n{following}"
        return line

    async def _has_more(self) -> bool:
        if "\n" in self._text or sys.platform == "win32":
            return "\n" in self._text
        with trio.move_on_after(TOGETHER_SECONDS):
            await trio.lowlevel.wait_readable(self._descriptor)
            return True
        return False

    async def _read(self) -> TypedLine:
        while "\n" not in self._text and not self._ended:
            if self._is_terminal and sys.platform != "win32":
                # A thread that was abandoned in a read would take the next line with it.
                await trio.lowlevel.wait_readable(self._descriptor)
            read = await trio.to_thread.run_sync(
                os.read, self._descriptor, READ_BYTES, abandon_on_cancel=True
            )
            self._text += self._decoder.decode(read, final=not read)
            self._ended = not read
        line, _, self._text = self._text.partition("\n")
        return line if line or not self._ended or self._text else Key.END

    async def choose(self) -> Choice:
        """A pipe's lines are messages, whatever they are: its writer cannot be asked."""
        if not self._is_terminal:
            return Choice.NOBODY
        self._text = ""
        return await ask_for_line(self._descriptor, self._read_answer)

    async def _read_answer(self) -> str | None:
        line = await self._read()
        return None if isinstance(line, Key) else line

    def leave(self) -> None:
        """A read of a pipe can be abandoned: whoever cancels it need not ask."""

    def suspend(self) -> bool:
        """The terminal is as it was."""
        return False


class Editor:
    """A line editor with history, completion of commands, several lines and a line of status."""

    def __init__(self, history: History, status: Callable[[], str]) -> None:
        self._session: PromptSession[str] = PromptSession(
            history=history,
            key_bindings=_bindings(),
            completer=_Commands(),
            complete_while_typing=Condition(self._is_command),
            multiline=True,
            prompt_continuation=FormattedText([("", " " * len(PROMPT))]),
            bottom_toolbar=lambda: FormattedText(
                [("class:bottom-toolbar.text", self._written(status()))]
            ),
            refresh_interval=TOOLBAR_SECONDS,
            reserve_space_for_menu=len(COMMANDS) + 1,
            style=_STYLE,
        )
        app = self._session.app
        self._stage = Stage(app)
        self._question = KeyQuestion(app.input, app.output)

    async def read(self) -> TypedLine:
        """The next message, which may have several lines."""
        return await self._stage.run(self._prompt)

    async def choose(self) -> Choice:
        """Whether a tool may run: one key says it."""
        return await self._question.ask()

    def leave(self) -> None:
        """Give the terminal back, if it is taken."""
        self._stage.leave()
        self._question.leave()

    def suspend(self) -> bool:
        """Suspend, if the editor or a question has the terminal; whether one has it."""
        return self._stage.suspend() or self._question.suspend()

    def _is_command(self) -> bool:
        # Elsewhere no room for a menu is held free below the line.
        return self._session.default_buffer.text.startswith("/")

    def _written(self, text: str) -> str:
        """A text of ours with the characters that the terminal has."""
        return text if has_unicode(self._session.app.output.encoding()) else spelled(text)

    def _prompt(self, pre_run: PreRun) -> TypedLine:
        try:
            prompt = FormattedText([("class:prompt", self._written(PROMPT))])
            return sound(self._session.prompt(prompt, pre_run=pre_run))
        except KeyboardInterrupt:
            return Key.INTERRUPT
        except EOFError:
            return Key.END


def open_history(folder: Path) -> History:
    """The history in `folder`, readable by its owner alone; in memory when it cannot be kept."""
    path = folder / HISTORY_FILE
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
        path.chmod(0o600)
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(path))


class _Commands(Completer):
    """Completes what begins with a slash."""

    def get_completions(
        self,
        document: Document,
        complete_event: CompleteEvent,  # noqa: ARG002 - prompt_toolkit's signature
    ) -> Iterable[Completion]:
        typed = document.text
        if typed.startswith("/") and " " not in typed:
            for name, meaning in COMMANDS.items():
                if name.startswith(typed.lower()):
                    yield Completion(name, -len(typed), display_meta=meaning)


def _bindings() -> KeyBindings:
    bindings = KeyBindings()
    add_suspend_key(bindings)

    bindings.add("enter")(send_unless_pasted)

    @bindings.add("escape", "enter")
    def _break_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @bindings.add("c-c")
    def _interrupt(event: KeyPressEvent) -> None:
        # With something typed it empties the line; the empty line hands it on.
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            event.app.exit(exception=KeyboardInterrupt)

    return bindings
