"""The chat: lines go in, turns and tables come out, whatever the connection does."""

from __future__ import annotations

import io
import os
import signal
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trio
from rich.console import Console

from agentspace.client import ConnectError
from agentspace.client.local import Target
from gateway.cli.exit_codes import FAILED
from gateway.cli.talk.chat import Chat
from gateway.cli.talk.commands import Command, Meant, Say, Unknown, meaning_of
from gateway.cli.talk.conversation import ChatSession
from gateway.cli.talk.keyboard import Key, PlainLines, TypedLine, open_history
from gateway.cli.talk.question import Choice
from gateway.cli.talk.screen import PlainScreen
from gateway.cli.target import open_client
from gateway.simulator import Fault, Reply, ReplyText
from tests.support import TOKEN, World, open_world

LONG = "go on [[sim: count=400 rate=200 chars=5]]"


class Typist:
    """A keyboard whose lines are known; between two of them something may happen."""

    def __init__(self, *lines: TypedLine | Callable[[], None]) -> None:
        self._lines = list(lines)
        self.left = False

    async def read(self) -> TypedLine:
        """The next line."""
        await trio.lowlevel.checkpoint()
        while self._lines:
            line = self._lines.pop(0)
            if not callable(line):
                return line
            line()
        return Key.END

    async def choose(self) -> Choice:
        """No tool asks for anything here."""
        await trio.lowlevel.checkpoint()
        return Choice.NOBODY

    def leave(self) -> None:
        """Remembered."""
        self.left = True

    def suspend(self) -> bool:
        """It has no terminal."""
        return False


class Page(io.StringIO):
    """A file that acts once a text has been written to it."""

    def __init__(self) -> None:
        super().__init__()
        self._watched: tuple[str, Callable[[], None]] | None = None

    def when(self, text: str, act: Callable[[], None]) -> None:
        """Call `act` once `text` has been written."""
        self._watched = text, act

    def write(self, text: str) -> int:
        """Write, and act if it is time."""
        written = super().write(text)
        if self._watched is not None and self._watched[0] in self.getvalue():
            act, self._watched = self._watched[1], None
            act()
        return written


class Wire:
    """A way to the gateway that can be cut."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url)
        self._scopes: set[trio.CancelScope] = set()
        self.port = 0

    @property
    def url(self) -> str:
        """Where to connect."""
        return f"ws://127.0.0.1:{self.port}/gateway"

    def cut(self) -> None:
        """Break all connections."""
        for scope in self._scopes:
            scope.cancel()

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Pass everything on."""
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = listeners[0].socket.getsockname()[1]
        task_status.started()
        await trio.serve_listeners(self._carry, listeners)

    async def _carry(self, near: trio.SocketStream) -> None:
        far = await trio.open_tcp_stream(str(self._address.hostname), self._address.port or 0)
        async with near, far:
            with trio.CancelScope() as scope:
                self._scopes.add(scope)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._pass, near, far, scope)
                    nursery.start_soon(self._pass, far, near, scope)
            self._scopes.discard(scope)

    async def _pass(
        self, source: trio.SocketStream, sink: trio.SocketStream, scope: trio.CancelScope
    ) -> None:
        try:
            async for data in source:
                await sink.send_all(data)
        except trio.BrokenResourceError:
            pass
        scope.cancel()


@asynccontextmanager
async def open_chat(
    world: World, *lines: TypedLine | Callable[[], None], url: str = ""
) -> AsyncIterator[tuple[Chat, ChatSession, Page]]:
    """A chat with this typist; what it shows is on the page."""
    page = Page()
    console = Console(file=page, width=100, color_system=None)
    async with open_client(Target(url or world.url, TOKEN)) as client:
        conversation = ChatSession(client)
        with trio.fail_after(10):  # noqa: ASYNC100 - what is yielded to waits
            yield (
                Chat(conversation, PlainScreen(console, console), Typist(*lines)),
                conversation,
                page,
            )


async def said(world: World, *lines: TypedLine | Callable[[], None]) -> str:
    """All that a chat of these lines shows."""
    async with open_chat(world, *lines) as (chat, _, page):
        await chat.run()
    return page.getvalue()


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("", None),
        ("   ", None),
        ("hello", Say("hello")),
        ("  two\nlines ", Say("two\nlines")),
        ("/help", Command("/help", "")),
        ("/HELP", Command("/help", "")),
        ("/q", Command("/quit", "")),
        ("/model  opus ", Command("/model", "opus")),
        ("//help", Say("/help")),
        ("/etc/passwd is a file", Say("/etc/passwd is a file")),
        ("1/2", Say("1/2")),
    ],
)
def test_a_line_is_a_message_or_a_command(line: str, meant: Meant | None) -> None:
    """What begins with a slash and a word is a command; a path or two slashes are text."""
    assert meaning_of(line) == meant


def test_a_mistyped_command_is_not_sent_to_the_model() -> None:
    """An unknown command gets a hint with the nearest one."""
    meant = meaning_of("/contxt")
    assert isinstance(meant, Unknown)
    assert "/context" in meant.hint


async def test_a_line_gets_an_answer_and_its_bill(tmp_path: Path) -> None:
    """A message is answered with text, tokens and cost, in one session."""
    async with open_world(tmp_path) as world:
        text = await said(world, "hello there", "and again")
        assert len(world.sent()) == 2
        assert len(world.sent()[1]["messages"]) == 3
    assert text.count("claude-sonnet-5-5 · ") == 2
    assert "Hello!" in text


