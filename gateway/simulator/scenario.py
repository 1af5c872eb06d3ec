"""Conversations with tools, written in advance.

    simulator.script(turn(
        calls(("weather", {"city": "Oslo"}), ("tides", {"port": "Oslo"})),
        lambda results: Reply(blocks=(Text(f"It is {results[0].text}."),)),
        when="Oslo",
    ))

Which step is due is read off the request (how many answers there have been since the user last said
something), so any number of conversations can follow one scenario at a time, each at its own step.
"""

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from gateway.simulator.reply import Json, Reply, ReplyBlock, ReplyText, ToolUse
from gateway.simulator.script import Responder
from gateway.simulator.transcript import blocks_of, last_turn, merged, results_first


class ToolReturn(msgspec.Struct, frozen=True):
    """What came back for a call: its text, and how many blocks of other kinds are in it."""

    id: str
    name: str
    input: Json
    text: str
    is_error: bool = False
    attachments: int = 0


ScenarioStep: TypeAlias = Reply | Callable[[list[ToolReturn]], Reply]
"""An answer, or how to make one of the results that the request brings."""


def calls(*tools: tuple[str, Json], say: str = "", first: tuple[ReplyBlock, ...] = ()) -> Reply:
    """An answer that calls these tools at once, each a name and its input, after saying `say`."""
    said = (ReplyText(say),) if say else ()
    return Reply(blocks=(*first, *said, *(ToolUse(name, given) for name, given in tools)))


def says(text: str) -> Callable[[list[ToolReturn]], Reply]:
    """An answer in text, in which `{name}` stands for what the tool of that name brought."""

    def reply(results: list[ToolReturn]) -> Reply:
        said = text
        for result in results:
            said = said.replace(f"{{{result.name}}}", result.text)
        return Reply(blocks=(ReplyText(said),))

    return reply


def turn(*steps: ScenarioStep, when: str = "") -> Responder:
    """Answers for `Simulator.script`: one step a request, in every turn whose message has `when`.

    Once the steps are used up, the request is left to whoever comes next.
    """

    def respond(body: Json) -> Reply | None:
        messages = body["messages"]
        since = last_turn(messages)
        taken = sum(message["role"] == "assistant" for message in since)
        asked = merged(messages[: len(messages) - len(since)])
        if taken >= len(steps) or when not in _text(asked[-1:]):
            return None
        step = steps[taken]
        return step if isinstance(step, Reply) else step(tool_results(body))

    return respond


def tool_results(body: Json) -> list[ToolReturn]:
    """The results with which the last message begins, in the order of their calls."""
    messages = [m for m in merged(body["messages"]) if m["role"] != "system"]
    if len(messages) < 2:
        return []
    given = {block["tool_use_id"]: block for block in results_first(messages[-1])}
    asked = [block for block in messages[-2]["content"] if block["type"] == "tool_use"]
    return [_result(call, given[call["id"]]) for call in asked if call["id"] in given]


def _result(call: Json, block: Json) -> ToolReturn:
    parts = blocks_of(block.get("content"))
    texts = [part["text"] for part in parts if part["type"] == "text"]
    return ToolReturn(
        id=call["id"],
        name=call["name"],
        input=call["input"],
        text="\n".join(texts),
        is_error=bool(block.get("is_error")),
        attachments=len(parts) - len(texts),
    )


def _text(messages: list[Json]) -> str:
    blocks = [block for message in messages for block in message["content"]]
    return "\n".join(block["text"] for block in blocks if block["type"] == "text")
