"""A request's tools: whose they are, their order, and what a session remembers."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from actors.context.assembly import marked
from actors.context.toolset import assemble_tools, chosen_tools, server_tools
from protocol.client import (
    ChatSend,
    ServerTool,
    ServerToolOptions,
    ToolDeclaration,
    UserLocation,
)
from protocol.errors import GatewayError
from protocol.provider.features import TOOL_SEARCH
from protocol.provider.model_table import FIRST_TOOLS
from protocol.tools import OfferedTool

SCHEMA = {"type": "object"}
LATE = ToolDeclaration("late", "Waits.", SCHEMA, defer_loading=True)
SKILLS = OfferedTool(name="read_skill", description="Reads.", input_schema=SCHEMA)
TYPES = ("web_search_20260318", *FIRST_TOOLS)
SEARCH = {"type": "web_search_20260318", "name": "web_search"}
FETCH = {"type": "web_fetch_20250910", "name": "web_fetch"}
RUN = {"type": "code_execution_20250825", "name": "code_execution"}


def declared(name: str, schema: dict[str, Any] | None = None) -> ToolDeclaration:
    """A client's tool."""
    return ToolDeclaration(name, "Brews.", schema or SCHEMA)


def sent(name: str, description: str = "Brews.") -> dict[str, Any]:
    """A tool as it goes upstream."""
    return {"name": name, "description": description, "input_schema": SCHEMA}


def remember(
    before: bytes | None,
    *,
    tools: list[ToolDeclaration] | None = None,
    servers: list[ServerTool | ServerToolOptions] | None = None,
) -> bytes | None:
    """What a session remembers after a send."""
    send = ChatSend(id="1", content="Hi", tools=tools, server_tools=servers)
    return chosen_tools(before, send, {SKILLS.name})


def names(remembered: bytes | None) -> list[str]:
    """The remembered tools."""
    return [tool["name"] for tool in json.loads(remembered or b"[]")]


def test_the_gateways_tools_come_first_then_the_providers_then_the_clients() -> None:
    """With what must be known to run each."""
    remembered = remember(None, tools=[declared("brew")], servers=["web_search"])
    tools = assemble_tools([SKILLS], [], remembered, TYPES)
    assert tools.definitions == [sent("read_skill", "Reads."), SEARCH, sent("brew")]
    assert (tools.rules, tools.client_names) == ([SKILLS.rule], ["brew"])


def test_the_last_tool_ends_with_a_breakpoint() -> None:
    """Where the provider is to remember what is sent."""
    tools = assemble_tools([SKILLS], [], remember(None, servers=["web_fetch"]), TYPES)
    listed = msgspec.json.encode(tools.definitions)
    assert json.loads(marked(listed, caches=True)) == [
        sent("read_skill", "Reads."),
        {**FETCH, "cache_control": {"type": "ephemeral"}},
    ]
    assert marked(listed, caches=False) == listed


def test_no_tools_are_nothing() -> None:
    """No breakpoint has its place there, and a session remembers none."""
    assert assemble_tools([], [], None, TYPES).definitions == []
    assert marked(b"[]", caches=True) == b"[]"
    assert remember(b"[]", tools=[]) is None
    assert server_tools(()) is None


def test_the_tools_of_a_server_that_is_down_stay() -> None:
    """As the model was told of them, behind those that can be called; nobody runs them."""
    remembered = remember(None, tools=[declared("brew"), declared("pour")])
    down = sent("brew", "Brews on a server.")
    tools = assemble_tools([SKILLS], [down], remembered, TYPES)
    assert tools.definitions == [sent("read_skill", "Reads."), down, sent("pour")]
    assert (tools.rules, tools.client_names) == ([SKILLS.rule], ["pour"])


def test_the_providers_tools_keep_their_order() -> None:
    """However the client or the settings name them."""
    chosen = server_tools(("code_execution", "web_search", "web_fetch"))
    assert names(chosen) == ["web_search", "web_fetch", "code_execution"]
    assert assemble_tools([], [], chosen, TYPES).definitions == [SEARCH, FETCH, RUN]


def test_what_a_send_does_not_mention_stays() -> None:
    """Client tools and the provider's are chosen apart; an empty list takes them away."""
    both = remember(None, tools=[declared("brew")], servers=["web_search"])
    assert names(remember(both)) == ["web_search", "brew"]
    assert names(remember(both, tools=[declared("pour")])) == ["web_search", "pour"]
    assert names(remember(both, servers=["web_fetch"])) == ["web_fetch", "brew"]
    assert names(remember(both, tools=[])) == ["web_search"]
    assert names(remember(both, servers=[])) == ["brew"]


@pytest.mark.parametrize(
    ("tools", "field"),
    [
        ([declared("a"), declared("a")], "`tools[1].name`"),
        ([declared("a"), declared("read_skill")], "`tools[1].name`"),
        ([declared("web_search")], "`tools[0].name`"),
        ([LATE, declared(TOOL_SEARCH["name"])], "`tools[1].name`"),
    ],
)
def test_a_tool_that_the_provider_would_refuse_is_refused_by_name(
    tools: list[ToolDeclaration], field: str
) -> None:
    """Two of one name, whoever runs them, and a schema of no object."""
    with pytest.raises(GatewayError) as caught:
        remember(None, tools=tools, servers=["web_search"])
    assert caught.value.failure.code == "INVALID_MESSAGE"
    assert caught.value.failure.message.startswith(field)


