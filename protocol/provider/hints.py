"""When the provider wants to be asked again, as the headers of its answer say.

`retry-after-ms` comes in milliseconds, `retry-after` in seconds or as an HTTP date (RFC 9110,
section 10.2.3). A date is taken by the clock that told it: the answer's own `date`, so that it does
not matter how far our clock is off. `x-should-retry` says whether to try again at all. The
provider's SDK reads the same three (version 2.11).

A hint may be days: a spent allowance comes back with the next week. What is longer than
`LONGEST_WAIT_MS` is shortened to it; what is no time at all is no hint.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_WAIT_MS = 7 * 24 * 3_600_000
"""A week. Timers of JavaScript go off at once after 2^31 ms: a client may hand this to one."""

_LONGEST_VALUE = 64
_NUMBER = re.compile(r"\s*([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE]\+?[0-9]+)?\s*")
"""Not all that Python takes for a number: no `1_0`, and no digits of other scripts."""


def retry_after_ms(headers: Mapping[str, str], now: float) -> int | None:
    """Milliseconds to wait, from 0 to a week; `None` without a usable hint.

    `now` is in seconds since the epoch, for an answer that does not say when it was given.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is None:
        milliseconds = _seconds(headers, now) * 1_000
    return None if math.isnan(milliseconds) else round(min(milliseconds, LONGEST_WAIT_MS))


def should_retry(headers: Mapping[str, str]) -> bool | None:
    """What the provider says of trying again; `None` when it says nothing."""
    return {"true": True, "false": False}.get(headers.get("x-should-retry", "").strip().lower())


def _seconds(headers: Mapping[str, str], now: float) -> float:
    """The wait of `retry-after`; no number without one."""
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None:
        return seconds
    until = _moment(value)
    if until is None:
        return math.nan
    told = _moment(headers.get("date"))
    return max(0.0, until - (now if told is None else told))


def _number(value: str | None) -> float | None:
    if value is None or len(value) > _LONGEST_VALUE or not _NUMBER.fullmatch(value):
        return None
    number = float(value)
    return number if number < math.inf else None


def _moment(value: str | None) -> float | None:
    """Seconds since the epoch, of an HTTP date."""
    if value is None or len(value) > _LONGEST_VALUE:
        return None
    try:
        moment = parsedate_to_datetime(value)
        if moment.tzinfo is None:  # a date without a zone is in UTC
            moment = moment.replace(tzinfo=UTC)
        return (moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
    except (ValueError, OverflowError, TypeError, IndexError):
        return None  # no date, whatever it is