async def test_commands_show_context_usage_sessions_and_models(tmp_path: Path) -> None:
    """The chat's own commands are answered by the gateway, not by the model."""
    async with open_world(tmp_path) as world:
        text = await said(world, "hello", "/context more", "/usage", "/sessions", "/model", "/help")
        assert len(world.sent()) == 1
    for words in ("user_message", "All sessions: 1 request", "hello", "Claude", "Alt-Enter"):
        assert words in text


async def test_a_session_is_taken_up_by_its_number(tmp_path: Path) -> None:
    """`/new` begins a session, `/sessions N` goes back to another and shows its last messages."""
    async with open_world(tmp_path) as world:
        await said(world, "my first question", "/new", "my second question", "/sessions 2", "go")
        last = world.sent()[-1]["messages"]
    assert "my first question" in str(last)
    assert "my second question" not in str(last)


async def test_a_model_is_chosen_by_a_part_of_its_name(tmp_path: Path) -> None:
    """`/model` takes what only one model has in its id, and says so when it does not."""
    async with open_world(tmp_path) as world:
        text = await said(world, "/model opus-4-6", "/model claude", "/model gpt", "hello")
        assert world.sent()[0]["model"] == "claude-opus-4-6"
    assert "claude could be " in text
    assert "gpt is no model" in text


async def test_a_failure_is_one_line_and_the_chat_goes_on(tmp_path: Path) -> None:
    """An answer that fails says why; the next message is answered."""
    async with open_world(tmp_path, retry_attempts=0) as world:
        world.simulator.script(Reply(blocks=(ReplyText("half"),), fault=Fault("reset", at=4)))
        async with open_chat(world, "first", lambda: None, "second") as (chat, _, page):
            await chat.run()
            assert chat.exit_code == 0
    (told,) = (line for line in page.getvalue().splitlines() if line.startswith("agentspace: "))
    assert told.startswith("agentspace: The connection to the provider broke in the middle")
    assert "Traceback" not in page.getvalue()


async def test_ctrl_c_cancels_the_answer_and_keeps_the_chat(tmp_path: Path) -> None:
    """The turn ends as cancelled, with what it cost; the next message is answered."""
    async with (
        open_world(tmp_path) as world,
        open_chat(world, LONG, "thanks") as (chat, _, page),
    ):
        page.when("brown", lambda: signal.raise_signal(signal.SIGINT))
        await chat.run()
    text = page.getvalue()
    assert "cancelled · claude-sonnet-5-5" in text
    assert text.rindex("simulator") > text.index("cancelled")


async def test_ctrl_c_twice_at_the_empty_line_leaves(tmp_path: Path) -> None:
    """The first one says how to leave; a message in between begins anew."""
    async with open_world(tmp_path) as world:
        text = await said(world, Key.INTERRUPT, "one", Key.INTERRUPT, Key.INTERRUPT, "never")
        assert len(world.sent()) == 1
    assert text.count("Ctrl-D leaves") == 2


async def test_sigterm_gives_the_terminal_back_and_leaves(tmp_path: Path) -> None:
    """A signal ends the chat at once, in good order."""
    async with (
        open_world(tmp_path, drain_seconds=0.1) as world,
        open_chat(world, LONG) as (chat, _, page),
    ):
        page.when("brown", lambda: signal.raise_signal(signal.SIGTERM))
        await chat.run()


async def test_a_cut_connection_loses_no_text(tmp_path: Path) -> None:
    """The chat says that the connection was lost, and resumes the answer where it was."""
    async with open_world(tmp_path) as world, trio.open_nursery() as nursery:
        wire = Wire(world.url)
        await nursery.start(wire.run)
        numbers = " ".join(str(number) for number in range(300))
        world.simulator.script(Reply(blocks=(ReplyText(numbers),), rate=200.0))
        async with open_chat(world, "count", url=wire.url) as (chat, _, page):
            page.when(" 57", wire.cut)
            await chat.run()
        nursery.cancel_scope.cancel()
    text = page.getvalue()
    assert "The connection is lost: reconnecting." in text
    assert "Connected again." in text
    kept = text.replace("\nThe connection is lost: reconnecting.\nConnected again.\n", "")
    assert numbers in kept.replace("\n", "")


async def test_a_session_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    """What the gateway refuses before the turn begins is said, and the chat goes on."""
    async with open_world(tmp_path) as world, open_chat(world, "a", "b") as (chat, talk, page):
        talk.model = "not a model"
        await chat.run()
        assert chat.exit_code == FAILED
    assert page.getvalue().count("model") == 2


async def test_no_gateway_at_the_start_is_an_error() -> None:
    """Only what was there once is waited for."""
    with pytest.raises(ConnectError):
        async with open_client(Target("ws://127.0.0.1:9/gateway", None)):
            pass


async def test_lines_of_a_pipe_are_read_to_the_end() -> None:
    """Lines come one by one, the last one without its newline, bad bytes replaced, then the end."""
    source, sink = os.pipe()
    os.write(sink, "one\n\nthr\u00e9e\n".encode() + b"fo\xffur")
    os.close(sink)
    lines = PlainLines(source)
    found: list[TypedLine] = [await lines.read() for _ in range(5)]
    os.close(source)
    assert found == ["one", "", "thr\u00e9e", "fo\ufffdur", Key.END]


def test_the_history_is_its_owner_s_alone(tmp_path: Path) -> None:
    """What was typed is kept in a file of mode 0600; where none can be made, in memory."""
    open_history(tmp_path / "new").append_string("hello")
    path = tmp_path / "new" / "chat_history"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "hello" in path.read_text()
    open_history(path).append_string("a file is no folder")
