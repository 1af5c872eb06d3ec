"""One thread that owns the database, and its commits.

All that waits goes into one commit, and each asker is answered after it: what has been answered
is on the disk. pony keeps its session in the thread, so a whole job is one plain function, run
there. A locked database is waited for; any other failure is the asker's to hear.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import outcome
import trio
from pony import orm

from protocol.errors import LedgerUnavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

LARGEST_GROUP = 256
"""Jobs in one commit: beyond that a commit's fixed cost is spread thin enough."""

LOCKED_PAUSE = 0.05
"""Seconds between two tries while another process holds the database's lock."""


class _Job(Generic[T]):
    """A plain function to run in the ledger's thread, and who waits for it."""

    def __init__(self, work: Callable[[], T]) -> None:
        self.work = work
        self.result: outcome.Outcome[T] | None = None
        self.done = trio.Event()


class DatabaseThread:
    """Runs plain functions in a thread of its own; at most `queue_size` of them wait.

    Each runs inside a session of `db`; the one that `start` is given opens the database, outside.
    """

    def __init__(self, db: orm.Database, *, queue_size: int) -> None:
        self._db = db
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._places = trio.Semaphore(queue_size)
        self._size = queue_size
        self._token = trio.lowlevel.current_trio_token()
        self._thread = threading.Thread(target=self._work, name="ledger", daemon=True)
        self._closing = False

    async def start(self, prepare: Callable[[], None]) -> None:
        """Start the thread with `prepare`; raises what it raises, mapped as for any job."""
        self._thread.start()
        await self.run(prepare)

    async def stop(self) -> None:
        """Finish what waits and end the thread."""
        self._closing = True
        self._jobs.put(None)
        await trio.to_thread.run_sync(self._thread.join)

    @property
    def waiting(self) -> int:
        """How many jobs wait for their commit."""
        return self._size - self._places.value

    async def run(self, work: Callable[[], T]) -> T:
        """Run `work` in the thread; returns after its commit. Raises LedgerUnavailable.

        A caller that is cancelled leaves its job behind: it is still written.
        """
        job = _Job(work)
        await self._places.acquire()
        self._jobs.put(job)
        await job.done.wait()
        assert job.result is not None
        return job.result.unwrap()

    def _work(self) -> None:
        running = True
        while running:
            jobs = self._next_group()
            running = None not in jobs
            group = [job for job in jobs if job is not None]
            self._commit(group)
            for job in group:
                self._answer(job)
        self._db.disconnect()

    def _next_group(self) -> list[_Job[Any] | None]:
        jobs = [self._jobs.get()]
        while len(jobs) < LARGEST_GROUP:
            try:
                jobs.append(self._jobs.get_nowait())
            except queue.Empty:
                break
        return jobs

    def _answer(self, job: _Job[Any]) -> None:
        def answer() -> None:
            self._places.release()
            job.done.set()

        try:
            self._token.run_sync_soon(answer)
        except trio.RunFinishedError:
            log.warning("a job of the ledger was finished after the gateway")

    def _commit(self, jobs: Sequence[_Job[Any]]) -> None:
        """One commit for all; when one job fails, each gets its own, so that the rest succeed."""
        if len(jobs) > 1:
            try:
                results = self._transact([job.work for job in jobs])
            except Exception as error:  # noqa: BLE001 - each job hears of its own below
                log.info("a group of %d jobs is retried one by one: %r", len(jobs), error)
            else:
                for job, result in zip(jobs, results, strict=True):
                    job.result = outcome.Value(result)
                return
        for job in jobs:
            try:
                job.result = outcome.Value(self._transact([job.work])[0])
            except Exception as error:  # noqa: BLE001 - it is raised where the job came from
                job.result = outcome.Error(_unavailable(error))

    def _transact(self, works: Sequence[Callable[[], Any]]) -> list[Any]:
        while True:
            try:
                if self._db.provider is None:
                    return [work() for work in works]
                with orm.db_session:
                    return [work() for work in works]
            except Exception as error:
                if not _is_locked(error) or self._closing:
                    raise
            time.sleep(LOCKED_PAUSE)


def _original(error: BaseException) -> BaseException:
    """pony wraps the database's errors; what happened is in the original."""
    return getattr(error, "original_exc", None) or error


def _is_locked(error: BaseException) -> bool:
    original = _original(error)
    return isinstance(original, sqlite3.OperationalError) and "locked" in str(original)


def _unavailable(error: Exception) -> Exception:
    original = _original(error)
    if isinstance(original, LedgerUnavailable):
        return original
    if isinstance(original, sqlite3.Error | orm.OrmError | OSError):
        log.error("the ledger cannot write: %r", original)
        failure = LedgerUnavailable(
            "The gateway's database cannot be written now (is the disk full?). Try again later."
        )
        failure.__cause__ = original
        return failure
    return error
