"""The provider, through its own SDK (anthropic) over HTTP.

The request's body goes up as the bytes that the context actor made of it, after the head that the
SDK makes, and events come down as the response's bytes, cut and decoded here: a fraction of the
cost of the SDK's types. A stream is read straight from the socket, or by the SDK's own HTTP layer
where a proxy stands before the provider. Nothing is tried again here, and no redirect is followed:
it would take the prompt to another host.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import NamedTuple, TypeVar
from urllib.parse import quote

import anthropic
import httpx2
import msgspec
import trio

from actors.ports import nothing
from gateway.anthropic.bodies import (
    UNPACKED,
    Pieces,
    UnreadableBody,
    bound,
    is_stream_as_asked,
    longest_answer,
)
from gateway.anthropic.errors import REQUEST_ID, provider_error, request_id
from gateway.anthropic.events import Events
from gateway.anthropic.heads import OutgoingHeads
from gateway.anthropic.http1.body import ResponseBody
from gateway.anthropic.http1.head import OutgoingHead
from gateway.anthropic.http1.transport import DirectTransport
from gateway.outbound import OutboundClient, is_direct, trust_of
from protocol.errors import GatewayError, ProviderError
from protocol.prompt import Prompt
from protocol.provider.features import EAGER
from protocol.provider.model_info import ModelInfo
from protocol.provider.rejections import KEY_HINT
from protocol.provider.told import described, listed
from protocol.usage import MOST_FIGURE

# At debug level the SDK logs prompts, and an environment variable can set that.
for _name in ("anthropic", "httpx2", "httpcore2"):
    logging.getLogger(_name).setLevel(logging.WARNING)

log = logging.getLogger(__name__)

READ_SECONDS = 600.0
"""Bytes of what is read whole may take so long; for a stream the turn has a watchdog of its own."""

PAGE = 100
MOST_MODELS = 1_000
"""Models of one page of the provider's list, and of all that is read of it."""

NO_MODELS = (
    "The provider's models endpoint answers nothing that names a model. Is the base address right?"
)

_JSON_HEADERS = {"Content-Type": "application/json"}
_T = TypeVar("_T")


class _Sdk(NamedTuple):
    """The SDK's client with one key, and the heads of its requests."""

    client: anthropic.AsyncAnthropic
    heads: OutgoingHeads


class _Stream(NamedTuple):
    """The body of an answer that streams, and how the provider calls the request."""

    body: httpx2.AsyncByteStream
    request_id: str | None


