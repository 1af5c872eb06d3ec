"""What the provider's models endpoint tells of a model; it wins over the table.

The endpoint is the provider's, a cloud's or a gateway's. Whatever in its answer is missing, null or
of another shape is taken from the table, so that no answer can fail a request. Source: the SDK's
`types/model_info.py` and `types/model_capabilities.py`, November 2026.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar, get_args

import msgspec

from protocol.provider.features import CLEAR_TOOL_USES
from protocol.provider.model_info import Lifecycle, ModelInfo
from protocol.provider.model_table import FIRST_TOOLS
from protocol.provider.models import fallback
from protocol.provider.thinking import Effort, ThinkingType
from protocol.usage import MOST_FIGURE

LONGEST_ID = 128

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
"""The beginning of a moment."""

Kind = TypeVar("Kind", ThinkingType, Effort)


def described(told: object) -> ModelInfo | None:
    """The model that the JSON `told` describes; `None` when it names none."""
    if not isinstance(told, dict):
        return None
    model = told.get("id")
    if not isinstance(model, str) or not 0 < len(model) <= LONGEST_ID:
        return None
    known = fallback(model)
    able = _inside(told, "capabilities")
    thinking, effort = _inside(able, "thinking"), _inside(able, "effort")
    thinks = _has(thinking, known=known.thinks)
    efforts = _kinds(effort, get_args(Effort), known.efforts)
    quiet = tuple(level for level in efforts if level in known.quiet_efforts)
    name = told.get("display_name")
    return msgspec.structs.replace(
        known,
        display_name=name if isinstance(name, str) and name else model,
        max_input_tokens=_tokens(told.get("max_input_tokens"), known.max_input_tokens),
        max_tokens=_tokens(told.get("max_tokens"), known.max_tokens),
        thinks=thinks,
        thinking=_kinds(_inside(thinking, "types"), get_args(ThinkingType), known.thinking),
        efforts=() if _supported(effort) is False else efforts,
        quiet_efforts=quiet if known.quiet_efforts != known.efforts else efforts,
        structures=_has(_inside(able, "structured_outputs"), known=known.structures),
        server_tools=_server_tools(able, known),
        edits=_edits(able),
        **_life(told),
    )


def listed(told: object) -> tuple[list[ModelInfo], str | None]:
    """The models that a page of the list describes, and after which id the next page begins."""
    page = told if isinstance(told, dict) else {}
    models = page.get("data")
    found = [described(model) for model in models] if isinstance(models, list) else []
    known = [model for model in found if model is not None]
    last = page.get("last_id")
    goes_on = page.get("has_more") is True and bool(known) and isinstance(last, str) and last
    return known, last if goes_on else None


def _inside(owner: dict[str, Any], name: str) -> dict[str, Any]:
    found = owner.get(name)
    return found if isinstance(found, dict) else {}


def _supported(capability: dict[str, Any]) -> bool | None:
    """Whether it is told to be there; `None` when nothing is told."""
    told = capability.get("supported")
    return told if isinstance(told, bool) else None


def _has(capability: dict[str, Any], *, known: bool) -> bool:
    """Whether it is told to be there, or is `known` to be where nothing is told."""
    told = _supported(capability)
    return known if told is None else told


def _tokens(told: object, known: int) -> int:
    is_figure = isinstance(told, int) and not isinstance(told, bool)
    return told if is_figure and 0 < told <= MOST_FIGURE else known  # type: ignore[operator,return-value]


def _kinds(
    told: dict[str, Any], kinds: tuple[Kind, ...], known: tuple[Kind, ...]
) -> tuple[Kind, ...]:
    """Those of the `kinds` that are told to be there, or are known where nothing is told."""
    return tuple(kind for kind in kinds if _has(_inside(told, kind), known=kind in known))


def _server_tools(able: dict[str, Any], known: ModelInfo) -> tuple[str, ...]:
    """The tools' versions: the later ones need code that can call tools."""
    tools = known.server_tools
    if _supported(_inside(able, "code_execution")) is False:
        tools = FIRST_TOOLS
    told = _inside(able, "server_tools")
    gone = [
        name
        for name in ("web_search", "code_execution")
        if _supported(_inside(told, name)) is False
    ]
    return tuple(tool for tool in tools if not tool.startswith(tuple(gone)))


def _edits(able: dict[str, Any]) -> tuple[str, ...]:
    """How the provider can clear a prompt of this model by itself."""
    editing = _inside(able, "context_management")
    return (CLEAR_TOOL_USES,) if _supported(_inside(editing, CLEAR_TOOL_USES)) else ()


def _life(told: dict[str, Any]) -> dict[str, Any]:
    """Its lifecycle and its day. A model that is told to be deprecated is so on its day, too."""
    lifecycle, until = told.get("lifecycle"), told.get("retires_at")
    day = _DATE.match(until) if isinstance(until, str) else None
    if isinstance(lifecycle, str) and lifecycle in get_args(Lifecycle):
        return {"lifecycle": lifecycle, "retires_on": day and day[0]}
    return {} if day is None else {"lifecycle": None, "retires_on": day[0]}