def test_a_remembered_tool_gives_way_to_one_that_the_gateway_offers() -> None:
    """Else the provider would refuse every further request of the session."""
    remembered = remember(None, tools=[declared("brew"), declared("pour")])
    brew = OfferedTool(name="brew", description="Reads.", input_schema=SCHEMA)
    tools = assemble_tools([brew], [], remembered, TYPES)
    assert tools.definitions == [sent("brew", "Reads."), sent("pour")]
    assert tools.client_names == ["pour"]


OWN = ["web_search", "code_execution", "bash_code_execution", "text_editor_code_execution"]


@pytest.mark.parametrize("name", OWN)
def test_a_name_of_the_providers_own_is_not_a_clients(name: str) -> None:
    """In neither order, and not at once; the parts of code execution count, too."""
    before = remember(None, tools=[declared(name)])
    with pytest.raises(GatewayError, match=f"`serverTools`: .* `{name}`"):
        remember(before, servers=["web_search"])
    with pytest.raises(GatewayError, match=f"`tools.0..name`: .* `{name}`"):
        remember(server_tools(["web_search"]), tools=[declared(name)])
    assert names(remember(before, tools=[], servers=["web_search"])) == ["web_search"]


def test_nobody_elses_tool_has_the_name_of_the_gateways_own() -> None:
    """Whether or not the agent has skills just now."""
    send = ChatSend(id="1", content="Hi", tools=[declared("read_skill")])
    with pytest.raises(GatewayError, match="read_skill"):
        chosen_tools(None, send, set())


def test_what_a_server_offers_under_a_name_of_the_providers_is_left_out() -> None:
    """As is the tool of a server that is down, and a client's of an older session."""
    search = OfferedTool(name="web_search", description="Finds.", input_schema=SCHEMA)
    remembered = json.dumps([SEARCH, sent("web_search"), sent("brew")]).encode()
    tools = assemble_tools([search, SKILLS], [sent("code_execution")], remembered, TYPES)
    assert tools.definitions == [sent("read_skill", "Reads."), SEARCH, sent("brew")]
    assert (tools.rules, tools.client_names) == ([SKILLS.rule], ["brew"])


def test_a_version_that_the_model_was_told_of_stays_while_it_takes_it() -> None:
    """Another one would be another tool, and cost the session its cache."""
    told = msgspec.json.encode([{"type": "web_search_20250305", "name": "web_search"}])
    (kept,) = assemble_tools([], [], told, TYPES).definitions
    assert kept["type"] == "web_search_20250305"
    (newer,) = assemble_tools([], [], told, ("web_search_20260318",)).definitions
    assert newer["type"] == "web_search_20260318"
    with pytest.raises(GatewayError, match="this model has no `web_search`"):
        assemble_tools([], [], told, ("web_fetch_20260318",))


def test_a_tool_of_the_providers_has_its_options() -> None:
    """In the provider's own words."""
    options = ServerToolOptions(
        name="web_search",
        max_uses=3,
        allowed_domains=["example.com/docs"],
        user_location=UserLocation(city="Oslo", country="NO"),
    )
    chosen = remember(None, servers=[options, "web_fetch"])
    assert assemble_tools([], [], chosen, TYPES).definitions == [
        {
            **SEARCH,
            "max_uses": 3,
            "allowed_domains": ["example.com/docs"],
            "user_location": {"type": "approximate", "city": "Oslo", "country": "NO"},
        },
        FETCH,
    ]


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (
            ServerToolOptions(
                name="web_fetch", allowed_domains=["a.com"], blocked_domains=["b.com"]
            ),
            "give `allowedDomains` or `blockedDomains`, not both",
        ),
        (ServerToolOptions(name="code_execution", max_uses=1), "takes no options"),
        (
            ServerToolOptions(name="web_fetch", user_location=UserLocation(city="Oslo")),
            "`userLocation` is for `web_search`",
        ),
    ],
)
def test_options_that_the_provider_would_refuse_are_refused(
    options: ServerToolOptions, fault: str
) -> None:
    """With their place in the list."""
    with pytest.raises(GatewayError) as caught:
        remember(None, servers=["web_search", options])
    assert caught.value.failure.message.startswith("`serverTools[1]`")
    assert fault in caught.value.failure.message


def test_deferred_tools_come_with_the_tool_that_finds_them() -> None:
    """They stand before it, so that a breakpoint never falls on one of them."""
    strict = ToolDeclaration("now", "Acts.", SCHEMA, strict=True, input_examples=[{"a": 1}])
    tools = assemble_tools([], [], remember(None, tools=[strict, LATE]), TYPES)
    assert tools.definitions == [
        {**sent("late", "Waits."), "defer_loading": True},
        TOOL_SEARCH,
        {**sent("now", "Acts."), "strict": True, "input_examples": [{"a": 1}]},
    ]
    assert tools.client_names == ["late", "now"]
