"""`rft graders regrade`: what an edited grader would have made of the completions that a job has sampled."""

from __future__ import annotations

import json
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import httpx2 as httpx
import openai
import typer
from rich.markup import escape

from cli.client import DEFAULT_BASE_URL, ApiKey, BaseUrl, CommandFailed, message_of, service
from cli.grader_file import read_grader
from cli.output import console, print_rows, progress

Json = dict[str, Any]

_TIMEOUT = httpx.Timeout(3600.0, connect=5.0)
"""A lot of samples is graded between two lines of the reply, and judges may take minutes for each."""


class Split(StrEnum):
    """Which rollouts."""

    TRAIN = "train"
    VALID = "valid"


def regrade(
    job_id: Annotated[str, typer.Argument(metavar="JOB", help="The job's id, ftjob-...")],
    grader: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="The other grader, a JSON file or the source of a python grader.")
    ],
    step: Annotated[int | None, typer.Option(min=0, help="The rollouts of this step. Default: of the last one.")] = None,
    last: Annotated[bool, typer.Option("--last", help="The rollouts of the last step.")] = False,
    every: Annotated[bool, typer.Option("--all", help="The rollouts of all steps.")] = False,
    split: Annotated[Split, typer.Option(help="Training or validation rollouts.")] = Split.TRAIN,
    top: Annotated[int, typer.Option(min=0, max=100, help="How many changed samples to show.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="The whole comparison as JSON.")] = False,
    base_url: BaseUrl = DEFAULT_BASE_URL,
    api_key: ApiKey = "",
) -> None:
    """Score a job's kept rollouts with another grader, and compare. The job stays as it is."""
    if (step is not None) + last + every > 1:
        raise typer.BadParameter("--step, --last and --all exclude each other")
    wanted: int | str = "all" if every else "last" if step is None else step
    body = {"grader": read_grader(grader), "step": wanted, "split": split.value, "top": top, "stream": True}
    with service(base_url, api_key) as client:
        report = _report(client, job_id, body)
    if as_json:
        typer.echo(json.dumps(report, indent=2, ensure_ascii=False))
        return
    print_rows(("", "before", "after"), _sides(report))
    print_rows(("", ""), _moves(report))
    for title, samples in (("changed most", report["changed"]), ("without a grade", report["failed"])):
        _print_samples(title, samples)


def _report(client: openai.OpenAI, job_id: str, body: Json) -> Json:
    """The last line of the reply, with a bar for those before."""
    with progress() as bar:
        task = bar.add_task("grading", total=None)
        for told in _lines(client, job_id, body):
            if "error" in told:
                raise CommandFailed(message_of(told) or "The grading broke off.")
            if told["object"] == "fine_tuning.job.regrade":
                return told
            bar.update(task, completed=told["graded"], total=told["total"])
    raise CommandFailed("The service ended its reply before the comparison.")


def _lines(client: openai.OpenAI, job_id: str, body: Json) -> Iterator[Json]:
    url = f"{str(client.base_url).rstrip('/')}/fine_tuning/jobs/{quote(job_id, safe='')}/regrade"
    try:
        with (
            httpx.Client(headers=client.auth_headers, timeout=_TIMEOUT) as http,
            http.stream("POST", url, json=body) as response,
        ):
            if response.is_error:
                response.read()
                raise CommandFailed(_refusal(response))
            for line in response.iter_lines():
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))
    except httpx.HTTPError as error:
        raise CommandFailed(f"The grading broke off: {error}") from error


def _refusal(response: httpx.Response) -> str:
    try:
        message = message_of(response.json())
    except ValueError:
        message = None
    return message or f"The service answered with status {response.status_code}."


def _sides(report: Json) -> list[tuple[str, ...]]:
    before, after = report["before"], report["after"]
    rows: list[tuple[str, ...]] = [
        ("mean reward", *(_number(side["reward_mean"]) for side in (before, after))),
        ("samples graded", *(f"{side['graded']} of {report['samples']}" for side in (before, after))),
        ("groups with spread", *(f"{side['groups_with_spread']} of {report['groups']}" for side in (before, after))),
    ]
    for kind in sorted({*before["errors"], *after["errors"]}):
        rows.append((kind, *(str(side["errors"].get(kind, 0)) for side in (before, after))))
    return rows


def _moves(report: Json) -> list[tuple[str, str]]:
    steps = report["steps"]
    told = f"{steps[0]}" if len(steps) == 1 else f"{steps[0]} to {steps[-1]}"
    rows = [
        ("rollouts", f"{report['split']}, step {told}"),
        ("same reward", _share(report["same_reward"])),
        ("same order within groups", _share(report["same_order"])),
        ("Kendall's tau-b within groups", f"{_number(report['kendall_tau'])} over {report['ranked_groups']} groups"),
    ]
    for judge, counts in report["model_grader_token_usage_per_model"].items():
        rows.append((f"tokens of {judge}", str(counts["total_tokens"])))
    return rows


def _print_samples(title: str, samples: list[Json]) -> None:
    for sample in samples:
        before, after = _number(sample["reward_before"]), _number(sample["reward_after"])
        console.print(f"{title}: [bold]{sample['id']}[/bold]  {before} -> {after}")
        for name, text in (("prompt", sample["prompt"]), ("completion", sample["completion"]), ("error", _error(sample))):
            if text:
                console.print(f"  [dim]{name}:[/dim] {escape(' '.join(text.split()))}")


def _error(sample: Json) -> str:
    return f"{sample['error']['kind']}: {sample['error']['details']}" if sample["error"] else ""


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
