"""How many searches a turn's money allows."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from trio.testing import MockClock

from tests.actors.fakes import World, open_world

SYSTEM = "Be brief."


async def search_of(world: World, content: str = "Tea?", **fields: Any) -> dict[str, Any] | None:
    """The search tool as it was sent, if it was."""
    await world.connect().converse(content, serverTools=["web_search", "web_fetch"], **fields)
    tools = {tool["name"]: tool for tool in world.model.last_request["tools"]}
    assert "max_uses" not in tools["web_fetch"]
    return tools.get("web_search")


@pytest.mark.parametrize(
    ("max_cost", "uses"),
    [(1.1, 10), (1.0, 5), (0.4, 5), (0.3, 3), (0.1, 2), (0.03, 1), (0.018, None), (0.012, None)],
)
async def test_the_money_says_how_often_to_search(
    max_cost: float, uses: int | None, autojump_clock: MockClock
) -> None:
    """Half of what the input leaves; without enough for one, no tool.

    A search is 0.01, and what it finds 0.0075 for each time that it is read: ten are 0.51.
    """
    async with open_world() as world:
        world.prices.per_search = Decimal("0.01")
        search = await search_of(world, maxCost=max_cost)
        assert (None if search is None else search["max_uses"]) == uses


async def test_a_search_costs_the_prompt_once_more(autojump_clock: MockClock) -> None:
    """0.03 for 10,000 tokens that are sent anew, or a tenth of it from the cache."""
    async with open_world() as world:
        world.prices.per_search = Decimal("0.01")
        search = await search_of(world, "x" * 10_000, maxCost=0.5)
        assert search is not None
        assert search["max_uses"] == 5
    async with open_world(prompt_caching=False) as world:
        world.prices.per_search = Decimal("0.01")
        search = await search_of(world, "x" * 10_000, maxCost=0.5)
        assert search is not None
        assert search["max_uses"] == 3


async def test_searches_of_a_model_without_a_price_are_not_limited(
    autojump_clock: MockClock,
) -> None:
    """Nor is it asked: `maxCost` cannot be kept there at all."""
    async with open_world() as world:
        error = (
            await world.connect().converse(model="no-price", serverTools=["web_search"], maxCost=1)
        )[-1]
        assert (error["code"], len(world.model.bodies)) == ("BUDGET_EXCEEDED", 0)
        assert "no known price" in error["message"]


@pytest.mark.parametrize("fields", [{}, {"maxCost": 1.0}])
async def test_what_costs_nothing_is_not_bounded_by_money(
    fields: dict[str, Any], autojump_clock: MockClock
) -> None:
    """Without a limit not at all, and with one by the largest number."""
    async with open_world() as world:
        world.prices.per_input = Decimal(0)
        search = await search_of(world, **fields)
        assert search is not None
        assert search.get("max_uses") == (100 if fields else None)


@pytest.mark.parametrize("choice", [{"name": "web_search"}, "any"])
async def test_a_search_that_must_be_is_not_asked_for_without_its_money(
    choice: Any, autojump_clock: MockClock
) -> None:
    """The provider would refuse to force a tool that is not among the tools."""
    fields = {"model": "claude-sonnet-4-6", "serverTools": ["web_search"], "toolChoice": choice}
    async with open_world() as world:
        world.prices.per_search = Decimal("0.01")
        client = world.connect()
        error = (await client.converse(maxCost=0.009, **fields))[-1]
        assert (error["code"], len(world.model.bodies)) == ("BUDGET_EXCEEDED", 0)
        assert error["message"].startswith("`maxCost` does not suffice for one search.")
        assert (await client.converse(maxCost=1.0, **fields))[-1]["type"] == "chat.stream.end"


async def test_the_other_tools_stay_as_they_are(autojump_clock: MockClock) -> None:
    """Another wording would be announced to the session, and lose it its cache."""
    brew = {"name": "brew", "description": "Brews.", "inputSchema": {"type": "object"}}
    fields = {"serverTools": ["web_search"], "tools": [brew]}
    async with open_world() as world:
        world.prices.per_search = Decimal("0.01")
        sent = []
        for limit in ({}, {"maxCost": 1.0}):
            await world.connect().converse(**fields, **limit)
            tools = world.model.last_request["tools"]
            sent.append(next(tool for tool in tools if tool["name"] == "brew"))
        assert sent[0] == sent[1]
        assert sent[0]["eager_input_streaming"] is True
