"""Tools from MCP servers: real ones over stdio and HTTP, and small ones that misbehave."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from gateway.mcp.pace import MESSAGES_AT_ONCE, MESSAGES_PER_SECOND
from gateway.mcp.settings import McpServer
from gateway.mcp.state import McpTimes
from gateway.mcp.tools import McpTools
from protocol.tools import Approval, ToolAnswer

SECONDS = 30.0
TIME_SERVER = str(Path(sys.executable).with_name("mcp-server-time"))

MISBEHAVING = '''
"""A server that does what its first argument says, and notes in a folder what it sees."""
import itertools, json, os, signal, subprocess, sys, time
from pathlib import Path

mode, notes = sys.argv[1], Path(sys.argv[2])
names = ["echo", "environment", "wait", "die", "grow", "odd", "refuse", "deny", "flood", "line",
         "babble", "blanks", "half", "mute", "shout", "tell"]

def note(name, text=""):
    with (notes / name).open("a") as file:
        file.write(f"{text}\\n")

def say(**message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\\n")
    sys.stdout.flush()

def tool(name):
    return {"name": name, "inputSchema": {"type": "object"}}

def text(words):
    return {"content": [{"type": "text", "text": words}]}

def forever(words):
    while True:
        sys.stdout.write(words)

note("pids", os.getpid())
if mode == "exit":
    print("no key: " + os.environ.get("KEY", ""), file=sys.stderr, flush=True)
    sys.exit(3)
if mode == "babble":
    forever("nonsense\\n")
if mode == "line":
    forever("x" * 65536)
if mode == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if mode in ("stubborn", "parent"):
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    note("pids", subprocess.Popen([sys.executable, "-c", deaf]).pid)

for line in sys.stdin:
    message = json.loads(line)
    method, number, params = message["method"], message.get("id"), message.get("params", {})
    if mode == "strict" and method == "server/discover":
        sys.exit(4)
    if mode == "hang" or (mode == "stall" and (notes / "stall").exists()):
        continue
    if method == "notifications/cancelled":
        note("cancelled", params["requestId"])
    if method == "initialize":
        say(id=number, result={"protocolVersion": "2025-06-18", "serverInfo": {"name": "m",
            "version": "1"}, "capabilities": {"tools": {"listChanged": True}}})
    elif method == "tools/list" and mode in ("pages", "endless"):
        page = int(params.get("cursor", "0"))
        more = {"nextCursor": str(page + 1)} if mode == "endless" or page < 2 else {}
        say(id=number, result={"tools": [tool(f"page{page}")], **more})
    elif method == "tools/list" and mode == "strange":
        say(id=number, result={"tools": [tool("good"), {"name": "flat", "inputSchema":
            {"type": "string"}}, tool("a b"), tool("a_b"), tool("good")]})
    elif method == "tools/list":
        say(id=number, result={"tools": [tool(name) for name in names]})
    elif method != "tools/call":
        if number is not None:
            say(id=number, error={"code": -32601, "message": "unknown"})
    elif params["name"] == "echo":
        say(id=number, result=text(params["arguments"]["text"]))
    elif params["name"] == "environment":
        say(id=number, result=text(json.dumps(dict(os.environ))))
    elif params["name"] == "wait":
        note("waiting", number)
    elif params["name"] == "die":
        os._exit(7)
    elif params["name"] == "grow":
        names.append("grown")
        say(method="notifications/tools/list_changed")
        say(id=number, result=text("grown"))
    elif params["name"] == "odd":
        say(id=number, result={"content": 5})
    elif params["name"] == "refuse":
        say(id=number, error={"code": -32602, "message": "not with these words"})
    elif params["name"] == "deny":
        say(id=number, error={"code": -32000, "message": "not for " + os.environ.get("KEY", "you")})
    elif params["name"] == "mute":
        say(id=number, error={})
    elif params["name"] == "tell":
        say(id=number, result=text("The key is " + os.environ["KEY"] + "."))
    elif params["name"] == "half":
        say(id=number, result=text("half \\ud83d of one"))
    elif params["name"] == "blanks":
        forever("\\n")
    elif params["name"] == "flood":
        say(id=number, result=text("here it comes"))
        for count in itertools.count(1):
            say(method="notifications/cancelled")
            if count % 500 == 0:
                note("flood", count)
    elif params["name"] == "babble":
        forever("nonsense\\n")
    elif params["name"] == "line":
        forever("x" * 65536)
    elif params["name"] == "shout":
        for _ in range(20_000):
            print("a word " * 40, file=sys.stderr)
        say(id=number, result=text("hoarse"))

note("ended", "by itself")
if mode == "stubborn":
    while True:
        time.sleep(600)
'''

OVER_HTTP = """
import sys, uvicorn
from mcp_server_time.server import create_server

