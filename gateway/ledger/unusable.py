"""How a start learns that there is no ledger: known without importing one."""

from __future__ import annotations


class LedgerUnusable(Exception):
    """The database cannot be used at all; the text is one line, for a person."""
