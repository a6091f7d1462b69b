"""The parts that live as long as the app, and the stores made from them for one project."""

from __future__ import annotations

from dataclasses import dataclass

from anyio import CapacityLimiter
from fastapi import Request

from api.chat.client import SamplerClient
from core.db import Database
from core.files import FileStore
from core.jobs.sql_events import SqlEventLog
from core.jobs.sql_store import SqlJobStore
from core.models import ModelRegistry
from core.security.keys import KeyStore
from core.settings import Settings
from core.storage.base import ObjectStore
from graders.base import Sandbox


@dataclass(frozen=True)
class Context:
    """What requests share. Nothing in it belongs to a project."""

    settings: Settings
    database: Database
    objects: ObjectStore
    keys: KeyStore
    models: ModelRegistry
    sandbox: Sandbox
    sampler: SamplerClient
    uploads: CapacityLimiter
    """Threads for uploads, apart from those of all other requests: slow clients may hold every one of them."""

    def files(self, project_id: str) -> FileStore:
        """The project's files."""
        return FileStore(self.database, self.objects, project_id, self.settings.max_file_bytes)

    def jobs(self, project_id: str) -> SqlJobStore:
        """The project's jobs."""
        return SqlJobStore(self.database, project_id)

    def events(self, project_id: str) -> SqlEventLog:
        """The history of the project's jobs."""
        return SqlEventLog(self.database, project_id)


def get_context(request: Request) -> Context:
    """The context of the app that serves this request."""
    context: Context = request.app.state.context
    return context
