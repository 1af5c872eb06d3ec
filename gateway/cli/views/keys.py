"""Where a key may come from."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType

from gateway.cli.views.tables import table
from gateway.vault import SourceState


def key_sources(states: Sequence[SourceState]) -> RenderableType:
    """A row a source, the first that wins first; of the keys themselves nothing."""
    shown = table()
    shown.add_column("source", no_wrap=True)
    shown.add_column("where", overflow="fold")
    shown.add_column("key", overflow="fold")
    for state in states:
        shown.add_row(
            state.source.value, state.where, _finding(state), style="bold" if state.wins else ""
        )
    return shown


def _finding(state: SourceState) -> str:
    if state.problem is not None:
        return state.problem
    if not state.present:
        return "none"
    return "in use" if state.wins else "hidden by one above"
