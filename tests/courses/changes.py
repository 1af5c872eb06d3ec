"""Courses in which something changes that the model had been told: it is told what is new."""

from __future__ import annotations

from gateway.simulator import Reply, ReplyThinking, ToolUse
from gateway.simulator.tool_changes import offered
from tests.courses.replies import asks, searches, tide
from tests.courses.session import Session

SKILL = "knots"


# --- memory and skills ---------------------------------------------------------------------------


async def edit_memory(session: Session) -> str:
    """A new memory, which the model is told; its text."""
    memory = session.text("What is to be remembered")
    session.stage.write_memory(memory)
    await session.ask()
    session.check_told(memory)
    return memory


async def memory_edited(session: Session) -> None:
    """The memory is another one."""
    session.stage.write_memory(session.text("An old memory"))
    await session.ask()
    await edit_memory(session)
    await session.ask()
    session.check_nothing_told()


async def memory_edited_twice(session: Session) -> None:
    """And then another one again, with turns between."""
    session.stage.write_memory(session.text("An old memory"))
    await session.ask()
    first = await edit_memory(session)
    await session.ask()
    await edit_memory(session)
    session.check_told(gone=[first])


async def memory_emptied(session: Session) -> None:
    """There is a memory no more."""
    memory = session.text("An old memory")
    session.stage.write_memory(memory)
    await session.ask()
    session.stage.write_memory("")
    await session.ask()
    session.check_told(gone=[memory])
    await session.ask()
    session.check_nothing_told()


async def add_skill(session: Session) -> None:
    """A skill, which the model is told, and the tool to read it."""
    session.stage.write_skill(SKILL, "How to tie a bowline.")
    await session.ask()


async def skill_added(session: Session) -> None:
    """The agent learns something, and the model reads it."""
    await session.ask()
    await add_skill(session)
    session.check_told("How to tie a bowline.")
    session.check_offers("read_skill")
    call = ToolUse("read_skill", {"name": SKILL})
    session.stage.provider.arrange(Reply(blocks=(ReplyThinking("Read it first."), call)))
    turn = await session.ask()
    (result,) = turn.heard("tool.result")
    assert "Take one rope" in result["result"]


async def skill_changed(session: Session) -> None:
    """A skill is described in other words."""
    await add_skill(session)
    await session.ask()
    session.stage.write_skill(SKILL, "How to tie a sheet bend.")
    await session.ask()
    session.check_told("How to tie a sheet bend.", gone=["a bowline"])
    session.check_offers("read_skill")


async def skill_removed(session: Session) -> None:
    """The agent has a skill no more."""
    await add_skill(session)
    await session.ask()
    session.stage.remove_skill(SKILL)
    await session.ask()
    session.check_told(gone=[SKILL])
    session.check_offers(gone=["read_skill"])


# --- what the client says ------------------------------------------------------------------------


async def system_changed(session: Session) -> None:
    """The client's own system prompt is another one."""
    await session.ask(system=session.text("You are a pilot"))
    await session.ask()
    captain = session.text("You are a captain")
    await session.ask(system=captain)
    session.check_told(captain)
    await session.ask()
    session.check_nothing_told()


async def system_removed(session: Session) -> None:
    """The client takes its system prompt back."""
    pilot = session.text("You are a pilot")
    await session.ask(system=pilot)
    await session.ask()
    await session.ask(system="")
    session.check_told(gone=[pilot])
    await session.ask()
    session.check_nothing_told()


async def use_tide(session: Session) -> None:
    """The model calls the client's tool and thinks of what it brought."""
    session.stage.provider.arrange(asks("tide"))
    turn = await session.ask()
    assert len(turn.heard("tool.call")) == 1
    assert len(turn.exchanges) == 2


async def tool_comes_and_goes(session: Session) -> None:
    """A client's tool is added, changed, removed, and there again."""
    await session.ask(tools=[])
    for description in ("Tells the tide.", "Tells the tide, and when it turns."):
        await session.ask(tools=tide(description))
        session.check_offers("tide")
        (known,) = [one for one in offered(session.last.body) if one.get("name") == "tide"]
        assert known["description"] == description
        await use_tide(session)
    await session.ask(tools=[])
    session.check_offers(gone=["tide"])
    await session.ask()
    session.check_nothing_told()
    await session.ask(tools=tide())
    session.check_offers("tide")
    await use_tide(session)


