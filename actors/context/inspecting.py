"""Inspecting a session: what the next request would weigh, without sending it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from msgspec import UNSET

from actors.context.building import shape_of
from actors.context.composed import Composed
from actors.context.composing import Draft
from actors.context.estimate.weighing import Weight, scaled
from actors.context.gathering import Ground, Said
from actors.context.parts import Parts
from actors.ports import Model
from protocol.client import ContextInspect
from protocol.errors import GatewayError
from protocol.provider.choosing import MIN_THINKING_BUDGET, choose_thinking
from protocol.provider.model_info import ModelInfo
from protocol.server import ContextInspection


class Inspector:
    """Shows requests that are not sent."""

    def __init__(self, model: Model, parts: Parts) -> None:
        self._model = model
        self._parts = parts

    async def inspect(self, request: ContextInspect) -> ContextInspection:
        """The next request, section by section. Raises GatewayError."""
        if request.exact and request.content is None:
            raise GatewayError("INVALID_MESSAGE", "`exact`: the provider counts with a `content`.")
        exact = await self._count(request) if request.exact else None
        async with self._inspected(request) as (info, draft, _):
            composed = self._exactly(draft.composed, exact)
            sections = composed.sections(self._parts.clock.now())
            return ContextInspection(
                request_id=request.id,
                model=composed.model,
                sections=sections,
                totals=composed.totals(sections),
                window=composed.window(info.max_input_tokens),
                calibration=self._parts.calibrations.calibration(
                    composed.model, has_tools=composed.has_tools
                ),
                context=composed.context or UNSET,
                exact_tokens=UNSET if exact is None else exact,
            )

    @asynccontextmanager
    async def _inspected(
        self, request: ContextInspect
    ) -> AsyncIterator[tuple[ModelInfo, Draft, Ground]]:
        """The request that would be sent, to be looked at inside."""
        gatherer = self._parts.gatherer
        if request.model is not None:  # a model that is new may take the provider a while
            await self._parts.catalog.describe(request.model)
        async with self._parts.sessions.open(request.session_id) as held:
            assert held.session is not None
            session = held.session
            if request.model is not None:
                session = msgspec.structs.replace(session, model=request.model)
            info = await self._parts.catalog.describe(session.model)
            agent = await gatherer.agent(held, session)
            ground = gatherer.ground(
                held,
                session,
                agent,
                info,
                gatherer.output_limit(info, None),
                output_format=request.output_format,
            )
            said = Said([], own=held.next_place)
            if request.content is not None:
                said = await gatherer.said(
                    held,
                    session.model,
                    turn_id="",
                    content=request.content,
                    info=info,
                    now=session.last_active_at,
                )
            async with self._parts.composer.compose(held, ground, said, announces=True) as draft:
                yield info, draft, ground

    async def _count(self, request: ContextInspect) -> int:
        """The provider's own count of what would be sent."""
        async with self._inspected(request) as (info, draft, ground):
            most = self._parts.gatherer.output_limit(info, None)
            thinking = choose_thinking(
                info, "auto", None, max_tokens=most, budget=MIN_THINKING_BUDGET
            )
            shape = shape_of(ground, thinking, most, caches=draft.composed.caches)
            prompt = draft.composed.prompt(shape, None)
        return await self._model.count_tokens(prompt.body, prompt.betas)

    def _exactly(self, composed: Composed, tokens: int | None) -> Composed:
        """The same request, at the provider's own count: the sections keep their proportions."""
        if tokens is None:
            return composed
        sections = scaled(composed.weight.sections, tokens)
        return msgspec.structs.replace(
            composed,
            weight=Weight.of(sections, composed.weight.cleared),
            rates=self._parts.weigher.rates(
                composed.model,
                tokens,
                least=composed.allowance.least_cacheable,
                caches=composed.caches,
            ),
        )
