"""How many searches a turn's money allows.

A search costs its price, and the prompt once more, which the model reads again together with what
was found, and with what all searches before have found. What a search really brings is known only
when it is there; see the guard. Half of what the input leaves is kept for
the answer. The number goes along with the search tool as `max_uses` (the provider's page on web
search); without money for one search, the tool stays away from the turn. It is one of a few
numbers: each other one would have to be announced to a session that has begun.

Example: a dollar is left, a search costs $0.01, the prompt $0.03, and what a search finds $0.005.
Five searches cost 5 * 0.04 + (1 + 2 + 3 + 4 + 5) * 0.005 = $0.275, and ten $0.675. Half a dollar is
for the searches, so the tool may be used 5 times.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from actors.context.composed import Composed
from actors.context.gathering import Ground
from actors.context.toolset import Toolset
from protocol.announcing import Briefing, Definition
from protocol.provider.brought import FOUND
from protocol.usage import ZERO

SEARCH = "web_search"
STEPS = (100, 50, 20, 10, 5, 3, 2, 1)


def has_search(toolset: Toolset) -> bool:
    """Whether the provider's search is among the tools."""
    return any(_is_search(tool) for tool in toolset.definitions)


def affordable_searches(composed: Composed, price: Decimal, max_cost: float, now: int) -> int:
    """How many searches, at this `price` for one, `max_cost` USD allow for the request."""
    prompt, rates = composed.weight.total, composed.most_rates()
    again = rates.likely_cost(prompt, prompt if composed.caches else 0) or ZERO
    found = rates.cost(FOUND) or ZERO
    left = Decimal(str(max_cost)) - (composed.likely_cost(now, None) or ZERO)

    def cost(uses: int) -> Decimal:
        return uses * (price + again) + uses * (uses + 1) // 2 * found

    if left < cost(1):
        return 0
    return next(step for step in STEPS if step == 1 or 2 * cost(step) <= left)


def most_searches(toolset: Toolset) -> int | None:
    """How many searches a request may make, if that is limited."""
    limits = (tool.get("max_uses") for tool in toolset.definitions if _is_search(tool))
    return next(limits, None)


def with_searches(ground: Ground, uses: int) -> Ground:
    """The same with at most so many searches in a request."""
    kept = [_limited(tool, uses) for tool in ground.toolset.definitions]
    definitions = [tool for tool in kept if not _is_search(tool) or uses]
    return msgspec.structs.replace(
        ground,
        toolset=msgspec.structs.replace(ground.toolset, definitions=definitions),
        wanted=Briefing(ground.wanted.texts, definitions),
    )


def _limited(tool: Definition, uses: int) -> Definition:
    if not _is_search(tool):
        return tool
    return {**tool, "max_uses": min(uses, tool.get("max_uses", uses))}


def _is_search(tool: Definition) -> bool:
    return tool["name"] == SEARCH and "type" in tool
