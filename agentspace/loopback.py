"""Which addresses only this machine reaches."""

from __future__ import annotations

import ipaddress
import socket

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_loopback(host: str) -> bool:
    """Whether `host` is an address (or the one name) that only this machine reaches."""
    if host.lower() == "localhost":
        return True
    address = _address(host)
    return address is not None and address.is_loopback


def stays_here(host: str) -> bool:
    """Whether a call to `host` does not leave this machine.

    That is more than a loopback address: a system takes 0.0.0.0 for itself, and the names below
    `localhost` are its own (RFC 6761, 6.3).
    """
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = _address(host)
    return address is not None and (address.is_loopback or address.is_unspecified)


def _address(host: str) -> _Address | None:
    """The address in any of its spellings: the system reads 127.0.0.1 in `127.1` too."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _short_address(host)
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or address
    return address


def _short_address(host: str) -> _Address | None:
    try:
        return ipaddress.ip_address(socket.inet_aton(host))
    except (OSError, UnicodeError, ValueError):
        return None
