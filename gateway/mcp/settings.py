"""Which MCP servers there are: the tables `[mcp_servers.NAME]` of config.toml.

Values of `env` and `headers` may name environment variables, `${NAME}`, so that secrets need not
stand in the file; they are replaced once, when the settings are read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from protocol.tools import Approval

DEFAULT_APPROVAL: Final[Approval] = "session"

SHORTEST_KEY: Final = 8
"""Characters; shorter values of variables are not taken out of what a server says."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_LONGEST_SHOWN = 60


class BadMcpServer(Exception):
    """A table that cannot be used; the text is a clause without secrets."""


class McpServer(msgspec.Struct, frozen=True, kw_only=True):
    """One server: a `command` that speaks on its stdin and stdout, or a `url`.

    `variables` are the values that came into `env` and `headers` from the environment.
    """

    name: str
    command: str = ""
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    cwd: Path | None = None
    url: str = ""
    headers: dict[str, str] = {}
    approval: Approval = DEFAULT_APPROVAL
    tools: dict[str, Approval] = {}
    enabled: bool = True
    variables: tuple[str, ...] = ()

    def approval_of(self, tool: str) -> Approval:
        """Who must agree to a call of `tool`, by the server's own name of it."""
        return self.tools.get(tool, self.approval)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown."""
        return tuple(value for value in (*self.env.values(), *self.headers.values()) if value)

    def hide(self, text: str) -> str:
        """The text without the values of `variables`: a server may quote its key in an error."""
        return without(text, self.variables)

    def __repr__(self) -> str:
        """Arguments and the address stay out of it too: people put keys there."""
        return f"McpServer(name={self.name!r}, {'url' if self.url else 'command'}=…)"


def without(text: str, secrets: Sequence[str]) -> str:
    """The text with a mark in the place of each of the `secrets`, the longest first."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "…")
    return text


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A server's table as it is written."""

    command: str = ""
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    cwd: str = ""
    url: str = ""
    headers: dict[str, str] = {}
    approval: Approval = DEFAULT_APPROVAL
    tools: dict[str, Approval] = {}
    enabled: bool = True


_EXPECTED: Final = {
    "command": "a program's name or path",
    "args": "a list of texts",
    "env": "a table of texts",
    "cwd": "a path",
    "url": "an http:// or https:// address without user or #",
    "headers": "a table of texts",
    "approval": "auto, session or always",
    "tools": "a table of auto, session or always",
    "enabled": "true or false",
}


def read_servers(tables: object, environ: Mapping[str, str], folder: Path) -> tuple[McpServer, ...]:
    """The servers, by name; a relative `cwd` begins at `folder`. Raises BadMcpServer."""
    if not isinstance(tables, dict):
        raise BadMcpServer("mcp_servers is no table: write [mcp_servers.NAME].")
    servers = [_read_server(name, tables[name], environ, folder) for name in sorted(tables)]
    _check_names(servers)
    return tuple(servers)


def _read_server(name: str, table: object, environ: Mapping[str, str], folder: Path) -> McpServer:
    if not _NAME.fullmatch(name):
        raise BadMcpServer(
            f"mcp_servers has the name {_plain(name)!r}: give 1 to 32 letters, digits, _ or -."
        )
    where = f"mcp_servers.{name}"
    if not isinstance(table, dict):
        raise BadMcpServer(f"{where} is no table: write [{where}].")
    written = _convert(where, table)
    _check(where, written)
    server = McpServer(
        name=name,
        command=written.command,
        args=written.args,
        env=written.env,
        cwd=_folder(where, written.cwd, folder) if written.cwd else None,
        url=written.url,
        headers=written.headers,
        approval=written.approval,
        tools=written.tools,
        enabled=written.enabled,
    )
    if not server.enabled:  # its variables need not be there
        return server
    return msgspec.structs.replace(
        server,
        env=_filled(f"{where}.env", written.env, environ),
        headers=_filled_headers(f"{where}.headers", written.headers, environ),
        variables=_secrets([*written.env.values(), *written.headers.values()], environ),
    )


