"""A parent's gateway: started, restarted, drained, and never left behind; under asyncio and trio.

Where the gateway itself does not matter a stand-in is the child: a few lines of Python that start
in a blink and misbehave at will.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import queue
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest
import trio
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from agentspace.embed import (
    GatewayEnded,
    GatewayEvent,
    GatewayFailed,
    GatewaySettings,
    GatewayStarted,
    boot,
    child,
    supervised,
)
from agentspace.embed.launch import Launch
from agentspace.embed.lines import LastLine, log_line
from agentspace.embed.restarts import Restarts
from agentspace.lines import LONGEST_LINE
from gateway.settings import SETTINGS
from gateway.simulator import open_simulator

ROOT = Path(__file__).parent.parent.parent
SECONDS = 60.0
DRAIN_SECONDS = 3.0

either = pytest.mark.parametrize("backend", ["asyncio", "trio"])


def run(backend: str, scenario: Callable[[], Awaitable[None]]) -> None:
    """Run a parent under `backend`, with a deadline."""

    async def parent() -> None:
        with anyio.fail_after(SECONDS):
            await scenario()

    anyio.run(parent, backend=backend)


def environment(folder: Path) -> dict[str, str]:
    """The environment of a gateway that knows nothing of this machine's user."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AGENTSPACE")}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "AGENTSPACE_CONFIG_DIR": str(folder / "config"),
        "AGENTSPACE_DATA_DIR": str(folder / "data"),
        "AGENTSPACE_DRAIN_SECONDS": str(DRAIN_SECONDS),
        "ANTHROPIC_API_KEY": "sk-test-key",
    }


def stand_in(*lines: str, ready: bool = True) -> list[str]:
    """A command that says that it is ready, if it is to, and then does what `lines` say."""
    announce = (
        "port = int(sys.argv[sys.argv.index('--port') + 1]) or 49152",
        "url = f'ws://127.0.0.1:{port}/gateway'",
        "line = {'type': 'gateway.ready', 'url': url, 'pid': os.getpid()}",
        "print(json.dumps(line), flush=True)",
    )
    script = ["import json, os, signal, sys, time", *(announce if ready else ()), *lines]
    return [sys.executable, "-I", "-S", "-c", "\n".join(script)]


STEADY = stand_in("sys.stdin.read()")


def is_gone(pid: int) -> bool:
    """Whether the process has ended; its entry may wait for an init that collects it late."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (ProcessLookupError, FileNotFoundError):
        return True


@contextmanager
def dial(url: str, token: str) -> Iterator[ClientConnection]:
    """A foreign client that has heard the hello."""
    with connect(
        url,
        additional_headers={"Authorization": f"Bearer {token}"},
        subprotocols=[Subprotocol("agentspace.v1.json")],
        open_timeout=SECONDS,
        close_timeout=1,
    ) as client:
        assert hear(client)["type"] == "gateway.hello"
        yield client


def hear(client: ClientConnection) -> dict[str, Any]:
    """The next message."""
    heard = json.loads(client.recv(SECONDS))
    assert isinstance(heard, dict)
    return heard


def say(client: ClientConnection, **message: Any) -> None:
    """Send a message."""
    client.send(json.dumps(message))


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """The simulator's URL; it runs in a thread of its own, whatever loop the parent runs."""
    started: queue.Queue[tuple[str, trio.CancelScope, trio.lowlevel.TrioToken]] = queue.Queue()

    async def serve() -> None:
        with trio.CancelScope() as scope:
            async with open_simulator() as simulator:
                started.put((simulator.url, scope, trio.lowlevel.current_trio_token()))
                await trio.sleep_forever()

    thread = threading.Thread(target=trio.run, args=(serve,))
    thread.start()
    url, scope, token = started.get(timeout=SECONDS)
    yield url
    token.run_sync_soon(scope.cancel)
    thread.join(SECONDS)


def test_a_client_finds_its_gateway_again_and_its_turn_ends_before_the_parent_does(
    tmp_path: Path, provider: str
) -> None:
    """Two parents at once, each in a thread, because a gateway takes seconds to start."""
    with ThreadPoolExecutor() as pool:
        parents = [
            pool.submit(hold_through_a_crash, backend, tmp_path / backend, provider)
            for backend in ("asyncio", "trio")
        ]
    for parent in parents:
        parent.result()


