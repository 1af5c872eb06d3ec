"""What is generated from the schema is not stale."""

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    loader = SourceFileLoader("generate_types", str(ROOT / "scripts" / "generate_types"))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_the_file_is_not_stale(script: ModuleType) -> None:
    """If it is: scripts/generate_types."""
    assert script.main(["--check"]) == 0


def test_a_stale_file_is_written_anew(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless it is only to be checked."""
    current = script.MESSAGES.read_text("utf-8")
    stale = tmp_path / "messages.py"
    stale.write_text("old")
    monkeypatch.setattr(script, "ROOT", tmp_path)
    monkeypatch.setattr(script, "MESSAGES", stale)
    monkeypatch.setattr(script, "python_types", lambda: current)
    assert script.main(["--check"]) == 1
    assert stale.read_text() == "old"
    assert script.main([]) == 0
    assert stale.read_text("utf-8") == current
