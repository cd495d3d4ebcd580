"""Databases in a file, SQLite and DuckDB: the rows of a query, read only."""

from __future__ import annotations

import importlib.util
import sqlite3
from collections.abc import Sequence
from typing import Any

from superpose.data.reading.source import Source
from superpose.data.tables import Table
from superpose.errors import DataError, FileError, OptionError, SuperposeError
from superpose.messages import listed, quoted

# What a query may do: read. All else, as writing, attaching other files or changing settings, is refused by SQLite.
_ALLOWED = frozenset(
    (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, getattr(sqlite3, "SQLITE_RECURSIVE", 33))
)
_TABLES = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'"


def read_sqlite(source: Source, query: str | None) -> Table:
    """The rows of a query, or of the only table.

    Raises:
        OptionError: if there are several tables and no query, or the query is none that reads.
        FileError: if the file is damaged.
    """
    if source.path is None or source.packing:
        raise FileError(f"{source.label} is an SQLite database that is packed or piped; give its file")
    try:
        connection = sqlite3.connect(f"{source.path.resolve().as_uri()}?mode=ro", uri=True)
    except sqlite3.Error as error:
        raise FileError(f"{source.label} cannot be opened as an SQLite database: {error}; check the file") from None
    try:
        if query is None:
            query = _only_table(source, [row[0] for row in connection.execute(_TABLES)])
        connection.set_authorizer(_authorised)
        cursor = connection.execute(query)
        if cursor.description is None:
            raise OptionError(f"query {quoted(query)} reads nothing; write a SELECT statement")
        return _table(source.label, [column[0] for column in cursor.description], cursor.fetchall())
    except SuperposeError:
        raise
    except sqlite3.DatabaseError as error:
        raise _wrong_query(source, query, error) from None
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        raise OptionError(f"query {quoted(query)} is no single query: {error}; write one SELECT statement") from None
    finally:
        connection.close()


def _authorised(action: int, *details: Any) -> int:
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY


def _wrong_query(source: Source, query: str | None, error: Exception) -> FileError | OptionError:
    reason = " ".join(str(error).split()).rstrip(".")
    if query is None or "malformed" in reason or "not a database" in reason:
        return FileError(f"{source.label} is a damaged SQLite database ({reason}); fetch or make it again")
    if "not authorized" in reason or "authorization denied" in reason or "prohibited" in reason or "readonly" in reason:
        return OptionError(f"query {quoted(query)} does more than read ({reason}); write a SELECT statement")
    return OptionError(f"query {quoted(query)} does not work: {reason}; correct it")


def _only_table(source: Source, names: Sequence[str]) -> str:
    if len(names) == 1:
        return f'SELECT * FROM "{names[0].replace(chr(34), 2 * chr(34))}"'
    if not names:
        raise DataError(f"{source.label} is a database without tables")
    raise OptionError(
        f"{source.label} is a database with the tables {listed(names)}; say what to read of it (query, --query "
        f"'SELECT * FROM {names[0]}')"
    )


def read_duckdb(source: Source, query: str | None) -> Table:
    """The same of a DuckDB database, by duckdb.

    Raises:
        FileError: if duckdb is missing, or the file is damaged.
        OptionError: if there are several tables and no query, or the query does not work.
    """
    if source.path is None or source.packing:
        raise FileError(f"{source.label} is a DuckDB database that is packed or piped; give its file")
    if importlib.util.find_spec("duckdb") is None:
        raise FileError(
            f"{source.label} is a DuckDB database, which needs duckdb; install it with pip install 'superpose[duckdb]'"
        )
    import duckdb

    settings: dict[str, Any] = {"enable_external_access": "false", "autoload_known_extensions": "false", "threads": "1"}
    try:
        connection = duckdb.connect(str(source.path), read_only=True, config=settings)
    except duckdb.Error:
        raise FileError(f"{source.label} cannot be opened as a DuckDB database; check the file") from None
    try:
        if query is None:
            names = connection.execute("SELECT table_name FROM information_schema.tables").fetchall()
            query = _only_table(source, [row[0] for row in names])
        statements = duckdb.extract_statements(query)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise OptionError(f"query {quoted(query)} is no single query that reads; write one SELECT statement")
        found = connection.execute(query)
        return _table(source.label, [column[0] for column in found.description or []], found.fetchall())
    except duckdb.Error as error:
        reason = " ".join(str(error).split("LINE 1")[0].split()).rstrip(".").replace(". ", ", ")[:200]
        raise OptionError(f"query {quoted(query)} does not work: {reason}; correct it") from None
    finally:
        connection.close()


def _table(label: str, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    if not rows:
        raise DataError(f"{label}: the query gives no rows; a table needs some")
    columns = tuple([_cell(value) for value in column] for column in zip(*rows, strict=True))
    return Table(label, tuple(str(name).strip() for name in names), columns)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        raise DataError("the query gives a column of bytes (BLOB), which is neither number nor text; leave it out")
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value).strip()
