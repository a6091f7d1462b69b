"""The metrics of a process, for Prometheus.

Labels come from short fixed lists (route templates, statuses, phases, types of graders), never from ids, paths or names that
clients choose, so that their number stays bounded whatever clients send. No metric tells one project from another.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

REGISTRY = CollectorRegistry()
"""Everything that this process counts. The library's own global registry is not used: other libraries write to it."""

ProcessCollector(registry=REGISTRY)

_REQUEST_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)
_PHASE_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)
_ERROR_BUCKETS = (-0.75, -0.5, -0.25, -0.1, -0.05, 0.0, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)

HTTP_REQUESTS = Counter(
    "touchstone_http_requests", "Replies begun, by route template and status.", ("method", "route", "status"), registry=REGISTRY
)
HTTP_SECONDS = Histogram(
    "touchstone_http_request_seconds",
    "Time from a request's head to the begin of its reply.",
    ("method", "route"),
    buckets=_REQUEST_BUCKETS,
    registry=REGISTRY,
)
HTTP_IN_PROGRESS = Gauge("touchstone_http_requests_in_progress", "Requests and streams that are open.", registry=REGISTRY)
HTTP_STRANGERS_REFUSED = Counter(
    "touchstone_http_strangers_refused",
    "Replies 429 to addresses that sent too many requests without a good key.",
    registry=REGISTRY,
)

WEBHOOK_ATTEMPTS = Counter(
    "touchstone_webhook_attempts",
    "Attempts to deliver a webhook: delivered, refused (answered, not 2xx) or failed.",
    ("outcome",),
    registry=REGISTRY,
)
CHORE_SUCCESS = Gauge(
    "touchstone_chore_last_success_timestamp_seconds", "When a chore last ended well, unix time.", ("chore",), registry=REGISTRY
)
CHORE_SECONDS = Gauge(
    "touchstone_chore_last_duration_seconds", "How long a chore's last pass took.", ("chore",), registry=REGISTRY
)
CHORE_FAILURES = Counter("touchstone_chore_failures", "Passes of a chore that raised.", ("chore",), registry=REGISTRY)

MESSAGES_SENT = Counter(
    "touchstone_messages_sent", "Celery's messages that a scheduler has sent, by task.", ("task",), registry=REGISTRY
)
MESSAGES_TAKEN = Counter(
    "touchstone_messages_taken", "Celery's messages that a worker has taken, by task.", ("task",), registry=REGISTRY
)
MESSAGES_WAITING = Gauge(
    "touchstone_messages_waiting",
    "Celery's messages that nobody had taken when a scheduler last looked.",
    ("queue",),
    registry=REGISTRY,
)
REDIS_FAILURES = Counter(
    "touchstone_redis_failures",
    "Times that a scheduler found Redis away; it leaves it alone for some seconds then.",
    registry=REGISTRY,
)

LEASE_RENEWED = Gauge(
    "touchstone_lease_renewed_timestamp_seconds",
    "When this worker last renewed its lease, unix time; 0 without a job.",
    registry=REGISTRY,
)
LOOKED = Gauge(
    "touchstone_worker_looked_timestamp_seconds",
    "When this worker or scheduler last looked for work, unix time.",
    registry=REGISTRY,
)
RUNNER_EXITS = Counter(
    "touchstone_runner_exits", "Runners that ended: in order, fenced out, in an outage, or crashed.", ("how",), registry=REGISTRY
)

STEPS = Counter("touchstone_steps", "Training steps committed.", registry=REGISTRY)
STEP_PHASE_SECONDS = Histogram(
    "touchstone_step_phase_seconds",
    "Time of a step's phases. `grade` is the part of `sample` and `eval` that waited for grades once sampling had ended.",
    ("phase",),
    buckets=_PHASE_BUCKETS,
    registry=REGISTRY,
)
TOKENS = Counter("touchstone_tokens", "Tokens of committed steps.", ("kind",), registry=REGISTRY)
GRADES = Counter(
    "touchstone_grades",
    "Samples of committed steps that got a grade, by the type of the job's grader.",
    ("type",),
    registry=REGISTRY,
)
GRADER_ERRORS = Counter(
    "touchstone_grader_errors", "Samples of committed steps that got none.", ("type", "kind"), registry=REGISTRY
)
ESTIMATE_ERROR = Histogram(
    "touchstone_estimate_relative_error",
    "How wrong `estimated_finish` was after that share of a job's steps: (estimated - true) / true, of the time then left.",
    ("at",),
    buckets=_ERROR_BUCKETS,
    registry=REGISTRY,
)


@contextmanager
def observed_chore(name: str) -> Iterator[None]:
    """One pass of a piece of light work."""
    begin = monotonic()
    try:
        yield
    except BaseException:
        CHORE_FAILURES.labels(name).inc()
        raise
    CHORE_SUCCESS.labels(name).set_to_current_time()
    CHORE_SECONDS.labels(name).set(monotonic() - begin)


def exposition(*further: Collector) -> bytes:
    """All metrics of this process, and those of `further` collectors, in Prometheus' text format."""
    extra = CollectorRegistry()
    for collector in further:
        extra.register(collector)
    return generate_latest(REGISTRY) + generate_latest(extra)
