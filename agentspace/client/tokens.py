"""Which token a call shows to a gateway. One rule, for the library and the commands alike.

1. A token that is given for the call goes wherever the call goes.
2. `AGENTSPACE_TOKEN` goes where an address leads that is given for the call. Without an address it
   stays on this machine.
3. The token that is kept in the data folder goes to the gateway that runs from that folder, and to
   nobody else.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

import msgspec

from agentspace.client.address import is_loopback_url, is_same_gateway, shown
from agentspace.loopback import stays_here

TOKEN_VARIABLE: Final = "AGENTSPACE_TOKEN"


class Call(msgspec.Struct, frozen=True):
    """Where a call goes; `is_named` when its address was given for it.

    `own` is the address of the gateway that runs from the data folder, `None` when none does.
    """

    url: str
    is_named: bool
    own: str | None


def exported_token() -> str | None:
    """The token of the environment."""
    return os.environ.get(TOKEN_VARIABLE) or None


def choose_token(
    call: Call, *, given: str | None, exported: str | None, kept: Callable[[], str | None]
) -> str | None:
    """The token to show; `kept` reads the data folder's, and is asked for its own gateway alone."""
    if given is not None:
        return given
    is_own = call.own is not None and is_same_gateway(call.url, call.own)
    if exported is not None and (call.is_named or is_own or is_loopback_url(call.url)):
        return exported
    return kept() if is_own else None


def exposure(url: str, token: str | None) -> str | None:
    """What to warn of: a token that leaves this machine unencrypted. `None` when all is well."""
    try:
        parts = urlsplit(url)
        is_open = parts.scheme == "ws" and not stays_here(parts.hostname or "")
    except ValueError:
        return None  # no address; the call says so
    if token is None or not is_open:
        return None
    return (
        f"the token goes to {shown(url)} unencrypted: whoever is on the way reads it. Use wss://."
    )
