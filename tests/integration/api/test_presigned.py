"""Downloads of large files by links to the object store: the unmodified client follows them, and leaves its key behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from tests.s3_proxy import Proxy, in_front_of

NAME = 'pl\u00e4ne "<b>.html'
SMALL = b"<script>alert(1)</script>"
LARGE = SMALL * 50_000


@pytest.fixture(scope="module")
def proxy(s3_endpoint: str) -> Iterator[Proxy]:
    """The address of the store that clients are told."""
    with in_front_of(s3_endpoint) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def presigned(fresh, proxy: Proxy, s3_endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """A service over a bucket that sends clients to the store."""
    from tests import s3

    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**s3.VARIABLES, "AWS_ENDPOINT_URL": s3_endpoint}.items():
            patch.setenv(name, value)
        settings = fresh.settings(
            tmp_path_factory.mktemp("service"),
            object_store_url=f"s3://{s3.new_bucket(s3_endpoint)}/objects",
            presigned_downloads=True,
            presigned_endpoint=proxy.endpoint,
            max_file_bytes=4 << 20,
        )
        with fresh.running(settings) as service:
            yield service


@pytest.fixture(scope="module")
def large_id(presigned) -> str:
    with presigned.client() as client:
        return client.files.create(file=("plan.html", LARGE), purpose="user_data").id


def test_the_client_follows_to_the_store(presigned, proxy: Proxy, large_id: str) -> None:
    proxy.seen.clear()
    with presigned.client() as client:
        assert client.files.content(large_id).read() == LARGE
    assert [request.method for request in proxy.seen] == ["GET"]


def test_the_key_of_the_service_stays_with_the_service(presigned, proxy: Proxy, large_id: str) -> None:
    proxy.seen.clear()
    with presigned.client() as client:
        client.files.content(large_id).read()
    (request,) = proxy.seen
    assert "authorization" not in request.headers
    assert "cookie" not in request.headers
    assert "sk-the-tests-own-key" not in str(request)


def test_what_the_store_sends_is_a_download_and_no_page(presigned) -> None:
    with presigned.client() as client, presigned.http() as http:
        file = client.files.create(file=(NAME, LARGE), purpose="user_data")
        reply = http.get(f"/v1/files/{file.id}/content", follow_redirects=True)
    assert reply.history
    assert reply.headers["content-type"] == "application/octet-stream"
    assert reply.headers["content-disposition"].startswith("attachment; filename*=UTF-8''pl%C3%A4ne%20")
    assert "<" not in reply.headers["content-disposition"]


def test_a_link_holds_for_minutes_and_is_kept_by_nobody(presigned, large_id: str) -> None:
    with presigned.http() as http:
        reply = http.get(f"/v1/files/{large_id}/content")
    assert (reply.status_code, reply.headers["cache-control"], reply.content) == (307, "no-store", b"")
    assert parse_qs(urlsplit(reply.headers["location"]).query)["X-Amz-Expires"] == ["300"]


def test_a_link_opens_one_object_and_for_reading(presigned, large_id: str) -> None:
    with presigned.http() as http:
        link = urlsplit(http.get(f"/v1/files/{large_id}/content").headers["location"])
    signed = dict(pair.split("=") for pair in link.query.split("&"))
    assert link.path.endswith(f"/files/{large_id}")
    assert signed["X-Amz-SignedHeaders"] == "host"
    assert "X-Amz-Security-Token" not in signed


def test_only_who_may_read_the_file_gets_a_link(presigned, large_id: str) -> None:
    for key in (None, "sk-the-key-of-another-project"):
        with presigned.http(key) as http:
            reply = http.get(f"/v1/files/{large_id}/content")
        assert reply.status_code in (401, 404)
        assert "location" not in reply.headers


@pytest.mark.parametrize(
    ("method", "headers"),
    [("HEAD", {}), ("GET", {"range": "bytes=0-9"}), ("GET", {"sec-fetch-mode": "cors"})],
    ids=["head", "range", "script"],
)
def test_who_cannot_go_to_the_store_is_answered_here(presigned, large_id: str, method: str, headers: dict[str, str]) -> None:
    with presigned.http() as http:
        reply = http.request(method, f"/v1/files/{large_id}/content", headers=headers)
    assert reply.status_code in (200, 206)
    assert reply.headers["x-content-type-options"] == "nosniff"


def test_a_small_file_is_sent_at_once(presigned, proxy: Proxy) -> None:
    proxy.seen.clear()
    with presigned.client() as client:
        file = client.files.create(file=("small.html", SMALL), purpose="user_data")
        assert client.files.content(file.id).read() == SMALL
    assert proxy.seen == []


def test_a_directory_has_no_links(fresh, tmp_path: Path) -> None:
    settings = fresh.settings(tmp_path, presigned_downloads=True, max_file_bytes=4 << 20)
    with fresh.running(settings) as service, service.client() as client:
        file = client.files.create(file=("plan.html", LARGE), purpose="user_data")
        reply = httpx2.get(f"{service.base_url}/v1/files/{file.id}/content", headers=client.auth_headers)
    assert (reply.status_code, reply.content) == (200, LARGE)
