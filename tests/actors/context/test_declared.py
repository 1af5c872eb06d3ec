"""A client's tools: rewritten where the client does not notice, else refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from actors.context.declared import FEW_NODES, fitted
from protocol.client import ToolDeclaration
from protocol.errors import GatewayError


def declared(schema: dict[str, Any], name: str = "brew") -> ToolDeclaration:
    return ToolDeclaration(name, "Brews.", schema)


async def test_a_schema_that_the_provider_takes_stays_as_it_is() -> None:
    """To the last word; one of an older draft is made new."""
    plain = {"type": "object", "properties": {"a": {"type": "string", "x-own": 1}}}
    old = {"properties": {"a": {"minimum": 1, "exclusiveMinimum": True}}, "required": None}
    new = {"type": "object", "properties": {"a": {"exclusiveMinimum": 1}}}
    found = await fitted([declared(plain), declared(old, "pour")])
    assert [tool.input_schema for tool in found] == [plain, new]
    assert list(found[0].input_schema) == list(plain)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "string"}, "its schema is not of an object"),
        ({"type": "object", "anyOf": [{}]}, "its schema has `anyOf`, `oneOf` or `allOf` at its"),
        ({"type": "object", "properties": {"a b": {}}}, "its property `a b` has a name that"),
        ({"type": "object", "properties": {"a": {"$ref": "#/b"}}}, "its schema has a reference"),
    ],
)
async def test_a_tool_that_the_provider_would_refuse_is_refused_by_name(
    schema: dict[str, Any], words: str
) -> None:
    """Also one that could be rewritten: the client would be called with other arguments."""
    with pytest.raises(GatewayError) as caught:
        await fitted([declared({"type": "object"}), declared(schema, "pour")])
    failure = caught.value.failure
    assert failure.code == "INVALID_MESSAGE"
    start = f"`tools[1].inputSchema`: the provider would refuse the tool `pour`: {words}"
    assert failure.message.startswith(start)


async def test_large_schemas_are_looked_through_in_a_thread() -> None:
    """With the same result."""
    large = {"type": "object", "properties": {f"p{at}": {} for at in range(FEW_NODES)}}
    (found,) = await fitted([declared(large)])
    assert found.input_schema == large
    with pytest.raises(GatewayError):
        await fitted([declared({**large, "anyOf": [{}]})])


async def test_an_example_must_follow_the_schema() -> None:
    """The tool is named, and the example."""
    schema = {"type": "object", "required": ["a"]}
    good = ToolDeclaration("brew", "Brews.", schema, input_examples=[{"a": 1}])
    assert await fitted([good]) == [good]
    bad = ToolDeclaration("pour", "Pours.", schema, input_examples=[{"a": 1}, {}])
    with pytest.raises(GatewayError) as caught:
        await fitted([good, bad])
    failure = caught.value.failure
    assert failure.code == "INVALID_MESSAGE"
    assert failure.message.startswith(
        "`tools[1].inputExamples[1]`: it does not follow the `inputSchema` of the tool `pour`: it "
        "lacks `a`."
    )
