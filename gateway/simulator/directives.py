"""Directives: what a client without access to the simulator writes into its message.

    [[sim: chars=30 rate=50 count=500 thinking=20 fault=reset@10 status=529 delay=0.2]]

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
| `tool` | name of a tool to call at the end |
| `stop` | stop reason |
| `limits` | `on`: filler, too, obeys `max_tokens` and `stop_sequences` |
| `status` | error status instead of an answer |
| `retry_after` | seconds, with `status` |
| `fault` | `KIND`, `KIND@AT` or `KIND@AT:ARG`; ARG is an error type for `error`, else seconds |
"""

import re
from typing import Any

import msgspec

from gateway.simulator.errors import invalid
from gateway.simulator.reply import (
    Block,
    Failure,
    Fault,
    Reply,
    Text,
    Thinking,
    ToolUse,
    WebSearch,
)
from gateway.simulator.sources import cite, results_for

LIMIT = 64 * 1024 * 1024
"""Characters that one directive may ask for."""

_DIRECTIVE = re.compile(r"\[\[sim:(.*?)\]\]", re.DOTALL)
_FAULT = re.compile(r"(?P<kind>\w+)(?:@(?P<at>-?\d+))?(?::(?P<arg>[\w.]+))?")
_FILLER = "The quick brown fox jumps over the lazy dog while a patient gateway counts every token. "

_NUMBERS = {
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
_WORDS = ("tool", "stop", "limits", "fault")


def without_directives(text: str) -> str:
    """The text as its author meant it for the model."""
    return _DIRECTIVE.sub("", text).strip()


def directed(text: str, own: tuple[Block, ...]) -> Reply | None:
    """The reply that the text's directives ask for, if there are any; ApiError for nonsense.

    `own` is what the simulator would have said, for a directive that does not say what to say.
    """
    found = _DIRECTIVE.findall(text)
    if not found:
        return None
    asked = _parse(" ".join(found))
    chars = max(1, asked.get("chars", 16))
    blocks = _blocks(asked, chars, own)
    return Reply(
        blocks=blocks,
        stop_reason=asked.get("stop"),
        rate=asked.get("rate"),
        chars=chars,
        delay=asked.get("delay", 0.0),
        flush=asked.get("flush", 65_536),
        limits=asked.get("limits") == "on" or blocks == own,
        failure=_failure(asked),
        fault=_fault(asked["fault"]) if "fault" in asked else None,
    )


def _parse(text: str) -> dict[str, Any]:
    asked: dict[str, Any] = {}
    for pair in text.split():
        key, equals, value = pair.partition("=")
        if not equals or key not in (*_NUMBERS, *_WORDS):
            raise invalid(f"sim: there is no directive {pair!r}")
        try:
            asked[key] = _NUMBERS[key](value) if key in _NUMBERS else value
        except ValueError:
            raise invalid(f"sim: {key} takes a number, not {value!r}") from None
        if key in _NUMBERS and not 0 <= asked[key] <= LIMIT:
            raise invalid(f"sim: {key} is out of range: {value}")
    return asked


def _blocks(asked: dict[str, Any], chars: int, own: tuple[Block, ...]) -> tuple[Block, ...]:
    if not asked.keys() & {"count", "thinking", "search", "tool"}:
        return own
    blocks: list[Block] = []
    if asked.get("thinking"):
        blocks.append(Thinking(_filler(asked["thinking"], chars)))
    results = results_for("simulators", asked.get("search", 0))
    if results:
        blocks += [WebSearch("simulators", results), cite("What they agree on.", results)]
    if "count" in asked:
        blocks.append(Text(_filler(asked["count"], chars)))
    else:
        blocks += [block for block in own if isinstance(block, Text)]
    if "tool" in asked:
        blocks.append(ToolUse(asked["tool"]))
    return tuple(blocks)


def _filler(count: int, chars: int) -> str:
    size = count * chars
    if size > LIMIT:
        raise invalid(f"sim: {size} characters are more than {LIMIT}")
    return (_FILLER * (size // len(_FILLER) + 1))[:size]


def _failure(asked: dict[str, Any]) -> Failure | None:
    if "status" not in asked:
        return None
    if not 400 <= asked["status"] <= 599:
        raise invalid(f"sim: status is out of range: {asked['status']}")
    return Failure(asked["status"], retry_after=asked.get("retry_after"))


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
