"""Numbers for people: money, counts, sizes, times."""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

UNKNOWN = "-"
_LEAST = Decimal("0.000001")


def money(amount: Decimal | None) -> str:
    """USD to a millionth of a dollar, or to a cent from 100 dollars on; `None` is not known."""
    if amount is None:
        return UNKNOWN
    if amount >= 100:
        return f"${amount:,.2f}"
    if 0 < amount < _LEAST:
        return f"<${_LEAST}"
    return f"${amount.quantize(_LEAST, ROUND_HALF_UP):.6f}"


def count(number: int) -> str:
    """With separators of thousands."""
    return f"{number:,}"


def counted(number: int, noun: str) -> str:
    """A number of things."""
    return f"{count(number)} {noun}" if number == 1 else f"{count(number)} {noun}s"


def size(number: int) -> str:
    """Bytes, in the unit that leaves one to four digits."""
    if number < 1_024:
        return f"{number} B"
    amount = float(number)
    for unit in ("KiB", "MiB", "GiB"):
        amount /= 1_024
        if amount < 1_000 or unit == "GiB":
            return f"{amount:,.1f} {unit}"
    raise AssertionError("there is always a unit")


def share(part: int, whole: int) -> str:
    """Per cent, to a tenth."""
    return f"{100 * part / whole:.1f}%" if whole else UNKNOWN


def per_cent(part: float) -> str:
    """A part of 1 in per cent, to a tenth."""
    return f"{100 * part:.1f}%"


def duration(seconds: float) -> str:
    """Seconds, or days, hours, minutes and seconds."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number)


def moment(iso: str) -> str:
    """A time of the wire (ISO 8601 in UTC) in the local time zone, to the minute."""
    return datetime.fromisoformat(iso).astimezone().strftime("%Y-%m-%d %H:%M")
