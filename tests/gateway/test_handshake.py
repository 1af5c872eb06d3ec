"""Who may connect."""

from __future__ import annotations

from http import HTTPStatus

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.handshake import LOOPBACK_NAMES, AccessRules, Admission, check_upgrade, judge
from gateway.refusals import Refusal
from tests.gateway.request_heads import head, request_of

RULES = AccessRules(token="right", origins=frozenset({"https://app.example"}), hosts=LOOPBACK_NAMES)


def verdict(data: bytes, rules: AccessRules = RULES) -> HTTPStatus | Admission:
    """What becomes of a request."""
    request = request_of(data)
    if isinstance(request, Refusal):
        return request.status
    judged = judge(request, rules, local_host="10.0.0.5")
    return judged.status if isinstance(judged, Refusal) else judged


def test_a_bearer_token_is_let_in() -> None:
    """A request in order, without a subprotocol, is admitted."""
    assert verdict(head()) == Admission(None)


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ("agentspace.v1.json", "agentspace.v1.json"),
        ("agentspace.v1.msgpack, agentspace.v1.json", "agentspace.v1.msgpack"),
        ("chat, agentspace.v1.json", "agentspace.v1.json"),
        ("chat", None),
    ],
)
def test_the_client_s_first_known_subprotocol_is_spoken(offered: str, chosen: str | None) -> None:
    """Unknown ones are passed over."""
    assert verdict(head(Sec_WebSocket_Protocol=offered)) == Admission(chosen)


def test_a_browser_shows_its_token_as_a_subprotocol() -> None:
    """The token's subprotocol opens the door and is never the one to speak."""
    offered = "agentspace.v1.json, agentspace.token.right"
    data = head(Authorization="", Sec_WebSocket_Protocol=offered, Origin="https://app.example")
    assert verdict(data) == Admission("agentspace.v1.json")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (head(Authorization=""), 401),
        (head(Authorization="Bearer wrong"), 401),
        (head(Authorization="Basic right"), 401),
        (head(Authorization="", Sec_WebSocket_Protocol="agentspace.token.wrong"), 401),
        (head("/gateway?token=right"), 401),
        (head("/gateway?token=right", Authorization=""), 401),
        (head(Host="evil.example"), 403),
        (head(Host="127.0.0.1.evil.example"), 403),
        (head(Host="xn--aaa"), 403),
        (head(Host="[::1"), 403),
        (head(Origin="https://evil.example"), 403),
        (head(Origin="https://app.example.evil.example"), 403),
        (head(Origin="http://app.example"), 403),
        (head(Origin="null"), 403),
        (head("/"), 404),
        (head("/gateway/"), 404),
        (head(Upgrade=""), 426),
        (head(Host=""), 400),
        (b"\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),
        (head(Host="127.0.0.1\xff"), 400),
        (head(Sec_WebSocket_Protocol="\xe4"), 400),
        (head(Sec_WebSocket_Extensions="\xe4"), 400),
        (head() * 2 + b"x" * 20_000, Admission(None)),
    ],
)
def test_anything_else_is_refused(data: bytes, status: int | Admission) -> None:
    """Wrong token 401, Origin or Host 403, path 404, no upgrade 426, unreadable 400."""
    assert verdict(data) == status


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "[::1]:3271", "10.0.0.5:3271"])
def test_the_gateway_answers_to_its_own_names(host: str) -> None:
    """Loopback names and the address that a request arrived at, with any port."""
    assert verdict(head(Host=host)) == Admission(None)


def test_host_and_origin_count_without_a_token_too() -> None:
    """With `--auth none` a web page still cannot get in."""
    rules = AccessRules(token=None, origins=frozenset(), hosts=LOOPBACK_NAMES)
    assert verdict(head(Authorization=""), rules) == Admission(None)
    assert verdict(head(Origin="https://evil.example"), rules) == 403
    assert verdict(head(Host="evil.example"), rules) == 403


def test_a_refusal_is_a_whole_http_response() -> None:
    """It says what to do, and closes."""
    response = Refusal(HTTPStatus.UPGRADE_REQUIRED, "This speaks WebSocket.").response()
    assert response.startswith(b"HTTP/1.1 426 ")
    assert b"upgrade: websocket" in response
    assert b"connection: close" in response
    assert response.endswith(b"\r\n\r\nThis speaks WebSocket.\n")


UPGRADE = {
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({}, None),
        ({"Upgrade": "WebSocket", "Connection": "keep-alive, upgrade"}, None),
        ({"Connection": "keep-alive"}, 400),
        ({"Connection": ""}, 400),
        ({"Upgrade": "websocket, h2c"}, 400),
        ({"Sec-WebSocket-Key": ""}, 400),
        ({"Sec-WebSocket-Key": "short"}, 400),
        ({"Sec-WebSocket-Version": ""}, 400),
        ({"Sec-WebSocket-Version": "8"}, 426),
    ],
)
def test_what_no_websocket_can_be_made_of_is_refused(
    changed: dict[str, str], status: int | None
) -> None:
    """By RFC 6455, 4.2.1; a version is told by 426 with the one that is spoken."""
    request = request_of(head(**{**UPGRADE, **changed}))
    assert isinstance(request, h11.Request)
    refusal = check_upgrade(request)
    assert (refusal and refusal.status) == status


def test_an_upgrade_needs_http_1_1() -> None:
    """An old proxy in between says 1.0."""
    request = request_of(head(**UPGRADE).replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert isinstance(request, h11.Request)
    refusal = check_upgrade(request)
    assert refusal is not None
    assert refusal.status == 400


@given(st.binary(max_size=400))
def test_no_bytes_break_the_judgement(data: bytes) -> None:
    """Whatever comes is admitted or refused."""
    assert verdict(data + b"\r\n\r\n") is not None
    assert verdict(head().replace(b"127.0.0.1", data)) is not None