app = create_server("UTC").streamable_http_app()

async def guarded(scope, receive, send):
    if scope["type"] == "http" and dict(scope["headers"]).get(b"x-key") != sys.argv[2].encode():
        await send({"type": "http.response.start", "status": 401, "headers": []})
        await send({"type": "http.response.body", "body": b""})
    else:
        await app(scope, receive, send)

uvicorn.run(guarded, fd=int(sys.argv[1]), log_level="error")
"""


@asynccontextmanager
async def served(
    *servers: McpServer, start: float = SECONDS, restart: float = 0.05, check: float = 60.0
) -> AsyncIterator[McpTools]:
    """The tools of these servers, which are being started."""
    tools = McpTools(servers, McpTimes(start=start, restart=restart, check=check))
    async with trio.open_nursery() as nursery:
        with trio.fail_after(1):
            await nursery.start(tools.run)
        yield tools
        nursery.cancel_scope.cancel()


async def until(condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    with trio.fail_after(SECONDS):
        while not condition():  # noqa: ASYNC110 - what others do has no event
            await trio.sleep(0.01)


async def call(tools: McpTools, name: str, **args: Any) -> ToolAnswer:
    """A call that must be answered."""
    with trio.fail_after(SECONDS):
        return await tools.call(name, args)


def names(tools: McpTools) -> list[str]:
    return [tool.name for tool in tools.offered()]


def time_server(name: str = "time", **fields: Any) -> McpServer:
    return McpServer(name=name, command=TIME_SERVER, **fields)


def noting_its_pid(file: Path) -> McpServer:
    """The time server, its process's id in `file`."""
    words = ("-c", 'echo $$ >"$0"; exec "$1"', str(file), TIME_SERVER)
    return McpServer(name="time", command="/bin/sh", args=words)


class Bad:
    """A misbehaving server, and what it noted."""

    def __init__(self, folder: Path, mode: str = "", **fields: Any) -> None:
        script = folder / "server.py"
        script.write_text(MISBEHAVING)
        self._folder = folder
        self.server = McpServer(
            name="bad", command=sys.executable, args=(str(script), mode, str(folder)), **fields
        )

    def noted(self, name: str) -> list[str]:
        file = self._folder / name
        return file.read_text().split() if file.exists() else []

    def alive(self) -> list[int]:
        return [pid for pid in map(int, self.noted("pids")) if is_alive(pid)]


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet collected does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except FileNotFoundError:  # gone in between, or a system that has no /proc
        return not Path("/proc/self").exists()


def said(caplog: pytest.LogCaptureFixture, level: int = logging.INFO) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= level]


