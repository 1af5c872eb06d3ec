"""The first file that a supervised gateway runs: it makes sure that the gateway is the real one.

Problem: Python looks for modules in the working folder and in `PYTHONPATH` before it looks where
packages are installed. A project that has a folder `gateway` or a file `trio.py` there would see
its own code started instead. `python -P` leaves the working folder out, but not `PYTHONPATH`, and
that may be the only place where the packages are found.

Trick: the folder that holds `agentspace` comes right after the standard library, and what
`PYTHONPATH` names comes last. Until then only modules are imported that the interpreter carries in
itself.

Limit: what Python imports before this file, such as `sitecustomize`, may come from `PYTHONPATH`.
"""

from __future__ import annotations

import os
import runpy
import sys

HOME = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120
"""The folder that holds `agentspace`, and the gateway next to it."""

LIBRARY = os.path.dirname(os.__file__)  # noqa: PTH120
"""The standard library's folder."""


def search_path(path: list[str], named: list[str], home: str, library: str) -> list[str]:
    """`path` with `home` right after `library`, and what `PYTHONPATH` named at the end."""
    last = {os.path.abspath(entry) for entry in named}  # noqa: PTH100 - spelled as Python does
    ours = [entry for entry in path if entry not in last]
    after = ours.index(library) + 1 if library in ours else 0
    ours.insert(after, home)
    return ours + [entry for entry in path if entry in last]


if __name__ == "__main__":
    NAMED = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:] = search_path(sys.path, NAMED, HOME, LIBRARY)
    runpy.run_module("gateway", run_name="__main__", alter_sys=True)
