"""A start loads what listening needs, then the rest; a turn after that loads nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from gateway.simulator import open_simulator
from tests.child import START_SECONDS, Child, open_child
from tests.shell import AGENTSPACE
from tests.shell import environment as bare
from tests.support import SECONDS, TOKEN, text_of
from tests.test_process import environment, serving

NEEDED_BY_TURNS = frozenset(
    {"anthropic", "genai_prices", "httpx2", "keyring", "mcp", "pydantic", "tiktoken", "yaml"}
)
NEEDED_BY_COMMANDS = frozenset({"agentspace.client", "prompt_toolkit", "rich", "websockets"})
NEEDED_BY_THE_SIMULATOR = frozenset({"gateway.simulator", "jsonschema"})

TELLING = """
import gc, json, sys
from gateway.cli import main, serve

def tell(moment):
    collector = {"isOn": gc.isenabled(), "leavesAlone": gc.get_freeze_count()}
    told = {"moment": moment, "modules": sorted(sys.modules), "collector": collector}
    print(json.dumps(told), flush=True)

started, settle = serve._Announce.started, serve._settle_memory

def tell_ready(self, value=None):
    started(self, value)
    tell("ready")

async def tell_loaded(gateway):
    await settle(gateway)
    tell("loaded")

serve._Announce.started, serve._settle_memory = tell_ready, tell_loaded
try:
    main()
finally:
    tell("end")
"""
"""`agentspace`, which tells on stdout what is imported at three moments."""

DAMAGED = """
from gateway import tokenizer
from gateway.cli import main

tokenizer.VOCABULARY_SHA256 = "of another file"
main()
"""


class Start:
    """A gateway that tells what it has imported."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self._said = b""

    async def line(self) -> dict[str, Any]:
        """The next line that it says."""
        assert self.process.stdout is not None
        with trio.fail_after(START_SECONDS):
            while b"\n" not in self._said:
                more = await self.process.stdout.receive_some()
                assert more, self._said
                self._said += more
        line, _, self._said = self._said.partition(b"\n")
        told = json.loads(line)
        assert isinstance(told, dict)
        return told

    async def told(self, moment: str) -> dict[str, Any]:
        """What it tells of this moment, which is the next one."""
        told = await self.line()
        assert told["moment"] == moment
        return told


@asynccontextmanager
async def starting(folder: Path, **settings: str) -> AsyncIterator[Start]:
    """A gateway that starts; killed at the end if it is still there."""
    process = await trio.lowlevel.open_process(
        [sys.executable, "-c", TELLING, "serve"],
        env=environment(folder, AGENTSPACE_TOKEN=TOKEN, **settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    try:
        yield Start(process)
    finally:
        process.kill()
        with trio.move_on_after(SECONDS, shield=True):
            await process.wait()
            assert process.stdout is not None
            await process.stdout.aclose()


async def test_a_start_imports_what_listening_needs_and_a_turn_later_nothing(
    tmp_path: Path,
) -> None:
    """What is loaded between the two is left alone by the collector, which is on again."""
    async with (
        open_simulator() as simulator,
        starting(tmp_path, AGENTSPACE_ANTHROPIC_BASE_URL=simulator.url) as start,
    ):
        url = (await start.line())["url"]
        ready = await start.told("ready")
        too_early = NEEDED_BY_TURNS | NEEDED_BY_COMMANDS | NEEDED_BY_THE_SIMULATOR
        assert too_early.isdisjoint(ready["modules"])
        loaded = await start.told("loaded")
        assert {"anthropic", "genai_prices", "tiktoken"} <= set(loaded["modules"])
        assert loaded["collector"]["isOn"]
        assert loaded["collector"]["leavesAlone"] > 50_000
        async with Child(start.process, url, simulator).talk() as talk:
            assert text_of(await talk.turn("What is a mailbox?"))
        start.process.send_signal(signal.SIGTERM)
        end = await start.told("end")
        more = sorted(set(end["modules"]) - set(loaded["modules"]))
        assert ",".join(more) == ""


async def test_a_turn_at_once_waits_for_what_it_needs(tmp_path: Path) -> None:
    """A client need not know that something is still being loaded."""
    async with (
        open_simulator() as simulator,
        open_child(tmp_path, simulator) as child,
        child.talk() as talk,
    ):
        assert text_of(await talk.turn("What is a mailbox?"))


def test_a_gateway_that_is_stopped_while_it_loads_ends_without_a_word(tmp_path: Path) -> None:
    """Whatever is being loaded at that moment."""
    with serving(tmp_path) as (child, _):
        child.terminate()
        _, said = child.communicate(timeout=START_SECONDS)
        assert child.returncode == 0
        assert "Traceback" not in said
        assert "CRITICAL" not in said


def test_what_cannot_be_loaded_ends_it_with_its_reason(tmp_path: Path) -> None:
    """Exit code 2: a supervisor does not try again."""
    done = subprocess.run(
        [sys.executable, "-c", DAMAGED, "serve", "--log-level", "error"],
        env=environment(tmp_path),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == (
        "agentspace: a part of the installation cannot be loaded (the packaged vocabulary "
        "o200k_base.msgpack is damaged). Install the gateway anew.\n"
    )


@pytest.mark.parametrize(
    ("command", "foreign"),
    [
        ("--version", NEEDED_BY_TURNS | NEEDED_BY_COMMANDS | {"trio"}),
        ("--help", NEEDED_BY_TURNS | NEEDED_BY_COMMANDS | {"trio"}),
    ],
)
def test_a_command_imports_what_it_needs(tmp_path: Path, command: str, foreign: set[str]) -> None:
    """A person waits for each of them."""
    done = subprocess.run(
        [AGENTSPACE[0], "-X", "importtime", *AGENTSPACE[1:], command],
        env=bare(tmp_path),
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert foreign.isdisjoint(imported)
