"""A served instance with two tenants who own one of everything that has an id."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy import select

from api.app import create_app
from api.chat.client import SamplerClient
from api.context import Context
from core.db import Database
from core.jobs.sql_rows import WEBHOOK_TOPIC
from core.jobs.types import Job
from core.outbox import Relay
from core.processes import SocketService
from core.settings import DEFAULT_PROJECT
from core.tables import Base, ProjectRow
from core.webhooks.deliveries import fan_out
from graders.judges.pool import JudgePool
from tests.integration.api import conftest as api

Json = dict[str, Any]
Ids = dict[str, str]

ADMIN_KEY = "sk-admin-the-tests-own"
THIRD_PROJECT = "proj_third"
SCRIPT = Path(api.__file__).with_name("scripted_sampler.py")
SUCCEEDED = "fine_tuning.job.succeeded"


@dataclass(frozen=True)
class Tenant:
    """A project with its key and the ids of what it owns, by kind."""

    project_id: str
    key: str
    ids: Ids


@dataclass(frozen=True)
class World:
    """The instance and its tenants; `admin` holds the ids of what belongs to neither."""

    base_url: str
    context: Context
    document: Json
    first: Tenant
    second: Tenant
    admin_ids: Ids

    def http(self, key: str | None) -> httpx2.Client:
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        return httpx2.Client(base_url=self.base_url, headers=headers, timeout=60)

    def rows(self) -> dict[str, set[tuple[Any, ...]]]:
        """Every row of the database by table, but for what a request itself writes: when a key was last used."""
        return rows(self.context.database)


@contextmanager
def inhabited(directory: Path, **changes: Any) -> Iterator[World]:
    """A served instance; chat models and judges are scripted, since none of them is what is tested here."""
    settings = api.prepared(directory, admin_key=ADMIN_KEY, **changes)
    app = create_app(settings)
    scripted = SocketService([sys.executable, str(SCRIPT), "{socket}", str(directory)], log=directory / "sampler.log")
    parts = {"sampler": SamplerClient(scripted), "judges": JudgePool(app.state.context.models, scripted)}
    context: Context = dataclasses.replace(app.state.context, **parts)
    with context.database.begin() as session:
        session.add(ProjectRow(project_id=THIRD_PROJECT, name="Third", created_at=0.0))
    app.state.context = context
    with api.serving(app) as base_url:
        first = _settle(base_url, context, directory, DEFAULT_PROJECT, api.KEY)
        second = _settle(base_url, context, directory, api.FOREIGN_PROJECT, api.FOREIGN_KEY)
        with httpx2.Client(base_url=base_url, headers={"authorization": f"Bearer {ADMIN_KEY}"}) as http:
            made = _made(http.post("/v1/organization/admin_api_keys", json={"name": "another"}))
        yield World(base_url, context, app.openapi(), first, second, {"admin_key": made["id"]})


def rows(database: Database) -> dict[str, set[tuple[Any, ...]]]:
    """Every row by table, without the times of keys' last use."""
    with database.read() as session:
        return {
            name: {tuple(map(repr, row)) for row in session.execute(select(*_columns(table)))}
            for name, table in Base.metadata.tables.items()
        }


def _columns(table: Any) -> list[Any]:
    return [column for column in table.columns if column.name != "last_used_at"]


class _Run(api.Run):
    """A job of any project in a runner's hands."""

    def __init__(self, context: Context, project_id: str, job_id: str) -> None:
        self.project_id = project_id
        super().__init__(context, job_id)

    @property
    def job(self) -> Job:
        return self.context.jobs(self.project_id).get(self.job_id)


