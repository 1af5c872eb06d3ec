"""What a server says is bounded and mended before the SDK reads it: plain rules."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCError, JSONRPCResponse, Tool, jsonrpc_message_adapter

from gateway.mcp.bounded import (
    CUT,
    MOST_BLOCKS,
    MOST_TOOLS,
    SMALL,
    TOO_MUCH,
    WHOLE,
    TooManyValues,
    apart,
    bounded,
    split,
)
from gateway.mcp.http import EventLines, Trouble, _Client
from gateway.mcp.notices import Notices
from gateway.mcp.offers import LONGEST_WRITTEN, offers_of
from gateway.mcp.reading import UNREADABLE, _understand, heard, readable
from gateway.mcp.settings import McpServer
from gateway.mcp.sift import Sift
from tests.tiny_mcp import tool

SERVER = McpServer(name="s", command="x")
LONG = "x" * SMALL


def response(**result: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 7, "result": result}).encode()


def made_small(message: bytes) -> Any:
    """What a large message becomes; the SDK must be able to read it."""
    assert len(message) > SMALL
    small = bounded(message)
    jsonrpc_message_adapter.validate_json(small, by_name=False)
    return json.loads(small)


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def test_a_small_message_stays_as_it_is() -> None:
    """To the byte, whatever it is."""
    for message in (response(content=[]), b"nonsense", b""):
        assert bounded(message) is message


def test_a_large_answer_keeps_its_first_blocks() -> None:
    """Whole, however long their texts are; and says that there were more."""
    few = [text(LONG), {"type": "image", "data": "eA==", "mimeType": "image/png"}]
    assert made_small(response(content=few, isError=True))["result"] == {
        "content": few,
        "isError": True,
    }
    many = made_small(response(content=[text("x")] * 5_000, _meta={"a": 1}))["result"]
    assert many == {"content": [*[text("x")] * MOST_BLOCKS, text(CUT)]}


def test_half_a_character_in_a_large_message_is_a_question_mark() -> None:
    """A whole one stays, and so does what only looks like one; bytes that are no text as well."""
    words = "half \ud83d, whole \U0001f600, written \\ud83d."
    (block,) = made_small(response(content=[text(words + LONG)]))["result"]["content"]
    assert block["text"].removesuffix(LONG) == words.replace("\ud83d,", "\ufffd,")
    broken = response(content=[text(LONG + "?")]).replace(b"?", b"\xff")
    (block,) = made_small(broken)["result"]["content"]
    assert block["text"] == LONG + "\ufffd"


def test_large_structured_content_is_a_text_where_there_is_no_other() -> None:
    """As the server wrote it."""
    structured = {"a": LONG}
    (block,) = made_small(response(structuredContent=structured))["result"]["content"]
    assert json.loads(block["text"]) == structured
    both = made_small(response(content=[text("so")], structuredContent=structured))["result"]
    assert both == {"content": [text("so")]}


@pytest.mark.parametrize("content", [None, "", [], {}, [text("")]])
def test_large_structured_content_is_taken_for_whatever_is_no_content(content: Any) -> None:
    """Below 64 KB as well; where it is not there either, the content stays what it is."""
    result = made_small(response(content=content, structuredContent={"a": LONG}))["result"]
    assert result == {"content": [text(json.dumps({"a": LONG}))]}
    absent = response(content=content, structuredContent=None, other=LONG)
    assert made_small(absent)["result"] == {"content": content}


def test_a_large_list_of_tools_keeps_its_first_tools() -> None:
    """Each with its schema as a text, but for one that the SDK itself looks into."""
    schema = {"type": "object", "properties": {"a": {"description": "[{,"}}}
    mirrored = {"type": "object", "properties": {"a": {"x-mcp-header": "A"}}}
    tools = [
        {"name": "a", "inputSchema": schema, "outputSchema": {}, "annotations": {"title": "A"}},
        {"name": "b", "inputSchema": mirrored, "description": LONG},
        {"name": "c", "inputSchema": 5},
        *[{"name": f"t{number}"} for number in range(MOST_TOOLS)],
    ]
    first, second, third, *rest = made_small(response(tools=tools, nextCursor="1"))["result"][
        "tools"
    ]
    assert first.keys() == {"name", "inputSchema", "annotations"}
    assert first["inputSchema"]["type"] == "object"
    assert json.loads(first["inputSchema"][WHOLE]) == schema
    assert second["inputSchema"] == mirrored
    assert third == {"name": "c"}
    assert len(rest) == MOST_TOOLS - 2


def test_one_odd_entry_of_a_large_list_harms_no_other() -> None:
    """It is handed on as no tool; what should be short stays only if it is."""
    tools: list[Any] = [
        tool("big", description=LONG),
        None,
        5,
        [],
        " ",
        tool("t", title=[0] * 9_000),
    ]
    big, *none, last = made_small(response(tools=tools))["result"]["tools"]
    assert (big["name"], big["description"], none) == ("big", LONG, [None] * 4)
    assert last.keys() == {"name", "inputSchema"}


@pytest.mark.parametrize(
    "message",
    [
        response(content=[[[]] * 200_000]),
        response(other=[[]] * 20_000),
        json.dumps({"jsonrpc": "2.0", "id": 7, "error": [0] * 40_000}).encode(),
    ],
)
def test_what_is_too_much_is_an_error_of_its_own_request(message: bytes) -> None:
    """Whoever asked is told, instead of waiting."""
    small = made_small(message)
    assert (small["id"], small["error"]) == (7, TOO_MUCH)


@pytest.mark.parametrize("content", [{"a": LONG}, LONG])
def test_few_values_in_the_place_of_blocks_are_handed_on(content: Any) -> None:
    """What they are is judged as in a small message."""
    assert made_small(response(content=content))["result"] == {"content": content}


@pytest.mark.parametrize("message", [b"5", b"{}", b'{"jsonrpc":"2.0","id":7}', b"[" * SMALL * 2])
def test_what_is_no_message_is_not_taken_apart(message: bytes) -> None:
    """Whoever reads it decides what is told."""
    with pytest.raises((msgspec.DecodeError, ValueError, RecursionError)):
        apart(message)


@pytest.mark.parametrize("answer", [{"tools": LONG}, {"content": [LONG], "tools": {"a": 1}}, LONG])
async def test_a_large_answer_that_is_none_is_an_error_of_its_own_request(answer: Any) -> None:
    """As a small one is."""
    found = await heard(json.dumps({"jsonrpc": "2.0", "id": 7, "result": answer}).encode())
    assert isinstance(found, SessionMessage)
    assert isinstance(found.message, JSONRPCError)
    assert (found.message.id, found.message.error.message) == (7, UNREADABLE)


def test_other_large_messages() -> None:
    """A result with few values stays; what a server asks or tells is never large."""
    about = {"instructions": LONG, "capabilities": {}}
    assert made_small(response(**about))["result"] == about
    told = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": LONG}}
    assert made_small(json.dumps(told).encode()) == {**told, "params": {}}
    asked = {**told, "id": "1", "method": "sampling/createMessage"}
    assert made_small(json.dumps(asked).encode()) == {**asked, "params": {}}


values = st.recursive(
    st.none() | st.integers() | st.text('a"\\[]{},', max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=6,
)


@given(listed=st.lists(values, max_size=6), most=st.integers(1, 7))
def test_the_first_values_of_a_list_are_found(listed: list[Any], most: int) -> None:
    """Whatever stands in their texts."""
    first, is_cut = split(json.dumps(listed).encode(), most)
    assert json.loads(first) == listed[:most]
    assert is_cut == (len(listed) > most)


def test_a_list_is_not_looked_at_for_ever() -> None:
    """There is a bound."""
    with pytest.raises(TooManyValues):
        split(b"[" + b"[]," * 50 + b"[]]", 100, 60)


@pytest.mark.parametrize(
    ("message", "word"),
    [
        (b'{"jsonrpc":"2.0","id":7,"error":{}}', "an error"),
        (b'{"jsonrpc":"2.0","id":7,"error":{"code":5,"message":null}}', "an error"),
        (b'{"jsonrpc":"2.0","id":7,"error":"no"}', "no"),
        (b'{"jsonrpc":"2.0","id":7,"error":""}', "an error"),
        (b'{"jsonrpc":"2.0","id":7,"error":5}', "5"),
        (b'{"jsonrpc":"2.0","id":7,"error":{"message":"no ' + LONG.encode() + b'"}}', "no " + LONG),
        (b'{"jsonrpc":"2.0","id":7,"error":{"message":[' + b"0," * SMALL + b"0]}}", "an error"),
        (b'{"jsonrpc":"2.0","id":7,"error":null}', UNREADABLE),
        (b'{"result":{"method":1,"id":5},"jsonrpc":"2.0","id":7,}', UNREADABLE),
        (b'[{"id":7,"jsonrpc":"2.0","result":{"content":[}}]', UNREADABLE),
    ],
)
async def test_an_error_without_a_word_is_an_error(message: bytes, word: str) -> None:
    """Over whichever transport."""
    for found in (
        await heard(message),
        SessionMessage(jsonrpc_message_adapter.validate_json(await readable(message))),
    ):
        assert isinstance(found, SessionMessage)
        assert isinstance(found.message, JSONRPCError)
        assert (found.message.id, found.message.error.message) == (7, word)


async def test_what_cannot_be_understood_stays() -> None:
    """The SDK says what it makes of it."""
    for message in (
        b"nonsense",
        b"5",
        b'{"jsonrpc":"2.0"}',
        b'{"level":"info","id":7}',
        b'{"jsonrpc":"2.0","method":5,"id":7}',
        b'{"jsonrpc":"2.0","result":{"id":7',
    ):
        assert isinstance(await heard(message), Exception)
        assert await readable(message) == message
    assert await readable(b"[" * SMALL * 2) == b"null"
    large = response(content=[text("x")] * 5_000)
    assert json.loads(await readable(large)) == json.loads(bounded(large))


@given(data=st.data(), end=st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_events_are_the_same_however_they_are_cut(data: st.DataObject, end: bytes) -> None:
    """And whatever their lines end with."""
    whole = end.join([b"event: message", b"data: {}", b"", b": ping", b"", b"data: 1", b"", b""])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=5)))
    lines, events = EventLines(), []
    for start, stop in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        events += lines.feed(whole[start:stop])
    events += [bytes(lines.rest) + b"\n"] if lines.rest else []
    assert events == [b"event: message\ndata: {}\n\n", b": ping\n\n", b"data: 1\n\n"]


def test_an_event_in_many_lines_and_pieces_is_looked_at_once() -> None:
    """Copying what came so far with every piece would take minutes."""
    lines, piece = EventLines(), b"data: " + b"x" * 25 + b"\n"
    began = time.process_time()
    for _ in range(131_072):
        assert lines.feed(piece) == []
    (event,) = lines.feed(b"\n")
    assert len(event) == 131_072 * len(piece) + 1
    assert time.process_time() - began < 2


@pytest.mark.parametrize("kind", [b"text/event-stream", b"application/json"])
@pytest.mark.parametrize("piece", [b": still there\n\n" * 4_096, b""])
async def test_a_refusal_without_end_is_read_for_a_while_only(
    kind: bytes, piece: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Endless or silent, it says what its status says: the session is forgotten."""
    monkeypatch.setattr("gateway.mcp.http.CONNECT_SECONDS", 0.3)
    monkeypatch.setattr("gateway.mcp.http.LONGEST_MESSAGE", 1_000_000)
    sent = 0

    async def serve(stream: trio.SocketStream) -> None:
        nonlocal sent
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 404 Not Found\r\nContent-Type: %b\r\n\r\n" % kind)
        with suppress(trio.BrokenResourceError):
            while sent < 100_000_000:
                await stream.send_all(piece or b" ")
                sent += len(piece)
                await trio.sleep(0 if piece else 10)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/mcp"
        trouble = Trouble(lambda: None)
        with trio.fail_after(5):
            notices = Notices(lambda: None)
            async with _Client(McpServer(name="s", url=url), trouble, notices) as client:
                request = client.build_request("POST", url, headers={"mcp-session-id": "x"})
                response = await client.send(request, stream=True)
                await response.aclose()
        nursery.cancel_scope.cancel()
    assert trouble.has_forgotten
    assert sent < 50_000_000


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("5", "its schema cannot be read"),
        ("{", "its schema cannot be read"),
        ('{"a": "' + "x" * LONGEST_WRITTEN + '"}', "its schema is longer than 65,536 bytes"),
        ('{"type": "string"}', "its schema is not of an object"),
    ],
)
def test_a_schema_that_came_as_a_text_is_judged_like_any_other(written: str, reason: str) -> None:
    """In the thread that looks at the tools."""
    schema = {"type": "object", WHOLE: written}
    offers = offers_of(SERVER, [Tool(name="t", input_schema=schema)])
    assert [one.reason for one in offers.left_out] == [reason]
    schema[WHOLE] = '{"properties": {"a": {}}}'
    (served,) = offers_of(SERVER, [Tool(name="t", input_schema=schema)]).tools.values()
    assert served.offered.input_schema == {"properties": {"a": {}}, "type": "object"}


