"""How far a request's head is read, and how the part that cannot be read is named."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.head import END, LONGEST_HEAD, NO_REQUEST_LINE, READ, cut_head, is_whole, parse_head
from gateway.refusals import Refusal
from tests.gateway.request_heads import head, request_of


def fault(data: bytes) -> str:
    """Why a request is refused; empty when it can be read."""
    request = request_of(data)
    if isinstance(request, h11.Request):
        return ""
    assert request.status == 400
    return request.reason


@pytest.mark.parametrize("name", ["X-Authentik-Name", "Cookie", "User-Agent", "Referer"])
def test_what_nobody_reads_may_have_any_bytes(name: str) -> None:
    """A user's name from a single sign-on's proxy, a cookie of another local service."""
    assert fault(head(**{name: "C\xe9line \xff \x80"})) == ""


@pytest.mark.parametrize("byte", ["\xe9", "\0", "\x01", "\x7f"])
@pytest.mark.parametrize("name", [*READ.values(), "Sec-WebSocket-Later"])
def test_the_header_that_is_read_and_has_a_bad_byte_is_named(name: str, byte: str) -> None:
    """By a name of our own, whatever else the request says, and nothing of it is repeated."""
    shown = "Sec-WebSocket-*" if name == "Sec-WebSocket-Later" else name
    said = fault(head(**{name: f"before{byte}after"}))
    assert said == f"The header {shown} is not in printable ASCII."


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (head("/gateway\xe9"), NO_REQUEST_LINE),
        (head("/gate\0way"), NO_REQUEST_LINE),
        (head("//["), NO_REQUEST_LINE),
        (head("http://[::1/gateway"), NO_REQUEST_LINE),
        (b"nonsense\r\n\r\n", NO_REQUEST_LINE),
        (b"\r\n\r\n", NO_REQUEST_LINE),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", NO_REQUEST_LINE),
        (head(Host=""), "The header Host is missing."),
        (head(host="localhost"), "There is more than one header Host."),
        (head().replace(b"Upgrade:", b"Upgr\xe4de:"), "A header's line is not NAME: VALUE."),
        (head(**{"Cookie ": "x"}), "A header's line is not NAME: VALUE."),
        (head().replace(b": ", b" ", 1), "A header's line is not NAME: VALUE."),
        (head().replace(b"Host", b" Host"), "A header's line is not NAME: VALUE."),
        (head(Cookie="a\0b"), "A header has a control character."),
        (head(Origin="a\r\n \0b"), "The header Origin is not in printable ASCII."),
        (head(Origin="a\r\n \xff"), "The header Origin is not in printable ASCII."),
        (
            head(Content_Length="many"),
            "The header Content-Length or Transfer-Encoding cannot be right.",
        ),
        (head()[:-1], "The request ends before its head does."),
    ],
)
def test_the_part_that_cannot_be_read_is_named(data: bytes, reason: str) -> None:
    """In the answer, and so in the log."""
    assert fault(data) == reason


def test_an_old_client_needs_no_host_to_be_told_what_is_wrong() -> None:
    """HTTP/1.0 has none."""
    data = head(Host="", Content_Length="many").replace(b"HTTP/1.1", b"HTTP/1.0")
    assert fault(data).startswith("The header Content-Length")


@given(st.lists(st.one_of(st.binary(max_size=20), st.sampled_from(head().split(b"\r\n")))))
def test_whatever_comes_is_read_or_refused_with_a_reason_of_few(lines: list[bytes]) -> None:
    """Nothing of the request is in it, so that the log remembers few kinds."""
    for first in ([], [b"GET /gateway HTTP/1.1"]):
        said = fault(b"\r\n".join([*first, *lines]) + END)
        assert said == "" or said.startswith(("The ", "There ", "A "))
        assert said.isascii()


def sized(size: int) -> bytes:
    """A head in order of so many bytes."""
    return head(Cookie="c" * (size - len(head(Cookie="c")) + 1))


def in_pieces(data: bytes, piece: int) -> bytes:
    """What has been read when no more is asked for, when it comes in such pieces."""
    read = b""
    while not is_whole(read, len(read) - piece) and len(read) < len(data):
        read = data[: len(read) + piece]
    return read


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 1_000, 16_383, 16_384, 16_385, 100_000])
@pytest.mark.parametrize("more", [b"", b"\x81\x80", b"x" * 30_000])
def test_the_limit_of_a_head_does_not_depend_on_how_it_is_cut(piece: int, more: bytes) -> None:
    """One byte less, the limit, and one byte more, with and without bytes after it."""
    for size, is_taken in (
        (LONGEST_HEAD - 1, True),
        (LONGEST_HEAD, True),
        (LONGEST_HEAD + 1, False),
    ):
        data = sized(size)
        assert len(data) == size
        cut = cut_head(in_pieces(data + more, piece))
        assert isinstance(cut, Refusal) is not is_taken
        assert isinstance(cut, Refusal) or cut == data


def test_a_head_without_an_end_is_read_no_further_than_the_limit() -> None:
    """The reader stops at the first byte too many."""
    assert not is_whole(b"x" * LONGEST_HEAD)
    assert is_whole(b"x" * (LONGEST_HEAD + 1))


def test_what_follows_the_head_is_not_looked_at() -> None:
    """The first bytes of a WebSocket may come with it."""
    cut = cut_head(head() * 2 + b"\xff" * 20_000)
    assert cut == head()
    assert isinstance(parse_head(head()), h11.Request)
