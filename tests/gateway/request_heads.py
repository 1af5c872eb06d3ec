"""Heads of requests, as a client sends them and as the door reads them."""

from __future__ import annotations

import h11

from gateway.head import cut_head, parse_head
from gateway.refusals import Refusal


def head(target: str = "/gateway", **headers: str) -> bytes:
    """A request's head; a header that is empty is left out."""
    fields = {
        "Host": "127.0.0.1:3271",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Authorization": "Bearer right",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = [f"{name}: {value}" for name, value in fields.items() if value]
    return "\r\n".join([f"GET {target} HTTP/1.1", *lines, "", ""]).encode("latin-1")


def request_of(data: bytes) -> h11.Request | Refusal:
    """What the door makes of all that has come."""
    cut = cut_head(data)
    return cut if isinstance(cut, Refusal) else parse_head(cut)
