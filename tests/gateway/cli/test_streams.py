"""Streams of any encoding: no answer is lost, and JSON is JSON."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trio

from gateway.cli.json_line import json_line
from gateway.cli.streams import SPELLED, has_unicode, sound, spelled
from gateway.simulator import Reply, ReplyText
from tests.shell import AGENTSPACE, environment
from tests.support import TOKEN, World, open_world

ANSWER = "caf\u00e9 \u2026 \u2014 \u65e5\u672c \U0001f600 the end"
NARROW = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "cp037": {"PYTHONIOENCODING": "cp037"},
    "POSIX, as it was": {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}
WIDE = {"C": {"LANG": "C"}, "POSIX": {"LC_ALL": "POSIX"}, "utf-16": {"PYTHONIOENCODING": "utf-16"}}


async def command(
    world: World, *arguments: str | bytes, environ: Mapping[str, str] = {}, code: int = 0
) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end, in an environment that describes its streams."""
    with trio.fail_after(30):
        done = await trio.run_process(
            [*AGENTSPACE, *arguments, "--url", world.url],
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            stdin=subprocess.DEVNULL,
            env=environment(world.settings.data_dir, AGENTSPACE_TOKEN=TOKEN, **environ),
        )
    assert done.returncode == code, done.stderr
    return done


def encoding_of(environ: dict[str, str]) -> str:
    """How a process writes in this environment."""
    fallback = "ascii" if "PYTHONUTF8" in environ else "utf-8"
    return environ.get("PYTHONIOENCODING", fallback)


@pytest.mark.parametrize("environ", NARROW.values(), ids=NARROW)
async def test_what_an_encoding_lacks_is_spelled(tmp_path: Path, environ: dict[str, str]) -> None:
    """The whole answer arrives, on every stream; its bill and the tables too."""
    async with open_world(tmp_path) as world:
        world.simulator.script(Reply((ReplyText(ANSWER),)))
        done = await command(world, "chat", "hello", environ=environ)
        listing = await command(world, "sessions", environ=environ)
    encoding = encoding_of(environ)
    text = done.stdout.decode(encoding)
    assert text == ANSWER.encode(encoding, SPELLED).decode(encoding) + "\n"
    assert text.endswith("\\u65e5\\u672c \\U0001f600 the end\n")
    assert "tokens in" in done.stderr.decode(encoding)
    assert "hello" in listing.stdout.decode(encoding)


@pytest.mark.parametrize("environ", WIDE.values(), ids=WIDE)
async def test_what_has_every_character_gets_it(tmp_path: Path, environ: dict[str, str]) -> None:
    """The C and the POSIX locale are UTF-8 for Python (PEP 538, PEP 540)."""
    async with open_world(tmp_path) as world:
        world.simulator.script(Reply((ReplyText(ANSWER),)))
        done = await command(world, "chat", "hello", environ=environ)
    assert done.stdout.decode(encoding_of(environ)) == f"{ANSWER}\n"


@pytest.mark.parametrize("environ", (NARROW | WIDE).values(), ids=NARROW | WIDE)
async def test_json_is_valid_in_every_encoding(tmp_path: Path, environ: dict[str, str]) -> None:
    """A program gets the answer to the character."""
    async with open_world(tmp_path) as world:
        world.simulator.script(Reply((ReplyText(ANSWER),)))
        done = await command(world, "chat", "--json", "hello", environ=environ)
    assert json.loads(done.stdout.decode(encoding_of(environ)))["text"] == ANSWER


@pytest.mark.parametrize(
    "arguments",
    [("chat", "--session", b"\xff", "hello"), ("usage", "--since", b"\xff\x1b[2J")],
    ids=["session", "since"],
)
async def test_a_stray_byte_in_a_flag_is_told(
    tmp_path: Path, arguments: tuple[str | bytes, ...]
) -> None:
    """It is no mistake of the program's own."""
    async with open_world(tmp_path) as world:
        done = await command(world, *arguments, code=2)
    assert b"no valid UTF-8" in done.stderr


async def test_a_stray_byte_in_a_question_is_replaced(tmp_path: Path) -> None:
    """The model gets all the rest."""
    async with open_world(tmp_path) as world:
        await command(world, "chat", b"a \xff b")
        assert "a \ufffd b" in str(world.sent()[-1]["messages"])


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("caf\u00e9", "caf\u00e9"),
        ("caf\udcc3\udca9", "caf\u00e9"),
        ("a\udcffb", "a\ufffdb"),
        ("\ud83d\ude00", "\U0001f600"),
        ("half \ud83d", "half \ufffd"),
    ],
    ids=["sound", "undecoded UTF-8", "stray byte", "two halves", "half a character"],
)
def test_text_is_made_sound(text: str, whole: str) -> None:
    """What the interpreter could not read is read as UTF-8, what is none there is replaced."""
    assert sound(text) == whole


def test_what_a_stream_lacks_never_raises() -> None:
    """Whatever the text, half a character included."""
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors=SPELLED)
    file.write("\u2018a\u2019 \u00b7 \ud83d \u65e5")
    file.seek(0)
    assert file.read() == "'a' - \\ud83d \\u65e5"
    assert spelled("\u203a \u2026") == "> ..."


@pytest.mark.parametrize("encoding", ["utf-8", "UTF_8", "utf-16-le"])
def test_some_encodings_have_every_character(encoding: str) -> None:
    """Whatever way their names are written."""
    assert has_unicode(encoding)
    assert not has_unicode("latin-1")
    assert not has_unicode(None)


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ({"a": float("nan"), "b": [Decimal("Infinity")]}, '{"a":null,"b":[null]}'),
        ({"a\ud800": "\ud83d\ude00"}, '{"a\ufffd":"\U0001f600"}'),
        (Decimal("0.10"), "0.10"),
        ("\x1b\x9b2J\u202e\u2028", '"\\u001b\\u009b2J\\u202e\\u2028"'),
    ],
    ids=["no number", "half a character", "money", "controls"],
)
def test_a_line_of_json_is_valid_and_drives_no_terminal(value: Any, line: str) -> None:
    """What JSON has no word for is replaced; what a terminal obeys is escaped."""
    assert json_line(value) == line
    json.loads(line)


def test_json_for_a_narrow_stream_is_ascii() -> None:
    """A character beyond 16 bits is a pair of escapes, as JSON has it."""
    assert json_line("\u00e9\U0001f600", "latin-1") == '"\\u00e9\\ud83d\\ude00"'
