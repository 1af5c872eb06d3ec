"""The tools that a model calls: the call in a line, the question about it in full, the answer."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import UNSET
from rich.console import Group, RenderableType
from rich.text import Text

from agentspace.messages import ToolApprovalRequest, ToolCall
from gateway.cli.views.figures import counted, size
from gateway.cli.views.indented import Indented

LONGEST_VALUE: Final = 40
LONGEST_ARGUMENTS: Final = 160
LONGEST_RESULT: Final = 600
"""Characters."""

RESULT_LINES: Final = 5

_RISKS: Final = {"low": "green", "medium": "yellow", "high": "bold red"}
_ELSEWHERE: Final = "It is run by the program that offered it, not here."


def called(label: str, call: ToolCall) -> RenderableType:
    """The call in one line, its arguments shortened."""
    line = Text(f"calls {label}({short_form(call.args)})", style="dim", overflow="fold")
    shown = Indented(line, hanging=True)
    if call.client_side is True:
        return Group(shown, Indented(Text(_ELSEWHERE, style="yellow")))
    return shown


def asked(label: str, request: ToolApprovalRequest) -> RenderableType:
    """Which tool wants to run, how dangerous that is, and with what: all of it."""
    head = Text(label, style="bold").append(" wants to run", style="not bold").append(" · ", "dim")
    if request.risk is UNSET:
        head.append("nobody knows how risky it is", style="yellow")
    else:
        head.append(f"{request.risk} risk", style=_RISKS[request.risk])
    if request.approval == "always":
        head.append(" · asks each time", "dim")
    arguments = msgspec.json.format(msgspec.json.encode(request.args), indent=2).decode()
    return Group(head, Indented(Text(arguments, overflow="fold")))


def answered(label: str, result: Any) -> RenderableType:
    """The first lines of what a tool answered."""
    return _excerpt(Text(f"{label}: ", style="dim"), text_of(result), "dim")


def failed(label: str, error: str) -> RenderableType:
    """The first lines of why a tool did not."""
    return _excerpt(Text(f"{label} failed: ", style="red"), error, "dim red")


def short_form(arguments: dict[str, Any]) -> str:
    """`name=value` pairs, as many as there is room for; values are shortened."""
    pairs = [f"{name}={_short(value)}" for name, value in arguments.items()]
    shown: list[str] = []
    for pair in pairs:
        if sum(map(len, shown)) + len(pair) > LONGEST_ARGUMENTS:
            shown.append(f"and {len(pairs) - len(shown)} more")
            break
        shown.append(pair)
    return ", ".join(shown)


def _short(value: Any) -> str:
    """JSON, cut in the middle of a long one."""
    text = msgspec.json.encode(value).decode()
    if len(text) <= LONGEST_VALUE:
        return text
    head = LONGEST_VALUE * 2 // 3
    return f"{text[:head]}…{text[head + 1 - LONGEST_VALUE :]}"


def text_of(result: Any) -> str:
    """The text of an answer; what is none is named in brackets, what is no answer's shape JSON."""
    if isinstance(result, str):
        return result
    if isinstance(result, list) and all(isinstance(block, dict) for block in result):
        return "\n".join(str(block.get("text", f"[{block.get('type')}]")) for block in result)
    return msgspec.json.encode(result).decode()


def _excerpt(head: Text, text: str, style: str) -> RenderableType:
    text = text.strip("\n")
    kept = "\n".join(text.split("\n")[:RESULT_LINES])[:LONGEST_RESULT]
    body = Text(kept or "(nothing)", style=style, overflow="fold")
    if "\n" not in kept:
        body = head.append_text(body)
        head = Text()
    parts = [part for part in (head, body) if part]
    if rest := text[len(kept) :]:
        parts.append(Text(f"… and {_amount(rest)}", style="dim"))
    return Indented(Group(*parts))


def _amount(rest: str) -> str:
    lines = rest.count("\n")
    weight = f"{size(len(rest.encode()))} more"
    return f"{counted(lines, 'line')}, {weight}" if lines else weight
