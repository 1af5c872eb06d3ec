"""A step of a turn: one request of the provider, what came back, and what its tools answered."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from protocol.answer import Answer
from protocol.mail import NewMessage
from protocol.prompt import Prompt
from protocol.provider.content import Block
from protocol.records import CalibrationRecord, MessageStatus, StepRecord
from protocol.server import StepUsage, Usage
from protocol.tools import CUT_OFF, NOT_RUN, ToolAnswer, tool_result
from protocol.usage import TokenCounts

NOT_GIVEN = ToolAnswer.failed("The tool's answer could not be shown to you.")


class Step:
    """One request of a turn, whose input is estimated at `estimate` tokens.

    `held` are the blocks of answers that paused just before it.
    """

    def __init__(self, prompt: Prompt, answer: Answer, held: list[Block], *, estimate: int) -> None:
        self.prompt = prompt
        self.estimate = estimate
        self.answer = answer
        self.held = held
        self._counted_tokens = prompt.counted_tokens  # once: it looks at the whole history
        self._media_tokens = prompt.media_tokens
        self.asked = False
        """Whether the provider may be billing for what it was asked and has not answered."""
        self.taken = False
        """Whether it has begun to answer, and has not said itself that it failed."""
        self.output_estimate = self.thinking_estimate = 0
        """Tokens, for an answer whose final figure the provider never told."""
        self.answers: dict[str, ToolAnswer] = {}
        """What the tools answered, by the id of their call."""
        self.running: set[str] = set()
        """The ids of the calls that have been given to who runs them."""

    @property
    def wants_more(self) -> bool:
        """Whether the model goes on once it is asked again."""
        answer = self.answer
        called = answer.stop_reason == "tool_use" and bool(answer.calls)
        return answer.complete and (called or answer.pauses)

    @property
    def counts(self) -> TokenCounts:
        """What was billed, its output estimated when the provider never told the final figure."""
        told = self.answer.counts
        if not self.is_estimated:
            return told
        return msgspec.structs.replace(
            told,
            output=max(told.output, self.output_estimate),
            thinking=max(told.thinking, self.thinking_estimate),
        )

    @property
    def is_estimated(self) -> bool:
        """Whether the provider never told the final figure."""
        return (self.asked or self.answer.started) and not self.answer.output_is_final

    def messages(self, answered: Collection[str] | None = None) -> list[NewMessage]:
        """What the step adds to the history: the answer and, behind it, every call's result.

        `answered` are the uses of the provider's own tools that a later step has the results of;
        `None` while that is not known yet.
        """
        if answered is None:
            answered = [block["id"] for block in self.blocks if "id" in block]
        blocks = self.answer.kept_blocks(self.held, answered)
        if not blocks:
            return []
        answer = NewMessage(
            role="assistant", content=msgspec.json.encode(blocks), status=self._status
        )
        results = [
            tool_result(block["id"], self.answer_of(block["id"]))
            for block in blocks
            if block.get("type") == "tool_use"
        ]
        if not results:
            return [answer]
        return [answer, NewMessage(role="user", content=msgspec.json.encode(results))]

    def answer_of(self, call_id: str) -> ToolAnswer:
        """What answers the call, also when nobody did."""
        unanswered = CUT_OFF if call_id in self.running else NOT_RUN
        return self.answers.get(call_id, unanswered)

    def withhold(self) -> None:
        """The provider would not take what the tools answered: the history must not have it."""
        self.answers = dict.fromkeys(self.answers, NOT_GIVEN)

    @property
    def result_ids(self) -> list[str]:
        """The uses of the provider's own tools that this step has the results of."""
        return [block["tool_use_id"] for block in self.blocks if "tool_use_id" in block]

    @property
    def blocks(self) -> list[Block]:
        """The answer's blocks, behind those of the answers that paused before it."""
        return [*self.held, *self.answer.blocks]

    @property
    def _status(self) -> MessageStatus:
        return "complete" if self.answer.complete else "partial"

    def pause(self) -> NewMessage:
        """An answer that paused, as the provider wants it back."""
        return NewMessage(role="assistant", content=msgspec.json.encode(self.blocks))

    @property
    def record(self) -> StepRecord:
        """The step as the ledger keeps it."""
        return StepRecord(
            counts=self.counts,
            stop_reason=self.answer.stop_reason,
            estimated=self.is_estimated,
            counted_tokens=self._counted_tokens,
            media_tokens=self._media_tokens,
            has_tools=self.prompt.has_tools,
            cleared_tokens=sum(edit.cleared_input_tokens for edit in self.answer.edits),
        )

    @property
    def sample(self) -> CalibrationRecord | None:
        """What there is to learn from it, once the provider has told what the input is billed."""
        return self.record.sample(self.prompt.model)

    @property
    def usage(self) -> StepUsage:
        """The step's figures for the client."""
        return StepUsage(
            stop_reason=self.answer.stop_reason or "",
            usage=Usage.of(self.counts, estimated=self.is_estimated),
        )
