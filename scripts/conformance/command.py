"""The command line of `scripts/autobahn`."""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import trio

from scripts.benchmark.installed import CACHE, MissingTarget
from scripts.conformance.echo import serve_echo
from scripts.conformance.suite import suite

AGENT: Final = "gateway"
INDEX: Final = "index.json"
LEFT_OUT: Final = ["12.*", "13.*"]
"""Compression, which the gateway does not offer."""

PASSED: Final = frozenset({"OK", "NON-STRICT", "INFORMATIONAL"})
SECONDS: Final = 900
"""For all cases; they take twenty on a quiet machine."""


class Verdict(msgspec.Struct, rename={"close": "behaviorClose"}):
    """What the suite says of one case: of the messages, and of the connection's end."""

    behavior: str
    close: str

    @property
    def has_failed(self) -> bool:
        """Whether a rule is broken. How a connection ended is judged even where all else went."""
        return not {self.behavior, self.close} <= PASSED


def parser(about: str | None) -> argparse.ArgumentParser:
    """What can be asked for."""
    made = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--cases", nargs="+", default=["*"], help='only these, like "9.*"')
    made.add_argument("--python", type=Path, help="a Python 2.7, when it is not found by itself")
    made.add_argument(
        "--reports", type=Path, default=CACHE / "autobahn-reports", help="the folder for reports"
    )
    return made


def main(about: str | None = None) -> None:
    """Run the cases, say how many behaved how, and fail when one has failed."""
    arguments = parser(about).parse_args()
    try:
        program = suite(arguments.python)
    except MissingTarget as error:
        raise SystemExit(str(error)) from None
    reports = arguments.reports.resolve()
    reports.mkdir(parents=True, exist_ok=True)
    (reports / INDEX).unlink(missing_ok=True)
    verdicts = trio.run(run_cases, program, arguments.cases, reports)
    print("\n".join(summary(verdicts)))
    print(f"Reports: {reports / 'index.html'}")
    if not verdicts:
        raise SystemExit("No case was run.")
    if any(verdict.has_failed for verdict in verdicts.values()):
        raise SystemExit(1)


async def run_cases(program: Path, cases: Sequence[str], reports: Path) -> dict[str, Verdict]:
    """The verdict on each case, by its number."""
    async with trio.open_nursery() as nursery:
        url = await nursery.start(serve_echo)
        specification = {
            "outdir": str(reports),
            "servers": [{"agent": AGENT, "url": url}],
            "cases": list(cases),
            "exclude-cases": LEFT_OUT,
        }
        file = reports / "specification.json"
        file.write_text(json.dumps(specification))
        command = [str(program), "--mode", "fuzzingclient", "--spec", str(file)]
        with trio.move_on_after(SECONDS) as patience:
            await trio.run_process(command, cwd=reports, check=False)
        nursery.cancel_scope.cancel()
    if patience.cancelled_caught:
        raise SystemExit(f"The cases took more than {SECONDS} seconds.")
    index = reports / INDEX
    if not index.exists():
        raise SystemExit("The suite has ended without a report; what it said stands above.")
    return msgspec.json.decode(index.read_bytes(), type=dict[str, dict[str, Verdict]])[AGENT]


def summary(verdicts: dict[str, Verdict]) -> list[str]:
    """How many cases behaved how; the numbers of those that were not simply in order."""
    by_behavior: defaultdict[str, list[str]] = defaultdict(list)
    for case, verdict in sorted(verdicts.items(), key=lambda item: _order(item[0])):
        by_behavior[verdict.behavior].append(case)
        if verdict.close not in PASSED:
            by_behavior[f"its end: {verdict.close}"].append(case)
    lines = []
    for behavior, cases in sorted(by_behavior.items(), key=lambda item: -len(item[1])):
        names = "" if behavior == "OK" else f"  {', '.join(cases)}"
        lines.append(f"{len(cases):4} {behavior}{names}")
    return lines


def _order(case: str) -> list[int]:
    return [int(part) for part in case.split(".")]
