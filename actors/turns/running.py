"""The turns that run, and how they are found: by their id, their request, their session, a call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import get_args

from actors.turn_log import TurnLogs
from actors.turns.turn import Turn
from protocol.client import ChatSend
from protocol.errors import GatewayError
from protocol.mail import CancelTurn
from protocol.states import TurnState


class Running:
    """The running turns: at most one a session.

    A turn's request is remembered while its log is kept: said again, it gets the same turn.
    """

    def __init__(self, logs: TurnLogs) -> None:
        self._logs = logs
        self._turns: dict[str, Turn] = {}
        self._busy: dict[str, Turn] = {}
        self._started: dict[tuple[str, str], str] = {}
        self._requests: dict[str, set[str]] = {}
        """By session, those that are remembered."""

    def __len__(self) -> int:
        return len(self._turns)

    def __iter__(self) -> Iterator[Turn]:
        return iter(self._turns.values())

    @property
    def states(self) -> dict[str, int]:
        """How many turns are in each state."""
        counts = {state: 0 for state in get_args(TurnState) if state != "done"}
        for turn in self:
            counts[turn.state] = counts.get(turn.state, 0) + 1
        return counts

    # --- coming and going ----------------------------------------------------------------------

    def add(self, turn: Turn) -> None:
        """The turn runs from now on."""
        self._turns[turn.turn_id] = turn
        if turn.session_id:
            self.occupy(turn)

    def occupy(self, turn: Turn) -> None:
        """The turn is its session's, whose id is known."""
        self._busy[turn.session_id] = turn
        self._started[turn.session_id, turn.send.id] = turn.turn_id
        self._requests.setdefault(turn.session_id, set()).add(turn.send.id)

    def forget_request(self, turn: Turn) -> None:
        """It has had no turn: sent again, it may find the cause mended."""
        if (turn.session_id, turn.send.id) in self._started:
            self._forget(turn.session_id, turn.send.id)

    def _forget(self, session_id: str, request_id: str) -> None:
        del self._started[session_id, request_id]
        self._requests[session_id].remove(request_id)
        if not self._requests[session_id]:
            del self._requests[session_id]

    def remove(self, turn: Turn) -> None:
        """The turn is over."""
        del self._turns[turn.turn_id]
        if self._busy.get(turn.session_id) is turn:
            del self._busy[turn.session_id]

    def end_session(self, session_id: str) -> None:
        """Stop the session's turn, if one runs, and forget what its turns said.

        The turn is not settled yet, but there is no session left that it could keep busy.
        """
        turn = self._busy.pop(session_id, None)
        if turn is not None:
            turn.cancel()
        for request_id in self._requests.get(session_id, ()):
            self._logs.forget(self._started[session_id, request_id])

    # --- finding -------------------------------------------------------------------------------

    def of_session(self, session_id: str | None) -> Turn | None:
        """The session's turn."""
        return None if session_id is None else self._busy.get(session_id)

    def of_request(self, send: ChatSend) -> str | None:
        """The turn that this very request has already started, while its log is kept.

        Raises GatewayError(INVALID_MESSAGE) when that answers another question.
        """
        self._forget_expired()
        if send.session_id is None:
            return None
        turn_id = self._started.get((send.session_id, send.id), "")
        turn = self._turns.get(turn_id)
        if turn is not None and turn.send.content != send.content:
            raise GatewayError(
                "INVALID_MESSAGE",
                "`id`: this session answers another message of this `id` just now; a new message "
                "needs a new one.",
            )
        return turn_id if turn_id in self._logs else None

    def _forget_expired(self) -> None:
        while self._started:
            oldest = next(iter(self._started))
            if self._started[oldest] in self._logs:
                break
            self._forget(*oldest)  # logs expire in about the order of their start

    def named(self, request: CancelTurn) -> Turn:
        """The turn that is to be cancelled. Raises GatewayError(REQUEST_NOT_FOUND)."""
        if request.turn_id is not None:
            named = [self._turns[request.turn_id]] if request.turn_id in self._turns else []
        else:
            # Clients choose their requests' ids, and two of them may well count from 1: only a turn
            # that nobody watches can be meant by a client that does not watch it.
            alike = [turn for turn in self if turn.send.id == request.request_id]
            named = [turn for turn in alike if not turn.log.watchers]
        if len(named) != 1:
            raise GatewayError(
                "REQUEST_NOT_FOUND",
                "There is no such turn to cancel, or no more, or `requestId` names several: then "
                "`turnId` says which.",
            )
        return named[0]

    def asking(self, turn_id: str | None, waits: Callable[[Turn], bool]) -> Turn:
        """The turn of which a call `waits`. Raises GatewayError(REQUEST_NOT_FOUND).

        Calls have the provider's ids; should two turns have the same, the watched one is meant.
        """
        watched = self._turns.get(turn_id or "")
        for turn in self if watched is None else (watched, *self):
            if not turn.is_ending and waits(turn):
                return turn
        raise GatewayError(
            "REQUEST_NOT_FOUND", "No tool call of this id waits for an answer, or no more."
        )
