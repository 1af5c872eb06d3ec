"""What a client asks of a request, held against the model."""

from __future__ import annotations

from typing import Any

import pytest

from protocol.client import ChatSend, OneTool, OutputFormat
from protocol.errors import GatewayError
from protocol.provider.models import fallback
from protocol.provider.thinking import ThinkingBudget
from protocol.wishes import (
    NO_WISHES,
    OLDER_VERSION,
    check_deferred,
    check_schemas,
    wants_thinking,
    wishes,
)

SONNET, OLD, OPUS = "claude-sonnet-5-5", "claude-sonnet-4-5", "claude-opus-5"
BREW = {"name": "brew", "description": "", "input_schema": {"type": "object"}}
CLOSED = {"type": "object", "additionalProperties": False}


def send(**fields: Any) -> ChatSend:
    return ChatSend(id="1", content="Hi", **fields)


def refused(call: Any, *args: Any) -> str:
    with pytest.raises(GatewayError) as caught:
        call(*args)
    assert caught.value.failure.code == "INVALID_MESSAGE"
    return caught.value.failure.message


def test_nothing_asked_is_nothing_sent() -> None:
    """And the latest version of the API is spoken."""
    assert wishes(send(), fallback(SONNET), [BREW]) == NO_WISHES
    assert NO_WISHES.version is None
    assert NO_WISHES.unforced == NO_WISHES


def test_what_is_asked_goes_in_the_providers_words() -> None:
    """A tool by name, texts to stop at, an id for whoever looks for abuse."""
    asked = wishes(
        send(tool_choice=OneTool("brew"), stop_sequences=["END"], user_id="u"),
        fallback(OPUS),
        [BREW],
    )
    assert asked.tool_choice == {"type": "tool", "name": "brew"}
    assert asked.stop_sequences == ["END"]
    assert asked.metadata == {"user_id": "u"}
    assert asked.unforced.tool_choice is None
    assert asked.unforced.stop_sequences == ["END"]


@pytest.mark.parametrize(("choice", "sent"), [("auto", None), ("none", {"type": "none"})])
def test_a_choice_that_forces_nothing_stays(choice: Any, sent: Any) -> None:
    """The model chooses where nothing is said. Without tools there is nothing to choose."""
    asked = wishes(send(tool_choice=choice), fallback(SONNET), [BREW])
    assert asked.tool_choice == sent
    assert asked.unforced == asked
    assert wishes(send(tool_choice=choice), fallback(SONNET), []) == NO_WISHES


def test_sampling_speaks_an_older_version() -> None:
    """The latest one has it no more."""
    asked = wishes(send(temperature=0.5, top_k=3), fallback(OLD), [])
    assert (asked.temperature, asked.top_k, asked.version) == (0.5, 3, OLDER_VERSION)


@pytest.mark.parametrize(
    ("model", "fields", "refusal"),
    [
        (SONNET, {"temperature": 0.0}, f"`temperature`: {SONNET} takes no sampling"),
        (SONNET, {"top_p": 0.9}, f"`topP`: {SONNET} takes no sampling"),
        (SONNET, {"top_k": 1}, f"`topK`: {SONNET} takes no sampling"),
        (OLD, {"temperature": 0.0, "top_p": 1.0}, f"`topP`: {OLD} takes it or `temperature`"),
        (SONNET, {"stop_sequences": ["a", " "]}, "`stopSequences[1]`: it must not be blank"),
        (SONNET, {"tool_choice": "any"}, f"`toolChoice`: {SONNET} cannot be forced"),
        (OPUS, {"tool_choice": OneTool("pour")}, "`toolChoice`: there is no tool named `pour`"),
    ],
)
def test_what_a_model_cannot_take_is_refused(
    model: str, fields: dict[str, Any], refusal: str
) -> None:
    """The field and the model are named."""
    message = refused(wishes, send(**fields), fallback(model), [BREW])
    assert message.startswith(refusal)


