"""`python -m agentspace` is the command `agentspace`.

The gateway is run by its name, as `agentspace.embed` runs it: nothing here imports it.
"""

from __future__ import annotations

import runpy

if __name__ == "__main__":
    runpy.run_module("gateway", run_name="__main__", alter_sys=True)
