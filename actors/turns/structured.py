"""Whether an answer is the JSON that its client asked for."""

from __future__ import annotations

import trio

from actors.turns.turn import Turn
from protocol.errors import Failure
from protocol.provider.following import answer_fault


async def fault_of(turn: Turn) -> Failure | None:
    """Why the turn's last answer is not what `outputFormat` asks for, if it is not.

    An answer that was cut off, refused or stopped at a text of the client's is none, and its stop
    reason says so (the provider's page "Structured outputs", on invalid outputs).
    """
    answer, wanted = turn.step.answer, turn.send.output_format
    if wanted is None or answer.stop_reason != "end_turn":
        return None
    fault = await trio.to_thread.run_sync(answer_fault, answer.said, wanted.schema)
    if fault is None:
        return None
    return Failure(
        code="LLM_ERROR",
        message=f"The answer does not follow `outputFormat`: {fault}. Send again, or make the "
        "schema simpler.",
        retryable=True,
    )
