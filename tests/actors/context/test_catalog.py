"""The catalog: asked of the provider once, then kept."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from actors.context.catalog import Catalog
from protocol.errors import ErrorCode, GatewayError, ProviderError
from protocol.provider.model_info import ModelInfo
from protocol.provider.models import fallback
from tests.actors.fakes import MODEL, FakeModel, FakePrices


class Shelf:
    """A catalog whose clocks are moved by hand."""

    def __init__(
        self, *chosen: ModelInfo, default: str = MODEL, listing: Exception | None = None
    ) -> None:
        self.seconds = 0.0
        self.day = "2026-11-29"
        self.model = FakeModel()
        self.model.listing = listing
        self.catalog = Catalog(
            self.model,
            FakePrices(),
            keep_seconds=3_600,
            timer=lambda: self.seconds,
            clock=self,
            chosen=chosen,
            default=default,
        )

    def now(self) -> int:
        """See `Clock`: the last millisecond of the day."""
        return round(datetime.fromisoformat(f"{self.day}T23:59:59.999Z").timestamp() * 1_000)


async def test_a_model_is_asked_for_once() -> None:
    """Until it is too long ago."""
    shelf = Shelf()
    for now in (0, 3_599, 3_600):
        shelf.seconds = now
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
    shelf.seconds = 59
    assert await shelf.catalog.describe(MODEL) == fallback(MODEL)
    shelf.seconds = 60
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


def chosen(name: str, **fields: Any) -> ModelInfo:
    return msgspec.structs.replace(fallback("claude-sonnet-5-5"), id=name, **fields)


async def test_what_the_settings_say_is_not_asked_for() -> None:
    """It is the operator's word, for a proxy that knows no models endpoint."""
    mine = chosen("my-model", max_input_tokens=5_000, lifecycle=None)
    shelf = Shelf(mine)
    assert await shelf.catalog.describe("my-model") == mine
    assert shelf.model.described == []
    assert [model.id for model in await shelf.catalog.list()][-1] == "my-model"


@pytest.mark.parametrize("code", ["MODEL_NOT_FOUND", "LLM_ERROR"])
async def test_without_a_list_there_are_the_default_model_and_those_of_the_settings(
    code: ErrorCode,
) -> None:
    """A 404, or a page that is none."""
    shelf = Shelf(chosen("my-model", lifecycle=None), default="claude-sonnet-4-5")
    shelf.model.listing = ProviderError(code, "No.")
    default, mine = await shelf.catalog.list()
    assert (default.id, default.lifecycle) == ("claude-sonnet-4-5", "deprecated")
    assert default.retires_at == "2026-11-30"
    assert (mine.id, mine.lifecycle, mine.retires_at) == ("my-model", UNSET, UNSET)
    assert await Shelf(default="", listing=shelf.model.listing).catalog.list() == []


@pytest.mark.parametrize(
    "failure",
    [ProviderError("OVERLOADED", "No.", retryable=True), GatewayError("NO_API_KEY", "Give one.")],
)
async def test_a_list_that_fails_is_no_list_that_is_missing(failure: GatewayError) -> None:
    """The client is told, and may ask again."""
    with pytest.raises(GatewayError, match=failure.failure.code):
        await Shelf(listing=failure).catalog.list()


async def test_a_retired_model_is_refused_with_its_successor() -> None:
    """By the provider's word, else by the table's; the settings may know better."""
    opus = "claude-opus-4-1"
    alive = Shelf(chosen(opus, lifecycle=None))
    assert (await alive.catalog.describe(opus)).id == opus
    shelf = Shelf()
    shelf.model.describing = ProviderError("MODEL_NOT_FOUND", "No.")
    for _ in range(2):
        with pytest.raises(GatewayError) as caught:
            await shelf.catalog.describe(opus)
        assert caught.value.failure.code == "MODEL_NOT_FOUND"
        assert caught.value.failure.message == (
            "`model`: the provider has retired claude-opus-4-1 since 2026-08-05. Use "
            "`claude-opus-4-8`."
        )
    told = Shelf()
    told.model.lifecycle = "retired"
    with pytest.raises(GatewayError, match=r"retired claude-next. Use another model"):
        await told.catalog.describe("claude-next")


async def test_a_model_retires_on_the_day_that_the_table_knows() -> None:
    """In UTC; a provider that still tells of it, and the settings, know better."""
    model = "claude-sonnet-4-5"
    shelf = Shelf(default=model, listing=ProviderError("MODEL_NOT_FOUND", "No."))
    shelf.model.describing = ProviderError("MODEL_NOT_FOUND", "No.")
    assert (await shelf.catalog.describe(model)).retires_on == "2026-11-30"
    assert [listed.lifecycle for listed in await shelf.catalog.list()] == ["deprecated"]
    shelf.day = "2026-11-30"
    with pytest.raises(GatewayError, match=r"since 2026-11-30. Use `claude-sonnet-5-5`"):
        await shelf.catalog.describe(model)
    assert [listed.lifecycle for listed in await shelf.catalog.list()] == ["retired"]
    told = Shelf()
    told.day, told.model.lifecycle = "2026-12-24", "deprecated"
    assert (await told.catalog.describe(model)).id == model
