"""The protocol as documents: AsyncAPI 3.0, and JSON Schema (2020-12) for one message.

Both are generated from the messages' types, so they say what the codecs do. Of JSON Schema they
use only what 2020-12 shares with draft 07, which is how AsyncAPI reads a schema that names no
format.
"""

from __future__ import annotations

import re
from typing import Any, Literal, TypeAlias, get_args

import msgspec

from protocol.client import AnyClientMessage
from protocol.errors import CloseCode, ErrorCode
from protocol.server import AnyServerMessage

Document: TypeAlias = dict[str, Any]
Sender = Literal["client", "gateway"]

_MESSAGES: dict[Sender, tuple[type[msgspec.Struct], ...]] = {
    "client": get_args(AnyClientMessage),
    "gateway": get_args(AnyServerMessage),
}
_CONTENT_TYPES = {
    "agentspace.v1.json": "application/json",
    "agentspace.v1.msgpack": "application/vnd.msgpack",
}
_CLOSE_CODES = {
    CloseCode.NORMAL: "Normal.",
    CloseCode.GOING_AWAY: "The gateway goes away; `gateway.draining` came before.",
    CloseCode.POLICY: "Policy: authentication, a flood, a slow reader.",
    CloseCode.TOO_LARGE: "A message was too large.",
    CloseCode.INTERNAL: "An internal error.",
}
_REFUSALS = {
    401: "The token is missing or wrong.",
    403: "`Origin` or `Host` is not one that the gateway answers to.",
    404: "There is nothing at this path.",
    503: "The gateway is full, or about to stop.",
}
_SNAKE_CASE = re.compile(r"`[a-z0-9]+(?:_[a-z0-9]+)+`")


def message_schema(type_name: str, sender: Sender | None = None) -> Document:
    """A self-contained JSON Schema for the message `type_name`.

    Some types are a request and its answer: without a `sender`, either is valid. Raises
    LookupError for a type that the sender does not send.
    """
    senders = get_args(Sender) if sender is None else (sender,)
    kinds = [kind for one in senders for kind in _MESSAGES[one] if _type_of(kind) == type_name]
    if not kinds:
        raise LookupError(f"there is no message {type_name}")
    references, definitions = _components(kinds, "#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **(references[0] if len(references) == 1 else {"anyOf": references}),
        "$defs": definitions,
    }


def asyncapi() -> Document:
    """The whole protocol as an AsyncAPI 3.0 document."""
    kinds = [*_MESSAGES["client"], *_MESSAGES["gateway"]]
    references, schemas = _components(kinds, "#/components/schemas/{name}")
    messages = {
        kind.__name__: _message(kind, reference, schemas[kind.__name__])
        for kind, reference in zip(kinds, references, strict=True)
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "AgentSpace gateway",
            "version": "1",
            "description": _DESCRIPTION,
        },
        "defaultContentType": "application/json",
        "servers": {"local": _SERVER},
        "channels": {"gateway": _channel(messages)},
        "operations": {
            "receive": _operation("receive", "client", "What a client may send."),
            "send": _operation("send", "gateway", "What the gateway sends."),
        },
        "components": {
            "schemas": schemas,
            "messages": messages,
            "securitySchemes": _SECURITY_SCHEMES,
        },
    }


def _type_of(kind: type[msgspec.Struct]) -> str:
    return str(kind.__struct_config__.tag)


def _components(
    kinds: list[type[msgspec.Struct]], template: str
) -> tuple[list[Document], Document]:
    references, definitions = msgspec.json.schema_components(kinds, ref_template=template)
    return list(references), {name: _as_sent(schema) for name, schema in definitions.items()}


def _as_sent(schema: Any) -> Any:
    """msgspec's schema, with what is ours to say: decimals are written as numbers.

    `discriminator` is OpenAPI's; AsyncAPI has another of that name, and `type` tells as much.
    """
    match schema:
        case {"type": "string", "format": "decimal"}:
            return {"type": "number"}
        case dict():
            return {
                name: _wire_names(value) if name == "description" else _as_sent(value)
                for name, value in schema.items()
                if name != "discriminator"
            }
        case list():
            return [_as_sent(item) for item in schema]
    return schema


def _wire_names(description: Any) -> Any:
    """Docstrings name fields as Python does, documents as the wire does."""
    if not isinstance(description, str):  # a field of that name
        return _as_sent(description)
    return _SNAKE_CASE.sub(
        lambda found: re.sub(r"_(.)", lambda letter: letter[1].upper(), found[0]), description
    )


def _message(kind: type[msgspec.Struct], reference: Document, schema: Document) -> Document:
    return {
        "name": _type_of(kind),
        "title": _type_of(kind),
        "summary": schema["description"],
        "payload": reference,
    }


def _channel(messages: Document) -> Document:
    return {
        "address": "/gateway",
        "description": "One WebSocket; each of its messages is one protocol message.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {"ws": {"method": "GET", "headers": _HEADERS, "bindingVersion": "0.1.0"}},
        "x-subprotocols": _CONTENT_TYPES,
        "x-close-codes": {str(int(code)): meaning for code, meaning in _CLOSE_CODES.items()},
        "x-error-codes": list(get_args(ErrorCode)),
    }


def _operation(action: Literal["send", "receive"], sender: Sender, summary: str) -> Document:
    return {
        "action": action,
        "channel": {"$ref": "#/channels/gateway"},
        "summary": summary,
        "messages": [
            {"$ref": f"#/channels/gateway/messages/{kind.__name__}"} for kind in _MESSAGES[sender]
        ],
    }


def _table(rows: dict[Any, str]) -> str:
    return "\n".join(f"- {name}: {meaning}" for name, meaning in rows.items())


_DESCRIPTION = f"""\
A gateway between programs and a large language model, over one WebSocket. Messages are told apart
by `type`. Every client message has an `id`, which its answers echo as `requestId`; unknown extra
fields are ignored.

Subprotocols: `agentspace.v1.json` (text frames, application/json) and `agentspace.v1.msgpack`
(binary frames, application/vnd.msgpack; the same maps). A client that asks for either gets
`gateway.hello` first; one that asks for none gets JSON and no hello.

Error codes: {", ".join(f"`{code}`" for code in get_args(ErrorCode))}.

Close codes:

{_table({int(code): meaning for code, meaning in _CLOSE_CODES.items()})}

Instead of the upgrade:

{_table(_REFUSALS)}
"""

_SERVER: Document = {
    "host": "127.0.0.1:3271",
    "protocol": "ws",
    "protocolVersion": "13",
    "description": "The default address: ws://127.0.0.1:3271/gateway",
    "security": [
        {"$ref": "#/components/securitySchemes/bearer"},
        {"$ref": "#/components/securitySchemes/subprotocol"},
    ],
}

_SECURITY_SCHEMES: Document = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "`Authorization: Bearer TOKEN`",
    },
    "subprotocol": {
        "type": "httpApiKey",
        "in": "header",
        "name": "Sec-WebSocket-Protocol",
        "description": "For browsers: `agentspace.token.TOKEN` as a second offered subprotocol, "
        "which is never echoed.",
    },
}

_HEADERS: Document = {
    "type": "object",
    "properties": {
        "Sec-WebSocket-Protocol": {
            "type": "string",
            "description": "One of "
            + ", ".join(_CONTENT_TYPES)
            + "; and agentspace.token.TOKEN where no header can be set.",
        },
        "Authorization": {"type": "string", "description": "Bearer TOKEN"},
    },
}
