"""A load of turns for a gateway that speaks the protocol, and the figures of how it bore it."""
