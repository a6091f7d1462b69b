"""What holds for every route: keys, the envelope, headers, bounds; and the probes."""

from __future__ import annotations

import gzip
import logging
import re
import shutil
from pathlib import Path

import httpx2
import pytest
from openai import OpenAI
from sqlalchemy import text

from api.app import create_app

JOBS = "/v1/fine_tuning/jobs"
ENVELOPE = {"message", "type", "param", "code"}


def routes(service) -> list[tuple[str, str]]:
    """Every route of the OpenAPI document that needs a key, with ids filled in."""
    with service.http(None) as http:
        paths = http.get("/openapi.json").json()["paths"]
    found = [(method.upper(), re.sub(r"\{[^}]*\}", "x", path)) for path, methods in paths.items() for method in methods]
    return [(method, path) for method, path in found if path.startswith("/v1/")]


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer wrong", "Basic c2s6", "Bearer rft_sk_" + "x" * 43, "Bearer \xff"])
def test_no_route_answers_without_a_key(service, header: str | None) -> None:
    headers = {} if header is None else {"authorization": header.encode("latin-1")}
    with service.http(None) as http:
        for method, path in routes(service):
            reply = http.request(method, path, headers=headers)
            assert (reply.status_code, reply.json()["error"]["code"]) == (401, "invalid_api_key"), (method, path)
            assert reply.headers["www-authenticate"] == "Bearer"


def test_a_wrong_key_is_told_before_a_wrong_body(anonymous: httpx2.Client) -> None:
    assert anonymous.post(JOBS, content=b"{").status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "unknown_url"),
        ("GET", "/v1/files/", 404, "unknown_url"),
        ("POST", f"{JOBS}/ftjob-x/explode", 404, "unknown_url"),
        ("PUT", "/v1/files", 405, "method_not_supported"),
        ("GET", f"{JOBS}/ftjob-x/cancel", 405, "method_not_supported"),
        ("GET", "/v1/files/a%00b", 400, "invalid_value"),
        ("GET", "/v1/files?after=a%00b", 400, "invalid_value"),
    ],
)
def test_urls_that_are_none_are_told_in_the_envelope(http: httpx2.Client, method: str, path: str, status: int, code: str) -> None:
    reply = http.request(method, path)
    assert reply.status_code == status
    assert set(reply.json()["error"]) == ENVELOPE
    assert reply.json()["error"]["code"] == code


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b'{"model": NaN}',
        b'{"model": Infinity}',
        b'{"model": 1e999}',
        b'{"model": "a\\u0000"}',
        b'{"model": "\\ud800"}',
        b'{"model": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"a": ' + b"[" * 65 + b"]" * 65 + b"}",
    ],
)
def test_a_body_that_is_no_sound_json_is_a_400(http: httpx2.Client, content: bytes) -> None:
    reply = http.post(JOBS, content=content, headers={"content-type": "application/json"})
    assert reply.status_code == 400
    assert set(reply.json()["error"]) == ENVELOPE


def test_brackets_within_strings_nest_nothing(http: httpx2.Client) -> None:
    reply = http.post(JOBS, json={"model": '[{"\\' * 1000})
    assert reply.json()["error"]["param"] == "method"


def test_a_compressed_body_is_refused_by_its_name(http: httpx2.Client) -> None:
    reply = http.post(JOBS, content=gzip.compress(b"{}" * 1000), headers={"content-encoding": "gzip"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "unsupported_content_encoding")


def test_a_large_body_is_read_like_a_small_one(http: httpx2.Client) -> None:
    reply = http.post(JOBS, json={"method": {"type": "reinforcement"}, "model": "x" * 1_000_000})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "model")


def test_a_body_over_the_limit_is_a_413(http: httpx2.Client) -> None:
    reply = http.post(JOBS, content=b'{"model": "' + b"x" * (9 << 20))
    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "too_large")


