"""What a model's generation decides about conversations: who checks, who appends, who reads whom.

The models API tells none of it. Sources: the documentation's pages "Prefix checks on thinking
blocks", "Preserved thinking" (on switching models), "Mid-conversation system messages and tool
changes", and "What's new" of Fable 5.1, Opus 5.5 and Sonnet 5.5.
"""

from gateway.simulator.models import ModelSpec

TALES = ("fable", "mythos")
PLAIN = ("opus", "sonnet", "haiku")


def checks_prefix(model: ModelSpec) -> bool:
    """Whether the model compares what stands before a thinking block with what stood there."""
    return model.version >= ((5, 1) if model.line in TALES else (5, 5))


def checks_every_account(model: ModelSpec) -> bool:
    """Whether a mismatch is refused however old the account is."""
    return model.line in TALES and model.version >= (5, 2)


def takes_system_messages(model: ModelSpec) -> bool:
    """Whether `role: "system"` may stand among the messages."""
    since = {"fable": (5, 0), "mythos": (5, 0), "opus": (4, 8)}
    return model.version >= since.get(model.line, (5, 5))


def reads(reader: ModelSpec, maker: ModelSpec) -> bool:
    """Whether `reader` can read the thinking that `maker` made.

    The documents name the sets of four lines. Where they name none (Haiku 5.5, and all models
    before the first that checks) the strict reading is that a model reads its own blocks alone.
    """
    if reader.name == maker.name:
        return True
    if not checks_prefix(reader):
        return False
    match reader.line:
        case "fable" | "mythos" if maker.line in TALES:
            return maker.version <= reader.version
        case "fable" | "mythos":
            return maker.version <= (5, 0) or (maker.line, maker.version) == ("opus", (5, 5))
        case "opus":
            older = maker.version < reader.version
            return maker.line in PLAIN and (
                older or (maker.line, maker.version) == ("sonnet", (5, 5))
            )
        case "sonnet":
            since = reader.version if maker.line == "sonnet" else (5, 0)
            return maker.line in PLAIN and maker.version < since
        case _:
            return False
