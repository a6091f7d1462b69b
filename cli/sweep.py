"""`rft sweep`: what the service clears away by itself, done now, or only shown."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from cli.keys import database, lifetime
from cli.output import print_rows
from core.settings import get_settings

_GRACE = timedelta(days=1)


def sweep(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing, show what would go.")] = False,
    grace: Annotated[
        timedelta | None,
        typer.Option(parser=lifetime, metavar="TIME", help="Least age of objects that no row names. Default: 1d."),
    ] = None,
) -> None:
    """Delete what has expired, what the settings keep no longer (RFT_*_KEPT_DAYS), and objects that nothing names.

    The service does so by itself; this is for a full disk, and to see what a setting would do. It may run beside the service.
    """
    settings = get_settings()
    with database() as found:
        from core.storage.build import open_store
        from worker.light.build import sweeps

        objects = open_store(settings.object_store_url)
        chores = sweeps(settings, found, objects, min_age=(_GRACE if grace is None else grace).total_seconds())
        rows = []
        for chore in chores:
            swept = chore.sweep(dry_run=dry_run)
            rows.append((chore.name, str(swept.count), "" if swept.bytes is None else str(swept.bytes)))
    print_rows(("what", "would go" if dry_run else "deleted", "bytes"), rows)
