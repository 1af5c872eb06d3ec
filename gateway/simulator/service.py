"""The Messages API without a socket: a request in, an answer out."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

import msgspec
import trio

from gateway.simulator.answers import AnswerMemory
from gateway.simulator.attachments import check_attachments
from gateway.simulator.binding import BINDING_CONTROLS, Binder, Screened, screen
from gateway.simulator.cache import PromptCache
from gateway.simulator.containers import Containers
from gateway.simulator.context_editing import edit, measure
from gateway.simulator.directed import directed, model_after_tools, within_uses
from gateway.simulator.draft import Drafter, ReplyDraft
from gateway.simulator.errors import PAGE, ApiError, encode_error, invalid
from gateway.simulator.ids import Ids
from gateway.simulator.ledger import Bill
from gateway.simulator.limits import limited
from gateway.simulator.metronome import Metronome
from gateway.simulator.models import ModelSpec
from gateway.simulator.prompt import segments
from gateway.simulator.prose import compose
from gateway.simulator.reply import CodeExecution, ErrorReply, Json, Reply
from gateway.simulator.request import (
    Received,
    betas,
    last_text,
    shows_thinking,
    thinking_type,
)
from gateway.simulator.rules import check_end, check_model, check_signatures, check_size
from gateway.simulator.script import Script
from gateway.simulator.settings import SimulatorSettings
from gateway.simulator.signature import Signer
from gateway.simulator.telling import known, tell
from gateway.simulator.tool_changes import most_searches, place_of
from gateway.simulator.transcript import merged, pending_calls
from gateway.simulator.validation import check_body, check_headers

_encode = msgspec.json.Encoder().encode


class Whole(msgspec.Struct, frozen=True):
    """An answer that is sent in one piece, after `delay` seconds and once `gate` is set."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    delay: float = 0.0
    gate: trio.Event | None = None


class Generated(msgspec.Struct, frozen=True):
    """An answer that was generated: streamed, or whole when the request asks for that."""

    draft: ReplyDraft
    streamed: bool


HttpAnswer: TypeAlias = Whole | Generated


