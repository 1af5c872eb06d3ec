"""The kinds of values that settings take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from protocol.client import ServerTool, ServerToolOptions


def _kind(placeholder: str, expects: str, **limits: Any) -> Meta:
    """What a value must be: in a word for the help, and in a clause for a refusal."""
    return Meta(extra={"placeholder": placeholder, "expects": expects}, **limits)


Port = Annotated[int, _kind("NUMBER", "a whole number from 0 to 65535", ge=0, le=65_535)]
Seconds = Annotated[float, _kind("SECONDS", "seconds: above 0, at most 86400", gt=0, le=86_400)]
Count = Annotated[int, _kind("NUMBER", "a whole number from 1 to 1000000", ge=1, le=1_000_000)]
Attempts = Annotated[int, _kind("NUMBER", "a whole number from 0 to 10", ge=0, le=10)]
Budget = Annotated[
    int, _kind("TOKENS", "a whole number from 1024 to 1000000", ge=1_024, le=1_000_000)
]
Bytes = Annotated[int, _kind("BYTES", "bytes: a whole number from 1024 up", ge=1_024, le=2**40)]
Switch = Annotated[bool, _kind("", "true or false")]
Folder = Annotated[Path, _kind("PATH", "a path")]
OptionalFile = Annotated[Path | None, _kind("PATH", "a path")]
PlainText = Annotated[str, _kind("TEXT", "text in UTF-8, without NUL")]
Host = Annotated[
    str, _kind("HOST", "an address or a host name", pattern=r"^[A-Za-z0-9.:_%-]{1,255}\Z")
]
ModelName = Annotated[str, _kind("MODEL", "a model's id", pattern=r"^[!-~]{1,128}\Z")]
# What a subprotocol can carry too (RFC 9110, section 5.6.2): that is where browsers put a token.
_Token = Annotated[str, Meta(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{16,512}\Z")]
OptionalToken = Annotated[
    _Token | None,
    _kind("TEXT", "16 to 512 letters, digits or any of !#$%&'*+-.^_`|~"),
]
OptionalUrl = Annotated[
    str | None, _kind("URL", "an http:// or https:// address without user, ? or #")
]
_Origin = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9+.-]*://[a-z0-9.:_\[\]-]+\Z")]
Origins = Annotated[
    tuple[_Origin, ...],
    _kind("ORIGINS", "origins in lower case without path or *, such as https://app.example:8443"),
]
_HostName = Annotated[str, Meta(pattern=r"^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)\Z")]
HostNames = Annotated[
    tuple[_HostName, ...],
    _kind("HOSTS", "host names in lower case without port, such as gateway.example"),
]

ServerTools = Annotated[
    tuple[ServerTool | ServerToolOptions, ...],
    _kind("TOOLS", "any of web_search, web_fetch, code_execution; in the file also with options"),
]

Access = Annotated[Literal["token", "none"], _kind("", "token or none")]
LogLevel = Annotated[
    Literal["debug", "info", "warning", "error"], _kind("", "debug, info, warning or error")
]
LogFormat = Annotated[Literal["text", "json"], _kind("", "text or json")]