def sifted(**result: Any) -> dict[str, Any]:
    """A result as the SDK gets it."""
    answer = JSONRPCResponse(jsonrpc="2.0", id=1, result=result)
    Sift(SERVER).clean(SessionMessage(answer))
    return answer.result


def test_an_answer_of_the_newest_version_is_sifted_as_well() -> None:
    """It says of itself that it is complete."""
    answer = sifted(resultType="complete", content=[text("a"), {"type": "scent"}])
    assert answer["content"] == [
        text("a"),
        text("[The tool gave something that cannot be shown: scent.]"),
    ]


@pytest.mark.parametrize(
    ("flag", "is_error"), [(True, True), ("false", False), (1, True), (0, False)]
)
def test_whether_a_call_failed_is_understood(flag: Any, is_error: bool) -> None:
    """However it is spelt."""
    assert sifted(content=[], isError=flag)["isError"] is is_error


@pytest.mark.parametrize(
    ("hints", "kept"),
    [
        ({"readOnlyHint": "yes", "idempotentHint": 1, "title": 5}, {}),
        ({"readOnlyHint": True, "title": "A", "x": 5}, {"readOnlyHint": True, "title": "A"}),
        ("safe", {}),
    ],
)
def test_a_hint_that_is_none_does_not_count(hints: Any, kept: dict[str, Any]) -> None:
    """It may not make a tool harmless."""
    (sifted_tool,) = sifted(tools=[tool("t", annotations=hints)])["tools"]
    assert sifted_tool["annotations"] == kept


