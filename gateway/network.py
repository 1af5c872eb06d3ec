"""What the environment says of the network, judged before the first call is made.

The library that makes the calls reads it when a client is made, and then fails with an error of its
own or, worse, at each call. So a start looks first, and says which variable is wrong. Nothing is
judged that is not needed: a provider on this machine needs neither a proxy nor certificates.
Reports: MoonshotAI/kimi-cli 404 (`socks://` from a desktop's settings), Aider-AI/aider 3710 (a
certificate file that is missing).
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from agentspace.loopback import stays_here
from gateway.config import ConfigError

PROVIDER_URL: Final = "https://api.anthropic.com"
"""Where the provider is, unless the settings say another address."""

PROXIES: Final = frozenset({"http_proxy", "https_proxy", "all_proxy"})
"""The variables of proxies, in lower case; both cases are in use."""

_CERTIFICATE: Final = re.compile(r"[0-9a-f]{8}\.\d+", re.IGNORECASE)
"""The name that OpenSSL looks for in a folder (`openssl rehash`)."""


def check_network(urls: Iterable[str], environ: Mapping[str, str]) -> None:
    """Refuse an environment with which these addresses can never be called.

    Raises ConfigError, which names the variable; never its value, for it may hold a password.
    """
    parts = [urlsplit(url) for url in urls]
    is_remote = any(not stays_here(one.hostname or "") for one in parts)
    if is_remote:
        _check_proxies(environ)
    if is_remote or any(one.scheme == "https" for one in parts):
        _check_certificates(environ)


def _check_proxies(environ: Mapping[str, str]) -> None:
    for name, value in environ.items():
        if value and name.lower() in PROXIES and not _is_usable_proxy(value):
            raise ConfigError(
                f"{name} is no proxy that can be used: give an address that begins with http://, "
                "https://, socks5:// or socks5h://, or unset it."
            )


def _is_usable_proxy(value: str) -> bool:
    import httpx2  # noqa: PLC0415 - most environments name no proxy

    address = value if "://" in value else f"http://{value}"
    with suppress(ValueError, httpx2.InvalidURL):
        proxy = httpx2.Proxy(address)
        httpx2.AsyncHTTPTransport(proxy=proxy, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        port = proxy.url.port
        return _is_host(proxy.url.host) and (port is None or 0 < port < 65_536)
    return False


def _is_host(host: str) -> bool:
    return bool(host) and not set(host) & set(" %*")


def _check_certificates(environ: Mapping[str, str]) -> None:
    """SSL_CERT_FILE wins over SSL_CERT_DIR; keys are logged only with either of them."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if file := environ.get("SSL_CERT_FILE"):
        try:
            context.load_verify_locations(cafile=file)
        except OSError as error:
            raise ConfigError(
                f"SSL_CERT_FILE names {file}, which holds no certificates that can be read "
                f"({_reason(error)}): correct it, or unset it to trust the system's."
            ) from error
    elif (folders := environ.get("SSL_CERT_DIR")) and not _hold_certificates(folders):
        raise ConfigError(
            f"SSL_CERT_DIR names {folders}, where no certificates are found: correct it, name them "
            "with `openssl rehash`, or unset it to trust the system's."
        )
    logged = environ.get("SSLKEYLOGFILE")
    if logged and (environ.get("SSL_CERT_FILE") or environ.get("SSL_CERT_DIR")):
        try:
            context.keylog_filename = logged
        except OSError as error:
            raise ConfigError(
                f"SSLKEYLOGFILE names {logged}, which cannot be written ({_reason(error)}): "
                "correct or unset it."
            ) from error


def _hold_certificates(folders: str) -> bool:
    for folder in folders.split(os.pathsep):
        with suppress(OSError):
            if any(_CERTIFICATE.fullmatch(file.name) for file in Path(folder).iterdir()):
                return True
    return False


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not PEM").replace("_", " ").lower()
    return error.strerror or type(error).__name__
