"""Encoders, decoders, subprotocols: the only place that knows JSON from MessagePack.

Decoding untrusted bytes can raise `DecodeError`, `ValidationError`, `UnicodeError` and
`RecursionError`; all of them become `InvalidMessage` here. A validation error quotes the client's
text, so its words are cut and cleaned before they go back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import msgspec

from protocol.client import AnyClientMessage, ChatSend, ClientMessage
from protocol.errors import InvalidMessage
from protocol.provider.content import DEEPEST, is_json, is_too_deep
from protocol.server import ServerMessage

Frame = str | bytes
"""One WebSocket message: text for JSON, bytes for MessagePack."""

_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_EXPLANATION_LENGTH = 200


class _Envelope(msgspec.Struct, frozen=True):
    id: Any = None
    type: Any = None


class Codec:
    """One subprotocol: how a client's frames are read and the gateway's are written."""

    def __init__(
        self,
        subprotocol: str,
        what: str,
        decode: Callable[[Frame], AnyClientMessage],
        decode_envelope: Callable[[Frame], _Envelope],
        encode: Callable[[ServerMessage], Frame],
        nul: Frame,
    ) -> None:
        self.subprotocol = subprotocol
        self.encode = encode
        self._what = what
        self._decode = decode
        self._decode_envelope = decode_envelope
        self._nul = nul

    def decode(self, frame: Frame) -> AnyClientMessage:
        """The client's message in `frame`.

        Raises InvalidMessage, naming the field that is wrong, with the request's id when that
        could still be read.
        """
        if type(frame) is not type(self._nul):
            raise InvalidMessage(f"This connection speaks {self._what}.")
        try:
            message = self._decode(frame)
        except msgspec.ValidationError as error:
            raise self._refusal(frame, error) from None
        except (msgspec.DecodeError, UnicodeError) as error:
            raise InvalidMessage(f"This is not {self._what}: {_clean(str(error))}") from None
        except RecursionError:
            raise InvalidMessage("This message is nested too deeply.") from None
        if isinstance(message, ChatSend):
            _check_tools(message)
        if self._nul in frame and _has_nul(msgspec.to_builtins(message)):  # type: ignore[operator]
            # PostgreSQL cannot store it, and no text of a person has it.
            raise InvalidMessage(
                "A text holds a NUL character (U+0000): leave it out.", request_id=message.id
            )
        return message

    def _refusal(self, frame: Frame, error: msgspec.ValidationError) -> InvalidMessage:
        try:
            envelope = self._decode_envelope(frame)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return InvalidMessage("A message is one object with `id` and `type`.")
        readable = isinstance(envelope.id, str) and _ID.fullmatch(envelope.id)
        if isinstance(envelope.type, str) and envelope.type not in CLIENT_TYPES:
            text = f"The type `{_clean(envelope.type)}` is not known. Known are: {_KNOWN_TYPES}."
        else:
            text = _explanation(str(error))
        return InvalidMessage(text, request_id=envelope.id if readable else None)


def _clean(text: str) -> str:
    cleaned = _UNPRINTABLE.sub(" ", text).strip()
    if len(cleaned) > _EXPLANATION_LENGTH:
        return cleaned[: _EXPLANATION_LENGTH - 1] + "…"
    return cleaned


def _explanation(error: str) -> str:
    # msgspec says "Expected `str`, got `int` - at `$.content`": the field goes first.
    problem, found, path = error.rpartition(" - at `$.")
    if not found:
        return _clean(error)
    return f"`{_clean(path.rstrip('`'))}`: {_clean(problem)}"


def _check_tools(message: ChatSend) -> None:
    """The one free-form part of a client's message goes on as JSON, and through MessagePack."""
    for at, tool in enumerate(message.tools or ()):
        field = f"`tools[{at}].inputSchema`"
        if is_too_deep(tool.input_schema):
            raise InvalidMessage(
                f"{field}: it nests deeper than {DEEPEST} levels.", request_id=message.id
            )
        if not is_json(tool.input_schema):
            raise InvalidMessage(
                f"{field}: only JSON can be sent on: texts as keys, finite numbers, integers of "
                "64 bits.",
                request_id=message.id,
            )


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
    lambda message: _json_encoder.encode(message).decode(),
    "\\u0000",
)
MSGPACK = Codec(
    "agentspace.v1.msgpack",
    "MessagePack in binary frames",
    msgspec.msgpack.Decoder(AnyClientMessage).decode,  # type: ignore[arg-type]
    msgspec.msgpack.Decoder(_Envelope).decode,  # type: ignore[arg-type]
    _encode_msgpack,
    b"\x00",
)

CODECS: dict[str, Codec] = {codec.subprotocol: codec for codec in (JSON, MSGPACK)}
"""By subprotocol, in the order of the gateway's preference."""
