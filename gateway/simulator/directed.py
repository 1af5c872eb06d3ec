"""The effect of directives: what they ask for, as a reply."""

import time
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import msgspec

from gateway.simulator.arguments import LIMIT
from gateway.simulator.directives import DIRECTIVES, parse
from gateway.simulator.errors import invalid
from gateway.simulator.notation import directives
from gateway.simulator.reply import (
    CodeExecution,
    ErrorReply,
    Json,
    Reply,
    ReplyBlock,
    ReplyText,
    ReplyThinking,
    ServerCall,
    WebFetch,
    WebSearch,
)
from gateway.simulator.request import last_text
from gateway.simulator.sources import results_for, told_of
from gateway.simulator.transcript import last_said, results_first

MOST_SEARCHES = 100

_FILLER = "The quick brown fox jumps over the lazy dog while a patient gateway counts every token. "


def within_uses(reply: Reply, most: int | None) -> Reply:
    """The reply with at most so many searches: each further one fails (the page "Web search")."""
    if most is None:
        return reply
    blocks, used = [], 0
    for block in reply.blocks:
        is_search = isinstance(block, WebSearch) and block.part != "result"
        used += is_search
        failed = is_search and used > most
        blocks.append(
            msgspec.structs.replace(block, error="max_uses_exceeded") if failed else block
        )
    return msgspec.structs.replace(reply, blocks=tuple(blocks))


def directed(text: str, own: tuple[ReplyBlock, ...]) -> Reply | None:
    """The reply that the text's directives ask for, if there are any; ApiError for nonsense.

    `own` is what the simulator would have said, for a directive that does not say what to say.
    """
    found = list(directives(text))
    if not found:
        return None
    asked = parse(word for directive in found for word in directive.words)
    fields = {row.sets: asked[key] for key, row in DIRECTIVES.items() if row.sets and key in asked}
    chars = max(1, asked.get("chars", 16))
    blocks = _blocks(asked, chars, own)
    reply = Reply(
        blocks=blocks,
        stop_reason=_stop(asked),
        stop_sequence="STOP" if asked.get("stop") == "stop_sequence" else None,
        stop_details=_details(asked),
        chars=chars,
        limits=asked.get("limits", False) or blocks == own,
        failure=_failure(asked),
    )
    reply = msgspec.structs.replace(reply, **fields)
    return msgspec.structs.replace(reply, usage={**_where(asked), **(reply.usage or {})} or None)


def model_after_tools(body: Json) -> str | None:
    """The model that the turn's question directs to answer, if tools have answered since then."""
    if not results_first(last_said(body["messages"])):
        return None
    asked = (one for one in reversed(body["messages"]) if one["role"] == "user")
    question = next((one for one in asked if not results_first(one)), None)
    reply = None if question is None else directed(last_text({"messages": [question]}), ())
    return None if reply is None else reply.model_after_tools


def _where(asked: dict[str, Any]) -> Json:
    """Where and how fast it ran, as the usage tells it."""
    names = {"region": "inference_geo", "speed": "speed"}
    return {name: asked[key] for key, name in names.items() if key in asked}


def _blocks(
    asked: dict[str, Any], chars: int, own: tuple[ReplyBlock, ...]
) -> tuple[ReplyBlock, ...]:
    if not any(DIRECTIVES[key].speaks for key in asked):
        return own
    blocks: list[ReplyBlock] = []
    if asked.get("thinking"):
        blocks.append(ReplyThinking(_filler(asked["thinking"], chars)))
    for served in _served(asked):
        if asked.get("pause"):
            return (*blocks, msgspec.structs.replace(served, part="call"))
        blocks += [served, told_of(served)]
    if asked.get("count"):
        blocks.append(ReplyText(_filler(asked["count"], chars)))
    elif "count" not in asked:
        blocks += [block for block in own if isinstance(block, ReplyText)]
    return (*blocks, *_called(asked))


def _called(asked: dict[str, Any]) -> list[ReplyBlock]:
    """The calls of a client's tools, as odd as they are asked for."""
    odd = {"text": asked.get("arguments"), "id": asked.get("call_id")}
    return [msgspec.structs.replace(call, **odd) for call in asked.get("tool", ())]


def _served(asked: dict[str, Any]) -> list[ServerCall]:
    """What the provider's own tools are to do."""
    served: list[ServerCall] = []
    if asked.get("search"):
        search = WebSearch("simulators", results_for("simulators", asked["search"]))
        served += [search] * min(asked.get("searches", 1), MOST_SEARCHES)
    if "fetch" in asked:
        served.append(WebFetch(asked["fetch"], title="A page that was fetched"))
    if asked.get("code"):
        files = tuple(f"file_simulated_{number + 1}" for number in range(asked.get("files", 0)))
        served.append(CodeExecution("echo $((6 * 7))", stdout="42\n", files=files))
    return served


def _stop(asked: dict[str, Any]) -> str | None:
    return "refusal" if "category" in asked else asked.get("stop")


def _details(asked: dict[str, Any]) -> Json | None:
    if _stop(asked) != "refusal":
        return None
    explanation = "The simulator was told to refuse."
    return {"type": "refusal", "category": asked.get("category"), "explanation": explanation}


def _filler(count: int, chars: int) -> str:
    size = count * chars
    if size > LIMIT:
        raise invalid(f"sim: {size} characters are more than {LIMIT}")
    return (_FILLER * (size // len(_FILLER) + 1))[:size]


def _failure(asked: dict[str, Any]) -> ErrorReply | None:
    failure: ErrorReply | None = asked.get("status")
    if failure is None:
        return None
    return msgspec.structs.replace(
        failure,
        retry_after=asked.get("retry_after"),
        headers=tuple(_hints(asked)),
        page=asked.get("page", False),
    )


def _hints(asked: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """When to try again, as headers say it."""
    if "retry_date" in asked:
        yield "retry-after", formatdate(time.time() + asked["retry_date"], usegmt=True)
    if "retry_after_ms" in asked:
        yield "retry-after-ms", str(asked["retry_after_ms"])
    if "should_retry" in asked:
        yield "x-should-retry", "true" if asked["should_retry"] else "false"
