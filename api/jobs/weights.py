"""A checkpoint's weights as one tar: its adapter as it is stored, or the whole model, an adapter merged in."""

from __future__ import annotations

from functools import partial
from urllib.parse import quote

from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from api.chat.client import Download
from api.context import Context
from core.errors import InvalidRequest, NotFound
from core.jobs.base import JobStore
from core.jobs.ranking import best_first
from core.jobs.types import Checkpoint, Job
from core.storage import manifest
from core.storage.base import ObjectKey, ObjectStore
from core.tar import Member, archive, archive_size

_ALL = 10_000
_BEST, _LAST = "best", "last"
_TAR = "application/x-tar"
_MODEL_CONFIG = "config.json"


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
    """The stored files, each verified while it is sent.

    Raises `CorruptObject` where the manifest is damaged, `InvalidRequest` where the checkpoint has no adapter.
    """
    if _is_whole(objects, checkpoint):
        message = "Every weight of this checkpoint was trained, so it has no adapter: download it with format=merged."
        raise InvalidRequest(message, param="format", code="no_adapter")
    return _stored_tar(objects, checkpoint, "adapter")


async def merged_tar(context: Context, job: Job, checkpoint: Checkpoint) -> StreamingResponse:
    """The whole model: as it is stored, or made by the sampler from an adapter. Raises what `SamplerClient.merged` raises."""
    if await run_in_threadpool(_is_whole, context.objects, checkpoint):
        return await run_in_threadpool(_stored_tar, context.objects, checkpoint, "merged")
    download = await context.sampler.merged(job.base_model, checkpoint.manifest_key)
    response = _DownloadResponse(download.pieces, media_type=_TAR, headers=_headers(checkpoint, "merged", download.size))
    response.download = download
    return response


def _is_whole(objects: ObjectStore, checkpoint: Checkpoint) -> bool:
    """Whether a model is stored, and not an adapter."""
    parts = manifest.read(objects, ObjectKey.parse(checkpoint.manifest_key)).parts
    return any(part.name == _MODEL_CONFIG for part in parts)


def _stored_tar(objects: ObjectStore, checkpoint: Checkpoint, form: str) -> StreamingResponse:
    key = ObjectKey.parse(checkpoint.manifest_key)
    parts = manifest.read(objects, key).parts
    members = [Member(part.name, part.bytes, partial(manifest.stream, objects, key, part)) for part in parts]
    return StreamingResponse(archive(members), media_type=_TAR, headers=_headers(checkpoint, form, archive_size(members)))


class _DownloadResponse(StreamingResponse):
    """Lets go of the sampler when the reply is over, also where the client hangs up."""

    download: Download

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self.download.close()


def _headers(checkpoint: Checkpoint, form: str, size: int) -> dict[str, str]:
    filename = f"{checkpoint.id}-{form}.tar"
    return {
        "content-length": str(size),
        "content-disposition": f"attachment; filename*=UTF-8''{quote(filename, safe='')}",
    }