def _convert(where: str, table: dict[str, Any]) -> _Table:
    for field, value in table.items():
        if field not in _EXPECTED:
            known = ", ".join(_EXPECTED)
            raise BadMcpServer(f"{where}.{_plain(field)} is no setting: give {known}.")
        try:
            msgspec.convert({field: value}, _Table)
        except msgspec.ValidationError:
            raise _cannot(f"{where}.{field}", _EXPECTED[field]) from None  # it may quote a secret
    return msgspec.convert(table, _Table)


def _check(where: str, table: _Table) -> None:
    """What the types cannot tell."""
    if bool(table.command) == bool(table.url):
        raise BadMcpServer(f"{where} must have either a command or a url.")
    foreign = ("headers",) if table.command else ("args", "env", "cwd")
    for field in foreign:
        if getattr(table, field):
            kind = "command" if table.command else "url"
            raise BadMcpServer(f"{where} has a {kind}, so {field} means nothing: remove it.")
    for text in (table.command, *table.args, table.cwd, *table.env, *table.env.values()):
        if "\0" in text:
            raise BadMcpServer(f"{where} has a text with NUL in it: remove that.")
    if not all(name and "=" not in name for name in table.env):
        raise _cannot(f"{where}.env", "names without =")
    if not all(_HEADER.fullmatch(name) for name in table.headers):
        raise _cannot(f"{where}.headers", "header names of letters, digits and -")
    if table.url and not _is_address(table.url):
        raise _cannot(f"{where}.url", _EXPECTED["url"])


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    plain = url.isascii() and url.isprintable() and " " not in url and "@" not in parts.netloc
    scheme = parts.scheme in {"http", "https"}
    return plain and scheme and bool(parts.hostname) and port != 0 and "#" not in url


def _folder(where: str, written: str, folder: Path) -> Path:
    try:
        return folder / Path(written).expanduser()
    except RuntimeError:
        raise _cannot(f"{where}.cwd", "a path: ~ has no home here") from None


def _filled(where: str, values: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """`values` with `${NAME}` replaced."""

    def replace(found: re.Match[str]) -> str:
        if found[1] not in environ:
            raise BadMcpServer(f"{where} names the variable {found[1]}, which is not set: set it.")
        return environ[found[1]]

    return {name: _VARIABLE.sub(replace, value) for name, value in values.items()}


def _secrets(values: Sequence[str], environ: Mapping[str, str]) -> tuple[str, ...]:
    """What of the environment is put into `values`, as it is and as JSON spells it.

    A short text is no key.
    """
    named = {environ[name] for value in values for name in _VARIABLE.findall(value)}
    spelt = {
        spelling
        for one in named
        if len(one) >= SHORTEST_KEY
        for spelling in (one, json.dumps(one)[1:-1], json.dumps(one, ensure_ascii=False)[1:-1])
    }
    return tuple(sorted(spelt))


def _filled_headers(
    where: str, values: Mapping[str, str], environ: Mapping[str, str]
) -> dict[str, str]:
    filled = _filled(where, values, environ)
    if not all(value.isascii() and value.isprintable() for value in filled.values()):
        raise _cannot(where, "values of one line in ASCII")
    return filled


def _check_names(servers: list[McpServer]) -> None:
    """Refuse names by which two servers' tools could be taken for one another.

    A tool is called `NAME__tool`. Were there a server `a` with the tool `b__c` beside a server
    `a__b` with the tool `c`, both would be `a__b__c`, and an approval of one would be of both.
    """
    prefixes = {f"{server.name}__": server.name for server in servers}
    for prefix, name in prefixes.items():
        for other, second in prefixes.items():
            if name != second and other.startswith(prefix):
                raise BadMcpServer(
                    f"mcp_servers.{name} and mcp_servers.{second} could give two tools one name: "
                    "rename one."
                )


def _cannot(where: str, expected: str) -> BadMcpServer:
    return BadMcpServer(f"{where} has a value that cannot be used: give {expected}.")


def _plain(text: str) -> str:
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return plain if len(plain) <= _LONGEST_SHOWN else f"{plain[:_LONGEST_SHOWN]}…"