def _settle(base_url: str, context: Context, directory: Path, project_id: str, key: str) -> Tenant:
    """Make a tenant's belongings. Its checkpoint is shared with a third project, so that there is a permission."""
    with httpx2.Client(base_url=base_url, headers={"authorization": f"Bearer {key}"}, timeout=60) as http:
        ids = _files(http) | _webhooks(http)
        body = job_body(ids["file"])
        job_id = _made(http.post("/v1/fine_tuning/jobs", json=body))["id"]
        place = directory / project_id
        place.mkdir()
        ids |= {"job": job_id} | _trained(_Run(context, project_id, job_id), place)
        Relay(context.database, {WEBHOOK_TOPIC: fan_out}).relay()
        ids["event"] = _first(http, f"/v1/fine_tuning/jobs/{job_id}/events")
        ids["eval"] = _made(http.get(f"/v1/fine_tuning/jobs/{job_id}"))["eval_id"]
        ids["run"] = _first(http, f"/v1/evals/{ids['eval']}/runs")
        ids["output_item"] = _first(http, f"/v1/evals/{ids['eval']}/runs/{ids['run']}/output_items")
        ids["delivery"] = _first(http, f"/v1/webhook_endpoints/{ids['endpoint']}/deliveries")
        ids["rollout"] = _first(http, f"/v1/fine_tuning/jobs/{job_id}/rollouts?step=4")
        body = {"project_ids": [THIRD_PROJECT]}
        ids["permission"] = _made(http.post(f"/v1/fine_tuning/checkpoints/{ids['model']}/permissions", json=body))["data"][0][
            "id"
        ]
        ids |= _access(base_url, project_id)
    return Tenant(project_id, key, ids)


def _files(http: httpx2.Client) -> Ids:
    form = {"files": {"file": ("rows.jsonl", api.jsonl(api.ROWS))}, "data": {"purpose": "fine-tune"}}
    file_id = _made(http.post("/v1/files", **form))["id"]
    upload_id = _made(http.post("/v1/uploads", json=upload_body()))["id"]
    part_id = _made(http.post(f"/v1/uploads/{upload_id}/parts", files={"data": ("part", b"x")}))["id"]
    return {"file": file_id, "upload": upload_id, "part": part_id}


def _webhooks(http: httpx2.Client) -> Ids:
    body = {"name": "hook", "url": "https://hooks.example.com/x", "event_types": [SUCCEEDED]}
    return {"endpoint": _made(http.post("/v1/webhook_endpoints", json=body))["id"]}


def _trained(run: _Run, place: Path) -> Ids:
    """Bring the job to its end, with kept rollouts, a validation and a checkpoint."""
    run.rollouts(4, "valid", 0, 3)
    run.step(4, 0.5)
    model = run.checkpoint(4, 0.5, {"adapter_config.json": b"{}", "adapter_model.safetensors": b"weights"}, place)
    return {"checkpoint": run.checkpoint_id, "model": model, "tuned_model": run.finish()}


def _access(base_url: str, project_id: str) -> Ids:
    """A service account and its key, as an administrator makes them."""
    with httpx2.Client(base_url=base_url, headers={"authorization": f"Bearer {ADMIN_KEY}"}) as http:
        made = _made(http.post(f"/v1/organization/projects/{project_id}/service_accounts", json={"name": "robot"}))
        return {
            "project": project_id,
            "rate_limit": f"rl-{project_id}",
            "account": made["id"],
            "key": made["api_key"]["id"],
        }


def job_body(file_id: str) -> Json:
    """A create body that is as it should be."""
    method = {"type": "reinforcement", "reinforcement": {"grader": dict(api.GRADER)}}
    return {"model": "tiny", "training_file": file_id, "validation_file": file_id, "method": method}


def upload_body() -> Json:
    return {"bytes": 1, "filename": "part.jsonl", "mime_type": "application/jsonl", "purpose": "fine-tune"}


def _made(reply: httpx2.Response) -> Json:
    assert reply.status_code == 200, reply.text
    value: Json = reply.json()
    return value


def _first(http: httpx2.Client, url: str) -> str:
    return str(_made(http.get(url))["data"][0]["id"])
