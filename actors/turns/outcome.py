"""What becomes of a turn once it is over: its row, what its session keeps, its terminal event.

What the session keeps is a rule on how the turn ended, the first line that fits:

| how it ended                                       | the session keeps                           |
|----------------------------------------------------|---------------------------------------------|
| the model declined to answer                       | all of it, for people alone                 |
| before any answer began, by the provider's refusal | the question for people; the former setting |
| before any answer began, by another failure        | the question for people alone               |
| a later request was refused: it had tools' answers | all of it, without what the tools answered  |
| a later request would be too large                 | all of it, without what the tools answered  |
| in any other way, a cancel among them              | all of it                                   |

A question that is kept for people alone is not sent again. After a cancel the question is sent
again, together with the next one. A failure that may pass does not count as a refusal.
"""

from __future__ import annotations

import msgspec

from actors.turns.ending import Ending
from actors.turns.turn import Turn
from protocol.errors import Failure
from protocol.mail import CompleteTurn, NewMessage
from protocol.records import StepRecord, TurnRecord, TurnStatus
from protocol.server import StepUsage, Usage, WireCost
from protocol.turn import STOP_BUDGET, STOP_CANCELLED, Ended, Failed


def settled(turn: Turn, ending: Ending, *, at: int) -> TurnRecord:
    """The turn's row as it is settled `at` this time, but for its cost."""
    row = turn.row
    return msgspec.structs.replace(
        row,
        model=row.billed_model,
        status=_status(turn, ending),
        stop_reason=None if ending.failure else _stop_reason(turn, ending),
        error_code=ending.failure.code if ending.failure else None,
        estimated=any(step.estimated for step in row.steps),
        settled_at=at,
    )


def completion(turn: Turn, ending: Ending, row: TurnRecord) -> CompleteTurn:
    """What the session keeps of the turn, whose settled row is `row`."""
    kept = CompleteTurn(
        turn=row,
        at=turn.confirmed,
        messages=turn.unconfirmed(),
        mismatched=any(step.answer.mismatched for step in turn.steps),
        container=turn.step.answer.container if turn.steps else None,
        container_gone=ending.container_gone,
    )
    failure = ending.failure
    if failure is not None and failure.code == "CONTEXT_TOO_LARGE" and kept.messages:
        # With these results no later question has room, whatever else is left out.
        kept = msgspec.structs.replace(kept, messages=_without_results(turn, kept.messages))
    if turn.steps and turn.step.answer.stop_reason == "refusal":
        return msgspec.structs.replace(kept, unsent="turn", status="refused")
    if failure is None or (turn.steps and turn.step.answer.started):
        return kept
    if len(turn.steps) <= 1:
        return msgspec.structs.replace(kept, unsent="turn", restores=not failure.retryable)
    if ending.is_refusal and (results := turn.steps[-2].withheld()):
        return msgspec.structs.replace(kept, unsent="results", messages=results)
    return kept


def _without_results(turn: Turn, messages: list[NewMessage]) -> list[NewMessage]:
    """The messages, in the end without what the last step's tools have answered."""
    results = turn.step.withheld()
    return [*messages[:-1], *results] if results and messages[-1].role == "user" else messages


def refused(turn: Turn, failure: Failure) -> Failed:
    """The end of a turn of which nothing was sent to the provider."""
    return Failed(turn_id=turn.turn_id, failure=failure, usage=None, cost=None)


def ended(turn: Turn, ending: Ending, row: TurnRecord) -> Ended | Failed:
    """The end of a turn whose settled row is `row`."""
    usage = Usage.of(row.counts, estimated=row.estimated, terms=row.terms)
    cost = WireCost.of(row.cost)
    if ending.failure is not None:
        billed = row.counts.any
        return Failed(
            turn_id=turn.turn_id,
            failure=ending.failure,
            usage=usage if billed else None,
            cost=cost if billed else None,
            stop_details=turn.stop_details,
            model=turn.answered_by,
        )
    return Ended(
        turn_id=turn.turn_id,
        stop_reason=row.stop_reason or "",
        usage=usage,
        cost=cost,
        context=turn.sent_context,
        steps=[_usage(step) for step in row.steps],
        stop_details=turn.stop_details,
        model=turn.answered_by,
        stop_sequence=turn.stop_sequence,
    )


def _usage(step: StepRecord) -> StepUsage:
    return StepUsage(
        stop_reason=step.stop_reason or "",
        usage=Usage.of(step.counts, estimated=step.estimated, terms=step.terms),
    )


def _is_whole(turn: Turn) -> bool:
    """Whether the model has said all it had to say."""
    step = turn.step
    return step.answer.complete and not step.wants_more


def _status(turn: Turn, ending: Ending) -> TurnStatus:
    if ending.failure is not None:
        return "failed"
    ended_by_us = ending.stop is not None and ending.stop != STOP_BUDGET
    return "completed" if ended_by_us or _is_whole(turn) else "cancelled"


def _stop_reason(turn: Turn, ending: Ending) -> str:
    if ending.stop is not None:
        return ending.stop
    if not _is_whole(turn):
        return STOP_CANCELLED
    reason = turn.step.answer.stop_reason
    if reason == "max_tokens" and turn.built.capped:
        return STOP_BUDGET
    return reason or "end_turn"
