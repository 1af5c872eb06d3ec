"""Minutes of coming and going: connect, chat, cancel, drop, resume. Does anything stay behind?

The gateway's memory is taken down all the time. At the end nobody is connected, and what
`gateway.status` says must be what it said at the beginning: no connection, no turn, no stream.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from scripts.benchmark.client import BrokenTarget, Crowd, WebSocketClient
from scripts.benchmark.process import Process, resident_bytes, settle
from scripts.benchmark.targets import gateway_settings, start_simulator

WARM_PART: Final = 0.3
"""The part of the time after which memory should be flat: caches and kept logs have filled."""

SAMPLES: Final = 40
SLACK: Final = 1.10
"""How much more memory at the end, than when it was warm, still counts as flat."""

PRESENT: Final = ("connections", "upstreamStreams", "openRows", "ledgerQueue", "detachedLogs")
"""What the status counts of that which is there now."""

BOUNDS: Final = {
    "AGENTSPACE_LOG_RETENTION_SECONDS": "5",
    "AGENTSPACE_HISTORY_CACHE_BYTES": "1048576",
}
"""What is kept on purpose is bounded as ever; these bounds are reached within a minute."""

QUICK: Final = "[[sim: count=5 chars=30]] What is a mailbox?"
SLOW: Final = "[[sim: count=200 rate=50 chars=30]] What is a mailbox?"


class Churned(msgspec.Struct, frozen=True, kw_only=True):
    """What a while of churn has left: `warm_mb` after its first part, `end_mb` at its end.

    `left` is what the status shows at the end and did not at the beginning. `memory_mb` is evenly
    spread over the time.
    """

    seconds: float
    turns: int
    warm_mb: float
    end_mb: float
    memory_mb: list[float]
    left: dict[str, float]

    @property
    def is_flat(self) -> bool:
        """Whether memory has not grown since it was warm."""
        return self.end_mb <= self.warm_mb * SLACK


def churn(seconds: float) -> Churned:
    """Come and go for so long, at one gateway with a simulated provider."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, start_simulator() as provider:
        settings = gateway_settings(provider.port, Path(folder)) | BOUNDS
        with Process(
            [sys.executable, "-m", "gateway", "serve", "--port", "0"], settings
        ) as gateway:
            settle(gateway.pid)
            return _churned(gateway, seconds)


def _churned(gateway: Process, seconds: float) -> Churned:
    visits: tuple[Callable[[int], None], ...] = (_chat, _chat, _cancel, _drop, _resume)
    chosen = random.Random(1)
    visits[0](gateway.port)
    before = _status(gateway.port)
    began, turns = time.monotonic(), 0
    memory: list[float] = []
    while (passed := time.monotonic() - began) < seconds:
        chosen.choice(visits)(gateway.port)
        turns += 1
        if passed >= len(memory) * seconds / SAMPLES:
            memory.append(resident_bytes(gateway.pid) / 1e6)
    time.sleep(1.0)
    settle(gateway.pid)
    after = _status(gateway.port)
    warm = memory[int(len(memory) * WARM_PART)]
    left = {name: after[name] - before[name] for name in after if after[name] > before[name]}
    return Churned(
        seconds=seconds,
        turns=turns,
        warm_mb=warm,
        end_mb=resident_bytes(gateway.pid) / 1e6,
        memory_mb=[round(one, 1) for one in memory],
        left=left,
    )


def _chat(port: int) -> None:
    """A turn to its end."""
    client, crowd = _come(port)
    client.ask(QUICK)
    crowd.read_until(lambda: client.ended)
    crowd.close()


def _cancel(port: int) -> None:
    """A turn that is cancelled at its first delta."""
    client, crowd = _begin(port, SLOW)
    client.cancel()
    crowd.read_until(lambda: client.ended)
    crowd.close()


def _drop(port: int) -> None:
    """A client that is gone at the first delta; its turn is cancelled."""
    _, crowd = _begin(port, SLOW)
    crowd.close()


def _resume(port: int) -> None:
    """A client that is gone while its turn goes on, and one that takes up the answer."""
    client, crowd = _come(port)
    started: list[str] = []

    def note(frame: bytes, _: float) -> None:
        started.extend([frame.decode()] if b'"turnId"' in frame else [])

    client.listener = note
    client.send(
        {
            "type": "chat.send",
            "id": "1",
            "content": "[[sim: count=20 rate=100 chars=30]] What is a mailbox?",
            "onDisconnect": "detach",
        }
    )
    crowd.read_until(lambda: bool(started) and client.deltas > 0)
    crowd.close()
    client, crowd = _come(port)
    turn = json.loads(started[0])["turnId"]
    client.send({"type": "chat.resume", "id": "1", "turnId": turn, "after": 1})
    crowd.read_until(lambda: client.ended)
    crowd.close()


def _begin(port: int, question: str) -> tuple[WebSocketClient, Crowd]:
    client, crowd = _come(port)
    client.ask(question)
    crowd.read_until(lambda: client.first_at > 0)
    return client, crowd


def _come(port: int) -> tuple[WebSocketClient, Crowd]:
    client, crowd = WebSocketClient(port), Crowd()
    crowd.join(client)
    return client, crowd


def _status(port: int) -> dict[str, float]:
    """The figures of `gateway.status` that count what is there now."""
    client, crowd = _come(port)
    heard: list[dict[str, Any]] = []
    client.listener = lambda frame, _: heard.append(json.loads(frame))
    client.send({"type": "gateway.status", "id": "s"})
    crowd.read_until(lambda: bool(heard))
    crowd.close()
    if heard[0]["type"] != "gateway.status":
        raise BrokenTarget(f"the status was answered with {heard[0]}")
    shown = heard[0]
    return {name: float(shown[name]) for name in PRESENT} | {
        "turns": float(sum(shown["turns"].values()))
    }
