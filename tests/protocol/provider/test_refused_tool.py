"""Which tool a refusal is about, by its place in the request."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from protocol.provider.refused_tool import refused_tool

FIRST = {"name": "first", "description": "", "input_schema": {"type": "object"}}
SECOND = {**FIRST, "name": "second", "cache_control": {"type": "ephemeral"}}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
ADDED = {**FIRST, "name": "added"}
ADDITION = {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": ADDED}}
BODY: dict[str, Any] = {
    "tools": [FIRST, SECOND, SEARCH],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
        {"role": "system", "content": [{"type": "text", "text": "New."}, ADDITION]},
        {"role": "user", "content": "Hi"},
    ],
}


def named(explanation: str, body: bytes | None = None) -> str | None:
    """The name of the tool that a refusal is about."""
    found = refused_tool(explanation, msgspec.json.encode(BODY) if body is None else body)
    return None if found is None else str(found["name"])


@pytest.mark.parametrize(
    ("explanation", "name"),
    [
        ("tools.0.custom.input_schema: JSON schema is invalid. It must match", "first"),
        ("tools.1.custom.input_schema.properties: Property keys should match", "second"),
        ("tools.1.name: String should match pattern", "second"),
        ("tools.1: The schema is too complex", "second"),
        ("The model returned the following errors: tools.1.custom.input_schema: JSON", "second"),
        ("toolConfig.tools.1.toolSpec.inputSchema.json.type must be one of", None),
        ("messages.1.content.1.tool_addition.tool.definition.custom.input_schema: bad", "added"),
        ("messages.1.content.1.tool.definition.name: bad", "added"),
    ],
)
def test_a_refusal_names_a_tool_by_its_place(explanation: str, name: str | None) -> None:
    """In the list of tools, or in a message that defines it."""
    assert named(explanation) == name


@pytest.mark.parametrize(
    "explanation",
    [
        "",
        "tools: Tool names must be unique.",
        "tools.2.web_search_20250305.name: Input should be 'web_search'",
        "tools.0.custom.cache_control.ttl: Input should be '5m' or '1h'",
        "tools.0.custom.eager_input_streaming: Extra inputs are not permitted",
        "tools.7.custom.input_schema: JSON schema is invalid",
        "messages.9.content.0.tool.definition.name: bad",
        "messages.1.content.0.tool.definition.name: bad",
        "messages.2.content.0.tool.definition.name: bad",
        "messages.1.content.1.tool.definition: The tool name 'added' is already used",
        "messages.1.content.1: `tool_addition` blocks require the `x` value",
    ],
)
def test_any_other_refusal_is_about_no_tool(explanation: str) -> None:
    """About how the request has it, about one that is not there, or about a message."""
    assert named(explanation) is None


def test_a_body_that_cannot_be_read_names_none() -> None:
    """Whatever the provider says of it."""
    assert named("tools.0.custom.input_schema: bad", b"1") is None
