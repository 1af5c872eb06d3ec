"""What of the history the model does not see, in words."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import UNSET

from agentspace.messages import SentContext
from gateway.cli.views.figures import count, counted


def unseen(context: SentContext) -> Iterator[str]:
    """A line each for turns that were left out, tools' answers that were cleared, lost thinking."""
    if context.left_out_messages:
        turns = counted(context.left_out_turns, "turn")
        yield f"the oldest {turns}: more does not fit the window"
    if context.cleared_tool_uses is not UNSET and context.cleared_tool_uses:
        uses = counted(context.cleared_tool_uses, "old answer")
        tokens = context.cleared_tokens
        freed = "" if tokens is UNSET or not tokens else f", {count(tokens)} tokens"
        yield f"{uses} of tools{freed}: the provider cleared them"
    if context.epoch is not UNSET:
        yield "the thinking of earlier turns: the conversation began anew for the model"
    if context.dropped_thinking is not UNSET:
        blocks = counted(context.dropped_thinking, "thought")
        yield f"{blocks} of earlier turns: the provider found them bound to another conversation"
