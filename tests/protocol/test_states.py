"""Every cell of the two tables, the listed and the unlisted ones."""

from collections.abc import Mapping
from itertools import product
from typing import Any, get_args

import pytest

from protocol.states import (
    CONNECTION,
    TURN,
    ConnectionEvent,
    ConnectionState,
    ImpossibleEvent,
    TurnState,
    TurnTransition,
    advance,
)

Table = Mapping[Any, Any]


def unlisted(table: Table, states: object, events: object) -> list[tuple[str, str]]:
    return [cell for cell in product(get_args(states), get_args(events)) if cell not in table]


def rows(table: Table) -> list[tuple[str, str, str]]:
    return [(state, event, after) for (state, event), after in table.items()]


@pytest.mark.parametrize(("state", "event", "after"), rows(CONNECTION))
def test_a_connection_goes_where_its_table_says(
    state: ConnectionState, event: ConnectionEvent, after: ConnectionState
) -> None:
    """Every listed cell."""
    assert advance(CONNECTION, state, event) == after


@pytest.mark.parametrize(("state", "event"), unlisted(CONNECTION, ConnectionState, ConnectionEvent))
def test_a_connection_refuses_what_its_table_lacks(
    state: ConnectionState, event: ConnectionEvent
) -> None:
    """Every unlisted cell, and the error names both."""
    with pytest.raises(ImpossibleEvent, match=f"^{event} cannot happen while {state}$") as caught:
        advance(CONNECTION, state, event)
    assert (caught.value.state, caught.value.event) == (state, event)


@pytest.mark.parametrize(("state", "event", "after"), rows(TURN))
def test_a_turn_goes_where_its_table_says(
    state: TurnState, event: TurnTransition, after: TurnState
) -> None:
    """Every listed cell."""
    assert advance(TURN, state, event) == after


@pytest.mark.parametrize(("state", "event"), unlisted(TURN, TurnState, TurnTransition))
def test_a_turn_refuses_what_its_table_lacks(state: TurnState, event: TurnTransition) -> None:
    """Every unlisted cell."""
    with pytest.raises(ImpossibleEvent):
        advance(TURN, state, event)


def test_a_connection_has_one_stream_at_most() -> None:
    """While there is one, neither a send nor a resume has a cell."""
    for state in ("streaming", "cancelling", "draining"):
        assert (state, "send") not in CONNECTION
        assert (state, "resume") not in CONNECTION


@pytest.mark.parametrize(
    ("table", "start", "end"), [(CONNECTION, "idle", "closed"), (TURN, "admitted", "done")]
)
def test_every_state_is_reached_and_leads_to_the_end(table: Table, start: str, end: str) -> None:
    """And the end leads nowhere."""
    edges = {(state, after) for (state, _), after in table.items()}
    states = {state for edge in edges for state in edge}
    assert reached(start, edges) == states
    assert all(end in reached(state, edges) for state in states)
    assert reached(end, edges) == {end}


def reached(start: str, edges: set[tuple[str, str]]) -> set[str]:
    found, new = {start}, {start}
    while new:
        new = {after for state, after in edges if state in found} - found
        found |= new
    return found


def test_the_tables_name_known_states_and_events_alone() -> None:
    """The literals are the whole vocabulary, and all of it is used."""
    for table, states, events in (
        (CONNECTION, ConnectionState, ConnectionEvent),
        (TURN, TurnState, TurnTransition),
    ):
        assert {event for _, event in table} == set(get_args(events))
        assert {state for state, _ in table} | set(table.values()) == set(get_args(states))
