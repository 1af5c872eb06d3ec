"""docs/settings.md is drawn from the definition of the settings."""

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

from gateway.settings import SETTINGS

ROOT = Path(__file__).parent.parent


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    loader = SourceFileLoader("draw_settings", str(ROOT / "scripts" / "draw_settings"))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_the_page_is_not_stale(script: ModuleType) -> None:
    """If it is: scripts/draw_settings."""
    assert script.main(["--check"]) == 0


def test_every_setting_has_a_row(script: ModuleType) -> None:
    """Name, default, what it takes and what it is, below the title of its section."""
    page = script.drawn()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == list(SETTINGS)
    assert all(row.replace("\\|", "").count("|") == 5 for row in rows)
    assert "| `drain_seconds` | `10` | seconds: above 0, at most 86400 |" in page
    assert page.count("\n## ") == len({setting.section for setting in SETTINGS.values()})


def test_a_stale_page_is_told_and_left(
    script: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With --check nothing is written; without it the page is drawn."""
    page = tmp_path / "settings.md"
    page.write_text("old")
    monkeypatch.setattr(script, "DOCUMENT", page)
    assert script.main(["--check"]) == 1
    assert "scripts/draw_settings" in capsys.readouterr().err
    assert page.read_text() == "old"
    assert script.main([]) == 0
    assert page.read_text() == script.drawn()