def hold_through_a_crash(backend: str, folder: Path, provider: str) -> None:
    """Started, killed, started again at the same URL, and drained in the middle of a stream."""
    turns: list[str] = []

    async def scenario() -> None:
        ended, streaming = anyio.Event(), anyio.Event()
        async with (
            anyio.create_task_group() as tasks,
            supervised(
                settings={"anthropic_base_url": provider},
                environ=environment(folder),
                backoff_seconds=0.05,
                on_event=lambda event: ended.set() if isinstance(event, GatewayEnded) else None,
            ) as gateway,
        ):
            first = (gateway.url, gateway.pid)
            await anyio.to_thread.run_sync(hold_ping, gateway.url, gateway.token)
            os.kill(gateway.pid, signal.SIGKILL)
            await ended.wait()
            await gateway.wait_ready()
            assert gateway.restarts == 1
            assert gateway.url == first[0]
            assert gateway.pid != first[1]

            async def hold() -> None:
                turns.extend(
                    await anyio.to_thread.run_sync(
                        hold_turn, gateway.url, gateway.token, streaming.set
                    )
                )

            tasks.start_soon(hold)
            await streaming.wait()
        assert is_gone(gateway.pid)

    run(backend, scenario)
    assert turns[-1] == "chat.stream.end"
    with closing(sqlite3.connect(folder / "data" / "ledger.db")) as ledger:
        rows = ledger.execute("SELECT status, stop_reason, settled_at > 0 FROM Turn").fetchall()
    assert rows == [("completed", "end_turn", 1)]


def hold_ping(url: str, token: str) -> None:
    """One question and its answer."""
    with dial(url, token) as client:
        say(client, type="ping", id="1")
        assert hear(client) == {"type": "pong", "requestId": "1"}


def hold_turn(url: str, token: str, on_delta: Callable[[], object]) -> list[str]:
    """A turn of half a second: all its frames' types. `on_delta` is called in the event loop."""
    kinds: list[str] = []
    with dial(url, token) as client:
        say(client, type="chat.send", id="1", content="[[sim: count=24 rate=40]]")
        while not {"chat.stream.end", "error"} & set(kinds):
            kinds.append(hear(client)["type"])
            if kinds.count("chat.stream.delta") == 1:
                anyio.from_thread.run_sync(on_delta)
    return kinds


PARENT = """
import sys
import anyio
from agentspace.embed import supervised

async def main():
    async with supervised() as gateway:
        print(gateway.pid, gateway.url, gateway.token, flush=True)
        await anyio.sleep_forever()

anyio.run(main, backend=sys.argv[1])
"""


def test_a_parent_that_is_killed_leaves_no_orphan(tmp_path: Path) -> None:
    """Nobody is left to say so; the end of stdin says it, in the middle of a connection."""
    parents = [
        subprocess.Popen(
            [sys.executable, "-c", PARENT, backend],
            env=environment(tmp_path / backend),
            stdout=subprocess.PIPE,
            text=True,
        )
        for backend in ("asyncio", "trio")
    ]
    try:
        for parent in parents:
            assert parent.stdout is not None
            pid, url, token = parent.stdout.readline().split()
            with dial(url, token):
                parent.kill()
                parent.wait(SECONDS)
                deadline = time.monotonic() + DRAIN_SECONDS + 2
                while not is_gone(int(pid)):
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
    finally:
        for parent in parents:
            parent.kill()
            parent.communicate()


