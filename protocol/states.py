"""The states of a connection and of a turn, as tables.

A table maps (state, event) to the next state. What is not listed cannot happen: `advance` raises
`ImpossibleEvent`, and for an event that a client caused that is the protocol error to answer with.
The one in-flight stream of a connection is a missing cell: (`streaming`, `send`).

    connection   idle        no stream
                 streaming   one stream, started or resumed here
                 cancelling  one stream, asked to stop, its terminal frame yet to come
                 draining    one stream, the gateway stops after it
                 closed      nothing more is read or written

    turn         admitted        accepted, not yet measured
                 assembling      its context is being built
                 streaming       the provider was called
                 awaiting_tools  the model waits for tool results
                 settling        its outcome is being made durable
                 done            its terminal frame is in the log
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeVar

ConnectionState = Literal["idle", "streaming", "cancelling", "draining", "closed"]
ConnectionEvent = Literal["send", "resume", "cancel", "turn_ended", "drain", "close"]
TurnState = Literal["admitted", "assembling", "streaming", "awaiting_tools", "settling", "done"]
TurnTransition = Literal["assemble", "call", "tools_called", "tools_answered", "settle", "finish"]

StateT = TypeVar("StateT", bound=str)
EventT = TypeVar("EventT", bound=str)

CONNECTION: Mapping[tuple[ConnectionState, ConnectionEvent], ConnectionState] = {
    ("idle", "send"): "streaming",
    ("idle", "resume"): "streaming",
    ("idle", "drain"): "closed",
    ("idle", "close"): "closed",
    ("streaming", "cancel"): "cancelling",
    ("streaming", "turn_ended"): "idle",
    ("streaming", "drain"): "draining",
    ("streaming", "close"): "closed",
    ("cancelling", "cancel"): "cancelling",
    ("cancelling", "turn_ended"): "idle",
    ("cancelling", "drain"): "draining",
    ("cancelling", "close"): "closed",
    ("draining", "cancel"): "draining",
    ("draining", "turn_ended"): "closed",
    ("draining", "close"): "closed",
}

TURN: Mapping[tuple[TurnState, TurnTransition], TurnState] = {
    ("admitted", "assemble"): "assembling",
    ("admitted", "settle"): "settling",
    ("assembling", "call"): "streaming",
    ("assembling", "settle"): "settling",
    ("streaming", "call"): "streaming",
    ("streaming", "tools_called"): "awaiting_tools",
    ("streaming", "settle"): "settling",
    ("awaiting_tools", "tools_answered"): "streaming",
    ("awaiting_tools", "settle"): "settling",
    ("settling", "finish"): "done",
}


class ImpossibleEvent(Exception):
    """The table has no cell for this event in this state."""

    def __init__(self, state: str, event: str) -> None:
        super().__init__(f"{event} cannot happen while {state}")
        self.state = state
        self.event = event


def advance(table: Mapping[tuple[StateT, EventT], StateT], state: StateT, event: EventT) -> StateT:
    """The state after `event`. Raises ImpossibleEvent when the table has no such cell."""
    try:
        return table[state, event]
    except KeyError:
        raise ImpossibleEvent(state, event) from None
