"""One answer of the provider, from the request to the turn's log.

Tries again while nothing was received, watches for silence, and stops when the money is spent.
"""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import msgspec
import trio

from actors.ports import Model, Prices
from actors.turns.budget import BudgetGuard, left_of
from actors.turns.faults import BROKE_OFF, SILENT, fault
from actors.turns.notices import left_out, thinking_dropped, waiting
from actors.turns.retry import RetryPolicy
from actors.turns.step import Step
from actors.turns.turn import Turn
from protocol.answer import Answer
from protocol.errors import ProviderError
from protocol.provider.events import (
    ContentBlockDelta,
    MessageStart,
    ProviderEvent,
    ProviderPing,
    StreamError,
    UnknownEvent,
    brings_content,
)
from protocol.turn import STOP_BUDGET, TurnEvent

log = logging.getLogger(__name__)


class UpstreamSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How long to wait for the provider, in seconds, and when to try again.

    `idle_seconds` may pass between two contents. While the model may work on without a word (see
    `Answer.is_working`), it may be `working_seconds`, if pings come.
    """

    first_content_seconds: float
    idle_seconds: float
    working_seconds: float
    retry: RetryPolicy


class Upstream:
    """The way to the provider."""

    def __init__(
        self,
        model: Model,
        prices: Prices,
        settings: UpstreamSettings,
        note: Callable[[Turn], None],
    ) -> None:
        self._model = model
        self._note = note
        self._prices = prices
        self._settings = settings
        self._heard: dict[str, float] = {}
        self.pings = 0
        """How many pings the provider has sent; they are no content."""

    @property
    def longest_silence(self) -> float:
        """Seconds, to one, since the most silent of the open streams last brought content."""
        now = trio.current_time()
        return max((now - heard for heard in self._heard.values()), default=0.0)

    async def answer(self, turn: Turn) -> str | None:
        """Stream the turn's latest step into its log; why the gateway stopped it, if it did.

        Raises GatewayError, MalformedEvent.
        """
        step = turn.step
        for notice in left_out(step.prompt.context):
            turn.tell_start()
            turn.log.append(notice)
        try:
            return await self._stream_with_retry(turn, step)
        finally:
            for event in step.answer.flush():
                turn.log.append(event)

    async def _stream_with_retry(self, turn: Turn, step: Step) -> str | None:
        attempt = 0
        while True:
            attempt += 1
            asked_before = step.asked
            try:
                return await self._stream(turn, step)
            except ProviderError as error:
                silent = error.failure.code == "LLM_TIMEOUT"
                step.asked = asked_before or step.taken or silent
                delay = self._settings.retry.delay(error.failure, attempt, random.random())
                if delay is None or step.answer.started:
                    raise
                step.is_repeated = step.asked
                log.info("turn %s: %s; again in %.1f s", turn.turn_id, error, delay)
                turn.tell_start()
                turn.log.append(waiting(error.failure, delay))
            await trio.sleep(delay)

    async def _stream(self, turn: Turn, step: Step) -> str | None:
        answer = step.answer
        limit = self._settings.first_content_seconds
        with self._listening(turn), trio.move_on_after(limit) as watch:
            watchdog = _Watchdog(watch, self._settings)
            guard = self._guard(turn, step)

            def take(batch: Sequence[ProviderEvent]) -> bool:
                if not self._take(turn, step, batch):
                    if answer.is_working and any(map(_is_sign_of_life, batch)):
                        watchdog.hear_sign_of_life()
                    return False
                if watchdog.hear_content():
                    self._heard[turn.turn_id] = watchdog.heard
                return answer.complete or guard.is_spent(answer)

            step.asked, step.request_id = True, None
            async with self._model.stream(step.prompt, turn.tell_start) as events:
                step.taken, step.request_id = True, events.request_id
                if await events.each(take):
                    return None if answer.complete else STOP_BUDGET
        raise ProviderError.of(SILENT if watch.cancelled_caught else BROKE_OFF)

    def _take(self, turn: Turn, step: Step, batch: Sequence[ProviderEvent]) -> bool:
        """Add a batch of events to the step's answer; whether it brought content."""
        answer, brought_content = step.answer, False
        shown: list[TurnEvent] = []
        try:
            for event in batch:
                # A piece of a block begins no pass, and there are thousands: nothing is compared.
                is_piece = isinstance(event, ContentBlockDelta)
                if shown and not is_piece:  # text does not wait for what its end takes
                    turn.log.extend(shown)
                    shown = []
                shown += answer.feed(event) if is_piece else self._shown(turn, step, event)
                brought_content = brought_content or brings_content(event)
        finally:  # what came before a fault is shown
            if shown:
                turn.log.extend(shown)
        return brought_content

    def _shown(self, turn: Turn, step: Step, event: ProviderEvent) -> Iterable[TurnEvent]:
        """Add an event that is no piece of a block to the step's answer; what it shows."""
        answer = step.answer
        match event:
            case ProviderPing():
                self.pings += 1
                return ()
            case StreamError():
                step.taken = False
                raise fault(event)
        readings = answer.readings()
        shown = answer.feed(event)
        if answer.readings() != readings:
            self._note(turn)  # the provider bills one more pass, whatever becomes of this process
        if isinstance(event, MessageStart):
            step.let_go()
            self._note(turn)
            return [*shown, *self._told(turn, answer)]
        return shown

    def _told(self, turn: Turn, answer: Answer) -> list[TurnEvent]:
        """Tell that another model answers, and of thinking that does not fit, by our mistake."""
        if (other := turn.answered_by) is not None:
            asked = turn.built.model
            log.info("turn %s: %s answers, where %s was asked", turn.turn_id, other, asked)
        if answer.mismatched:
            log.warning(
                "turn %s: the provider found %d thinking blocks bound to another conversation",
                turn.turn_id,
                answer.mismatched,
            )
        return [thinking_dropped(answer.dropped)] if answer.dropped else []

    def _guard(self, turn: Turn, step: Step) -> BudgetGuard:
        model = turn.built.model
        billed = (former.record for former in turn.steps[:-1])
        left = left_of(turn.send.max_cost, self._prices, model, billed)
        return BudgetGuard(
            self._prices,
            left,
            model,
            prompt_tokens=step.prompt.token_estimate,
            characters_a_token=step.characters_a_token,
        )

    @contextmanager
    def _listening(self, turn: Turn) -> Iterator[None]:
        """The time in which the turn waits for the provider."""
        self._heard[turn.turn_id] = trio.current_time()
        try:
            yield
        finally:
            del self._heard[turn.turn_id]


class _Watchdog:
    """Ends a stream that is silent for too long: it moves the deadline of `watch`."""

    def __init__(self, watch: trio.CancelScope, settings: UpstreamSettings) -> None:
        self.heard = -math.inf
        """When content came last, to a second."""
        self._now = trio.lowlevel.current_clock().current_time
        self._watch = watch
        self._idle = settings.idle_seconds
        self._working = settings.working_seconds
        # Moving a deadline at every delta would cost more than the delta.
        self._coarse = min(self._idle / 10, 1.0)

    def hear_content(self) -> bool:
        """Content came; whether that is counted, as it is once in a while."""
        now = self._now()
        if now - self.heard <= self._coarse:
            return False
        self._watch.deadline, self.heard = now + self._idle, now
        return True

    def hear_sign_of_life(self) -> None:
        """The model works on without a word."""
        until = min(self._now() + self._idle, self.heard + self._working)
        self._watch.deadline = max(self._watch.deadline, until)


def _is_sign_of_life(event: ProviderEvent) -> bool:
    """Whether an event without content says that the model works on: one that is known."""
    return not isinstance(event, UnknownEvent)
