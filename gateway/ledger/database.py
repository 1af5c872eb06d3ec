"""A thread that works on the database, and its commits.

All that waits goes into one commit, and each asker is answered after it: what has been answered
is on the disk. A whole job is one plain function, run in the thread: a read in a session of pony's,
a write on pony's connection. The transaction of the writes is the thread's own: most groups are of
one job, for which a session of pony's would do more than the job does.

There are three kinds of jobs. A *read* and a *write* are withdrawn when their caller leaves before
they were begun. A write *for good* is not: it is tried again until it is on the disk, whatever
becomes of its caller. While the database is locked by another process, writes wait; while the disk
is full, plain writes are refused and those for good wait; reads go on in either case.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Generic, Literal, TypeVar

import outcome
import trio
from pony import orm

from actors.bell import Bell
from protocol.errors import LedgerUnavailable

log = logging.getLogger(__name__)

T = TypeVar("T")
WriteWork = Callable[[sqlite3.Connection], T]
"""What a write does: plain statements, of a transaction that it neither begins nor ends."""
JobKind = Literal["read", "write", "for good"]
Health = Literal["ok", "locked", "full"]

LARGEST_GROUP = 256
"""Jobs in one commit: beyond that a commit's fixed cost is spread thin enough."""

RETRY_SECONDS = 0.05
"""Pause before held writes are tried again."""


class _Job(Generic[T]):
    """A plain function to run in the thread, and who waits for it."""

    def __init__(self, work: Callable[..., T], kind: JobKind) -> None:
        self.work = work
        self.kind = kind
        self.wanted = True
        self.result: outcome.Outcome[T] | None = None
        self.done = Bell()


