"""What a request asks for besides its texts, and what the API refuses of it.

Sources: the documentation's pages "Structured outputs", "Strict tool use", "Tool search tool",
"Messages" (metadata) and "Thinking" (sampling), November 2026. How a schema must be for the grammar
is held by `protocol.provider.structured`, as the page has it.
"""

from typing import Any

from gateway.simulator.errors import invalid
from gateway.simulator.models import ModelSpec
from gateway.simulator.prompt import cites, format_of
from gateway.simulator.reply import Json
from gateway.simulator.tool_definitions import finds_tools, is_deferred
from protocol.provider.structured import MOST_STRICT, Figures, Unfitting, measure


def check_options(body: Json, model: ModelSpec) -> None:
    """The options must be well formed, and of a kind that the model has."""
    _check_user(body.get("metadata"))
    _check_schemas(body, model)
    _check_deferred(body.get("tools") or [])
    _check_sampling(body)


def _check_user(metadata: Any) -> None:
    if metadata is not None and not isinstance(metadata, dict):
        raise invalid("metadata: Input should be a valid dictionary")
    user = (metadata or {}).get("user_id")
    if user is None:
        return
    if not isinstance(user, str) or len(user) > 256:
        raise invalid("metadata.user_id: String should have at most 256 characters")
    if "@" in user:
        raise invalid("metadata.user_id: user_id appears to contain an email address")


def _check_schemas(body: Json, model: ModelSpec) -> None:
    tools = body.get("tools") or []
    strict = [tool for tool in tools if tool.get("strict") and "input_schema" in tool]
    if len(strict) > MOST_STRICT:
        raise invalid(f"tools: at most {MOST_STRICT} tools may be strict")
    schemas = [(f"tools.{tool['name']}.input_schema", tool["input_schema"]) for tool in strict]
    if (wanted := format_of(body)) is not None:
        if wanted.get("type") != "json_schema" or not isinstance(wanted.get("schema"), dict):
            raise invalid("output_config.format.schema: Field required")
        if cites(body):
            raise invalid("output_config.format: citations cannot be enabled with an output format")
        schemas.append(("output_config.format.schema", wanted["schema"]))
    if schemas and not model.structures:
        raise invalid(f"structured outputs are not supported on {model.id}")
    figures = Figures()
    for place, schema in schemas:
        try:
            figures = figures.plus(measure(schema))
        except Unfitting as error:
            raise invalid(f"{place}: {error}") from None
    if figures.fault is not None:
        raise invalid(f"Schema is too complex for compilation: {figures.fault}")


def _check_deferred(tools: list[Json]) -> None:
    if any(finds_tools(tool) for tool in tools):
        if any(tool.get("input_examples") for tool in tools):
            raise invalid("tools: the tool search tool is not compatible with input_examples")
        if any(finds_tools(tool) and is_deferred(tool) for tool in tools):
            raise invalid("tools: the tool search tool cannot have defer_loading")


def _check_sampling(body: Json) -> None:
    for name in ("temperature", "top_p"):
        value = body.get(name, 1)
        if value is not None and (not isinstance(value, int | float) or not 0 <= value <= 1):
            raise invalid(f"{name}: Input should be a valid number, from 0 to 1")
    if body.get("temperature") is not None and body.get("top_p") is not None:
        raise invalid(
            "`temperature` and `top_p` cannot both be specified for this model. Please use only "
            "one."
        )
    if (body.get("thinking") or {}).get("type") not in ("enabled", "adaptive"):
        return
    if body.get("temperature") not in (None, 1):
        raise invalid("`temperature` may only be set to 1 when thinking is enabled.")
    if body.get("top_k") is not None:
        raise invalid("`top_k` must be unset when thinking is enabled.")
    if (body.get("top_p") or 1) < 0.95:
        raise invalid("`top_p` must be greater than or equal to 0.95 when thinking is enabled.")
