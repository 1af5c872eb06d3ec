"""What an error says, to the client and in the log.

Reported of other programs: a key without credit is called invalid (theopenco/llmgateway 1989), and
one text stands for causes that have nothing in common (anthropics/claude-code-action 1224).
"""

from __future__ import annotations

import json
import logging
import re
import time
from pathlib import Path
from typing import Any

import pytest
import trio

from gateway.announcing import announce
from gateway.simulator import ErrorReply, Fault, Reply, ReplyText, open_simulator
from gateway.vault import FoundKey, KeySource, Vault, VaultError
from tests.child import log_of, open_child
from tests.support import Frame, World, open_world

SECRET = "the-words-of-the-prompt"
LOW = "Your credit balance is too low to access the Anthropic API."
LINE = re.compile(
    r"turn (\S+) failed: (\w+): (.+) \[session (\S+), request (\S+), provider's request (\S+)\]"
)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The lines that an operator sees whatever the level is."""
    return [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]


async def failed(world: World, reply: Reply | None = None, text: str = SECRET) -> Frame:
    """The terminal frame of a turn that fails so."""
    if reply is not None:
        world.simulator.script(reply)
    async with world.talk() as talk:
        error = (await talk.turn(text))[-1]
    assert error["type"] == "error"
    return error


@pytest.mark.parametrize(
    ("failure", "code", "words"),
    [
        (ErrorReply(401), "NO_API_KEY", "refuses the API key"),
        (ErrorReply(402), "LLM_ERROR", "a reason of billing (402)"),
        (ErrorReply(400, message=LOW), "LLM_ERROR", f"a reason of billing (400): {LOW}"),
        (ErrorReply(403), "LLM_ERROR", "does not permit this to the key (403)"),
        (ErrorReply(403, "forbidden", "Request not allowed"), "LLM_ERROR", "this place or network"),
        (ErrorReply(404, message="model: claude-x"), "MODEL_NOT_FOUND", "does not know this model"),
        (ErrorReply(404), "LLM_ERROR", "has nothing there (404): Not found."),
        (ErrorReply(404, message="Container not found"), "LLM_ERROR", "Container not found"),
        (ErrorReply(413), "CONTEXT_TOO_LARGE", "The provider finds this request too large"),
        (ErrorReply(403, page=True), "LLM_ERROR", "A proxy or firewall on the way"),
        (ErrorReply(404, page=True), "LLM_ERROR", "There is no Messages API"),
        (ErrorReply(502, page=True), "LLM_ERROR", "The provider failed (502)"),
        (ErrorReply(307, headers=(("location", "http://x/"),)), "LLM_ERROR", "redirects elsewhere"),
    ],
)
async def test_an_error_names_its_own_cause(
    tmp_path: Path, failure: ErrorReply, code: str, words: str
) -> None:
    """By its type and its words, not by its status alone."""
    async with open_world(tmp_path, retry_attempts=0) as world:
        error = await failed(world, Reply(failure=failure))
    assert error["code"] == code
    assert words in error["message"]
    assert ("agentspace keys" in error["message"]) == (failure.status == 401)
    assert SECRET not in error["message"]


async def test_a_spent_month_is_not_tried_again(tmp_path: Path) -> None:
    """It is a 429 like any other but for its code."""
    body = json.dumps({"message": "No more.", "code": "enforced_spend_limit_reached"})
    async with open_world(tmp_path) as world:
        error = await failed(world, text=f"[[sim: status=429 {body}]]")
        assert (error["code"], error["retryable"]) == ("RATE_LIMITED", False)
        assert len(world.sent()) == 1


FAULTS: list[tuple[str, Any]] = [
    ("refused", Reply(failure=ErrorReply(401))),
    ("busy", Reply(failure=ErrorReply(529))),
    ("bad", Reply(failure=ErrorReply(400, message="messages.0: bad"))),
    ("error", Reply(blocks=(ReplyText("So."),), fault=Fault("error", at=3))),
    ("reset", Reply(blocks=(ReplyText("So."),), fault=Fault("reset", at=3))),
    ("broken", Reply(blocks=(ReplyText("So."),), fault=Fault("bad_json", at=3))),
    ("cut", Reply(blocks=(ReplyText("So."),), fault=Fault("end", at=3))),
]


@pytest.mark.parametrize(("name", "reply"), FAULTS, ids=[name for name, _ in FAULTS])
async def test_a_failed_turn_is_one_line_of_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, reply: Reply
) -> None:
    """With its reason and every id that a question about it needs; no prompt and no key."""
    async with open_world(tmp_path, retry_attempts=0) as world:
        world.simulator.script(reply)
        async with world.talk() as talk:
            frames = await talk.turn(SECRET)
        request_id = world.simulator.requests[-1].request_id
    (line,) = warnings(caplog)
    found = LINE.fullmatch(line)
    assert found is not None, line
    error = frames[-1]
    assert error["message"] == f"{found[3]} (The provider's request: {request_id})"
    turn_id, code, _, *ids = found.groups()
    assert (turn_id, code) == (error["turnId"], error["code"])
    assert ids == [frames[0]["sessionId"], error["requestId"], request_id]
    assert SECRET not in caplog.text
    assert "sk-test" not in caplog.text


async def test_a_turn_that_never_reached_the_provider_is_one_line_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """There is no request of the provider to name."""
    async with open_world(tmp_path, key=None) as world:
        caplog.clear()
        error = await failed(world)
    assert error["code"] == "NO_API_KEY"
    lines = [line for line in warnings(caplog) if line.startswith("turn ")]
    assert len(lines) == 1
    assert lines[0].endswith("provider's request -]")


class OddVault(Vault):
    """One whose answer is given, or never comes."""

    def __init__(self, answer: FoundKey | VaultError | float | None) -> None:
        super().__init__(None, {})
        self._answer = answer

    def find(self, provider: str = "anthropic") -> FoundKey | None:
        match self._answer:
            case VaultError() as error:
                raise error
            case float(seconds):
                time.sleep(seconds)
                return None
            case found:
                return found


@pytest.mark.parametrize(
    ("answer", "level", "words"),
    [
        (FoundKey("sk-secret", KeySource.KEYRING), logging.INFO, "comes from: keyring"),
        (None, logging.WARNING, "there is no API key for the provider. Type"),
        (VaultError("The key file is odd."), logging.WARNING, "no API key: The key file is odd."),
        (0.5, logging.WARNING, "was not found within 0.05 s; the keyring may be locked"),
    ],
)
async def test_a_start_says_where_it_listens_and_whether_it_has_a_key(
    caplog: pytest.LogCaptureFixture, answer: Any, level: int, words: str
) -> None:
    """Never the key itself; a keyring that waits for its owner keeps nobody waiting."""
    caplog.set_level(logging.INFO)
    with trio.fail_after(5):
        await announce("ws://here/gateway", OddVault(answer), 0.05)
    first, second = caplog.records
    assert first.getMessage() == "listening at ws://here/gateway"
    assert second.levelno == level
    assert words in second.getMessage()
    assert "sk-secret" not in caplog.text


async def test_the_process_logs_it_to_stderr(tmp_path: Path) -> None:
    """And stdout stays one line: the client of the ready line reads nothing else there."""
    async with open_simulator() as simulator, open_child(tmp_path, simulator) as child:
        logged = ""
        with trio.fail_after(10):
            while "the API key comes from" not in logged:
                await trio.sleep(0.02)
                logged = log_of(tmp_path).read_text()
        assert f"listening at {child.url}" in logged
        assert "the API key comes from: environment" in logged
        assert "sk-test" not in logged
        child.terminate()
        assert await child.exit_code() == 0
        assert child.process.stdout is not None
        assert await child.process.stdout.receive_some() == b""
