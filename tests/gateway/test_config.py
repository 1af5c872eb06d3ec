"""Where settings come from, and how a bad one is refused."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentspace.loopback import is_loopback
from gateway.config import ConfigError, Settings, load_settings, read_configuration
from gateway.settings import SETTINGS
from protocol.client import ServerToolOptions


def refused(tmp_path: Path, *, env: dict[str, str] | None = None, **flags: object) -> str:
    with pytest.raises(ConfigError) as caught:
        load_settings(flags, env or {}, tmp_path)
    return str(caught.value)


def test_without_anything_given_the_defaults_are_in_force(tmp_path: Path) -> None:
    """No flag, no variable, no file: the defaults, and they pass their own checks."""
    settings = load_settings({}, {}, tmp_path)
    assert settings == Settings()
    given = {name: value for name, value in msgspec.structs.asdict(settings).items() if value}
    assert load_settings(given, {}, tmp_path) == settings


def test_a_flag_wins_over_a_variable_over_the_file_over_the_default(tmp_path: Path) -> None:
    """Four sources, in this order."""
    (tmp_path / "config.toml").write_text('port = 1\nask_seconds = 1\nlog_level = "debug"\n')
    environ = {"AGENTSPACE_PORT": "2", "AGENTSPACE_ASK_SECONDS": "2.5"}
    settings = load_settings({"port": 3}, environ, tmp_path)
    assert (settings.port, settings.ask_seconds, settings.log_level) == (3, 2.5, "debug")
    assert settings.write_seconds == Settings().write_seconds


def test_what_is_none_or_empty_is_not_given(tmp_path: Path) -> None:
    """Click hands over None and (); an empty variable means no more than an absent one."""
    flags: dict[str, object] = {"port": None, "allowed_origins": ()}
    environ = {"AGENTSPACE_TOKEN": "", "AGENTSPACE_ALLOWED_ORIGINS": "https://a.example"}
    settings = load_settings(flags, environ, tmp_path)
    assert settings == msgspec.structs.replace(Settings(), allowed_origins=("https://a.example",))


def test_a_false_or_zero_flag_is_given(tmp_path: Path) -> None:
    """False and 0 are values."""
    settings = load_settings({"response_format": False, "port": 0}, {}, tmp_path)
    assert (settings.response_format, settings.port) == (False, 0)


def test_the_config_folder_comes_from_its_variable(tmp_path: Path) -> None:
    """AGENTSPACE_CONFIG_DIR names the folder of config.toml."""
    (tmp_path / "config.toml").write_text("port = 9")
    assert load_settings({}, {"AGENTSPACE_CONFIG_DIR": str(tmp_path)}).port == 9


def test_the_config_folder_is_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a folder named, the one that the platform has for it."""
    monkeypatch.setattr("platformdirs.user_config_path", lambda name: tmp_path / name)
    (tmp_path / "agentspace").mkdir()
    (tmp_path / "agentspace" / "config.toml").write_text("port = 9")
    assert load_settings({}, {}).port == 9


