"""What the gateway tells the service manager that has started it (`Type=notify`).

A datagram of lines `NAME=value` goes to the socket that $NOTIFY_SOCKET names: a path, or `@` and
the name of an abstract one. sd_notify(3) is the definition, and shows that these few lines are all
there is to it. The package sdnotify does the same, and has had no release since 2017 (report:
samschott/maestral 753).
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping
from typing import Final

log = logging.getLogger(__name__)

NOTIFY_SOCKET: Final = "NOTIFY_SOCKET"

SEND_SECONDS: Final = 0.04
"""A manager reads at once. Should it not, nobody else is to wait for it."""


def tell_manager(*lines: str, environ: Mapping[str, str] = os.environ) -> None:
    """Send `lines`, such as `READY=1`; does nothing where no manager listens. Never raises."""
    name = environ.get(NOTIFY_SOCKET, "")
    if not name.startswith(("/", "@")):
        return  # finit has numbers here, virtual machines `vsock:`
    address = f"\0{name[1:]}" if name.startswith("@") else name
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as telling:
            telling.settimeout(SEND_SECONDS)
            telling.connect(address)
            telling.send("\n".join(lines).encode())
    except (OSError, ValueError) as error:
        log.warning("the service manager cannot be told %s: %s", " ".join(lines), error)
