"""A figure: what is measured, on which targets, and what it is held against."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import msgspec

from scripts.benchmark.client import CLIENTS, Client, HttpClient
from scripts.benchmark.process import cpu_seconds
from scripts.benchmark.targets import Dialect

Values = dict[str, float]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How much is measured. `None` leaves it to the figure.

    - `streams`: at once
    - `seconds`: of a window
    - `rate`: deltas a second and stream
    - `chars`: of a delta
    """

    streams: int | None = None
    seconds: float | None = None
    rate: float | None = None
    chars: int = 30


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What the load is told: which figure of which target, and where that and the provider are.

    Without a `provider_pid` the load itself is to be the provider, at that port.
    """

    figure: str
    target: str
    dialect: Dialect
    port: int
    pid: int
    provider_port: int
    provider_pid: int | None
    options: Options

    def client(self, *, receive_buffer: int | None = None) -> Client:
        """A new connection to the target."""
        return CLIENTS[self.dialect](self.port, receive_buffer=receive_buffer)

    def straight(self) -> Client:
        """A new connection to the provider itself."""
        return HttpClient(self.provider_port)


class Measured(msgspec.Struct, frozen=True):
    """What came out: values by column, and the share of a core that each process has used."""

    values: Values
    shares: Values


class Column(msgspec.Struct, frozen=True):
    """A value of a figure: its name in the results, its head in the table, and its decimals."""

    key: str
    title: str
    decimals: int = 1


class Goal(msgspec.Struct, frozen=True):
    """What the gateway's value of a column is to be, over another target's or by itself."""

    column: str
    limit: float
    over: str | None = None
    at_least: bool = False

    def is_met(self, value: float) -> bool:
        """Whether a value, or ratio, is good enough."""
        return value >= self.limit if self.at_least else value <= self.limit


class Figure(msgspec.Struct, frozen=True):
    """Something to measure.

    `measure` runs in the load's process, for one target at a time. `targets` are names; what is not
    among them is not measured. `provides`: the load is the provider, in place of the simulator.
    `alone`: the load starts what it measures, and what an order says of processes means nothing.
    `once`: one round is enough, since it repeats itself within, or does not depend on time.
    `subject` is what was measured when it is a part of the gateway.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    goals: tuple[Goal, ...]
    targets: tuple[str, ...]
    measure: Callable[[Order], Measured]
    provides: bool = False
    alone: bool = False
    subject: str = ""
    once: bool = False


class Window:
    """A while in which the CPU time of target, provider and load is taken down."""

    def __init__(self, order: Order) -> None:
        self._pids = {"target": order.pid, "load": os.getpid()}
        if order.provider_pid is not None:
            self._pids["provider"] = order.provider_pid
        self._cpu = {name: cpu_seconds(pid) for name, pid in self._pids.items()}
        self._began = time.perf_counter()
        self.seconds = 0.0
        self.cpu = 0.0
        self.shares: Values = {}

    def close(self) -> None:
        """End it: `seconds`, `cpu` seconds of the target, and `shares` of a core are known now."""
        used = {name: cpu_seconds(pid) - self._cpu[name] for name, pid in self._pids.items()}
        self.seconds = time.perf_counter() - self._began
        self.cpu = used["target"]
        self.shares = {name: seconds / self.seconds for name, seconds in used.items()}
