"""Directives: what a client without access to the simulator writes into its message.

    [[sim: chars=30 rate=50 count=500 thinking=20 fault=reset@10 status=529 delay=0.2]]
    [[sim: tool=weather {"city": "Oslo"} tool=tides {"port": "Oslo"}]]
    [[sim: search=3 pause=on]]

Pairs `key=value`, apart by blanks, in the last message's text; every key is optional, an unknown
one is a 400. Several directives in one text are one.

`DIRECTIVES` is all that is known of them: they are parsed by it, and `agentspace simulate --help`
and `docs/simulator.md` print it. A new one is a row here and, unless it sets a field of the
reply, its effect in `directed.py`. A new kind of fault is a row of `FAULTS` in `reply.py` and its
effect in `faults.py`. `scripts/draw_directives` brings the page up to date.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from gateway.simulator.arguments import (
    Reader,
    call,
    fault,
    figures,
    number,
    one_of,
    plain,
    status,
    switch,
    unknown,
)
from gateway.simulator.notation import Word
from gateway.simulator.reply import FAULTS


class KnownDirective(msgspec.Struct, frozen=True):
    """A row of the table.

    - `takes`: what the value looks like; `read` makes it of the text
    - `sets`: the field of the `Reply` that the value is
    - `speaks`: it says what is to be said, so that the simulator does not write that itself
    - `many`: it may be given as often as one likes
    """

    key: str
    takes: str
    does: str
    read: Reader
    sets: str | None = None
    speaks: bool = False
    many: bool = False


_ROWS = (
    KnownDirective(
        "count",
        "N",
        "text deltas, of filler, 0 for no text; without it what the simulator would have written",
        number(int),
        speaks=True,
    ),
    KnownDirective(
        "thinking",
        "N",
        "thinking deltas before them; none are seen where the display is `omitted`",
        number(int),
        speaks=True,
    ),
    KnownDirective("chars", "N", "characters in a delta", number(int)),
    KnownDirective(
        "rate", "N", "deltas a second; 0 is as fast as it goes", number(float), sets="rate"
    ),
    KnownDirective("delay", "SECONDS", "before the first byte", number(float), sets="delay"),
    KnownDirective(
        "tool_delay",
        "SECONDS",
        "before each result of one of the provider's own tools",
        number(float),
        sets="tool_delay",
    ),
    KnownDirective(
        "flush",
        "BYTES",
        "gathered before an unpaced stream is sent; 1 is event by event",
        number(int),
        sets="flush",
    ),
    KnownDirective(
        "search",
        "N",
        "results of a web search that comes first, each of them cited",
        number(int),
        speaks=True,
    ),
    KnownDirective(
        "searches",
        "N",
        "so many of these searches one after another; each costs the prompt once more",
        number(int),
    ),
    KnownDirective("fetch", "URL", "a page is fetched first, and cited", plain, speaks=True),
    KnownDirective(
        "code", "on", "code is executed first, and its output told", switch, speaks=True
    ),
    KnownDirective("files", "N", "how many files that code leaves behind", number(int, 0, 100)),
    KnownDirective(
        "container",
        "lost|expired|broken",
        "the container that the request names is not found, has expired, or is an error 500",
        one_of("lost", "expired", "broken"),
        sets="container",
    ),
    KnownDirective(
        "pause",
        "on",
        "the answer stops before the results of these three, and the next goes on there",
        switch,
    ),
    KnownDirective(
        "tool",
        "NAME {INPUT}",
        "a tool is called at the end, as often as you like; the answer to its results quotes them",
        call,
        speaks=True,
        many=True,
    ),
    KnownDirective(
        "arguments",
        "TEXT",
        "the input of these calls, as text: JSON that is no object, or none",
        plain,
    ),
    KnownDirective("call_id", "ID", "of each of these calls", plain),
    KnownDirective("stop", "REASON", "stop reason", plain),
    KnownDirective(
        "category", "NAME", "of a refusal: `cyber`, `bio`, …; it stops for that reason", plain
    ),
    KnownDirective("limits", "on", "filler, too, obeys `max_tokens` and `stop_sequences`", switch),
    KnownDirective(
        "usage", "{FIGURES}", "figures that replace the measured ones", figures, sets="usage"
    ),
    KnownDirective(
        "model",
        "ID",
        "the model that answers, when it is not the one that was asked",
        plain,
        sets="model",
    ),
    KnownDirective(
        "model_after_tools",
        "ID",
        "the model that answers in the same turn to what a tool of the client has answered",
        plain,
        sets="model_after_tools",
    ),
    KnownDirective("region", "NAME", "where the usage says that it ran: `us`, `global`", plain),
    KnownDirective("speed", "NAME", "how fast, as the usage says: `fast`, `standard`", plain),
    KnownDirective(
        "status",
        "N {BODY}",
        "error status instead of an answer; BODY may give its `type`, `message` and `code`",
        status,
    ),
    KnownDirective("retry_after", "SECONDS", "hint that goes with `status`", number(float)),
    KnownDirective("retry_date", "SECONDS", "the same hint as an HTTP date", number(float)),
    KnownDirective(
        "retry_after_ms", "N", "the same hint in milliseconds", number(int, most=10**10)
    ),
    KnownDirective(
        "should_retry", "off", "`status` says with `x-should-retry` not to try again", switch
    ),
    KnownDirective("page", "on", "`status` comes with a proxy's page instead of JSON", switch),
    KnownDirective(
        "refuse_tool",
        "NAME",
        "a request that defines this tool is a 400 that names its place: its schema is no good",
        plain,
        sets="refused_tool",
    ),
    KnownDirective(
        "fault",
        "KIND@AT:ARG",
        "after AT events of the stream (from its end when negative) this goes wrong, or after AT "
        "results of the provider's own tools with `@2results`; ARG is an error type for errors, "
        "else seconds; `@AT` and `:ARG` may be left out",
        fault,
        sets="fault",
    ),
)
DIRECTIVES: Final = {row.key: row for row in _ROWS}


def parse(words: Iterable[Word]) -> dict[str, Any]:
    """What the words ask for, by key; ApiError for nonsense."""
    asked: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.text.partition("=")
        row = DIRECTIVES.get(key)
        if row is None or not equals:
            raise unknown(word.text)
        found = row.read(key, value, word.given)
        asked[key] = [*asked.get(key, ()), found] if row.many else found
    return asked


def listing() -> list[tuple[str, str]]:
    """Each directive as it is written, and what it does."""
    return [(f"{row.key}={row.takes}", row.does) for row in _ROWS]


def directives_table() -> str:
    """The directives and the faults as tables in Markdown."""
    return "\n".join(
        (
            *_table("directive", "what it does", listing()),
            "",
            *_table("kind of fault", "what goes wrong", FAULTS.items()),
            "",
        )
    )


def _table(name: str, does: str, rows: Iterable[tuple[str, str]]) -> list[str]:
    return [f"| {name} | {does} |", "|---|---|", *(f"| `{key}` | {text} |" for key, text in rows)]
