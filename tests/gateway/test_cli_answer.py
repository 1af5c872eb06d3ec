"""`agentspace chat` with a question or a pipe: one answer, and the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from gateway.simulator import Reply, ReplyText
from tests.shell import AGENTSPACE, environment
from tests.support import TOKEN, World, open_world

SLOW = "go on [[sim: count=4000 rate=100 chars=5]]"


async def chat(
    world: World, *arguments: str, stdin: bytes | int = subprocess.DEVNULL, code: int = 0
) -> subprocess.CompletedProcess[bytes]:
    """Run the command to its end, and hold it against its exit code."""
    folder = world.settings.data_dir
    piped: dict[str, Any] = {"stdin": stdin}
    with trio.fail_after(30):
        done = await trio.run_process(
            [*AGENTSPACE, "chat", "--url", world.url, *arguments],
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            env=environment(folder, AGENTSPACE_TOKEN=TOKEN),
            **piped,
        )
    assert done.returncode == code, done.stderr
    assert b"Traceback" not in done.stderr
    return done


def asked(world: World) -> str:
    """The text of the last question that reached the provider."""
    content = world.sent()[-1]["messages"][-1]["content"]
    return content if isinstance(content, str) else str(content[-1]["text"])


async def test_a_question_is_answered_on_stdout_and_that_is_all(tmp_path: Path) -> None:
    """The bill goes to stderr; several words are one question, and a slash means nothing."""
    async with open_world(tmp_path) as world:
        world.simulator.script(Reply((ReplyText("Port 22."),)))
        done = await chat(world, "/help", "with", "SSH")
        assert asked(world) == "/help with SSH"
    assert done.stdout == b"Port 22.\n"
    assert b"claude-sonnet-5-5" in done.stderr


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
async def test_what_is_piped_is_one_question(tmp_path: Path, mark: bytes) -> None:
    """All lines together; a byte order mark is no part of it."""
    async with open_world(tmp_path) as world:
        await chat(world, stdin=mark + b"first\nsecond\n\n")
        assert asked(world) == "first\nsecond"


async def test_a_question_and_a_text_are_sent_together(tmp_path: Path) -> None:
    """The question first."""
    async with open_world(tmp_path) as world:
        await chat(world, "Any mistakes?", stdin=b"+ one line\n")
        assert asked(world) == "Any mistakes?\n\n+ one line"


async def test_a_pipe_that_is_merely_open_keeps_no_question_waiting(tmp_path: Path) -> None:
    """Its writer never writes and never closes it."""
    reader, writer = os.pipe()
    try:
        async with open_world(tmp_path) as world:
            done = await chat(world, "hello", stdin=reader)
            assert asked(world) == "hello"
    finally:
        os.close(reader)
        os.close(writer)
    assert b"nothing came on stdin" in done.stderr
    assert b"nothing came on stdin" not in done.stdout


async def test_an_empty_pipe_is_no_question(tmp_path: Path) -> None:
    """One line on stderr, exit 2."""
    async with open_world(tmp_path) as world:
        for stdin in (b"", b" \n\n", subprocess.DEVNULL):
            done = await chat(world, stdin=stdin, code=2)
            assert done.stdout == b""
            assert done.stderr.startswith(b"agentspace: there is no question")
        assert world.sent() == []


async def test_a_failed_turn_is_exit_1_and_nothing_on_stdout(tmp_path: Path) -> None:
    """The reason is the one line on stderr, however long."""
    async with open_world(tmp_path, retry_attempts=0) as world:
        done = await chat(world, "[[sim: status=529]]", code=1)
    assert done.stdout == b""
    assert done.stderr.startswith(b"agentspace: The provider is overloaded. Send again later.")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--session", "session_none"), "There is no such session. `agentspace sessions` lists"),
        (("--session", "no session"), "No session is spelled like that."),
        (("--model", "no model"), "No model is spelled like that."),
        (("--model", "none"), "does not know this model. `/model` in `agentspace chat` lists"),
    ],
    ids=["unknown session", "no session", "no model", "unknown model"],
)
async def test_a_failure_is_told_in_words_of_the_command_line(
    tmp_path: Path, flags: tuple[str, ...], words: str
) -> None:
    """Who types commands knows no field of the protocol."""
    async with open_world(tmp_path) as world:
        done = await chat(world, "hello", *flags, code=1)
    assert done.stdout == b""
    assert words in done.stderr.decode()
    assert done.stderr.startswith(b"agentspace: ")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    ("reason", "code", "words"),
    [
        ("end_turn", 0, b""),
        ("stop_sequence", 0, b""),
        ("refusal", 4, b"the model declined to answer"),
        ("max_tokens", 1, b"cut: it reached the longest answer allowed"),
        ("model_context_window_exceeded", 1, b"cut: the window is full"),
    ],
)
@pytest.mark.parametrize("flags", [(), ("--json",)], ids=["text", "json"])
async def test_an_answer_that_is_none_or_not_all_is_no_success(
    tmp_path: Path, flags: tuple[str, ...], reason: str, code: int, words: bytes
) -> None:
    """What came is on stdout all the same; as JSON the object says why it ended."""
    async with open_world(tmp_path) as world:
        done = await chat(world, f"[[sim: count=3 stop={reason}]]", *flags, code=code)
    if flags:
        assert json.loads(done.stdout)["stopReason"] == reason
    else:
        assert done.stdout
        assert words in done.stderr


async def test_json_is_one_object_with_the_answer_and_its_bill(tmp_path: Path) -> None:
    """The terminal message as the wire has it, with session, model and text, unchanged."""
    text = "an \x1b[31mescape\r\n, \N{RIGHT-TO-LEFT OVERRIDE} and \N{GRINNING FACE}"
    async with open_world(tmp_path) as world:
        world.simulator.script(Reply((ReplyText(text),)))
        done = await chat(world, "--json", "hello")
        async with world.talk() as talk:
            listed = await talk.ask("session.list")
    answer = json.loads(done.stdout)
    assert done.stdout.count(b"\n") == 1
    assert answer["type"] == "chat.stream.end"
    assert answer["text"] == text
    assert answer["sessionId"] == listed["sessions"][0]["sessionId"]
    assert answer["model"] == "claude-sonnet-5-5"
    assert isinstance(answer["cost"]["totalCost"], float)
    assert done.stderr == b""


async def test_json_of_a_failure_is_the_error_as_the_wire_has_it(tmp_path: Path) -> None:
    """A program reads the code, and the exit code is 1; the line on stderr is for its log."""
    async with open_world(tmp_path, retry_attempts=0) as world:
        done = await chat(world, "--json", "[[sim: status=529]]", code=1)
        missing = await chat(world, "--json", "--session", "session_none", "hello", code=1)
        world.gateway.stop()
        alone = await chat(world, "--json", "hello", code=1)
    assert [json.loads(each.stdout)["type"] for each in (done, missing, alone)] == ["error"] * 3
    assert json.loads(done.stdout)["code"] == "OVERLOADED"
    assert json.loads(missing.stdout)["code"] == "SESSION_NOT_FOUND"
    for each in (done, missing, alone):
        assert each.stderr.startswith(b"agentspace: ")
        assert each.stderr.count(b"\n") == 1


async def test_the_last_session_or_a_named_one_is_gone_on_with(tmp_path: Path) -> None:
    """`--continue`, and `--session ID`; without either a new session begins."""
    async with open_world(tmp_path) as world:
        nothing = await chat(world, "--continue", "hello", code=1)
        assert nothing.stderr.startswith(b"agentspace: there is no session yet")
        first = json.loads((await chat(world, "--json", "first")).stdout)["sessionId"]
        second = json.loads((await chat(world, "--json", "second")).stdout)["sessionId"]
        assert first != second
        third = json.loads((await chat(world, "-c", "--json", "third")).stdout)["sessionId"]
        assert third == second
        await chat(world, "--session", first, "fourth")
        said = [str(message["content"]) for message in world.sent()[-1]["messages"]]
        assert "first" in said[0]
        await chat(world, "--continue", "--session", first, "fifth", code=2)


@asynccontextmanager
async def streaming(world: World) -> AsyncIterator[trio.Process]:
    """The command in the middle of a long answer."""
    run = partial(
        trio.run_process,
        [*AGENTSPACE, "chat", "--url", world.url, SLOW],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
        env=environment(world.settings.data_dir, AGENTSPACE_TOKEN=TOKEN),
    )
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            process: trio.Process = await nursery.start(run)
            assert process.stdout is not None
            assert await process.stdout.receive_some(1)
            yield process
            async for _ in process.stdout:
                pass
            await process.wait()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
async def test_a_question_that_was_broken_off_is_no_success(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """Ctrl-C cancels the turn at the gateway, too."""
    async with open_world(tmp_path) as world:
        async with streaming(world) as process:
            process.send_signal(number)
        assert process.returncode == code


async def test_an_answer_that_the_gateway_cuts_off_is_no_success(tmp_path: Path) -> None:
    """It drains: what came is on stdout, and a script learns that it is not all."""
    async with open_world(tmp_path, drain_seconds=0.2) as world:
        async with streaming(world) as process:
            world.gateway.stop()
        assert process.returncode == 1


async def test_json_without_a_question_is_a_mistake(tmp_path: Path) -> None:
    """On a terminal there would be nothing to print it for."""
    leader, follower = os.openpty()
    try:
        async with open_world(tmp_path) as world:
            done = await chat(world, "--json", stdin=follower, code=2)
    finally:
        os.close(leader)
        os.close(follower)
    assert b"--json needs a question" in done.stderr