def test_nobody_is_forced_to_use_no_tool() -> None:
    """The provider would refuse it."""
    assert refused(wishes, send(tool_choice="any"), fallback(OPUS), []) == (
        "`toolChoice`: there are no tools."
    )


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"tool_choice": "any"}, "toolChoice"),
        ({"tool_choice": OneTool("brew")}, "toolChoice"),
        ({"temperature": 1.0}, "temperature"),
        ({"top_k": 5}, "topK"),
        ({"top_p": 0.9}, "topP"),
    ],
)
def test_what_cannot_be_had_with_thinking_is_had_without(
    fields: dict[str, Any], field: str
) -> None:
    """Unless a budget says that thinking is wanted, or the model always thinks."""
    assert wants_thinking(send(**fields), fallback(OLD)) == "off"
    assert wants_thinking(send(**fields, thinking="off"), fallback(OLD)) == "off"
    budget = ThinkingBudget(budget_tokens=2_000)
    message = refused(wants_thinking, send(**fields, thinking=budget), fallback(OLD))
    assert message.startswith(f"`{field}`: {OLD} takes it only without thinking; leave")
    always = refused(wants_thinking, send(**fields), fallback("claude-fable-5"))
    assert always.endswith("and always thinks.")


def test_all_else_leaves_thinking_alone() -> None:
    """A `topP` close to 1 is taken with it."""
    for fields in ({}, {"top_p": 0.95}, {"tool_choice": "none"}):
        assert wants_thinking(send(**fields), fallback(OLD)) == "auto"


def test_schemas_are_counted_together() -> None:
    """Of strict tools and of the answer."""
    many = {**CLOSED, "properties": {str(n): {} for n in range(13)}}
    tool = {**BREW, "strict": True, "input_schema": many}
    check_schemas(fallback(SONNET), [tool, BREW], OutputFormat(CLOSED))
    assert refused(check_schemas, fallback(SONNET), [tool], OutputFormat(many)) == (
        "`outputFormat.schema`: of all strict schemas, 26 properties are not `required`; at most "
        "24 may be."
    )
    assert refused(check_schemas, fallback(SONNET), [tool] * 2, None).startswith("`tools[].strict`")


def test_strict_schemas_have_a_size_together() -> None:
    """All of them are walked before anything is sent."""
    properties = {f"p{number}": {"enum": [1, 2]} for number in range(1_000)}
    schema = {**CLOSED, "properties": properties, "required": [*properties]}
    tools = [{**BREW, "strict": True, "input_schema": schema}]
    check_schemas(fallback(SONNET), tools, None)
    assert "there are more than 10,000 values" in refused(
        check_schemas, fallback(SONNET), tools * 2, OutputFormat(schema)
    )


@pytest.mark.parametrize(
    ("model", "tools", "schema", "refusal"),
    [
        (
            SONNET,
            [{**BREW, "strict": True}],
            None,
            "`tools.brew`: `/` is an object and needs `additionalProperties: false`.",
        ),
        (SONNET, [], {"type": "object"}, "`outputFormat.schema`: `/` is an object"),
        ("claude-opus-4-1", [], CLOSED, "`outputFormat`: claude-opus-4-1 has no structured output"),
        (
            "claude-opus-4-1",
            [{**BREW, "strict": True}],
            None,
            "`tools[].strict`: claude-opus-4-1 has no strict tools",
        ),
        (SONNET, [{**BREW, "strict": True}] * 21, None, "`tools[].strict`: at most 20 tools"),
    ],
)
def test_schemas_that_the_provider_refuses_are_refused(
    model: str, tools: list[Any], schema: Any, refusal: str
) -> None:
    """Before anything is sent."""
    wanted = None if schema is None else OutputFormat(schema)
    assert refused(check_schemas, fallback(model), tools, wanted).startswith(refusal)


def test_deferred_tools_are_for_models_that_look_for_them() -> None:
    """And come without examples, as the provider wants it."""
    late = {**BREW, "defer_loading": True}
    check_deferred(fallback(SONNET), [late])
    check_deferred(fallback("claude-opus-4-1"), [{**BREW, "input_examples": [{}]}])
    assert refused(check_deferred, fallback("claude-opus-4-1"), [late]).startswith(
        "`tools[].deferLoading`: claude-opus-4-1 cannot look for tools"
    )
    assert refused(check_deferred, fallback(SONNET), [late, {**BREW, "input_examples": [{}]}])
