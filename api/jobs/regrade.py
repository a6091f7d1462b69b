"""A job's kept rollouts scored by another grader, beside the grades they have: our extension. The job stays as it is."""

from __future__ import annotations

import heapq
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, Literal

import pyarrow.parquet as pq
from anyio import CapacityLimiter, to_thread
from pydantic import BaseModel, ConfigDict, Field

from api.context import Context
from api.errors import error_body
from api.jobs.regrade_report import MAX_SHOWN, Rescored, progress_object, report_object
from api.jobs.rollouts import RolloutId
from core import response_format
from core.datasets.pick import pick_rows
from core.errors import InvalidRequest, NotFound, RftError
from core.files import FileStore
from core.jobs.kept import kept_batches
from core.jobs.types import BatchRecord
from core.storage.base import ObjectKey, ObjectStore
from graders.base import FailureKind, Grade, Grader, TokenUsage, total_usage
from graders.build import build
from graders.completion import sample_of
from graders.regrade import Regraded
from graders.spec import parse
from graders.specs.base import GraderSpec

Json = dict[str, Any]

MAX_ROLLOUTS = 20_000
MAX_ROWS_BYTES = 256 << 20
_MAX_STEP = 2**31 - 1
_AT_ONCE = 64
"""Rollouts that go to the grader together; progress is told after each lot."""
_COLUMNS = ("step", "split", "batch", "example", "sample", "prompt", "completion", "reward", "error_kind")


class RegradeJob(BaseModel):
    """The body of a regrade call."""

    model_config = ConfigDict(extra="forbid")

    grader: Json
    step: Annotated[int, Field(ge=0, le=_MAX_STEP)] | Literal["last", "all"] = "last"
    split: Literal["train", "valid"] = "train"
    top: int = Field(default=10, ge=0, le=MAX_SHOWN)
    """How many of the most changed, and how many of the failed samples the reply shows."""
    stream: bool = False


def begin_regrade(context: Context, project_id: str, job_id: str, asked: RegradeJob) -> Regrading:
    """Check all that can be checked, and read the rows that graders need.

    Raises `InvalidRequest` for a wrong grader or too much to grade, `NotFound` for an unknown job or a deleted file.
    """
    spec, parts = parse(asked.grader), context.grader_parts(project_id)
    parts.check(spec)
    job = context.jobs(project_id).get(job_id)
    batches = kept_batches(context.database, project_id, job_id, split=asked.split, steps=asked.step)
    _check_size(sum(batch.samples for batch in batches), asked)
    examples = {example for batch in batches for example in _examples(context.objects, batch)}
    file_id = job.training_file if asked.split == "train" else job.validation_file
    return Regrading(
        context.objects,
        job_id,
        asked,
        spec,
        # The sandbox and the judges are shared with other requests, so that nothing of the grader is left to close.
        build(spec, parts),
        batches,
        _items(context.files(project_id), file_id or "", examples),
        response_format.parse(job.reinforcement.get("response_format"), "response_format") is not None,
    )


