"""Many sockets, one wait: what can be read is read by one task for all of them.

Problem: to wake a task for each delta costs more than the delta. trio asks the system to watch the
socket, remembers who waits, schedules the task, and runs it down to its wait again. Trick: the
system watches all sockets of a hub for as long as their answers stream, with one `epoll` of the
hub's own. One task waits for that, and calls a plain function for each socket that has something to
say. The task that the answer is for sleeps meanwhile, and is woken when the function has had
enough. Limits: such a function must be done soon and must not wait. After `LONGEST_RUN` the others
have a rest from the hub; what it did not get to is reported again. Where there is no `epoll`, each
task waits for its own socket.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterable

import trio

AT_ONCE = 64
"""Sockets that are asked for at once."""

LONGEST_RUN = 0.002
"""Seconds between two rests for the other tasks, but for the last function's."""

ReadSome = Callable[[], bool]
"""Reads from a socket that has something to say; whether that was enough."""


class SocketHub:
    """Watches sockets for the tasks of one loop."""

    def __init__(self) -> None:
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        self._watched: dict[int, _Watch] = {}
        self._scope: trio.CancelScope | None = None

    async def watch(self, number: int, read: ReadSome) -> None:
        """Call `read` whenever socket `number` has something to say, until that was enough.

        What `read` raises is raised here.
        """
        if self._epoll is None:
            await _watch_alone(number, read)
            return
        watch = _Watch(read, trio.lowlevel.current_task())

        def abort(_: object) -> trio.lowlevel.Abort:
            self._forget(number)
            return trio.lowlevel.Abort.SUCCEEDED

        self._watched[number] = watch
        self._epoll.register(number, select.EPOLLIN)
        if self._scope is None:
            self._scope = trio.CancelScope()
            trio.lowlevel.spawn_system_task(self._run, self._epoll, self._scope)
        await trio.lowlevel.wait_task_rescheduled(abort)
        if watch.raised is not None:
            raise watch.raised

    def close(self) -> None:
        """Stop the task of the hub, until something is watched again."""
        if self._scope is not None:
            self._scope.cancel()
            self._scope = None

    def _forget(self, number: int) -> None:
        assert self._epoll is not None
        del self._watched[number]
        self._epoll.unregister(number)

    async def _run(self, epoll: select.epoll, scope: trio.CancelScope) -> None:
        number = epoll.fileno()
        with scope:
            while True:
                await trio.lowlevel.wait_readable(number)
                self._read(epoll.poll(0, AT_ONCE))

    def _read(self, ready: Iterable[tuple[int, int]]) -> None:
        until = time.perf_counter() + LONGEST_RUN
        for number, _ in ready:
            if (watch := self._watched.get(number)) is None:
                continue
            try:
                is_over = watch.read()
            except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
                is_over, watch.raised = True, error
            # It may also have cancelled the task.
            if is_over and self._watched.get(number) is watch:
                self._forget(number)
                trio.lowlevel.reschedule(watch.task)
            if time.perf_counter() > until:
                return


class _Watch:
    """A socket that is watched for a task."""

    def __init__(self, read: ReadSome, task: trio.lowlevel.Task) -> None:
        self.read = read
        self.task = task
        self.raised: Exception | None = None


async def _watch_alone(number: int, read: ReadSome) -> None:
    await trio.lowlevel.wait_readable(number)
    while not read():
        await trio.lowlevel.wait_readable(number)
