"""Points in time: milliseconds since the epoch inside the gateway, ISO 8601 on the wire."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from protocol.errors import GatewayError

DAY = 86_400_000
"""Milliseconds."""


def written(milliseconds: int) -> str:
    """ISO 8601 in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(milliseconds / 1_000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def day(milliseconds: int) -> str:
    """The date in UTC, as `2026-11-30`."""
    return _date(milliseconds // DAY)


@lru_cache(maxsize=2)  # every turn asks for today's
def _date(days: int) -> str:
    return f"{datetime.fromtimestamp(days * DAY / 1_000, UTC):%Y-%m-%d}"


def parsed(field: str, text: str) -> int:
    """The milliseconds of an ISO 8601 date or date and time; without an offset it is UTC.

    Raises GatewayError(INVALID_MESSAGE), which names the `field` of the client's message.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise GatewayError(
            "INVALID_MESSAGE", f"`{field}`: a date and time of ISO 8601, as 2026-11-21T09:00:00Z."
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000)
