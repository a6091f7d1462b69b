"""Requests counted in Redis, by all API processes together."""

from __future__ import annotations

import itertools
import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence

import redis

from core.batching import Batched
from core.limits.base import Rate
from core.limits.bucket import WINDOW_SECONDS, rate
from core.limits.local import LocalRates

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 0.5
AWAY_SECONDS = 5.0
"""How long Redis is left alone once it has failed: requests must not wait for it one after the other."""

_TAKE = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local full_at = tonumber(redis.call('GET', KEYS[1]) or '0')
local limit, asked, window = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local backlog = math.max(0, full_at - now)
local free = math.max(0, math.floor((window - backlog) * limit / window + 0.000001))
local taken = math.min(free, asked)
if taken > 0 then
  local after = backlog + taken * window / limit
  redis.call('SET', KEYS[1], string.format('%.6f', now + after), 'PX', math.ceil(after * 1000))
end
return string.format('%.6f', backlog)
"""
"""`core.limits.bucket` for all requests of one bucket that came together; answers with the backlog they came to."""

Asked = tuple[str, int, int]
"""Who is counted, the limit, and a number that tells this request from others."""


class SharedRates:
    """A bucket for each who is counted, in Redis; while it is away each process counts for itself. Implements `RateLimiter`."""

    def __init__(self, url: str) -> None:
        # A retry would double the time that a Redis which does not answer holds requests up.
        self._redis = redis.Redis.from_url(
            url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS, retry=None, decode_responses=True
        )
        self._script = self._redis.register_script(_TAKE)
        self._local = LocalRates()
        self._away_until = 0.0
        self._numbers = itertools.count()
        self._batched: Batched[Asked, Rate] = Batched(self._take, threads=1)

    async def take(self, who: str, limit: int) -> Rate:
        """Count one request."""
        if time.monotonic() < self._away_until:
            return self._local.count(who, limit)
        found = await self._batched.get((who, limit, next(self._numbers)))
        return found or self._local.count(who, limit)

    def close(self) -> None:
        """End the thread and the connections."""
        self._batched.close()
        self._redis.close()

    def _take(self, asked: Sequence[Asked]) -> Mapping[Asked, Rate]:
        """The rates of all who ask; none where Redis is away."""
        together = Counter((who, limit) for who, limit, _ in asked)
        try:
            with self._redis.pipeline(transaction=False) as pipeline:
                for (who, limit), count in together.items():
                    self._script(keys=[f"rft:rate:{who}"], args=[limit, count, WINDOW_SECONDS], client=pipeline)
                backlogs = [float(answer) for answer in pipeline.execute()]
        except redis.RedisError as error:
            log.warning("Redis does not answer; for %.0f s requests are counted by each process alone: %s", AWAY_SECONDS, error)
            self._away_until = time.monotonic() + AWAY_SECONDS
            return {}
        before = dict(zip(together, backlogs, strict=True))
        position: Counter[tuple[str, int]] = Counter()
        found = {}
        for one in asked:
            bucket = one[:2]
            found[one] = rate(before[bucket], position[bucket], one[1])
            position[bucket] += 1
        return found
