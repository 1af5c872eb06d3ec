"""Directives: what a client without access to the simulator writes into its message.

    [[sim: chars=30 rate=50 count=500 thinking=20 fault=reset@10 status=529 delay=0.2]]
    [[sim: tool=weather {"city": "Oslo"} tool=tides {"port": "Oslo"}]]
    [[sim: search=3 pause=on]]

Pairs `key=value`, apart by blanks, in the last message's text; every key is optional, an unknown
one is a 400. Several directives in one text are one.

| key | value |
|---|---|
| `count` | text deltas, of filler (without it: the text the simulator would have written) |
| `thinking` | thinking deltas before them (none are seen where the display is `omitted`) |
| `chars` | characters in a delta |
| `rate` | deltas a second; 0 is as fast as it goes |
| `delay` | seconds before the first byte |
| `flush` | bytes gathered before an unpaced stream is sent; 1 is event by event |
| `search` | results of a web search that comes first, each of them cited |
| `fetch` | url of a page that is fetched first, and cited |
| `code` | `on`: code is executed first, and its output told |
| `pause` | `on`: the answer stops before the results of these three, and the next goes on there |
| `tool` | name of a tool to call at the end, and its input as an object; as often as you like. |
| | What it brings is quoted in the answer to its results |
| `stop` | stop reason |
| `category` | of a refusal: `cyber`, `bio`, …; it stops for that reason |
| `limits` | `on`: filler, too, obeys `max_tokens` and `stop_sequences` |
| `status` | error status instead of an answer |
| `retry_after` | seconds, with `status` |
| `fault` | `KIND`, `KIND@AT` or `KIND@AT:ARG`; ARG is an error type for `error`, else seconds |
"""

import re
from typing import Any

import msgspec

from gateway.simulator.errors import invalid
from gateway.simulator.notation import Word, directives
from gateway.simulator.reply import (
    CodeExecution,
    ErrorReply,
    Fault,
    Json,
    Reply,
    ReplyBlock,
    ReplyText,
    ReplyThinking,
    ServerCall,
    ToolUse,
    WebFetch,
    WebSearch,
)
from gateway.simulator.sources import results_for, told_of

LIMIT = 64 * 1024 * 1024
"""Characters that one directive may ask for."""

_FAULT = re.compile(r"(?P<kind>\w+)(?:@(?P<at>-?\d+))?(?::(?P<arg>[\w.]+))?")
_FILLER = "The quick brown fox jumps over the lazy dog while a patient gateway counts every token. "

_NUMBERS: dict[str, type[int] | type[float]] = {
    "count": int,
    "thinking": int,
    "chars": int,
    "flush": int,
    "search": int,
    "status": int,
    "rate": float,
    "delay": float,
    "retry_after": float,
}
_WORDS = ("stop", "category", "limits", "fault", "fetch", "code", "pause")
_CONTENT = frozenset({"count", "thinking", "search", "fetch", "code", "tool"})


def without_directives(text: str) -> str:
    """The text as its author meant it for the model."""
    kept, start = [], 0
    for directive in directives(text):
        kept.append(text[start : directive.start])
        start = directive.end
    return "".join((*kept, text[start:])).strip()


def directed(text: str, own: tuple[ReplyBlock, ...]) -> Reply | None:
    """The reply that the text's directives ask for, if there are any; ApiError for nonsense.

    `own` is what the simulator would have said, for a directive that does not say what to say.
    """
    found = list(directives(text))
    if not found:
        return None
    asked = _parse([word for directive in found for word in directive.words])
    chars = max(1, asked.get("chars", 16))
    blocks = _blocks(asked, chars, own)
    return Reply(
        blocks=blocks,
        stop_reason=_stop(asked),
        stop_sequence="STOP" if asked.get("stop") == "stop_sequence" else None,
        stop_details=_details(asked),
        rate=asked.get("rate"),
        chars=chars,
        delay=asked.get("delay", 0.0),
        flush=asked.get("flush", 65_536),
        limits=asked.get("limits") == "on" or blocks == own,
        failure=_failure(asked),
        fault=_fault(asked["fault"]) if "fault" in asked else None,
    )


def _parse(words: list[Word]) -> dict[str, Any]:
    asked: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.text.partition("=")
        if equals and value and key == "tool":
            asked.setdefault("tool", []).append(ToolUse(value, word.given or {}))
        elif not equals or word.given is not None or key not in (*_NUMBERS, *_WORDS):
            raise invalid(f"sim: there is no directive {word.text!r}")
        else:
            asked[key] = _number(key, value) if key in _NUMBERS else value
    return asked


def _number(key: str, value: str) -> float:
    try:
        number = _NUMBERS[key](value)
    except ValueError:
        raise invalid(f"sim: {key} takes a number, not {value!r}") from None
    if not 0 <= number <= LIMIT:
        raise invalid(f"sim: {key} is out of range: {value}")
    return number


def _blocks(
    asked: dict[str, Any], chars: int, own: tuple[ReplyBlock, ...]
) -> tuple[ReplyBlock, ...]:
    if not asked.keys() & _CONTENT:
        return own
    blocks: list[ReplyBlock] = []
    if asked.get("thinking"):
        blocks.append(ReplyThinking(_filler(asked["thinking"], chars)))
    for served in _served(asked):
        if asked.get("pause") == "on":
            return (*blocks, msgspec.structs.replace(served, part="call"))
        blocks += [served, told_of(served)]
    if "count" in asked:
        blocks.append(ReplyText(_filler(asked["count"], chars)))
    else:
        blocks += [block for block in own if isinstance(block, ReplyText)]
    return (*blocks, *asked.get("tool", ()))


def _served(asked: dict[str, Any]) -> list[ServerCall]:
    """What the provider's own tools are to do."""
    served: list[ServerCall] = []
    if asked.get("search"):
        served.append(WebSearch("simulators", results_for("simulators", asked["search"])))
    if "fetch" in asked:
        served.append(WebFetch(asked["fetch"], title="A page that was fetched"))
    if asked.get("code") == "on":
        served.append(CodeExecution("echo $((6 * 7))", stdout="42\n"))
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
    if "status" not in asked:
        return None
    if not 400 <= asked["status"] <= 599:
        raise invalid(f"sim: status is out of range: {asked['status']}")
    return ErrorReply(asked["status"], retry_after=asked.get("retry_after"))


def _fault(text: str) -> Fault:
    match = _FAULT.fullmatch(text)
    if match is None:
        raise invalid(f"sim: there is no fault {text!r}")
    fault: dict[str, Any] = {"kind": match["kind"], "at": int(match["at"] or 0)}
    if match["arg"] is not None:
        fault["error_type" if match["kind"] == "error" else "seconds"] = match["arg"]
    try:
        return msgspec.convert(fault, Fault, strict=False)
    except msgspec.ValidationError:
        raise invalid(f"sim: there is no fault {text!r}") from None
