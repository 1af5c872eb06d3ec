"""The simulator's directives: one table, which parses them, and which the help and the docs print.

They are how the faults of the other files here are made, and how others can test their clients.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import get_args

import anthropic
import pytest
from anthropic import AsyncAnthropic
from anthropic.types import Message
from click.testing import CliRunner

from gateway.cli.simulate import simulate
from gateway.simulator import FAULTS, open_simulator
from gateway.simulator.directives import DIRECTIVES, directives_table
from gateway.simulator.reply import FaultKind

PAGE = Path(__file__).parents[2] / "docs" / "simulator.md"


async def answer(client: AsyncAnthropic, text: str) -> Message:
    """What the simulator answers to this text."""
    return await client.messages.create(
        model="claude-haiku-4-5", max_tokens=100, messages=[{"role": "user", "content": text}]
    )


@asynccontextmanager
async def open_client() -> AsyncIterator[AsyncAnthropic]:
    """The provider's SDK, connected to a simulator."""
    async with (
        open_simulator() as simulator,
        AsyncAnthropic(base_url=simulator.url, api_key="any", max_retries=0) as client,
    ):
        yield client


def test_the_help_lists_every_directive_and_every_fault() -> None:
    """`agentspace simulate --help` shows each as it is written."""
    shown = CliRunner().invoke(simulate, ["--help"]).output
    for row in DIRECTIVES.values():
        assert re.search(rf"^  {re.escape(row.key)}={re.escape(row.takes)}  ", shown, re.MULTILINE)
    for kind in FAULTS:
        assert re.search(rf"^  {kind}  ", shown, re.MULTILINE)


def test_every_kind_of_fault_is_described() -> None:
    """None that the simulator knows is missing in the table."""
    assert tuple(FAULTS) == get_args(FaultKind)


def test_the_page_has_the_tables_in_force() -> None:
    """docs/simulator.md holds the tables that the simulator parses by."""
    found = re.search(
        r"<!-- directives:begin -->\n(.*?)<!-- directives:end -->", PAGE.read_text(), re.DOTALL
    )
    assert found is not None
    assert found[1] == directives_table(), "run scripts/draw_directives"


async def test_a_directive_replaces_figures_of_the_bill() -> None:
    """An object after the equals sign is the value."""
    wish = 'usage={"input_tokens": 7, "output_tokens": 9}'
    async with open_client() as client:
        message = await answer(client, f"Hi [[sim: count=1 {wish}]]")
    assert (message.usage.input_tokens, message.usage.output_tokens) == (7, 9)


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ("pause=perhaps", "pause takes on or off"),
        ("usage=many", "usage takes an object"),
        ('usage=of {"input_tokens": 7}', "usage takes an object"),
        ('stop=end_turn {"a": 1}', "no directive"),
        ("status=200", "status is out of range"),
        ("status=many", "status takes a number"),
        ("fault=@3", "no fault"),
    ],
)
async def test_what_a_directive_does_not_take_is_refused(wish: str, words: str) -> None:
    """The 400 says what the directive takes."""
    async with open_client() as client:
        with pytest.raises(anthropic.BadRequestError, match=words):
            await answer(client, f"[[sim: {wish}]]")
