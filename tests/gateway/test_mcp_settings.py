"""The tables of MCP servers in config.toml, and how a bad one is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import ConfigError, load_settings
from gateway.mcp.settings import McpServer

SECRET = "hunter2"


def load(folder: Path, text: str, **environ: str) -> tuple[McpServer, ...]:
    (folder / "config.toml").write_text(text)
    return load_settings({}, environ, folder).mcp_servers


def refused(folder: Path, text: str, **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, text, **environ)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return str(caught.value)


def test_servers_are_tables_of_the_file(tmp_path: Path) -> None:
    """A command or an address, by name; `cwd` begins at the file's folder."""
    first, second = load(
        tmp_path,
        """
        [mcp_servers.time]
        command = "mcp-server-time"
        args = ["--local-timezone", "UTC"]
        cwd = "work"
        approval = "auto"
        [mcp_servers.time.tools]
        convert_time = "always"
        [mcp_servers.far]
        url = "https://mcp.example/mcp?tenant=7"
        headers = {Authorization = "Bearer x"}
        """,
    )[::-1]
    assert (first.name, first.command, first.args) == (
        "time",
        "mcp-server-time",
        ("--local-timezone", "UTC"),
    )
    assert first.cwd == tmp_path / "work"
    assert (first.approval_of("convert_time"), first.approval_of("other")) == ("always", "auto")
    assert (second.name, second.url) == ("far", "https://mcp.example/mcp?tenant=7")
    assert second.headers == {"Authorization": "Bearer x"}
    assert second.approval_of("anything") == "session"
    assert second.enabled


def test_no_table_is_no_server(tmp_path: Path) -> None:
    """And no mistake."""
    assert load(tmp_path, "port = 0") == ()


def test_secrets_may_come_from_the_environment(tmp_path: Path) -> None:
    """`${NAME}` in `env` and `headers`, replaced once, and nowhere else."""
    far, near = load(
        tmp_path,
        """
        [mcp_servers.far]
        url = "https://mcp.example"
        headers = {Authorization = "Bearer ${KEY}"}
        [mcp_servers.near]
        command = "${KEY}"
        args = ["${KEY}"]
        env = {A = "${KEY}${KEY}", B = "$KEY ${} $${KEY"}
        """,
        KEY="${KEY}" + SECRET,
    )
    assert far.headers == {"Authorization": "Bearer ${KEY}" + SECRET}
    assert (near.command, near.args) == ("${KEY}", ("${KEY}",))
    assert near.env == {"A": ("${KEY}" + SECRET) * 2, "B": "$KEY ${} $${KEY"}
    assert far.variables == near.variables == ("${KEY}" + SECRET,)


