"""From an address to a byte stream, or one line that says why there is none."""

from __future__ import annotations

import socket
import ssl
from typing import Final

import anyio
from anyio.abc import ByteStream
from websockets.uri import WebSocketURI

from agentspace.client.errors import ConnectError

CONNECT_SECONDS: Final = 10.0


async def dial(address: WebSocketURI, where: str, context: ssl.SSLContext | None) -> ByteStream:
    """A stream to the gateway's host, with TLS for `wss`. Raises ConnectError.

    No proxy is asked: a token would pass through it.
    """
    try:
        with anyio.fail_after(CONNECT_SECONDS):
            if not address.secure:
                return await anyio.connect_tcp(address.host, address.port)
            return await anyio.connect_tcp(
                address.host,
                address.port,
                ssl_context=context or ssl.create_default_context(),
                tls_standard_compatible=False,
            )
    except (OSError, anyio.BrokenResourceError, anyio.EndOfStream, UnicodeError) as error:
        raise _told(error, address, where) from error


def _told(error: Exception, address: WebSocketURI, where: str) -> ConnectError:
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    match cause:
        case ssl.SSLCertVerificationError():
            return ConnectError(
                "tls", f"the certificate of {where} is not trusted here: {cause.verify_message}."
            )
        case ssl.SSLError() | anyio.BrokenResourceError() | anyio.EndOfStream():
            return no_tls(where)
        case socket.gaierror() | UnicodeError():
            return ConnectError(
                "dns", f"there is no host {address.host} (from {where}).", passes=True
            )
        case TimeoutError():
            return ConnectError(
                "timeout",
                f"{where} does not answer within {CONNECT_SECONDS:.0f} s.",
                passes=True,
            )
        case ConnectionRefusedError():
            return nobody(where)
        case OSError(strerror=reason) if reason is not None:
            return ConnectError("unreachable", f"{where} cannot be reached: {reason}.", passes=True)
    return nobody(where)


def no_tls(where: str) -> ConnectError:
    """Something listens and speaks no TLS."""
    return ConnectError(
        "tls", f"what answers at {where} speaks no TLS that is understood here: try ws://."
    )


def nobody(where: str) -> ConnectError:
    """Nobody listens there."""
    return ConnectError(
        "refused",
        f"no gateway answers at {where}. Start one with `agentspace serve`, or try "
        "`agentspace demo`.",
        passes=True,
    )
