"""What is made of MCP's names, tools and results: plain rules."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_types import CallToolResult, Tool

from gateway.mcp.answers import LONGEST_IMAGE, LONGEST_TEXT, MOST_IMAGES, to_answer
from gateway.mcp.bounded import MOST_TOOLS
from gateway.mcp.child import Quota
from gateway.mcp.names import name_all, offered_name
from gateway.mcp.offers import LONGEST_SCHEMA, offers_of
from gateway.mcp.pace import TokenBucket
from gateway.mcp.settings import McpServer
from gateway.mcp.state import ServerLost, ServerState
from gateway.mcp.stdio import Framing
from gateway.mcp.supervisor import pause_after
from protocol.tools import ToolAnswer

SERVER = McpServer(name="s", command="x")
PIXEL = base64.b64encode(b"an image").decode()


def answer(*content: dict[str, Any], **fields: Any) -> ToolAnswer:
    return to_answer(CallToolResult.model_validate({"content": list(content), **fields}))


def image(data: str = PIXEL, kind: str = "image/png") -> dict[str, Any]:
    return {"type": "image", "data": data, "mimeType": kind}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def tool(name: str, schema: dict[str, Any] | None = None, **fields: Any) -> Tool:
    schema = {"type": "object"} if schema is None else schema
    return Tool.model_validate({"name": name, "inputSchema": schema, **fields})


@given(server=st.from_regex(r"[A-Za-z0-9_-]{1,32}", fullmatch=True), name=st.text())
def test_any_name_is_made_to_fit(server: str, name: str) -> None:
    """Whatever a server calls its tool, the provider takes it, and the server's name leads it."""
    made = offered_name(server, name)
    assert made.startswith(f"{server}__")
    assert 1 <= len(made) <= 128
    assert made.isascii()
    assert made.replace("_", "").replace("-", "").isalnum() or set(made) <= {"_", "-"}


@given(st.lists(st.text(alphabet="ab._ä", max_size=4), unique=True))
def test_different_tools_have_different_names(tools: list[str]) -> None:
    """Even where what they differ in does not fit."""
    made = [name for _, name in name_all("s", tools)]
    assert len(set(made)) == len(tools)


def test_a_name_that_fits_stays_as_it_is() -> None:
    """And one that would take another's place is refused, the same one every time."""
    assert offered_name("s", "get-time_2") == "s__get-time_2"
    changed = offered_name("s", "a b").removeprefix("s__")
    assert dict(name_all("s", ["a b", changed])) == {"a b": f"s__{changed}", changed: None}
    assert dict(name_all("s", [changed, "a b"])) == {"a b": f"s__{changed}", changed: None}


@pytest.mark.parametrize(
    ("annotations", "risk"),
    [
        (None, "high"),
        ({}, "high"),
        ({"readOnlyHint": True}, "low"),
        ({"readOnlyHint": True, "destructiveHint": True}, "low"),
        ({"readOnlyHint": False}, "high"),
        ({"destructiveHint": True}, "high"),
        ({"destructiveHint": False}, "medium"),
    ],
)
def test_the_risk_is_what_the_server_says(annotations: dict[str, Any] | None, risk: str) -> None:
    """What is not said is as MCP has it: a tool may write, and destroy."""
    served = offers_of(SERVER, [tool("t", annotations=annotations)]).tools
    assert served["s__t"].offered.risk == risk


def test_what_cannot_be_offered_is_left_out_with_a_line(caplog: pytest.LogCaptureFixture) -> None:
    """One, however often it is listed: a giant's schema, a tool too many, a setting for none."""
    giant = {"type": "object", "description": "x" * LONGEST_SCHEMA}
    many = [tool(f"t{number:03}") for number in range(MOST_TOOLS)]
    server = McpServer(name="s", command="x", tools={"missing": "auto"})
    offers = offers_of(server, [tool("giant\n", giant), *many])
    assert len(offers.tools) == MOST_TOOLS - 1
    state = ServerState(server)
    for _ in range(2):
        state.offer(*offers)
    lines = [record.getMessage() for record in caplog.records]
    left = "the MCP server s: the tool"
    assert lines == [
        "the MCP server s has no tool missing, which its settings name",
        f"{left} (and further ones) is left out: the server has more than {MOST_TOOLS} tools",
        rf"{left} giant\n is left out: its schema is longer than 65,536 bytes",
    ]
    assert [one.name for one in state.left_out] == ["(and further ones)", "giant\\n"]


def test_texts_are_one_text() -> None:
    """Also those of embedded resources; empty ones are nothing."""
    resource = {"type": "resource", "resource": {"uri": "file:///a", "text": "from a file"}}
    assert answer(text("one"), text(""), resource).content == "one\nfrom a file"
    assert answer(text("no\0l")).content == "no\N{REPLACEMENT CHARACTER}l"
    assert answer().content == "(The tool gave no output.)"
    assert answer(text("wrong"), isError=True) == ToolAnswer(content="wrong", is_error=True)


def test_structured_content_is_shown_when_there_is_no_other() -> None:
    """As JSON."""
    assert answer(structuredContent={"a": "ä"}).content == '{"a": "ä"}'
    assert answer(text("a is ä"), structuredContent={"a": "ä"}).content == "a is ä"


@pytest.mark.parametrize(
    "kind", ["image/png", "image/jpeg", "image/gif", "image/webp", "IMAGE/PNG"]
)
def test_an_image_that_the_provider_takes_is_an_image(kind: str) -> None:
    """In its shape of it."""
    source = {"type": "base64", "media_type": kind.lower(), "data": PIXEL}
    assert answer(text("see"), image(kind=kind)).content == [
        text("see"),
        {"type": "image", "source": source},
    ]


