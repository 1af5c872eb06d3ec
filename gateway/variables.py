"""The environment's `AGENTSPACE_…` variables: which are settings, and what becomes of the others.

A variable that is one slip away from a setting is refused: without effect it could leave a door
open. Any other is told of and left alone, for platforms and images set variables of their own
(etcd-io/etcd#7197 and bitnami/charts#7784 show what that looks like).

A container platform tells each container of the services around it by variables that have the
service's name (Kubernetes, "Service", section "Environment variables"). A service called
`agentspace` is told of as `AGENTSPACE_PORT=tcp://10.0.0.1:3271`, and a gateway that read that as
its port would not start (Donkie/Spoolman#961, google/knative-gcp#2008). The address is the
service's own, so there is nothing in it for the gateway.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Final

from gateway.settings import PREFIX, SETTINGS

CONFIG_DIR_VARIABLE: Final = f"{PREFIX}CONFIG_DIR"

A_SLIP: Final = 0.75
"""How alike two names are when one is the other misspelt: `prot` and `port` are just that."""

NEAR: Final = 0.5
"""How alike names are when one may have been meant."""

_KNOWN: Final = {setting.variable for setting in SETTINGS.values()} | {CONFIG_DIR_VARIABLE}
_LINK: Final = re.compile(
    r"\w+_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_LINKED_PORT: Final = re.compile(r"(tcp|udp|sctp)://")


class MisspeltVariable(Exception):
    """A variable that is all but a setting; the text is one line."""


def value_of(name: str, environ: Mapping[str, str]) -> str | None:
    """What a setting's variable says; `None` when it is not set, empty or a service link."""
    variable = SETTINGS[name].variable
    value = environ.get(variable)
    return value if value and not _is_link(variable, value) else None


def notes_on(environ: Mapping[str, str]) -> tuple[str, ...]:
    """A line for each variable that is no setting, one for all links. Raises MisspeltVariable."""
    ours = {name: value for name, value in environ.items() if name.startswith(PREFIX) and value}
    links = [name for name, value in ours.items() if _is_link(name, value)]
    strange = ours.keys() - _KNOWN - set(links)
    notes = [_note(name) for name in sorted(strange)]
    return (*notes, _note_on_links(links)) if links else tuple(notes)


def _is_link(variable: str, value: str) -> bool:
    if variable.endswith("_PORT") and _LINKED_PORT.match(value):
        return True
    return _LINK.fullmatch(variable) is not None


def _note(variable: str) -> str:
    said = variable.removeprefix(PREFIX).lower()
    known = {name.removeprefix(PREFIX).lower(): name for name in _KNOWN}
    near = difflib.get_close_matches(said, known, n=1, cutoff=NEAR)
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in variable)
    if not near:
        return f"{shown} is no setting and has no effect."
    meant = f"did you mean {known[near[0]]}?"
    if difflib.SequenceMatcher(None, near[0], said).ratio() >= A_SLIP:
        raise MisspeltVariable(f"{shown} is no setting: {meant} Correct it, or remove it.")
    return f"{shown} is no setting and has no effect: {meant}"


def _note_on_links(links: list[str]) -> str:
    first, *others = sorted(links, key=len)
    more = f" (and {len(others)} more like it)" if others else ""
    return (
        f"{first}{more} is a container platform's link to a service, no setting, and has no "
        "effect. `enableServiceLinks: false` in the pod's spec switches such variables off."
    )
