"""What a model refuses: thinking, effort, sampling, prefill, size, thoughts it never thought."""

from gateway.simulator.answers import AnswerMemory
from gateway.simulator.binding import check_block_binding
from gateway.simulator.errors import ApiError, invalid
from gateway.simulator.generations import takes_system_messages
from gateway.simulator.models import ModelSpec, ThinkingMode
from gateway.simulator.options import check_options
from gateway.simulator.reply import Json
from gateway.simulator.signature import Signer
from gateway.simulator.transcript import THOUGHTS, blocks_of, last_said, merged, results_first

SAMPLING = ("temperature", "top_p", "top_k")
NO_SAMPLING_SINCE = "2026-10-21"
"""From this API version on, no model takes sampling parameters."""
ENDS_AT_WINDOW_SINCE = "2025-09-29"
"""Models from this day on answer as far as the window goes, whatever `max_tokens` says."""
LEAST_BUDGET = 1024

_INSTEAD: dict[str, str] = {
    "adaptive": "adaptive thinking is not supported on this model",
    "between_tools": '"thinking.type.between_tools" is not supported for this model.',
}


def check_model(
    body: Json, model: ModelSpec | None, *, version: str, betas: frozenset[str]
) -> ModelSpec:
    """The model, if it exists and takes everything the request asks of it."""
    if model is None or model.lifecycle == "retired":
        raise ApiError(404, f"model: {body['model']}")
    _check_max_tokens(body, model)
    _check_system_messages(body, model)
    _check_thinking(body, model, betas)
    _check_effort(body, model)
    _check_sampling(body, model, version)
    _check_tool_choice(body, model)
    check_options(body, model)
    return model


def check_size(tokens: int, body: Json, model: ModelSpec) -> None:
    """The prompt must fit into the window; before 4.5, the longest answer along with it."""
    if tokens > model.window:
        raise invalid(f"prompt is too long: {tokens} tokens > {model.window} maximum")
    if model.released < ENDS_AT_WINDOW_SINCE and tokens + body["max_tokens"] > model.window:
        raise invalid(
            f"input length and `max_tokens` exceed context limit: {tokens} + {body['max_tokens']} "
            f"> {model.window}, decrease input length or `max_tokens` and try again"
        )


def check_signatures(body: Json, signer: Signer) -> None:
    """Thinking that comes back must be what was sent, to the letter."""
    for at, message in enumerate(body["messages"]):
        for place, block in enumerate(blocks_of(message["content"])):
            match block:
                case {"type": "thinking"}:
                    signature, shown = block.get("signature"), block.get("thinking")
                case {"type": "redacted_thinking"}:
                    signature, shown = block.get("data"), ""
                case _:
                    continue
            field = "signature" if block["type"] == "thinking" else "data"
            if not isinstance(signature, str) or not isinstance(shown, str):
                raise invalid(f"messages.{at}.content.{place}.{block['type']}: Field required")
            if not signer.recognises(signature, shown):
                raise invalid(
                    f"messages.{at}.content.{place}: Invalid `{field}` in `{block['type']}` block"
                )


def _check_max_tokens(body: Json, model: ModelSpec) -> None:
    asked = body.get("max_tokens") or 0
    if asked > model.max_tokens:
        raise invalid(
            f"max_tokens: {asked} > {model.max_tokens}, which is the maximum allowed number of "
            f"output tokens for {model.id}"
        )


def _check_system_messages(body: Json, model: ModelSpec) -> None:
    if takes_system_messages(model):
        return
    for at, message in enumerate(body["messages"]):
        if message["role"] == "system":
            raise invalid(f"messages.{at}: role 'system' is not supported on this model")


def _check_thinking(body: Json, model: ModelSpec, betas: frozenset[str]) -> None:
    thinking = body.get("thinking")
    if not thinking:
        return
    kind: ThinkingMode = thinking["type"]
    if kind not in ("enabled", "adaptive", "disabled", "between_tools"):
        raise invalid(
            f"thinking: Input tag '{kind}' found using 'type' does not match any of the expected "
            "tags: 'adaptive', 'between_tools', 'disabled', 'enabled'"
        )
    if kind not in model.thinking:
        raise invalid(_refusal(kind, model))
    check_block_binding(thinking, betas)
    if thinking.get("display") not in (None, "summarized", "omitted"):
        raise invalid(f"thinking.{kind}.display: Input should be 'summarized' or 'omitted'")
    if kind == "enabled":
        _check_budget(thinking.get("budget_tokens"), body)


