"""What a client says of a tool call, as mail for the llm actor."""

from __future__ import annotations

from protocol.client import ToolApprovalResponse, ToolOutput
from protocol.mail import AnswerTool, ApproveTool
from protocol.provider.content import user_blocks
from protocol.tools import ToolAnswer


def tool_mail(
    message: ToolOutput | ToolApprovalResponse, turn_id: str | None
) -> AnswerTool | ApproveTool:
    """A client's answer for the llm actor; `turn_id` is the turn that the client watches."""
    if isinstance(message, ToolApprovalResponse):
        return ApproveTool(
            turn_id=turn_id,
            tool_call_id=message.tool_call_id,
            approved=message.approved,
            for_session=message.session_approve,
        )
    content = message.content
    answer = ToolAnswer(
        content=content if isinstance(content, str) else user_blocks(content),
        is_error=message.is_error,
    )
    return AnswerTool(turn_id=turn_id, tool_call_id=message.tool_call_id, answer=answer)
