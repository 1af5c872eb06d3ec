"""What a person who waits should know of a turn, in words."""

from __future__ import annotations

from collections.abc import Iterator

from protocol.context import SentContext
from protocol.errors import Failure
from protocol.turn import Noticed

_BUSY = {
    "OVERLOADED": "The provider is overloaded",
    "RATE_LIMITED": "The provider's rate limit is reached",
    "LLM_TIMEOUT": "The provider did not answer in time",
}


def waiting(failure: Failure, seconds: float) -> Noticed:
    """The provider could not answer, and is asked again."""
    what = _BUSY.get(failure.code, "The provider failed")
    return Noticed(
        kind="retry",
        message=f"{what}; it is asked again in {seconds:.1f} s.",
        retry_after_ms=round(seconds * 1_000),
    )


def left_out(context: SentContext | None) -> Iterator[Noticed]:
    """What the model does not see any more from now on, where an epoch begins."""
    if context is None or not context.epoch:
        return
    if context.left_out_turns:
        count = context.left_out_turns
        turns = "its oldest turn is" if count == 1 else f"its oldest {count} turns are"
        message = f"The conversation is too long for the model: {turns} not sent any more."
        yield Noticed(kind="window", message=message)
    if context.dropped_thinking:
        yield thinking_dropped(context.dropped_thinking)


def thinking_dropped(blocks: int) -> Noticed:
    """The model goes on without some of its earlier thinking."""
    return Noticed(
        kind="thinking_dropped",
        message="The model goes on without some of its earlier thinking, which no longer fits the "
        f"conversation (blocks: {blocks}).",
    )