def test_relative_paths_begin_where_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The working folder for flags and variables, the config folder for the file."""
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "config.toml").write_text('api_key_file = "key"')
    monkeypatch.chdir(tmp_path)
    flags: dict[str, object] = {"data_dir": Path("data")}
    settings = load_settings(flags, {"AGENTSPACE_PRICES_FILE": "prices.toml"}, folder)
    assert settings.api_key_file == folder / "key"
    assert settings.data_dir == tmp_path / "data"
    assert settings.agents_dir == tmp_path / "data" / "agents"
    assert settings.prices_file == tmp_path / "prices.toml"


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`~/x` is expanded, in the file as in a variable."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "config.toml").write_text('data_dir = "~/x"')
    assert load_settings({}, {}, tmp_path).data_dir == tmp_path / "x"


def test_several_values_are_a_list_in_the_file_and_commas_elsewhere(tmp_path: Path) -> None:
    """TOML has lists, a variable has commas."""
    (tmp_path / "config.toml").write_text('allowed_hosts = ["a.example", "[::1]"]')
    environ = {"AGENTSPACE_ALLOWED_ORIGINS": "https://a.example, http://localhost:3000,"}
    settings = load_settings({}, environ, tmp_path)
    assert settings.allowed_hosts == ("a.example", "[::1]")
    assert settings.allowed_origins == ("https://a.example", "http://localhost:3000")


def test_words_may_be_in_capitals(tmp_path: Path) -> None:
    """AGENTSPACE_LOG_LEVEL=INFO is how many people write it."""
    environ = {"AGENTSPACE_LOG_LEVEL": "WARNING", "AGENTSPACE_STOP_ON_STDIN_EOF": "True"}
    settings = load_settings({}, environ, tmp_path)
    assert (settings.log_level, settings.stop_on_stdin_eof) == ("warning", True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "x"),
        ("port", -1),
        ("port", 65_536),
        ("port", True),
        ("port", 1.5),
        ("drain_seconds", "nan"),
        ("drain_seconds", "inf"),
        ("drain_seconds", float("nan")),
        ("drain_seconds", 0),
        ("drain_seconds", [1]),
        ("drain_seconds", 86_401),
        ("retry_attempts", 11),
        ("max_message_bytes", 0),
        ("thinking_budget", 1_023),
        ("response_format", "maybe"),
        ("auth", "password"),
        ("log_format", "xml"),
        ("host", "a b"),
        ("default_model", "a model"),
        ("default_model", "model\n"),
        ("default_model", 5),
        ("system_prompt", "\udcff"),
        ("system_prompt", "a\0b"),
        ("data_dir", 5),
        ("data_dir", "a\0b"),
        ("allowed_origins", "*"),
        ("allowed_origins", "null"),
        ("allowed_origins", "https://a.example/"),
        ("allowed_origins", "https://A.example"),
        ("allowed_origins", ["https://a.example\n"]),
        ("allowed_hosts", "a.example:80"),
        ("anthropic_base_url", "api.example"),
        ("anthropic_base_url", "ftp://api.example"),
        ("anthropic_base_url", "https://"),
        ("anthropic_base_url", "https://api.example:99999"),
        ("anthropic_base_url", "https://user@api.example"),
        ("anthropic_base_url", "https://api.example?"),
        ("anthropic_base_url", "https://[::1"),
    ],
)
def test_a_bad_value_is_refused_in_one_line(tmp_path: Path, name: str, value: object) -> None:
    """The line names the setting, where the value came from, and what to give instead."""
    flags: dict[str, Any] = {name: value}
    line = refused(tmp_path, **flags)
    assert line.startswith(f"{name} (from --{name.replace('_', '-')}) ")
    assert line.endswith(f": give {SETTINGS[name].expects}.")
    assert line.isprintable()


def test_the_refusal_names_the_variable(tmp_path: Path) -> None:
    """A variable is named as it is spelled."""
    line = refused(tmp_path, env={"AGENTSPACE_PORT": "http"})
    expected = "port (from AGENTSPACE_PORT) is 'http': give a whole number from 0 to 65535."
    assert line == expected


def test_the_refusal_names_the_file(tmp_path: Path) -> None:
    """A value of config.toml is looked for there."""
    file = tmp_path / "config.toml"
    file.write_text("write_seconds = -1")
    assert f"(from {file}) is -1" in refused(tmp_path)


def test_a_long_bad_value_is_cut(tmp_path: Path) -> None:
    """Nobody wants a page of it."""
    assert len(refused(tmp_path, port="9" * 10_000)) < 200


@pytest.mark.parametrize("name", ["token", "anthropic_base_url"])
def test_a_bad_secret_is_never_echoed(tmp_path: Path, name: str) -> None:
    """Neither in the line nor in the exception's chain."""
    with pytest.raises(ConfigError) as caught:
        load_settings({name: "my secret"}, {}, tmp_path)
    assert "my secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_the_settings_repr_hides_the_token() -> None:
    """Settings may be logged."""
    shown = repr(Settings(token="0123456789abcdef"))
    assert "0123456789abcdef" not in shown
    assert "token='…'" in shown
    assert "port=3271" in shown


@pytest.mark.parametrize(
    ("key", "near"),
    [("prot", "port"), ("max_conections", "max_connections"), ("anthropic_api_key", None)],
)
def test_an_unknown_key_names_the_nearest_known_one(
    tmp_path: Path, key: str, near: str | None
) -> None:
    """A misspelled key is an error, or it would be silently without effect."""
    (tmp_path / "config.toml").write_text(f"{key} = 1")
    line = refused(tmp_path)
    assert line.startswith(f"{key} (from {tmp_path / 'config.toml'}) is no setting: ")
    assert near is None or line.endswith(f"did you mean {near}?")


