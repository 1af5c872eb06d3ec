"""`agentspace load` as a shell runs it, against a whole gateway."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from click.testing import CliRunner

from agentspace.client.local import Target
from gateway.cli.load import _end
from gateway.cli.main import agentspace
from gateway.cli.options import Stop
from gateway.cli.views.load import load_report
from gateway.load.asking import Asking
from gateway.load.plan import LoadPlan
from gateway.load.report import LoadReport, report_of
from gateway.load.run import LoadRun
from gateway.load.schedule import Schedule
from tests.shell import AGENTSPACE, environment, run
from tests.support import SECONDS, TOKEN, World, open_world, status_when
from tests.terminal import open_terminal

CONTENT = "Tell of the sea. [[sim: count=20 chars=10 rate=50]]"
LONG = "Tell of the sea. [[sim: count=60 chars=10 rate=50]]"
"""A second more than it takes to cancel it, on a busy machine too."""

EVERY_KIND = ("plain", "tools", "cancel", "drop", "slow")


class Done:
    """A load that has ended."""

    def __init__(self, code: int, stdout: bytes, stderr: bytes) -> None:
        self.code = code
        self.stdout = stdout.decode()
        self.stderr = stderr.decode()
        assert "Traceback" not in self.stderr, self.stderr

    @property
    def report(self) -> dict[str, Any]:
        """What `--json` printed."""
        told = json.loads(self.stdout)
        assert told["type"] == "load.report"
        return dict(told)


async def load(world: World, *arguments: str, content: str = CONTENT) -> Done:
    """Load this gateway to the end."""
    with trio.fail_after(2 * SECONDS):
        done = await trio.run_process(
            [*command(world), *arguments, "--content", content, "--json"],
            env=environment(world.settings.data_dir, AGENTSPACE_TOKEN=TOKEN),
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
    return Done(done.returncode, done.stdout, done.stderr)


def command(world: World) -> list[str]:
    return [*AGENTSPACE, "load", "--url", world.url, "--yes"]


async def rows(world: World) -> int:
    """How many turns the gateway has in its ledger."""
    async with world.talk() as talk:
        report = await talk.ask("usage.query")
    return int(report["grandTotal"]["requestCount"])


async def eventually(seen: Callable[[], bool]) -> None:
    with trio.fail_after(SECONDS):
        while not seen():  # noqa: ASYNC110 - another process makes it so
            await trio.sleep(0.02)


async def test_every_kind_of_turn_is_sent_and_measured(tmp_path: Path) -> None:
    """Each does what it is for, and the ledger has a row for each."""
    async with open_world(tmp_path) as world:
        mix = ",".join(EVERY_KIND)
        arguments = ("--count", "25", "--rate", "25", "--mix", mix, "--seed", "1")
        done = await load(world, *arguments, content=LONG)
        billed = await rows(world)
    turns, durations = done.report["turns"], done.report["durations"]
    assert (done.code, done.stderr) == (0, "")
    assert turns["kinds"].keys() == done.report["mix"].keys() == set(EVERY_KIND)
    assert turns["total"]["sent"] == turns["scheduled"] == 25
    assert turns["total"]["admitted"] == billed == 25
    assert turns["total"]["finished"] + turns["total"]["cancelled"] == 25
    assert turns["kinds"]["cancel"]["cancelled"] == turns["kinds"]["cancel"]["sent"]
    assert durations["cancel"]["count"] == turns["kinds"]["cancel"]["sent"]
    assert durations["resume"]["count"] == turns["kinds"]["drop"]["sent"]
    assert done.report["flow"]["toolCalls"] == turns["kinds"]["tools"]["sent"]
    assert durations["first_delta"]["count"] == durations["queue"]["count"] == 25
    assert done.report["errors"] == {}


async def test_what_is_resumed_misses_and_repeats_nothing(tmp_path: Path) -> None:
    """All characters of every answer come, over two connections."""
    async with open_world(tmp_path) as world:
        done = await load(world, "--count", "6", "--rate", "20", "--mix", "drop")
    assert done.report["errors"] == {}
    assert done.report["turns"]["kinds"]["drop"]["finished"] == 6
    assert done.report["flow"]["characters"] == 6 * 20 * 10


async def test_a_tool_is_asked_for_in_words_where_there_are_no_directives(tmp_path: Path) -> None:
    """As a real provider's model would have to be."""
    async with open_world(tmp_path) as world:
        done = await load(world, "--count", "2", "--mix", "tools", content="Tell of the sea.")
    assert done.report["flow"]["toolCalls"] == 2
    assert done.report["turns"]["total"]["finished"] == 2


