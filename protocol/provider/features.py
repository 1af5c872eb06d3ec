"""The names of the provider's dated features: betas, and edits of a prompt.

Sources: its pages on beta headers, context editing, prefix checks, tool changes in a conversation,
server tools and fine-grained tool streaming, November 2026.
"""

from __future__ import annotations

from protocol.provider.model_ids import read_id

CONTEXT_EDITING = "context-management-2025-06-27"
"""The beta of `context_management`."""

BINDING_CONTROLS = "thinking-binding-controls-2026-08-01"
"""The beta of `thinking.block_binding`."""

INLINE_TOOLS = "inline-tools-2026-09-15"
"""The beta of tool definitions inside of messages, needed with every request that has one."""

SERVER_TOOL_TYPES = {
    "web_search": "web_search_20250305",
    "web_fetch": "web_fetch_20250910",
    "code_execution": "code_execution_20250825",
}
"""The `type` of each of the provider's own tools, by name."""

CODE_TOOLS = {"code_execution", "bash_code_execution", "text_editor_code_execution"}
"""The names under which the model calls the execution of code."""

CLEAR_TOOL_USES = "clear_tool_uses_20250919"
"""The edit that clears old results of tools from a prompt."""

EAGER = "eager_input_streaming"
"""The field of a tool's definition that has its arguments sent as they are written. Without it the
provider sends none of them before they are complete, which may take minutes."""


def streams_arguments(model: str) -> bool:
    """Whether `model` takes the field `EAGER`: its page lists Claude 4.5 and what came after it."""
    return read_id(model).version >= (4, 5)
