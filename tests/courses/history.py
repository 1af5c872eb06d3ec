"""What a session's history shows is what the model got; what it did not get is marked."""

from __future__ import annotations

from typing import Any

from tests.courses.bodies import Json, blocks_of
from tests.support import Frame, Talk

NOT_SENT = frozenset({"unanswered", "refused"})


async def check_history(talk: Talk, session_id: str, body: Json, context: Frame) -> None:
    """Hold the history against the last request, `body`, and what its turn told of the context."""
    messages = await all_messages(talk, session_id)
    roles = {message["role"] for message in messages}
    assert roles <= {"user", "assistant"}, roles
    shown = [_gist(one) for one in messages if one.get("status") not in NOT_SENT]
    assert shown[-1][0] == "assistant", "the last answer is not shown"
    sent = [_gist(one) for one in body["messages"] if one["role"] != "system"]
    if context.get("leftOutTurns"):
        shown = shown[-1 - len(sent) :]
    assert shown[:-1] == sent, _difference(shown[:-1], sent)


async def all_messages(talk: Talk, session_id: str) -> list[Frame]:
    """Every message of a session, oldest first."""
    found: list[Frame] = []
    more: dict[str, Any] = {}
    while True:
        page = await talk.ask("session.history", sessionId=session_id, limit=200, **more)
        found = [*page["messages"], *found]
        if "next" not in page:
            return found
        more = {"before": page["next"]}


def _gist(message: Json) -> tuple[str, str]:
    """What of a message a person and a model can compare: its texts, calls and results."""
    words = []
    for block in blocks_of(message):
        match block:
            case {"type": "text", "text": str(text)}:
                words.append(text)
            case {"id": str(call)} | {"tool_use_id": str(call)}:
                words.append(f"[{block['type']} {call}]")
    return str(message["role"]), "\n".join(words)


def _difference(shown: list[tuple[str, str]], sent: list[tuple[str, str]]) -> str:
    for at, (one, other) in enumerate(zip(shown, sent, strict=False)):
        if one != other:
            return f"message {at}: shown {one}, sent {other}"
    return (
        f"{len(shown)} messages shown, {len(sent)} sent; {shown[len(sent) :]} {sent[len(shown) :]}"
    )
