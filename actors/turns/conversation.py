"""A turn's conversation with the provider: ask, run the tools that were called, ask again.

It is the only part of a turn that a cancel covers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec
from msgspec import UNSET

from actors.deadline import deadline
from actors.mailbox import Address
from actors.ports import Prices
from actors.serving import BUG
from actors.turns.budget import left_of
from actors.turns.ending import Ending
from actors.turns.faults import malformed
from actors.turns.renewing import WITHOUT_CONTAINER, refuses_container, renewal
from actors.turns.structured import fault_of
from actors.turns.tools import ToolRunner
from actors.turns.turn import Turn
from actors.turns.upstream import Upstream, UpstreamSettings
from protocol.announcing import Definition
from protocol.errors import Failure, GatewayError, ProviderError
from protocol.mail import (
    ContextBuilt,
    ExtendContext,
    KeepAnswer,
    LeaveOutTool,
    RenewContext,
)
from protocol.prompt import Prompt
from protocol.provider.events import MalformedEvent
from protocol.provider.refused_tool import refused_tool
from protocol.records import Attached
from protocol.tools import LeftOutTool
from protocol.turn import STOP_BUDGET, STOP_REPETITION, STOP_STEPS
from protocol.usage import ZERO

log = logging.getLogger(__name__)

OUT_OF_MONEY = Ending(stop=STOP_BUDGET)

UNTIL = "until it is changed or the gateway is restarted"
"""How long a tool is left out that the provider has refused; see `actors.context.refused`."""


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
        note: Callable[[Turn], None],
    ) -> None:
        self._upstream = upstream
        self._runner = runner
        self._settings = settings
        self._context = context
        self._prices = prices
        self._note = note

    async def hold(self, turn: Turn) -> Ending:
        """Step by step until the model is done, or something ends it: how it ended."""
        try:
            while (ending := await self._step(turn)) is None:
                pass
        except ProviderError as error:
            failure = error.failure.of_request(turn.step.request_id)
            return Ending(
                failure=_weighed(failure, turn.built),
                is_refusal=error.refusal is not None,
                container_gone=refuses_container(error, turn.step.prompt),
            )
        except GatewayError as error:
            return Ending(failure=_weighed(error.failure, turn.built))
        except MalformedEvent as error:
            return Ending(failure=malformed(error).of_request(turn.step.request_id))
        except Exception:
            log.exception("turn %s broke off by a mistake of the gateway", turn.turn_id)
            return Ending(failure=BUG)
        return ending

    async def _step(self, turn: Turn) -> Ending | None:
        """Ask the provider, and run what it calls; `None` when it is to be asked again."""
        try:
            stop = await self._upstream.answer(turn)
        except ProviderError as error:
            if turn.step.answer.started:  # a part of it is shown, and billed
                raise
            return await self._renew(turn, error)
        if stop is not None:
            return Ending(stop=stop)
        if not turn.step.wants_more:
            return Ending(failure=await fault_of(turn))
        if len(turn.steps) >= self._settings.max_steps:
            return Ending(stop=STOP_STEPS)
        self._note(turn)
        if not turn.step.answer.pauses:
            await self._keep(turn)
            if await self._run_tools(turn):
                return Ending(stop=STOP_REPETITION)
        return await self._extend(turn)

    async def _keep(self, turn: Turn) -> None:
        """Write down what the model calls before anybody is told of it."""
        answer = turn.step.messages()[:1]
        request = KeepAnswer(
            turn=turn.row, at=turn.confirmed, messages=answer, container=turn.step.answer.container
        )
        with deadline(self._settings.ask_seconds):
            await self._context.ask(request)
        turn.confirm(answer)

    async def _run_tools(self, turn: Turn) -> bool:
        """Run what the model calls; whether it goes in a circle.

        The calls are shown only now: the answer stands, and the session has it. So a client is
        never asked for what the model would then be told was not called.
        """
        turn.advance("tools_called")
        turn.show_calls()
        try:
            await self._runner.run(turn)
        finally:
            turn.close_calls()
        calls = turn.step.answer.calls
        return turn.repetition.observe(calls, [turn.step.answers[call["id"]] for call in calls])

    async def _extend(self, turn: Turn) -> Ending | None:
        """Make the next step's request, if the money suffices for it."""
        messages = turn.unconfirmed()
        request = ExtendContext(
            turn=turn.row,
            at=turn.confirmed,
            messages=messages,
            container=turn.step.answer.container,
        )
        with deadline(self._settings.ask_seconds):
            prompt = await self._context.ask(request)
        turn.confirm(messages)
        if not self._is_affordable(turn, prompt):
            return OUT_OF_MONEY
        turn.advance("call" if turn.step.answer.pauses else "tools_answered")
        turn.resume(prompt)
        return None

    async def _renew(self, turn: Turn, error: ProviderError) -> Ending | None:
        """Make a request anew that the provider refused. Raises `error` where that is no use."""
        if error.refusal is not None:
            tool = refused_tool(error.refusal, turn.step.prompt.body)
            if tool is not None:
                raise await self._without_tool(turn, error, tool)
        has_attachments = turn.attached != Attached()
        new = renewal(
            error,
            turn.step.prompt,
            turn.built.room,
            turn.renewals,
            has_attachments=has_attachments,
        )
        if new is None:
            raise error
        how = "with less" if new.room is not None else "in a new epoch"
        if new == WITHOUT_CONTAINER:
            how = "without its container"
        log.info("turn %s: %s; the model is asked again %s", turn.turn_id, error, how)
        turn.renewals.append(new)
        try:
            with deadline(self._settings.ask_seconds):
                prompt = await self._context.ask(RenewContext(turn=turn.row, **new._asdict()))
        except GatewayError as failed:
            # Without the provider's figures ours are a guess: then only its own word is true.
            is_told = failed.failure.code == "CONTEXT_TOO_LARGE" and error.too_long is not None
            if is_told or failed.failure.code not in ("CONTEXT_TOO_LARGE", "LLM_ERROR"):
                raise
            raise error from failed
        if not self._is_affordable(turn, prompt):
            return OUT_OF_MONEY
        turn.advance("call")
        turn.replace(prompt)
        return None

    async def _without_tool(
        self, turn: Turn, error: ProviderError, tool: Definition
    ) -> ProviderError:
        """Leave a tool that the provider refused out of all further requests; the turn's error."""
        name = str(tool["name"])
        server = next((rule.server for rule in turn.built.tools if rule.name == name), "")
        whose = f" of the MCP server {server}" if server else ""
        why = error.refusal or ""
        log.warning("the tool %s%s is left out, for all clients, %s: %s", name, whose, UNTIL, why)
        mark = LeftOutTool(
            name=name.removeprefix(f"{server}__"),
            server=server or UNSET,
            reason=f"the provider has refused it, and it stays out {UNTIL}: {why}",
        )
        definition = msgspec.json.encode(tool)
        with deadline(self._settings.ask_seconds):
            await self._context.ask(LeaveOutTool(definition=definition, mark=mark))
        told = ProviderError(
            "LLM_ERROR",
            f"The provider refuses the tool {name}{whose}: {why.rstrip('. ')}. The tool "
            f"is left out {UNTIL}: send again.",
        )
        told.refusal = why
        told.failure = told.failure.of_request(error.failure.provider_request_id)
        return told

    def _is_affordable(self, turn: Turn, prompt: Prompt) -> bool:
        """Whether what is left of the client's limit suffices for the request's input."""
        billed = [step.record for step in turn.steps]
        left = left_of(turn.send.max_cost, self._prices, turn.built.model, billed)
        return left is None or (prompt.likely_cost or ZERO) <= left


def _weighed(failure: Failure, context: ContextBuilt) -> Failure:
    """The failure; what is too large for the provider comes with what each section weighs."""
    if failure.code != "CONTEXT_TOO_LARGE" or failure.sections:
        return failure
    return msgspec.structs.replace(failure, sections=list(context.weights))
