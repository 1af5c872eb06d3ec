"""Encoders, decoders, subprotocols: the only place that knows JSON from MessagePack.

Decoding untrusted bytes can raise `DecodeError`, `ValidationError`, `UnicodeError` and
`RecursionError`; all of them become `InvalidMessage` here. A validation error quotes the client's
text, so its words are cut and cleaned before they go back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Iterator
from typing import Any, Protocol

import msgspec

from protocol import json_frame, msgpack_frame
from protocol.bounds import LARGE, TooMuch
from protocol.client import (
    AnyClientMessage,
    ChatSend,
    ClientMessage,
    ContextInspect,
    SessionCreate,
    ToolOutput,
)
from protocol.errors import InvalidMessage
from protocol.free_form import is_json, size_fault
from protocol.provider.content import without_blank_texts
from protocol.server import ServerMessage

Frame = str | bytes
"""One WebSocket message: text for JSON, bytes for MessagePack."""

_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_HALF_A_PAIR = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])")
_EXPLANATION_LENGTH = 200

_WITH_CONTENT = (ChatSend, ContextInspect, ToolOutput)
_WITH_SYSTEM = (ChatSend, SessionCreate)


class _Envelope(msgspec.Struct, frozen=True):
    id: Any = None
    type: Any = None


class _Notation(Protocol):
    """What is known of JSON, or of MessagePack, without decoding it."""

    def skeleton(self, frame: bytes) -> Generator[None, None, bytes]: ...

    def find_id(self, frame: bytes) -> str | None: ...


class Codec:
    """One subprotocol: how a client's frames are read and the gateway's are written."""

    def __init__(
        self,
        subprotocol: str,
        what: str,
        decode: Callable[[Frame], AnyClientMessage],
        decode_envelope: Callable[[Frame], _Envelope],
        encode: Callable[[ServerMessage], bytes],
        notation: _Notation,
        nul: Frame,
    ) -> None:
        self.subprotocol = subprotocol
        self.encode = encode
        """The payload of a message's frame."""
        self.is_text = isinstance(nul, str)
        """Whether the frames are text frames; else they are binary."""
        self._what = what
        self._decode = decode
        self._decode_envelope = decode_envelope
        self._notation = notation
        self._nul = nul
        self._nul_in_bytes = nul.encode() if isinstance(nul, str) else nul

    def decode(self, frame: Frame) -> AnyClientMessage:
        """The client's message in `frame`, at once: for a small frame, see `steps`.

        Raises InvalidMessage, naming the field that is wrong, with the request's id when that
        could still be read.
        """
        if type(frame) is not type(self._nul):
            raise InvalidMessage(
                f"This connection speaks {self._what}.", request_id=_id_in(json_frame, frame)
            )
        message = self._message(frame, frame)
        for field, value in _free_parts(message):
            _check_free(message, field, value)
        if self._nul in frame:  # type: ignore[operator]
            _check_nul(message)
        return without_blanks(message)

    def steps(self, frame: Frame) -> Generator[None, None, AnyClientMessage]:
        """The client's message in a `frame` of any size, in steps of some milliseconds each.

        A small frame takes one step. A large one is decoded when it is known that it holds no
        more than a message may; first without its long texts, so that what is wrong with the rest
        is said without quoting 15 MB. Raises InvalidMessage as `decode` does.
        """
        if len(frame) <= LARGE or type(frame) is not type(self._nul):
            return self.decode(frame)
        frame, small = yield from self._measured(frame)
        if small is not frame:
            self._message(small, small)
            yield
        message = self._message(frame, small)
        yield
        for field, value in _free_parts(message):
            _check_free(message, field, value)
            yield
        if self._nul_in_bytes in frame:
            _check_nul(message)
        return without_blanks(message)

    def _measured(self, frame: Frame) -> Generator[None, None, tuple[bytes, bytes]]:
        """The frame's bytes, and what is left of them without the long texts."""
        data = frame.encode(errors="surrogatepass") if isinstance(frame, str) else frame
        yield
        try:
            small = yield from self._notation.skeleton(data)
        except TooMuch as error:
            raise InvalidMessage(str(error), request_id=_id_in(self._notation, data)) from None
        yield
        return data, data if len(small) == len(data) else small

    def _message(self, frame: Frame, small: Frame) -> AnyClientMessage:
        """The message; what is wrong with it is told by `small`, which has no long texts."""
        try:
            return self._decode(frame)
        except msgspec.ValidationError as error:
            explanation = self._explanation(small, str(error))
        except (msgspec.DecodeError, UnicodeError) as error:
            explanation = f"This is not {self._what}: {_fault(frame, str(error))}"
        except RecursionError:
            explanation = "This message is nested too deeply."
        raise InvalidMessage(explanation, request_id=self._id(small))

    def _explanation(self, frame: Frame, error: str) -> str:
        kind = self._envelope(frame).type
        if isinstance(kind, str) and kind not in CLIENT_TYPES:
            return f"The type `{_clean(kind)}` is not known. Known are: {_KNOWN_TYPES}."
        if error.startswith("Expected `object`") and " - at " not in error:
            return "A message is one object with `id` and `type`."
        return _explanation(error)

    def _envelope(self, frame: Frame) -> _Envelope:
        try:
            return self._decode_envelope(frame)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return _Envelope()

    def _id(self, frame: Frame) -> str | None:
        """The id of a broken message: exactly, or else as far as it can be read."""
        found = self._envelope(frame).id
        if found is None:
            return _id_in(self._notation, frame)
        return found if isinstance(found, str) and _ID.fullmatch(found) else None


