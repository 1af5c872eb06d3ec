"""Tools in the chat: calls are shown, consent is asked for, and nothing drives the terminal."""

from __future__ import annotations

import os
import re
import sys
import termios
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from rich.console import Console

from agentspace.client.local import Target
from gateway.cli.talk import question
from gateway.cli.talk.chat import Chat
from gateway.cli.talk.consent import Policy
from gateway.cli.talk.conversation import ChatSession
from gateway.cli.talk.keyboard import PROMPT, Key, TypedLine
from gateway.cli.talk.question import Choice
from gateway.cli.talk.screen import PlainScreen, RichScreen
from gateway.cli.target import open_client
from gateway.mcp.settings import McpServer
from gateway.simulator import Reply, ReplyText, ReplyThinking, ToolUse, calls, cite, says, turn
from protocol.tools import Approval
from tests.gateway.test_cli_chat import Page, Wire
from tests.gateway.test_cli_commands import RUN, environ_of
from tests.support import TOKEN, Talk, World, open_world
from tests.terminal import open_terminal

SECONDS = 20.0

SERVER = """
import json, sys, time
from pathlib import Path

notes = Path(sys.argv[1])
names = ["echo", "slow"]

def say(number, **message):
    print(json.dumps({"jsonrpc": "2.0", "id": number, **message}), flush=True)

for line in sys.stdin:
    message = json.loads(line)
    method, number, params = message["method"], message.get("id"), message.get("params", {})
    if method == "initialize":
        say(number, result={"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
            "serverInfo": {"name": "m", "version": "1"}})
    elif method == "tools/list":
        say(number, result={"tools": [
            {"name": name, "inputSchema": {"type": "object"}} for name in names]})
    elif method == "tools/call":
        said = params["arguments"].get("text", "")
        with notes.open("a") as file:
            file.write(said + "\\n")
        while params["name"] == "slow" and not notes.with_name("go").exists():
            time.sleep(0.01)
        say(number, result={"content": [{"type": "text", "text": said}]})
    elif number is not None:
        say(number, error={"code": -32601, "message": "unknown"})
"""


class Person:
    """Types these lines; to each question there is one answer, or something that gives it."""

    def __init__(
        self, *lines: TypedLine, says: tuple[Choice | Callable[[], Awaitable[Choice]], ...] = ()
    ) -> None:
        self._lines = list(lines)
        self.says = list(says)
        self.asked = 0

    async def read(self) -> TypedLine:
        """The next line."""
        await trio.lowlevel.checkpoint()
        return self._lines.pop(0) if self._lines else Key.END

    async def choose(self) -> Choice:
        """The next answer."""
        await trio.lowlevel.checkpoint()
        self.asked += 1
        said = self.says.pop(0)
        return said if isinstance(said, Choice) else await said()

    def leave(self) -> None:
        """There is nothing to leave."""

    def suspend(self) -> bool:
        """There is no terminal."""
        return False


@asynccontextmanager
async def workshop(
    folder: Path, approval: Approval = "session", **settings: Any
) -> AsyncIterator[World]:
    """A world in which the tool `t__echo` answers with its `text`, once somebody agrees."""
    script = folder / "server.py"
    script.write_text(SERVER)
    server = McpServer(
        name="t",
        command=sys.executable,
        args=(str(script), str(folder / "calls")),
        approval=approval,
    )
    async with open_world(folder, mcp_servers=(server,), **settings) as world:
        async with world.talk() as talk:
            await wait_for_tools(talk)
        yield world


async def wait_for_tools(talk: Talk) -> None:
    """Until the server's tools are on offer."""
    created = await talk.ask("session.create")
    with trio.fail_after(30):
        while True:
            seen = await talk.ask("context.inspect", sessionId=created["sessionId"])
            if any("t__echo" in section["content"] for section in seen["sections"]):
                return
            await trio.sleep(0.02)


def called(folder: Path) -> list[str]:
    """The texts with which the tool has been called."""
    notes = folder / "calls"
    return notes.read_text().splitlines() if notes.exists() else []