def test_a_disabled_server_needs_no_variable(tmp_path: Path) -> None:
    """Its table is still held to the rules."""
    text = '[mcp_servers.a]\ncommand = "x"\nenabled = false\nenv = {A = "${KEY}"}\n'
    (server,) = load(tmp_path, text)
    assert not server.enabled
    refused(tmp_path, text + "args = 5")


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    """Settings may be logged."""
    text = f"""
        [mcp_servers.a]
        command = "x"
        args = ["{SECRET}"]
        env = {{KEY = "{SECRET}"}}
        [mcp_servers.b]
        url = "http://127.0.0.1/?key={SECRET}"
        headers = {{KEY = "{SECRET}"}}
        """
    (tmp_path / "config.toml").write_text(text)
    settings = load_settings({}, {}, tmp_path)
    assert SECRET not in repr(settings)
    assert SECRET not in repr(settings.mcp_servers)
    assert "McpServer(name='a'" in repr(settings)
    assert [server.secrets for server in settings.mcp_servers] == [(SECRET,), (SECRET,)]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("mcp_servers = 5", "mcp_servers is no table: write [mcp_servers.NAME]."),
        ("mcp_servers.a = 5", "mcp_servers.a is no table: write [mcp_servers.a]."),
        (
            '[mcp_servers."a b"]\ncommand = "x"',
            "mcp_servers has the name 'a b': give 1 to 32 letters, digits, _ or -.",
        ),
        ("[mcp_servers.a]", "mcp_servers.a must have either a command or a url."),
        (
            '[mcp_servers.a]\ncommand = "x"\nurl = "http://x"',
            "mcp_servers.a must have either a command or a url.",
        ),
        (
            '[mcp_servers.a]\nurl = "http://x"\nargs = ["x"]',
            "mcp_servers.a has a url, so args means nothing: remove it.",
        ),
        (
            '[mcp_servers.a]\ncommand = "x"\nheaders = {A = "x"}',
            "mcp_servers.a has a command, so headers means nothing: remove it.",
        ),
        (
            '[mcp_servers.a]\ncomand = "x"',
            (
                "mcp_servers.a.comand is no setting: give command, args, env, cwd, url, headers, "
                "approval, tools, enabled."
            ),
        ),
        (
            '[mcp_servers.a]\ncommand = "x"\napproval = "never"',
            "mcp_servers.a.approval has a value that cannot be used: give auto, session or always.",
        ),
        (
            '[mcp_servers.a]\ncommand = "x"\ntools = {b = 1}',
            (
                "mcp_servers.a.tools has a value that cannot be used: give a table of auto, "
                "session or always."
            ),
        ),
        (
            f'[mcp_servers.a]\ncommand = "x"\nenv = ["{SECRET}"]',
            "mcp_servers.a.env has a value that cannot be used: give a table of texts.",
        ),
        (
            f'[mcp_servers.a]\ncommand = "x"\nenv = {{"A=B" = "{SECRET}"}}',
            "mcp_servers.a.env has a value that cannot be used: give names without =.",
        ),
        (
            f'[mcp_servers.a]\ncommand = "x"\nenv = {{A = "{SECRET}\\u0000"}}',
            "mcp_servers.a has a text with NUL in it: remove that.",
        ),
        (
            f'[mcp_servers.a]\nurl = "http://x"\nheaders = {{A = "{SECRET}\\n"}}',
            (
                "mcp_servers.a.headers has a value that cannot be used: give values of one line in "
                "ASCII."
            ),
        ),
        (
            f'[mcp_servers.a]\nurl = "http://x"\nheaders = {{"A:" = "{SECRET}"}}',
            (
                "mcp_servers.a.headers has a value that cannot be used: give header names of "
                "letters, digits and -."
            ),
        ),
        (
            '[mcp_servers.a]\ncommand = "x"\nenv = {A = "${KEY}"}',
            "mcp_servers.a.env names the variable KEY, which is not set: set it.",
        ),
        *[
            (
                f'[mcp_servers.a]\nurl = "{url}"',
                (
                    "mcp_servers.a.url has a value that cannot be used: give an http:// or "
                    "https:// address without user or #."
                ),
            )
            for url in (
                "x",
                "ftp://x",
                "http://",
                f"http://u:{SECRET}@x",
                "http://x:99999",
                "http://[",
            )
        ],
        (
            '[mcp_servers.a]\ncommand = "x"\n[mcp_servers.a__b]\ncommand = "x"',
            "mcp_servers.a and mcp_servers.a__b could give two tools one name: rename one.",
        ),
        (
            '[mcp_servers.a]\ncommand = "x"\n[mcp_servers.a_]\ncommand = "x"',
            "mcp_servers.a and mcp_servers.a_ could give two tools one name: rename one.",
        ),
    ],
)
def test_a_bad_table_is_refused_in_one_line(tmp_path: Path, text: str, line: str) -> None:
    """It names the table, what to give instead, and the file; never a value that may be secret."""
    shown = refused(tmp_path, text)
    assert shown == f"{line} (from {tmp_path / 'config.toml'})"
    assert SECRET not in shown


def test_a_misspelled_table_is_no_setting(tmp_path: Path) -> None:
    """The nearest name is suggested, as for any other."""
    line = refused(tmp_path, '[mcp_server.a]\ncommand = "x"')
    assert line.endswith("is no setting: did you mean mcp_servers?")
