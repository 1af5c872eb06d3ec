"""What the Messages API refuses about the tools that a request defines."""

import re
from typing import Any

from gateway.simulator.errors import invalid
from gateway.simulator.reply import CODE_TOOLS, Json
from gateway.simulator.tool_schemas import check_examples, check_schema

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")

_SERVER = {
    "web_search": ("20250305", "20260209", "20260318"),
    "web_fetch": ("20250910", "20260209", "20260309", "20260318"),
    "code_execution": ("20250522", "20250825", "20260120", "20260521"),
    "tool_search_tool_regex": ("20251119",),
    "tool_search_tool_bm25": ("20251119",),
}
SERVER_TOOLS = {f"{name}_{day}": name for name, days in _SERVER.items() for day in days} | {
    "tool_search_tool_regex": "tool_search_tool_regex",
    "tool_search_tool_bm25": "tool_search_tool_bm25",
}
"""The types of the provider's own tools that it runs itself, each with its one name."""

CLIENT_TOOLS = {
    "bash_20250124": "bash",
    "memory_20250818": "memory",
    "text_editor_20250124": "str_replace_editor",
    "text_editor_20250429": "str_replace_based_edit_tool",
    "text_editor_20250728": "str_replace_based_edit_tool",
}
"""The types of tools that the provider defines and the client runs."""

TOOLSETS = ("browser_toolset_20260801", "computer_toolset_20260801")
"""Types that bring several tools and have no name of their own."""

_NAMES = SERVER_TOOLS | CLIENT_TOOLS


def check_tools(tools: Any) -> None:
    """The tools must be well formed, and no two of one name."""
    if tools is None:
        return
    if not isinstance(tools, list):
        raise invalid("tools: Input should be a valid list")
    for at, tool in enumerate(tools):
        check_tool(tool, f"tools.{at}")
    names = [name for tool in tools for name in _names_of(tool)]
    if len(set(names)) < len(names):
        raise invalid("tools: Tool names must be unique.")


def _names_of(tool: Json) -> tuple[str, ...]:
    """The names that a tool takes.

    Executing code brings two tools of its own (the page on that tool). Whether a client's may have
    their names is not stated; strictly, it may not.
    """
    if kind_of(tool) == "code_execution":
        return CODE_TOOLS
    return (tool["name"],) if "name" in tool else ()


def offers(tools: list[Json], name: str) -> bool:
    """Whether the provider's own tool of this name is among these."""
    return any(SERVER_TOOLS.get(str(tool.get("type"))) == name for tool in tools)


def is_deferred(tool: Json) -> bool:
    """Whether the tool is withheld until something brings it up."""
    return tool.get("defer_loading") is True


def finds_tools(tool: Json) -> bool:
    """Whether the tool searches for deferred ones."""
    return str(tool.get("type")).startswith("tool_search_tool_")


def kind_of(tool: Json) -> str:
    """What sort of tool a checked definition is, whatever its version."""
    kind = str(tool.get("type") or "custom")
    return _NAMES.get(kind, kind) if kind != "custom" else kind


def check_tool(tool: Any, place: str) -> None:
    """The definition at `place` must be well formed."""
    if not isinstance(tool, dict):
        raise invalid(f"{place}: Input should be a valid dictionary")
    match tool.get("type"):
        case None | "custom":
            _check_custom(tool, f"{place}.custom")
        case str(kind) if kind in _NAMES:
            if tool.get("name") != _NAMES[kind]:
                raise invalid(f"{place}.{kind}.name: Input should be '{_NAMES[kind]}'")
            _check_served(tool, f"{place}.{kind}")
        case str(kind) if kind in TOOLSETS:
            if "name" in tool:
                raise invalid(f"{place}.{kind}.name: Extra inputs are not permitted")
        case kind:
            expected = ", ".join(f"'{known}'" for known in sorted({*_NAMES, *TOOLSETS, "custom"}))
            raise invalid(
                f"{place}: Input tag '{kind}' found using 'type' does not match any of the "
                f"expected tags: {expected}"
            )


def _check_custom(tool: Json, place: str) -> None:
    name, schema = tool.get("name"), tool.get("input_schema")
    if name is None:
        raise invalid(f"{place}.name: Field required")
    if not isinstance(name, str):
        raise invalid(f"{place}.name: Input should be a valid string")
    if not _NAME.fullmatch(name):
        raise invalid(f"{place}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
    if not isinstance(tool.get("eager_input_streaming"), bool | None):
        raise invalid(f"{place}.eager_input_streaming: Input should be a valid boolean")
    if schema is None:
        raise invalid(f"{place}.input_schema: Field required")
    if not isinstance(schema, dict):
        raise invalid(f"{place}.input_schema: Input should be a valid dictionary")
    if schema.get("type") != "object":
        raise invalid(f"{place}.input_schema.type: Input should be 'object'")
    check_schema(schema, f"{place}.input_schema")
    if tool.get("input_examples"):
        check_examples(tool["input_examples"], schema, place)


def _check_served(tool: Json, place: str) -> None:
    """The options of one of the provider's own tools."""
    uses = tool.get("max_uses", 1)
    if uses is not None and (not isinstance(uses, int) or uses < 1):
        raise invalid(f"{place}.max_uses: Input should be a valid integer greater than 0")
    if tool.get("allowed_domains") and tool.get("blocked_domains"):
        raise invalid(f"{place}: Cannot specify both allowed_domains and blocked_domains.")
