"""A checkpoint's weights as one tar: its adapter as it is stored, or the whole model with the adapter merged in."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from urllib.parse import quote

from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from api.context import Context
from api.jobs.tar import Member, archive, archive_size, directory_members
from core.errors import NotFound
from core.jobs.base import JobStore
from core.jobs.ranking import best_first
from core.jobs.types import Checkpoint, Job
from core.storage import manifest
from core.storage.base import ObjectKey, ObjectStore

_ALL = 10_000
_BEST, _LAST = "best", "last"


def find_checkpoint(jobs: JobStore, job_id: str, name: str) -> tuple[Job, Checkpoint]:
    """A checkpoint of a job by its id, or as `best` (highest validation reward) or `last`. Raises `NotFound`."""
    job = jobs.get(job_id)
    checkpoints = jobs.checkpoints(job_id, after=None, limit=_ALL).data
    chosen: Checkpoint | None
    if name == _LAST:
        chosen = next(iter(checkpoints), None)
    elif name == _BEST:
        chosen = next(iter(best_first(checkpoints)), None)
    else:
        chosen = next((checkpoint for checkpoint in checkpoints if checkpoint.id == name), None)
    if chosen is None:
        message = f"Could not find checkpoint: {name}"
        raise NotFound(message, param="fine_tuning_checkpoint_id", code="checkpoint_not_found")
    return job, chosen


def adapter_tar(objects: ObjectStore, checkpoint: Checkpoint) -> StreamingResponse:
    """The stored files, each verified while it is sent. Raises `CorruptObject` where the manifest is damaged."""
    key = ObjectKey.parse(checkpoint.manifest_key)
    parts = manifest.read(objects, key).parts
    return _tar(
        [Member(part.name, part.bytes, partial(manifest.stream, objects, key, part)) for part in parts], checkpoint, "adapter"
    )


async def merged_tar(context: Context, job: Job, checkpoint: Checkpoint) -> StreamingResponse:
    """The merged model, made by the sampler and gone from the disk once it is sent. Raises what `SamplerClient.merge` raises."""
    directory = await context.sampler.merge(job.base_model, checkpoint.manifest_key)
    members = await run_in_threadpool(directory_members, directory)
    return _tar(members, checkpoint, "merged", remove=directory)


class _RemovingResponse(StreamingResponse):
    """Removes a directory when the reply is over, also where the client hangs up."""

    directory: Path | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            if self.directory is not None:
                shutil.rmtree(self.directory)


def _tar(members: list[Member], checkpoint: Checkpoint, form: str, *, remove: Path | None = None) -> StreamingResponse:
    filename = f"{checkpoint.id}-{form}.tar"
    headers = {
        "content-length": str(archive_size(members)),
        "content-disposition": f"attachment; filename*=UTF-8''{quote(filename, safe='')}",
    }
    response = _RemovingResponse(archive(members), media_type="application/x-tar", headers=headers)
    response.directory = remove
    return response
