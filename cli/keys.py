"""`rft keys`: API keys, made and revoked in the service's own database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import moment, print_rows
from core.settings import DEFAULT_PROJECT, get_settings

if TYPE_CHECKING:
    from core.security.keys import Key, KeyStore

app = typer.Typer(no_args_is_help=True, help="API keys of the service on this machine (RFT_DATA_DIR or RFT_DATABASE_URL).")


@app.command()
def create(name: Annotated[str, typer.Option(help="What the key is for.")] = "") -> None:
    """Make a key and print its secret, which is shown this once."""
    with key_store() as keys:
        _, secret = keys.create(DEFAULT_PROJECT, name or "unnamed")
    typer.echo(secret)


@app.command("list")
def list_keys() -> None:
    """All keys, without their secrets."""
    with key_store() as keys:
        rows = [(key.id, key.hint, key.name, moment(key.created_at), _state(key)) for key in keys.list(DEFAULT_PROJECT)]
    print_rows(("id", "key", "name", "created", "state"), rows)


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, key_...")]) -> None:
    """Make a key useless from now on."""
    with key_store() as keys:
        key = keys.revoke(DEFAULT_PROJECT, key_id)
    typer.echo(f"{key.id} revoked")


@contextmanager
def key_store() -> Iterator[KeyStore]:
    """The keys of this machine's service, whose database is made first where it does not exist."""
    # Only commands that use it pay for importing the database.
    from core.db import Database, migrate
    from core.projects import ensure_default_project
    from core.security.keys import KeyStore

    url = get_settings().database_url
    migrate(url)
    database = Database(url)
    try:
        ensure_default_project(database)
        yield KeyStore(database)
    finally:
        database.dispose()


def _state(key: Key) -> str:
    return "active" if key.revoked_at is None else f"revoked {moment(key.revoked_at)}"
