"""What a client asks of a request besides its texts: held against the model before it is sent.

Every refusal is `INVALID_MESSAGE`, and names the field and the model. Sources: the provider's pages
"Define tools" (tool choice), "What's new" of Opus 5.5 and Sonnet 5.5, "Thinking", "Structured
outputs", "Strict tool use", "Tool search tool", "API versions" and "Messages", November 2026.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from protocol.announcing import Definition
from protocol.bounds import MOST_SCHEMA_NODES
from protocol.client import ChatSend, OneTool, OutputFormat
from protocol.errors import GatewayError
from protocol.free_form import is_larger
from protocol.provider.model_info import ModelInfo
from protocol.provider.structured import MOST_STRICT, Figures, Unfitting, measure
from protocol.provider.thinking import ThinkingBudget

OLDER_VERSION = "2023-06-01"
"""The API's last version with sampling parameters, for the models that take them."""

LEAST_TOP_P = 0.95
"""While a model thinks."""


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """Fields of a request as the provider takes them; what is `None` is left out."""

    tool_choice: dict[str, str] | None = None
    stop_sequences: list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    metadata: dict[str, str] | None = None

    @property
    def version(self) -> str | None:
        """The version of the API that takes them, when it is not the latest."""
        sampled = (self.temperature, self.top_p, self.top_k)
        return OLDER_VERSION if any(value is not None for value in sampled) else None

    @property
    def unforced(self) -> Wishes:
        """Those of a turn's later requests: a model that must call a tool each time never ends."""
        if self.tool_choice is None or self.tool_choice["type"] not in ("any", "tool"):
            return self
        return msgspec.structs.replace(self, tool_choice=None)


NO_WISHES = Wishes()


def wishes(send: ChatSend, model: ModelInfo, tools: Sequence[Definition]) -> Wishes:
    """What `send` asks of `model`, which is offered the `tools`."""
    _check_sampling(send, model)
    for number, stop in enumerate(send.stop_sequences or ()):
        if not stop.strip():
            raise _refusal(f"stopSequences[{number}]", "it must not be blank")
    return Wishes(
        tool_choice=_tool_choice(send, model, tools),
        stop_sequences=send.stop_sequences,
        temperature=send.temperature,
        top_p=send.top_p,
        top_k=send.top_k,
        metadata=None if send.user_id is None else {"user_id": send.user_id},
    )


def unthinking(send: ChatSend) -> str | None:
    """The field that a model takes only while it does not think, if there is one."""
    if send.tool_choice == "any" or isinstance(send.tool_choice, OneTool):
        return "toolChoice"
    if send.temperature is not None:
        return "temperature"
    if send.top_k is not None:
        return "topK"
    return "topP" if send.top_p is not None and send.top_p < LEAST_TOP_P else None


def wants_thinking(send: ChatSend, model: ModelInfo) -> str | ThinkingBudget:
    """The thinking to choose: what cannot be had with thinking is had without it."""
    field = unthinking(send)
    if field is None or send.thinking == "off":
        return send.thinking
    if isinstance(send.thinking, ThinkingBudget):
        raise _refusal(
            field, f"{model.id} takes it only without thinking; leave `thinking.budgetTokens` out"
        )
    if model.thinks and "disabled" not in model.thinking:
        raise _refusal(field, f"{model.id} takes it only without thinking, and always thinks")
    return "off"


def _refusal(field: str, why: str) -> GatewayError:
    return GatewayError("INVALID_MESSAGE", f"`{field}`: {why}.")


def _check_sampling(send: ChatSend, model: ModelInfo) -> None:
    sampled = {"temperature": send.temperature, "topP": send.top_p, "topK": send.top_k}
    given = [name for name, value in sampled.items() if value is not None]
    if given and not model.samples:
        raise _refusal(given[0], f"{model.id} takes no sampling; leave it out")
    if send.temperature is not None and send.top_p is not None:
        raise _refusal("topP", f"{model.id} takes it or `temperature`, not both")


def _tool_choice(
    send: ChatSend, model: ModelInfo, tools: Sequence[Definition]
) -> dict[str, str] | None:
    choice = send.tool_choice
    forced = choice == "any" or isinstance(choice, OneTool)
    if forced and not model.forces_tools:
        raise _refusal("toolChoice", f'{model.id} cannot be forced to use a tool; use "auto"')
    if isinstance(choice, OneTool):
        if choice.name not in {tool["name"] for tool in tools}:
            raise _refusal("toolChoice", f"there is no tool named `{choice.name}`")
        return {"type": "tool", "name": choice.name}
    if forced and not tools:
        raise _refusal("toolChoice", "there are no tools")
    # "auto" is what holds without it. All tools may be added in the messages, and none in `tools`:
    # nothing says that the provider takes a choice there, and it takes none without tools.
    return {"type": choice} if choice not in (None, "auto") and tools else None


def check_schemas(
    model: ModelInfo, tools: Sequence[Definition], output_format: OutputFormat | None
) -> None:
    """The schemas that the provider compiles: strict tools and the answer's, alone and together."""
    strict = [tool for tool in tools if tool.get("strict")]
    if strict and not model.structures:
        raise _refusal("tools[].strict", f"{model.id} has no strict tools")
    if len(strict) > MOST_STRICT:
        raise _refusal("tools[].strict", f"at most {MOST_STRICT} tools of a request may be strict")
    schemas = [(f"tools.{tool['name']}", tool["input_schema"]) for tool in strict]
    if output_format is not None:
        if not model.structures:
            raise _refusal("outputFormat", f"{model.id} has no structured output")
        schemas.append(("outputFormat.schema", output_format.schema))
    fault = _fault_of_all(schemas) if schemas else None
    if fault is not None:
        field = "tools[].strict" if output_format is None else "outputFormat.schema"
        raise _refusal(field, f"of all strict schemas, {fault}")


def _fault_of_all(schemas: Sequence[tuple[str, dict[str, Any]]]) -> str | None:
    """What is too much in all of the schemas, which come with the field of each."""
    if is_larger([schema for _, schema in schemas], MOST_SCHEMA_NODES):
        return f"there are more than {MOST_SCHEMA_NODES:,} values; make them smaller"
    figures = Figures()
    for field, schema in schemas:
        figures = figures.plus(_measured(field, schema))
    return figures.fault


def _measured(field: str, schema: dict[str, Any]) -> Figures:
    try:
        return measure(schema)
    except Unfitting as error:
        raise _refusal(field, str(error)) from None


def check_deferred(model: ModelInfo, tools: Sequence[Definition]) -> None:
    """Tools that the model looks for: it must be able to, and none may come with examples."""
    if not any(tool.get("defer_loading") for tool in tools):
        return
    if not model.finds_tools:
        raise _refusal("tools[].deferLoading", f"{model.id} cannot look for tools")
    if any(tool.get("input_examples") for tool in tools):
        raise _refusal("tools[].inputExamples", "no tool may have any next to a deferred one")
