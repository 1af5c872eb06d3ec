"""What a start does not need, and loads after it.

Problem: the provider's SDK takes longer to import than all the rest (report: anthropics/anthropic-
sdk-python#1211), and a client can be served without it until it asks for an answer. Trick: what
listening does not need is a `Late`. It is loaded once, in a thread: as soon as the gateway is
ready, or when it is first asked for. Whoever asks waits for it, and the loop goes on.

Limits: the thread and the loop share one interpreter, so a gateway is busy for about a second after
its start; and a call of a library that keeps the interpreter to itself holds the loop.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import outcome
import trio

T = TypeVar("T")

_ONE_LOADS = threading.Lock()
"""Libraries import each other in circles. Of two threads in one circle, one would get a module that
is half made (the import system prefers that to a deadlock)."""


class Late(Generic[T]):
    """Something that takes long to load. Any thread may ask for it; it is loaded once.

    What is loaded asks for no other `Late` meanwhile: one is loaded at a time.
    """

    def __init__(self, load: Callable[[], T]) -> None:
        self._load = load
        self._loaded: outcome.Value[T] | None = None

    @property
    def is_loaded(self) -> bool:
        """Whether nobody has to wait for it."""
        return self._loaded is not None

    def get(self) -> T:
        """What was loaded (blocking, unless it is loaded). Raises what loading it raises."""
        if self._loaded is None:
            with _ONE_LOADS:
                if self._loaded is None:
                    self._loaded = _outlasting(self._load)
        return self._loaded.value

    async def wait(self) -> T:
        """What was loaded, without holding the loop. Raises what loading it raises."""
        if self._loaded is None:
            return await trio.to_thread.run_sync(self.get, abandon_on_cancel=True)
        await trio.lowlevel.checkpoint()
        return self._loaded.value


def _outlasting(load: Callable[[], T]) -> outcome.Value[T]:
    """Load in a thread that the interpreter waits for at its end.

    It ends trio's threads, which are daemons, wherever they are. A library in Rust may not survive
    (PyO3/pyo3#4874).
    """
    results: list[outcome.Outcome[T]] = []
    thread = threading.Thread(
        target=lambda: results.append(outcome.capture(load)), name="late", daemon=False
    )
    thread.start()
    thread.join()
    return outcome.Value(results[0].unwrap())
