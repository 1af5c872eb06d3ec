"""The picture in ARCHITECTURE.md is that of the tables."""

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

from protocol.states import CONNECTION, TURN

ROOT = Path(__file__).parent.parent


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    loader = SourceFileLoader("draw_states", str(ROOT / "scripts" / "draw_states"))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture
def document(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "ARCHITECTURE.md"
    path.write_text(f"# Title\n\n{script.BEGIN}\nold\n{script.END}\n\nProse.\n")
    monkeypatch.setattr(script, "DOCUMENT", path)
    return path


def test_the_picture_is_not_stale(script: ModuleType) -> None:
    """If it is: scripts/draw_states."""
    assert script.main(["--check"]) == 0


def test_every_cell_is_drawn(script: ModuleType) -> None:
    """As an arrow with its event."""
    for table in (CONNECTION, TURN):
        lines = script.draw(table).splitlines()
        for (state, event), after in table.items():
            (arrow,) = (line for line in lines if line.startswith(f"    {state} --> {after}: "))
            assert event in arrow.split(": ")[1].split(", ")
        assert lines[:2] == ["```mermaid", "stateDiagram-v2"]


def test_drawing_leaves_the_prose_alone(script: ModuleType, document: Path) -> None:
    """And drawing twice changes nothing."""
    assert script.main([]) == 0
    drawn = document.read_text()
    assert drawn.startswith(f"# Title\n\n{script.BEGIN}\n")
    assert drawn.endswith(f"{script.END}\n\nProse.\n")
    assert "old" not in drawn
    assert script.main([]) == 0
    assert document.read_text() == drawn


def test_a_stale_picture_is_told_and_left(
    script: ModuleType, document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --check nothing is written."""
    before = document.read_text()
    assert script.main(["--check"]) == 1
    assert "scripts/draw_states" in capsys.readouterr().err
    assert document.read_text() == before


def test_a_document_without_markers_is_refused(script: ModuleType) -> None:
    """It is not known where the picture belongs."""
    with pytest.raises(ValueError, match="lacks"):
        script.redrawn("# Title\n")