@contextmanager
def over_http(port: int = 0, key: str = "open sesame") -> Iterator[int]:
    """The time server at 127.0.0.1, for those with the key; its port."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        port = listener.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-c", OVER_HTTP, str(listener.fileno()), key],
            pass_fds=[listener.fileno()],
        )
    try:
        yield port
    finally:
        process.kill()
        process.wait()


def at(port: int, key: str = "open sesame") -> McpServer:
    return McpServer(
        name="time", url=f"http://127.0.0.1:{port}/mcp", headers={"X-Key": key}, approval="auto"
    )


async def test_a_servers_tools_are_offered_and_run() -> None:
    """A real server over stdio: names, schemas, risk, approval, an answer and an error."""
    tables: dict[str, Approval] = {"convert_time": "always"}
    async with served(time_server(approval="auto", tools=tables)) as tools:
        await until(tools.offered)
        convert, current = tools.offered()
        assert (convert.name, convert.approval) == ("time__convert_time", "always")
        assert (current.name, current.approval) == ("time__get_current_time", "auto")
        assert current.risk == "low"
        assert current.description == "Get current time in a specific timezone"
        assert current.input_schema["required"] == ["timezone"]
        answer = await call(tools, current.name, timezone="Asia/Tokyo")
        assert not answer.is_error
        assert json.loads(answer.text)["datetime"].endswith("+09:00")
        assert (await call(tools, current.name, timezone="Mars/Olympus")).is_error


async def test_a_server_over_http_works_as_well() -> None:
    """The same real server, over streamable HTTP, with the header that it asks for."""
    with over_http() as port:
        async with served(at(port)) as tools:
            await until(tools.offered)
            assert names(tools) == ["time__convert_time", "time__get_current_time"]
            answer = await call(tools, "time__get_current_time", timezone="Asia/Tokyo")
            assert json.loads(answer.text)["timezone"] == "Asia/Tokyo"


async def test_a_server_over_http_goes_and_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    """The call that meets its absence is told, its tools vanish, and return with it."""
    with ExitStack() as first:
        port = first.enter_context(over_http())
        async with served(at(port)) as tools:
            await until(tools.offered)
            first.close()
            assert (await call(tools, "time__get_current_time", timezone="UTC")).is_error
            await until(lambda: not tools.offered())
            await until(lambda: "the MCP server time cannot be reached (" in caplog.text)
            with over_http(port):
                await until(tools.offered)
                answer = await call(tools, "time__get_current_time", timezone="UTC")
                assert not answer.is_error


async def test_a_wrong_key_is_told_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    """The log says what the server answers, and nothing of the key."""
    caplog.set_level(logging.DEBUG)
    with over_http() as port:
        async with served(at(port, "sesame street")) as tools:
            await until(lambda: "time answers with HTTP status 401; next try" in caplog.text)
            assert not tools.offered()
    assert "sesame" not in caplog.text


async def test_calls_run_side_by_side(tmp_path: Path) -> None:
    """One that takes its time holds up no other."""
    bad = Bad(tmp_path)
    async with served(bad.server, time_server()) as tools:
        await until(lambda: len(tools.offered()) == 18)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(call, tools, "bad__wait")
            await until(lambda: bad.noted("waiting"))
            answers = []

            async def ask(text: str) -> None:
                answers.append((await call(tools, "bad__echo", text=text)).text)

            async with trio.open_nursery() as askers:
                for number in range(20):
                    askers.start_soon(ask, str(number))
            assert sorted(map(int, answers)) == list(range(20))
            nursery.cancel_scope.cancel()


async def test_a_cancelled_call_is_cancelled_at_the_server_and_harms_no_other(
    tmp_path: Path,
) -> None:
    """The server hears of it, and the connection goes on."""
    bad = Bad(tmp_path)
    async with served(bad.server) as tools:
        await until(tools.offered)
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(call, tools, "bad__wait")
                await until(lambda: bad.noted("waiting"))
                scope.cancel()
        await until(lambda: bad.noted("cancelled") == bad.noted("waiting"))
        assert (await call(tools, "bad__echo", text="still here")).text == "still here"
        assert len(bad.noted("pids")) == 1


async def test_a_caller_goes_at_once_though_the_server_reads_nothing(tmp_path: Path) -> None:
    """A full pipe holds up the word to the server, not the turn."""
    bad = Bad(tmp_path)
    async with served(bad.server) as tools:
        await until(tools.offered)
        (pid,) = map(int, bad.noted("pids"))
        os.kill(pid, signal.SIGSTOP)
        try:
            began = trio.current_time()
            for _ in range(3):
                with trio.move_on_after(0.1):
                    await tools.call("bad__echo", {"text": "x" * 1_000_000})
            assert trio.current_time() - began < 3
        finally:
            os.kill(pid, signal.SIGCONT)


async def test_a_crashed_server_comes_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The call in flight is told; while it is down its tools are not offered; then they are."""
    bad = Bad(tmp_path)
    async with served(bad.server, restart=2.0) as tools:
        await until(tools.offered)
        answer = await call(tools, "bad__die")
        assert answer.is_error
        assert "lost before it answered" in answer.text
        await until(lambda: not tools.offered())
        answer = await call(tools, "bad__echo", text="anybody?")
        assert answer.is_error
        assert "is not running at the moment" in answer.text
        await until(tools.offered)
        assert (await call(tools, "bad__echo", text="back")).text == "back"
    assert any("bad ended with exit code 7; next try in" in line for line in said(caplog))


