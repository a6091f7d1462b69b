"""The parts that live as long as the app, and the stores made from them for one project."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from anyio import CapacityLimiter
from fastapi import Request

from api.chat.client import SamplerClient
from api.jobs.stream import JobStreams
from core.batching import Batched
from core.db import Database
from core.files import FileStore
from core.jobs.sql_events import SqlEventLog
from core.jobs.sql_lookups import EventQuery, JobKey, find_events, find_jobs
from core.jobs.sql_store import SqlJobStore
from core.jobs.types import Event, Job, Page
from core.limits.base import Limits, RateLimiter
from core.models import ModelRegistry
from core.outbound import Outbound
from core.security.box import SecretBox
from core.security.keys import Holder, KeyStore
from core.security.sessions import SessionStore
from core.security.uses import LastUses
from core.settings import Settings
from core.storage.base import ObjectStore
from core.telemetry.tracing import Traces
from core.uploads import UploadStore
from core.webhooks.store import WebhookStore
from graders.judges.pool import JudgePool
from graders.parts import GraderParts
from graders.sandbox.client import GraderClient

if TYPE_CHECKING:
    from core.storage.s3_links import DownloadLinks  # imports the client of S3

LOOKUP_THREADS = 3
"""Of each kind, behind a database that is asked over a network: while one waits for its answer, the next asks."""


@dataclass(frozen=True)
class Lookups:
    """What nearly every request asks for, looked up for many requests at once."""

    holders: Batched[str, Holder]
    """Of keys, by the digests of their secrets."""
    sessions: Batched[str, Holder]
    """Of the keys behind browsers' sessions, by the digests of the sessions' secrets."""
    jobs: Batched[JobKey, Job]
    events: Batched[EventQuery, Page[Event]]
    database: Database
    """Connections of their own: those of other requests may all be waiting for a lock."""

    @classmethod
    def of(cls, database_url: str) -> Lookups:
        """The look-ups in a database. A reader of SQLite waits for nobody, so it needs no threads."""
        database = Database(database_url)
        threads = 0 if database.embedded else LOOKUP_THREADS
        return cls(
            holders=Batched(KeyStore(database).find, threads=threads),
            sessions=Batched(SessionStore(database).find, threads=threads),
            jobs=Batched(partial(find_jobs, database), threads=threads),
            events=Batched(partial(find_events, database), threads=threads),
            database=database,
        )

    def close(self) -> None:
        """End their threads and connections."""
        for lookup in (self.holders, self.sessions, self.jobs, self.events):
            lookup.close()
        self.database.dispose()


@dataclass(frozen=True)
class Context:
    """What requests share. Nothing in it belongs to a project."""

    settings: Settings
    database: Database
    objects: ObjectStore
    links: DownloadLinks | None
    """Where clients may download from the object store itself."""
    keys: KeyStore
    lookups: Lookups
    streams: JobStreams
    uses: LastUses
    rates: RateLimiter
    limits: Limits
    """Of a project that has none of its own."""
    models: ModelRegistry
    sandbox: GraderClient
    sampler: SamplerClient
    judges: JudgePool
    grading: CapacityLimiter
    """Threads that try graders out, apart from those of all other requests: judges and endpoints may take minutes."""
    intake: CapacityLimiter
    """Threads that take in files, apart from those of all other requests: slow clients may hold every one of them."""
    joining: CapacityLimiter
    """Threads that join the parts of uploads: many gigabytes each."""
    outbound: Outbound
    """For requests to URLs of clients."""
    box: SecretBox
    webhook_tests: CapacityLimiter
    """Threads for tests of webhook endpoints, which may take their time to answer."""
    traces: Traces

    def files(self, project_id: str) -> FileStore:
        """The project's files."""
        return FileStore(self.database, self.objects, project_id, self.settings.max_file_bytes, self.limits)

    def uploads(self, project_id: str) -> UploadStore:
        """The project's uploads, files that come in parts."""
        return UploadStore(self.database, self.objects, project_id, self.settings.max_upload_bytes, self.limits)

    def grader_parts(self, project_id: str) -> GraderParts:
        """What the project's graders are tried out with."""
        return GraderParts(
            lambda: self.sandbox.for_tenant(project_id), self.judges, self.outbound, self.settings.allow_private_urls
        )

    def jobs(self, project_id: str) -> SqlJobStore:
        """The project's jobs."""
        return SqlJobStore(self.database, project_id, self.limits)

    def events(self, project_id: str) -> SqlEventLog:
        """The history of the project's jobs."""
        return SqlEventLog(self.database, project_id)

    def webhooks(self, project_id: str) -> WebhookStore:
        """The project's webhook endpoints."""
        return WebhookStore(self.database, self.box, project_id)


async def get_context(request: Request) -> Context:
    """The context of the app that serves this request. Asynchronous, so that it costs no thread."""
    context: Context = request.app.state.context
    return context
