"""What the simulator billed: one line an answer, whatever became of it."""

from collections.abc import Callable
from typing import Literal

import msgspec

from gateway.simulator.draft import ReplyDraft, output_tokens
from gateway.simulator.events import StreamEvent
from gateway.simulator.reply import Json

BillOutcome = Literal["completed", "aborted", "faulted"]


class Bill(msgspec.Struct, frozen=True):
    """One answer's bill.

    `outcome`: `completed` when `message_stop` (or the whole body) went out, `faulted` when the
    simulator broke it off as it was asked to, `aborted` when the client left. `usage` has the shape
    of a message's usage: the final one where `message_delta` told it, else what had been written by
    then. `free`: nothing is to be paid, which is so of a refusal before any output, of the
    categories `cyber`, `general_harms` or none (the page "Refusals and fallback"). `deltas` counts
    the `content_block_delta` events sent, `output_tokens` is the output's price.
    """

    message_id: str
    request_id: str
    model: str
    outcome: BillOutcome
    usage: Json
    deltas: int
    output_tokens: int
    free: bool = False


class Tally:
    """Counts what has been handed to the socket, and settles the bill, once.

    The bill is settled just before the end is sent: a client that has read the end finds it.
    """

    def __init__(self, settle: Callable[["Tally"], None]) -> None:
        self.deltas = 0
        self.spoken = 0
        self.thought = 0
        self.served: list[str] = []
        self.complete = False
        self.told = False
        self._settle: Callable[[Tally], None] | None = settle

    def add(self, event: StreamEvent) -> None:
        """Count one event."""
        self.deltas += event.is_delta
        self.spoken += event.spoken
        self.thought += event.thought
        if event.served:
            self.served.append(event.served)
        self.told = self.told or event.tells
        if event.ends:
            self.complete = self.complete or event.frame.startswith(b"event: message_stop")
            self.settle()

    def settle(self) -> None:
        """Nothing more will be counted."""
        if self._settle is not None:
            self._settle(self)
            self._settle = None


def bill(draft: ReplyDraft, tally: Tally, *, faulted: bool) -> Bill:
    """The line for an answer that has ended, one way or another."""
    usage = draft.usage
    if not (tally.told or tally.complete):
        thinking = output_tokens(tally.thought, draft.ratio)
        output = max(1, output_tokens(tally.thought + tally.spoken, draft.ratio))
        usage = usage.after(output, thinking, tally.served)
    figures = usage.in_message()
    outcome: BillOutcome = "faulted" if faulted else "aborted"
    return Bill(
        message_id=draft.id,
        request_id=draft.request_id,
        model=draft.model,
        outcome="completed" if tally.complete else outcome,
        usage=figures,
        deltas=tally.deltas,
        output_tokens=figures["output_tokens"],
        free=_is_free(draft),
    )


def _is_free(draft: ReplyDraft) -> bool:
    details = draft.reply.stop_details
    category = details.get("category") if isinstance(details, dict) else None
    refused = draft.stop_reason == "refusal" and not draft.content
    return refused and category in ("cyber", "general_harms", None)
