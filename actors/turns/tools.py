"""Running the tools that a model called: who runs them, who must agree, how long they get.

The calls of one step run at the same time. The model gets an answer to every call: a result, a
failure, a denial, or that nobody answered. Only a cancel leaves calls without an answer.
"""

from __future__ import annotations

import logging

import msgspec
import trio

from actors.attachments import attached_by
from actors.ports import Media, Tools
from actors.turns.approvals import SessionApprovals
from actors.turns.turn import Turn
from protocol.provider.content import Block
from protocol.provider.limits import too_many
from protocol.tools import ToolAnswer, ToolRule
from protocol.turn import ApprovalAsked, ToolAnswered

log = logging.getLogger(__name__)


class ToolSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How long to wait, in seconds; how much of an answer the model gets, in bytes."""

    tool_seconds: float
    client_tool_seconds: float
    approval_seconds: float
    result_bytes: int
    tools_at_once: int


class ToolRunner:
    """Runs a step's calls."""

    def __init__(self, tools: Tools, media: Media, settings: ToolSettings) -> None:
        self._tools = tools
        self._media = media
        self._settings = settings
        self._approvals = SessionApprovals()

    async def run(self, turn: Turn) -> None:
        """Run every call of the turn's latest step; the answers are left in it."""
        places = trio.CapacityLimiter(self._settings.tools_at_once)
        for call in turn.step.answer.calls:  # in their order, which a nursery does not keep
            self._ask_for_consent(turn, call)
        async with trio.open_nursery() as nursery:
            for call in turn.step.answer.calls:
                nursery.start_soon(self._run_one, turn, call, places)

    def approve(self, turn: Turn, call_id: str, *, approved: bool, for_session: bool) -> None:
        """A person's word on a call; `for_session` also covers the tool's other calls at once."""
        asked = turn.asked[call_id]
        turn.approvals.give(call_id, approved)
        if approved and for_session and not asked.every_time:
            self._approvals.allow(turn.session_id, asked.name)
            for other in turn.asked.values():
                if other.name == asked.name:
                    turn.approvals.give(other.call_id, True)

    def forget(self, session_id: str) -> None:
        """The session is no more: nothing is allowed to it."""
        self._approvals.forget(session_id)

    async def _run_one(self, turn: Turn, call: Block, places: trio.CapacityLimiter) -> None:
        name, call_id = call["name"], call["id"]
        if call_id in turn.step.answer.faults:
            answer = turn.step.answer_of(call_id)
        elif turn.is_clients(call):
            answer = await self._ask_client(turn, call_id)
        else:
            answer = await self._run_here(turn, call, places)
        answer = await self._shown(_acceptable(answer), turn)
        answer = _shortened(answer, self._settings.result_bytes)
        turn.step.answers[call_id] = answer
        turn.log.append(ToolAnswered(call_id, name, answer))

    async def _ask_client(self, turn: Turn, call_id: str) -> ToolAnswer:
        seconds = self._settings.client_tool_seconds
        with trio.move_on_after(seconds):
            return await turn.outputs.wait(call_id)
        return ToolAnswer.failed(f"The client did not answer within {seconds:g} seconds.")

    async def _run_here(self, turn: Turn, call: Block, places: trio.CapacityLimiter) -> ToolAnswer:
        name = call["name"]
        if _rule(turn, name) is None:
            return ToolAnswer.failed(self._tools.absent(name))
        if (refusal := await self._refusal(turn, call["id"])) is not None:
            return refusal
        seconds = self._settings.tool_seconds
        try:
            with trio.fail_after(seconds):
                async with places:
                    turn.step.running.add(call["id"])
                    args = call.get("input") or {}
                    return await self._tools.call(turn.built.agent_id, name, args)
        except trio.TooSlowError:
            return ToolAnswer.failed(
                f"The tool was stopped: it took longer than {seconds:g} seconds."
            )
        except Exception:
            log.exception("the tool %s could not be run", name)
            return ToolAnswer.failed("The tool could not be run.")

    def _ask_for_consent(self, turn: Turn, call: Block) -> None:
        rule = _rule(turn, call["name"])
        if rule is None or rule.approval == "auto" or call["id"] in turn.step.answer.faults:
            return
        if rule.approval == "session" and self._approvals.allows(turn.session_id, rule.name):
            return
        turn.ask(call["id"], rule.name, every_time=rule.approval == "always")
        turn.log.append(
            ApprovalAsked(
                tool_call_id=call["id"],
                name=rule.name,
                args=call.get("input") or {},
                risk=rule.risk,
                approval=rule.approval,
            )
        )

    async def _refusal(self, turn: Turn, call_id: str) -> ToolAnswer | None:
        """Why the call may not be run, if so. Nobody's silence is consent."""
        if call_id not in turn.asked:
            return None
        with trio.move_on_after(self._settings.approval_seconds):
            approved = await turn.approvals.wait(call_id)
            return None if approved else ToolAnswer.failed("The user does not allow this call.")
        turn.approvals.give(call_id, False)
        return ToolAnswer.failed("Nobody allowed this call in time, so it was not run.")

    async def _shown(self, answer: ToolAnswer, turn: Turn) -> ToolAnswer:
        """The answer, with a text instead of each picture that the provider would refuse.

        It may refuse a picture by itself, or because of the turn's other pictures.
        """
        if isinstance(answer.content, str):
            return answer
        most = turn.built.most_attached
        refusals = await self._media.refusals(answer.content, most)
        weights = await self._media.weigh(turn.built.model, answer.content)
        blocks: list[Block] = []
        for block, refusal, weight in zip(answer.content, refusals, weights, strict=True):
            more = turn.attached
            if block.get("type") in ("image", "document"):
                more += attached_by(block, weight)
            why = refusal or too_many(more, most)
            if why is None:
                turn.attached = more
            shown = block if why is None else {"type": "text", "text": f"[Left out: {why}.]"}
            blocks.append(shown)
        return msgspec.structs.replace(answer, content=blocks)


def _rule(turn: Turn, name: str) -> ToolRule | None:
    """What must be known of a tool that the gateway runs; `None` for no such tool."""
    if name in turn.built.client_tools:
        return None
    return next((rule for rule in turn.built.tools if rule.name == name), None)


def _acceptable(answer: ToolAnswer) -> ToolAnswer:
    """The answer as the provider takes it: no blank text, and a failure in words alone."""
    if answer.is_error:
        return ToolAnswer.failed(answer.text.strip() or "The tool failed and gave no reason.")
    if isinstance(answer.content, str):
        return answer
    blocks = [block for block in answer.content if str(block.get("text", "…")).strip()]
    return msgspec.structs.replace(answer, content=blocks)


def _shortened(answer: ToolAnswer, most: int) -> ToolAnswer:
    """The answer with at most so many bytes of text, and a word on what was left out."""
    if isinstance(answer.content, str):
        return msgspec.structs.replace(answer, content=_cut(answer.content, most))
    blocks: list[Block] = []
    for block in answer.content:
        if isinstance(text := block.get("text"), str):
            block = {**block, "text": _cut(text, most)}  # noqa: PLW2901
            most = max(0, most - len(text.encode()))
        blocks.append(block)
    return msgspec.structs.replace(answer, content=blocks)


def _cut(text: str, most: int) -> str:
    encoded = text.encode()
    if len(encoded) <= most:
        return text
    kept = encoded[:most].decode(errors="ignore")
    return f"{kept}\n[{len(encoded) - len(kept.encode()):,} bytes more were left out here]"
