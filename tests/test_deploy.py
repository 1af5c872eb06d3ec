"""What deploy/ has: a unit for systemd and a Dockerfile, as far as they can be tried by themselves.

No Docker engine is needed: the Dockerfile is read, its copies are made, and those of its commands
that build the package and look at its health are run.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit
from zipfile import ZipFile

import pytest
import trio

from gateway.settings import SETTINGS
from tests.test_process import SECONDS, serving
from tests.test_start import starting

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "agentspace.service"
DOCKERFILE = DEPLOY / "Dockerfile"
BUILD_SECONDS = 120
EXPOSURE = 2.0
"""Of 10, by systemd's own count; below 2 it says "OK"."""

OWN = {"AGENTSPACE_CONFIG_DIR"}
"""A variable that is no setting: it says where the settings are."""


def options() -> list[tuple[str, str]]:
    """The unit's lines."""
    lines = [line for line in UNIT.read_text().splitlines() if re.match(r"\w", line)]
    return [(name, value) for name, _, value in (line.partition("=") for line in lines)]


def option(name: str) -> str:
    """The only value of an option."""
    (value,) = (value for option, value in options() if option == name)
    return value


def stages() -> list[list[tuple[str, str]]]:
    """The Dockerfile's instructions, stage by stage; without those before the first."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.startswith("#")]
    found: list[list[tuple[str, str]]] = []
    for line in "\n".join(lines).replace("\\\n", "").splitlines():
        name, _, rest = line.partition(" ")
        if name == "FROM":
            found.append([])
        if found and name:
            found[-1].append((name, rest.strip()))
    return found


def instruction(name: str) -> str:
    """The last stage's only instruction of a name."""
    (rest,) = (rest for instruction, rest in stages()[-1] if instruction == name)
    return rest


def image_environment() -> dict[str, str]:
    """The variables that the image sets."""
    return dict(pair.split("=", 1) for pair in shlex.split(instruction("ENV")))


def are_known(variables: set[str]) -> bool:
    """Whether each of our variables is one that the gateway reads."""
    settings = {f"AGENTSPACE_{name.upper()}" for name in SETTINGS}
    return {name for name in variables if name.startswith("AGENTSPACE_")} <= settings | OWN


def test_the_unit_waits_until_the_gateway_serves_and_has_drained() -> None:
    """It tells the manager itself; a stop has the time that the default settings may take."""
    defaults = [SETTINGS[name].default for name in ("drain_seconds", "settle_seconds")]
    assert option("Type") == "notify"
    assert float(option("TimeoutStopSec")) > sum(map(float, defaults))
    assert option("KillMode") == "mixed"
    assert option("RestartPreventExitStatus").split() == ["2", "3"]


def test_the_unit_names_settings_that_exist_and_hands_the_key_over_as_a_credential() -> None:
    """No key stands in the unit, nor in the service's environment."""
    variables = dict(value.split("=", 1) for name, value in options() if name == "Environment")
    assert are_known(set(variables))
    credential, _, path = option("LoadCredential").partition(":")
    assert path.startswith("/etc/agentspace/")
    assert variables["AGENTSPACE_API_KEY_FILE"] == f"%d/{credential}"
    assert variables["AGENTSPACE_DATA_DIR"] == f"%S/{option('StateDirectory')}"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="this machine has no systemd")
def test_systemd_finds_no_fault_with_the_unit_and_little_that_it_may_do(tmp_path: Path) -> None:
    """`systemd-analyze verify` is silent, and `security` counts less than 2 of 10."""
    program = option("ExecStart").split()[0]
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace(program, sys.executable))
    seen = analyzed("verify", str(unit))
    assert (seen.returncode, seen.stdout, seen.stderr) == (0, "", "")
    seen = analyzed("security", "--offline=true", f"--threshold={EXPOSURE * 10:g}", str(unit))
    assert seen.returncode == 0, seen.stdout


def analyzed(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What systemd says of a unit."""
    return subprocess.run(
        ["systemd-analyze", *arguments],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def test_the_image_runs_as_nobody_in_particular() -> None:
    """By number, so that `runAsNonRoot` can tell; its data is on a volume."""
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", instruction("USER"))
    variables = image_environment()
    assert are_known(set(variables))
    assert json.loads(instruction("VOLUME")) == [variables["AGENTSPACE_DATA_DIR"]]
    assert instruction("EXPOSE") == variables["AGENTSPACE_PORT"]
    assert instruction("STOPSIGNAL") == "SIGTERM"
    assert json.loads(instruction("ENTRYPOINT")) == ["agentspace"]
    assert json.loads(instruction("CMD")) == ["serve"]


def test_nothing_but_a_locked_file_and_the_package_is_installed() -> None:
    """Every command is a list, without a shell; what comes from an index has a hash."""
    commands = [json.loads(rest) for stage in stages() for name, rest in stage if name == "RUN"]
    installs = [command for command in commands if command[:2] == ["pip", "install"]]
    assert all("--no-deps" in command for command in installs)
    assert all("--require-hashes" in one or "--no-index" in one for one in installs)


async def test_a_start_in_the_image_compiles_nothing(tmp_path: Path) -> None:
    """Whatever it loads of the standard library was imported when the image was built."""
    (code,) = (json.loads(rest)[2] for name, rest in stages()[-1] if name == "RUN" and "-c" in rest)
    told = await trio.run_process(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], capture_stdout=True
    )
    async with starting(tmp_path) as start:
        await start.line()
        await start.told("ready")
        modules = (await start.told("loaded"))["modules"]
    standard = {name for name in modules if name.partition(".")[0] in sys.stdlib_module_names}
    assert standard - set(told.stdout.decode().split()) <= {"__main__"}


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A folder of what the build stage copies."""
    folder = tmp_path / "src"
    folder.mkdir()
    for name, rest in stages()[0]:
        if name == "COPY":
            *sources, target = rest.split()
            for source in sources:
                copy(ROOT / source, folder / target)
    return folder


def copy(source: Path, target: Path) -> None:
    """As COPY does: a folder's content, or a file."""
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def test_what_the_image_is_built_of_makes_the_whole_package(context: Path) -> None:
    """The wheel of the copied files has every module and every data file of the repository."""
    (command,) = (
        json.loads(rest) for name, rest in stages()[0] if name == "RUN" and '"wheel"' in rest
    )
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=context,
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = (context / "dist").glob("*.whl")
    rooms = [path for path in context.iterdir() if (path / "__init__.py").exists()]
    expected = {
        str(path.relative_to(context))
        for room in rooms
        for path in room.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert expected <= set(ZipFile(wheel).namelist())
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert {f"!{path.name}" for path in context.iterdir() if path.name != "dist"} <= set(ignored)


def test_the_image_looks_at_its_own_health(tmp_path: Path) -> None:
    """The command of HEALTHCHECK ends with 0 while a gateway serves, without the proxy's help."""
    check = json.loads(instruction("HEALTHCHECK").partition("CMD ")[2])
    with serving(tmp_path) as (child, ready):
        address = urlsplit(str(ready["url"]))
        environ = {
            **os.environ,
            "AGENTSPACE_PORT": str(address.port),
            "http_proxy": "http://127.0.0.1:9",
        }
        assert check[0] == "python"
        command = [sys.executable, *check[1:]]
        assert subprocess.run(command, env=environ, timeout=SECONDS, check=False).returncode == 0
        child.kill()
        child.wait(SECONDS)
        done = subprocess.run(
            command, env=environ, capture_output=True, timeout=SECONDS, check=False
        )
        assert done.returncode == 1
