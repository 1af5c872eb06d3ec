"""Settings as flags, variables and a file, from outside."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from gateway.cli.main import agentspace
from gateway.settings import SETTINGS
from tests.shell import run, serving


def test_the_help_has_every_setting_with_its_variable_and_default(tmp_path: Path) -> None:
    """From the one definition, in the sections that it has there."""
    done = run(tmp_path, "serve", "--help", COLUMNS="80")
    shown = " ".join(done.stdout.split())
    unbroken = shown.replace("- ", "-")
    assert done.returncode == 0
    for setting in SETTINGS.values():
        assert f"{setting.flag} " in shown
        extra = f"[env var: {setting.variable}; default: {setting.default or 'not set'}]"
        assert extra in shown or extra.replace("- ", "-") in unbroken
        assert f"{setting.section}: " in shown
    assert max(len(line) for line in done.stdout.splitlines()) <= 80


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (("--allowed-origins", "https://a.example,*"), "'https://a.example,*'"),
        (("--allowed-origins", "https://a.example", "--allowed-origins", "*"), ",*"),
        (("--drain-seconds", "-1"), "drain_seconds (from --drain-seconds) is '-1'"),
        (("--log-level", "loud"), "give debug, info, warning or error."),
        (("--turn-seconds", "soon"), "turn_seconds (from --turn-seconds)"),
        (("--max-steps", ""), "max_steps (from --max-steps) is ''"),
    ],
)
def test_a_bad_flag_is_one_line_and_exit_2(
    tmp_path: Path, arguments: tuple[str, ...], value: str
) -> None:
    """With the words that a variable or the file would get."""
    done = run(tmp_path, "serve", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert value in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_bad_token_on_the_command_line_is_not_echoed(tmp_path: Path) -> None:
    """It may be a good one of somewhere else."""
    done = run(tmp_path, "serve", "--token", "my secret")
    assert done.returncode == 2
    assert "my secret" not in done.stderr


def test_a_pod_next_to_a_service_of_its_own_name_starts(tmp_path: Path) -> None:
    """The port of config.toml holds, and the log names the variable and the switch."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.toml").write_bytes(b"\xef\xbb\xbfport = 0\n")
    links = {
        "AGENTSPACE_PORT": "tcp://10.0.0.1:3271",
        "AGENTSPACE_SERVICE_HOST": "10.0.0.1",
        "AGENTSPACE_VERSION": "7",
    }
    with serving(tmp_path, **links) as gateway:
        assert not gateway.url.endswith(":3271/gateway")
        assert gateway.stop() == 0
    warnings = [line for line in gateway.log.splitlines() if "WARNING" in line]
    assert any("AGENTSPACE_PORT (and 1 more" in line for line in warnings)
    assert any("enableServiceLinks: false" in line for line in warnings)
    assert any("AGENTSPACE_VERSION is no setting" in line for line in warnings)


def test_a_misspelt_variable_is_one_line_and_exit_2(tmp_path: Path) -> None:
    """For `serve` and for the commands that ask a gateway."""
    for command in ("serve", "status"):
        done = run(tmp_path, command, AGENTSPACE_ALOWED_HOSTS="a.example")
        assert done.returncode == 2
        assert done.stderr == (
            "agentspace: AGENTSPACE_ALOWED_HOSTS is no setting: did you mean "
            "AGENTSPACE_ALLOWED_HOSTS? Correct it, or remove it.\n"
        )


def test_the_words_of_a_setting_are_completed() -> None:
    """What the shell offers after `--log-level`."""
    complete = ShellComplete(agentspace, {}, "agentspace", "_AGENTSPACE_COMPLETE")
    offered = complete.get_completions(["serve", "--log-level"], "de")
    assert [item.value for item in offered] == ["debug"]
    flags = complete.get_completions(["serve"], "--llm-idle")
    assert [item.value for item in flags] == ["--llm-idle-seconds"]
