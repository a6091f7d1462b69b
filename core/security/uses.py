"""When keys were last used, noted beside the requests and never in their way."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy.exc import SQLAlchemyError

from core.errors import RftError
from core.security.keys import KeyStore

log = logging.getLogger(__name__)

RESOLUTION_SECONDS = 60.0
"""How exact `last_used_at` is: a key in constant use costs one write in this time."""


class LastUses:
    """Writes `last_used_at` from a thread of its own. A write that fails is logged and made up for by a later use."""

    def __init__(self, keys: KeyStore) -> None:
        self._keys = keys
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="last-uses")
        self._noted: dict[str, float] = {}

    def note(self, key_id: str) -> None:
        """This key is in use now."""
        now = time.monotonic()
        if now - self._noted.get(key_id, -RESOLUTION_SECONDS) >= RESOLUTION_SECONDS:
            self._noted[key_id] = now
            self._thread.submit(self._write, key_id)

    def close(self) -> None:
        """Write what is noted, and end."""
        self._thread.shutdown()

    def _write(self, key_id: str) -> None:
        try:
            self._keys.used([key_id])
        except (RftError, SQLAlchemyError):
            log.exception("could not note the use of the key %s", key_id)
