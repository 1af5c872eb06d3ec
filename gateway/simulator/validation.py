"""What the Messages API refuses about a request as such; `rules.py` has what a model refuses.

Each check raises an ApiError with the status and, closely, the words of the real one.
"""

from typing import Any

from gateway.simulator.context_editing import CONTEXT_MANAGEMENT
from gateway.simulator.errors import ApiError, invalid
from gateway.simulator.prompt import UNMARKABLE, ttl_of
from gateway.simulator.reply import Json
from gateway.simulator.system_messages import check_first, check_system_messages
from gateway.simulator.tool_calls import check_tool_calls
from gateway.simulator.tool_changes import check_tool_changes, definition_of, offered
from gateway.simulator.tool_definitions import check_tools
from gateway.simulator.transcript import blocks_of, merged

BREAKPOINTS = 4
ROLES = ("user", "assistant", "system")

FIELDS = frozenset(
    {
        "cache_control",
        "container",
        "diagnostics",
        "inference_geo",
        "max_tokens",
        "messages",
        "metadata",
        "model",
        "output_config",
        "service_tier",
        "speed",
        "stop_sequences",
        "stream",
        "system",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
    }
)
"""What a request may say; whatever else it says needs a beta."""


def check_headers(headers: dict[str, str]) -> None:
    """A key and a version must be there; the key `bad` is wrong, any other is right."""
    bearer = headers.get("authorization", "")
    key = headers.get("x-api-key") or bearer.removeprefix("Bearer ").strip()
    if not key:
        raise ApiError(401, "x-api-key header is required")
    if key == "bad":
        raise ApiError(401)
    if "anthropic-version" not in headers:
        raise invalid("anthropic-version: header is required")


def check_body(body: Any, betas: frozenset[str], *, counting: bool = False) -> Json:
    """The body as a request for a message (or, `counting`, for its tokens)."""
    if body is None:
        raise invalid("The request body is not valid JSON.")
    if not isinstance(body, dict):
        raise invalid("Input should be a valid dictionary or object to extract fields from")
    _check_field(body, "model", str, "string")
    if not counting or body.get("max_tokens") is not None:
        _check_field(body, "max_tokens", int, "integer")
        if body["max_tokens"] < 0:
            raise invalid("max_tokens: Input should be greater than or equal to 0")
    _check_field(body, "messages", list, "list")
    _check_fields(body, betas)
    _check_system(body.get("system"))
    check_tools(body.get("tools"))
    _check_choices(body)
    _check_messages(body["messages"])
    check_tool_changes(body, betas)
    _check_tool_choice(body)
    _check_breakpoints(body)
    return body


def _check_field(owner: Json, name: str, kind: type, word: str, place: str = "") -> None:
    if owner.get(name) is None:
        raise invalid(f"{place}{name}: Field required")
    if not isinstance(owner[name], kind) or isinstance(owner[name], bool):
        raise invalid(f"{place}{name}: Input should be a valid {word}")


def _check_fields(body: Json, betas: frozenset[str]) -> None:
    """Fields that nobody knows; under a beta that is not known here, they may be its own."""
    others = bool(betas - {CONTEXT_MANAGEMENT})
    for name in body:
        allowed = CONTEXT_MANAGEMENT in betas if name == "context_management" else others
        if name not in FIELDS and not allowed:
            raise invalid(f"{name}: Extra inputs are not permitted")


def _check_system(system: Any) -> None:
    if system is None or isinstance(system, str):
        return
    if not isinstance(system, list):
        raise invalid("system: Input should be a valid string or list")
    for at, block in enumerate(system):
        if not isinstance(block, dict) or block.get("type") != "text":
            raise invalid(f"system.{at}.type: Input should be 'text'")
        _check_text(block, "system", at)


def _check_choices(body: Json) -> None:
    """The shapes of the options that have one."""
    for name in ("thinking", "tool_choice"):
        option = body.get(name)
        if option is not None and (not isinstance(option, dict) or "type" not in option):
            raise invalid(f"{name}.type: Field required")
    config = body.get("output_config")
    if config is not None and not isinstance(config, dict):
        raise invalid("output_config: Input should be a valid dictionary")
    stops = body.get("stop_sequences") or []
    if not isinstance(stops, list) or not all(isinstance(stop, str) for stop in stops):
        raise invalid("stop_sequences: Input should be a valid list of strings")
    if not all(stop.strip() for stop in stops):
        raise invalid("stop_sequences: each stop sequence must contain non-whitespace")


