"""How the gateway calls others over HTTP: the one place that makes a client, or says how.

Proxies and certificates come from the environment, as with curl. No call to this machine itself
goes through a proxy, whatever NO_PROXY says: the proxy would see the key, and would look for the
address on its own machine. Go does the same (golang.org/x/net/http/httpproxy, `ProxyFunc`); the
library does not (report: urschrei/pyzotero 375).
"""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies

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
            verify=trust_of(url) or _no_trust(),
            trust_env=not stays_here(parts.hostname or ""),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=KEPT_ALIVE),
        )


class NotingClient(httpx2.AsyncClient):
    """A client that sends nothing: it notes what it would send, and answers with no content."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._notes = _Notes()
        super().__init__(
            headers=headers, transport=self._notes, verify=_no_trust(), trust_env=False
        )

    @property
    def last(self) -> httpx2.Request:
        """The request that was made last."""
        return self._notes.requests[-1]


class _Notes(httpx2.AsyncBaseTransport):
    def __init__(self) -> None:
        self.requests: deque[httpx2.Request] = deque(maxlen=1)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        return httpx2.Response(204)


def is_direct(url: str) -> bool:
    """Whether surely no proxy stands before the server at `url`; NO_PROXY is not looked at."""
    if stays_here(urlsplit(url).hostname or ""):
        return True
    return not {"all", "http", "https"} & {name for name, value in getproxies().items() if value}


def trust_of(url: str) -> ssl.SSLContext | None:
    """Which certificates to trust for a server at `url`; `None` if it is called without TLS."""
    return _trust() if urlsplit(url).scheme == "https" else None


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
