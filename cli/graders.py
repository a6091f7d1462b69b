"""`rft graders`: try a reward before paying for a run. All three commands ask the service, which grades as its jobs do."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import openai
import typer

from cli.client import DEFAULT_BASE_URL, ApiKey, BaseUrl, service
from cli.grader_file import read_grader
from cli.output import print_rows, progress
from cli.regrade import regrade
from cli.samples import GivenSample, Graded, read_samples, write_grades

Json = dict[str, Any]

app = typer.Typer(no_args_is_help=True, help="Check graders, run them on samples, and compare them on a job's rollouts.")
app.command()(regrade)

GraderFile = Annotated[
    Path, typer.Argument(metavar="GRADER", exists=True, dir_okay=False, help="A JSON file, or the source of a python grader.")
]
_QUOTED = 200
"""Characters of an error that a table shows."""


@app.command()
def validate(grader: GraderFile, base_url: BaseUrl = DEFAULT_BASE_URL, api_key: ApiKey = "") -> None:
    """Check a grader's configuration. Prints it with every name filled in."""
    with service(base_url, api_key) as client:
        # Raw, as all here: the client's types know only OpenAI's graders.
        checked = client.fine_tuning.alpha.graders.with_raw_response.validate(grader=read_grader(grader))  # type: ignore[arg-type]
    typer.echo(json.dumps(json.loads(checked.text)["grader"], indent=2, ensure_ascii=False))


@app.command()
def run(
    grader: GraderFile,
    samples: Annotated[Path, typer.Argument(metavar="SAMPLES", exists=True, dir_okay=False, help="Completions, JSON Lines.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", dir_okay=False, help="Where each sample's grade goes: *.jsonl or *.csv.")
    ] = None,
    parallel: Annotated[int, typer.Option(min=1, max=64, help="Samples under way at a time.")] = 16,
    base_url: BaseUrl = DEFAULT_BASE_URL,
    api_key: ApiKey = "",
) -> None:
    """Grade completions from a file. The exit code is 0 only if every one of them has a grade."""
    config, given = read_grader(grader), read_samples(samples)
    with service(base_url, api_key) as client:
        client.fine_tuning.alpha.graders.with_raw_response.validate(grader=config)  # type: ignore[arg-type]
        grades = _grade(client, config, given, parallel)
    if out is not None:
        write_grades(out, grades)
    print_rows(("", ""), _summary(grades))
    if any(grade.reward is None for grade in grades):
        raise typer.Exit(1)


def _grade(client: openai.OpenAI, config: Json, samples: Sequence[GivenSample], parallel: int) -> list[Graded]:
    """The grades in the order of the samples."""
    graders = client.fine_tuning.alpha.graders.with_raw_response

    def grade(sample: GivenSample) -> Graded:
        reply = graders.run(grader=config, model_sample=sample.text, item=sample.item)  # type: ignore[arg-type]
        return _graded(json.loads(reply.text))

    threads = ThreadPoolExecutor(parallel, thread_name_prefix="grading")
    try:
        with progress() as bar:
            task = bar.add_task("grading", total=len(samples))
            grades = []
            for graded in threads.map(grade, samples):
                grades.append(graded)
                bar.advance(task)
            return grades
    finally:
        # After an error, or Ctrl-C, nothing more is asked.
        threads.shutdown(cancel_futures=True)


def _graded(reply: Json) -> Graded:
    metadata: Json = reply["metadata"]
    raised = [name for name, flag in metadata["errors"].items() if flag is True]
    usage: dict[str, Json] = reply.get("model_grader_token_usage_per_model") or {}
    return Graded(
        reward=None if raised else reply["reward"],
        sub_rewards=reply.get("sub_rewards") or {},
        errors={name: _details(metadata["errors"], name) for name in raised},
        seconds=metadata["execution_time"],
        tokens={judge: counts["total_tokens"] for judge, counts in usage.items()},
    )


def _details(errors: Json, name: str) -> str:
    return str(errors.get(f"{name}_details") or errors.get(f"{name}_type") or "")


def _summary(grades: Sequence[Graded]) -> list[tuple[str, str]]:
    rewards = [grade.reward for grade in grades if grade.reward is not None]
    rows = [("samples", str(len(grades))), ("graded", str(len(rewards)))]
    if rewards:
        figures = {"mean": statistics.fmean(rewards), "median": statistics.median(rewards)}
        figures |= {"lowest": min(rewards), "highest": max(rewards)}
        rows += [(f"reward, {name}", f"{value:.6g}") for name, value in figures.items()]
    for member in sorted({name for grade in grades for name in grade.sub_rewards}):
        scores = [score for grade in grades if (score := grade.sub_rewards.get(member)) is not None]
        rows.append((f"{member}, mean", f"{statistics.fmean(scores):.6g}" if scores else "-"))
    rows += _latency([grade.seconds for grade in grades])
    tokens: Counter[str] = Counter()
    for grade in grades:
        tokens.update(grade.tokens)
    rows += [(f"tokens of {judge}", str(count)) for judge, count in sorted(tokens.items())]
    return rows + _failures(grades)


def _latency(seconds: Sequence[float]) -> list[tuple[str, str]]:
    """As the service measured it; the way there and back is no part of it."""
    ranked = sorted(seconds)
    shares = {"median": 0.5, "99 %": 0.99}
    return [(f"latency, {name}", f"{ranked[int(share * (len(ranked) - 1))] * 1000:.3g} ms") for name, share in shares.items()]


def _failures(grades: Sequence[Graded]) -> list[tuple[str, str]]:
    counts = Counter(kind for grade in grades for kind in grade.errors)
    rows = []
    for kind, count in counts.most_common():
        line, text = next((line, grade.errors[kind]) for line, grade in enumerate(grades, 1) if kind in grade.errors)
        last = text.strip().splitlines()[-1] if text.strip() else ""
        rows.append((kind, f"{count}, first in sample {line}: {last[:_QUOTED]}" if last else str(count)))
    return rows
