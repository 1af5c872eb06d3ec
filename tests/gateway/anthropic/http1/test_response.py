"""A response, as its bytes come."""

from __future__ import annotations

from itertools import pairwise

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.anthropic.http1.response import LONGEST_HEAD, ResponseParser

HEAD = b"HTTP/1.1 200 OK\r\nX-One: 1\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
PLAIN = HEAD + b"Content-Length: 11\r\n\r\n"
WORDS = b"hello world"
IN_CHUNKS = b"5\r\nhello\r\n6;more=1\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\n"


def parsed(*pieces: bytes, ends: bool = False) -> tuple[ResponseParser, bytes]:
    """The parser after these pieces, and the body that it has given."""
    parser = ResponseParser()
    body = b"".join(parser.feed(memoryview(piece)) for piece in pieces if piece)
    if ends:
        body += parser.feed(memoryview(b""))
    return parser, body


@pytest.mark.parametrize("whole", [PLAIN + WORDS, CHUNKED + IN_CHUNKS], ids=["plain", "chunked"])
def test_a_response_is_the_same_however_its_bytes_arrive(whole: bytes) -> None:
    """Cut at any place, and into single bytes."""
    for at in range(len(whole) + 1):
        parser, body = parsed(whole[:at], whole[at:])
        assert (parser.status, body, parser.is_whole) == (200, WORDS, True)
        assert parser.leaves_connection
    parser, body = parsed(*(whole[at : at + 1] for at in range(len(whole))))
    assert (body, parser.is_whole) == (WORDS, True)
    assert parser.headers[0] == (b"X-One", b"1")
    assert len(parser.headers) == 2, "a trailer is no header"


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8), st.lists(st.integers(0, 400)))
def test_any_body_in_chunks_is_read(chunks: list[bytes], cuts: list[int]) -> None:
    """Whatever is in it, and however it is cut."""
    coded = [b"%x\r\n%b\r\n" % (len(one), one) for one in chunks]
    whole = CHUNKED + b"".join(coded) + b"0\r\n\r\n"
    places = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    parser, body = parsed(*(whole[start:end] for start, end in pairwise(places)))
    assert (body, parser.is_whole) == (b"".join(chunks), True)


def test_interim_responses_are_passed_over() -> None:
    """Their headers are not those of the answer."""
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    parser, body = parsed(b"HTTP/1.1 100 Continue\r\n\r\n" + hints, PLAIN + WORDS)
    assert (parser.status, body) == (200, WORDS)
    assert [name for name, _ in parser.headers] == [b"X-One", b"Content-Length"]


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    """The next request needs another one."""
    parser, body = parsed(HEAD + b"\r\nhello ", b"world", ends=True)
    assert (body, parser.is_whole, parser.leaves_connection) == (WORDS, True, False)


@pytest.mark.parametrize(
    "head",
    [HEAD + b"Connection: close\r\nContent-Length: 11\r\n\r\n", PLAIN.replace(b"1.1", b"1.0")],
)
def test_a_connection_that_is_to_be_closed_is_not_left(head: bytes) -> None:
    """It says so, or it is of an older version that says nothing."""
    parser, body = parsed(head + WORDS)
    assert (body, parser.is_whole, parser.leaves_connection) == (WORDS, True, False)


@pytest.mark.parametrize(
    "more", [b"x", b"HTTP/1.1 ", PLAIN + b"other words", b"HTTP/1.1 204 No Content\r\n\r\n"]
)
def test_what_follows_the_end_is_of_nothing(more: bytes) -> None:
    """It is no body, and its connection is not used again."""
    for pieces in ([PLAIN + WORDS + more], [PLAIN + WORDS, more]):
        parser, body = parsed(*pieces)
        assert (parser.status, body, parser.is_whole) == (200, WORDS, True)
        assert not parser.leaves_connection


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (HEAD.replace(b"\r", b"") + b"Content-Length: 11\n\n", WORDS),
        (HEAD + b"Content-Length: 3\r\nTransfer-Encoding: Chunked\r\n\r\n", IN_CHUNKS),
        (PLAIN.replace(b"X-One", b"Connection: Upgrade\r\nUpgrade: h2\r\nX-One"), WORDS),
        (CHUNKED, b"5   \r\nhello\r\n6 ;more=1\r\n world\r\n0 \r\n\r\n"),
    ],
    ids=["line feeds", "two lengths", "offers another protocol", "sizes with blanks"],
)
def test_what_some_proxies_send_is_read(head: bytes, body: bytes) -> None:
    """The HTTP library reads it too."""
    parser, came = parsed(head + body)
    assert (came, parser.is_whole) == (WORDS, True)


@pytest.mark.parametrize(
    "said",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16",
        b"HTTP/1.1 200 OK\r\nNo header\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
        HEAD + b"Content-Length: many\r\n\r\n",
        HEAD + b"Transfer-Encoding: gzip\r\n\r\n",
        CHUNKED + b"nothing\r\n",
    ],
)
def test_what_is_no_response_is_a_fault_of_the_provider(said: bytes) -> None:
    """Also when it begins like one."""
    with pytest.raises(httpx2.RemoteProtocolError):
        parsed(said)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200", HEAD, b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_a_connection_that_ends_before_the_head_brings_no_answer(said: bytes) -> None:
    """Nothing, or a part of one."""
    with pytest.raises(httpx2.RemoteProtocolError, match="without an answer"):
        parsed(said, ends=True)


@pytest.mark.parametrize("said", [PLAIN, PLAIN + b"hello", CHUNKED, CHUNKED + b"5\r\nhello\r\n"])
def test_a_body_that_is_cut_short_is_not_whole(said: bytes) -> None:
    """Its head says that there is more."""
    with pytest.raises(httpx2.RemoteProtocolError, match="in the middle"):
        parsed(said, ends=True)


@pytest.mark.parametrize(
    "begun",
    [
        b"HTTP/1.1 200 OK\r\nX: " + b"x",
        HEAD + b"Connection: ",
        CHUNKED + b"0\r\nX-Trailer: ",
        CHUNKED + b"1;more=",
    ],
    ids=["line", "header", "trailer", "extension"],
)
def test_what_is_no_body_does_not_grow_without_a_bound(begun: bytes) -> None:
    """It would be kept."""
    pieces = [b"x" * 1_000] * (LONGEST_HEAD // 1_000 + 1)
    with pytest.raises(httpx2.RemoteProtocolError, match="does not end"):
        parsed(begun, *pieces)


def test_interim_responses_without_end_are_refused() -> None:
    """None of them is the answer."""
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    with pytest.raises(httpx2.RemoteProtocolError, match="does not end"):
        parsed(*[interim] * (LONGEST_HEAD // len(interim) + 1))
