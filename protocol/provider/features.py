"""The names of the provider's dated features: betas, and edits of a prompt.

Sources: its pages on beta headers, context editing, prefix checks, tool changes in a conversation,
server tools and fine-grained tool streaming, November 2026.
"""

from __future__ import annotations

CONTEXT_EDITING = "context-management-2025-06-27"
"""The beta of `context_management`."""

BINDING_CONTROLS = "thinking-binding-controls-2026-08-01"
"""The beta of `thinking.block_binding`."""

INLINE_TOOLS = "inline-tools-2026-09-15"
"""The beta of tool definitions inside of messages, needed with every request that has one."""

TOOL_SEARCH = {"type": "tool_search_tool_bm25_20251119", "name": "tool_search_tool_bm25"}
"""The tool with which a model looks for deferred ones."""

CODE_TOOLS = {"code_execution", "bash_code_execution", "text_editor_code_execution"}
"""The names under which the model calls the execution of code."""

CLEAR_TOOL_USES = "clear_tool_uses_20250919"
"""The edit that clears old results of tools from a prompt."""

EAGER = "eager_input_streaming"
"""The field of a tool's definition that has its arguments sent as they are written. Without it the
provider sends none of them before they are complete, which may take minutes."""
