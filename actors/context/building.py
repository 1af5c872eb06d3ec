"""Building a turn's first request: what is sent, how the model is to answer, what it may cost."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import msgspec

from actors.context.assembly import Shape
from actors.context.composed import Composed
from actors.context.estimate.clearing import clearing
from actors.context.flight import Flight
from actors.context.gathering import ContextSettings, Ground, Said
from actors.context.parts import Parts
from actors.context.searching import SEARCH, affordable_searches, has_search, with_searches
from actors.context.sessions import Held
from actors.context.toolset import chosen_tools
from protocol.client import ChatSend, OneTool
from protocol.errors import GatewayError
from protocol.mail import ContextBuilt
from protocol.provider.choosing import Thinking, choose_thinking, guarded
from protocol.provider.model_info import ModelInfo
from protocol.provider.thinking import ThinkingBudget
from protocol.records import Change, SessionRecord
from protocol.transcript import Transcript
from protocol.wishes import NO_WISHES, Wishes, unthinking, wants_thinking, wishes


class Build(NamedTuple):
    """What a turn begins with: its first request, and what that changes in its session.

    `transcript` is there when a new epoch begins: the messages before the new ones.
    """

    flight: Flight
    context: ContextBuilt
    change: Change
    transcript: Transcript | None


class Builder:
    """Makes first requests. It stores nothing."""

    def __init__(self, settings: ContextSettings, parts: Parts) -> None:
        self._settings = settings
        self._parts = parts

    async def build(
        self, turn_id: str, send: ChatSend, before: SessionRecord, held: Held, *, is_new: bool
    ) -> Build:
        """Measure and assemble what a client asks of the session as it is. Raises GatewayError."""
        gatherer, now = self._parts.gatherer, self._parts.clock.now()
        agent = await gatherer.agent(held, before)
        session = _renewed(before, send, agent.names, now)
        info = await self._parts.catalog.describe(session.model)
        limit = gatherer.output_limit(info, send.max_tokens)
        ground = gatherer.ground(
            held,
            session,
            agent,
            info,
            limit,
            output_format=send.output_format,
            cache_ttl=send.cache_ttl,
        )
        asked = wishes(send, info, ground.toolset.definitions)
        said = await gatherer.said(
            held, session.model, turn_id=turn_id, content=send.content, info=info, now=now
        )
        ground = await self._with_searches(send, held, ground, said, now)
        async with self._parts.composer.compose(held, ground, said, announces=True) as draft:
            composed = draft.composed
            thinking, max_tokens = self._affordable(
                send, info, ground, composed, limit, now, asked=asked
            )
            flight = Flight(
                turn_id,
                is_new=is_new,
                before=before,
                former=held.head,
                ground=ground,
                shape=shape_of(ground, thinking, max_tokens, caches=composed.caches, asked=asked),
                has_budget=send.max_cost is not None,
            )
            flight.run_in(session.container, now)
            weights = composed.weights()
            context = ContextBuilt(
                session_id=session.session_id,
                session_key=session.key,
                agent_id=session.agent_id,
                model=session.model,
                is_new=is_new,
                prompt=flight.prompt(composed, now),
                cost_estimate=composed.cost_of(weights),
                weights=weights,
                ratio=composed.scale.line.ratio,
                capped=max_tokens < limit,
                attached=said.entries[-1].attached,
                most_attached=info.most_attached,
                room=ground.allowance.room,
                tools=ground.toolset.rules,
                client_tools=ground.toolset.client_names,
            )
            return Build(flight, context, draft.change, draft.transcript)

    async def _with_searches(
        self, send: ChatSend, held: Held, ground: Ground, said: Said, now: int
    ) -> Ground:
        """The same, with as many searches as `maxCost` allows; it is weighed once more for that."""
        if send.max_cost is None or not has_search(ground.toolset):
            return ground
        price = self._parts.weigher.search_price(ground.session.model)
        if price is None:
            return ground
        async with self._parts.composer.compose(held, ground, said, announces=True) as draft:
            uses = affordable_searches(draft.composed, price, send.max_cost, now)
        limited = with_searches(ground, uses)
        if not uses and _must_search(send, limited):
            raise GatewayError(
                "BUDGET_EXCEEDED",
                "`maxCost` does not suffice for one search. Raise it, or leave `toolChoice` out.",
            )
        return limited

    def _affordable(
        self,
        send: ChatSend,
        info: ModelInfo,
        ground: Ground,
        composed: Composed,
        limit: int,
        now: int,
        *,
        asked: Wishes,
    ) -> tuple[Thinking, int]:
        """The thinking, and the longest answer in tokens, for which `maxCost` suffices.

        The thinking decides how much of the prompt the provider's cache has, and so what the input
        costs. The cost decides how long the answer may be. The length decides how the model can
        think. So this begins with the best thinking and goes down until all three agree. Raises
        GatewayError(BUDGET_EXCEEDED).
        """
        max_tokens = limit
        while True:
            thinking = self._thinking(send, info, max_tokens)
            if send.max_cost is None:
                return thinking, max_tokens
            shape = shape_of(ground, thinking, max_tokens, caches=composed.caches, asked=asked)
            cost = composed.likely_cost(now, shape.kind_of_thinking)
            left = self._parts.weigher.affordable_output(
                composed.model, composed.weight.total, cost, send.max_cost
            )
            affordable = min(max_tokens, left)
            wanted = send.thinking
            if isinstance(wanted, ThinkingBudget) and affordable <= wanted.budget_tokens:
                raise GatewayError(
                    "BUDGET_EXCEEDED",
                    f"`maxCost`: beside the context it leaves {affordable:,} tokens for an answer, "
                    "too few for `thinking.budgetTokens`. Raise the one, or lower the other.",
                )
            if self._thinking(send, info, affordable) == thinking:
                return thinking, affordable
            max_tokens = affordable

    def _thinking(self, send: ChatSend, info: ModelInfo, max_tokens: int) -> Thinking:
        return choose_thinking(
            info,
            wants_thinking(send, info),
            send.effort,
            max_tokens=max_tokens,
            budget=self._settings.thinking_budget,
            field=None if send.thinking == "off" else unthinking(send),
        )


def _must_search(send: ChatSend, without: Ground) -> bool:
    """Whether the model is to search, as it has no search any more."""
    if isinstance(send.tool_choice, OneTool):
        return send.tool_choice.name == SEARCH
    return send.tool_choice == "any" and not without.toolset.definitions


def shape_of(
    ground: Ground,
    thinking: Thinking,
    max_tokens: int,
    *,
    caches: bool,
    asked: Wishes = NO_WISHES,
) -> Shape:
    """How the model is to answer."""
    trigger, model = ground.allowance.clears_at, ground.session.model
    return Shape(
        model=model,
        max_tokens=max_tokens,
        thinking=guarded(ground.binding, thinking.config),
        effort=thinking.effort,
        edits=None if trigger is None else clearing(trigger),
        caches=caches,
        wishes=asked,
        output_format=ground.output_format,
        for_an_hour=ground.for_an_hour,
    )


def _renewed(
    session: SessionRecord, send: ChatSend, taken: Collection[str], now: int
) -> SessionRecord:
    """The session as `send` leaves it: it remembers the last model, system and tools."""
    if send.agent_id is not None and send.agent_id != session.agent_id:
        raise GatewayError(
            "INVALID_MESSAGE",
            f"`agentId`: this session belongs to the agent `{session.agent_id}`.",
        )
    changes: dict[str, Any] = {
        "last_active_at": now,
        "tools": chosen_tools(session.tools, send, taken),
    }
    if send.model is not None:
        changes["model"] = send.model
    if send.system is not None:
        changes["system"] = send.system
    return msgspec.structs.replace(session, **changes)
