"""What the provider is told to answer: calls, searches, answers that stand still or go wrong."""

from __future__ import annotations

from typing import Any

from gateway.simulator import (
    ErrorReply,
    Fault,
    Reply,
    ReplyBlock,
    ReplyText,
    ReplyThinking,
    ToolUse,
    WebSearch,
    prefix_mismatch,
    results_for,
)

LONG = "The keeper of the light looks at the sea and counts the ships. " * 8
FOUND = results_for("tides", 2)

OVERLOADED = Reply(failure=ErrorReply(529))
ATTEMPTS = 3
"""How often the gateway asks before it gives up."""
MISMATCHED = Reply(failure=prefix_mismatch("messages.1.content.0"))
"""A thought in the first answer is held for one of another conversation."""
ODD = Reply(
    failure=ErrorReply(400, message="messages.1.content.0: Input is not what it should be.")
)
FORGETFUL = Reply(
    blocks=(ReplyThinking("What was that?"), ReplyText("I have forgotten.")),
    input_transformations=(
        {
            "type": "thinking_dropped",
            "path": "messages.1.content.0",
            "reason": "prefix_binding_mismatch",
        },
    ),
)
"""An answer without some of the thinking before it."""


def tide(description: str = "Tells the tide.") -> list[dict[str, Any]]:
    """A tool that the client runs."""
    return [{"name": "tide", "description": description, "inputSchema": {"type": "object"}}]


def asks(tool: str, ship: str = "Anna") -> Reply:
    """An answer that thinks and calls a tool."""
    return Reply(blocks=(ReplyThinking(f"Ask for the {ship}."), ToolUse(tool, {"ship": ship})))


def searches() -> Reply:
    """An answer that thinks and searches, and thinks again of what it has found."""
    search = WebSearch("tides", FOUND)
    return Reply(
        blocks=(
            ReplyThinking("Look it up."),
            search,
            ReplyThinking("So."),
            ReplyText("They rise."),
        )
    )


def pauses() -> Reply:
    """An answer that pauses where it searches."""
    return Reply(blocks=(ReplyThinking("Look it up."), WebSearch("tides", part="call")))


def goes_on() -> Reply:
    """What follows a pause: the search's result, and what the model thinks of it."""
    found = WebSearch("tides", FOUND, part="result")
    return Reply(blocks=(found, ReplyThinking("So."), ReplyText("They rise.")))


def refuses(*said: str) -> Reply:
    """The model would not answer, after it has said this."""
    return Reply(blocks=tuple(map(ReplyText, said)), stop_reason="refusal")


# --- answers that stand still: a turn can then be cancelled at a known place ----------------------


def _stalls(*blocks: ReplyBlock, at: int) -> Reply:
    """An answer that stands still after so many events, or so many before its end."""
    return Reply(blocks=blocks, flush=1, fault=Fault("stall", at))


def stalls_in_thought() -> Reply:
    """Some of a thought comes, and no more."""
    return _stalls(ReplyThinking(LONG), ReplyText(LONG), at=6)


def stalls_in_text() -> Reply:
    """A thought comes, and most of the text."""
    return _stalls(ReplyThinking("Count."), ReplyText(LONG), at=-6)


def stalls_in_search() -> Reply:
    """A text comes, and a search that has no result yet."""
    search = WebSearch("ships", part="call")
    return _stalls(ReplyThinking("Count."), ReplyText("I look it up."), search, at=-2)


def stalls_in_call() -> Reply:
    """A text comes, and a call whose arguments have been half sent."""
    call = ToolUse("tide", {"at": LONG})
    return _stalls(ReplyThinking("Ask."), ReplyText("I ask."), call, at=-6)


def stalls_behind_result() -> Reply:
    """What follows a pause: the search's result, and most of a text."""
    return _stalls(WebSearch("tides", FOUND, part="result"), ReplyText(LONG), at=-6)
