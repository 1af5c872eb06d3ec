"""A step of a turn: one request of the provider, what came back, and what its tools answered."""

from __future__ import annotations

from math import ceil

import msgspec

from protocol.answer import Answer
from protocol.mail import NewMessage
from protocol.prompt import Prompt
from protocol.provider.content import Block
from protocol.records import StepRecord
from protocol.sizes import CHARACTERS_A_TOKEN
from protocol.tools import CUT_OFF, NOT_RUN, ToolAnswer, tool_result
from protocol.usage import Terms, TokenCounts

NOT_GIVEN = ToolAnswer.failed("The tool's answer could not be shown to you.")


class Step:
    """One request of a turn; the model makes `ratio` tokens of one of the tokenizer's."""

    def __init__(self, model: str, prompt: Prompt, answer: Answer, *, ratio: float) -> None:
        self.model = model
        self.characters_a_token = CHARACTERS_A_TOKEN / ratio
        """Of the model, for English, about."""
        self.prompt = prompt
        self.answer = answer
        self.asked = False
        """Whether the provider may be billing for what it was asked and has not answered."""
        self.taken = False
        """Whether it has begun to answer, and has not said itself that it failed."""
        self.is_repeated = False
        """Whether an earlier try at it was given up for which the provider may bill, too."""
        self.request_id: str | None = None
        """The provider's id of the request, once it has said yes to it."""
        self.confirmed = 0
        """How many of its messages the session has."""
        self.output_estimate: int | None = None
        self.thinking_estimate = 0
        """Tokens as they were counted, for an answer whose final figure was never told."""
        self.answers: dict[str, ToolAnswer] = {}
        """What the tools answered, by the id of their call."""
        self.running: set[str] = set()
        """The ids of the calls that were handed to the client or the tool that runs them."""

    @property
    def wants_more(self) -> bool:
        """Whether the model goes on once it is asked again."""
        answer = self.answer
        called = answer.stop_reason == "tool_use" and bool(answer.calls)
        return answer.complete and (called or answer.pauses)

    def let_go(self) -> None:
        """Forget the request's body: once the answer has begun it is not sent again."""
        self.prompt = without_body(self.prompt)

    # --- what was billed -----------------------------------------------------------------------

    @property
    def _counts(self) -> TokenCounts:
        """What was billed; what the provider never told of it is estimated."""
        answer = self.answer
        billed = answer.billed(self.prompt.token_estimate, self.characters_a_token)
        if answer.output_is_final:
            return billed
        rough = ceil(answer.size / self.characters_a_token)
        likely = rough if self.output_estimate is None else self.output_estimate
        output = max(billed.output, min(likely, self.prompt.max_tokens))
        thinking = max(billed.thinking, min(self.thinking_estimate, output))
        return msgspec.structs.replace(billed, output=output, thinking=thinking)

    @property
    def is_estimated(self) -> bool:
        """Whether the provider never told the final figures, or those of an earlier try."""
        is_open = (self.asked or self.answer.started) and not self.answer.tells_bill
        return is_open or self.is_repeated

    @property
    def is_untold(self) -> bool:
        """Whether it has begun to answer and never told its final figure: that must be counted."""
        return self.answer.started and not self.answer.output_is_final

    @property
    def terms(self) -> Terms:
        """What its price depends on besides its counts."""
        return self.answer.terms(self.model)

    @property
    def record(self) -> StepRecord:
        """The step as the ledger keeps it."""
        return StepRecord(
            counts=self._counts,
            stop_reason=self.answer.stop_reason,
            estimated=self.is_estimated,
            counted_tokens=self.prompt.counted_tokens,
            media_tokens=self.prompt.media_tokens,
            has_tools=self.prompt.has_tools,
            tells_size=self.answer.tells_size,
            is_opaque=self.prompt.is_opaque,
            terms=self.terms,
            cleared_tokens=sum(edit.cleared_input_tokens for edit in self.answer.edits),
        )

    # --- what the session keeps ----------------------------------------------------------------

    def messages(self) -> list[NewMessage]:
        """What the step adds to the session: the answer and, after it, every call's result."""
        blocks = self.answer.kept_blocks()
        if not blocks:
            return []
        answer = NewMessage(
            role="assistant",
            content=msgspec.json.encode(blocks),
            status="complete" if self.answer.complete else "partial",
        )
        called = [block["id"] for block in blocks if block.get("type") == "tool_use"]
        results = [tool_result(call_id, self.answer_of(call_id)) for call_id in called]
        return [answer, _told(results)] if results else [answer]

    def answer_of(self, call_id: str) -> ToolAnswer:
        """The call's answer; without one, a word that says so."""
        if (fault := self.answer.faults.get(call_id)) is not None:
            return ToolAnswer.failed(fault)
        unanswered = CUT_OFF if call_id in self.running else NOT_RUN
        return self.answers.get(call_id, unanswered)

    def withheld(self) -> list[NewMessage]:
        """The results once more, without what the tools answered: the provider does not take it."""
        results = [tool_result(call["id"], NOT_GIVEN) for call in self.answer.calls]
        return [_told(results)] if results else []


def without_body(prompt: Prompt) -> Prompt:
    """The figures of a request alone."""
    return msgspec.structs.replace(prompt, body=b"")


def _told(results: list[Block]) -> NewMessage:
    return NewMessage(role="user", content=msgspec.json.encode(results))
