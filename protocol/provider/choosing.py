"""Choosing a request's thinking: the client's wish, as far as its model can do it.

Sources: the provider's pages on thinking, on effort and on prefix checks, November 2026.
"""

from __future__ import annotations

from typing import Any

import msgspec

from protocol.errors import GatewayError
from protocol.provider.model_info import Binding, ModelInfo
from protocol.provider.thinking import THINKING, Effort, ThinkingBudget

MIN_THINKING_BUDGET = 1024
"""Tokens; the provider's least `budget_tokens`."""

MIN_ANSWER = 1024
"""Tokens that a budget of our own choice leaves for the answer."""


class Thinking(msgspec.Struct, frozen=True, kw_only=True):
    """What goes upstream: `thinking`, and `output_config.effort`; `None` is left out."""

    config: dict[str, Any] | None
    effort: Effort | None


def guarded(binding: Binding, config: dict[str, Any] | None) -> dict[str, Any] | None:
    """The `thinking` of a request, with the wish to drop thinking blocks that do not fit.

    Only a model that checks gets the wish, and only with a type of thinking that takes it (the
    provider's page on prefix checks). Without the wish, such a block may fail the request.
    """
    if config is None or config["type"] not in ("adaptive", "enabled"):
        return config
    if binding != "checked":
        return config
    return {**config, "block_binding": {"prefix_mismatch_behavior": "drop_block"}}


def forgiving(binding: Binding, config: dict[str, Any] | None) -> dict[str, Any] | None:
    """The `thinking` of a request in a tool loop whose earlier thinking no longer fits.

    The gateway may not leave that thinking out, so the provider must drop it. A type of thinking
    that cannot ask for this is replaced by one that can.
    """
    if config is None or binding != "checked" or "block_binding" in config:
        return config
    return guarded(binding, {"type": "adaptive"})


def gone_on(config: dict[str, Any] | None, begins_with: str) -> dict[str, Any] | None:
    """The `thinking` of a request that goes on with an answer of its own turn.

    `begins_with` is the type of the block with which the turn's answers begin. With a budget that
    must be a thought: the provider refuses to think on from any other (its page "Extended
    thinking", November 2026). Calls of tools and their results are one answer, and its beginning
    counts.
    """
    if config is None or config["type"] != "enabled" or begins_with in THINKING:
        return config
    return {"type": "disabled"}


def choose_thinking(
    model: ModelInfo,
    wanted: str | ThinkingBudget,
    effort: Effort | None,
    *,
    max_tokens: int,
    budget: int,
    field: str | None = None,
) -> Thinking:
    """The thinking to send for what the client `wanted`; `budget` is the default, in tokens.

    It is "off" for the sake of the `field`, unless the client has said so itself. Raises
    GatewayError(INVALID_MESSAGE) for what the model cannot do.
    """
    if effort is not None and effort not in model.efforts:
        able = f"It takes: {', '.join(model.efforts)}." if model.efforts else "It takes none."
        raise GatewayError("INVALID_MESSAGE", f"`effort`: {model.id} has no `{effort}`. {able}")
    if isinstance(wanted, ThinkingBudget):
        return Thinking(config=_budgeted(model, wanted.budget_tokens, max_tokens), effort=effort)
    if not model.thinks:
        return Thinking(config=None, effort=effort)
    if wanted == "off":
        return _quiet(model, effort, field)
    return Thinking(config=_best(model, max_tokens, budget), effort=effort)


def _budgeted(model: ModelInfo, budget: int, max_tokens: int) -> dict[str, Any]:
    if "enabled" not in model.thinking:
        hint = 'use `thinking: "auto"` with `effort`' if model.thinks else "leave it out"
        raise GatewayError(
            "INVALID_MESSAGE", f"`thinking.budgetTokens`: {model.id} takes no budget; {hint}."
        )
    if budget >= max_tokens:
        raise GatewayError(
            "INVALID_MESSAGE",
            f"`thinking.budgetTokens`: {budget} must be below `maxTokens`, here {max_tokens}.",
        )
    return {"type": "enabled", "budget_tokens": budget}


def _quiet(model: ModelInfo, effort: Effort | None, field: str | None) -> Thinking:
    """The least thinking. Some models take it at their lower efforts alone."""
    thinking = _least(model, effort)
    is_off = thinking.config is not None and thinking.config["type"] != "adaptive"
    if is_off and effort is not None and effort not in model.quiet_efforts:
        able = ", ".join(model.quiet_efforts)
        reason = f"`{field}`, which goes without thinking" if field else '`thinking: "off"`'
        raise GatewayError(
            "INVALID_MESSAGE",
            f"`effort`: with {reason}, {model.id} takes {able}; `{effort}` needs thinking.",
        )
    return thinking


def _least(model: ModelInfo, effort: Effort | None) -> Thinking:
    if "disabled" in model.thinking:
        return Thinking(config={"type": "disabled"}, effort=effort)
    if "between_tools" in model.thinking:
        return Thinking(config={"type": "between_tools"}, effort=effort)
    if "adaptive" in model.thinking:
        lowest = model.efforts[0] if model.efforts else None
        return Thinking(config={"type": "adaptive"}, effort=effort or lowest)
    return Thinking(config=None, effort=effort)


def _best(model: ModelInfo, max_tokens: int, budget: int) -> dict[str, Any] | None:
    if "adaptive" in model.thinking:
        # The 5 family omits the reasoning's text unless it is asked for.
        return {"type": "adaptive", "display": "summarized"}
    tokens = min(budget, max_tokens - MIN_ANSWER)
    if "enabled" in model.thinking and tokens >= MIN_THINKING_BUDGET:
        return {"type": "enabled", "budget_tokens": tokens}
    return None