async def test_a_killed_server_comes_back(tmp_path: Path) -> None:
    """A real one, by SIGKILL, twice."""
    async with served(noting_its_pid(tmp_path / "pid")) as tools:
        for _ in range(2):
            await until(tools.offered)
            os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
            await until(lambda: not tools.offered())
        await until(tools.offered)
        assert not (await call(tools, "time__get_current_time", timezone="UTC")).is_error


async def test_a_server_that_cannot_start_harms_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One line for each try, with a reason and no traceback; the others serve."""
    gone = McpServer(name="gone", command="/nowhere/at-all", env={"KEY": "a secret"})
    async with served(gone, time_server()) as tools:
        await until(tools.offered)
        await until(lambda: len(said(caplog, logging.WARNING)) >= 3)
        answer = await call(tools, "gone__anything")
        assert answer.is_error
        assert "gone is not running" in answer.text
        assert tools.may_return("gone__anything")
        assert not tools.may_return("time__get_current_time")
        assert not tools.may_return("time__anything")
    reason = "the MCP server gone cannot be started: No such file or directory; next try in "
    assert all(line.startswith(reason) for line in said(caplog, logging.WARNING))
    assert not any(record.exc_info for record in caplog.records)


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("hang", "does not answer within 1 s"),
        ("exit", "ended with exit code 3"),
        ("babble", "talks nonsense"),
        ("line", "sends a message of more than 16777216 bytes"),
    ],
)
async def test_a_server_that_never_begins_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: str, reason: str
) -> None:
    """Silent, dead, babbling: one line a try, and each process ended before the next."""
    bad = Bad(tmp_path, mode)
    start = 1.0 if mode == "hang" else SECONDS
    async with served(bad.server, start=start) as tools:
        await until(lambda: len(bad.noted("pids")) >= 2)
        assert not tools.offered()
        assert len(bad.alive()) <= 1
    assert not bad.alive()
    lines = said(caplog)
    assert lines
    assert all(line.startswith(f"the MCP server bad {reason}; next try in") for line in lines)


@pytest.mark.parametrize(
    ("tool", "reason"),
    [
        ("babble", "talks nonsense"),
        ("blanks", "talks nonsense"),
        ("line", "sends a message of more than 16777216 bytes"),
    ],
)
async def test_a_server_that_goes_mad_is_started_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, tool: str, reason: str
) -> None:
    """The call is told, and the process replaced."""
    bad = Bad(tmp_path)
    async with served(bad.server) as tools:
        await until(tools.offered)
        assert (await call(tools, f"bad__{tool}")).is_error
        await until(lambda: len(bad.noted("pids")) == 2)
        await until(tools.offered)
    assert any(reason in line for line in said(caplog))


async def test_a_flood_of_messages_leaves_the_gateway_to_others(tmp_path: Path) -> None:
    """It waits at its own pipe; the loop and the other servers go on."""
    bad = Bad(tmp_path)
    async with served(bad.server, time_server()) as tools:
        await until(lambda: len(tools.offered()) == 18)
        assert (await call(tools, "bad__flood")).text == "here it comes"
        began = trio.current_time()
        while (flooded := trio.current_time() - began) < 4:
            answer = await call(tools, "time__get_current_time", timezone="UTC")
            assert not answer.is_error
        taken = int(bad.noted("flood")[-1])
        pipe = 2_000
        assert taken <= MESSAGES_AT_ONCE + MESSAGES_PER_SECOND * flooded + pipe
    assert not bad.alive()


async def test_stderr_is_logged_at_debug_and_bounded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Megabytes of it hold up nothing and fill no log."""
    caplog.set_level(logging.DEBUG, "gateway.mcp")
    bad = Bad(tmp_path)
    async with served(bad.server) as tools:
        await until(tools.offered)
        assert (await call(tools, "bad__shout")).text == "hoarse"
    lines = [record for record in caplog.records if "bad says: a word" in record.getMessage()]
    assert 0 < len(lines) < 2_000
    assert {record.levelno for record in lines} == {logging.DEBUG}


