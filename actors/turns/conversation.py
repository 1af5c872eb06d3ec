"""A turn's conversation with the provider: ask, run the tools that were called, ask again.

It is the only part of a turn that a cancel covers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from actors.deadline import deadline
from actors.mailbox import Address
from actors.ports import Prices
from actors.serving import BUG
from actors.turns.budget import left_of
from actors.turns.faults import MALFORMED
from actors.turns.tools import ToolRunner
from actors.turns.turn import Turn
from actors.turns.upstream import Upstream, UpstreamSettings
from protocol.errors import Failure, GatewayError, ProviderError, TooLong
from protocol.mail import ContextBuilt, ContextExtended, ExtendContext, NewMessage
from protocol.prompt import Prompt
from protocol.provider.events import MalformedEvent
from protocol.turn import STOP_BUDGET, STOP_REPETITION, STOP_STEPS
from protocol.usage import ZERO

log = logging.getLogger(__name__)


class ConversationSettings(UpstreamSettings, frozen=True, kw_only=True):
    """How long to wait for an actor, in seconds, and how often a turn may ask the provider."""

    ask_seconds: float
    max_steps: int


class Conversation:
    """Takes turns through their steps."""

    def __init__(
        self,
        upstream: Upstream,
        runner: ToolRunner,
        settings: ConversationSettings,
        *,
        context: Address,
        prices: Prices,
        note: Callable[[Turn, ContextBuilt], None],
    ) -> None:
        self._upstream = upstream
        self._runner = runner
        self._settings = settings
        self._context = context
        self._prices = prices
        self._note = note

    async def hold(self, turn: Turn, context: ContextBuilt) -> None:
        """Step by step until the model is done; whatever ends it is left in the turn."""
        turn.begin(context)
        try:
            while await self._step(turn, context):
                pass
        except GatewayError as error:
            turn.fail(_weighed(error.failure, context))
        except MalformedEvent as error:
            log.warning("turn %s: %s", turn.turn_id, error)
            turn.fail(MALFORMED)
        except Exception:
            log.exception("turn %s broke off by a mistake of the gateway", turn.turn_id)
            turn.fail(BUG)

    async def _step(self, turn: Turn, context: ContextBuilt) -> bool:
        """Ask the provider, and run what it calls; whether it is to be asked again."""
        try:
            await self._upstream.answer(turn, context)
        except ProviderError as error:
            found = error.too_long
            if found is None or found.counted <= found.most or not turn.step.prompt.turns:
                raise
            await self._shorten(turn, context, found)
            return True
        if turn.is_over:
            return False
        if len(turn.steps) >= self._settings.max_steps:
            turn.stop = STOP_STEPS
            return False
        self._note(turn, context)
        if turn.step.answer.pauses:
            messages = [turn.step.pause()]
        else:
            await self._run_tools(turn, context)
            messages = turn.step.messages()
        return turn.stop is None and await self._extend(turn, context, messages)

    async def _run_tools(self, turn: Turn, context: ContextBuilt) -> None:
        turn.advance("tools_called")
        await self._runner.run(turn, context)
        calls = turn.step.answer.calls
        if turn.repetition.observe(calls, [turn.step.answers[call["id"]] for call in calls]):
            turn.stop = STOP_REPETITION

    async def _shorten(self, turn: Turn, context: ContextBuilt, found: TooLong) -> None:
        """Leave out more of a prompt that the provider did not take.

        The estimate was too low: for the rest of the turn, the room is taken to be smaller by as
        much. It is less than the estimate, so something goes, or there is nothing left to go.
        """
        prompt, estimate = turn.step.prompt, turn.step.estimate
        room = min(context.prompt.allowance.room, found.most) * estimate // found.counted
        log.info("turn %s: %d tokens estimated, %d counted", turn.turn_id, estimate, found.counted)
        allowance = msgspec.structs.replace(prompt.allowance, room=room)
        smaller = msgspec.structs.replace(prompt, allowance=allowance)
        turn.replace(context, await self._extended(turn, smaller, [], keeps=False))
        turn.advance("call")

    async def _extended(
        self, turn: Turn, prompt: Prompt, messages: list[NewMessage], *, keeps: bool
    ) -> ContextExtended:
        turn.kept = turn.kept or keeps
        request = ExtendContext(
            session_id=turn.session_id,
            turn_id=turn.turn_id,
            prompt=prompt,
            billed=turn.step.counts.input,
            messages=messages,
            keeps=keeps,
            left_out=turn.left_out,
        )
        with deadline(self._settings.ask_seconds):
            return await self._context.ask(request)

    async def _extend(self, turn: Turn, context: ContextBuilt, messages: list[NewMessage]) -> bool:
        """Make the next step's request, unless the money does not suffice for it."""
        # An answer that paused is a part of the next one: it is no message of its own.
        keeps = not turn.step.answer.pauses
        extended = await self._extended(turn, turn.base, messages, keeps=keeps)
        billed = [step.counts for step in turn.steps]
        left = left_of(turn.send.max_cost, self._prices, context.session.model, billed)
        if left is not None and (extended.likely_cost or ZERO) > left:
            turn.stop = STOP_BUDGET
            return False
        turn.advance("call" if turn.step.answer.pauses else "tools_answered")
        turn.resume(context, extended)
        return True


def _weighed(failure: Failure, context: ContextBuilt) -> Failure:
    """The failure; what is too large for the provider comes with what each section weighs."""
    if failure.code != "CONTEXT_TOO_LARGE" or failure.sections:
        return failure
    return msgspec.structs.replace(failure, sections=list(context.weights))
