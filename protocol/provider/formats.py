"""The formats of texts that structured output has, each held as far as JSON Schema defines it.

Sources: the provider's page "Structured outputs" (string formats), November 2026, and what JSON
Schema's `format` refers to: RFC 3339 for dates and times, ISO 8601 for durations. Where a format is
wider than is worth it, such as that of a mail address, all of it is taken and a little more.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

_DATE = r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)"
_CLOCK = r"T(?=\d)(?:\d+H)?(?:\d+M)?(?:\d+(?:\.\d+)?S)?"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_SHAPES = {
    name: re.compile(shape, re.ASCII)
    for name, shape in {
        "date": _DATE,
        "time": _TIME,
        "date-time": f"{_DATE}[Tt ]{_TIME}",
        "duration": rf"P(?=[\dT])(?:\d+W)?(?:\d+Y)?(?:\d+M)?(?:\d+D)?(?:{_CLOCK})?",
        "email": r"[^\r\n]+@[^@\s]+",
        "hostname": rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*",
        "uri": r"[A-Za-z][A-Za-z0-9+.-]*:\S*",
        "uuid": "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
    }.items()
}
_ADDRESSES: dict[str, Callable[[str], object]] = {"ipv4": IPv4Address, "ipv6": IPv6Address}

FORMATS = (*_SHAPES, *_ADDRESSES)


def is_of_format(text: str, name: str) -> bool:
    """Whether a text has the format."""
    if (address := _ADDRESSES.get(name)) is None:
        return _SHAPES[name].fullmatch(text) is not None
    try:
        address(text)
    except ValueError:
        return False
    return True