async def server_tools_on_and_off(session: Session) -> None:
    """The provider's own search is there, then not, then there again."""
    await session.ask(serverTools=[])
    await session.ask(serverTools=["web_search"])
    session.check_offers("web_search")
    session.stage.provider.arrange(searches())
    await session.ask()
    await session.ask(serverTools=[])
    session.check_offers(gone=["web_search"])
    await session.ask(serverTools=["web_search"])
    session.check_offers("web_search")
    session.stage.provider.arrange(searches())
    await session.ask()


# --- MCP servers ---------------------------------------------------------------------------------


async def use_server(session: Session, tool: str = "pilot") -> None:
    """The model calls a server's tool, and gets its answer."""
    server = session.stage.server
    await server.is_there()
    await session.sees(server.offered(tool))
    session.stage.provider.arrange(asks(server.offered(tool)))
    turn = await session.ask()
    (result,) = turn.heard("tool.result")
    assert "all is well" in str(result["result"])


async def server_dies(session: Session) -> None:
    """An MCP server is gone: its tools stay on offer, and a call is told that it is down."""
    server = session.stage.server
    await use_server(session)
    await server.die()
    await session.ask()
    session.check_nothing_told()
    session.check_offers(server.offered("pilot"), server.offered("berth"))
    session.stage.provider.arrange(asks(server.offered("pilot")))
    turn = await session.ask()
    assert len(turn.heard("tool.error")) == 1
    await session.ask()
    await server.come_back()


async def server_comes_back(session: Session) -> None:
    """An MCP server is gone and comes back as it was: there is nothing to tell."""
    server = session.stage.server
    await use_server(session)
    await server.die()
    await session.ask()
    await server.come_back()
    await session.ask()
    session.check_nothing_told()
    await use_server(session)


async def server_comes_back_changed(session: Session) -> None:
    """An MCP server comes back with other tools."""
    server = session.stage.server
    await use_server(session)
    await server.die()
    await session.ask()
    server.offer("pilot", "crane")
    await server.come_back()
    await session.sees(server.offered("crane"), gone=[server.offered("berth")])
    await session.ask()
    session.check_offers(
        server.offered("pilot"), server.offered("crane"), gone=[server.offered("berth")]
    )
    await use_server(session, "crane")
    await server.die()
    server.offer("pilot", "berth")
    await server.come_back()
    await session.sees(server.offered("berth"), gone=[server.offered("crane")])
    await session.ask()


async def server_is_late(session: Session) -> None:
    """After a restart an MCP server is not there yet: its tools stay on offer."""
    server = session.stage.server
    await use_server(session)
    await session.stage.stop()
    server.stay_away()
    await session.stage.start()
    await session.ask()
    session.check_nothing_told()
    session.check_offers(server.offered("pilot"), server.offered("berth"))
    await server.come_back()
    await session.ask()
    session.check_nothing_told()
    await use_server(session)


async def servers_changed(session: Session) -> None:
    """After a restart the settings name another MCP server, and later the first one again."""
    stage = session.stage
    first, second = stage.servers
    await use_server(session)
    await stage.restart(mcp_servers=(second.settings,))
    await session.sees(second.offered("crane"), gone=[first.offered("pilot")])
    await session.ask()
    session.check_offers(second.offered("crane"), gone=[first.offered("pilot")])
    await session.ask()
    session.check_nothing_told()
    await stage.restart(mcp_servers=(first.settings, second.settings))
    await session.sees(second.offered("crane"), first.offered("pilot"))
    await session.ask()
    session.check_offers(second.offered("crane"), first.offered("pilot"))


# --- settings ------------------------------------------------------------------------------------


async def system_prompt_changed(session: Session) -> None:
    """After a restart the settings have another system prompt."""
    await session.ask()
    prompt = session.text("You are the master of the harbour")
    await session.stage.restart(system_prompt=prompt)
    await session.ask()
    if session.system is None:
        session.check_told(prompt)
    await session.ask()
    session.check_nothing_told()


async def response_format_changed(session: Session) -> None:
    """After a restart the settings want no format, and after another one they do again."""
    await session.ask()
    for response_format in (False, True):
        await session.stage.restart(response_format=response_format)
        await session.ask()
        session.check_told(*(["Write Markdown."] if response_format else []))
        await session.ask()
        session.check_nothing_told()
