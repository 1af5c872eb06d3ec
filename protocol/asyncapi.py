"""The whole protocol as an AsyncAPI 3.0 document.

The gateway is the application that it describes: it `receive`s a client's message, and `send`s.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, get_args

import msgspec

from protocol.errors import CloseCode, ErrorCode
from protocol.examples import EXAMPLES, payload
from protocol.replies import CLIENT_MESSAGES, replies
from protocol.schema import MESSAGES, Document, all_components, type_of
from protocol.server import ErrorMessage, GatewayDraining, GatewayHello

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
_UNASKED = (GatewayHello, GatewayDraining, ErrorMessage)


def asyncapi() -> Document:
    """The whole protocol as an AsyncAPI 3.0 document."""
    schemas = all_components("#/components/schemas/{name}")
    kinds = [*MESSAGES["client"], *MESSAGES["gateway"]]
    messages = {kind.__name__: _message(kind, schemas[kind.__name__]) for kind in kinds}
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
        "operations": _operations(),
        "components": {
            "schemas": schemas,
            "messages": messages,
            "securitySchemes": _SECURITY_SCHEMES,
        },
    }


def _message(kind: type[msgspec.Struct], schema: Document) -> Document:
    summary, _, rest = schema["description"].partition("\n\n")
    message: Document = {
        "name": type_of(kind),
        "title": type_of(kind),
        "summary": " ".join(summary.split()),
        "payload": {"$ref": f"#/components/schemas/{kind.__name__}"},
        "examples": [
            {"summary": one.name, "payload": payload(one)}
            for one in EXAMPLES
            if type(one.message) is kind
        ],
    }
    if rest:
        message["description"] = rest
    for field in ("id", "requestId"):
        if field in schema["required"]:
            message["correlationId"] = {"location": f"$message.payload#/{field}"}
    return message


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


def _operations() -> Document:
    """One a request, with what answers it; and what the gateway sends unasked."""
    requests: Document = {}
    for kind in CLIENT_MESSAGES:
        requests[type_of(kind)] = {
            "action": "receive",
            "channel": _CHANNEL,
            "summary": f"A client sends `{type_of(kind)}`.",
            "messages": _in_channel([kind]),
            "reply": {
                "channel": _CHANNEL,
                "messages": _in_channel([*replies(kind), ErrorMessage]),
            },
        }
    return requests | {
        "unasked": {
            "action": "send",
            "channel": _CHANNEL,
            "summary": "What the gateway says of itself; an error when a message has no `id`.",
            "messages": _in_channel(_UNASKED),
        }
    }


def _in_channel(kinds: Iterable[type[msgspec.Struct]]) -> list[Document]:
    return [{"$ref": f"{_CHANNEL['$ref']}/messages/{kind.__name__}"} for kind in kinds]


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

_CHANNEL: Document = {"$ref": "#/channels/gateway"}

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
