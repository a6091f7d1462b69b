"""`rft usage`: what jobs have used, day by day."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any

import openai
import typer

from cli.client import DEFAULT_BASE_URL, ApiKey, BaseUrl, CommandFailed, get, service
from cli.output import duration, print_rows

Json = dict[str, Any]

_DAY = 86_400
_MAX_LIMIT = 31
_HEADINGS = ("day", "project", "model", "device time", "steps", "prompt tokens", "sampled tokens", "judge tokens")

AdminKey = Annotated[
    str,
    typer.Option("--admin-key", envvar=["OPENAI_ADMIN_KEY", "RFT_ADMIN_KEY"], help="For --all-projects."),
]


def usage(
    days: Annotated[int, typer.Option(min=1, max=3650, help="How far back, today included.")] = 7,
    all_projects: Annotated[bool, typer.Option("--all-projects", help="Of every project; wants an admin key.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The buckets as JSON.")] = False,
    base_url: BaseUrl = DEFAULT_BASE_URL,
    api_key: ApiKey = "",
    admin_key: AdminKey = "",
) -> None:
    """Device time and tokens of jobs by day (UTC), project and model. Judges' tokens stand under the judge's name."""
    if all_projects and not admin_key:
        raise CommandFailed("No admin key: set OPENAI_ADMIN_KEY or pass --admin-key.")
    path = "/organization/usage/fine_tuning" if all_projects else "/fine_tuning/usage"
    with service(base_url, admin_key if all_projects else api_key) as client:
        buckets = _buckets(client, path, days)
    if as_json:
        typer.echo(json.dumps(buckets, indent=2))
        return
    print_rows(_HEADINGS, [_row(bucket, result) for bucket in buckets for result in bucket["results"]])


def _buckets(client: openai.OpenAI, path: str, days: int) -> list[Json]:
    today = int(time.time()) // _DAY * _DAY
    params: Json = {"start_time": today - (days - 1) * _DAY, "limit": _MAX_LIMIT, "group_by": ["project_id", "model"]}
    buckets: list[Json] = []
    while True:
        reply = get(client, path, params=params)
        assert reply is not None
        page = reply.json()
        buckets += page["data"]
        if not page["has_more"]:
            return buckets
        params["page"] = page["next_page"]


def _row(bucket: Json, result: Json) -> tuple[str, ...]:
    day = time.strftime("%Y-%m-%d", time.gmtime(bucket["start_time"]))
    judge = result["judge_input_tokens"] + result["judge_output_tokens"]
    numbers = (result["num_steps"], result["input_tokens"], result["output_tokens"], judge)
    return (day, result["project_id"], result["model"], duration(result["device_seconds"]), *map(str, numbers))
