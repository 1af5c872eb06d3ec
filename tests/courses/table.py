"""The courses of a session, by name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from tests.courses import changes, cuts, upsets
from tests.courses.session import Session

Play = Callable[[Session], Awaitable[None]]


class Course(NamedTuple):
    """One course: `served` when it takes MCP servers; the most epochs that may begin in it."""

    name: str
    play: Play
    served: bool = False
    epochs: int = 0


COURSES = (
    Course("memory edited", changes.memory_edited),
    Course("memory edited twice", changes.memory_edited_twice),
    Course("memory emptied", changes.memory_emptied),
    Course("skill added", changes.skill_added),
    Course("skill changed", changes.skill_changed),
    Course("skill removed", changes.skill_removed),
    Course("client's system changed", changes.system_changed),
    Course("client's system removed", changes.system_removed),
    Course("client's tool comes and goes", changes.tool_comes_and_goes),
    Course("server tools on and off", changes.server_tools_on_and_off),
    Course("MCP server dies", changes.server_dies, served=True),
    Course("MCP server comes back", changes.server_comes_back, served=True),
    Course("MCP server comes back changed", changes.server_comes_back_changed, served=True),
    Course("MCP server is late after a restart", changes.server_is_late, served=True),
    Course("MCP settings changed", changes.servers_changed, served=True),
    Course("system_prompt changed", changes.system_prompt_changed),
    Course("response_format changed", changes.response_format_changed),
    Course("cancelled in thought", cuts.cancelled_in_thought),
    Course("cancelled in text", cuts.cancelled_in_text),
    Course("cancelled behind a search", cuts.cancelled_behind_a_search),
    Course("cancelled inside a tool call", cuts.cancelled_inside_a_call),
    Course("cancelled while a client's tool runs", cuts.cancelled_while_a_tool_runs),
    Course("refused", cuts.refused),
    Course("refused behind a tool step", cuts.refused_behind_a_tool),
    Course("paused", cuts.paused),
    Course("paused and cancelled", cuts.paused_and_cancelled),
    Course("to claude-sonnet-4-5 and back", upsets.switched("claude-sonnet-4-5")),
    Course("to claude-opus-4-1 and back", upsets.switched("claude-opus-4-1")),
    Course("to claude-sonnet-5 and back", upsets.switched("claude-sonnet-5")),
    Course("to claude-opus-4-8 and back", upsets.switched("claude-opus-4-8")),
    Course("thinking off and on", upsets.thinks_less),
    Course("overloaded before the start", upsets.overloaded),
    Course("prefix mismatch once", upsets.mismatched, epochs=1),
    Course("refused for no known reason", upsets.refused_for_no_known_reason, epochs=1),
    Course("provider drops thinking", upsets.thinking_dropped, epochs=1),
)