async def test_secrets_are_in_no_log_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Not even when the server itself says them to stderr."""
    caplog.set_level(logging.DEBUG)
    bad = Bad(tmp_path, "exit", env={"KEY": "hunter2"})
    async with served(bad.server) as tools:
        await until(lambda: any("no key: …" in line for line in said(caplog, logging.DEBUG)))
        assert not tools.offered()
    assert "hunter2" not in caplog.text


async def test_a_server_gets_its_own_variables_and_few_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider's key is none of its business."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "ours")
    bad = Bad(tmp_path, env={"KEY": "its own"})
    async with served(bad.server) as tools:
        await until(tools.offered)
        environment = json.loads((await call(tools, "bad__environment")).text)
    assert environment["KEY"] == "its own"
    assert environment["PATH"] == os.environ["PATH"]
    assert "ANTHROPIC_API_KEY" not in environment


async def test_a_change_of_tools_is_followed(tmp_path: Path) -> None:
    """The server says that they have changed, and they are asked for anew."""
    async with served(Bad(tmp_path).server) as tools:
        await until(tools.offered)
        assert "bad__grown" not in names(tools)
        await call(tools, "bad__grow")
        await until(lambda: "bad__grown" in names(tools))


@pytest.mark.parametrize(("mode", "pages"), [("pages", 3), ("endless", 64)])
async def test_pages_of_tools_are_turned_up_to_a_bound(
    tmp_path: Path, mode: str, pages: int
) -> None:
    """All of them, and not for ever."""
    async with served(Bad(tmp_path, mode).server) as tools:
        await until(tools.offered)
        assert len(tools.offered()) == pages


async def test_a_tool_that_cannot_be_offered_costs_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A schema of no object is left out with a line; names are made to fit and kept apart."""
    async with served(Bad(tmp_path, "strange").server) as tools:
        await until(tools.offered)
        plain, changed, good = names(tools)
    assert (plain, good) == ("bad__a_b", "bad__good")
    assert re.fullmatch(r"bad__a_b_[0-9a-f]{8}", changed)
    assert any("the tool flat is left out" in line for line in said(caplog))


async def test_a_server_that_no_longer_answers_is_started_again(tmp_path: Path) -> None:
    """Looked after while nobody calls it."""
    bad = Bad(tmp_path, "stall")
    async with served(bad.server, start=2.0, check=0.05) as tools:
        await until(tools.offered)
        (tmp_path / "stall").touch()
        await until(lambda: not tools.offered())
        (tmp_path / "stall").unlink()
        await until(tools.offered)
    assert len(bad.noted("pids")) >= 2


async def test_a_server_that_knows_nothing_but_the_handshake_is_spoken_to_so(
    tmp_path: Path,
) -> None:
    """It ends at the first word that it does not know; the second try has none."""
    async with served(Bad(tmp_path, "strict").server) as tools:
        await until(tools.offered)


@pytest.mark.parametrize(
    ("tool", "words"),
    [
        ("odd", "no result of this tool"),
        ("refuse", "refuses the call: not with these words"),
        ("deny", "refuses the call: not for you"),
        ("mute", "refuses the call: an error"),
        ("nothing", "offers no tool bad__nothing"),
    ],
)
async def test_a_call_that_fails_is_an_answer_and_no_more(
    tmp_path: Path, tool: str, words: str
) -> None:
    """The model is told what happened, and the server stays."""
    bad = Bad(tmp_path)
    async with served(bad.server) as tools:
        await until(tools.offered)
        answer = await call(tools, f"bad__{tool}")
        assert answer.is_error
        assert words in answer.text
        assert (await call(tools, "bad__echo", text="fine")).text == "fine"
    assert len(bad.noted("pids")) == 1


async def test_half_a_character_is_the_character_that_stands_for_it(tmp_path: Path) -> None:
    """JSON can say it, and UTF-8 cannot; the rest of the answer is good."""
    async with served(Bad(tmp_path).server) as tools:
        await until(tools.offered)
        assert (await call(tools, "bad__half")).text == "half \N{REPLACEMENT CHARACTER} of one"


