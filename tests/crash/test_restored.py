"""Back-ups as docs/operations.md tells: its own commands, on a service at work, which is then destroyed and restored."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url

from cli.topology.postgres import programs
from core.jobs.types import Job, JobStatus
from tests import s3
from tests.service import Outcome, Service, kill, rows, runner_of

from .conftest import create

pytestmark = pytest.mark.heavy

OPERATIONS = Path(__file__).resolve().parents[2] / "docs" / "operations.md"


def commands(heading: str) -> str:
    """The commands of a chapter."""
    chapter = OPERATIONS.read_text(encoding="utf-8").split(f"### {heading}\n")[1]
    found = re.search(r"^```bash\n(.*?)^```", chapter, flags=re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def run(heading: str, **variables: str) -> None:
    subprocess.run(["bash", "-euo", "pipefail", "-c", commands(heading)], env={**os.environ, **variables}, check=True)


@dataclass(frozen=True)
class World:
    """Somewhere that a service lives, and how it is backed up, destroyed and brought back."""

    open: Callable[[], Service]
    back_up: Callable[[], None]
    destroy: Callable[[], None]
    restore: Callable[[], None]


def goes_on_after_a_restore(world: World, undisturbed: Outcome) -> None:
    """A job that was at work when the back-up was made ends with the bits of one never disturbed; one that had ended is whole."""
    service = world.open()
    with service.supervisor() as supervisor:
        ended = service.wait_for_end(small(service).id)
        assert ended.status is JobStatus.SUCCEEDED, service.log()[-4000:]
        before = seen(service, ended)
        job = create(service)
        service.wait_for_step(job.id, 3)
        world.back_up()
        service.wait_for_step(job.id, 4)
        for process in (supervisor, runner_of(supervisor)):
            if process is not None:
                kill(process)
    service.close()
    world.destroy()
    world.restore()
    restored = world.open()
    assert restored.jobs.get(job.id).step >= 3
    assert seen(restored, ended) == before
    assert restored.run(job).status is JobStatus.SUCCEEDED, restored.log()[-4000:]
    assert restored.outcome(job.id) == undisturbed
    restored.close()


def small(service: Service) -> Job:
    options = {"samples_per_prompt": 4, "max_completion_tokens": 4}
    steps = {"n_epochs": 1, "batch_size": 2}
    return service.create(train=rows(4), valid=rows(2), hyperparameters=steps, options=options)


def seen(service: Service, job: Job) -> Any:
    """What a client can read of a job that has ended."""
    (file,) = service.jobs.get(job.id).result_files
    with service.files.open(file) as results:
        return service.jobs.get(job.id), service.history(job.id), service.outcome(job.id), results.read()


def test_sqlite_and_files(model: Path, undisturbed: Outcome, tmp_path: Path) -> None:
    data, backup = tmp_path / "data", tmp_path / "backup"
    variables = {"RFT_DATA_DIR": str(data), "BACKUP": str(backup)}
    world = World(
        open=lambda: Service(data, model),
        back_up=lambda: run("Back up `rft serve`", **variables),
        destroy=lambda: shutil.rmtree(data),
        restore=lambda: run("Restore `rft serve`", **variables),
    )
    goes_on_after_a_restore(world, undisturbed)


def test_postgresql_and_a_bucket(
    model: Path,
    undisturbed: Outcome,
    tmp_path: Path,
    postgres_database: str,
    s3_endpoint: str,
    s3_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backup, bucket, other = tmp_path / "backup", s3_url.split("/")[2], s3.new_bucket(s3_endpoint)
    backup.mkdir()
    monkeypatch.setenv("RFT_DATABASE_URL", postgres_database)
    monkeypatch.setenv("RFT_OBJECT_STORE_URL", s3_url)
    client, url = s3.client(s3_endpoint), make_url(postgres_database).set(drivername="postgresql")
    database, server = (one.render_as_string(hide_password=False) for one in (url, url.set(database="postgres")))
    path = f"{programs(tmp_path, None)}{os.pathsep}{os.environ['PATH']}"
    variables = {"PATH": path, "DATABASE": database, "SERVER": server, "NAME": str(url.database), "BACKUP": str(backup)}

    def back_up() -> None:
        copy(client, bucket, other)
        run("Back up PostgreSQL and a bucket", **variables)
        copy(client, bucket, other)

    def destroy() -> None:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{url.database}" WITH (FORCE)')
        for key in keys(client, bucket):
            client.delete_object(Bucket=bucket, Key=key)

    def restore() -> None:
        copy(client, other, bucket)
        run("Restore PostgreSQL and a bucket", **variables)

    goes_on_after_a_restore(World(lambda: Service(tmp_path / "data", model), back_up, destroy, restore), undisturbed)


def keys(client: Any, bucket: str) -> list[str]:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return [found["Key"] for page in pages for found in page.get("Contents", ())]


def copy(client: Any, source: str, target: str) -> None:
    """What is there and may be gone a moment later, as every tool that copies buckets does."""
    for key in keys(client, source):
        try:
            client.copy_object(Bucket=target, Key=key, CopySource={"Bucket": source, "Key": key})
        except client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchKey":
                raise
