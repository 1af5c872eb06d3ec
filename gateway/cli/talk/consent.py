"""Showing a turn while its tools ask for leave.

Both want the terminal: the messages that go on coming, and the question that stands. So one
question stands at a time, and what comes meanwhile waits; it is little, for a model that waits for
its tools says nothing. When it brings the answer to the very call that the question is about, or
the turn's end, somebody else has answered, and the question is withdrawn.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Literal

import trio

from agentspace.client import AnswerRefused
from agentspace.messages import (
    ChatStreamEnd,
    ErrorMessage,
    ToolApprovalRequest,
    ToolError,
    ToolResult,
)
from gateway.cli.talk.conversation import ChatSession
from gateway.cli.talk.question import Choice
from gateway.cli.views.answer import AnswerView
from gateway.cli.views.turn import Notice, Shown

Policy = Literal["ask", "allow", "deny"]
Choose = Callable[[], Awaitable[Choice]]

WITHDRAWN: Final = Notice("  No answer is needed any more.", "dim")
TOO_LATE: Final = Notice("  It had been answered already, elsewhere or by the passing of time.")

EACH_TIME: Final = Notice("  allowed, this once: the tool asks each time", "green")

_SAID: Final = {
    Choice.ONCE: Notice("  allowed, this once", "green"),
    Choice.SESSION: Notice("  allowed for this session", "green"),
    Choice.NO: Notice("  denied", "red"),
    Choice.CANCEL: Notice("  denied, and the answer is cancelled", "red"),
    Choice.NOBODY: Notice("  denied: nobody is here to be asked (--tools allow lets tools run)"),
}
_BY_POLICY: Final = {
    "allow": (Choice.ONCE, Notice("  allowed: --tools allow", "green")),
    "deny": (Choice.NO, Notice("  denied: --tools deny", "red")),
}
_CONSENTS: Final = {Choice.ONCE, Choice.SESSION}


class Consent:
    """Who is asked: by `policy` the person who gives a `choose`, or nobody."""

    def __init__(self, conversation: ChatSession, choose: Choose, policy: Policy = "ask") -> None:
        self.conversation = conversation
        self.choose = choose
        self.policy = policy


class ConsentingTurn:
    """Shows one turn's messages in order, and asks for the tools that want to run.

    `cancel` is what a person wants who presses Ctrl-C. Questions live in `nursery`; what lives in
    `telling` is to be cancelled when the turn is over.
    """

    def __init__(
        self,
        consent: Consent,
        answer: AnswerView,
        cancel: Callable[[], Awaitable[None]],
        *,
        nursery: trio.Nursery,
        telling: trio.Nursery,
    ) -> None:
        self._consent = consent
        self._answer = answer
        self._cancel = cancel
        self._nursery = nursery
        self._telling = telling
        self._settled: set[str] = set()
        self._given_up: set[str] = set()
        self._is_over = False
        self._standing: tuple[ToolApprovalRequest, trio.CancelScope] | None = None
        self._waiting: list[Shown] = []

    def take(self, message: Shown | AnswerRefused) -> None:
        """One more message: show it now, or once the question is answered."""
        match message:
            case AnswerRefused(tool_call_id=call_id):
                if not self._is_over and call_id not in self._settled | self._given_up:
                    self.take(TOO_LATE)
                return
            case ToolResult() | ToolError():
                self._settled.add(message.tool_call_id)
            case ChatStreamEnd() | ErrorMessage():
                self._is_over = True
        if self._standing is None:
            self._show(message)
            return
        self._waiting.append(message)
        self._withdraw_if_settled()

    def end(self) -> None:
        """No more messages come, whether or not there was a terminal one."""
        self._is_over = True
        self._withdraw_if_settled()

    def _withdraw_if_settled(self) -> None:
        if self._standing is not None:
            request, scope = self._standing
            if not self._is_open(request):
                scope.cancel()

    def _show(self, message: Shown) -> None:
        self._answer.show(message)
        if isinstance(message, ToolApprovalRequest) and self._is_open(message):
            self._decide(message)

    def _is_open(self, request: ToolApprovalRequest) -> bool:
        return not self._is_over and request.tool_call_id not in self._settled

    def _decide(self, request: ToolApprovalRequest) -> None:
        if self._consent.policy == "ask":
            scope = trio.CancelScope()
            self._standing = request, scope
            self._nursery.start_soon(self._ask, request, scope)
            return
        choice, words = _BY_POLICY[self._consent.policy]
        self._say(request, choice, words)

    async def _ask(self, request: ToolApprovalRequest, scope: trio.CancelScope) -> None:
        choice = None
        with self._answer.aside(), scope:
            choice = await self._consent.choose()
        if choice is None or not self._is_open(request):
            self._answer.show(WITHDRAWN)
        else:
            in_vain = choice is Choice.SESSION and request.approval == "always"
            self._say(request, choice, EACH_TIME if in_vain else _SAID[choice])
            if choice is Choice.CANCEL:
                self._given_up.add(request.tool_call_id)
                await self._cancel()
        self._standing = None
        waiting, self._waiting = self._waiting, []
        for message in waiting:
            self.take(message)

    def _say(self, request: ToolApprovalRequest, choice: Choice, words: Notice) -> None:
        self._answer.show(words)
        self._telling.start_soon(self._tell, request, choice)

    async def _tell(self, request: ToolApprovalRequest, choice: Choice) -> None:
        await self._consent.conversation.approve(
            request, approved=choice in _CONSENTS, for_session=choice is Choice.SESSION
        )
