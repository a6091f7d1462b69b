"""A PostgreSQL with years of history in it, made by SQL: finished jobs with their events, and jobs that wait."""

from __future__ import annotations

import json

from sqlalchemy import Connection, text

from benchmarks.api_world import GRADER
from core.db import Database
from core.jobs.types import Json
from core.projects import ensure_default_project
from core.schema import migrate

PROJECTS = ("proj_default", "proj_second", "proj_third", "proj_fourth")
METHOD = {"type": "reinforcement", "reinforcement": {"grader": GRADER, "hyperparameters": {"n_epochs": 4, "batch_size": 16}}}
REQUEST: Json = {"model": "tiny", "training_file": "file-A", "validation_file": "file-B", "method": METHOD, "seed": 7}
PLAN: Json = {"total_steps": 50}
METRICS = {
    "step": 10,
    "total_steps": 50,
    "train_mean_reward": 0.5,
    "full_valid_mean_reward": None,
    "completion_tokens_mean": 31.0,
}

_JOBS = """
INSERT INTO jobs (id, project_id, created_at, status, request, plan, base_model, seed, step, trained_tokens, train_seconds, usage,
                  result_files, started_at, finished_at, lease_epoch, attempts, not_before, next_seq)
SELECT 'ftjob-' || lpad(n::text, 12, '0'), (CAST(:projects AS text[]))[1 + n % 4], n, 'succeeded', CAST(:request AS json),
       CAST(:plan AS json), 'tiny', 7, 50, 1000, 100, '{}', '[]', n, n, 1, 0, 0, :events + 1
FROM generate_series(1, :jobs) AS numbers(n)
"""
_QUEUED = """
INSERT INTO jobs (id, project_id, created_at, status, request, plan, base_model, seed, step, trained_tokens, train_seconds, usage,
                  result_files, lease_epoch, attempts, not_before, next_seq, niceness)
SELECT 'ftjob-' || lpad(n::text, 12, '0'), (CAST(:projects AS text[]))[1 + n % 4], n, 'queued', CAST(:request AS json),
       CAST(:plan AS json), 'tiny', 7, 0, 0, 0, '{}', '[]', 0, 0, 0, 4, -(n % 3)
FROM generate_series(:before + 1, :before + :jobs) AS numbers(n)
"""
_EVENTS = """
INSERT INTO job_events (job_id, seq, id, project_id, created_at, level, type, message, data)
SELECT 'ftjob-' || lpad(n::text, 12, '0'), seq, 'ftevent-' || md5(n || '-' || seq), (CAST(:projects AS text[]))[1 + n % 4],
       n + seq, 'info', 'metrics', 'Step 10/50 , train mean reward=0.5', CAST(:data AS json)
FROM generate_series(1, :jobs) AS jobs(n), generate_series(1, :events) AS events(seq)
"""


def make_history(url: str, jobs: int, events: int) -> None:
    """Migrate the database, and fill it with so many finished jobs of four projects that have so many events together."""
    migrate(url)
    database = Database(url)
    ensure_default_project(database)
    with database.engine.begin() as connection:
        for project_id in PROJECTS[1:]:
            project = {"id": project_id}
            connection.execute(text("INSERT INTO projects (project_id, name, created_at) VALUES (:id, :id, 0)"), project)
        _fill(connection, jobs, events // jobs)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE jobs"))
        connection.execute(text("VACUUM ANALYZE job_events"))
    database.dispose()


def add_queued(url: str, jobs: int) -> None:
    """So many jobs that wait for a worker, of all four projects and of three priorities, younger than those before."""
    database = Database(url)
    with database.engine.begin() as connection:
        before = connection.scalar(text("SELECT count(*) FROM jobs"))
        values = {"before": before, "jobs": jobs, "projects": list(PROJECTS)}
        connection.execute(text(_QUEUED), {**values, "request": json.dumps(REQUEST), "plan": json.dumps(PLAN)})
    database.dispose()


def _fill(connection: Connection, jobs: int, events_of_a_job: int) -> None:
    # Without a look at every row's foreign keys, and with an index built at the end: minutes less, and the same tables.
    connection.execute(text("SET LOCAL session_replication_role = replica"))
    connection.execute(text("SET LOCAL maintenance_work_mem = '512MB'"))
    (unique,) = connection.execute(
        text("SELECT conname FROM pg_constraint WHERE conrelid = 'job_events'::regclass AND contype = 'u'")
    ).one()
    connection.execute(text(f"ALTER TABLE job_events DROP CONSTRAINT {unique}"))
    values = {"jobs": jobs, "events": events_of_a_job, "projects": list(PROJECTS)}
    connection.execute(text(_JOBS), {**values, "request": json.dumps(REQUEST), "plan": json.dumps(PLAN)})
    connection.execute(text(_EVENTS), {**values, "data": json.dumps(METRICS)})
    connection.execute(text(f"ALTER TABLE job_events ADD CONSTRAINT {unique} UNIQUE (id)"))
