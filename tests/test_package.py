"""What is published: the wheel and the sdist hold what they should, and tools accept them."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import pytest

from tests.pythons import promised

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
SECONDS = 120.0

ROOMS = {"agentspace", "protocol", "actors", "gateway"}
BESIDE = {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "PKG-INFO", ".gitignore"}
"""What the sdist has beside the packages; hatchling adds the last two by itself."""

STRICT = """
from agentspace.embed import GatewaySettings, supervised
from agentspace.messages import ChatSend

async def main() -> str:
    settings: GatewaySettings = {"port": 0}
    async with supervised(settings=settings) as gateway:
        return gateway.url + ChatSend(id="1", content="Hello").id
"""


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """What a command prints; it has to succeed."""
    done = subprocess.run(
        command,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def built() -> Iterator[Path]:
    """A folder with the sdist and the wheel of this checkout."""
    with TemporaryDirectory(prefix="package-") as folder:
        run(BIN / "hatchling", "build", "-d", folder)
        yield Path(folder)


def only(folder: Path, pattern: str) -> Path:
    """The one file of this pattern."""
    (found,) = folder.glob(pattern)
    return found


def test_the_sdist_holds_the_packages_and_nothing_of_the_workshop(built: Path) -> None:
    """No caches, no tests, no scripts: what a wheel is made of, and what is to be read."""
    with tarfile.open(only(built, "*.tar.gz")) as archive:
        files = [PurePosixPath(*PurePosixPath(name).parts[1:]) for name in archive.getnames()]
    assert {file.parts[0] for file in files} == ROOMS | BESIDE
    assert {file.suffix for file in files if file.parts[0] in ROOMS} <= {
        ".py",
        ".ts",
        ".typed",
        ".msgpack",
        "",
    }


def test_a_wheel_from_the_sdist_is_the_wheel(built: Path, tmp_path: Path) -> None:
    """Byte for byte: whoever builds from source gets what is published."""
    with tarfile.open(only(built, "*.tar.gz")) as archive:
        for member in archive:  # no `extractall`: its filters differ among Pythons
            content = archive.extractfile(member)
            assert content is not None
            file = tmp_path / member.name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.read())
    source = only(tmp_path, "agentspace*")
    run(BIN / "hatchling", "build", "-t", "wheel", "-d", tmp_path, cwd=source)
    wheel = only(built, "*.whl")
    assert only(tmp_path, "*.whl").read_bytes() == wheel.read_bytes()


def test_the_wheel_says_what_it_is(built: Path) -> None:
    """Licence, Pythons and types are told where tools look for them."""
    with zipfile.ZipFile(only(built, "*.whl")) as wheel:
        names = set(wheel.namelist())
        (told,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        metadata = message_from_bytes(wheel.read(told))
        (licence,) = [name for name in names if name.endswith("/licenses/LICENSE")]
        assert wheel.read(licence) == (ROOT / "LICENSE").read_bytes()
    assert {f"{room}/py.typed" for room in ROOMS} <= names
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == ROOMS
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert metadata.get_all("Classifier") == sorted(project["classifiers"])
    assert {(3, 11), (3, 12), (3, 13), (3, 14)} == promised()


def test_an_index_would_take_it(built: Path) -> None:
    """`twine check --strict` finds nothing to say against either file."""
    said = run(BIN / "twine", "check", "--strict", only(built, "*.whl"), only(built, "*.tar.gz"))
    assert said.count("PASSED") == 2


def test_a_program_that_imports_it_is_type_checked(built: Path, tmp_path: Path) -> None:
    """mypy, strict, finds the types of an installed wheel, and no fault with them."""
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv")
    site = only(tmp_path, "venv/lib/python*/site-packages")
    with zipfile.ZipFile(only(built, "*.whl")) as wheel:
        wheel.extractall(site)
    libraries = only(BIN.parent, "lib/python*/site-packages")
    (site / "libraries.pth").write_text(str(libraries))
    program = tmp_path / "program.py"
    program.write_text(STRICT)
    python = tmp_path / "venv" / "bin" / "python"
    mypy = (BIN / "mypy", "--strict", "--python-executable", python, "--cache-dir", tmp_path)
    assert "no issues" in run(*mypy, program, cwd=tmp_path)
    program.write_text(STRICT.replace("gateway.url", "gateway.address"))
    with pytest.raises(AssertionError, match='has no attribute "address"'):
        run(*mypy, program, cwd=tmp_path)
