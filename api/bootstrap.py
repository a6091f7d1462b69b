"""The first start: the database's schema, the default project and its first key."""

from __future__ import annotations

from core.db import Database, migrate
from core.projects import ensure_default_project
from core.security.keys import KeyStore
from core.settings import DEFAULT_PROJECT, Settings

FIRST_KEY_NAME = "first start"


def bootstrap(settings: Settings) -> str | None:
    """Make the service ready to serve; returns the secret of a key made just now, to be shown once.

    With `settings.api_key` a key of that secret exists afterwards, and nothing is returned: the operator knows it. Without, a key
    is made where the project has none. Harmless to repeat, and from several processes at once.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    migrate(settings.database_url)
    database = Database(settings.database_url)
    try:
        ensure_default_project(database)
        keys = KeyStore(database)
        if settings.api_key is not None:
            keys.create(DEFAULT_PROJECT, FIRST_KEY_NAME, secret=settings.api_key)
            return None
        return None if keys.list(DEFAULT_PROJECT) else keys.create(DEFAULT_PROJECT, FIRST_KEY_NAME)[1]
    finally:
        database.dispose()