def _check_tool_choice(body: Json) -> None:
    """A tool can be forced that is on offer at the end of the conversation."""
    choice = body.get("tool_choice") or {}
    if choice.get("type") not in ("any", "tool"):
        return
    tools = offered(body)
    if not tools:
        raise invalid("tool_choice may only be specified while providing tools")
    name = choice.get("name")
    if choice["type"] == "tool" and all(tool.get("name") != name for tool in tools):
        raise invalid(f"Tool '{name}' not found in provided tools")


def _check_messages(messages: list[Any]) -> None:
    if not messages:
        raise invalid("messages: at least one message is required")
    for at, message in enumerate(messages):
        if not isinstance(message, dict):
            raise invalid(f"messages.{at}: Input should be a valid dictionary")
        _check_field(message, "role", str, "string", f"messages.{at}.")
        if message["role"] not in ROLES:
            raise invalid(f"messages.{at}.role: Input should be 'user', 'assistant' or 'system'")
        _check_content(message, at, is_last=at == len(messages) - 1)
    check_first(messages)
    if messages[0]["role"] != "user":
        raise invalid('messages: first message must use the "user" role')
    check_tool_calls(merged(messages))
    check_system_messages(messages)


def _check_content(message: Json, at: int, *, is_last: bool) -> None:
    content = message.get("content")
    if content is None:
        raise invalid(f"messages.{at}.content: Field required")
    if not isinstance(content, str | list):
        raise invalid(f"messages.{at}.content: Input should be a valid string or list")
    if not content and not (is_last and message["role"] == "assistant"):
        raise invalid(
            f"messages.{at}: all messages must have non-empty content "
            "except for the optional final assistant message"
        )
    for place, block in enumerate(blocks_of(content) if content else ()):
        _check_block(block, f"messages.{at}.content.{place}.")
        if block["type"] == "text":
            _check_text(block, f"messages.{at}.content", place)


def _check_block(block: Any, place: str) -> None:
    if not isinstance(block, dict):
        raise invalid(f"{place.rstrip('.')}: Input should be a valid dictionary")
    _check_field(block, "type", str, "string", place)


def _check_text(block: Json, owner: str, place: int) -> None:
    _check_field({"text": "", **block} if "text" in block else block, "text", str, "string")
    if not block["text"]:
        raise invalid(f"{owner}.{place}: text content blocks must be non-empty")
    if not block["text"].strip():
        raise invalid(f"{owner}.{place}: text content blocks must contain non-whitespace text")


def _check_breakpoints(body: Json) -> None:
    blocks = [
        *(body.get("tools") or []),
        *blocks_of(body.get("system") or []),
        *(
            owner
            for message in body["messages"]
            for block in blocks_of(message["content"])
            for owner in (block, definition_of(block))
            if owner is not None
        ),
    ]
    marked = [block for block in blocks if block.get("cache_control")]
    for block in marked:
        if block.get("type") in UNMARKABLE:
            raise invalid(
                f"messages: {block['type']}.cache_control: Extra inputs are not permitted"
            )
    controls = [owner["cache_control"] for owner in (*marked, body) if owner.get("cache_control")]
    if len(controls) > BREAKPOINTS:
        raise invalid(
            f"A maximum of {BREAKPOINTS} blocks with cache_control may be provided. "
            f"Found {len(controls)}."
        )
    _check_lives(controls)
    _check_automatic(body, blocks)


def _check_lives(controls: list[Any]) -> None:
    short = False
    for control in controls:
        if not isinstance(control, dict) or control.get("type") != "ephemeral":
            raise invalid("cache_control.type: Input should be 'ephemeral'")
        ttl = control.get("ttl") or "5m"
        if ttl not in ("5m", "1h"):
            raise invalid("cache_control.ephemeral.ttl: Input should be '5m' or '1h'")
        if ttl == "1h" and short:
            raise invalid(
                "a ttl='1h' cache_control block must not come after a ttl='5m' "
                "cache_control block. Note that blocks are processed in the following order: "
                "`tools`, `system`, `messages`."
            )
        short = short or ttl == "5m"


def _check_automatic(body: Json, blocks: list[Json]) -> None:
    """The request's own breakpoint must not contradict the one that is already there."""
    able = [block for block in blocks if block.get("type") not in UNMARKABLE]
    explicit = ttl_of(able[-1]) if able else None
    automatic = ttl_of(body)
    if explicit and automatic and explicit != automatic:
        raise invalid(
            f"cache_control: the last block already has a cache_control with ttl='{explicit}', "
            f"which differs from the automatic ttl='{automatic}'."
        )
