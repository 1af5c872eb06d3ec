"""The gateway as a part of another program, whatever event loop that program runs.

    async with supervised(settings={"data_dir": "/var/lib/agent"}) as gateway:
        ...  # connect to gateway.url with gateway.token

The gateway is a child process: its bugs, its memory and its blocking stay its own. Its stdin is a
pipe that only the parent holds. When the parent closes it, or dies in whatever way, the kernel ends
the pipe and the gateway drains: there is no orphan, and nobody has to remember a process id. Two
limits: a child that the parent forks without exec (`multiprocessing` with `fork`) holds the pipe as
well, as long as it lives; and a gateway whose own loop hangs does not see the end of the pipe,
which only a parent that is still there can answer with a signal.
"""

from agentspace.embed.events import GatewayEnded, GatewayEvent, GatewayFailed, GatewayStarted
from agentspace.embed.settings import GatewaySettings
from agentspace.embed.supervisor import Supervised, supervised

__all__ = [
    "GatewayEnded",
    "GatewayEvent",
    "GatewayFailed",
    "GatewaySettings",
    "GatewayStarted",
    "Supervised",
    "supervised",
]
