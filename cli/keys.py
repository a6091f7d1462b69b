"""`rft keys`: API keys, made, changed and revoked in the service's own database."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import moment, print_rows
from core.settings import DEFAULT_PROJECT, get_settings

if TYPE_CHECKING:
    from core.db import Database
    from core.security.keys import Key, KeyStore

app = typer.Typer(no_args_is_help=True, help="API keys of the service on this machine (RFT_DATA_DIR or RFT_DATABASE_URL).")

_OVERLAP = timedelta(days=1)
_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_LIFETIME = re.compile(r"([0-9]{1,6})([dhms])")


def lifetime(text: str) -> timedelta:
    """`90d`, `12h`, `30m` or `45s`."""
    match = _LIFETIME.fullmatch(text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is no time such as 90d, 12h, 30m or 45s.")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


Project = Annotated[str, typer.Option("--project", help="Id of the project, proj_...")]
KeyId = Annotated[str, typer.Argument(metavar="ID", help="The key's id, key_...")]
Lifetime = Annotated[timedelta | None, typer.Option(parser=lifetime, metavar="TIME", help="Until it expires: 90d, 12h, 30m.")]
Overlap = Annotated[
    timedelta | None, typer.Option(parser=lifetime, metavar="TIME", help="How long the old key works on. Default: 1d.")
]


@app.command()
def create(
    name: Annotated[str, typer.Option(help="What the key is for.")] = "",
    project: Project = DEFAULT_PROJECT,
    expires: Lifetime = None,
    scope: Annotated[list[str] | None, typer.Option(help="What the key may do; repeat for more. Default: everything.")] = None,
    admin: Annotated[bool, typer.Option("--admin", help="A key that manages projects, keys and limits instead.")] = False,
) -> None:
    """Make a key and print its secret, which is shown this once."""
    seconds = None if expires is None else expires.total_seconds()
    with database() as found:
        from core.projects import ProjectStore
        from core.security.admin_keys import AdminKeyStore
        from core.security.keys import KeyStore

        if admin:
            _, secret = AdminKeyStore(found).create(name or "unnamed", seconds)
        else:
            owner = ProjectStore(found).get(project)
            _, secret = KeyStore(found).create(owner.id, name or "unnamed", expires_in=seconds, scopes=scope or ())
    typer.echo(secret)


@app.command("list")
def list_keys(
    project: Project = DEFAULT_PROJECT,
    admin: Annotated[bool, typer.Option("--admin", help="The admin keys instead.")] = False,
) -> None:
    """A project's keys, without their secrets."""
    with database() as found:
        if admin:
            _print_admin_keys(found)
        else:
            _print_keys(found, project)


@app.command()
def revoke(
    key_id: KeyId,
    project: Project = DEFAULT_PROJECT,
    admin: Annotated[bool, typer.Option("--admin", help="The id is an admin key's.")] = False,
) -> None:
    """Make a key useless from now on."""
    with database() as found:
        from core.security.admin_keys import AdminKeyStore
        from core.security.keys import KeyStore

        if admin:
            AdminKeyStore(found).delete(key_id)
        else:
            KeyStore(found).revoke(project, key_id)
    typer.echo(f"{key_id} revoked")


@app.command()
def rotate(key_id: KeyId, project: Project = DEFAULT_PROJECT, overlap: Overlap = None) -> None:
    """Make a key in the place of another and print its secret; the old one works on for a while."""
    seconds = (_OVERLAP if overlap is None else overlap).total_seconds()
    with key_store() as keys:
        _, secret = keys.rotate(project, key_id, overlap=seconds)
    typer.echo(secret)


@contextmanager
def database() -> Iterator[Database]:
    """The database of this machine's service, made first where it does not exist."""
    # Only commands that use it pay for importing it.
    from core.db import Database
    from core.projects import ensure_default_project
    from core.schema import migrate

    url = get_settings().database_url
    migrate(url)
    found = Database(url)
    try:
        ensure_default_project(found)
        yield found
    finally:
        found.dispose()


@contextmanager
def key_store() -> Iterator[KeyStore]:
    """The keys in that database."""
    from core.security.keys import KeyStore

    with database() as found:
        yield KeyStore(found)


def _print_keys(found: Database, project: str) -> None:
    from core.projects import ProjectStore
    from core.security.keys import KeyStore

    owner = ProjectStore(found).get(project)
    rows = [
        (
            key.id,
            key.hint,
            key.name,
            moment(key.created_at),
            moment(key.last_used_at),
            _state(key),
            " ".join(key.scopes) or "all",
        )
        for key in KeyStore(found).list(owner.id)
    ]
    print_rows(("id", "key", "name", "created", "last used", "state", "scopes"), rows)


def _print_admin_keys(found: Database) -> None:
    from core.security.admin_keys import AdminKeyStore

    rows = [
        (key.id, key.hint, key.name, moment(key.created_at), moment(key.last_used_at), moment(key.expires_at))
        for key in AdminKeyStore(found).list()
    ]
    print_rows(("id", "key", "name", "created", "last used", "expires"), rows)


def _state(key: Key) -> str:
    if key.revoked_at is not None:
        return f"revoked {moment(key.revoked_at)}"
    return "active" if key.expires_at is None else f"until {moment(key.expires_at)}"
