"""`rft jobs watch`: a job as it runs. On a terminal a live picture, elsewhere a line for each step."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import openai
import typer
from openai.types.fine_tuning import FineTuningJob
from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cli.client import get
from cli.output import console, duration, sparkline

Json = dict[str, Any]

POLL_SECONDS = 1.0
OUTAGE_SECONDS = 60.0
"""For so long a service that does not answer is asked again."""
ENDED = frozenset({"succeeded", "failed", "cancelled"})
_WIDTH = 60
_LABEL = 7


@dataclass
class Watched:
    """What is known of a job: its object and the metrics of its steps so far."""

    job: FineTuningJob
    steps: list[Json] = field(default_factory=list)

    @property
    def step(self) -> int:
        """The last committed step."""
        return int(self.steps[-1]["step"]) if self.steps else 0

    @property
    def total_steps(self) -> int | None:
        """Steps of the whole run, known with the first metrics."""
        return int(self.steps[-1]["total_steps"]) if self.steps else None

    @property
    def train_rewards(self) -> list[float]:
        """Mean training reward of each step that has one."""
        return [step["train_mean_reward"] for step in self.steps if step.get("train_mean_reward") is not None]

    @property
    def valid_rewards(self) -> list[float]:
        """Mean validation reward of each evaluation."""
        return [step["full_valid_mean_reward"] for step in self.steps if step.get("full_valid_mean_reward") is not None]

    @property
    def time_left(self) -> str | None:
        """By the service's estimate."""
        finish = self.job.estimated_finish
        return duration(finish - time.time()) if finish and self.job.status == "running" else None


class Feed:
    """Asks the service what is new: metrics from the last known step on, with their ETag, which is cheap while nothing moves."""

    def __init__(self, client: openai.OpenAI, job_id: str) -> None:
        self._client = client
        self._etag: str | None = None
        self.watched = Watched(client.fine_tuning.jobs.retrieve(job_id))
        self._new_steps()

    def refresh(self) -> list[Json]:
        """Bring the job up to date; returns the steps that were not known before."""
        self.watched.job = self._client.fine_tuning.jobs.retrieve(self.watched.job.id)
        return self._new_steps()

    def _new_steps(self) -> list[Json]:
        after = self.watched.step if self.watched.steps else -1
        reply = get(
            self._client, f"/fine_tuning/jobs/{self.watched.job.id}/metrics", params={"after_step": after}, etag=self._etag
        )
        if reply is None:
            return []
        steps: list[Json] = reply.json()["data"]
        # The tag belongs to the question: with new steps known, the next question is another one.
        self._etag = None if steps else reply.headers.get("etag")
        self.watched.steps.extend(steps)
        return steps


def follow(client: openai.OpenAI, job_id: str) -> FineTuningJob:
    """Show the job until it has ended; returns it as it ended. Short outages of the service are waited out."""
    feed = Feed(client, job_id)
    typer.echo(f"dashboard {page_of(client, job_id)}")
    (_follow_live if console.is_terminal else _follow_lines)(feed)
    job = feed.watched.job
    console.print(_ending(job))
    return job


def page_of(client: openai.OpenAI, job_id: str) -> str:
    """The address of the job's page in the dashboard of the service that the client talks to."""
    root = str(client.base_url).rstrip("/").removesuffix("/v1")
    return f"{root}/dashboard/jobs/{job_id}"


def _follow_live(feed: Feed) -> None:
    with Live(picture(feed.watched), console=console, auto_refresh=False) as live:
        while feed.watched.job.status not in ENDED:
            time.sleep(POLL_SECONDS)
            _refresh(feed)
            live.update(picture(feed.watched), refresh=True)


def _follow_lines(feed: Feed) -> None:
    status, fresh = "", list(feed.watched.steps)
    while True:
        for step in fresh:
            typer.echo(_line(step, feed.watched))
        if feed.watched.job.status != status:
            status = feed.watched.job.status
            typer.echo(status)
        if status in ENDED:
            return
        time.sleep(POLL_SECONDS)
        fresh = _refresh(feed)


def _refresh(feed: Feed) -> list[Json]:
    deadline = time.monotonic() + OUTAGE_SECONDS
    while True:
        try:
            return feed.refresh()
        except (openai.APIConnectionError, openai.InternalServerError):
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_SECONDS)


def picture(watched: Watched) -> RenderableType:
    """Progress, time left, latest rewards and their curves."""
    job, total = watched.job, watched.total_steps
    head = Text.assemble((job.id, "bold"), "  ", job.model, "  ", (job.status, _color(job.status)))
    if total is None:
        return head
    progress = Table.grid(padding=(0, 1))
    left = watched.time_left
    progress.add_row(
        ProgressBar(total=total, completed=watched.step, width=_WIDTH),
        f"step {watched.step}/{total}",
        f"{left} left" if left else "",
    )
    return Group(head, progress, *_curves(watched))


def _curves(watched: Watched) -> list[Text]:
    """Both curves on one scale, so that they compare."""
    train, valid = watched.train_rewards, watched.valid_rewards
    values = train + valid
    if not values:
        return []
    low, high = min(values), max(values)
    width = _WIDTH - 2 * _LABEL
    lines = []
    for name, rewards, color in (("train", train, "green"), ("valid", valid, "blue")):
        if rewards:
            curve = sparkline(rewards, width, low=low, high=high)
            lines.append(Text.assemble(f"{name:<{_LABEL}}", (f"{rewards[-1]:.3f}  ", "bold"), (curve, color)))
    return [*lines, Text(f"{'':<{_LABEL}}from {low:.3f} to {high:.3f}", style="dim")]


def _line(step: Json, watched: Watched) -> str:
    parts = [f"step {step['step']}/{step['total_steps']}"]
    for name, key in (("train", "train_mean_reward"), ("valid", "full_valid_mean_reward")):
        if step.get(key) is not None:
            parts.append(f"{name} {step[key]:.3f}")
    left = watched.time_left
    return "  ".join([*parts, f"{left} left"] if left else parts)


def _ending(job: FineTuningJob) -> Text:
    if job.status == "succeeded":
        return Text(f"{job.id} succeeded: {job.fine_tuned_model}", style="green")
    reason = f": {job.error.message}" if job.error and job.error.message else ""
    return Text(f"{job.id} {job.status}{reason}", style=_color(job.status))


def _color(status: str) -> str:
    return {"succeeded": "green", "failed": "red", "cancelled": "yellow", "paused": "yellow"}.get(status, "cyan")