def _refusal(kind: ThinkingMode, model: ModelSpec) -> str:
    if kind == "disabled" and "between_tools" in model.thinking:
        instead = 'To turn thinking off on this model, send "thinking": {"type": "between_tools"}.'
        return f'"thinking.type.disabled" is not supported for this model. {instead}'
    return _INSTEAD.get(
        kind,
        f'"thinking.type.{kind}" is not supported for this model. Use "thinking.type.adaptive" '
        'and "output_config.effort" to control thinking behavior.',
    )


def _check_budget(budget: object, body: Json) -> None:
    if not isinstance(budget, int):
        raise invalid("thinking.enabled.budget_tokens: Field required")
    if budget < LEAST_BUDGET:
        raise invalid(
            "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
        )
    if budget >= (body.get("max_tokens") or budget + 1):
        raise invalid("`max_tokens` must be greater than `thinking.budget_tokens`.")
    messages = merged(body["messages"])
    if len(messages) < 2 or not results_first(messages[-1]):
        return
    at = len(messages) - 2
    while at >= 2 and results_first(messages[at - 1]):  # it thinks once, before its first call
        at -= 2
    first = messages[at]["content"][0]["type"]
    if first not in ("thinking", "redacted_thinking"):
        raise invalid(
            f"messages.{at}.content.0.type: Expected `thinking` or "
            f"`redacted_thinking`, but found `{first}`. When `thinking` is enabled, a final "
            "`assistant` message must start with a thinking block."
        )


def _check_effort(body: Json, model: ModelSpec) -> None:
    effort = (body.get("output_config") or {}).get("effort")
    if effort is None:
        return
    if not model.efforts:
        raise invalid("This model does not support the effort parameter.")
    if effort not in model.efforts:
        supported = ", ".join(model.efforts)
        raise invalid(
            f"This model does not support effort level '{effort}'. Supported levels: {supported}."
        )
    kind = (body.get("thinking") or {}).get("type")
    if kind in ("disabled", "between_tools") and effort not in model.quiet_efforts:
        raise invalid(
            f"\"thinking.type.{kind}\" is not supported at effort level '{effort}' on this model. "
            "Use a lower effort level, or adaptive thinking."
        )


def _check_sampling(body: Json, model: ModelSpec, version: str) -> None:
    for name in SAMPLING:
        if body.get(name) is None:
            continue
        if not model.takes_sampling or version >= NO_SAMPLING_SINCE:
            raise invalid(f"`{name}` is deprecated for this model.")


def _check_tool_choice(body: Json, model: ModelSpec) -> None:
    forced = (body.get("tool_choice") or {}).get("type") in ("any", "tool")
    if not forced:
        return
    if model.always_thinks or "between_tools" in model.thinking:
        raise invalid("tool_choice: forced tool use is not supported for this model.")
    if (body.get("thinking") or {}).get("type") in ("enabled", "adaptive"):
        raise invalid("Thinking may not be enabled when tool_choice forces tool use.")


def check_end(body: Json, model: ModelSpec, answers: AnswerMemory) -> None:
    """A request ends with the user, with an answer that paused or, on older models, a prefill.

    A system message at the end does not count. No answer ends with thinking, but one that paused.
    """
    messages = merged(body["messages"])
    last = last_said(messages)
    paused = last["role"] == "assistant" and answers.paused(last)
    for at, message in enumerate(messages):
        _check_last_block(message, at, paused=paused and message is last)
    if last["role"] != "assistant" or paused:
        return
    if not model.takes_prefill:
        raise invalid(
            "This model does not support assistant message prefill. "
            "The conversation must end with a user message."
        )
    text = str(last["content"][-1].get("text", "")) if last["content"] else ""
    if text != text.rstrip():
        raise invalid("messages: final assistant content cannot end with trailing whitespace")


def _check_last_block(message: Json, at: int, *, paused: bool) -> None:
    """The real API says this of the answer a request ends with; strictly it holds for each."""
    if message["role"] != "assistant" or paused or not message["content"]:
        return
    kind = message["content"][-1]["type"]
    if kind in THOUGHTS:
        raise invalid(f"messages.{at}: The final block in an assistant message cannot be `{kind}`.")