@asynccontextmanager
async def chat_of(
    world: World, person: Person, policy: Policy = "ask", *, url: str = "", rich: bool = False
) -> AsyncIterator[tuple[Chat, Page]]:
    """A chat with this person; what it shows is on the page."""
    page = Page()
    console = Console(file=page, width=100, color_system=None, force_terminal=rich)
    screen = RichScreen(console) if rich else PlainScreen(console, console)
    async with open_client(Target(url or world.url, TOKEN)) as client:
        chat = Chat(ChatSession(client), screen, person, policy)
        with trio.fail_after(SECONDS):  # noqa: ASYNC100 - what is yielded to waits
            yield chat, page


async def said(world: World, person: Person, policy: Policy = "ask", *, rich: bool = False) -> str:
    """All that a chat with this person shows."""
    async with chat_of(world, person, policy, rich=rich) as (chat, page):
        await chat.run()
    return page.getvalue()


def echo(world: World, *texts: str, then: str = "It said: {t__echo}") -> None:
    """Every answer calls the tool with these texts at once, and then quotes it."""
    world.simulator.script(turn(calls(*(("t__echo", {"text": t}) for t in texts)), says(then)))


@pytest.mark.parametrize("rich", [False, True], ids=["plain", "rich"])
async def test_a_tool_runs_once_somebody_agrees(tmp_path: Path, rich: bool) -> None:
    """Call, question, consent, result and answer are shown in this order."""
    async with workshop(tmp_path) as world:
        echo(world, "hi")
        text = await said(world, Person("go", says=(Choice.ONCE,)), rich=rich)
    assert called(tmp_path) == ["hi"]
    shown = [
        'calls t__echo(text="hi")',
        "t__echo wants to run · high risk",
        '"text": "hi"',
        "allowed, this once",
        "t__echo: hi",
        "It said: hi",
        "2 steps",
    ]
    places = [text.rindex(words) for words in shown]
    assert places == sorted(places)


async def test_consent_for_the_session_is_asked_for_once(tmp_path: Path) -> None:
    """The next turn's call runs without a question."""
    async with workshop(tmp_path) as world:
        echo(world, "a")
        echo(world, "b")
        person = Person("go", "again", says=(Choice.SESSION,))
        text = await said(world, person)
    assert (person.asked, len(called(tmp_path))) == (1, 2)
    assert "allowed for this session" in text


async def test_a_tool_that_asks_each_time_says_so(tmp_path: Path) -> None:
    """Consent for the session is consent for this once, and nobody is told otherwise."""
    async with workshop(tmp_path, approval="always") as world:
        echo(world, "a")
        echo(world, "b")
        person = Person("go", "again", says=(Choice.SESSION, Choice.NO))
        text = await said(world, person)
    assert (person.asked, len(called(tmp_path))) == (2, 1)
    assert "asks each time" in text
    assert "allowed for this session" not in text
    assert "allowed, this once: the tool asks each time" in text


async def test_consent_for_once_is_asked_for_again(tmp_path: Path) -> None:
    """It does not reach beyond its call."""
    async with workshop(tmp_path) as world:
        echo(world, "a")
        echo(world, "b")
        person = Person("go", "again", says=(Choice.ONCE, Choice.NO))
        await said(world, person)
    assert (person.asked, len(called(tmp_path))) == (2, 1)


async def test_a_denied_tool_does_not_run_and_the_model_hears_of_it(tmp_path: Path) -> None:
    """The answer goes on with the denial."""
    async with workshop(tmp_path) as world:
        echo(world, "hi")
        text = await said(world, Person("go", says=(Choice.NO,)))
    assert called(tmp_path) == []
    assert "  denied\n" in text
    assert "t__echo failed: The user does not allow this call." in text


