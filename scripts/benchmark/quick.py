"""What does not depend on the machine: calls and memory of a delta, and of a turn.

The gateway counts its own calls. The provider sends a delta, the client waits for it, and only then
comes the next, so that nothing is joined and nothing depends on time. The counts are held against
`limits.json`, which has those of each version of Python that somebody has taken down.
"""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import msgspec

from scripts.benchmark.client import WebSocketClient
from scripts.benchmark.installed import HERE
from scripts.benchmark.process import Process, settle
from scripts.benchmark.provider import Provider, Upstream, delta, finish, start
from scripts.benchmark.targets import gateway_settings

LIMITS: Final = HERE / "limits.json"
MARGIN: Final = 1.05
"""How much more than the limit is still taken for the same."""

PIECE: Final = "A mailbox is a bounded queue. "
WARMUP: Final = 50
DELTAS: Final = 2_000
TURNS: Final = 120
VERSION: Final = f"{sys.version_info.major}.{sys.version_info.minor}"

Counts = dict[str, float]


class Count(msgspec.Struct, frozen=True):
    """What a counted gateway says of itself."""

    loop: int
    loop_builtin: int
    others: int
    blocks: int


class Excess(msgspec.Struct, frozen=True):
    """A count that has grown beyond its limit."""

    name: str
    count: float
    limit: float

    def __str__(self) -> str:
        return f"{self.name}: {self.count:.1f}, where {self.limit:.1f} is the limit"


def quick_counts() -> Counts:
    """Calls and memory of a delta and of a turn, on this version of Python."""
    provider = Provider()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        settings = gateway_settings(provider.port, Path(folder))
        command = [sys.executable, "-m", "scripts.benchmark.counted", "serve", "--port", "0"]
        with Process(command, settings) as gateway:
            settle(gateway.pid)
            client = WebSocketClient(gateway.port)
            counts = _of_deltas(gateway, provider, client) | _of_turns(gateway, provider, client)
            client.close()
    provider.close()
    return counts


def _of_deltas(gateway: Process, provider: Provider, client: WebSocketClient) -> Counts:
    upstream = _begin(provider, client)
    _deltas(upstream, client, WARMUP)
    _ask(gateway)
    before, received = _ask(gateway), client.received
    _deltas(upstream, client, DELTAS)
    after, received = _ask(gateway), client.received - received
    _end(upstream, client)
    return {
        "Python calls a delta": (after.loop - before.loop) / DELTAS,
        "builtin calls a delta": (after.loop_builtin - before.loop_builtin) / DELTAS,
        "blocks kept a delta": (after.blocks - before.blocks) / DELTAS,
        "bytes sent a byte of text": received / DELTAS / len(PIECE),
    }


def _of_turns(gateway: Process, provider: Provider, client: WebSocketClient) -> Counts:
    for _ in range(TURNS // 4):
        _turn(provider, client)
    before = _ask(gateway)
    for _ in range(TURNS):
        _turn(provider, client)
    after = _ask(gateway)
    return {
        "Python calls a turn, loop": (after.loop - before.loop) / TURNS,
        "Python calls a turn, other threads": (after.others - before.others) / TURNS,
        "blocks kept a turn": (after.blocks - before.blocks) / TURNS,
    }


def _turn(provider: Provider, client: WebSocketClient) -> None:
    upstream = _begin(provider, client)
    _deltas(upstream, client, 5)
    _end(upstream, client)


def _begin(provider: Provider, client: WebSocketClient) -> Upstream:
    client.ask("What is a mailbox?")
    upstream = provider.take()
    upstream.send(start())
    return upstream


def _deltas(upstream: Upstream, client: WebSocketClient, count: int) -> None:
    """One after the other, each waited for."""
    piece = delta(PIECE)
    for _ in range(count):
        wanted = client.deltas + 1
        upstream.send(piece)
        while client.deltas < wanted:
            client.read()


def _end(upstream: Upstream, client: WebSocketClient) -> None:
    upstream.send(finish())
    while not client.ended:
        client.read()


def _ask(gateway: Process) -> Count:
    """The counts, once the loop has nothing more to do."""
    time.sleep(0.2)
    gateway.child.send_signal(signal.SIGUSR1)
    assert gateway.child.stdout is not None
    return msgspec.json.decode(gateway.child.stdout.readline(), type=Count)


def limits(file: Path = LIMITS) -> dict[str, Counts]:
    """The stored counts, by version of Python."""
    return msgspec.json.decode(file.read_bytes(), type=dict[str, Counts])


def excesses(counts: Counts, limit: Counts) -> list[Excess]:
    """Which counts are beyond their limit and the margin."""
    return [
        Excess(name, count, limit[name])
        for name, count in counts.items()
        if name in limit and count > limit[name] * MARGIN
    ]


def renew(counts: Counts, file: Path = LIMITS) -> None:
    """Take the counts down as this version's limits."""
    stored = limits(file) if file.exists() else {}
    stored[VERSION] = {name: round(count, 2) for name, count in counts.items()}
    file.write_text(json.dumps(stored, indent=2, sort_keys=True) + "\n")
