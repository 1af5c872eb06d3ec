"""A reply made ready to send: ids given, thinking signed, tokens counted.

`content` is what a request without streaming gets; the stream's events are cut from the same
blocks, so both say the same.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from gateway.simulator.binding import Binder
from gateway.simulator.cache import Charge
from gateway.simulator.ids import Ids
from gateway.simulator.reply import (
    CodeExecution,
    Json,
    Raw,
    RedactedThinking,
    Reply,
    ReplyBlock,
    ReplyText,
    ReplyThinking,
    ServerCall,
    ToolUse,
    WebFetch,
    WebSearch,
)
from gateway.simulator.server_tools import (
    input_of,
    is_result,
    readable,
    result_of,
    tool_of,
)
from gateway.simulator.signature import Signer
from gateway.simulator.usage import ReplyUsage

_encoder = msgspec.json.Encoder()

TOKENS_PER_MESSAGE = 3


class ReplyDraft(msgspec.Struct, frozen=True):
    """One answer, complete before its first byte goes out."""

    id: str
    request_id: str
    model: str
    content: tuple[Json, ...]
    reply: Reply
    stop_reason: str
    usage: ReplyUsage
    ratio: float
    container: Json | None = None
    edits: tuple[Json, ...] | None = None
    """What context editing did; None when the request did not ask for any."""
    transformations: tuple[Json, ...] | None = None
    """What was done about the request's thinking; None when the request is not to be told."""

    def message(self) -> Json:
        """The whole message, for a request that does not stream."""
        return {
            **self.opening(),
            "content": list(self.content),
            **self.ending(),
            **self.beside_ending(),
            "usage": self.usage.in_message(),
        }

    def opening(self) -> Json:
        """The message in `message_start`: nothing said yet."""
        return {
            "model": self.model,
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "stop_details": None,
            "usage": self.usage.at_start(),
            **self._transformed(),
        }

    def _transformed(self) -> Json:
        if self.transformations is None:
            return {}
        return {"input_transformations": list(self.transformations)}

    def beside_ending(self) -> Json:
        """What `message_delta` says beside its `delta` and its usage."""
        if self.edits is None:
            return {}
        return {"context_management": {"applied_edits": list(self.edits)}}

    def ending(self) -> Json:
        """Why it stopped: the `delta` of `message_delta`."""
        return {
            **({"container": self.container} if self.container else {}),
            "stop_reason": self.stop_reason,
            "stop_sequence": self.reply.stop_sequence,
            "stop_details": self.reply.stop_details,
        }


