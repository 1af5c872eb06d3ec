"""An application of prompt_toolkit in a worker thread.

It has an event loop of its own, so that everything else goes on while somebody thinks. A thread
cannot be cancelled, and one that is abandoned would leave the terminal raw: so the application is
told to leave, and it is waited for. It may be told before it has begun.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import trio
from prompt_toolkit.application import Application

ResultT = TypeVar("ResultT")

PreRun = Callable[[], None]


class Stage:
    """Runs one application, as often as it is asked for."""

    def __init__(self, application: Application[Any]) -> None:
        self._application = application
        self._leaving = False

    async def run(self, show: Callable[[PreRun], ResultT]) -> ResultT:
        """`show`, in a thread; it hands on what it is given as the application's `pre_run`.

        Told to leave, or cancelled, the application ends with EOFError.
        """
        self._leaving = False
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._leave_when_cancelled)
            with trio.CancelScope(shield=True):
                result = await trio.to_thread.run_sync(show, self._exit_if_left)
            nursery.cancel_scope.cancel()
        return result

    def leave(self) -> None:
        """Give the terminal back, if it is taken."""
        self._leaving = True
        if (loop := self._application.loop) is not None:
            with suppress(RuntimeError):  # the application has just ended by itself
                loop.call_soon_threadsafe(self._exit_if_left)

    async def _leave_when_cancelled(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            self.leave()

    def _exit_if_left(self) -> None:
        app = self._application
        if not self._leaving or not app.is_running:
            return
        if app.future is not None and not app.future.done():
            app.exit(exception=EOFError)