async def test_ctrl_c_denies_and_cancels(tmp_path: Path) -> None:
    """The tool does not run, the turn ends, the chat goes on."""
    async with workshop(tmp_path) as world:
        world.simulator.script(
            turn(calls(("t__echo", {"text": "hi"})), says("Never said."), when="go")
        )
        text = await said(world, Person("go", "hello", says=(Choice.CANCEL,)))
    assert called(tmp_path) == []
    assert "denied, and the answer is cancelled" in text
    assert "cancelled · claude-sonnet-5-5" in text
    assert text.rindex("claude-sonnet-5-5 · ") > text.index("cancelled · ") + 20


@pytest.mark.parametrize(
    ("policy", "choices", "runs", "words"),
    [
        ("ask", (Choice.NOBODY,), False, "denied: nobody is here to be asked (--tools allow"),
        ("deny", (), False, "denied: --tools deny"),
        ("allow", (), True, "allowed: --tools allow"),
    ],
)
async def test_without_a_person_the_policy_decides(
    tmp_path: Path, policy: Policy, choices: tuple[Choice, ...], runs: bool, words: str
) -> None:
    """Nobody's silence is consent; what was decided, and by what, is said."""
    async with workshop(tmp_path) as world:
        echo(world, "hi")
        text = await said(world, Person("go", says=choices), policy)
    assert called(tmp_path) == (["hi"] if runs else [])
    assert words in text


async def test_several_questions_come_one_after_another(tmp_path: Path) -> None:
    """The other call's question stands once the first is answered, and every result is shown."""
    async with workshop(tmp_path) as world:
        echo(world, "one", "two", then="Done.")
        person = Person("go", says=(Choice.ONCE, Choice.NO))
        text = await said(world, person)
    assert person.asked == 2
    names = re.findall(r"(t__echo.*) wants to run", text)
    assert sorted(names) == ["t__echo", "t__echo #2"]
    assert called(tmp_path) == ["one" if names[0] == "t__echo" else "two"]
    assert text.index("allowed, this once") < text.index(f"{names[1]} wants to run")
    assert f"  {names[0]}: {called(tmp_path)[0]}\n" in text
    assert f"  {names[1]} failed: The user does not allow this call." in text
    assert "Done." in text


async def test_a_question_that_is_answered_elsewhere_is_withdrawn(tmp_path: Path) -> None:
    """Another client agrees: the question goes, and the result is shown."""
    async with workshop(tmp_path) as world, world.talk() as other:
        call = ToolUse("t__echo", {"text": "hi"}, id="toolu_1")
        world.simulator.script(turn(Reply(blocks=(call,)), says("It said: {t__echo}")))
        withdrawn = trio.Event()

        async def while_another_answers() -> Choice:
            await other.say("tool.approval.response", toolCallId="toolu_1", approved=True)
            try:
                await trio.sleep_forever()
            finally:
                withdrawn.set()

        text = await said(world, Person("go", says=(while_another_answers,)))
    assert withdrawn.is_set()
    assert called(tmp_path) == ["hi"]
    assert "No answer is needed any more." in text
    assert "It said: hi" in text


async def test_a_word_that_comes_too_late_is_not_believed(tmp_path: Path) -> None:
    """When somebody else agreed first, and the tool still runs, a no is not said to count."""
    async with workshop(tmp_path) as world, world.talk() as other:
        call = ToolUse("t__slow", {"text": "hi"}, id="toolu_1")
        world.simulator.script(turn(Reply(blocks=(call,)), says("It said: {t__slow}")))
        person = Person("go")
        async with chat_of(world, person) as (chat, page):

            async def after_another() -> Choice:
                await other.say("tool.approval.response", toolCallId="toolu_1", approved=True)
                while called(tmp_path) != ["hi"]:  # noqa: ASYNC110 - another process writes it
                    await trio.sleep(0.01)
                page.when("It had been answered already", (tmp_path / "go").touch)
                return Choice.NO

            person.says.append(after_another)
            await chat.run()
    assert "It said: hi" in page.getvalue()


async def test_a_question_ends_with_its_turn(tmp_path: Path) -> None:
    """Nobody answers in time: the turn goes on without the tool, and no question is left."""
    async with workshop(tmp_path, approval_seconds=0.5) as world:
        echo(world, "hi", then="Without it, then.")
        text = await said(world, Person("go", says=(trio.sleep_forever,)))
    assert called(tmp_path) == []
    assert text.index("No answer is needed any more.") < text.index("Nobody allowed this call")
    assert "Without it, then." in text