class DatabaseThread:
    """Runs plain functions in a thread of its own; at most `queue_size` of them wait.

    Each thread has a connection of its own.
    """

    def __init__(
        self, db: orm.Database, name: str, *, queue_size: int, stop_seconds: float
    ) -> None:
        self._db = db
        self._connection: sqlite3.Connection | None = None
        """pony's; the writes look for it again after one of them has failed."""
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._places = trio.Semaphore(queue_size)
        self._size = queue_size
        self._stop_seconds = stop_seconds
        self._token = trio.lowlevel.current_trio_token()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self.health: Health = "ok"
        self.can_write = True
        """Whether the database let the last write through, whatever was the matter."""

    async def start(self, prepare: Callable[[], None] | None = None) -> None:
        """Start the thread. Raises what `prepare`, which opens the database in it, raises."""
        self._thread.start()
        if prepare is not None:
            await self._submit(prepare, "read")

    async def stop(self) -> None:
        """Finish what waits, within `stop_seconds` when it cannot be written, and end."""
        self._jobs.put(None)
        if self._thread.is_alive():
            await trio.to_thread.run_sync(self._thread.join, abandon_on_cancel=True)

    @property
    def waiting(self) -> int:
        """How many jobs wait for their commit."""
        return self._size - self._places.value

    async def read(self, work: Callable[[], T]) -> T:
        """The answer of `work`, which writes nothing. Raises LedgerUnavailable."""
        return await self._submit(work, "read")

    async def write(self, work: WriteWork[T]) -> T:
        """Run `work`; returns after its commit. Raises LedgerUnavailable."""
        return await self._submit(work, "write")

    async def write_for_good(self, work: WriteWork[T]) -> T:
        """Run `work`, now or as soon as it can be written; returns after its commit."""
        return await self._submit(work, "for good")

    async def _submit(self, work: Callable[..., T], kind: JobKind) -> T:
        job = _Job(work, kind)
        await self._take_place()
        self._jobs.put(job)
        try:
            await job.done.wait()
        finally:
            job.wanted = kind == "for good"
        assert job.result is not None
        return job.result.unwrap()

    async def _take_place(self) -> None:
        """Wait for a place if there is none: `acquire` alone lets all others run first."""
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            self._places.acquire_nowait()
        except trio.WouldBlock:
            await self._places.acquire()

    # --- in the thread -------------------------------------------------------------------------

    def _work(self) -> None:
        held: list[_Job[Any]] = []
        running = True
        while running:
            arrived = self._next_jobs(wait=not held)
            running = None not in arrived
            held = self._pass([*held, *(job for job in arrived if job is not None)])
        self._finish(held)
        self._db.disconnect()

    def _next_jobs(self, *, wait: bool) -> list[_Job[Any] | None]:
        jobs: list[_Job[Any] | None] = []
        try:
            jobs.append(self._jobs.get(timeout=None if wait else RETRY_SECONDS))
        except queue.Empty:
            return jobs
        while len(jobs) < LARGEST_GROUP and not self._jobs.empty():
            jobs.append(self._jobs.get_nowait())
        return jobs

    def _finish(self, held: list[_Job[Any]]) -> None:
        """The last tries; a turn whose end is not written then keeps its open row."""
        end = time.monotonic() + self._stop_seconds
        while held and time.monotonic() < end:
            time.sleep(RETRY_SECONDS)
            held = self._pass(held)
        if held:
            log.critical("%d writes could not be made before the end", len(held))
        for job in held:
            job.result = outcome.Error(_unavailable(sqlite3.OperationalError(self.health)))
        self._answer(held)

    def _pass(self, jobs: Sequence[_Job[Any]]) -> list[_Job[Any]]:
        """Do the `jobs` that can be done, in their order; returns those to be tried again."""
        reads = [job for job in jobs if job.wanted and job.kind == "read"]
        writes = [job for job in jobs if job.wanted and job.kind != "read"]
        self._run_each(reads)
        held = self._commit(writes)
        again = set(held)
        self._answer([job for job in jobs if job not in again])
        return held

    def _commit(self, jobs: list[_Job[Any]]) -> list[_Job[Any]]:
        """One commit for all; if one job makes it fail, each job gets a commit of its own."""
        if not jobs:
            return []
        try:
            results = self._transact(jobs)
        except Exception as error:  # noqa: BLE001 - each job hears of its own below
            self._note(_ailment(error))
            if self.health == "ok":
                return self._run_each(jobs)
            return self._refuse(jobs, error)
        self._note("ok")
        self.can_write = True
        for job, result in zip(jobs, results, strict=True):
            job.result = outcome.Value(result)
        return []

    def _refuse(self, jobs: list[_Job[Any]], error: Exception) -> list[_Job[Any]]:
        """Nothing can be written now: plain writes may be refused; returns the jobs that wait."""
        self.can_write = False
        if self.health == "locked":
            return jobs
        for job in jobs:
            if job.kind == "write":
                job.result = outcome.Error(_unavailable(error))
        return [job for job in jobs if job.kind == "for good"]

    def _run_each(self, jobs: Sequence[_Job[Any]]) -> list[_Job[Any]]:
        """Run each by itself; returns the writes for good that must be tried again."""
        held = []
        for job in jobs:
            try:
                (result,) = [self._read(job)] if job.kind == "read" else self._transact([job])
                job.result = outcome.Value(result)
                self.can_write = self.can_write or job.kind != "read"
            except Exception as error:  # noqa: BLE001 - it is raised where the job came from
                if job.kind != "read" and isinstance(_original(error), sqlite3.OperationalError):
                    self.can_write = False
                if job.kind == "for good" and _ailment(error) != "ok":
                    held.append(job)
                else:
                    job.result = outcome.Error(_unavailable(error))
        return held

    def _read(self, job: _Job[T]) -> T:
        if self._db.provider is None:  # the job opens the database
            return job.work()
        with orm.db_session:
            return job.work()

    def _transact(self, jobs: Sequence[_Job[Any]]) -> list[Any]:
        """Run all in one transaction, which locks out other writers before it looks."""
        connection = self._connection or self._connect()
        self._connection = None
        try:
            connection.execute("BEGIN IMMEDIATE TRANSACTION")
            results = [job.work(connection) for job in jobs]
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.rollback()
            raise
        self._connection = connection
        return results

    def _connect(self) -> sqlite3.Connection:
        """The connection that pony has, or makes anew if it has let go of one that was broken."""
        with orm.db_session:
            connection: sqlite3.Connection = self._db.get_connection()
        return connection

    def _note(self, health: Health) -> None:
        if health != self.health:
            log.log(logging.INFO if health == "ok" else logging.ERROR, "the database is %s", health)
            self.health = health

    def _answer(self, jobs: list[_Job[Any]]) -> None:
        """Wake the loop once for all of them: a wake costs as much as a statement."""

        def answer() -> None:
            for job in jobs:
                self._places.release()
                job.done.ring()

        if not jobs:
            return
        try:
            self._token.run_sync_soon(answer)
        except trio.RunFinishedError:
            log.warning("%d jobs of the ledger were finished after the gateway", len(jobs))


def _original(error: BaseException) -> BaseException:
    """pony wraps the database's errors, more than once; what happened is in the innermost."""
    while (inner := getattr(error, "original_exc", None)) is not None:
        error = inner
    return error


def _ailment(error: BaseException) -> Health:
    """What keeps the database from being written; `ok` when the fault is the job's own."""
    original = _original(error)
    if isinstance(original, sqlite3.OperationalError):
        if "locked" in str(original):
            return "locked"
        if "full" in str(original) or "disk I/O" in str(original):
            return "full"
    return "ok"


def _unavailable(error: Exception) -> Exception:
    original = _original(error)
    if isinstance(original, LedgerUnavailable):
        return original
    if isinstance(original, sqlite3.Error | orm.OrmError | OSError):
        failure = LedgerUnavailable(
            "The gateway's database cannot be written now (is the disk full?). Try again later."
        )
        failure.__cause__ = original
        return failure
    return error
