"""What a model can do, and which thinking to ask it for.

The provider's models endpoint is asked first; `fallback()` is the table for when it does not
answer, by the version in the model's id. Sources: the provider's pages on extended and adaptive
thinking and on effort, November 2026.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec

from protocol.errors import GatewayError
from protocol.provider.thinking import Effort, ThinkingBudget, ThinkingType

MIN_THINKING_BUDGET = 1024
"""Tokens; the provider's least `budget_tokens`."""

MIN_ANSWER = 1024
"""Tokens that a budget of our own choice leaves for the answer."""


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One model: limits in tokens, the `thinking.type` values and efforts that it accepts.

    `thinks` is whether it has thinking at all: a model without it accepts `disabled` too. `edits`
    are the ways in which the provider can shorten its prompt by itself.
    """

    id: str
    display_name: str
    max_input_tokens: int
    max_tokens: int
    thinks: bool
    thinking: tuple[ThinkingType, ...]
    efforts: tuple[Effort, ...]
    edits: tuple[str, ...] = ()

    @property
    def most_attached(self) -> int:
        """Pictures and documents of one request, and pages of a document.

        Fewer for a small window (the provider's pages on vision and on PDFs).
        """
        return 100 if self.max_input_tokens <= 200_000 else 600


Binding = Literal["checked", "appended", "rebuilt"]
"""How a model's thinking is bound to the conversation before it, and how changes are told to it.

- `checked`: the provider checks that nothing before a thinking block has changed. A change is told
  in a message of the role `system` after it.
- `appended`: the provider takes such messages, and checks nothing.
- `rebuilt`: the provider takes no such messages, so the head of the request is made anew.
"""


class Thinking(msgspec.Struct, frozen=True, kw_only=True):
    """What goes upstream: `thinking`, and `output_config.effort`; `None` is left out."""

    config: dict[str, Any] | None
    effort: Effort | None


_EFFORTS_45: tuple[Effort, ...] = ("low", "medium", "high")
_EFFORTS_46: tuple[Effort, ...] = ("low", "medium", "high", "max")
_EFFORTS_47: tuple[Effort, ...] = ("low", "medium", "high", "xhigh", "max")
_ALWAYS: tuple[ThinkingType, ...] = ("adaptive",)
_BETWEEN_TOOLS: tuple[ThinkingType, ...] = ("adaptive", "between_tools")
_ADAPTIVE: tuple[ThinkingType, ...] = ("adaptive", "disabled")
_EITHER: tuple[ThinkingType, ...] = ("enabled", "adaptive", "disabled")
_BUDGET: tuple[ThinkingType, ...] = ("enabled", "disabled")
_NONE: tuple[ThinkingType, ...] = ("disabled",)


class _Generation(NamedTuple):
    """What the models of some lines (of any, when none is named) can do from a version on."""

    lines: tuple[str, ...]
    since: tuple[int, int]
    max_input_tokens: int
    max_tokens: int
    thinking: tuple[ThinkingType, ...]
    efforts: tuple[Effort, ...]


# The first that fits counts; the last fits every id.
_GENERATIONS = (
    _Generation(("fable", "mythos"), (5, 0), 1_000_000, 128_000, _ALWAYS, _EFFORTS_47),
    _Generation(("opus",), (5, 5), 1_000_000, 128_000, _ALWAYS, _EFFORTS_47),
    _Generation(("sonnet",), (5, 5), 1_000_000, 128_000, _BETWEEN_TOOLS, _EFFORTS_47),
    _Generation((), (4, 7), 1_000_000, 128_000, _ADAPTIVE, _EFFORTS_47),
    _Generation(("sonnet",), (4, 6), 1_000_000, 64_000, _EITHER, _EFFORTS_46),
    _Generation((), (4, 6), 1_000_000, 128_000, _EITHER, _EFFORTS_46),
    _Generation(("opus",), (4, 5), 200_000, 64_000, _BUDGET, _EFFORTS_45),
    _Generation(("opus",), (4, 0), 200_000, 32_000, _BUDGET, ()),
    _Generation((), (3, 7), 200_000, 64_000, _BUDGET, ()),
    _Generation((), (0, 0), 200_000, 8_192, _NONE, ()),
)
# The provider's page on prompt caching, November 2026; read as the table above.
_LEAST_CACHEABLE: tuple[tuple[tuple[str, ...], tuple[int, int], int], ...] = (
    (("fable", "mythos", "opus"), (5, 0), 512),
    ((), (5, 5), 512),
    ((), (4, 8), 1024),
    ((), (4, 7), 2048),
    (("sonnet",), (4, 6), 1024),
    (("mythos",), (4, 6), 2048),
    ((), (4, 6), 4096),
    (("opus", "haiku"), (4, 5), 4096),
    (("haiku",), (0, 0), 2048),
    ((), (0, 0), 1024),
)
# The provider's pages on prefix checks and on system messages in a conversation, November 2026;
# the models API does not tell. An id without a version is taken for a new model.
_BINDINGS: tuple[tuple[tuple[str, ...], tuple[int, int], Binding], ...] = (
    (("fable", "mythos"), (5, 1), "checked"),
    (("opus", "sonnet", "haiku"), (5, 5), "checked"),
    (("fable", "mythos", "opus"), (5, 0), "appended"),
    (("opus",), (4, 8), "appended"),
    ((), (0, 1), "rebuilt"),
    ((), (0, 0), "checked"),
)
_PREVIEW = (4, 6)  # `claude-mythos-preview` has no version; it is of this generation
_WORD = re.compile(r"[^-@.:/]+")  # clouds and other gateways add a prefix
_NUMBER = re.compile(r"[0-9]{1,2}")  # a date has more digits


Row = TypeVar("Row", bound="tuple[Any, ...]")


def _of(table: tuple[Row, ...], model: str) -> Row:
    """The first row whose lines, first in it, and least version, second, fit the model's id."""
    words = _WORD.findall(model)
    version = _version(words)
    return next(
        row
        for row in table
        if version >= row[1] and (not row[0] or not set(words).isdisjoint(row[0]))
    )


def fallback(model: str) -> ModelInfo:
    """What is known of `model` from its id alone; an unknown family gets no thinking."""
    known = _of(_GENERATIONS, model)
    return ModelInfo(
        id=model,
        display_name=model,
        max_input_tokens=known.max_input_tokens,
        max_tokens=known.max_tokens,
        thinks=known.thinking != _NONE,
        thinking=known.thinking,
        efforts=known.efforts,
    )


def least_cacheable(model: str) -> int:
    """Tokens of the shortest prompt that the provider's cache keeps for `model`."""
    return _of(_LEAST_CACHEABLE, model)[2]


@lru_cache(maxsize=1_024)  # it is asked of every answer of a session that is loaded
def binding(model: str) -> Binding:
    """How the thinking of `model` is bound to what stands before it."""
    return _of(_BINDINGS, model)[2]


def guarded(model: str, config: dict[str, Any] | None) -> dict[str, Any] | None:
    """The `thinking` of a request, with the wish to drop thinking blocks that do not fit.

    Only a model that checks gets the wish, and only with a type of thinking that takes it (the
    provider's page on prefix checks). Without the wish, such a block may fail the request.
    """
    if config is None or config["type"] not in ("adaptive", "enabled"):
        return config
    if binding(model) != "checked":
        return config
    return {**config, "block_binding": {"prefix_mismatch_behavior": "drop_block"}}


def forgiving(model: str, config: dict[str, Any] | None) -> dict[str, Any] | None:
    """The `thinking` of a request in a tool loop whose earlier thinking no longer fits.

    The gateway may not leave that thinking out, so the provider must drop it. A type of thinking
    that cannot ask for this is replaced by one that can.
    """
    if config is None or binding(model) != "checked" or "block_binding" in config:
        return config
    return guarded(model, {"type": "adaptive"})


def _version(words: list[str]) -> tuple[int, int]:
    """`(4, 1)` for the words of `claude-opus-4-1-20250805`, `(3, 7)` for `claude-3-7-sonnet`."""
    if "claude" not in words:
        return (0, 0)
    if "preview" in words:
        return _PREVIEW
    major, minor, *_ = [*(int(word) for word in words if _NUMBER.fullmatch(word)), 0, 0]
    return (major, minor)


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