async def test_a_question_survives_the_connection(tmp_path: Path) -> None:
    """The connection is lost while the question stands: the answer goes over the next one."""
    async with workshop(tmp_path) as world, trio.open_nursery() as nursery:
        wire = Wire(world.url)
        await nursery.start(wire.run)
        echo(world, "hi")

        async def after_a_cut() -> Choice:
            wire.cut()
            return Choice.ONCE

        async with chat_of(world, Person("go", says=(after_a_cut,)), url=wire.url) as (chat, page):
            await chat.run()
        nursery.cancel_scope.cancel()
    text = page.getvalue()
    assert called(tmp_path) == ["hi"]
    assert "Connected again." in text
    assert "It said: hi" in text
    assert "answered already" not in text


@pytest.mark.parametrize("rich", [False, True], ids=["plain", "rich"])
async def test_neither_model_nor_tool_drives_the_terminal(tmp_path: Path, rich: bool) -> None:
    """Escape sequences in text, arguments and results are shown as what they are: nothing."""
    evil = "\x1b]0;title\x07\x1b[2J\x9b31m\u202ered"
    async with workshop(tmp_path) as world:
        calling = calls(("t__echo", {"text": evil}), say=f"See {evil}")
        pages = cite(f"Cited {evil}", (("https://a.example/" + evil, "Title " + evil),))
        world.simulator.script(
            turn(calling, Reply(blocks=(ReplyThinking(evil), ReplyText(f"Text {evil}\n\n"), pages)))
        )
        # Without a terminal rich adds no sequences of its own.
        page = Page()
        console = Console(file=page, width=100, color_system=None)
        screen = RichScreen(console, animate=False) if rich else PlainScreen(console, console)
        async with open_client(Target(world.url, TOKEN)) as client:
            person = Person("go", "/sessions 1", says=(Choice.ONCE,))
            with trio.fail_after(SECONDS):
                await Chat(ChatSession(client), screen, person).run()
    text = page.getvalue()
    assert called(tmp_path) == [evil]
    assert "Cited" in text
    assert "Title" in text
    assert not set(text) & set("\x1b\x07\x9b\u202e\r")


async def test_a_tool_of_another_program_is_named_as_such(tmp_path: Path) -> None:
    """A session may have tools that its program runs: this client does not, and says so."""
    async with open_world(tmp_path) as world, world.talk() as other:
        tide = {"name": "tide", "description": "Tides.", "inputSchema": {"type": "object"}}
        session = (await other.ask("session.create"))["sessionId"]
        await other.turn("hello", sessionId=session, tools=[tide])
        call = ToolUse("tide", {"at": "Kiel"}, id="toolu_1")
        world.simulator.script(turn(Reply(blocks=(call,)), says("It is {tide}.")))
        page = Page()
        console = Console(file=page, width=100, color_system=None)
        async with (
            open_client(Target(world.url, TOKEN)) as client,
            trio.open_nursery() as nursery,
        ):
            chat = Chat(
                ChatSession(client, session), PlainScreen(console, console), Person("Tide?")
            )
            answer = {"toolCallId": "toolu_1", "content": "high"}
            page.when(
                "run by the program that offered it",
                lambda: nursery.start_soon(partial(other.say, "tool.output", **answer)),
            )
            with trio.fail_after(SECONDS):
                await chat.run()
    assert "It is high." in page.getvalue()