class Service:
    """One simulated API: its script, its prompt cache, and what it remembers."""

    def __init__(
        self, settings: SimulatorSettings, *, cache: PromptCache, seed: int | None
    ) -> None:
        self.settings = settings
        self.script = Script()
        self.ids = Ids(seed)
        self.metronome = Metronome()
        self.requests: deque[Received] = deque(maxlen=settings.keep)
        self.billed: deque[Bill] = deque(maxlen=settings.keep)
        self.open_streams = 0
        self.streams_started = 0
        self._idle = trio.lowlevel.ParkingLot()
        self._cache = cache
        self._signer = Signer()
        self._tokenizer = settings.tokenizer
        self._drafter = Drafter(self.ids, self._signer, self._tokenizer.bytes_per_billed)
        self._answers = AnswerMemory()
        self._containers = Containers(self.ids)

    @contextmanager
    def open_stream(self) -> Iterator[None]:
        """Count a stream for as long as the block lasts."""
        self.streams_started += 1
        self.open_streams += 1
        try:
            yield
        finally:
            self.open_streams -= 1
            if not self.open_streams:
                self._idle.unpark_all()

    async def wait_idle(self) -> None:
        """Wait until no stream is open."""
        while self.open_streams:
            await self._idle.park()

    def answer(self, request: Received) -> HttpAnswer:
        """The answer to a request; errors are answers, too."""
        self.requests.append(request)
        try:
            return self._route(request)
        except ApiError as error:
            return refusal(error, request.request_id)

    def _route(self, request: Received) -> HttpAnswer:
        check_headers(request.headers)
        match request.method, request.path.rstrip("/").split("/")[1:]:
            case "POST", ["v1", "messages"]:
                return self._message(request)
            case "POST", ["v1", "messages", "count_tokens"]:
                return self._count(request)
            case "GET", ["v1", "models", *names]:  # a gateway's name of a model has a slash
                return _whole(tell("/".join(names), request, self.settings))
            case _, ["v1", "messages" | "models", *_]:
                raise ApiError(405, "Method Not Allowed", "invalid_request_error")
            case _:
                raise ApiError(404)

    def _count(self, request: Received) -> HttpAnswer:
        screened, model = self._checked(request, counting=True)
        body = screened.body
        edited = edit(body, model, self._tokenizer)
        if edited is None:
            return _whole({"input_tokens": measure(body, self._tokenizer)})
        return _whole(
            {
                "input_tokens": measure(edited.body, self._tokenizer),
                "context_management": {"original_input_tokens": edited.original_tokens},
            }
        )

    def _checked(self, request: Received, *, counting: bool = False) -> tuple[Screened, ModelSpec]:
        """The request as its model reads it, if there is nothing to refuse about it."""
        asked = betas(request)
        body = check_body(request.body, asked, counting=counting)
        version = request.headers["anthropic-version"]
        model = check_model(body, known(body["model"], self.settings), version=version, betas=asked)
        check_attachments(body, model)
        if not counting:
            check_end(body, model, self._answers)
        check_signatures(body, self._signer)
        if not counting and thinking_type(body, model) != "disabled":
            self._answers.check_thoughts(merged(body["messages"]))
        return screen(body, model, self.settings.account, asked), model

    def _message(self, request: Received) -> HttpAnswer:
        screened, model = self._checked(request)
        body: Json = request.body  # as it was sent: what is read of it may lack thinking
        edited = edit(screened.body, model, self._tokenizer)
        prompt = segments(edited.body if edited else screened.body, self._tokenizer)
        size = sum(segment.tokens for segment in prompt)
        check_size(size, body, model)
        reply = self._reply(body, model)
        pending = pending_calls(merged(body["messages"]))
        self._containers.check(body, pending)
        self._containers.fail(body, reply.container)
        if reply.refused_tool and (place := place_of(body, reply.refused_tool)):
            raise invalid(f"{place}.custom.input_schema: JSON schema is invalid.")
        streamed = bool(body.get("stream"))
        if failure := _failure(reply, streamed=streamed):
            return _failed(reply, failure, request.request_id)
        if reply.limits:
            room = model.window - size
            reply = limited(reply, body, room=room, ratio=self._tokenizer.bytes_per_billed)
        draft = self._drafter.draft(
            reply,
            model=model.snapshot or model.id,
            request_id=request.request_id,
            charge=self._cache.charge(model.snapshot or model.id, prompt, model.cacheable),
            binder=Binder(screened, model, self._signer),
            shows_thinking=shows_thinking(body, model),
            pending=[str(call["id"]) for call in pending],
            container=self._container(body, reply),
            edits=edited.applied if edited else None,
            transformations=screened.entries if BINDING_CONTROLS in betas(request) else None,
        )
        self._answers.remember(draft.content, draft.stop_reason)
        return Generated(draft, streamed=streamed)

    def _container(self, body: Json, reply: Reply) -> Json | None:
        if not any(isinstance(block, CodeExecution) for block in reply.blocks):
            return None
        return self._containers.used(body.get("container"))

    def _reply(self, body: Json, model: ModelSpec) -> Reply:
        """What was arranged for this request, what its text directs, or what comes to mind."""
        arranged = self.script.next(body)
        if arranged is not None:
            return arranged
        own = compose(body, model)
        reply = directed(last_text(body), own)
        if reply is None:
            return Reply(own, limits=True, model=model_after_tools(body))
        return within_uses(reply, most_searches(body))


def refusal(error: ApiError, request_id: str) -> Whole:
    """An error as an answer."""
    headers: list[tuple[str, str]] = []
    if error.status == 429 and error.details is None:  # a spent budget comes without a hint
        seconds = 1.0 if error.retry_after is None else error.retry_after
        headers += [
            ("retry-after", f"{seconds:g}"),
            ("anthropic-ratelimit-requests-limit", "50"),
            ("anthropic-ratelimit-requests-remaining", "0"),
            ("anthropic-ratelimit-input-tokens-limit", "50000"),
            ("anthropic-ratelimit-input-tokens-remaining", "0"),
        ]
    elif error.retry_after is not None:
        headers.append(("retry-after", f"{error.retry_after:g}"))
    body = encode_error(error.kind, error.message, request_id, error.details)
    return Whole(error.status, body, tuple(headers))


def _failure(reply: Reply, *, streamed: bool) -> ErrorReply | None:
    """The status instead of an answer; without a stream, an `error` fault is one."""
    fault = reply.fault
    if fault is not None and fault.kind == "error" and not streamed:
        return ErrorReply(529, fault.error_type, fault.message)
    return reply.failure


def _failed(reply: Reply, failure: ErrorReply, request_id: str) -> Whole:
    details = {"error_code": failure.code} if failure.code else None
    error = ApiError(failure.status, failure.message, failure.type, failure.retry_after, details)
    whole = refusal(error, request_id)
    headers = (*whole.headers, *failure.headers)
    if failure.page:
        whole = msgspec.structs.replace(whole, body=PAGE)
        headers += (("content-type", "text/html"), ("request-id", ""))
    return msgspec.structs.replace(whole, headers=headers, delay=reply.delay, gate=reply.gate)


def _whole(body: Json | bytes) -> Whole:
    return Whole(200, body if isinstance(body, bytes) else _encode(body))
