"""What a model can do, and which thinking to ask it for.

The provider's models endpoint is asked first; `fallback()` is the table for when it does not
answer, by the version in the model's id. Sources: the provider's pages on extended and adaptive
thinking and on effort, November 2026.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from protocol.client import Effort, ThinkingBudget
from protocol.errors import GatewayError
from protocol.provider import ThinkingType

MIN_THINKING_BUDGET = 1024
"""Tokens; the provider's least `budget_tokens`."""


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One model: limits in tokens, the `thinking.type` values and efforts that it accepts.

    `thinks` is whether it has thinking at all: a model without it accepts `disabled` too.
    """

    id: str
    display_name: str
    max_input_tokens: int
    max_tokens: int
    thinks: bool
    thinking: tuple[ThinkingType, ...]
    efforts: tuple[Effort, ...]


class Thinking(msgspec.Struct, frozen=True, kw_only=True):
    """What goes upstream: `thinking`, and `output_config.effort`; `None` is left out."""

    config: dict[str, Any] | None
    effort: Effort | None


_VERSION = re.compile(r"^claude-(?:[a-z]+-)*(\d+)(?:-(\d{1,2}))?(?:-|$)")
_DATED = re.compile(r"-\d{8}$")
_ALWAYS_THINKS = frozenset({"claude-opus-5-5", "claude-fable-5-1", "claude-fable-5-2"})
_EFFORTS_46: tuple[Effort, ...] = ("low", "medium", "high", "max")
_EFFORTS_5: tuple[Effort, ...] = ("low", "medium", "high", "xhigh", "max")


def fallback(model: str) -> ModelInfo:
    """What is known of `model` from its id alone; an unknown family is asked for nothing."""
    undated = _DATED.sub("", model)
    found = _VERSION.match(undated)
    version = (int(found[1]), int(found[2] or 0)) if found else (0, 0)
    if version >= (5, 0):
        return _info(model, 1_000_000, 128_000, _thinking_5(undated, version), _EFFORTS_5)
    if version >= (4, 6):
        return _info(model, 200_000, 64_000, ("adaptive", "enabled", "disabled"), _EFFORTS_46)
    if version >= (3, 7):
        efforts: tuple[Effort, ...] = ("low", "medium", "high") if "opus-4-5" in model else ()
        limit = 32_000 if undated in _SMALL_OUTPUT else 64_000
        return _info(model, 200_000, limit, ("enabled", "disabled"), efforts)
    return _info(model, 200_000, 8_192, ("disabled",), ())


_SMALL_OUTPUT = frozenset({"claude-opus-4", "claude-opus-4-0", "claude-opus-4-1"})


def _thinking_5(model: str, version: tuple[int, int]) -> tuple[ThinkingType, ...]:
    if model in _ALWAYS_THINKS:
        return ("adaptive",)
    if model.startswith("claude-sonnet-5") and version >= (5, 5):
        return ("adaptive", "between_tools")
    return ("adaptive", "disabled")


def _info(
    model: str,
    window: int,
    output: int,
    thinking: tuple[ThinkingType, ...],
    efforts: tuple[Effort, ...],
) -> ModelInfo:
    return ModelInfo(
        id=model,
        display_name=model,
        max_input_tokens=window,
        max_tokens=output,
        thinks=thinking != ("disabled",),
        thinking=thinking,
        efforts=efforts,
    )


def choose_thinking(
    model: ModelInfo,
    wanted: str | ThinkingBudget,
    effort: Effort | None,
    *,
    max_tokens: int,
    budget: int,
) -> Thinking:
    """The thinking to send for what the client `wanted`; `budget` is the default, in tokens.

    Raises GatewayError(INVALID_MESSAGE) for what the model cannot do.
    """
    if effort is not None and effort not in model.efforts:
        able = f"It takes: {', '.join(model.efforts)}." if model.efforts else "It takes none."
        raise GatewayError("INVALID_MESSAGE", f"`effort`: {model.id} has no `{effort}`. {able}")
    if isinstance(wanted, ThinkingBudget):
        return Thinking(config=_budgeted(model, wanted.budget_tokens, max_tokens), effort=effort)
    if not model.thinks:
        return Thinking(config=None, effort=effort)
    if wanted == "off":
        return _least(model, effort)
    return Thinking(config=_best(model, max_tokens, budget), effort=effort)


def _budgeted(model: ModelInfo, budget: int, max_tokens: int) -> dict[str, Any]:
    if "enabled" not in model.thinking:
        hint = "use `thinking: \"auto\"` with `effort`" if model.thinks else "leave it out"
        raise GatewayError(
            "INVALID_MESSAGE", f"`thinking.budgetTokens`: {model.id} takes no budget; {hint}."
        )
    if budget >= max_tokens:
        raise GatewayError(
            "INVALID_MESSAGE",
            f"`thinking.budgetTokens`: {budget} must be below `maxTokens`, here {max_tokens}.",
        )
    return {"type": "enabled", "budget_tokens": budget}


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
    tokens = min(budget, max_tokens - 1)
    if "enabled" in model.thinking and tokens >= MIN_THINKING_BUDGET:
        return {"type": "enabled", "budget_tokens": tokens}
    return None
