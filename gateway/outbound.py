"""How the gateway calls others over HTTP: the one place that makes a client.

Proxies and certificates come from the environment, as with curl. No call to this machine itself
goes through a proxy, whatever NO_PROXY says: the proxy would see the key, and would look for the
address on its own machine. Go does the same (golang.org/x/net/http/httpproxy, `ProxyFunc`); the
library does not (report: urschrei/pyzotero 375).
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Final
from urllib.parse import urlsplit

import httpx2

from agentspace.loopback import stays_here

KEPT_ALIVE: Final = 64
"""Idle connections that a client keeps."""

ResponseHook = Callable[[httpx2.Response], Awaitable[None]]


class OutboundClient(httpx2.AsyncClient):
    """A client for the server at `url` alone: no redirect takes a request to another one.

    Raises ValueError and OSError for what `gateway.network.check_network` refuses.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: httpx2.Timeout,
        headers: Mapping[str, str],
        on_response: ResponseHook | None = None,
    ) -> None:
        parts = urlsplit(url)
        super().__init__(
            timeout=timeout,
            headers=headers,
            event_hooks={"response": [on_response] if on_response else []},
            follow_redirects=False,
            verify=_trust() if parts.scheme == "https" else _no_trust(),
            trust_env=not stays_here(parts.hostname or ""),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=KEPT_ALIVE),
        )


def is_untrusted(error: BaseException | None) -> bool:
    """Whether a certificate is what a connection failed at: it will fail again."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error is not None


@cache
def _trust() -> ssl.SSLContext:
    """The certificates of the system or of SSL_CERT_FILE; to read them takes some milliseconds."""
    return httpx2.create_ssl_context()


@cache
def _no_trust() -> ssl.SSLContext:
    """For plain HTTP, which needs no certificates: if a TLS server came up, none would do."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
