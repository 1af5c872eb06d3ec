"""`agentspace config`: whether the settings can be used, and which are in force."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.settings import SETTINGS
from tests.shell import call, run

PRICES = "[a-model]\ninput = 1\noutput = 2\n"


def configure(folder: Path, text: str) -> Path:
    """Write config.toml, and name it."""
    file = folder / "config" / "config.toml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return file


def test_a_good_configuration_is_a_line_for_each_source_and_exit_0(tmp_path: Path) -> None:
    """The file, the variables, and each file that a setting names."""
    file = configure(
        tmp_path,
        'prices_file = "prices.toml"\napi_key_file = "key"\n[models.m]\nlike = "claude-opus-5-5"\n',
    )
    (file.parent / "prices.toml").write_text(PRICES)
    key = file.parent / "key"
    key.write_text("sk-secret\n")
    key.chmod(0o600)
    done = run(tmp_path, "config", "check", AGENTSPACE_MAX_STEPS="3", COLUMNS="300")
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert all(line.startswith("ok ") for line in lines)
    assert f"{file}: 2 settings in force, 0 MCP servers, 1 models." in done.stdout
    assert "AGENTSPACE_MAX_STEPS" in done.stdout
    for name in ("prices file", "key file", "token", "network", "data folder"):
        assert f"ok  {name} " in done.stdout
    assert "there is none yet: the first start makes it." in done.stdout
    assert "is made by the first start." in done.stdout
    assert not (tmp_path / "data").exists()
    assert "sk-secret" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("text", "variables", "line"),
    [
        ("prot = 1", {}, "did you mean port?"),
        ("port = ", {}, "is not TOML"),
        ('prices_file = "none.toml"', {}, "none.toml cannot be read"),
        ('prices_file = "config.toml"', {}, "is no price file"),
        ('api_key_file = "none"', {}, "The key file"),
        ("[mcp_servers.a]\n", {}, "mcp_servers.a must have either a command or a url."),
        ("", {"AGENTSPACE_PORT": "x"}, "port (from AGENTSPACE_PORT) is 'x'"),
        ("", {"AGENTSPACE_PROT": "1"}, "did you mean AGENTSPACE_PORT?"),
        ("", {"HTTPS_PROXY": "socks://h"}, "HTTPS_PROXY is no proxy"),
        ("", {"SSL_CERT_FILE": "/none"}, "SSL_CERT_FILE names /none"),
        ("", {"AGENTSPACE_DATA_DIR": "/proc/none"}, "data folder /proc/none cannot be made"),
    ],
)
def test_what_cannot_be_used_is_told_and_exit_2(
    tmp_path: Path, text: str, variables: dict[str, str], line: str
) -> None:
    """In the words of a start; all the rest is looked at as well."""
    configure(tmp_path, text)
    done = call(tmp_path, "config", "check", **{"COLUMNS": "300", **variables})
    assert done.returncode == 2
    (failed,) = (one for one in done.stdout.splitlines() if one.startswith("fail"))
    assert line in failed
    as_json = call(tmp_path, "config", "check", "--json", **variables)
    assert as_json.returncode == 2
    assert [check["state"] for check in json.loads(as_json.stdout)].count("fail") == 1


def test_a_folder_that_a_flag_names_is_the_one_that_is_looked_at(tmp_path: Path) -> None:
    """Its token is told by its place, and one that others can look into is a warning."""
    (tmp_path / "data").touch()
    other = tmp_path / "other"
    other.mkdir()
    other.chmod(0o755)
    (other / "token").write_text("a-token-of-some-length\n")
    done = call(tmp_path, "config", "check", "--data-dir", str(other), COLUMNS="300")
    assert done.returncode == 0
    assert f"in {other / 'token'}." in done.stdout
    assert f"chmod 700 {other}" in done.stdout
    told = json.loads(call(tmp_path, "config", "show", "--json", "--data-dir", str(other)).stdout)
    assert told["settings"]["data_dir"] == {"value": str(other), "source": "--data-dir"}


def test_a_service_link_is_a_warning(tmp_path: Path) -> None:
    """It is harmless, and exit 0."""
    done = call(tmp_path, "config", "check", AGENTSPACE_PORT="tcp://10.0.0.1:3271", COLUMNS="300")
    assert done.returncode == 0
    assert "warn  variable" in done.stdout
    assert "enableServiceLinks: false" in done.stdout


def test_every_setting_is_shown_with_its_value_and_source(tmp_path: Path) -> None:
    """Those of the file, of a variable and of the defaults; a secret is hidden."""
    file = configure(tmp_path, 'token = "a-secret-of-the-file"\nturn_seconds = 60\n')
    variables = {"AGENTSPACE_ALLOWED_HOSTS": "a.example,b.example", "COLUMNS": "200"}
    shown = call(tmp_path, "config", "show", **variables)
    assert (shown.returncode, shown.stderr) == (0, "")
    rows = {row.split()[0]: row.split() for row in shown.stdout.splitlines() if row.strip()}
    assert rows["turn_seconds"][1:] == ["60", str(file)]
    assert rows["token"][1:] == ["…", str(file)]
    assert rows["allowed_hosts"][1:] == ["a.example,", "b.example", "AGENTSPACE_ALLOWED_HOSTS"]
    assert rows["response_format"][1:] == ["true", "default"]
    assert rows.keys() >= SETTINGS.keys()
    told = json.loads(call(tmp_path, "config", "show", "--json", **variables).stdout)
    assert list(told["settings"]) == list(SETTINGS)
    assert told["file"] == str(file)
    assert told["settings"]["turn_seconds"] == {"value": 60, "source": str(file)}
    assert told["settings"]["port"] == {"value": 3271, "source": "default"}
    assert told["settings"]["allowed_hosts"]["value"] == ["a.example", "b.example"]
    assert "a-secret" not in shown.stdout + json.dumps(told)
