"""The catalog: asked of the provider once, then kept."""

from __future__ import annotations

from decimal import Decimal

import pytest

from actors.context.catalog import Catalog
from protocol.errors import GatewayError, ProviderError
from protocol.provider.models import fallback
from tests.actors.fakes import MODEL, FakeModel, FakePrices


class Shelf:
    """A catalog whose clock is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.model = FakeModel()
        self.catalog = Catalog(self.model, FakePrices(), keep_seconds=3_600, clock=lambda: self.now)


async def test_a_model_is_asked_for_once() -> None:
    """Until it is too long ago."""
    shelf = Shelf()
    for now in (0, 3_599, 3_600):
        shelf.now = now
        await shelf.catalog.describe(MODEL)
    assert shelf.model.described == [MODEL, MODEL]


async def test_the_window_is_the_providers() -> None:
    """Not the table's."""
    shelf = Shelf()
    shelf.model.window = 12_345
    assert (await shelf.catalog.describe(MODEL)).max_input_tokens == 12_345


async def test_when_the_provider_fails_the_table_stands_in() -> None:
    """For a minute: then it is asked again."""
    shelf = Shelf()
    shelf.model.describing = ProviderError("LLM_ERROR", "No.")
    assert await shelf.catalog.describe(MODEL) == fallback(MODEL)
    shelf.model.describing = None
    shelf.model.window = 12_345
    shelf.now = 59
    assert await shelf.catalog.describe(MODEL) == fallback(MODEL)
    shelf.now = 60
    assert (await shelf.catalog.describe(MODEL)).max_input_tokens == 12_345


async def test_without_a_key_nothing_is_made_up() -> None:
    """The client is told."""
    shelf = Shelf()
    shelf.model.describing = GatewayError("NO_API_KEY", "Give one.")
    with pytest.raises(GatewayError, match="NO_API_KEY"):
        await shelf.catalog.describe(MODEL)


async def test_the_list_has_prices_for_a_million_tokens() -> None:
    """And `null` where there is none."""
    priced, unpriced = await Shelf().catalog.list()
    assert (priced.id, priced.input_price, priced.output_price) == (
        MODEL,
        Decimal(3),
        Decimal(15),
    )
    assert (unpriced.input_price, unpriced.output_price) == (None, None)


async def test_whatever_was_listed_need_not_be_asked_for() -> None:
    """The list says the same."""
    shelf = Shelf()
    await shelf.catalog.list()
    await shelf.catalog.describe(MODEL)
    assert shelf.model.described == []


async def test_the_table_does_not_grow_with_the_ids_of_clients() -> None:
    """It begins anew before it has more than a thousand."""
    shelf = Shelf()
    for number in range(1_001):
        await shelf.catalog.describe(f"model-{number}")
    await shelf.catalog.describe("model-1000")
    assert len(shelf.model.described) == 1_001
    await shelf.catalog.describe("model-0")
    assert len(shelf.model.described) == 1_002
