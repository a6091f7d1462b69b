"""`rft projects`: projects and what each may use, in the service's own database."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.keys import database
from cli.output import moment, print_rows

app = typer.Typer(no_args_is_help=True, help="Projects of the service on this machine (RFT_DATA_DIR or RFT_DATABASE_URL).")

ProjectId = Annotated[str, typer.Argument(metavar="ID", help="The project's id, proj_...")]
DEFAULT = "default"
"""What takes a project's own limit away."""


@app.command()
def create(name: Annotated[str, typer.Argument(help="What the project is called.")]) -> None:
    """Make a project and print its id."""
    with database() as found:
        from core.projects import ProjectStore

        typer.echo(ProjectStore(found).create(name).id)


@app.command("list")
def list_projects() -> None:
    """All projects with their own limits; an empty field is the service's default."""
    with database() as found:
        from core.projects import LIMITS, ProjectStore

        projects = ProjectStore(found).list(include_archived=True)
        rows = [
            (
                project.id,
                project.name,
                "active" if project.archived_at is None else f"archived {moment(project.archived_at)}",
                *("" if getattr(project, limit) is None else str(getattr(project, limit)) for limit in LIMITS),
            )
            for project in projects
        ]
        print_rows(("id", "name", "state", *LIMITS), rows)


@app.command()
def archive(project_id: ProjectId) -> None:
    """Close a project: its keys open nothing any more; what it owns stays."""
    with database() as found:
        from core.projects import ProjectStore

        ProjectStore(found).archive(project_id)
    typer.echo(f"{project_id} archived")


@app.command()
def limits(
    project_id: ProjectId,
    requests_per_minute: Annotated[str | None, typer.Option(metavar="N|default")] = None,
    max_running_jobs: Annotated[str | None, typer.Option(metavar="N|default")] = None,
    max_waiting_jobs: Annotated[str | None, typer.Option(metavar="N|default")] = None,
    max_stored_bytes: Annotated[str | None, typer.Option(metavar="N|default")] = None,
) -> None:
    """Set limits of a project; `default` restores the service's."""
    asked = {
        "requests_per_minute": requests_per_minute,
        "max_running_jobs": max_running_jobs,
        "max_waiting_jobs": max_waiting_jobs,
        "max_stored_bytes": max_stored_bytes,
    }
    changes = {name: _number(text) for name, text in asked.items() if text is not None}
    with database() as found:
        from core.projects import LIMITS, ProjectStore

        project = ProjectStore(found).set_limits(project_id, changes)
        shown = [(name, DEFAULT if getattr(project, name) is None else str(getattr(project, name))) for name in LIMITS]
    print_rows(("limit", "value"), shown)


def _number(text: str) -> int | None:
    if text == DEFAULT:
        return None
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither a number nor `{DEFAULT}`.") from None