@dataclass(frozen=True)
class Regrading:
    """One regrading: `begin_regrade` checks what can be checked, `run` grades."""

    objects: ObjectStore
    job_id: str
    asked: RegradeJob
    spec: GraderSpec
    grader: Grader
    batches: Sequence[BatchRecord]
    items: Mapping[int, Json]
    """Rows of the data file, by their places."""
    as_json: bool
    """Whether graders see the completions as JSON, too."""

    async def run(self, limiter: CapacityLimiter) -> AsyncIterator[Json]:
        """Progress after each lot, then the report. Each lot takes a thread of `limiter`, so that callers take turns."""
        lots = self._lots()
        while (reply := await to_thread.run_sync(next, lots, None, limiter=limiter)) is not None:
            yield reply

    async def report(self, limiter: CapacityLimiter) -> Json:
        """The report alone."""
        async for reply in self.run(limiter):
            last = reply
        return last

    async def events(self, limiter: CapacityLimiter) -> AsyncIterator[bytes]:
        """The same as server-sent events; an error on the way is the last of them."""
        try:
            async for reply in self.run(limiter):
                yield _sent(reply)
        except RftError as error:
            yield _sent(error_body(error))

    def _lots(self) -> Iterator[Json]:
        total = sum(batch.samples for batch in self.batches)
        compared: list[Regraded] = []
        changed: list[tuple[float, int, Rescored]] = []
        failed: list[Rescored] = []
        usage: dict[str, TokenUsage] = {}
        rows = (row for batch in self.batches for row in _rows(self.objects, batch))
        while lot := list(islice(rows, _AT_ONCE)):
            for rescored in self._graded(lot):
                compared.append(rescored.pair)
                usage = total_usage([usage, rescored.after.usage])
                _keep_largest(changed, (abs(rescored.pair.change), -len(compared), rescored), self.asked.top)
                if rescored.pair.after is None and len(failed) < self.asked.top:
                    failed.append(rescored)
            yield progress_object(len(compared), total)
        largest = [rescored for change, _, rescored in sorted(changed, reverse=True) if change > 0]
        steps = sorted({batch.step for batch in self.batches})
        yield report_object(self.job_id, self.spec, self.asked.split, steps, compared, largest, failed, usage)

    def _graded(self, lot: Sequence[Json]) -> Iterator[Rescored]:
        samples = [sample_of(self.items.get(row["example"], {}), row["completion"], as_json=self.as_json) for row in lot]
        for row, result in zip(lot, self.grader.grade(samples), strict=True):
            pair = Regraded(
                group=(row["step"], row["example"]),
                before=row["reward"],
                after=result.score if isinstance(result, Grade) else None,
                failure_before=None if row["error_kind"] is None else FailureKind(row["error_kind"]),
                failure_after=None if isinstance(result, Grade) else result.kind,
            )
            yield Rescored(_id_of(row), row["prompt"], row["completion"], pair, result)


def _items(files: FileStore, file_id: str, examples: Set[int]) -> dict[int, Json]:
    try:
        with files.open(file_id) as stream:
            return pick_rows(stream, examples, MAX_ROWS_BYTES)
    except NotFound:
        message = f"The data file '{file_id}' of the job is gone, and graders need its rows."
        raise NotFound(message, param="split", code="file_not_found") from None


def _keep_largest(heap: list[tuple[float, int, Rescored]], entry: tuple[float, int, Rescored], limit: int) -> None:
    """Earlier ones first where two are as large: the second member of an entry is its place, negative."""
    if len(heap) < limit:
        heapq.heappush(heap, entry)
    elif limit:
        heapq.heappushpop(heap, entry)


def _check_size(total: int, asked: RegradeJob) -> None:
    if total == 0:
        message = f"The job has no kept rollouts of the split '{asked.split}' at the step asked for ({asked.step})."
        raise InvalidRequest(message, param="step", code="no_rollouts")
    if total > MAX_ROLLOUTS:
        message = f"These are {total:,} rollouts, and {MAX_ROLLOUTS:,} at most are graded again in one call. Choose a step."
        raise InvalidRequest(message, param="step", code="too_many_rollouts")


def _id_of(row: Json) -> RolloutId:
    return RolloutId(row["split"], row["step"], row["batch"], row["example"], row["sample"])


def _examples(objects: ObjectStore, batch: BatchRecord) -> set[int]:
    with objects.open(ObjectKey.parse(batch.object_key)) as source:
        return set(pq.ParquetFile(source).read(columns=["example"]).column("example").to_pylist())


def _rows(objects: ObjectStore, batch: BatchRecord) -> list[Json]:
    with objects.open(ObjectKey.parse(batch.object_key)) as source:
        found: list[Json] = pq.ParquetFile(source).read(columns=list(_COLUMNS)).to_pylist()
    return found


def _sent(reply: Json) -> bytes:
    return f"data: {json.dumps(reply, ensure_ascii=False)}\n\n".encode()