PLACES = (
    lambda odd: response(content=odd),
    lambda odd: response(content=[odd, text("a")]),
    lambda odd: response(content=[{"type": "text", "text": odd, "annotations": odd}]),
    lambda odd: response(content=odd, structuredContent=odd, isError=odd, _meta=odd),
    lambda odd: response(tools=odd),
    lambda odd: response(tools=[odd, {"name": odd, "inputSchema": odd}, tool("t", odd)]),
    lambda odd: response(tools=[tool("t", title=odd, annotations=odd, description=odd)]),
    lambda odd: response(tools=[tool("t", {"type": odd, "properties": odd})], nextCursor=odd),
    lambda odd: json.dumps({"jsonrpc": "2.0", "id": 7, "result": odd}).encode(),
    lambda odd: json.dumps({"jsonrpc": "2.0", "id": 7, "error": odd}).encode(),
    lambda odd: json.dumps(
        {"jsonrpc": "2.0", "id": 7, "error": {"code": odd, "message": odd, "data": odd}}
    ).encode(),
)


@given(place=st.sampled_from(PLACES), odd=values, pad=st.sampled_from([b"", b" " * SMALL]))
def test_whatever_an_answer_has_in_it_is_an_answer(place: Any, odd: Any, pad: bytes) -> None:
    """Something comes out that the SDK takes, or an error of the one call; nothing is raised."""
    _, found = _understand(place(odd) + pad)
    assert isinstance(found, SessionMessage)
    assert isinstance(found.message, JSONRPCResponse | JSONRPCError)
    assert found.message.id == 7
    Sift(SERVER).clean(found)


def test_blocks_of_a_small_message_are_bounded_too() -> None:
    """A block may be short."""
    answer = sifted(content=[text("")] * (MOST_BLOCKS + 1))
    assert answer["content"] == [*[text("")] * MOST_BLOCKS, text(CUT)]
