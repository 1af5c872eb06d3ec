"""Scripts have no suffix, and so cannot be imported by name."""

from __future__ import annotations

import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from types import ModuleType

from scripts.benchmark.process import ROOT


def load_script(name: str) -> ModuleType:
    """The module of `scripts/NAME`."""
    loader = SourceFileLoader(name, str(ROOT / "scripts" / name))
    spec = spec_from_loader(name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    sys.modules[name] = module  # msgspec looks types up there
    loader.exec_module(module)
    return module
