"""`rft models`: the base models of this machine."""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated

import typer

from cli.output import errors, print_rows
from core.models import ModelRegistry
from core.settings import get_settings

app = typer.Typer(no_args_is_help=True, help="Base models of the service on this machine (RFT_MODELS, RFT_MODEL_DIR).")


@app.command("list")
def list_models() -> None:
    """The base models, and whether they are ready."""
    registry = ModelRegistry.load(get_settings())
    rows = []
    for model in registry.list():
        aliases = ", ".join(alias for alias, target in registry.aliases.items() if target == model.id)
        rows.append((model.id, "ready" if model.prepared else "not fetched", model.source, aliases or "-"))
    print_rows(("model", "state", "source", "aliases"), rows)


@app.command()
def fetch(model_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="Default: every listed model.")] = None) -> None:
    """Bring base models onto this machine. What is there already is left as it is."""
    registry = ModelRegistry.load(get_settings())
    for model in (registry.resolve(model_id),) if model_id else registry.list():
        with errors.status(f"{model.id} from {model.source}"):
            # In a process of its own, which imports torch; it prints its one line of error itself.
            done = subprocess.run([sys.executable, "-m", "worker.prepare", model.id], stdout=subprocess.DEVNULL, check=False)
        if done.returncode != 0:
            raise typer.Exit(1)
        typer.echo(f"{model.id} ready in {model.directory}")
