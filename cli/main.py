"""`rft`: the commands, and what becomes of errors."""

from __future__ import annotations

import sys

import typer
from rich.markup import escape

from cli import graders, jobs, keys, models, projects
from cli.api import api
from cli.client import CommandFailed
from cli.doctor import doctor
from cli.download import download
from cli.grader import grader
from cli.migrate import migrate
from cli.output import errors
from cli.sampler import sampler
from cli.serve import serve
from cli.sweep import sweep
from cli.up import up
from cli.usage import usage
from cli.workers import schedule, work
from core.errors import RftError

commands = typer.Typer(
    name="rft",
    help="Self-hosted reinforcement fine-tuning.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
commands.command()(serve)
commands.command("worker")(work)
commands.command()(api)
commands.command("scheduler")(schedule)
commands.command()(grader)
commands.command()(sampler)
commands.command()(migrate)
commands.command()(sweep)
commands.command()(up)
commands.add_typer(jobs.app, name="jobs")
commands.add_typer(graders.app, name="graders")
commands.command()(download)
commands.command()(doctor)
commands.command()(usage)
commands.add_typer(keys.app, name="keys")
commands.add_typer(projects.app, name="projects")
commands.add_typer(models.app, name="models")


def app() -> None:
    """Run the command line. Expected errors are one line on standard error and exit code 1; bad usage is 2."""
    try:
        commands()
    except (CommandFailed, RftError) as error:
        errors.print(f"[red]error:[/red] {escape(' '.join(str(error).split()))}")
        sys.exit(1)


if __name__ == "__main__":
    app()
