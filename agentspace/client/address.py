"""Where a gateway is, and which token may go there.

A token opens one gateway. It is never sent to another host than it is for: the token of this
machine's gateway goes to this machine alone, unless somebody names it for that address.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path

import msgspec
from websockets.exceptions import InvalidURI
from websockets.uri import WebSocketURI, parse_uri

from agentspace.client.errors import ConnectError
from agentspace.client.local import local_token, local_url


class Target(msgspec.Struct, frozen=True):
    """Where a gateway is, and what opens it."""

    url: str
    token: str | None

    def __repr__(self) -> str:
        return f"Target({shown(self.url)!r})"


def find_target(url: str | None, token: str | None, data_dir: Path | None) -> Target:
    """The gateway that is meant: without a `url` this machine's own, found by its data folder."""
    where = local_url(data_dir) if url is None else url
    if token is None and is_loopback(address_of(where).host):
        token = local_token(data_dir)
    return Target(where, token)


def address_of(url: str) -> WebSocketURI:
    """The parts of a gateway's address. Raises ConnectError."""
    problem = ConnectError(
        "address", f"{shown(url)} is no address of a gateway: give ws://HOST:PORT/gateway."
    )
    try:
        address = parse_uri(url)
    except (InvalidURI, ValueError) as error:
        raise problem from error
    if address.username is not None or not address.host:
        raise problem
    return address


def shown(url: str) -> str:
    """The address for a person, without what may be a secret in it."""
    scheme, separator, rest = url.partition("://")
    host = rest.partition("?")[0].rpartition("@")[2]
    text = f"{scheme}{separator}{host}"
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:200])


def is_loopback(host: str) -> bool:
    """Whether `host` is an address (or the one name) that only this machine reaches."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
