"""What operators read of a served API: metrics for admin keys, readiness, and the limit for those without a good key."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import httpx2
import pytest
from openai import OpenAI
from prometheus_client.parser import text_string_to_metric_families

from api.app import create_app
from api.health import FRESH_SECONDS
from core.storage.local import LocalObjectStore

ADMIN = "the-tests-own-admin-key"


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Values by name and labels."""
    families = text_string_to_metric_families(text)
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for family in families for one in family.samples}


@pytest.fixture
def observed(tmp_path: Path, fresh):
    with fresh.running(fresh.settings(tmp_path, admin_key=ADMIN)) as service:
        yield service


def scraped(service) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    with service.http(ADMIN) as http:
        reply = http.get("/metrics")
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/plain")
    return samples(reply.text)


def test_metrics_are_for_admin_keys_alone(observed) -> None:
    with observed.http() as tenant, observed.http(None) as nobody:
        assert [http.get("/metrics").status_code for http in (tenant, nobody)] == [403, 401]


def test_requests_are_counted_by_route_template_and_never_by_path(observed) -> None:
    def count(found, route: str, status: str) -> float:
        labels = (("method", "GET"), ("route", route), ("status", status))
        return found.get(("touchstone_http_requests_total", labels), 0.0)

    before = scraped(observed)
    with observed.http() as http:
        for name in ("ftjob-one", "ftjob-two"):
            http.get(f"/v1/fine_tuning/jobs/{name}")
        http.get("/v1/nowhere/at/all")
        http.request("BREW", "/v1/files")
    after = scraped(observed)
    assert count(after, "/v1/fine_tuning/jobs/{job_id}", "404") - count(before, "/v1/fine_tuning/jobs/{job_id}", "404") == 2
    assert count(after, "other", "404") > count(before, "other", "404")
    texts = {value for _, labels in after for _, value in labels}
    assert not {text for text in texts if "ftjob" in text or "nowhere" in text or text == "BREW"}


def test_the_queue_is_told_by_status(observed) -> None:
    assert scraped(observed)["touchstone_jobs", (("status", "validating_files"),)] == 0
    with observed.client() as client:
        upload_and_create(client)
    found = scraped(observed)
    assert found["touchstone_jobs", (("status", "validating_files"),)] == 1
    assert found["touchstone_database_up", ()] == 1
    assert found["touchstone_leases_expired", ()] == 0


def upload_and_create(client: OpenAI) -> None:
    rows = b'{"messages": [{"role": "user", "content": "hello"}], "answer": "hi"}\n' * 4
    grader = {"type": "string_check", "name": "c", "input": "{{sample.output_text}}", "reference": "hi", "operation": "eq"}
    file = client.files.create(file=("train.jsonl", rows), purpose="fine-tune")
    client.fine_tuning.jobs.create(
        model="tiny", training_file=file.id, method={"type": "reinforcement", "reinforcement": {"grader": grader}}
    )


def test_strangers_are_limited_by_address_and_good_keys_are_not(tmp_path: Path, fresh) -> None:
    settings = fresh.settings(tmp_path, stranger_requests_per_minute=5)
    with fresh.running(settings) as service, service.http("sk-wrong") as stranger, service.http() as tenant:
        statuses = [stranger.get("/v1/models").status_code for _ in range(8)]
        refused = stranger.get("/v1/models")
        assert statuses == [401] * 5 + [429] * 3
        assert refused.json()["error"]["code"] == "rate_limit_exceeded"
        assert int(refused.headers["retry-after-ms"]) > 0
        assert refused.headers["x-request-id"].startswith("req_")
        assert tenant.get("/v1/models").status_code == 200


def test_a_forwarded_address_is_believed_of_trusted_proxies_alone(tmp_path: Path, fresh) -> None:
    def statuses(settings) -> list[int]:
        with fresh.running(settings) as service, service.http("sk-wrong") as http:
            return [http.get("/v1/models", headers={"x-forwarded-for": f"192.0.2.{n}"}).status_code for n in range(4)]

    one, other = tmp_path / "one", tmp_path / "other"
    for directory in (one, other):
        directory.mkdir()
    assert statuses(fresh.settings(one, stranger_requests_per_minute=2)) == [401, 401, 429, 429]
    assert statuses(fresh.settings(other, stranger_requests_per_minute=2, trusted_proxies="127.0.0.1")) == [401] * 4


def test_redis_is_told_and_not_needed(tmp_path: Path, fresh) -> None:
    with fresh.running(fresh.settings(tmp_path, redis_url="redis://127.0.0.1:1/0")) as service, service.http(None) as http:
        ready = http.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["checks"] == {"database": "ok", "migrations": "ok", "object_store": "ok", "redis": "failed"}


class CountingStore(LocalObjectStore):
    """Counts what is written."""

    writes = 0

    def put(self, *args: Any, **options: Any) -> Any:
        self.writes += 1
        return super().put(*args, **options)


def test_probes_in_quick_succession_look_once(tmp_path: Path, fresh) -> None:
    app = create_app(fresh.settings(tmp_path))
    store = CountingStore(tmp_path / "counted")
    app.state.context = replace(app.state.context, objects=store)
    with ThreadPoolExecutor(8) as pool, fresh.serving(app) as base_url:
        begin = monotonic()
        statuses = list(pool.map(lambda _: httpx2.get(f"{base_url}/readyz", timeout=60).status_code, range(24)))
        seconds = monotonic() - begin
    assert set(statuses) == {200}
    assert store.writes <= 1 + seconds / FRESH_SECONDS


def test_the_grader_process_is_told_once_it_was_needed(observed) -> None:
    assert not [name for name, _ in scraped(observed) if name.startswith("touchstone_sandbox_")]
    grader = {"type": "python", "name": "one", "source": "def grade(sample, item):\n    return 1.0"}
    with observed.http() as http:
        reply = http.post("/v1/fine_tuning/alpha/graders/run", json={"grader": grader, "model_sample": "x", "item": {}})
    assert reply.json()["reward"] == 1.0
    found = scraped(observed)
    assert found["touchstone_sandbox_up", ()] == 1
    assert found["touchstone_sandbox_calls_total", ()] >= 1
    assert (found["touchstone_sandbox_zygotes", ()], found["touchstone_sandbox_running", ()]) == (1, 0)
