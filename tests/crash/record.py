"""What of a finished job may not depend on what happened to it on the way, and what may not be left behind."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select

from core.jobs import state
from core.jobs.types import Event, Job
from core.settings import DEFAULT_PROJECT
from core.storage import manifest
from core.storage.base import ObjectKey
from core.tables import BatchRow, CheckpointRow, FileRow, StateRow
from tests.service import Json, Service
from worker.light.orphans import OrphanObjects
from worker.rollouts import Batch

_OF_A_DISTURBANCE = {state.WORKER_LOST, state.CONTINUED}
_OF_THE_MACHINE = {"peak_rss_bytes", "seconds_left"}
_NAMES = re.compile(r"\b(file|ftjob|ftckpt)[-_]\w+|ft:\S+?(?=:ckpt|\s|$)")


@dataclass(frozen=True)
class Record:
    """A job's end. Two runs of one job have equal records, whatever befell them; times and ids are left out."""

    status: str
    error: str
    trained_tokens: int
    checkpoints: tuple[Any, ...]
    """Step, reward, and the hashes of all parts, of every checkpoint."""
    metrics: tuple[str, ...]
    events: tuple[str, ...]
    rollouts: tuple[Any, ...]
    result_files: int

    @classmethod
    def of(cls, service: Service, job: Job) -> Record:
        steps = service.jobs.steps(job.id, after_step=-1)
        events = service.history(job.id)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        return cls(
            str(job.status),
            str(job.error and job.error["message"]),
            job.trained_tokens,
            _checkpoints(service, job),
            tuple(repr(_timeless(metrics)) for metrics in steps),
            tuple(_told(event) for event in events if event.message not in _OF_A_DISTURBANCE),
            _rollouts(service, job, len(steps)),
            len([file for file in service.files.list(purpose="fine-tune-results").data if file.id in job.result_files]),
        )

    def differences(self, other: Record) -> list[str]:
        """The names of what differs."""
        return [name for name, value in vars(self).items() if value != getattr(other, name)]


def orphans(service: Service) -> list[str]:
    """After a sweep: objects that no row names, and rows whose object is not there or not what was written."""
    OrphanObjects(service.database, service.objects, min_age=0.0).run()
    with service.database.read() as session:
        single = {*session.scalars(select(BatchRow.object_key)), *session.scalars(select(FileRow.object_key))}
        manifests = {*session.scalars(select(StateRow.manifest_key)), *session.scalars(select(CheckpointRow.manifest_key))}
    wrong = [f"{key}: damaged" for key in sorted(manifests) if not _is_whole(service, ObjectKey.parse(key))]
    projects = [DEFAULT_PROJECT, *sorted({key.split("/")[0] for key in single} - {DEFAULT_PROJECT})]
    there = {str(key) for project in projects for key in service.objects.list(ObjectKey.of(project))}
    parts = {
        str(manifest.part_key(ObjectKey.parse(key), part.name))
        for key in manifests
        for part in manifest.read(service.objects, ObjectKey.parse(key)).parts
    }
    named = single | manifests | parts
    return [*wrong, *(f"{key}: no row" for key in sorted(there - named)), *(f"{key}: gone" for key in sorted(named - there))]


def surplus_files(service: Service) -> int:
    """Result files that a client can see and that are of no job."""
    with service.database.read() as session:
        files = set(session.scalars(select(FileRow.id).where(FileRow.purpose == "fine-tune-results")))
    jobs = service.jobs.list(after=None, limit=1000, metadata=None).data
    return len(files - {file for job in jobs for file in job.result_files})


def _is_whole(service: Service, key: ObjectKey) -> bool:
    with tempfile.TemporaryDirectory() as directory:
        manifest.fetch(service.objects, key, Path(directory) / "parts")
    return True


def _checkpoints(service: Service, job: Job) -> tuple[Any, ...]:
    kept = service.jobs.checkpoints(job.id, after=None, limit=100).data
    return tuple((one.step, one.valid_reward, _hashes(service, one.manifest_key)) for one in kept)


def _hashes(service: Service, key: str) -> tuple[tuple[str, str], ...]:
    return tuple((part.name, part.sha256) for part in manifest.read(service.objects, ObjectKey.parse(key)).parts)


def _timeless(metrics: Json) -> Json:
    own = {name: value for name, value in metrics["touchstone"].items() if name not in _OF_THE_MACHINE}
    return {**{name: value for name, value in metrics.items() if name != "timing"}, "touchstone": own}


def _told(event: Event) -> str:
    return f"{event.level} {event.type} {_NAMES.sub('…', event.message)}"


def _rollouts(service: Service, job: Job, steps: int) -> tuple[Any, ...]:
    return tuple(
        (step, split, _drawn(batch))
        for step in range(steps)
        for split in ("train", "valid")
        for batch in service.rollouts(job.id, step, split)
    )


def _drawn(batch: Batch) -> tuple[Any, ...]:
    return tuple((r.example, r.sample, r.completion, r.reward, r.advantage) for r in batch.rollouts)