@pytest.mark.parametrize("tool", ["tell", "deny"])
async def test_what_came_from_the_environment_is_not_told(tmp_path: Path, tool: str) -> None:
    """A server that quotes its key tells it neither the model nor a client."""
    secrets: dict[str, Any] = {"env": {"KEY": "topsecretvalue"}, "variables": ("topsecretvalue",)}
    async with served(Bad(tmp_path, **secrets).server) as tools:
        await until(tools.offered)
        answer = await call(tools, f"bad__{tool}")
        assert "topsecret" not in answer.text
        assert "…" in answer.text


async def test_a_tool_of_nobody_is_an_answer_too() -> None:
    """Whatever the model makes up."""
    tools = McpTools([], McpTimes(start=1, restart=1, check=1))
    assert tools.absent("made__up") == "There is no tool named made__up."
    assert not tools.may_return("made__up")
    answer = await tools.call("made__up", {})
    assert answer.is_error
    assert answer.text == tools.absent("made__up")


async def test_a_tool_of_a_server_that_is_down_may_return(tmp_path: Path) -> None:
    """Not one of a server that is up and has no such tool, nor of nobody."""
    async with served(Bad(tmp_path).server) as tools:
        assert tools.may_return("bad__any")
        await until(tools.offered)
        assert not tools.may_return("bad__any")
        assert not tools.may_return("made__up")
    assert tools.may_return("bad__any")


async def test_without_servers_there_is_nothing_to_wait_for() -> None:
    """Neither a task nor the SDK; a disabled server is none."""
    tools = McpTools([time_server(enabled=False)], McpTimes(start=1, restart=1, check=1))
    with trio.fail_after(1):
        await tools.run()
    assert tools.offered() == []


async def test_a_server_ends_by_itself_when_the_gateway_does(tmp_path: Path) -> None:
    """Its stdin ends first; nobody is killed who goes."""
    bad = Bad(tmp_path)
    async with served(bad.server) as tools:
        await until(tools.offered)
    assert bad.noted("ended") == ["by", "itself"]
    assert not bad.alive()


@pytest.mark.parametrize("mode", ["stubborn", "parent"])
async def test_no_process_outlives_the_gateway(tmp_path: Path, mode: str) -> None:
    """Nor does one that is deaf to everything, nor what one has started that goes willingly."""
    bad = Bad(tmp_path, mode)
    async with served(bad.server) as tools:
        await until(tools.offered)
        assert len(bad.alive()) == 2
    await until(lambda: not bad.alive())


async def test_a_server_ends_when_the_gateway_is_killed(tmp_path: Path) -> None:
    """Its stdin ends with us, however we end."""
    server = noting_its_pid(tmp_path / "pid")
    program = f"""
import trio
from gateway.mcp.settings import McpServer
from gateway.mcp.state import McpTimes
from gateway.mcp.tools import McpTools

async def main():
    server = McpServer(name="time", command={server.command!r}, args={server.args!r})
    tools = McpTools([server], McpTimes(start=30, restart=1, check=60))
    async with trio.open_nursery() as nursery:
        await nursery.start(tools.run)
        while not tools.offered():
            await trio.sleep(0.01)
        print("up\\n", end="", flush=True)
        await trio.sleep_forever()

trio.run(main)
"""
    process = await trio.lowlevel.open_process(
        [sys.executable, "-c", program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        with trio.fail_after(SECONDS):
            assert await process.stdout.receive_some() == b"up\n"
        child = int((tmp_path / "pid").read_text())
        assert is_alive(child)
    finally:
        process.kill()
    with trio.fail_after(SECONDS):
        await process.wait()
    await until(lambda: not is_alive(child))


def test_the_sdk_is_imported_when_a_server_is_configured_and_not_before() -> None:
    """It takes a second, which a gateway without servers need not wait."""
    program = (
        "import sys, gateway.mcp.tools, gateway.config\n"
        "print(sorted({'mcp', 'mcp_types'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, check=True, text=True
    )
    assert done.stdout == "[]\n"