class Terminal:
    """A terminal for a process: what it shows so far, and the keys of whoever sits there."""

    def __init__(self) -> None:
        self.shown = ""
        self._near, self.far = os.openpty()
        termios.tcsetwinsize(self._near, (40, 100))
        self._changed = trio.Condition()

    def press(self, keys: str) -> None:
        """Press these."""
        os.write(self._near, keys.encode())

    async def show(self) -> None:
        """Take what the process writes, and say where the cursor is when it asks."""
        while True:
            await trio.lowlevel.wait_readable(self._near)
            text = os.read(self._near, 65_536).decode(errors="replace")
            for _ in range(text.count("\x1b[6n")):
                self.press("\x1b[1;1R")
            self.shown += text
            async with self._changed:
                self._changed.notify_all()

    async def wait_for(self, words: str, after: int = 0) -> int:
        """Until these words are shown, behind so many characters; where they end."""
        async with self._changed:
            while (place := self.shown.find(words, after)) < 0:
                await self._changed.wait()
        return place + len(words)


@asynccontextmanager
async def chat_in_a_terminal(world: World, folder: Path, *options: str) -> AsyncIterator[Terminal]:
    """The command `agentspace chat` at a terminal; it is left at the end."""
    terminal = Terminal()
    run = partial(
        trio.run_process,
        [*RUN, "chat", "--url", world.url, *options],
        stdin=terminal.far,
        stdout=terminal.far,
        stderr=terminal.far,
        env={**environ_of(folder), "TERM": "xterm-256color"},
        start_new_session=True,
    )
    with trio.fail_after(60):  # noqa: ASYNC100 - what is yielded to waits
        async with trio.open_nursery() as nursery:
            nursery.start_soon(terminal.show)
            process: trio.Process = await nursery.start(run)
            await terminal.wait_for("/help lists the commands")
            yield terminal
            terminal.press("\x04")
            await process.wait()
            assert process.returncode == 0
            nursery.cancel_scope.cancel()


async def test_a_key_at_a_real_terminal_lets_the_tool_run(tmp_path: Path) -> None:
    """The question appears, a key answers it, and then it is the chat again."""
    async with workshop(tmp_path) as world:
        echo(world, "hi")
        async with chat_in_a_terminal(world, tmp_path) as terminal:
            await terminal.wait_for(PROMPT.strip())
            terminal.press("go\r")
            asked = await terminal.wait_for("May it run?")
            await trio.sleep(question.STILL_SECONDS)  # since before it was shown it hears nothing
            assert called(tmp_path) == []
            terminal.press("y")
            place = await terminal.wait_for("allowed, this once", asked)
            place = await terminal.wait_for("It said: hi", place)
            await terminal.wait_for(PROMPT.strip(), place)
    assert called(tmp_path) == ["hi"]


async def test_ctrl_c_at_a_real_terminal_denies_and_cancels(tmp_path: Path) -> None:
    """The tool does not run; the editor comes back, and echo with it."""
    async with workshop(tmp_path) as world:
        echo(world, "hi", then="Never said.")
        async with chat_in_a_terminal(world, tmp_path) as terminal:
            await terminal.wait_for(PROMPT.strip())
            terminal.press("go\r")
            asked = await terminal.wait_for("May it run?")
            terminal.press("\x03")
            place = await terminal.wait_for("cancelled", asked)
            await terminal.wait_for(PROMPT.strip(), place)
    assert called(tmp_path) == []
    assert "Never said." not in terminal.shown


async def test_a_question_comes_back_after_a_stop(tmp_path: Path) -> None:
    """`kill -TSTP` while it is shown: the shell has its terminal, and after `fg` a key answers."""
    async with workshop(tmp_path) as world:
        echo(world, "hi")
        environ = {**environ_of(tmp_path), "LANG": "C.UTF-8"}
        chat = ("chat", "--url", world.url)
        async with open_terminal(environ, *chat, shell=True, lines=60) as seen:
            await seen.see(PROMPT.strip())
            seen.press("go\r")
            await seen.see("May it run?")
            seen.tell_to_stop()
            await seen.see("Stopped", r"shell\$$")
            seen.press("fg\r")
            await seen.see("fg\n", "May it run?")
            await trio.sleep(question.STILL_SECONDS)  # since before it was shown it hears nothing
            seen.press("y")
            await seen.see("allowed, this once", "It said: hi", PROMPT.strip())
    assert called(tmp_path) == ["hi"]
