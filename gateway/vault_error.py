"""The error of whatever a key may be kept in."""


class VaultError(Exception):
    """A key that cannot be used or kept; the text is one line, for a person, without the key."""