async def test_turns_of_a_session_follow_each_other(tmp_path: Path) -> None:
    """Three turns of one client make two sessions when a session has two."""
    async with open_world(tmp_path) as world:
        arguments = ("--connections", "1", "--count", "3", "--rate", "100", "--session-turns", "2")
        done = await load(world, *arguments, content="[[sim: count=2]]")
        async with world.talk() as talk:
            listed = await talk.ask("session.list")
    assert done.report["turns"]["total"]["finished"] == 3
    assert sorted(each["messageCount"] for each in listed["sessions"]) == [2, 4]


async def test_a_turn_that_waits_is_measured_from_when_it_was_due(tmp_path: Path) -> None:
    """One client, turns of 0.4 s, and all due at once: the last one waited for the others."""
    async with open_world(tmp_path) as world:
        arguments = ("--connections", "1", "--count", "3", "--rate", "1000")
        done = await load(world, *arguments)
    durations = done.report["durations"]
    assert durations["queue"]["max"] > 2 * 20 / 50 * 1e3 * 0.9
    assert durations["first_delta"]["max"] > durations["queue"]["max"]


async def test_what_comes_while_the_gateway_warms_up_is_not_measured(tmp_path: Path) -> None:
    """It is sent and billed all the same."""
    async with open_world(tmp_path) as world:
        arguments = ("--count", "10", "--rate", "20", "--warmup", "250ms")
        done = await load(world, *arguments, content="[[sim: count=2]]")
        billed = await rows(world)
    assert done.report["turns"]["warmup"] == 5
    assert done.report["durations"]["first_delta"]["count"] == 5
    assert done.report["turns"]["total"]["admitted"] == billed == 10


async def test_a_threshold_that_is_crossed_sets_the_exit_code(tmp_path: Path) -> None:
    """The line that failed is told; others are reported beside it."""
    async with open_world(tmp_path) as world:
        arguments = ("--count", "3", "--fail-if", "turn.p50>1us", "--fail-if", "errors>0")
        done = await load(world, *arguments)
    assert done.code == 1
    assert done.stderr == "agentspace: beyond what was allowed: turn.p50>1us.\n"
    assert [each["failed"] for each in done.report["thresholds"]] == [True, False]


async def test_errors_are_counted_by_code(tmp_path: Path) -> None:
    """A load of which no turn came to its end has failed."""
    async with open_world(tmp_path, retry_attempts=0) as world:
        done = await load(world, "--count", "4", "--rate", "50", content="[[sim: status=529]]")
    assert done.report["errors"] == {"OVERLOADED": 4}
    assert done.report["turns"]["total"]["failed"] == 4
    assert (done.code, done.stderr) == (1, "agentspace: no turn came to its end.\n")


async def test_a_full_gateway_refuses_some(tmp_path: Path) -> None:
    """Clients that are not let in are errors; those that are have their turns."""
    async with open_world(tmp_path, max_connections=2) as world:
        arguments = ("--connections", "4", "--count", "8", "--rate", "50")
        done = await load(world, *arguments)
    assert done.code == 0
    assert done.report["errors"].keys() == {"http_503"}
    assert done.report["turns"]["total"]["failed"] >= 2
    assert done.report["turns"]["total"]["finished"] >= 2


async def test_a_gateway_that_drains_is_told_from_one_that_fails(tmp_path: Path) -> None:
    """Its word, and what became of the turns that came after it."""
    done: Done | None = None

    async def keep(world: World) -> None:
        nonlocal done
        arguments = ("--duration", "2s", "--rate", "20", "--connections", "4")
        done = await load(world, *arguments, content="[[sim: count=2]]")

    async with trio.open_nursery() as nursery, open_world(tmp_path) as world:
        nursery.start_soon(keep, world)  # noqa: ASYNC111 - it ends with the gateway
        await eventually(lambda: len(world.sent()) > 4)
        world.gateway.stop()
    assert done is not None
    assert done.report["flow"]["draining"] == 4
    assert done.report["errors"].keys() & {"DRAINING", "closed_1001", "refused"}
    assert done.report["turns"]["total"]["finished"] > 0


