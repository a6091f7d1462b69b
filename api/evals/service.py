"""The evals of a project's jobs, put together from what the jobs have kept."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from api.context import Context
from api.evals.criteria import Criterion, criteria, overall
from api.evals.ids import ItemId, RunId
from api.evals.rollouts import Result, counts, result_of, rows
from api.evals.schemas import item_object, run_object, status_of
from core.errors import NotFound
from core.files import FileStore
from core.jobs.evals import EvalStore, Run, RunStatus
from core.jobs.names import model_names
from core.jobs.sql_store import unknown_cursor
from core.jobs.types import BatchRecord, Job, Page

Json = dict[str, Any]

_BOM = b"\xef\xbb\xbf"


class EvalService:
    """What a project may read of its evals. Unknown and foreign ids raise `NotFound`."""

    def __init__(self, context: Context, project_id: str) -> None:
        self._objects = context.objects
        self._organization = context.settings.organization
        self._files = context.files(project_id)
        self.evals = EvalStore(context.database, project_id)

    def runs(self, eval_id: str, *, after: str | None, limit: int, ascending: bool, status: RunStatus | None) -> Page[Json]:
        """Run objects of an eval by step. Raises `InvalidRequest` for a cursor not of this eval."""
        job = self.evals.get(eval_id)
        cursor = None if after is None else RunId.parse(after)
        if after is not None and (cursor is None or cursor.eval_id != eval_id or self.evals.run(job, cursor.step) is None):
            raise unknown_cursor(after)
        page = self.evals.runs(
            job, after=None if cursor is None else cursor.step, limit=limit, ascending=ascending, status=status
        )
        return Page(tuple(self._run_object(job, run) for run in page.data), page.has_more)

    def run(self, eval_id: str, run_id: str) -> Json:
        """One run object."""
        return self._run_object(*self._find(eval_id, run_id))

    def items(
        self, eval_id: str, run_id: str, *, after: str | None, limit: int, ascending: bool, status: str | None
    ) -> Page[Json]:
        """Output items of a run in the order they were sampled, or backwards; `status` keeps those that `pass` or `fail`."""
        job, run = self._find(eval_id, run_id)
        cursor = None if after is None else self._cursor(run, run_id, after)
        whole = overall(job)
        found: list[tuple[ItemId, Json]] = []
        for item_id, row in self._rows(RunId(eval_id, run.step), run.batches, cursor, ascending=ascending):
            if status is None or status_of(result_of(row, whole)) == status:
                found.append((item_id, row))
            if len(found) > limit:
                break
        return Page(tuple(self._item_objects(job, run, found[:limit])), has_more=len(found) > limit)

    def item(self, eval_id: str, run_id: str, item_id: str) -> Json:
        """One output item."""
        job, run = self._find(eval_id, run_id)
        wanted = ItemId.parse(item_id)
        if wanted is not None and str(wanted.run) == run_id:
            for batch in run.batches:
                found = rows(self._objects, batch) if batch.index == wanted.batch else []
                if wanted.row < len(found):
                    return next(self._item_objects(job, run, [(wanted, found[wanted.row])]))
        raise NotFound(f"Could not find output item: {item_id}", param="output_item_id", code="output_item_not_found")

    def _find(self, eval_id: str, run_id: str) -> tuple[Job, Run]:
        job = self.evals.get(eval_id)
        wanted = RunId.parse(run_id)
        run = self.evals.run(job, wanted.step) if wanted is not None and wanted.eval_id == eval_id else None
        if run is None:
            raise NotFound(f"Could not find eval run: {run_id}", param="run_id", code="eval_run_not_found")
        return job, run

    def _cursor(self, run: Run, run_id: str, after: str) -> ItemId:
        cursor = ItemId.parse(after)
        samples = {batch.index: batch.samples for batch in run.batches}
        if cursor is None or str(cursor.run) != run_id or cursor.row >= samples.get(cursor.batch, 0):
            raise unknown_cursor(after)
        return cursor

    def _rows(
        self, run_id: RunId, batches: Sequence[BatchRecord], cursor: ItemId | None, *, ascending: bool
    ) -> Iterator[tuple[ItemId, Json]]:
        """The rows behind the cursor, one batch in memory at a time."""
        for batch in batches if ascending else batches[::-1]:
            if cursor is not None and (batch.index < cursor.batch if ascending else batch.index > cursor.batch):
                continue
            numbered = [(ItemId(run_id, batch.index, i), row) for i, row in enumerate(rows(self._objects, batch))]
            for item_id, row in numbered if ascending else numbered[::-1]:
                is_behind = cursor is None or item_id.batch != cursor.batch
                if is_behind or (item_id.row > cursor.row if ascending else item_id.row < cursor.row):  # type: ignore[union-attr]
                    yield item_id, row

    def _run_object(self, job: Job, run: Run) -> Json:
        names = criteria(job)
        return run_object(job, run, counts(self._objects, run.batches, overall(job), names), names, self._model(job, run.step))

    def _item_objects(self, job: Job, run: Run, found: Sequence[tuple[ItemId, Json]]) -> Iterator[Json]:
        asked = _graders(job)
        items = _rows_of_file(self._files, job.validation_file, {row["example"] for _, row in found})
        model = self._model(job, run.step)
        for item_id, row in found:
            results: list[Result] = [result_of(row, criterion) for criterion in asked]
            yield item_object(job, run, item_id, row, results, items.get(row["example"], {}), model)

    def _model(self, job: Job, step: int) -> str:
        """The model that was validated: what the job started from, then the name that a checkpoint of the step has."""
        if step == 0:
            return str(job.request["model"])
        return f"{model_names(job.base_model, self._organization, job.request.get('suffix'), job.id)[1]}{step}"


def _graders(job: Job) -> tuple[Criterion, ...]:
    """The whole grader, then the members of a `multi` one."""
    return tuple(dict.fromkeys((overall(job), *criteria(job))))


def _rows_of_file(files: FileStore, file_id: str | None, wanted: Collection[int]) -> dict[int, Json]:
    """Some rows of a dataset by their number; none where the file does not exist any more. Holds one other line at a time."""
    last = max(wanted, default=-1)
    found: dict[int, Json] = {}
    try:
        with files.open(str(file_id)) as stream:
            for number, line in enumerate(stream):
                if number in wanted:
                    found[number] = json.loads(line.removeprefix(_BOM))
                if number >= last:
                    break
    except NotFound:
        return {}
    return found
