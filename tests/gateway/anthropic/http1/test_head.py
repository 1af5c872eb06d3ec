"""The head of a request."""

from __future__ import annotations

import httpx2
import pytest

from gateway.anthropic.http1.head import OutgoingHead
from tests.gateway.anthropic.http1.support import head_of


def test_a_head_is_the_line_the_headers_and_the_length() -> None:
    """The path is that of the address, with what stands before it there."""
    head = head_of("http://h.example:81/pre/v1/messages?x=%20", **{"X-One": "1"})
    assert head.before(b"12345") == (
        b"POST /pre/v1/messages?x=%20 HTTP/1.1\r\nHost: h.example:81\r\nX-One: 1\r\n"
        b"Content-Length: 5\r\n\r\n"
    )


def test_what_belongs_to_one_request_is_not_kept_for_the_next() -> None:
    """Its length, and the cookies of whoever asked before."""
    request = httpx2.Request("POST", "http://h", headers={"Cookie": "a=b"}, content=b"1234567")
    head = OutgoingHead(request)
    assert b"a=b" not in head.before(b"")
    assert head.before(b"").count(b"Content-Length") == 1
    assert head.with_body(b"12").headers["content-length"] == "2"


@pytest.mark.parametrize("value", ["a\r\nX-Two: 2", "a\nb", "a\0"])
def test_a_header_that_would_be_two_is_refused(value: str) -> None:
    """Whoever wrote it would write the request."""
    with pytest.raises(httpx2.LocalProtocolError):
        head_of(**{"X-One": value})