def test_a_body_of_unknown_length_is_counted(http: httpx2.Client) -> None:
    reply = http.post(JOBS, content=(b" " * (1 << 20) for _ in range(9)))
    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "too_large")


def test_replies_carry_openais_headers(client: OpenAI) -> None:
    reply = client.models.with_raw_response.list()
    assert re.fullmatch(r"req_\w{24}", reply.headers["x-request-id"])
    assert reply.headers["openai-version"] == "2020-10-01"
    assert reply.headers["openai-organization"] == "local"
    assert int(reply.headers["openai-processing-ms"]) >= 0


def test_every_request_has_its_own_id(http: httpx2.Client) -> None:
    assert http.get("/livez").headers["x-request-id"] != http.get("/livez").headers["x-request-id"]


def test_what_nobody_expected_is_a_plain_500(tmp_path: Path, fresh, caplog: pytest.LogCaptureFixture) -> None:
    app = create_app(fresh.settings(tmp_path))

    @app.get("/v1/broken")
    def broken() -> None:
        raise RuntimeError("a secret of the inside")

    with fresh.serving(app) as base_url, caplog.at_level(logging.ERROR):
        reply = httpx2.get(f"{base_url}/v1/broken")
    error = reply.json()["error"]
    assert (reply.status_code, error["type"], set(error)) == (500, "server_error", ENVELOPE)
    assert "secret" not in reply.text
    assert reply.headers["x-request-id"] in error["message"]
    assert reply.headers["x-request-id"] in caplog.text


def test_probes_ask_for_no_key(anonymous: httpx2.Client) -> None:
    assert anonymous.get("/livez").json() == {"status": "ok"}
    ready = anonymous.get("/readyz")
    assert ready.status_code == 200
    assert ready.json() == {"status": "ok", "checks": {"database": "ok", "migrations": "ok", "object_store": "ok"}}


def test_readiness_names_the_part_that_fails(tmp_path: Path, fresh, caplog: pytest.LogCaptureFixture) -> None:
    settings = fresh.settings(tmp_path)
    with fresh.running(settings) as service, service.http(None) as http, caplog.at_level(logging.CRITICAL):
        shutil.rmtree(service.context.objects.root)
        service.context.objects.root.write_text("in the way")
        ready = http.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["checks"] == {"database": "ok", "migrations": "ok", "object_store": "failed"}
        assert http.get("/livez").status_code == 200


def test_readiness_wants_the_schema_of_its_version_or_a_newer_one(tmp_path: Path, fresh) -> None:
    with fresh.running(fresh.settings(tmp_path)) as service, service.http(None) as http:
        with service.context.database.begin() as session:
            session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
        assert http.get("/readyz").json()["checks"]["migrations"] == "failed"


def test_the_same_holds_on_postgresql(postgres_service) -> None:
    rows = b'{"messages": [{"role": "user", "content": "hello"}], "answer": "hi"}\n' * 4
    grader = {"type": "string_check", "name": "c", "input": "{{sample.output_text}}", "reference": "hi", "operation": "eq"}
    with postgres_service.client(_strict_response_validation=True) as client:
        file = client.files.create(file=("train.jsonl", rows), purpose="fine-tune")
        job = client.fine_tuning.jobs.create(
            model="tiny",
            training_file=file.id,
            method={"type": "reinforcement", "reinforcement": {"grader": grader}},
            metadata={"where": "postgres"},
        )
        assert [found.id for found in client.fine_tuning.jobs.list(metadata={"where": "postgres"})] == [job.id]
        assert client.fine_tuning.jobs.cancel(job.id).status == "cancelled"
        assert len(list(client.fine_tuning.jobs.list_events(job.id, limit=1))) == 3
        assert client.files.content(file.id).read() == rows
    with postgres_service.http(None) as http:
        assert http.get("/readyz").status_code == 200


def test_blanks_are_no_absent_body(http: httpx2.Client) -> None:
    reply = http.post(f"{JOBS}/ftjob-x/resume", content=b" ", headers={"content-type": "application/json"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "invalid_json")
