"""A request that is ready to be sent, and what a model takes of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from protocol.context import SentContext


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """What a model takes: a window of `limit` tokens, of which the input has `room`.

    A request may have `most_attached` pictures and documents. A prompt of fewer than
    `least_cacheable` tokens is not cached. Beyond `clears_at` tokens of input
    the provider is asked to clear old results of tools; `None`: it is not asked to.
    """

    limit: int
    room: int
    most_attached: int
    least_cacheable: int = 512
    clears_at: int | None = None


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """One request of a turn, as it goes to the provider.

    `body` is the JSON of `POST /v1/messages`, `betas` names the unreleased features that it uses;
    `version` is that of the API, if it is not the latest. The answer has at most `max_tokens`, and
    with `has_served_tools` what the provider's own tools bring, too.
    `counted_tokens` is the tokenizer's count of its text, `media_tokens` what its pictures and
    documents weigh. The input is estimated at `token_estimate` tokens; it most likely costs
    `likely_cost` USD, which is known only where there is a `maxCost` to hold it against.
    It `is_opaque` when it has text that only the provider can read, such as that of search results.
    `container` tells of the one that it names, if it names one: it was in use lately (`fresh`), or
    it may have been put away (`idle`). `for_an_hour` when the provider is asked to cache the prompt
    for an hour instead of five minutes. The model may use the provider's search `most_searches`
    times, or as often as it likes.
    The turn's own messages begin with number `own_from` of the request. `context` is what of the
    session the model does not get.
    """

    body: bytes
    betas: tuple[str, ...]
    version: str | None = None
    max_tokens: int
    has_tools: bool
    has_served_tools: bool = False
    counted_tokens: int
    media_tokens: int
    is_opaque: bool
    own_from: int
    token_estimate: int
    likely_cost: Decimal | None
    context: SentContext | None
    container: Literal["fresh", "idle"] | None = None
    for_an_hour: bool = False
    most_searches: int | None = None