def test_a_key_like_nothing_is_to_be_removed(tmp_path: Path) -> None:
    """Where nothing is near, nothing is suggested."""
    (tmp_path / "config.toml").write_text("zzz = 1")
    assert refused(tmp_path).endswith("remove it.")


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path: Path) -> None:
    """Some editors begin every file with one."""
    (tmp_path / "config.toml").write_bytes(b"\xef\xbb\xbfport = 9\n")
    assert load_settings({}, {}, tmp_path).port == 9


def test_a_file_in_another_encoding_is_to_be_saved_as_utf_8(tmp_path: Path) -> None:
    """PowerShell's `>` writes UTF-16."""
    (tmp_path / "config.toml").write_bytes("port = 9".encode("utf-16"))
    assert refused(tmp_path).endswith("is not TOML: it is not UTF-8. Save it as UTF-8.")


def test_the_source_of_each_value_is_known(tmp_path: Path) -> None:
    """A flag, a variable, or the file; a default has none."""
    file = tmp_path / "config.toml"
    file.write_text("port = 1\nask_seconds = 1\n")
    environ = {"AGENTSPACE_PORT": "2", "AGENTSPACE_LOG_LEVEL": "debug"}
    configuration = read_configuration({"log_level": "error"}, environ, tmp_path)
    assert configuration.sources == {
        "port": "AGENTSPACE_PORT",
        "ask_seconds": str(file),
        "log_level": "--log-level",
    }
    assert configuration.file == file


@pytest.mark.parametrize(
    "content", [b"port = ", b"\xff", b"port = 1\nport = 2", b"x = " + b"[" * 9_999]
)
def test_a_file_that_is_not_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    """In one line that names the file."""
    (tmp_path / "config.toml").write_bytes(content)
    line = refused(tmp_path)
    assert line.startswith(f"{tmp_path / 'config.toml'} is not TOML: ")
    assert line.isprintable()


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """A folder in its place, say."""
    (tmp_path / "config.toml").mkdir()
    assert "cannot be read" in refused(tmp_path)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "gateway.example", "::"])
def test_no_authentication_only_on_loopback(tmp_path: Path, host: str) -> None:
    """Whoever can reach the host would spend the owner's money."""
    line = refused(tmp_path, env={"AGENTSPACE_HOST": host}, auth="none")
    assert "auth (from --auth)" in line
    assert "host (from AGENTSPACE_HOST)" in line


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost"])
def test_no_authentication_is_possible_on_loopback(tmp_path: Path, host: str) -> None:
    """Every address of the loopback network counts."""
    assert is_loopback(host)
    assert load_settings({"auth": "none", "host": host}, {}, tmp_path).auth == "none"


def test_the_default_page_is_no_longer_than_the_longest(tmp_path: Path) -> None:
    """Two settings that contradict each other are both named."""
    line = refused(tmp_path, list_limit_max=10)
    assert "list_limit_default (from the default) is 50" in line
    assert "list_limit_max (from --list-limit-max), 10" in line


def test_a_flag_that_is_no_setting_is_a_bug(tmp_path: Path) -> None:
    """The command line's own mistake is not the user's."""
    with pytest.raises(TypeError, match="prot"):
        load_settings({"prot": 1}, {}, tmp_path)


@given(name=st.sampled_from(sorted(SETTINGS)), value=st.text(min_size=1))
def test_any_text_in_a_variable_is_a_value_or_one_line(name: str, value: str) -> None:
    """Whatever somebody writes: settings, or a ConfigError of one printable line."""
    line = ""
    try:
        load_settings({}, {f"AGENTSPACE_{name.upper()}": value}, Path("/nowhere"))
    except ConfigError as error:
        line = str(error)
    assert line.isprintable()


def test_the_providers_tools_may_have_options_in_the_file(tmp_path: Path) -> None:
    """As a client names them; what the provider would refuse is refused at the start."""
    text = 'server_tools = ["web_fetch", {name = "web_search", maxUses = 3}]'
    (tmp_path / "config.toml").write_text(text)
    fetch, search = load_settings({}, {}, tmp_path).server_tools
    assert fetch == "web_fetch"
    assert search == ServerToolOptions(name="web_search", max_uses=3)
    (tmp_path / "config.toml").write_text('server_tools = [{name = "code_execution", maxUses = 3}]')
    with pytest.raises(ConfigError, match="server_tools"):
        load_settings({}, {}, tmp_path)
