"""An application of prompt_toolkit in a worker thread.

It has an event loop of its own, so that everything else goes on while somebody thinks. A thread
cannot be cancelled, and one that is abandoned would leave the terminal raw: so the application is
told to leave, and it is waited for. It may be told before it has begun, and likewise to suspend.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import trio
from prompt_toolkit.application import Application

from gateway.cli.talk.suspending import suspend_application

ResultT = TypeVar("ResultT")

PreRun = Callable[[], None]


class Stage:
    """Runs one application, as often as it is asked for."""

    def __init__(self, application: Application[Any]) -> None:
        self._application = application
        self._is_taken = False
        self._leaving = False
        self._suspending = False

    async def run(self, show: Callable[[PreRun], ResultT]) -> ResultT:
        """`show`, in a thread; it hands on what it is given as the application's `pre_run`.

        Told to leave, or cancelled, the application ends with EOFError.
        """
        self._is_taken, self._leaving, self._suspending = True, False, False
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._leave_when_cancelled)
            with trio.CancelScope(shield=True):
                result = await trio.to_thread.run_sync(show, self._obey)
            self._is_taken = False
            nursery.cancel_scope.cancel()
        return result

    def leave(self) -> None:
        """Give the terminal back, if it is taken."""
        self._leaving = True
        self._wake()

    def suspend(self) -> bool:
        """Suspend as Ctrl-Z does, if the terminal is taken; whether it is."""
        if self._is_taken:
            self._suspending = True
            self._wake()
        return self._is_taken

    def _wake(self) -> None:
        app = self._application
        if app.loop is not None:
            with suppress(RuntimeError):  # the application has just ended by itself
                app.loop.call_soon_threadsafe(self._obey, context=app.context)

    async def _leave_when_cancelled(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            self.leave()

    def _obey(self) -> None:
        """Do as the application was told, on its own loop; it does so once it runs."""
        app = self._application
        if not app.is_running:
            return
        if self._suspending:
            self._suspending = False
            app.create_background_task(suspend_application())
        if self._leaving and app.future is not None and not app.future.done():
            app.exit(exception=EOFError)
