"""Old code on a new schema: whatever the version before wrote and read, it goes on writing and reading after the migration.

Processes are replaced one by one, so that code of a revision works on the schema of the next ones. No earlier release is at hand
here; what its statements name is: the tables and columns of its revision, read back from a database at that revision.
"""

from __future__ import annotations

from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, Table, inspect, select
from sqlalchemy.engine import Connection
from sqlalchemy.types import JSON, Boolean, Float, Integer

from core.db import Database
from core.schema import alembic_config

REVISIONS = [script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()][::-1]
Row = dict[str, Any]


def upgrade(connection: Connection, revision: str) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def tables_of(connection: Connection) -> list[Table]:
    """Owners before what they own."""
    metadata = MetaData()
    metadata.reflect(connection)
    return [table for table in metadata.sorted_tables if table.name != "alembic_version"]


def value(column: Any, generation: int) -> Any:
    """Something that the column takes; keys of one generation match each other."""
    kind = column.type
    if isinstance(kind, Boolean):
        return True
    if isinstance(kind, JSON):
        return {"generation": generation}
    if isinstance(kind, Integer | Float):
        return generation
    return f"row-{generation}"


def whole_row(table: Table, generation: int) -> Row:
    """A row with a value in every column that the code of that time knew."""
    return {column.name: value(column, generation) for column in table.columns}


def insert_all(connection: Connection, tables: list[Table], generation: int) -> None:
    for table in tables:
        connection.execute(table.insert().values(whole_row(table, generation)))


@pytest.mark.parametrize("revision", REVISIONS[:-1])
def test_code_of_a_revision_works_on_the_newest_schema(empty_url: str, revision: str) -> None:
    database = Database(empty_url)
    with database.engine.execution_options(write=True).connect() as connection, connection.begin():
        upgrade(connection, revision)
        tables = tables_of(connection)
        insert_all(connection, tables, 1)
        upgrade(connection, "head")
        # What was there is there, and the statements of that time do what they did.
        insert_all(connection, tables, 2)
        for table in tables:
            found = [dict(row._mapping) for row in connection.execute(select(table))]
            assert sorted(found, key=str) == [whole_row(table, 1), whole_row(table, 2)], table.name
        for table in reversed(tables):
            changes = {column.name: value(column, 2) for column in table.columns}
            assert connection.execute(table.update().where(key_is(table, 2)).values(changes)).rowcount == 1
            assert connection.execute(table.delete().where(key_is(table, 2))).rowcount == 1
    database.dispose()


def key_is(table: Table, generation: int) -> Any:
    column = next(iter(table.primary_key.columns))
    return column == value(column, generation)


@pytest.mark.parametrize("revision", REVISIONS[:-1])
def test_the_newest_schema_asks_for_no_more_than_the_one_before(empty_url: str, revision: str) -> None:
    """A column that is new may be left out, and one that is old may hold what it held."""
    database = Database(empty_url)
    with database.engine.execution_options(write=True).connect() as connection, connection.begin():
        upgrade(connection, revision)
        before = {table.name: table for table in tables_of(connection)}
        unique = {name: uniques(connection, name) for name in before}
        upgrade(connection, "head")
        after = {table.name: table for table in tables_of(connection)}
        for name, old in before.items():
            new = after[name]
            required = {column.name for column in new.columns if not column.nullable and column.server_default is None}
            assert required <= {column.name for column in old.columns if not column.nullable}, name
            assert {column.name: str(column.type) for column in old.columns}.items() <= {
                column.name: str(column.type) for column in new.columns
            }.items(), name
            old_names = {column.name for column in old.columns}
            assert {columns for columns in uniques(connection, name) if columns <= old_names} == unique[name], name
    database.dispose()


def uniques(connection: Connection, table: str) -> set[frozenset[str]]:
    """Sets of columns of which no two rows may have the same values."""
    found = inspect(connection)
    constraints = [constraint["column_names"] for constraint in found.get_unique_constraints(table)]
    indexes = [index["column_names"] for index in found.get_indexes(table) if index["unique"]]
    return {frozenset(str(name) for name in columns) for columns in (*constraints, *indexes)}
