"""The chat on real terminals: narrow ones, dumb ones, without a size, and what a model writes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.simulator import Reply, ReplyText, ReplyThinking
from tests.shell import environment
from tests.support import TOKEN, World, open_world
from tests.terminal import Terminal, open_terminal

PROMPT = "\u203a"
BILL = r"tokens in"


def surroundings(world: World, **more: str) -> dict[str, str]:
    """The environment of a chat with this gateway."""
    folder = world.settings.data_dir
    return environment(folder, AGENTSPACE_TOKEN=TOKEN, LANG="C.UTF-8", **more)


def asked(world: World) -> list[Any]:
    """The questions that have reached the provider."""
    contents = [body["messages"][-1]["content"] for body in world.sent()]
    return [content if isinstance(content, str) else content[-1]["text"] for content in contents]


@pytest.mark.parametrize(("columns", "lines"), [(20, 24), (44, 24), (80, 5), (0, 0)], ids=str)
async def test_a_terminal_of_any_size_shows_an_answer(
    tmp_path: Path, columns: int, lines: int
) -> None:
    """A narrow, a low one, and one that does not know its size."""
    async with open_world(tmp_path) as world:
        world.simulator.script(Reply((ReplyText("One **two** three\n\n```\ncode\n```"),)))
        chat = ("chat", "--url", world.url)
        async with open_terminal(surroundings(world), *chat, columns=columns, lines=lines) as seen:
            await seen.see(PROMPT)
            seen.press("hello\r")
            if lines != 5:
                await seen.see("One two three", "code", "tokens")
            await seen.see("0\\.\\d s", PROMPT)
            seen.press("\x04")
            await seen.rest()
    assert b"Traceback" not in seen.written


@pytest.mark.parametrize("columns", [20, 44])
async def test_the_bill_is_readable_on_a_narrow_terminal(tmp_path: Path, columns: int) -> None:
    """Figures give way until the rest fits; the model and the cost stay, and nothing is cut."""
    async with open_world(tmp_path) as world:
        chat = ("chat", "--url", world.url)
        async with open_terminal(surroundings(world), *chat, columns=columns, lines=40) as seen:
            await seen.see(PROMPT)
            seen.press("hello\r")
            await seen.see("tokens in|tokens", PROMPT)
            seen.press("/usage\r")
            text = await seen.see(
                "model", "cost", "claude", r"\$0\.00\d{4}", "All sessions", PROMPT
            )
    table = text.partition("/usage")[2].partition("All sessions")[0]
    assert "\u2026" not in table
    assert ("tokens" in table) == (columns == 44)


@pytest.mark.parametrize("kind", ["dumb", "unknown", ""], ids=["dumb", "unknown", "unset"])
async def test_a_dumb_terminal_gets_lines_alone(tmp_path: Path, kind: str) -> None:
    """No color, no cursor that moves: nothing but text."""
    async with open_world(tmp_path) as world:
        world.simulator.script(Reply((ReplyText("**One** two"),)))
        chat = ("chat", "--url", world.url)
        async with open_terminal(surroundings(world, TERM=kind), *chat) as seen:
            await seen.see(PROMPT)
            seen.press("hello\r")
            await seen.see(r"\*\*One\*\* two", BILL, PROMPT)
            seen.press("/usage\r")
            await seen.see("All sessions", PROMPT)
            seen.press("\x04")
            await seen.rest()
    assert b"\x1b" not in seen.written


async def test_a_terminal_with_another_encoding_gets_what_it_has(tmp_path: Path) -> None:
    """The prompt and the status are spelled, too."""
    async with open_world(tmp_path) as world:
        world.simulator.script(Reply((ReplyText("a \u2014 \u65e5"),)))
        narrow = surroundings(world, PYTHONIOENCODING="ascii")
        async with open_terminal(narrow, "chat", "--url", world.url) as seen:
            await seen.see(">\n", "claude-sonnet-5-5 - new session")
            seen.press("hello\r")
            await seen.see(r"a -- \\u65e5", BILL, ">\n")
    assert seen.written.isascii()
    assert b"cancels" not in seen.written, "lines are longer than measured: none can be drawn again"


NASTY = (
    "a \x1b[31mred \x1b]0;title\x07 \x9b2J \x1bc &#27;[2J &#x9b;2J &#x202e;drow\n\n"
    "[link](http://example.com/&#27;]0;x&#7;) <http://example.com/&#x9b;> ![p](http://example.com)\n\n"
    "`\x1b[2J` &Tab;\n\n```&#27;[2J\n\x1b]52;c;AAAA\x07\n```\n\n# &#27;]0;t&#7;\n\nThe end."
)
DRAWN = re.compile(
    rb"\x1b\[[0-9;]*[mKAGHJDC]|\x1b\[\?(25|12|7|1|2004|1000|1003|1006|1015|1049)[hl]|\x1b\[6n"
)
"""What the program itself says to a terminal: colors, cursor, modes."""


async def test_a_model_cannot_drive_the_terminal(tmp_path: Path) -> None:
    """Neither raw nor as a character reference of Markdown, nor with a link (CWE-150)."""
    async with open_world(tmp_path) as world:
        world.simulator.script(Reply((ReplyThinking(NASTY), ReplyText(NASTY))))
        async with open_terminal(surroundings(world), "chat", "--url", world.url, lines=60) as seen:
            await seen.see(PROMPT)
            seen.press("hello\r")
            await seen.see("red", "The end", BILL, PROMPT)
            seen.press("\x04")
            await seen.rest()
    rest = DRAWN.sub(b"", seen.written).decode()
    assert not re.search("[\x00-\x06\x0b\x0e-\x1f\x7f-\x9f\u202a-\u202e]", rest), rest


@pytest.mark.parametrize("kind", ["xterm", "dumb"])
async def test_pasted_lines_are_one_message(tmp_path: Path, kind: str) -> None:
    """Also where the terminal does not say what was pasted, and while an answer is written."""
    async with open_world(tmp_path) as world:
        chat = ("chat", "--url", world.url)
        async with open_terminal(surroundings(world, TERM=kind), *chat, lines=60) as seen:
            await seen.see(PROMPT)
            seen.press("go on [[sim: count=40 rate=40 chars=5]]\r")
            await seen.see("brown")
            seen.press("one\rtwo\r\rthree\r")
            await seen.see(BILL, "three", BILL, PROMPT)
        assert asked(world)[1:] == ["one\ntwo\n\nthree"]


def ctrl_z(seen: Terminal) -> None:
    """The key."""
    seen.press("\x1a")


stops = pytest.mark.parametrize(
    "stop", [ctrl_z, Terminal.tell_to_stop], ids=["Ctrl-Z", "kill -TSTP"]
)


@stops
async def test_a_stop_gives_the_shell_its_terminal(
    tmp_path: Path, stop: Callable[[Terminal], None]
) -> None:
    """At the prompt: what was typed is there again after `fg`, and keys do what they did."""
    async with open_world(tmp_path) as world:
        chat = ("chat", "--url", world.url)
        async with open_terminal(surroundings(world), *chat, shell=True, lines=60) as seen:
            await seen.see(PROMPT)
            seen.press("half a ")
            await seen.see("half a")
            stop(seen)
            await seen.see("Stopped", r"shell\$$")
            seen.press("fg\r")
            await seen.see("fg", f"{PROMPT} half a")
            seen.press("questions\x7f\r")
            await seen.see("half a question", BILL, PROMPT)
            stop(seen)
            await seen.see(BILL, "Stopped", r"shell\$$")
        assert asked(world) == ["half a question"]


@stops
async def test_a_stop_in_an_answer_loses_nothing_of_it(
    tmp_path: Path, stop: Callable[[Terminal], None]
) -> None:
    """What was unfinished is gone from the shell's screen; after `fg` it is all there."""
    async with open_world(tmp_path) as world:
        numbers = " ".join(str(number) for number in range(120))
        world.simulator.script(Reply((ReplyText(numbers),), rate=60.0))
        chat = ("chat", "--url", world.url)
        async with open_terminal(surroundings(world), *chat, shell=True, lines=40) as seen:
            await seen.see(PROMPT)
            seen.press("count\r")
            await seen.see("0 1 2 3")
            assert not seen.echoes
            stop(seen)
            stopped = await seen.see("Stopped", r"shell\$$")
            assert "cancels" not in stopped
            seen.press("echo b''ack\r")
            await seen.see("back")
            seen.press("fg\r")
            text = await seen.see("back", "118 119", BILL, PROMPT)
    after = text.partition("fg\n")[2]
    assert numbers in " ".join(after.split())


async def test_a_dumb_terminal_is_left_and_taken_up_again(tmp_path: Path) -> None:
    """It was never changed."""
    async with open_world(tmp_path) as world:
        chat = ("chat", "--url", world.url)
        dumb = surroundings(world, TERM="dumb")
        async with open_terminal(dumb, *chat, shell=True, lines=60) as seen:
            await seen.see(f"{PROMPT}$")
            seen.tell_to_stop()
            await seen.see("Stopped", r"shell\$$")
            seen.press("fg\r")
            await seen.see("fg\n", "gateway'$")
            seen.press("hello\r")
            await seen.see("hello", BILL, PROMPT)
        assert asked(world) == ["hello"]
