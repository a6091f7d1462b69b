"""`rft doctor`: what this host enforces on code of users, tried out wall by wall."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from cli.output import console, errors
from core.settings import Settings, get_settings
from graders.sandbox.client import Enforced, SandboxUnavailable
from graders.sandbox.probes import Finding, examine
from graders.sandbox.service import ServiceClient


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> None:
    """Try every wall of the sandbox of python graders and programs. Exit code 1 where one that is promised does not hold.

    Where a grader service runs them (RFT_GRADER_SOCKET), its level is asked for: its walls have to be tried where it runs.
    """
    settings = get_settings()
    if settings.grader_socket is not None:
        _ask_the_service(settings, settings.grader_socket, as_json)
        return
    try:
        with errors.status("attacking the sandbox from inside"):
            enforced, findings = examine(settings.grader_python, minimum=settings.sandbox_level)
    except SandboxUnavailable as error:
        _report_none(settings, error.message, as_json)
        raise typer.Exit(1) from None
    sound = all(finding.held for finding in findings if finding.promised)
    if as_json:
        typer.echo(json.dumps(_as_json(settings, enforced, findings, sound), indent=2))
    else:
        _print(settings, enforced, findings, sound)
    if not sound:
        raise typer.Exit(1)


def _ask_the_service(settings: Settings, path: Path, as_json: bool) -> None:
    client = ServiceClient(path, minimum=settings.sandbox_level)
    try:
        enforced = client.enforced()
    except SandboxUnavailable as error:
        _report_none(settings, error.message, as_json)
        raise typer.Exit(1) from None
    finally:
        client.close()
    if as_json:
        typer.echo(json.dumps({**_as_json(settings, enforced, [], sound=True), "service": str(path)}, indent=2))
        return
    console.print(f"The grader service at {escape(str(path))} runs calls at the level [bold]{enforced.level}[/bold].")
    console.print("Its walls were not tried: run `python -m graders.sandbox.examination` where it runs.")


def _as_json(settings: Settings, enforced: Enforced, findings: list[Finding], sound: bool) -> dict[str, object]:
    return {
        "ok": sound,
        "level": enforced.level,
        "minimum": settings.sandbox_level,
        "refused": enforced.refused,
        "kernel": platform.release(),
        "walls": [asdict(finding) for finding in findings],
    }


def _print(settings: Settings, enforced: Enforced, findings: list[Finding], sound: bool) -> None:
    console.print(f"Sandbox level [bold]{enforced.level}[/bold] (the least allowed: {settings.sandbox_level})")
    for level, reason in enforced.refused.items():
        console.print(f"  {level} is not to be had here: {escape(reason)}")
    table = Table(box=box.SIMPLE)
    for heading in ("wall", "attempt", "", "what came of it"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        table.add_row(finding.wall, finding.attempt, _verdict(finding), escape(finding.detail))
    console.print(table)
    held = sum(finding.held for finding in findings)
    console.print(
        f"{held} of {len(findings)} attempts were stopped; "
        + ("all that this level promises." if sound else "[red]a promise is broken.[/red]")
    )


def _verdict(finding: Finding) -> str:
    if finding.held:
        return "[green]stopped[/green]"
    return "[red]got through[/red]" if finding.promised else "[yellow]not promised[/yellow]"


def _report_none(settings: Settings, reason: str, as_json: bool) -> None:
    if as_json:
        typer.echo(
            json.dumps({"ok": False, "level": None, "minimum": settings.sandbox_level, "reason": reason, "walls": []}, indent=2)
        )
    else:
        console.print(f"[red]No sandbox:[/red] {escape(reason)}")
        console.print("Python graders and programs are refused. docs/threat-model.md says what each level needs.")