@pytest.mark.parametrize(
    "block",
    [
        image(kind="image/tiff"),
        image(data="no base64!"),
        image(data=""),
        image(data="A" * (LONGEST_IMAGE + 4)),
    ],
)
def test_any_other_image_is_a_note(block: dict[str, Any]) -> None:
    """One that the provider refuses would cost the whole turn."""
    note = f"[The tool gave an image that cannot be shown: {block['mimeType']}.]"
    assert answer(block).content == note


@pytest.mark.parametrize(
    ("block", "note"),
    [
        ({"type": "audio", "data": "", "mimeType": "audio/ogg"}, "a sound: audio/ogg"),
        (
            {"type": "resource_link", "name": "n", "uri": "file:///n"},
            "a link to a resource: file:///n",
        ),
        (
            {"type": "resource", "resource": {"uri": "x:y", "blob": "", "mimeType": "a/b"}},
            "a resource that is no text: a/b, x:y",
        ),
    ],
)
def test_whatever_else_comes_is_a_note(block: dict[str, Any], note: str) -> None:
    """The model can ask for it in another way."""
    assert answer(block).content == f"[The tool gave {note}.]"


def test_too_much_is_left_out_and_said() -> None:
    """Text and images have a bound each."""
    long = answer(text("x" * LONGEST_TEXT), text("four"), text("more"))
    assert isinstance(long.content, str)
    left = "\n[8 further characters of the tool's output are left out.]"
    assert long.content == "x" * LONGEST_TEXT + left
    cut = answer(text("x" * (LONGEST_TEXT + 1))).text
    assert cut.startswith("x" * LONGEST_TEXT + "\n[1 further")
    many = answer(*[image()] * (MOST_IMAGES + 2)).content
    assert len(many) == MOST_IMAGES + 1
    assert many[-1] == text("[2 further images are left out.]")


@given(st.lists(st.binary(max_size=8), max_size=20))
def test_lines_are_the_same_however_they_are_cut(pieces: list[bytes]) -> None:
    """Empty ones count, for a server may send nothing else; an unfinished one waits."""
    framing = Framing()
    lines = [line for piece in pieces for line in framing.feed(piece)]
    *whole, _ = b"".join(pieces).split(b"\n")
    assert lines == whole


def test_a_line_without_end_is_given_up() -> None:
    """The bound holds for what is not finished."""
    framing = Framing(longest=10)
    assert framing.feed(b"x" * 10) == []
    with pytest.raises(ServerLost):
        framing.feed(b"x")


def test_a_burst_is_let_through_and_what_follows_is_slowed() -> None:
    """Then so many a second; a pause makes room for the next burst."""
    pace = TokenBucket(rate=10, burst=5)
    assert [pace.delay(100) for _ in range(5)] == [0] * 5
    assert [round(pace.delay(100), 3) for _ in range(3)] == [0.1, 0.2, 0.3]
    assert pace.delay(200) == 0


def test_a_quota_begins_anew_every_second() -> None:
    """And what is over it is dropped."""
    quota = Quota(2)
    assert [quota.take(when) for when in (1.0, 1.1, 1.9, 2.0)] == [True, True, False, True]


@given(row=st.integers(0, 10_000), jitter=st.floats(0, 1))
def test_pauses_grow_up_to_the_longest(row: int, jitter: float) -> None:
    """With some chance in them, so that servers do not come back all at once."""
    assert 0 < pause_after(row, 60.0, jitter) <= 60.0
    assert pause_after(row, 60.0, jitter) <= pause_after(row + 1, 60.0, jitter)
    assert pause_after(0, 60.0, 1) == 1.0


def test_a_key_is_hidden_before_anything_is_cut() -> None:
    """Half of it would not be found."""
    long = "x" * (LONGEST_TEXT - 4) + "secret-key"
    result = CallToolResult.model_validate({"content": [text(long)]})
    told = to_answer(result, lambda words: words.replace("secret-key", "…"))
    assert told.text == "x" * (LONGEST_TEXT - 4) + "…"


def test_a_key_is_taken_out_of_what_a_tool_is_said_to_be() -> None:
    """Its description and its schema, in JSON's spelling too."""
    key = 'a "key" of ours'
    server = McpServer(name="s", command="x", variables=(json.dumps(key)[1:-1], key))
    schema = {"type": "object", "properties": {"k": {"type": "string", "default": key}}}
    (served,) = offers_of(server, [tool("t", schema, description=f"Uses {key}.")]).tools.values()
    assert served.offered.description == "Uses …."
    assert served.offered.input_schema["properties"]["k"]["default"] == "…"


def test_what_a_schema_demands_stays_as_it_is() -> None:
    """Though it be spelt like a secret: `production` is a mode of many tools."""
    server = McpServer(name="s", command="x", variables=("production", "required"))
    mode = {"enum": ["staging", "production"], "description": "Not production."}
    schema = {"type": "object", "properties": {"production": mode}, "required": ["production"]}
    (served,) = offers_of(server, [tool("t", schema)]).tools.values()
    told = {**mode, "description": "Not …."}
    assert served.offered.input_schema == {**schema, "properties": {"production": told}}


def test_a_key_in_an_address_is_hidden_before_it_is_cut() -> None:
    """Of a resource that only its address is told of."""
    uri = "https://x.example/" + "a" * 175 + "secret-key"
    result = {"content": [{"type": "resource_link", "name": "r", "uri": uri}]}
    told = to_answer(CallToolResult.model_validate(result), lambda s: s.replace("secret-key", "…"))
    assert "secret" not in told.text
    assert "…" in told.text
