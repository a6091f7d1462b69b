"""`rft jobs`: submit, follow and steer fine-tuning jobs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import openai
import typer
from openai.types.fine_tuning import FineTuningJob

from cli.client import DEFAULT_BASE_URL, ApiKey, BaseUrl, service
from cli.grader_file import read_grader
from cli.output import moment, print_rows
from cli.watch import follow

Json = dict[str, Any]

app = typer.Typer(no_args_is_help=True, help="Submit, follow and steer fine-tuning jobs.")

JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id, ftjob-...")]


@app.command()
def submit(
    model: Annotated[str, typer.Option(help="A base model's id or alias.")],
    train: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="Training prompts, JSON Lines.")],
    grader: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="The grader, a JSON file, or the source of a python grader.")
    ],
    validation: Annotated[
        Path | None, typer.Option("--validation", "--valid", exists=True, dir_okay=False, help="Validation prompts, JSON Lines.")
    ] = None,
    suffix: Annotated[str | None, typer.Option(help="Part of the tuned model's name.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**31 - 1, help="Same seed, same files: same run.")] = None,
    n_epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the training file.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Prompts of one step.")] = None,
    learning_rate_multiplier: Annotated[float | None, typer.Option(min=0)] = None,
    compute_multiplier: Annotated[float | None, typer.Option(min=0, help="Scales the samples of a prompt.")] = None,
    eval_interval: Annotated[int | None, typer.Option(min=1, help="Steps between validations.")] = None,
    eval_samples: Annotated[int | None, typer.Option(min=1, help="Samples of a validation prompt.")] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", "-O", metavar="KEY=VALUE", help="One of Touchstone's own options; JSON or plain text."),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Follow the job to its end.")] = False,
    base_url: BaseUrl = DEFAULT_BASE_URL,
    api_key: ApiKey = "",
) -> None:
    """Upload the data and start a job. Prints its id."""
    hyperparameters = {
        "n_epochs": n_epochs,
        "batch_size": batch_size,
        "learning_rate_multiplier": learning_rate_multiplier,
        "compute_multiplier": compute_multiplier,
        "eval_interval": eval_interval,
        "eval_samples": eval_samples,
    }
    body: Json = {
        "model": model,
        "method": {
            "type": "reinforcement",
            "reinforcement": {
                "grader": read_grader(grader),
                "hyperparameters": {name: value for name, value in hyperparameters.items() if value is not None},
            },
        },
        **({"suffix": suffix} if suffix is not None else {}),
        **({"seed": seed} if seed is not None else {}),
    }
    touchstone = dict(_option(text) for text in option or ())
    with service(base_url, api_key) as client:
        body["training_file"] = _upload(client, train)
        if validation is not None:
            body["validation_file"] = _upload(client, validation)
        job = client.fine_tuning.jobs.create(**body, extra_body={"touchstone": touchstone} if touchstone else None)
        typer.echo(job.id)
        if watch:
            _follow(client, job.id)


@app.command("list")
def list_jobs(
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many, newest first.")] = 20,
    base_url: BaseUrl = DEFAULT_BASE_URL,
    api_key: ApiKey = "",
) -> None:
    """The newest jobs."""
    with service(base_url, api_key) as client:
        jobs = client.fine_tuning.jobs.list(limit=limit).data
    rows = [(job.id, job.status, job.model, moment(job.created_at), job.fine_tuned_model or "-") for job in jobs]
    print_rows(("job", "status", "model", "created", "tuned model"), rows)


@app.command()
def show(
    job_id: JobId,
    as_json: Annotated[bool, typer.Option("--json", help="The whole job as JSON.")] = False,
    base_url: BaseUrl = DEFAULT_BASE_URL,
    api_key: ApiKey = "",
) -> None:
    """A job and its checkpoints."""
    with service(base_url, api_key) as client:
        job = client.fine_tuning.jobs.retrieve(job_id)
        checkpoints = list(client.fine_tuning.jobs.checkpoints.list(job_id))
        estimates = _estimate_errors(client, job)
    if as_json:
        typer.echo(json.dumps(job.to_dict(mode="json"), indent=2))
        return
    rows = [*_facts(job), *([("estimates", estimates)] if estimates else [])]
    for checkpoint in checkpoints:
        reward = getattr(checkpoint.metrics, "full_valid_mean_reward", None)
        validated = f"  valid {reward:.3f}" if isinstance(reward, float) else ""
        rows.append((f"step {checkpoint.step_number}", f"{checkpoint.id}{validated}"))
    print_rows(("", ""), rows)


@app.command()
def watch(job_id: JobId, base_url: BaseUrl = DEFAULT_BASE_URL, api_key: ApiKey = "") -> None:
    """Follow a job to its end. The exit code is 0 only if it succeeds."""
    with service(base_url, api_key) as client:
        _follow(client, job_id)


@app.command()
def cancel(job_id: JobId, base_url: BaseUrl = DEFAULT_BASE_URL, api_key: ApiKey = "") -> None:
    """End a job now; its checkpoints stay."""
    with service(base_url, api_key) as client:
        _tell(client.fine_tuning.jobs.cancel(job_id))


@app.command()
def pause(job_id: JobId, base_url: BaseUrl = DEFAULT_BASE_URL, api_key: ApiKey = "") -> None:
    """Stop a running job after the batch at hand, keeping all its work."""
    with service(base_url, api_key) as client:
        _tell(client.fine_tuning.jobs.pause(job_id))


@app.command()
def resume(
    job_id: JobId,
    budget_seconds: Annotated[
        float | None, typer.Option(min=0, help="Training seconds, those before included, at which it pauses again.")
    ] = None,
    base_url: BaseUrl = DEFAULT_BASE_URL,
    api_key: ApiKey = "",
) -> None:
    """Queue a paused job again."""
    options = None if budget_seconds is None else {"touchstone": {"budget_seconds": budget_seconds}}
    with service(base_url, api_key) as client:
        _tell(client.fine_tuning.jobs.resume(job_id, extra_body=options))


def _follow(client: openai.OpenAI, job_id: str) -> None:
    if follow(client, job_id).status != "succeeded":
        raise typer.Exit(1)


def _upload(client: openai.OpenAI, path: Path) -> str:
    with path.open("rb") as file:
        return client.files.create(file=file, purpose="fine-tune").id


def _option(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise typer.BadParameter(f"'{text}' is not KEY=VALUE", param_hint="--option")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _facts(job: FineTuningJob) -> list[tuple[str, str]]:
    error = job.error.message if job.error and job.error.message else None
    facts = {
        "job": job.id,
        "status": job.status,
        "model": job.model,
        "tuned model": job.fine_tuned_model,
        "created": moment(job.created_at),
        "finished": moment(job.finished_at) if job.finished_at else None,
        "seed": str(job.seed),
        "error": error,
    }
    return [(name, value) for name, value in facts.items() if value]


def _estimate_errors(client: openai.OpenAI, job: FineTuningJob) -> str:
    """How far off the estimates of a job's end were, by the share of its steps; empty where that is not known."""
    if job.status != "succeeded":
        return ""
    (last,) = client.fine_tuning.jobs.list_events(job.id, limit=1).data
    errors = last.data.get("estimate_errors") if isinstance(last.data, dict) else None
    return ", ".join(f"{error:+.0%} after {share}" for share, error in (errors or {}).items())


def _tell(job: FineTuningJob) -> None:
    typer.echo(f"{job.id} {job.status}")
