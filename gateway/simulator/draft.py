"""A reply made ready to send: ids given, thinking signed, tokens counted.

`content` is what a request without streaming gets; the stream's events are cut from the same
blocks, so both say the same.
"""

from collections.abc import Iterable, Iterator

import msgspec

from gateway.simulator.cache import Charge
from gateway.simulator.ids import Ids
from gateway.simulator.reply import (
    Block,
    Json,
    Raw,
    RedactedThinking,
    Reply,
    Text,
    Thinking,
    ToolUse,
    WebSearch,
)
from gateway.simulator.signature import Signer
from gateway.simulator.usage import Usage

_encoder = msgspec.json.Encoder()

TOKENS_PER_MESSAGE = 3


class Draft(msgspec.Struct, frozen=True):
    """One answer, complete before its first byte goes out."""

    id: str
    request_id: str
    model: str
    content: tuple[Json, ...]
    reply: Reply
    stop_reason: str
    usage: Usage
    ratio: float

    def message(self) -> Json:
        """The whole message, for a request that does not stream."""
        return {
            **self.opening(),
            "content": list(self.content),
            **self.ending(),
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
        }

    def ending(self) -> Json:
        """Why it stopped: the `delta` of `message_delta`."""
        return {
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
        self, reply: Reply, *, model: str, request_id: str, charge: Charge, shows_thinking: bool
    ) -> Draft:
        """Turn what is to be said into what is to be sent."""
        content = tuple(self._content(reply.blocks, shows_thinking=shows_thinking))
        thinking, spoken = _bytes_of(reply.blocks)
        return Draft(
            id=self._ids.message(),
            request_id=request_id,
            model=model,
            content=content,
            reply=reply,
            stop_reason=reply.stop_reason or _stop_reason(reply.blocks),
            usage=Usage(
                prompt=charge,
                output=TOKENS_PER_MESSAGE + output_tokens(thinking + spoken, self._ratio),
                thinking=output_tokens(thinking, self._ratio),
                searches=sum(isinstance(block, WebSearch) for block in reply.blocks),
                overrides=reply.usage or {},
            ),
            ratio=self._ratio,
        )

    def _content(self, blocks: Iterable[Block], *, shows_thinking: bool) -> Iterator[Json]:
        for block in blocks:
            match block:
                case Thinking(text):
                    shown = text if shows_thinking else ""
                    signature = self._signer.sign(text, shown)
                    yield {"type": "thinking", "thinking": shown, "signature": signature}
                case RedactedThinking(text):
                    yield {"type": "redacted_thinking", "data": self._signer.sign(text, "")}
                case Text(text, citations):
                    cited = {"citations": list(citations)} if citations else {}
                    yield {"type": "text", "text": text, **cited}
                case ToolUse(name, arguments, call):
                    call = call or self._ids.tool_use()
                    yield {"type": "tool_use", "id": call, "name": name, "input": arguments}
                case WebSearch():
                    yield from self._search(block)
                case Raw(raw):
                    yield raw

    def _search(self, search: WebSearch) -> Iterator[Json]:
        call = self._ids.server_tool_use()
        yield {
            "type": "server_tool_use",
            "id": call,
            "name": "web_search",
            "input": {"query": search.query},
        }
        results = [
            {
                "type": "web_search_result",
                "url": url,
                "title": title,
                "encrypted_content": self._signer.sign(url, title),
                "page_age": None,
            }
            for url, title in search.results
        ]
        yield {"type": "web_search_tool_result", "tool_use_id": call, "content": results}


def output_tokens(size: int, ratio: float) -> int:
    """The tokens of `size` bytes of output."""
    return -int(-size // ratio)


def _stop_reason(blocks: Iterable[Block]) -> str:
    return "tool_use" if any(isinstance(block, ToolUse) for block in blocks) else "end_turn"


def _bytes_of(blocks: Iterable[Block]) -> tuple[int, int]:
    """Bytes of thinking and bytes of everything else that the model wrote."""
    thinking = spoken = 0
    for block in blocks:
        match block:
            case Thinking(text) | RedactedThinking(text):
                thinking += size_of(text)
            case Text(text):
                spoken += size_of(text)
            case ToolUse(input=arguments):
                spoken += len(_encoder.encode(arguments))
            case WebSearch(query):
                spoken += len(_encoder.encode({"query": query}))
            case Raw():
                pass
    return thinking, spoken


def size_of(text: str) -> int:
    """A text's bytes."""
    return len(text.encode())