def test_pipes_that_nobody_reads_never_stall_the_gateway(tmp_path: Path) -> None:
    """At `debug` it says far more than a pipe holds, and goes on answering."""
    token = "a-token-for-the-tests"
    with subprocess.Popen(
        [sys.executable, "-m", "gateway", "serve", "--port", "0", "--log-level", "debug"],
        env={**environment(tmp_path), "AGENTSPACE_TOKEN": token},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        try:
            url = json.loads(process.stdout.readline())["url"]
            for _ in range(50):
                with pytest.raises(InvalidStatus), dial(url, "not-the-token-of-the-tests"):
                    pytest.fail("it was let in")
            with dial(url, token) as client:
                for number in range(1_500):
                    say(client, type="ping", id=str(number))
                    assert hear(client) == {"type": "pong", "requestId": str(number)}
        finally:
            process.kill()
        assert process.stderr is not None
        assert len(process.stderr.read()) >= 60_000  # it was full


@either
def test_a_busy_port_is_final(backend: str, tmp_path: Path) -> None:
    """A fixed port that is taken: exit code 2, once, with the line that says what to do."""
    line = "agentspace: cannot listen on 127.0.0.1 port 4000"
    busy = stand_in(f"print({line!r}, file=sys.stderr)", "sys.exit(2)", ready=False)
    events: list[GatewayEvent] = []

    async def scenario() -> None:
        with pytest.raises(GatewayFailed, match=line) as failed:
            async with supervised(
                settings={"port": 4000},
                environ=environment(tmp_path),
                command=busy,
                on_event=events.append,
            ):
                pytest.fail("it never was ready")
        assert failed.value.exit_code == 2

    run(backend, scenario)
    assert events == [GatewayEnded(2, line, None)]


@either
def test_a_bad_setting_is_refused_once(backend: str, tmp_path: Path) -> None:
    """Exit code 2 and the gateway's own words; a name that is no setting is a mistake."""
    events: list[GatewayEvent] = []

    async def scenario() -> None:
        with pytest.raises(GatewayFailed, match=r"drain_seconds.*is '-1'") as failed:
            async with supervised(
                settings={"drain_seconds": -1},
                environ=environment(tmp_path),
                on_event=events.append,
            ):
                pytest.fail("it never was ready")
        assert failed.value.exit_code == 2
        with pytest.raises(TypeError, match="drainage"):
            async with supervised(
                settings={"drainage": 1},  # type: ignore[arg-type] # no setting
                environ=environment(tmp_path),
            ):
                pytest.fail("it never was ready")

    run(backend, scenario)
    assert [type(event) for event in events] == [GatewayEnded]


def test_the_names_of_settings_are_the_gateway_s() -> None:
    """All but the one that makes the gateway a child."""
    assert [*GatewaySettings.__annotations__] == [
        name for name in SETTINGS if name != "stop_on_stdin_eof"
    ]


SHADOW = "raise SystemExit('a module of the project was taken for the gateway')"


@either
def test_modules_of_the_project_are_not_taken_for_the_gateway_s(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in the parent's working folder nor in its `PYTHONPATH`."""
    here, named = tmp_path / "here", tmp_path / "named"
    for folder in (here, named):
        for name in ("gateway", "protocol", "actors", "agentspace"):
            (folder / name).mkdir(parents=True)
            (folder / name / "__init__.py").write_text(SHADOW)
        for name in ("trio", "msgspec", "click", "typing"):
            (folder / f"{name}.py").write_text(SHADOW)
    monkeypatch.chdir(here)
    environ = {**environment(tmp_path), "PYTHONPATH": str(named)}

    async def scenario() -> None:
        async with supervised(environ=environ) as gateway:
            await anyio.to_thread.run_sync(hold_ping, gateway.url, gateway.token)

    run(backend, scenario)


def test_what_pythonpath_names_is_found_all_the_same() -> None:
    """It comes last; an installation may be in no other place."""
    path = ["/named", "/lib/python311.zip", "/lib/python3.11", "/lib/site-packages"]
    found = boot.search_path(path, ["/named", "/gone"], "/home", "/lib/python3.11")
    assert found == [*path[1:3], "/home", path[3], "/named"]
    assert boot.search_path(["/x"], [""], "/home", "/elsewhere") == ["/home", "/x"]


@either
def test_the_limit_of_restarts_ends_the_body(backend: str, tmp_path: Path) -> None:
    """The body is cancelled, and hears the last line, without secrets."""
    crash = stand_in(
        "print('first', file=sys.stderr)",
        "print('no luck with', os.environ['AGENTSPACE_TOKEN'], file=sys.stderr)",
        "sys.exit(70)",
    )
    events: list[GatewayEvent] = []
    lines: list[str] = []

    async def scenario() -> None:
        with pytest.raises(GatewayFailed) as failed:
            async with supervised(
                environ=environment(tmp_path),
                command=crash,
                restart_limit=2,
                backoff_seconds=0.01,
                on_event=events.append,
                on_line=lines.append,
            ):
                await anyio.sleep_forever()
        assert failed.value.exit_code == 70
        assert str(failed.value) == "the gateway ended with exit code 70: no luck with …"
        assert lines == ["first", "no luck with …"] * 3

    run(backend, scenario)
    ends = [event.restart_seconds for event in events if isinstance(event, GatewayEnded)]
    assert ends == [0.01, 0.02, None]
    starts = [event.restarts for event in events if isinstance(event, GatewayStarted)]
    assert starts == [0, 1, 2]


@either
def test_an_unusable_database_is_not_tried_again(backend: str, tmp_path: Path) -> None:
    """Exit code 3: the next process would find the same file."""

    async def scenario() -> None:
        with pytest.raises(GatewayFailed, match="exit code 3: the database cannot be used"):
            async with supervised(
                environ=environment(tmp_path), command=stand_in("sys.exit(3)", ready=False)
            ):
                pytest.fail("it never was ready")

    run(backend, scenario)


@either
def test_a_process_that_is_never_ready_is_given_up(backend: str, tmp_path: Path) -> None:
    """It hangs in its start; what it prints instead does not count."""
    mute = stand_in("print('{}', flush=True)", "time.sleep(60)", ready=False)

    async def scenario() -> None:
        with pytest.raises(GatewayFailed, match=r"signal 15.*not ready within 0\.2 s"):
            async with supervised(
                environ=environment(tmp_path), command=mute, ready_seconds=0.2, restart_limit=0
            ):
                pytest.fail("it never was ready")

    run(backend, scenario)


def test_a_command_that_does_not_exist_is_an_os_error(tmp_path: Path) -> None:
    """A restart would not help."""

    async def scenario() -> None:
        with pytest.raises(FileNotFoundError):
            async with supervised(environ=environment(tmp_path), command=[str(tmp_path / "none")]):
                pytest.fail("it never was ready")

    run("asyncio", scenario)


def test_a_port_that_was_lost_in_a_crash_is_replaced(tmp_path: Path) -> None:
    """The gateway is at another URL then; that is better than nowhere."""
    ports = tmp_path / "ports"
    picky = stand_in(
        "asked = sys.argv[sys.argv.index('--port') + 1]",
        f"open({str(ports)!r}, 'a').write(asked + ' ')",
        "if asked != '0': sys.exit(2)",
        "url = f'ws://127.0.0.1:{40000 + os.getpid() % 20000}/gateway'",
        "print(json.dumps({'type': 'gateway.ready', 'url': url, 'pid': os.getpid()}), flush=True)",
        "sys.stdin.read()",
        ready=False,
    )
    events: list[GatewayEvent] = []

    async def scenario() -> None:
        ended = anyio.Event()

        def hear_of(event: GatewayEvent) -> None:
            events.append(event)
            if isinstance(event, GatewayEnded):
                ended.set()

        async with supervised(
            environ=environment(tmp_path),
            command=picky,
            backoff_seconds=0.01,
            on_event=hear_of,
        ) as gateway:
            url = gateway.url
            os.kill(gateway.pid, signal.SIGKILL)
            await ended.wait()
            await gateway.wait_ready()
            assert gateway.url != url

    run("trio", scenario)
    assert [type(event) for event in events] == [GatewayStarted, GatewayEnded, GatewayStarted]
    first, second, third = ports.read_text().split()
    assert (first, third) == ("0", "0")
    assert second != "0"


def leaves(error: BaseException | None) -> list[BaseException]:
    """What is in a group; nothing for what is none."""
    return list(error.exceptions) if isinstance(error, BaseExceptionGroup) else []


@either
@pytest.mark.parametrize(
    "error", [ValueError("mine"), ExceptionGroup("mine", [ValueError()]), SystemExit(4)]
)
def test_what_the_body_raises_comes_out_as_it_is(
    backend: str, tmp_path: Path, error: BaseException
) -> None:
    """The same object, in no group, without a foreign context; and the gateway is gone."""

    async def scenario() -> None:
        pids: list[int] = []
        raised: BaseException | None = None
        try:
            async with supervised(environ=environment(tmp_path), command=STEADY) as gateway:
                pids.append(gateway.pid)
                raise error
        except BaseException as caught:  # noqa: ASYNC103, BLE001 - no cancellation is about
            raised = caught
        assert raised is error or leaves(raised) == leaves(error) != []  # trio copies groups
        assert error.__context__ is None
        assert is_gone(pids[0])

    run(backend, scenario)


@either
def test_a_body_that_fails_with_its_gateway_is_the_cause(backend: str, tmp_path: Path) -> None:
    """GatewayFailed is what a parent has to know; nothing is lost."""

    async def scenario() -> None:
        async def body() -> None:
            try:
                await anyio.sleep_forever()
            finally:
                raise ConnectionError("gone")

        with pytest.raises(GatewayFailed) as failed:
            async with supervised(environ=environment(tmp_path), command=stand_in("sys.exit(3)")):
                await body()
        assert isinstance(failed.value.__cause__, ConnectionError)

    run(backend, scenario)


@either
def test_a_cancelled_body_drains_the_gateway(backend: str, tmp_path: Path) -> None:
    """The stand-in takes a moment to drain, and gets it."""
    (tmp_path / "data").mkdir()
    trace = tmp_path / "drained"
    slow = stand_in("sys.stdin.read()", "time.sleep(0.2)", f"open({str(trace)!r}, 'w')")

    async def scenario() -> None:
        with anyio.move_on_after(0.3) as scope:
            async with supervised(environ=environment(tmp_path), command=slow):
                await anyio.sleep_forever()
        assert scope.cancelled_caught
        assert trace.exists()

    run(backend, scenario)


def test_a_cancelled_asyncio_task_drains_the_gateway(tmp_path: Path) -> None:
    """asyncio's own way to cancel, twice."""
    trace = tmp_path / "drained"
    slow = stand_in("sys.stdin.read()", "time.sleep(0.2)", f"open({str(trace)!r}, 'w')")

    async def scenario() -> None:
        started = asyncio.Event()

        async def body() -> None:
            async with supervised(environ=environment(tmp_path), command=slow):
                started.set()
                await asyncio.sleep(60)

        async with asyncio.timeout(SECONDS):
            task = asyncio.create_task(body())
            await started.wait()
            task.cancel()
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert trace.exists()

    asyncio.run(scenario())


@either
def test_a_gateway_that_does_not_drain_is_ended(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the end of stdin nor SIGTERM moves it."""
    monkeypatch.setattr(child, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(child, "TERMINATE_SECONDS", 0.1)
    stubborn = stand_in("signal.signal(signal.SIGTERM, signal.SIG_IGN)", "time.sleep(60)")

    async def scenario() -> None:
        async with supervised(
            settings={"drain_seconds": 0.1}, environ=environment(tmp_path), command=stubborn
        ) as gateway:
            await anyio.sleep(0.1)
        assert is_gone(gateway.pid)

    run(backend, scenario)


@either
def test_a_pipe_that_somebody_else_holds_delays_the_end_by_a_second(
    backend: str, tmp_path: Path
) -> None:
    """The process is gone, but not what it started."""
    parental = stand_in("if os.fork(): os._exit(3)", "time.sleep(2)")

    async def scenario() -> None:
        before = anyio.current_time()
        with pytest.raises(GatewayFailed):
            async with supervised(environ=environment(tmp_path), command=parental):
                await anyio.sleep_forever()
        assert anyio.current_time() - before < 1.8

    run(backend, scenario)


@either
def test_a_flood_without_line_ends_is_read_and_bounded(backend: str, tmp_path: Path) -> None:
    """More than any pipe holds; and the line after it is whole."""
    flood = stand_in(
        "sys.stderr.write('x' * 3_000_000 + '\\nagentspace: the end.\\nlater')", "sys.exit(3)"
    )
    lines: list[str] = []

    async def scenario() -> None:
        with pytest.raises(GatewayFailed) as failed:
            async with supervised(
                environ=environment(tmp_path), command=flood, on_line=lines.append
            ):
                await anyio.sleep_forever()
        assert failed.value.last_line == "agentspace: the end."

    run(backend, scenario)
    assert lines == ["x" * LONGEST_LINE, "agentspace: the end.", "later"]


def test_settings_reach_the_gateway_in_its_environment_alone(tmp_path: Path) -> None:
    """As the gateway reads them; the port is a flag, and a secret never is."""
    settings: GatewaySettings = {
        "port": 4000,
        "token": "a-token-of-the-parent",
        "response_format": False,
        "allowed_origins": ["https://a.example", "https://b.example"],
        "data_dir": tmp_path,
        "system_prompt": "",
    }
    launch = Launch(settings, environment(tmp_path), ["agentspace"])
    assert launch.environ["AGENTSPACE_TOKEN"] == "a-token-of-the-parent"
    assert launch.environ["AGENTSPACE_RESPONSE_FORMAT"] == "false"
    assert launch.environ["AGENTSPACE_ALLOWED_ORIGINS"] == "https://a.example,https://b.example"
    assert launch.drain_seconds == DRAIN_SECONDS
    assert launch.port == "4000"
    assert launch.arguments("4000") == [
        *("agentspace", "serve", "--port", "4000", "--stop-on-stdin-eof")
    ]
    assert launch.without_secrets("a-token-of-the-parent, sk-test-key") == "…, …"


def test_the_parent_alone_tells_its_service_manager(tmp_path: Path) -> None:
    """A gateway that is ready, or drains, says nothing of the service that has it as a child."""
    environ = environment(tmp_path) | {"NOTIFY_SOCKET": "/run/systemd/notify"}
    assert "NOTIFY_SOCKET" not in Launch({}, environ, ["agentspace"]).environ


def test_each_gateway_gets_a_token_of_its_own(tmp_path: Path) -> None:
    """Unless somebody chose one."""
    first, second = (Launch({}, environment(tmp_path), ["agentspace"]) for _ in range(2))
    assert first.token != second.token
    assert len(first.token) > 32


def test_restarts_slow_down_and_a_process_that_served_begins_anew() -> None:
    """Doubled up to the cap; a process that was up for the window forgives all."""
    restarts = Restarts(4, window_seconds=60, first_seconds=1, cap_seconds=3)
    assert [restarts.after(-9, served) for served in (0, 59, 0)] == [1, 2, 3]
    assert restarts.after(-9, 60) == 1
    assert [restarts.after(70, 0) for _ in range(4)] == [2, 3, 3, None]
    assert restarts.after(2, 1_000) is None
    assert restarts.after(3, 1_000) is None


def test_log_lines_keep_their_level(caplog: pytest.LogCaptureFixture) -> None:
    """What is no log line is a warning."""
    caplog.set_level(logging.DEBUG, "agentspace.gateway")
    log_line('{"time":"…","level":"info","logger":"gateway.app","message":"100% ready"}')
    log_line('{"time":"…","level":"error","logger":"gateway.app","message":"m","error":"where"}')
    log_line("agentspace: 100% gone.")
    heard = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert heard == [
        ("INFO", "gateway.app: 100% ready"),
        ("ERROR", "gateway.app: m\nwhere"),
        ("WARNING", "agentspace: 100% gone."),
    ]


READY = "INFO    gateway.announcing: listening at ws://127.0.0.1:1/gateway"
BROKEN = "ERROR   gateway.ledger: the disk is broken"


@pytest.mark.parametrize(
    ("lines", "last"),
    [
        ([], ""),
        (['{"level":"info","logger":"gateway.app","message":"draining"}'], ""),
        (['{"level":"warning","logger":"gateway.app","message":"a turn failed"}', "  "], ""),
        ([f"2026-11-30 09:00:00,123 {READY}"], ""),
        ([f"2026-11-30 09:00:00,123 {BROKEN}"], "the disk is broken"),
        (['{"level":"error","logger":"a","message":"it breaks\\nTraceback"}'], "it breaks"),
        ([f"2026-11-30 09:00:00,123 {BROKEN}", f"2026-11-30 09:00:01,000 {READY}"], ""),
        ([f"2026-11-30 09:00:00,123 {READY}", "  ImportError: no trio"], "ImportError: no trio"),
        (["agentspace: the database is in use.", "later"], "agentspace: the database is in use."),
    ],
    ids=[
        *("nothing", "info", "warning", "info as text", "error as text", "error", "an old error"),
        *("no log line", "the command's own"),
    ],
)
def test_the_last_line_is_one_that_says_why(lines: list[str], last: str) -> None:
    """What the log says on the side is no reason."""
    kept = LastLine()
    for line in lines:
        kept.take(line)
    assert str(kept) == last


@pytest.mark.parametrize(
    ("exit_code", "last_line", "told"),
    [
        (-9, "", "by signal 9 (Killed): it did not say why"),
        (-11, "a stack", "by signal 11 (Segmentation fault): a stack"),
        (0, "", "with exit code 0: it was told to stop by somebody else"),
        (2, "", "with exit code 2: the settings cannot be used, or the port is taken"),
        (70, "", "with exit code 70: a mistake of its own"),
        (7, "", "with exit code 7: it did not say why"),
    ],
)
def test_an_exit_code_says_what_no_line_does(exit_code: int, last_line: str, told: str) -> None:
    """Negative ones are signals, which the system has names for."""
    assert str(GatewayFailed(exit_code, last_line)) == f"the gateway ended {told}"


def test_a_gateway_that_was_killed_blames_no_line_of_its_log(tmp_path: Path) -> None:
    """It has said much, and nothing of its end."""
    heard: list[GatewayEvent] = []

    async def scenario() -> None:
        async with supervised(
            settings={"data_dir": tmp_path / "data"},
            environ=environment(tmp_path),
            restart_limit=0,
            on_event=heard.append,
        ) as gateway:
            os.kill(gateway.pid, signal.SIGKILL)
            await anyio.sleep_forever()

    with pytest.raises(GatewayFailed, match=r"by signal 9 \(Killed\): it did not say why"):
        run("trio", scenario)
    assert heard[-1] == GatewayEnded(-signal.SIGKILL, "", None)
