"""Tools that come and go in the middle of a conversation, and which are on offer at its end.

`tool_addition` and `tool_removal` are blocks of a system message. An addition names a tool that is
known, or defines one; a removal names one that is on offer. From there on the model has the tools
that result. The rules are those of the page "Mid-conversation system messages and tool changes".
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.simulator.errors import ApiError, invalid
from gateway.simulator.reply import Json
from gateway.simulator.tool_definitions import (
    check_tool,
    finds_tools,
    is_deferred,
    kind_of,
)

INLINE_TOOLS = "inline-tools-2026-09-15"
"""The beta that tool changes take."""
BY_REFERENCE = "mid-conversation-tool-changes-2026-07-01"
"""An older one, for changes that name a tool and do not define it."""
TOOL_CHANGES = ("tool_addition", "tool_removal")


def offered(body: Json) -> list[Json]:
    """The tools that the model may call at the end of a checked request."""
    folded = _Folded(body.get("tools") or [])
    for _, block in _changes(body["messages"]):
        folded.apply(block, "")
    return folded.on_offer()


def most_searches(body: Json) -> int | None:
    """How often a checked request lets the model search, if it says so."""
    found = (tool.get("max_uses") for tool in offered(body) if tool.get("name") == "web_search")
    return next(found, None)


def check_tool_changes(body: Json, betas: frozenset[str]) -> None:
    """Each change is well formed, has its beta, and finds the tool that it names."""
    folded = _Folded(body.get("tools") or [])
    for place, block in _changes(body["messages"]):
        _check_change(block, place, betas)
        folded.apply(block, place)


def place_of(body: Json, name: str) -> str | None:
    """Where a checked request defines a tool of this name; the last place, if there are several."""
    places = [
        f"tools.{at}" for at, tool in enumerate(body.get("tools") or []) if tool.get("name") == name
    ]
    places += [
        f"{place}.{block['type']}.tool.definition"
        for place, block in _changes(body["messages"])
        if (_definition(block) or {}).get("name") == name
    ]
    return places[-1] if places else None


def starts_without_tools(body: Json) -> bool:
    """Whether a tool is defined in a message though `tools` holds none that is not deferred.

    The first such definition changes the beginning of the prompt: one whole cache miss.
    """
    return all(is_deferred(tool) for tool in body.get("tools") or []) and any(
        _definition(block) is not None for _, block in _changes(body["messages"])
    )


def definition_of(block: Json) -> Json | None:
    """The tool that an addition defines, if it defines one."""
    return _definition(block)


class _Tool(msgspec.Struct):
    definition: Json
    on_offer: bool


class _Folded:
    """The tools as they stand after so many changes."""

    def __init__(self, tools: list[Json]) -> None:
        self._nameless = [tool for tool in tools if "name" not in tool]
        self._tools = {
            tool["name"]: _Tool(tool, not is_deferred(tool)) for tool in tools if "name" in tool
        }

    def apply(self, block: Json, place: str) -> None:
        definition = _definition(block)
        if definition is not None:
            self._define(definition, place)
        elif block["type"] == "tool_addition":
            self._named(block, place).on_offer = True
        else:
            self._remove(block, place)

    def on_offer(self) -> list[Json]:
        """Deferred tools are on offer where a tool that searches for tools is."""
        tools = list(self._tools.values())
        searches = any(finds_tools(tool.definition) for tool in tools if tool.on_offer)
        return self._nameless + [
            tool.definition
            for tool in tools
            if tool.on_offer or (searches and is_deferred(tool.definition))
        ]

    def _define(self, definition: Json, place: str) -> None:
        """The same name replaces, whatever its version; another kind of tool may not have it."""
        known = self._tools.pop(definition["name"], None)
        if known is not None and kind_of(known.definition) != kind_of(definition):
            raise ApiError(
                400,
                f"{place}.tool.definition: The tool name '{definition['name']}' is already used "
                "by a tool of a different type.",
                details={"error_code": "tool_name_conflict"},
            )
        self._tools[definition["name"]] = _Tool(definition, not is_deferred(definition))

    def _named(self, block: Json, place: str) -> _Tool:
        name = block["tool"]["name"]
        if name not in self._tools:
            raise _unresolved(place, name)
        return self._tools[name]

    def _remove(self, block: Json, place: str) -> None:
        """The documents do not say what a second removal is: strictly, there is no such tool."""
        tool = self._named(block, place)
        if not tool.on_offer:
            raise _unresolved(place, block["tool"]["name"])
        tool.on_offer = False


def _changes(messages: list[Json]) -> Iterator[tuple[str, Json]]:
    """Every change of tools, in order, and its place in the request."""
    for at, message in enumerate(messages):
        if message["role"] != "system" or isinstance(message["content"], str):
            continue
        for place, block in enumerate(message["content"]):
            if block["type"] in TOOL_CHANGES:
                yield f"messages.{at}.content.{place}", block


def _definition(block: Json) -> Json | None:
    match block:
        case {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": given}}:
            return given  # type: ignore[no-any-return]
        case _:
            return None


def _unresolved(place: str, name: str) -> ApiError:
    return ApiError(
        400,
        f"{place}.tool: No tool named '{name}' is defined at this point of the conversation.",
        details={"error_code": "tool_reference_unresolved"},
    )


def _check_change(block: Json, place: str, betas: frozenset[str]) -> None:
    kind = block["type"]
    tool = block.get("tool")
    defines = isinstance(tool, dict) and tool.get("type") == "tool_definition"
    if INLINE_TOOLS not in betas and (defines or BY_REFERENCE not in betas):
        raise invalid(
            f"{place}: `{kind}` blocks require the `{INLINE_TOOLS}` value in the "
            "`anthropic-beta` header."
        )
    for name in block:
        if name not in ("type", "tool", "cache_control"):
            raise invalid(f"{place}.{kind}.{name}: Extra inputs are not permitted")
    match tool:
        case {"type": "tool_reference", "name": str(), **more}:
            _check_extra(more, f"{place}.{kind}.tool.tool_reference")
        case {"type": "tool_definition", "definition": dict(given), **more}:
            if kind == "tool_removal":
                raise invalid(f"{place}.{kind}.tool: Input should be a reference to a tool")
            _check_extra(more, f"{place}.{kind}.tool.tool_definition")
            _check_definition(block, given, f"{place}.{kind}.tool.definition")
        case _:
            raise invalid(
                f"{place}.{kind}.tool: Input should be a tool_reference or a tool_definition"
            )


def _check_extra(more: dict[Any, Any], place: str) -> None:
    for name in more:
        raise invalid(f"{place}.{name}: Extra inputs are not permitted")


def _check_definition(block: Json, given: Any, place: str) -> None:
    check_tool(given, place)
    if "name" not in given:
        # The page says this of some kinds and names computer use alone. Strictly: of all toolsets.
        raise invalid(
            f"{place}: tools of type '{given['type']}' cannot be defined in a message yet"
        )
    marked = given.get("cache_control") is not None
    if marked and is_deferred(given):
        raise invalid(f"{place}: a tool with defer_loading cannot carry cache_control")
    if marked and block.get("cache_control") is not None:
        raise invalid(f"{place}: cache_control goes on the block or in the definition, not on both")
