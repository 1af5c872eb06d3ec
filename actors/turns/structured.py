"""Whether an answer is the JSON that its client asked for."""

from __future__ import annotations

import trio

from actors.turns.turn import Turn
from protocol.errors import Failure
from protocol.provider.following import answer_fault


async def fault_of(turn: Turn) -> Failure | None:
    """Why what the turn says is not what `outputFormat` asks for, if it is not.

    All that its client reads is judged, as one text: an answer that paused goes on in the next
    request, and what is said before a call stands before the rest. An answer that was cut off,
    refused or stopped at a text of the client's is none, and its stop reason says so (the
    provider's page "Structured outputs", on invalid outputs).
    """
    wanted = turn.send.output_format
    if wanted is None or turn.step.answer.stop_reason != "end_turn":
        return None
    said = "".join(step.answer.said for step in turn.steps)
    fault = await trio.to_thread.run_sync(answer_fault, said, wanted.schema)
    if fault is None:
        return None
    return Failure(
        code="LLM_ERROR",
        message=f"The answer does not follow `outputFormat`: {fault}. Send again, or make the "
        "schema simpler.",
        retryable=True,
    )
