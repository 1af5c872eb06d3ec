"""Whether a turn may begin: a table decides, from what the ledger finds as it writes the turn.

A turn is built on one version of its session. One commit begins it: the question, the announcement
after it, and the turn's open row. Between building and committing, the session may have changed, in
this process or, one day, in another. So the ledger looks again inside the commit. The first line of
the table that fits is the outcome:

| session          | the same request     | another open turn | version | outcome |
|------------------|----------------------|-------------------|---------|---------|
| is not there     | any                  | any               | any     | gone    |
| is there, or new | has had a turn       | any               | any     | known   |
| is there, or new | has had none         | there is one      | any     | busy    |
| is there, or new | has had none         | there is none     | other   | stale   |
| is there, or new | has had none         | there is none     | same    | begun   |
"""

from __future__ import annotations

from typing import Literal

import msgspec

Outcome = Literal["begun", "known", "busy", "stale", "gone"]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger finds when a turn is to begin.

    `version` is the stored session's, `None` if there is no such session. `same_request` is the
    turn that this request of the session has already had. `open_turn` is a turn of the session
    that is not settled.
    """

    version: int | None
    same_request: str | None
    open_turn: str | None


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a turn has begun; `turn_id` is the turn that prevents it, if one does."""

    outcome: Outcome
    turn_id: str | None = None


def judge(found: Found, *, is_new: bool, version: int) -> Begun:
    """Whether a turn may begin that was built on `version` of its session.

    The commit itself makes a session that `is_new`; a stored one of that id belongs to another.
    """
    if found.version is None and not is_new:
        return Begun(outcome="gone")
    if found.same_request is not None:
        return Begun(outcome="known", turn_id=found.same_request)
    if found.open_turn is not None:
        return Begun(outcome="busy", turn_id=found.open_turn)
    expected = None if is_new else version
    return Begun(outcome="begun" if found.version == expected else "stale")
