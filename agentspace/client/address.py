"""A gateway's address: its parts, how a person sees it, and when two are one gateway's."""

from __future__ import annotations

from urllib.parse import urlsplit

from websockets.exceptions import InvalidURI
from websockets.uri import WebSocketURI, parse_uri

from agentspace.client.errors import ConnectError
from agentspace.loopback import is_loopback


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


def is_loopback_url(url: str) -> bool:
    """Whether an address leads to this machine alone."""
    try:
        return is_loopback(urlsplit(url).hostname or "")
    except ValueError:
        return False


def is_same_gateway(url: str, own: str) -> bool:
    """Whether `url` is the gateway at `own`, by that address or another one of loopback."""
    try:
        asked, known = urlsplit(url), urlsplit(own)
        same_port = asked.port == known.port
    except ValueError:
        return False
    hosts = [str(asked.hostname), str(known.hostname)]
    return same_port and (hosts[0] == hosts[1] or all(map(is_loopback, hosts)))


def reachable(url: str) -> str:
    """The address by which a gateway that listens everywhere is reached from here."""
    return url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