class _Countable(msgspec.Struct, omit_defaults=True):
    """The fields of a request that count_tokens takes."""

    model: str
    messages: msgspec.Raw
    system: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    tools: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    thinking: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    output_config: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    context_management: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class AnthropicModel:
    """`actors.ports.Model`. `find_key` blocks, and is called in a thread."""

    def __init__(
        self,
        find_key: Callable[[], str | None],
        *,
        base_url: str,
        connect_seconds: float,
        answer_seconds: float,
    ) -> None:
        self._find_key = find_key
        self._one_lookup = trio.CapacityLimiter(1)
        self._answer_seconds = answer_seconds
        self._base_url = base_url
        self._timeout = httpx2.Timeout(READ_SECONDS, connect=connect_seconds)
        self._http = OutboundClient(
            self._base_url, timeout=self._timeout, headers=UNPACKED, on_response=bound
        )
        self._direct = None
        if is_direct(base_url):
            self._direct = DirectTransport(
                base_url, trust=trust_of(base_url), connect_seconds=connect_seconds
            )
        self._sdk: _Sdk | None = None
        self._open_streams = 0
        self._is_behind = False  # the provider's address does not know the field `EAGER`

    @property
    def open_streams(self) -> int:
        """How many streams are open upstream."""
        return self._open_streams

    async def aclose(self) -> None:
        """Close the idle connections."""
        if self._direct is not None:
            self._direct.close()
        await self._http.aclose()

    async def list_models(self) -> list[ModelInfo]:
        """The models that the key may use, newest first."""
        found: list[ModelInfo] = []
        after: str | None = ""
        with self._answer_deadline():
            while after is not None and len(found) < MOST_MODELS:
                models, after = listed(await self._told("/v1/models", after))
                found += models
        if not found:
            raise ProviderError("LLM_ERROR", NO_MODELS)
        return found

    async def describe(self, model: str) -> ModelInfo:
        """What `model` can do, from the provider."""
        with self._answer_deadline():
            info = described(await self._told(f"/v1/models/{quote(model, safe='')}"))
        if info is None:
            raise ProviderError("LLM_ERROR", NO_MODELS)
        return info

    async def _told(self, path: str, after: str = "") -> object:
        """The JSON that the models endpoint answers, as it is."""
        query = {"limit": PAGE, "after_id": after} if after else {"limit": PAGE}
        client = (await self._connected()).client
        return await self._read(client.get(path, cast_to=object, options={"params": query}))

    async def count_tokens(self, body: bytes, betas: Sequence[str] = ()) -> int:
        """The provider's count of the input tokens of `body`."""
        countable = msgspec.json.encode(msgspec.json.decode(body, type=_Countable))
        with self._answer_deadline():
            client = (await self._connected()).client

            async def count(body: bytes) -> object:
                return await client.post(
                    "/v1/messages/count_tokens",
                    content=body,
                    cast_to=object,
                    options={"headers": _with_betas(_JSON_HEADERS, betas)},
                )

            counted = await self._read(self._understood(count, countable))
        tokens = _figure(counted.get("input_tokens")) if isinstance(counted, dict) else None
        if tokens is None:
            raise ProviderError(
                "LLM_ERROR", "The provider's count cannot be read. Ask without `exact`."
            )
        return tokens

    async def _read(self, answer: Awaitable[object]) -> object:
        """The JSON of an answer; a text if it is none, `None` if it only says that it is JSON."""
        try:
            with self._mapped_errors():
                return await answer
        except (ValueError, RecursionError):
            return None

    @asynccontextmanager
    async def stream(
        self, prompt: Prompt, on_its_way: Callable[[], None] = nothing
    ) -> AsyncIterator[Events]:
        """Send the request, and give the answer's events. Leaving closes the connection."""
        if self._sdk is None or self._direct is None:
            on_its_way()
        sdk = await self._connected()
        headers = _with_betas(_JSON_HEADERS, prompt.betas, prompt.version)
        with self._mapped_errors():
            head = await sdk.heads.head(headers)
            opened = await self._understood(partial(self._send, head, on_its_way), prompt.body)
            self._open_streams += 1
            pieces = Pieces(opened.body)
            try:
                events = Events(
                    pieces, head.request, opened.request_id, longest=longest_answer(prompt)
                )
                yield events
                await events.drain()
            finally:
                self._open_streams -= 1
                await pieces.aclose()  # noqa: ASYNC102 - it shields itself, with a deadline

    async def _send(
        self, head: OutgoingHead, on_its_way: Callable[[], None], body: bytes
    ) -> _Stream:
        """Send a request. Raises what the SDK would raise."""
        try:
            answer = await self._answered(head, body, on_its_way)
        except httpx2.TimeoutException as error:
            raise anthropic.APITimeoutError(request=head.request) from error
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            raise anthropic.APIConnectionError(request=head.request) from error
        if isinstance(answer, ResponseBody):
            return _Stream(answer, request_id(answer.header(REQUEST_ID.encode())))
        if not answer.is_success:
            told = await _told_by(answer)
            raise anthropic.APIStatusError("refused", response=answer, body=told)
        assert isinstance(answer.stream, httpx2.AsyncByteStream)
        return _Stream(answer.stream, request_id(answer.headers.get(REQUEST_ID)))

    async def _answered(
        self, head: OutgoingHead, body: bytes, on_its_way: Callable[[], None]
    ) -> ResponseBody | httpx2.Response:
        """The answer to a request: a stream as it was asked for, or a response with bounds."""
        if self._direct is None:
            return await self._http.send(head.with_body(body), stream=True)
        answer = await self._direct.send(head, body, on_its_way)
        if is_stream_as_asked(answer):
            return answer
        response = answer.response(head.request)
        try:
            await bound(response)
        except UnreadableBody:
            await response.aclose()
            raise
        return response

    async def _understood(self, send: Callable[[bytes], Awaitable[_T]], body: bytes) -> _T:
        """What comes of sending a body; without the field `EAGER` where that is not known.

        Some clouds and proxies refuse what they do not know (reports: anthropics/claude-agent-sdk-
        python 694, anomalyco/opencode 23767). The session has the field all the same.
        """
        if self._is_behind:
            return await send(_without_eager(body))
        try:
            return await send(body)
        except anthropic.APIStatusError as error:
            plain = _without_eager(body)
            if error.status_code != 400 or EAGER not in str(error.body) or plain == body:
                raise
        self._is_behind = True
        log.warning("the provider's address does not know `%s`: it is left out from now on", EAGER)
        return await send(plain)

    @contextmanager
    def _answer_deadline(self) -> Iterator[None]:
        """For what the provider answers at once, if at all."""
        try:
            with trio.fail_after(self._answer_seconds):
                yield
        except trio.TooSlowError as error:
            raise ProviderError(
                "LLM_TIMEOUT", "The provider did not answer in time. Try again.", retryable=True
            ) from error

    @contextmanager
    def _mapped_errors(self) -> Iterator[None]:
        try:
            yield
        except (anthropic.AnthropicError, httpx2.HTTPError, httpx2.StreamError) as error:
            if isinstance(error, anthropic.APIStatusError) and error.status_code == 401:
                self._sdk = None  # the key may have been replaced: look for it again
            raise provider_error(error) from error

    async def _connected(self) -> _Sdk:
        if self._sdk is None:
            # A keyring may wait for its owner: no cancel waits for that.
            key = await trio.to_thread.run_sync(
                self._find_key, abandon_on_cancel=True, limiter=self._one_lookup
            )
            if key is None:
                raise GatewayError(
                    "NO_API_KEY", f"There is no API key for the provider. {KEY_HINT}"
                )
            client = anthropic.AsyncAnthropic(
                api_key=key,
                base_url=self._base_url,
                max_retries=0,
                timeout=self._timeout,
                http_client=self._http,
            )
            self._sdk = _Sdk(client, OutgoingHeads(client, UNPACKED))
        return self._sdk


async def _told_by(response: httpx2.Response) -> object:
    """What a refusal has in its body: JSON, or a text."""
    try:
        await response.aread()
    finally:
        await response.aclose()
    try:
        told: object = json.loads(response.text)
    except (ValueError, RecursionError):
        return response.text.strip()
    return told


def _without_eager(body: bytes) -> bytes:
    """The body of a request whose tools do not have the field; in a text its quotes are escaped."""
    return body.replace(b',"%b":true' % EAGER.encode(), b"")


def _with_betas(
    headers: dict[str, str], betas: Sequence[str], version: str | None = None
) -> dict[str, str]:
    beta = {"anthropic-beta": ",".join(betas)} if betas else {}
    return headers | beta | ({"anthropic-version": version} if version else {})


def _figure(told: object) -> int | None:
    """A number of tokens, if it is one: the SDK checks nothing of what the provider answers."""
    if isinstance(told, int) and not isinstance(told, bool) and 0 <= told <= MOST_FIGURE:
        return told
    return None
