"""The ledger's statements as SQLite takes them: the one place that knows how it marks a value.

They are written in SQL that PostgreSQL takes too, with a `$name` for each value. pony knows such
names as well. But it evaluates them as Python whenever a statement is run, which costs more than
most of the statements. Here they are looked up once, when a module makes its statements.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import Any

Values = dict[str, Any]
"""A row's values by column, or those of a statement by name."""

_NAME = re.compile(r"\$(\w+)")


class Statement:
    """A statement, with a `$name` for each of its values."""

    def __init__(self, text: str) -> None:
        names = _NAME.findall(text)
        self._text = _NAME.sub("?", text)
        self._pick: Callable[[Values], tuple[Any, ...]] = (
            itemgetter(*names) if len(names) > 1 else lambda values: tuple(values[n] for n in names)
        )

    def run(self, connection: sqlite3.Connection, values: Values) -> sqlite3.Cursor:
        """Run it with these values, and perhaps others that it does not name."""
        return connection.execute(self._text, self._pick(values))

    def meets(self, connection: sqlite3.Connection, values: Values) -> bool:
        """Run it; whether it has met a row."""
        return self.run(connection, values).rowcount > 0


def insert(table: str, columns: Iterable[str]) -> Statement:
    """The statement that inserts a row."""
    return Statement(_inserting(table, [*columns]))


def put(table: str, columns: Iterable[str], key: Iterable[str]) -> Statement:
    """The statement that inserts a row, or replaces the one that has its `key`."""
    names, key = [*columns], [*key]
    rest = assigned(name for name in names if name not in key)
    inserting = _inserting(table, names)
    return Statement(f"{inserting} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {rest}")


def assigned(columns: Iterable[str]) -> str:
    """What follows `SET` where these columns get new values."""
    return ", ".join(f"{name} = ${name}" for name in columns)


def _inserting(table: str, names: list[str]) -> str:
    values = ", ".join(f"${name}" for name in names)
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({values})"  # noqa: S608 - all our own
