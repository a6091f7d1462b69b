"""A job as it runs, as server-sent events: its history and its object, to as many as watch at the cost of one.

Every second, and whenever a wake-up says that a watched job has moved, one query asks how far all watched jobs have come; only
what moved is read, once, and handed to everybody who watches it. Someone who comes back with the id of the last event seen misses
nothing: older events are read for him alone.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import orjson
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from api.jobs.schemas import event_object, progress_object
from core.db import Database
from core.errors import RftError, Unavailable
from core.jobs.sql_events import SqlEventLog
from core.jobs.sql_lookups import JobKey, find_jobs
from core.jobs.sql_progress import Head, find_heads
from core.jobs.sql_rows import no_such_job
from core.jobs.state import TERMINAL
from core.jobs.types import Event, Job
from core.wakeups import Moved

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
HEARTBEAT_SECONDS = 15.0
"""After so long without news a comment is sent: proxies keep the connection, and a client that left is noticed."""
STREAM_SECONDS = 300.0
"""After which a stream ends for its client to come back, whose key is then checked again."""
MAX_STREAMS = 1000
_RECENT = 500
"""Events that are kept in memory, and that are read at once."""


@dataclass(eq=False)
class Feed:
    """A watched job: its newest state and events, shared by all who watch it."""

    job: Job
    head: Head
    recent: deque[Event] = field(default_factory=lambda: deque(maxlen=_RECENT))
    watchers: int = 0
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    def notify(self) -> None:
        """Wake everybody who waits for `moved`, once."""
        self.moved.set()
        self.moved = asyncio.Event()


class JobStreams:
    """The streams of one process. Its coroutines belong to one event loop."""

    def __init__(self, database: Database, organization: str, *, poll_seconds: float = POLL_SECONDS) -> None:
        self._database = database
        self._organization = organization
        self._poll_seconds = poll_seconds
        self._feeds: dict[JobKey, Feed] = {}
        self._watching = 0
        self._poller: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._look_now = asyncio.Event()
        self._closing = False

    async def open(self, key: JobKey, after: int | None) -> AsyncIterator[bytes]:
        """The stream of a job from the event after number `after` on, from now on without one.

        Raises `NotFound`, and `Unavailable` where too many watch already.
        """
        if self._watching >= MAX_STREAMS:
            raise Unavailable(f"More than {MAX_STREAMS} streams are open; please try again later.")
        feed = self._feeds.get(key) or await self._start(key)
        seq = feed.head.last_seq if after is None else min(after, feed.head.last_seq)
        return self._messages(key, feed, seq)

    def close(self) -> None:
        """End all streams soon. May be called from a signal handler."""
        self._closing = True

    def heard(self, moved: Moved | None) -> None:
        """Look soon where a watched job has moved. May be called from any thread, while the event loop of the streams runs."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._note, moved)

    def _note(self, moved: Moved | None) -> None:
        if moved is None or any(key.job_id == moved.job_id for key in self._feeds):
            self._look_now.set()

    async def _start(self, key: JobKey) -> Feed:
        head = (await run_in_threadpool(find_heads, self._database, [key])).get(key)
        job = (await run_in_threadpool(find_jobs, self._database, [key])).get(key)
        if head is None or job is None:
            raise no_such_job(key.job_id)
        return Feed(job, head)

    async def _messages(self, key: JobKey, feed: Feed, seq: int) -> AsyncIterator[bytes]:
        feed = self._feeds.setdefault(key, feed)
        self._join(feed)
        try:
            deadline = time.monotonic() + STREAM_SECONDS
            shown: Job | None = None
            while True:
                moved = feed.moved
                if feed.job is not shown:
                    shown = feed.job
                    yield _message("job", seq, progress_object(shown, self._organization))
                for event in await self._since(key, feed, seq):
                    seq = event.seq
                    yield _message("event", seq, event_object(event))
                if feed.head.last_seq > seq:
                    continue
                if feed.job.status in TERMINAL and feed.job is shown:
                    yield _message("end", seq, {"status": feed.job.status.value})
                    return
                if self._closing or time.monotonic() >= deadline:
                    return
                try:
                    async with asyncio.timeout(HEARTBEAT_SECONDS):
                        await moved.wait()
                except TimeoutError:
                    yield b": still here\n\n"
        finally:
            self._leave(key, feed)

    async def _since(self, key: JobKey, feed: Feed, seq: int) -> Sequence[Event]:
        if seq >= feed.head.last_seq:
            return ()
        if feed.recent and feed.recent[0].seq <= seq + 1:
            return [event for event in feed.recent if event.seq > seq]
        log_ = SqlEventLog(self._database, key.project_id)
        return await run_in_threadpool(log_.since, key.job_id, seq, _RECENT)

    def _join(self, feed: Feed) -> None:
        feed.watchers += 1
        self._watching += 1
        if self._poller is None or self._poller.done():
            self._loop = asyncio.get_running_loop()
            self._poller = self._loop.create_task(self._poll())

    def _leave(self, key: JobKey, feed: Feed) -> None:
        feed.watchers -= 1
        self._watching -= 1
        if feed.watchers == 0:
            self._feeds.pop(key, None)

    async def _poll(self) -> None:
        while self._feeds:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll_seconds):
                    await self._look_now.wait()
            self._look_now.clear()
            if self._closing:
                for feed in self._feeds.values():
                    feed.notify()
                return
            try:
                await self._look()
            except (RftError, SQLAlchemyError):
                log.exception("could not see how the watched jobs have come along; trying again")

    async def _look(self) -> None:
        heads = await run_in_threadpool(find_heads, self._database, list(self._feeds))
        moved = {key: heads[key] for key, feed in self._feeds.items() if key in heads and heads[key] != feed.head}
        if not moved:
            return
        jobs = await run_in_threadpool(find_jobs, self._database, list(moved))
        for key, head in moved.items():
            feed = self._feeds.get(key)
            if feed is None or key not in jobs:
                continue
            events = SqlEventLog(self._database, key.project_id)
            feed.recent.extend(await run_in_threadpool(events.since, key.job_id, feed.head.last_seq, _RECENT))
            last = feed.recent[-1].seq if feed.recent else feed.head.last_seq
            if last < head.last_seq:
                # No further than what was read: the next look sees the rest, and an ended job's end comes after its last event.
                feed.head = replace(feed.head, last_seq=last)
            else:
                feed.head, feed.job = head, jobs[key]
            feed.notify()


def _message(name: str, seq: int, data: object) -> bytes:
    return b"event: %s\nid: %d\ndata: %s\n\n" % (name.encode(), seq, orjson.dumps(data))