async def test_ctrl_c_gives_the_report_of_what_ran(tmp_path: Path) -> None:
    """Exit code 130, and no turn goes on at the gateway."""
    async with open_world(tmp_path) as world:
        process = await trio.lowlevel.open_process(
            [*command(world), "--rate", "10", "--content", "[[sim: rate=5 count=500]]", "--json"],
            env=environment(tmp_path, AGENTSPACE_TOKEN=TOKEN),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        await eventually(lambda: len(world.sent()) > 2)
        process.send_signal(signal.SIGINT)
        stdout = b""
        with trio.fail_after(SECONDS):
            async for piece in process.stdout:
                stdout += piece
            code = await process.wait()
            async with world.talk() as talk:
                await status_when(talk, lambda status: status["upstreamStreams"] == 0)
    report = Done(code, stdout, b"").report
    assert code == 130
    assert report["interrupted"] is True
    assert report["turns"]["unfinished"] >= 2


async def test_a_recording_is_played(tmp_path: Path) -> None:
    """Each client says what it said; ids that the gateway makes are those of this time."""
    recording = tmp_path / "recording.jsonl"
    tool = {"name": "tide", "description": "Tells the tide.", "inputSchema": {"type": "object"}}
    said: list[tuple[float, str, dict[str, Any]]] = [
        (0.0, "anna", {"type": "chat.send", "content": "one [[sim: count=3]]"}),
        (0.0, "anna", {"type": "chat.send", "content": "two", "sessionId": "$session"}),
        (0.1, "anna", {"type": "context.inspect", "sessionId": "$session"}),
        (0.0, "ben", {"type": "chat.send", "content": "[[sim: count=900 rate=50]]"}),
        (0.5, "ben", {"type": "chat.cancel", "turnId": "$turn"}),
        (0.0, "cleo", {"type": "chat.send", "content": "[[sim: tool=tide {}]]", "tools": [tool]}),
        (0.1, "cleo", {"type": "tool.output", "toolCallId": "$call", "content": "noon"}),
        (0.2, "cleo", {"type": "tool.output", "toolCallId": "$call", "content": "never asked"}),
    ]
    with recording.open("w") as file:
        for number, (at, client, message) in enumerate(said):
            line = {"at": at, "client": client, "message": {"id": str(number), **message}}
            file.write(json.dumps(line) + "\n")
    async with open_world(tmp_path) as world:
        done = await load(world, "--play", str(recording))
        billed = await rows(world)
        bodies = [json.dumps(body) for body in world.sent()]
    turns = done.report["turns"]
    assert (done.code, done.report["errors"]) == (0, {})
    assert turns["total"] == {
        "sent": 4, "admitted": 4, "finished": 3, "cancelled": 1, "failed": 0
    }  # fmt: skip
    assert (turns["scheduled"], turns["unsent"], billed) == (8, 1, 4)
    assert done.report["durations"]["answer"]["count"] == 1
    assert any("one" in body and "two" in body for body in bodies)
    assert any('"noon"' in body for body in bodies)


async def test_what_a_load_sends_can_be_recorded_and_played(tmp_path: Path) -> None:
    """The same turns, cancels and outputs."""
    recording = tmp_path / "recording.jsonl"
    async with open_world(tmp_path) as world:
        arguments = ("--count", "9", "--rate", "30", "--mix", "plain,tools,cancel", "--seed", "4")
        first = await load(world, *arguments, "--record", str(recording), content=LONG)
        second = await load(world, "--play", str(recording))
    assert second.report["turns"]["total"] == first.report["turns"]["total"]
    assert second.report["flow"]["toolCalls"] == first.report["flow"]["toolCalls"] > 0
    assert second.report["turns"]["unsent"] == 0


async def test_nothing_is_sent_without_leave(tmp_path: Path) -> None:
    """Nobody has agreed to spend money: a pipe is never asked."""
    async with open_world(tmp_path) as world:
        done = await trio.to_thread.run_sync(
            lambda: run(tmp_path, "load", "--url", world.url, AGENTSPACE_TOKEN=TOKEN)
        )
        assert world.sent() == []
    assert done.returncode == 2
    assert "150 turns cost money" in done.stderr
    assert "--simulate" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--simulate", "--url", "ws://127.0.0.1:9/gateway"),
        ("--simulate", "--fail-if", "first_delta>1"),
        ("--simulate", "--mix", "fast"),
        ("--simulate", "--play", "nothing.jsonl"),
        ("--simulate", "--duration", "soon"),
        ("--simulate", "--rate", "0"),
    ],
)
def test_a_load_that_makes_no_sense_is_refused_at_once(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """Exit code 2, and nothing on stdout."""
    environ = environment(tmp_path)
    done = CliRunner(env=environ).invoke(agentspace, ["load", *arguments], prog_name="agentspace")
    assert (done.exit_code, done.stdout) == (2, "")


def test_no_gateway_is_one_line(tmp_path: Path) -> None:
    """Exit code 1, as with every other command."""
    done = run(tmp_path, "load", "--yes", "--url", "ws://127.0.0.1:9/gateway")
    assert done.returncode == 1
    assert done.stderr.startswith("agentspace: no gateway answers at ws://127.0.0.1:9/gateway.")
    assert len(done.stderr.splitlines()) == 1


def test_a_simulated_gateway_comes_and_goes_with_the_load(tmp_path: Path) -> None:
    """It is another one than the folder's, and leaves nothing behind; people get tables."""
    done = run(
        tmp_path,
        "load",
        "--simulate",
        "--count",
        "3",
        "--fail-if",
        "failed>0",
        TMPDIR=str(tmp_path),
    )
    assert (done.returncode, done.stderr) == (0, "")
    for word in ("first_delta", "p99.9", "finished", "own CPU", "failed>0", "ok (0)"):
        assert word in done.stdout
    assert not list(tmp_path.glob("agentspace-load-*"))
    assert not (tmp_path / "data").exists()


def test_a_simulator_ends_with_the_load_that_has_started_it(tmp_path: Path) -> None:
    """Also when the load is killed: its stdin ends then."""
    done = run(tmp_path, "simulate", "--port", "0", "--stop-on-stdin-eof")
    assert (done.returncode, done.stderr) == (0, "")
    assert "simulator.ready" in done.stdout


def a_report(lag: float) -> LoadReport:
    """Of a load of one turn whose clock was so late."""
    plan = LoadPlan(
        connections=1, schedule=Schedule(rate=1, count=1), asking=Asking(content="hello")
    )
    one = LoadRun(plan, Target("ws://127.0.0.1:9/gateway", None))
    one.tally.kinds["plain"].finished = 1
    one.watch.lag.record(lag)
    return report_of(one, [])


def test_a_load_that_was_the_bottleneck_itself_says_so() -> None:
    """In the report, and with the exit code when its figures must be valid."""
    late, good = a_report(0.5), a_report(0.001)
    assert (late.valid, good.valid) == (False, True)
    assert "late" in late.own.reasons[0]
    _end(late, require_valid=False)
    _end(good, require_valid=True)
    with pytest.raises(Stop, match="not valid") as refused:
        _end(late, require_valid=True)
    assert refused.value.exit_code == 1
    assert load_report(late)


async def test_a_terminal_shows_how_the_load_goes(tmp_path: Path) -> None:
    """One line that is drawn anew, and gives way to the report."""
    async with open_world(tmp_path) as world:
        environ = environment(tmp_path, AGENTSPACE_TOKEN=TOKEN, TERM="xterm-256color")
        arguments = ("load", "--url", world.url, "--yes", "--count", "3", "--content", CONTENT)
        async with open_terminal(environ, *arguments, columns=140, lines=50) as seen:
            await seen.see(r"\d sent · \d open")
            await seen.see("first_delta", "total", "own CPU")
            await seen.rest()
    assert "open ·" not in seen.text


async def test_a_person_is_asked_before_it_costs(tmp_path: Path) -> None:
    """On a terminal; a no ends it."""
    async with open_world(tmp_path) as world:
        environ = environment(tmp_path, AGENTSPACE_TOKEN=TOKEN, TERM="xterm-256color")
        async with open_terminal(environ, "load", "--url", world.url, columns=140) as seen:
            await seen.see("150 turns cost money", "Go on")
            seen.press("n\r")
            await seen.rest()
        assert world.sent() == []
