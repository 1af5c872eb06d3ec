"""What is loaded after the start: once, in a thread, and without the loop's standing still."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import trio
import trio.testing

from gateway.late import Late

ROOT = Path(__file__).resolve().parents[2]


class Slow:
    """Loads as soon as it may, and counts how often it has."""

    def __init__(self) -> None:
        self.may_load = threading.Event()
        self.times = 0

    def __call__(self) -> str:
        self.may_load.wait()
        self.times += 1
        return "loaded"


async def test_whoever_waits_gets_what_was_loaded_once() -> None:
    """Meanwhile the loop goes on: it is the loop that lets it load."""
    slow = Slow()
    late = Late(slow)
    got = []

    async def wait() -> None:
        got.append(await late.wait())

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        assert slow.times == 0
        slow.may_load.set()
    assert got == ["loaded"] * 3
    assert late.is_loaded
    assert await late.wait() == late.get() == "loaded"
    assert slow.times == 1


async def test_what_is_loaded_comes_without_a_thread() -> None:
    """A turn does not pay for a thread once everything is there."""
    late = Late(lambda: threading.current_thread().name)
    assert late.get() == "late"
    assert trio.to_thread.current_default_thread_limiter().statistics().tasks_waiting == 0
    with trio.testing.assert_checkpoints():
        assert await late.wait() == "late"


async def test_a_cancelled_wait_is_left_at_once() -> None:
    """What is being loaded is there for the next one."""
    slow = Slow()
    late = Late(slow)
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(late.wait)
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
    assert scope.cancelled_caught
    slow.may_load.set()
    assert await late.wait() == "loaded"
    assert slow.times == 1


async def test_what_cannot_be_loaded_says_so_to_each_that_waits() -> None:
    """The next one tries again."""
    fails = True

    def load() -> str:
        if fails:
            raise ValueError("it is damaged")
        return "loaded"

    late = Late(load)
    for _ in range(2):
        with pytest.raises(ValueError, match="damaged"):
            await late.wait()
    fails = False
    assert await late.wait() == "loaded"


def test_the_interpreter_ends_after_what_is_being_loaded() -> None:
    """It would otherwise end the thread inside of a library, which may not survive it."""
    program = """
import threading, trio
from gateway.late import Late

begun = threading.Event()

def load():
    begun.set()
    threading.main_thread().join()
    print("loaded")

async def main():
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Late(load).wait)
        await trio.to_thread.run_sync(begun.wait)
        nursery.cancel_scope.cancel()

trio.run(main)
print("left", flush=True)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "left\nloaded\n", "")