def _free_parts(message: AnyClientMessage) -> Iterator[tuple[str, Any]]:
    """The free-form parts of a client's message, by name."""
    if not isinstance(message, ChatSend | ContextInspect):
        return
    if message.output_format is not None:
        yield "outputFormat.schema", message.output_format.schema
    if isinstance(message, ChatSend):
        for at, tool in enumerate(message.tools or ()):
            yield f"tools[{at}].inputSchema", tool.input_schema
            if tool.input_examples:
                yield f"tools[{at}].inputExamples", tool.input_examples


def _check_free(message: AnyClientMessage, field: str, value: Any) -> None:
    """What is free-form goes on as JSON, and through MessagePack."""
    if fault := size_fault(value):
        raise InvalidMessage(f"`{field}`: it {fault}.", request_id=message.id)


def _check_nul(message: AnyClientMessage) -> None:
    """PostgreSQL cannot store it, and no text of a person has it."""
    if _has_nul(msgspec.to_builtins(message)):
        raise InvalidMessage(
            "A text holds a NUL character (U+0000): leave it out.", request_id=message.id
        )


def without_blanks(message: AnyClientMessage) -> AnyClientMessage:
    """The message without what says nothing: empty texts next to a picture, a blank system."""
    if isinstance(message, _WITH_CONTENT) and isinstance(message.content, list):
        content = without_blank_texts(message.content)
        if content is not message.content:
            message = msgspec.structs.replace(message, content=content)
    if isinstance(message, _WITH_SYSTEM) and message.system and message.system.isspace():
        message = msgspec.structs.replace(message, system="")
    return message


def _id_in(notation: _Notation, frame: Frame) -> str | None:
    data = frame.encode(errors="surrogatepass") if isinstance(frame, str) else frame
    found = notation.find_id(data)
    return found if found is not None and _ID.fullmatch(found) else None


def _fault(frame: Frame, error: str) -> str:
    """What the decoder says; at half a surrogate it speaks of a frame that is cut off."""
    end = frame[-24:] if isinstance(frame, str) else frame[-24:].decode(errors="replace")
    if "surrogate" in error or _HALF_A_PAIR.search(end):
        return "a text holds half a surrogate pair, which is no character."
    return _clean(error)


def _clean(text: str) -> str:
    cleaned = _UNPRINTABLE.sub(" ", text[: 4 * _EXPLANATION_LENGTH]).strip()
    if len(cleaned) > _EXPLANATION_LENGTH:
        return cleaned[: _EXPLANATION_LENGTH - 1] + "…"
    return cleaned


def _explanation(error: str) -> str:
    # msgspec says "Expected `str`, got `int` - at `$.content`": the field goes first.
    problem, found, path = error.rpartition(" - at `$.")
    if not found:
        return _clean(error)
    return f"`{_clean(path.rstrip('`'))}`: {_clean(problem)}"


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(_has_nul(key) or _has_nul(item) for key, item in value.items())
    if isinstance(value, list):
        return any(_has_nul(item) for item in value)
    return False


CLIENT_TYPES: frozenset[str] = frozenset(
    str(kind.__struct_config__.tag) for kind in ClientMessage.__subclasses__()
)
_KNOWN_TYPES = ", ".join(sorted(CLIENT_TYPES))

_json_encoder = msgspec.json.Encoder(decimal_format="number")
_msgpack_encoder = msgspec.msgpack.Encoder(decimal_format="number")


def _encode_msgpack(message: ServerMessage) -> bytes:
    try:
        return _msgpack_encoder.encode(message)
    except OverflowError:
        # A model's tool call may hold an integer of more than 64 bits, which MessagePack lacks;
        # as in most readers of JSON it becomes a double.
        return _msgpack_encoder.encode(
            json.loads(_json_encoder.encode(message), parse_int=_nearest)
        )


def _nearest(digits: str) -> int | float:
    number = int(digits)
    return number if is_json(number) else float(digits)


JSON = Codec(
    "agentspace.v1.json",
    "JSON in text frames",
    msgspec.json.Decoder(AnyClientMessage).decode,
    msgspec.json.Decoder(_Envelope).decode,
    _json_encoder.encode,
    json_frame,
    "\\u0000",
)
MSGPACK = Codec(
    "agentspace.v1.msgpack",
    "MessagePack in binary frames",
    msgspec.msgpack.Decoder(AnyClientMessage).decode,  # type: ignore[arg-type]
    msgspec.msgpack.Decoder(_Envelope).decode,  # type: ignore[arg-type]
    _encode_msgpack,
    msgpack_frame,
    b"\x00",
)

CODECS: dict[str, Codec] = {codec.subprotocol: codec for codec in (JSON, MSGPACK)}
"""By subprotocol, in the order of the gateway's preference."""