class Drafter:
    """Makes drafts; holds what all answers of one simulator share."""

    def __init__(self, ids: Ids, signer: Signer, ratio: float) -> None:
        self._ids = ids
        self._signer = signer
        self._ratio = ratio

    def draft(
        self,
        reply: Reply,
        *,
        model: str,
        request_id: str,
        charge: Charge,
        binder: Binder,
        shows_thinking: bool,
        pending: Sequence[str] = (),
        container: Json | None = None,
        edits: tuple[Json, ...] | None = None,
        transformations: tuple[Json, ...] | None = None,
    ) -> ReplyDraft:
        """Turn what is to be said into what is to be sent; `pending` calls await a result."""
        content = []
        for block in self._content(reply.blocks, list(pending), binder, shows=shows_thinking):
            content.append(block)
            binder.add(block)  # before the next one is made: its signature covers this one
        thinking, spoken = _bytes_of(reply.blocks)
        return ReplyDraft(
            id=self._ids.message(),
            request_id=request_id,
            model=reply.model or model,
            content=tuple(content),
            reply=reply,
            stop_reason=reply.stop_reason or _stop_reason(reply.blocks),
            usage=ReplyUsage(
                prompt=charge,
                later=tuple(_passes(charge, content, self._ratio)),
                output=TOKENS_PER_MESSAGE + output_tokens(thinking + spoken, self._ratio),
                thinking=output_tokens(thinking, self._ratio),
                searches=_brought(reply.blocks, WebSearch),
                fetches=_brought(reply.blocks, WebFetch),
                overrides=reply.usage or {},
                late=reply.usage_at_end or {},
            ),
            ratio=self._ratio,
            container=container,
            edits=edits,
            transformations=(
                transformations
                if reply.input_transformations is None
                else reply.input_transformations
            ),
        )

    def _content(
        self, blocks: Iterable[ReplyBlock], pending: list[str], binder: Binder, *, shows: bool
    ) -> Iterator[Json]:
        for block in blocks:
            match block:
                case ReplyThinking(text):
                    shown = text if shows else ""
                    signature = binder.sign(text, shown)
                    yield {"type": "thinking", "thinking": shown, "signature": signature}
                case RedactedThinking(text):
                    yield {"type": "redacted_thinking", "data": binder.sign(text, "")}
                case ReplyText(text, citations):
                    cited = {"citations": list(citations)} if citations else {}
                    yield {"type": "text", "text": text, **cited}
                case ToolUse(name, id=call):
                    call = self._ids.tool_use() if call is None else call
                    given = arguments_of(block)
                    yield {"type": "tool_use", "id": call, "name": name, "input": given}
                case WebSearch() | WebFetch() | CodeExecution():
                    yield from self._served(block, pending)
                case Raw(raw):
                    yield raw

    def _served(self, block: ServerCall, pending: list[str]) -> Iterator[Json]:
        """The blocks of one of the provider's own tools."""
        call, name = block.id, tool_of(block)
        if call is None and block.part == "result" and pending:
            call = pending.pop(0)
        call = call or self._ids.server_tool_use()
        if block.part != "result":
            asked = input_of(block)
            yield {"type": "server_tool_use", "id": call, "name": name, "input": asked}
        if block.part != "call":
            found = result_of(block, self._signer)
            yield {"type": f"{name}_tool_result", "tool_use_id": call, "content": found}


def _passes(charge: Charge, content: Sequence[Json], ratio: float) -> Iterator[Charge]:
    """The prompt is read again for every result in the answer, with all that the answer has.

    A result that comes first was asked for by an answer before this one: it is read once.
    """
    size = 0
    for at, block in enumerate(content):
        size += len(_encoder.encode(readable(block)))
        if at and is_result(block):
            yield charge.again(output_tokens(size, ratio))


def output_tokens(size: int, ratio: float) -> int:
    """The tokens of `size` bytes of output."""
    return -int(-size // ratio)


def _stop_reason(blocks: Sequence[ReplyBlock]) -> str:
    if any(isinstance(block, ToolUse) for block in blocks):
        return "tool_use"
    waits = any(isinstance(block, ServerCall) and block.part == "call" for block in blocks)
    return "pause_turn" if waits else "end_turn"


def _brought(blocks: Iterable[ReplyBlock], kind: type[WebSearch | WebFetch]) -> int:
    """How many of the provider's own tools are billed: those that brought something."""
    return sum(
        isinstance(block, kind) and block.part != "call" and block.error is None for block in blocks
    )


def _bytes_of(blocks: Iterable[ReplyBlock]) -> tuple[int, int]:
    """Bytes of thinking and bytes of everything else that the model wrote."""
    thinking = spoken = 0
    for block in blocks:
        match block:
            case ReplyThinking(text) | RedactedThinking(text):
                thinking += size_of(text)
            case ReplyText(text):
                spoken += size_of(text)
            case ToolUse():
                spoken += len(_encoder.encode(arguments_of(block)))
            case WebSearch() | WebFetch() | CodeExecution():
                asked = {} if block.part == "result" else input_of(block)
                spoken += len(_encoder.encode(asked))
            case Raw():
                pass
    return thinking, spoken


def arguments_of(call: ToolUse) -> object:
    """The arguments of a call: an object, as it should be, or whatever JSON its `text` is.

    A text that is no JSON stays as it is: its pieces are sent.
    """
    if call.text is None:
        return call.input
    try:
        return msgspec.json.decode(call.text)
    except msgspec.DecodeError:
        return msgspec.Raw(call.text.encode())


def size_of(text: str) -> int:
    """A text's bytes."""
    return len(text.encode())
