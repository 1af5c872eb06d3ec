"""What the model is told of a call that brought no answer: above all, whether it was run."""

from __future__ import annotations

from protocol.tools import ToolAnswer


def refused(server: str, why: str) -> ToolAnswer:
    """The server did not let the call in."""
    return ToolAnswer.failed(
        f"The MCP server {server} refuses the call, and did not run it: it {why}."
    )


def forgotten(server: str) -> ToolAnswer:
    """The server did not know the session in which the call was made."""
    return ToolAnswer.failed(
        f"The MCP server {server} had forgotten the session, so this call was most likely not run. "
        "Look before you repeat it."
    )


def no_result(server: str) -> ToolAnswer:
    """The answer cannot be read."""
    return ToolAnswer.failed(
        f"The MCP server {server} answered with something that is no result of this tool. The call "
        "may have had its effect."
    )


def lost(server: str) -> ToolAnswer:
    """The server was gone before it answered."""
    return ToolAnswer.failed(
        f"The MCP server {server} was lost before it answered. The call may have had its effect: "
        "look before you repeat it."
    )
