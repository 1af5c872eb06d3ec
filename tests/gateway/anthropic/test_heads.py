"""The heads of requests: what the SDK would send, without asking it each time."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import anthropic
import httpx2
import pytest
import trio

from gateway.anthropic import heads
from gateway.anthropic.bodies import UNPACKED
from gateway.anthropic.heads import OutgoingHeads
from gateway.anthropic.model import AnthropicModel
from gateway.outbound import OutboundClient
from protocol.errors import ProviderError
from protocol.prompt import Prompt
from tests.answers import all_of
from tests.gateway.anthropic.http1.support import open_server, request_of
from tests.prompts import prompt_of

REFUSED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
PROMPT = prompt_of(b'{"x":1}', version="2023-06-01")


class Provider:
    """Notes each request, and answers the first ones so."""

    def __init__(self, *answers: bytes) -> None:
        self.requests: list[bytes] = []
        self.url = ""
        self._answers = deque(answers)

    async def serve(self, stream: trio.abc.Stream) -> None:
        """Answer every request."""
        while request := await request_of(stream):
            self.requests.append(request)
            await stream.send_all(self._answers.popleft() if self._answers else OK)

    @property
    def headers(self) -> list[dict[str, str]]:
        """The headers of each request."""
        heads = (one.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:] for one in self.requests)
        return [dict(line.lower().split(": ", 1) for line in lines) for lines in heads]


@asynccontextmanager
async def open_provider(*answers: bytes) -> AsyncIterator[Provider]:
    """A provider that notes what comes."""
    provider = Provider(*answers)
    async with open_server(provider.serve) as provider.url:
        yield provider


def model_at(url: str, keys: Iterable[str] = ("sk-test",)) -> AnthropicModel:
    """The adapter, which finds these keys one after another."""
    found = iter(keys)
    return AnthropicModel(
        lambda: next(found), base_url=url, connect_seconds=5.0, answer_seconds=5.0
    )


async def ask(model: AnthropicModel, prompt: Prompt = PROMPT) -> None:
    """Send a request, whatever comes of it."""
    async with model.stream(prompt) as events:
        assert await all_of(events) == []


async def test_the_head_is_what_the_sdk_would_send() -> None:
    """To the last header."""
    async with open_provider() as provider:
        timeout = httpx2.Timeout(600.0, connect=5.0)
        http = OutboundClient(provider.url, timeout=timeout, headers=UNPACKED)
        client = anthropic.AsyncAnthropic(
            api_key="sk-test",
            base_url=provider.url,
            max_retries=0,
            timeout=timeout,
            http_client=http,
        )
        await client.post(
            "/v1/messages",
            content=PROMPT.body,
            cast_to=object,
            options={
                "headers": {"content-type": "application/json", "anthropic-version": "2023-06-01"}
            },
            stream=True,
            stream_cls=anthropic.AsyncStream[object],
        )
        model = model_at(provider.url)
        for _ in range(2):
            await ask(model)
        await model.aclose()
        await http.aclose()
    sdk, *ours = provider.headers
    assert sdk["authorization"] == "bearer sk-test"
    assert ours == [sdk, sdk]
    assert provider.requests[1].endswith(PROMPT.body)
    assert provider.requests[1].startswith(b"POST /v1/messages HTTP/1.1\r\n")


async def test_what_the_environment_adds_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the base address with its path."""
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "X-Team: blue\nAuthorization: Bearer other")
    async with open_provider() as provider:
        model = model_at(f"{provider.url}/pre/fix")
        await ask(model)
        await model.aclose()
    (headers,) = provider.headers
    assert (headers["x-team"], headers["authorization"]) == ("blue", "bearer other")
    assert provider.requests[0].startswith(b"POST /pre/fix/v1/messages HTTP/1.1\r\n")


async def test_features_and_version_are_those_of_the_request() -> None:
    """One after another, and the first ones again."""
    plain = prompt_of(b"{}")
    beta = Prompt(**{name: getattr(plain, name) for name in plain.__struct_fields__} | BETAS)
    async with open_provider() as provider:
        model = model_at(provider.url)
        for prompt in (plain, beta, PROMPT, plain):
            await ask(model, prompt)
        await model.aclose()
    betas = [one.get("anthropic-beta") for one in provider.headers]
    versions = [one["anthropic-version"] for one in provider.headers]
    assert betas == [None, "one,two", None, None]
    assert versions[0] == versions[1] == versions[3] != versions[2] == "2023-06-01"


BETAS = {"betas": ("one", "two")}


async def test_a_key_that_was_replaced_is_in_the_next_head() -> None:
    """A refused one is looked for again."""
    async with open_provider(OK, REFUSED) as provider:
        model = model_at(provider.url, ["sk-old", "sk-new"])
        await ask(model)
        with pytest.raises(ProviderError, match="NO_API_KEY"):
            await ask(model)
        await ask(model)
        await model.aclose()
    keys = [one["authorization"] for one in provider.headers]
    assert keys == ["bearer sk-old", "bearer sk-old", "bearer sk-new"]


async def test_only_so_many_heads_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are made anew when there are too many."""
    monkeypatch.setattr(heads, "MOST_HEADS", 2)
    client = anthropic.AsyncAnthropic(api_key="sk-test", base_url="http://h.example")
    kept = OutgoingHeads(client, UNPACKED)
    first = await kept.head({"x-one": "1"})
    assert await kept.head({"x-one": "1"}) is first
    for value in "23":
        await kept.head({"x-one": value})
    again = await kept.head({"x-one": "1"})
    assert again is not first
    assert again.headers == first.headers
    await client.close()
