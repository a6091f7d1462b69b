"""Bodies that lie, break off or never end: a 4xx in the envelope, and nothing is left of them."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from urllib.parse import urlsplit

import httpx2
import psutil
import pytest
from sqlalchemy import func, select

from core.tables import FileRow, UploadPartRow, UploadRow
from core.uploads import MAX_PART_BYTES

from .conftest import KEY, Service

BOUNDARY = "edge"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
END = b"\r\n--edge--\r\n"
MIB = 1 << 20


def opened(name: str, filename: str = "a.bin") -> bytes:
    return f'--edge\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n\r\n'.encode()


PURPOSE = b'--edge\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n'
FILE = PURPOSE + opened("file")


@pytest.fixture
def upload_id(http: httpx2.Client) -> str:
    body = {"bytes": 256 * MIB, "filename": "a.bin", "purpose": "user_data", "mime_type": "x/y"}
    return http.post("/v1/uploads", json=body).json()["id"]


@pytest.fixture(params=["/v1/files", "/v1/uploads/{}/parts"])
def target(request: pytest.FixtureRequest, upload_id: str) -> str:
    return request.param.format(upload_id)


@pytest.fixture(autouse=True)
def nothing_left(service: Service, upload_id: str) -> Iterator[None]:
    """No object, no temporary file and no row more than before."""
    before = remains(service)
    yield
    # Where the client hung up the service may not have begun yet: this request comes after it.
    with service.http() as http:
        http.get("/livez")
    deadline = time.monotonic() + 20
    while service.app.in_flight and time.monotonic() < deadline:
        time.sleep(0.01)
    assert remains(service) == before


def remains(service: Service) -> tuple[set[str], list[int]]:
    root = service.context.objects.root
    objects = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    with service.context.database.read() as session:
        rows = [session.scalars(select(func.count()).select_from(table)).one() for table in (FileRow, UploadRow, UploadPartRow)]
    return objects, rows


def begun(target: str) -> bytes:
    """The head of a form whose file is still to come."""
    return FILE if target == "/v1/files" else opened("data")


@contextmanager
def connection(service: Service) -> Iterator[socket.socket]:
    address = urlsplit(service.base_url)
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        yield connection


def head(target: str, length: str) -> bytes:
    return (
        f"POST {target} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {KEY}\r\nContent-Type: {FORM}\r\n{length}\r\n\r\n"
    ).encode()


def reply_of(connection: socket.socket) -> HTTPResponse:
    reply = HTTPResponse(connection)
    reply.begin()
    return reply


def refused(reply: httpx2.Response, status: int = 400) -> dict:
    assert reply.status_code == status
    error = reply.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


def test_a_body_that_ends_before_its_length_says(service: Service, target: str) -> None:
    content = begun(target) + b"x" * 300_000
    with connection(service) as client:
        client.sendall(head(target, f"Content-Length: {len(content) + 1000}") + content)


def test_a_form_that_goes_on_after_its_length_says(service: Service, target: str) -> None:
    content = begun(target) + b"x" * 3000
    with connection(service) as client:
        client.sendall(head(target, f"Content-Length: {len(content)}") + content + END)
        assert reply_of(client).status == 400


def test_a_chunked_body_that_breaks_off(service: Service, target: str) -> None:
    content = begun(target) + b"x" * 200_000
    with connection(service) as client:
        client.sendall(head(target, "Transfer-Encoding: chunked") + f"{len(content):x}\r\n".encode() + content + b"\r\n")


@pytest.mark.parametrize("length", ["Content-Length: -5", "Content-Length: 1e3", "Content-Length: " + "9" * 30])
def test_a_length_that_is_none(service: Service, target: str, length: str) -> None:
    with connection(service) as client:
        client.sendall(head(target, length))
        assert 400 <= reply_of(client).status < 500


def test_a_file_over_the_limit_without_a_length(service: Service, http: httpx2.Client) -> None:
    def chunks() -> Iterator[bytes]:
        yield FILE
        for _ in range(service.context.settings.max_file_bytes // 1000 + 1000):
            yield b"x" * 1000

    refused(http.post("/v1/files", content=chunks(), headers={"content-type": FORM}), 413)


def test_a_part_over_the_limit_without_a_length(http: httpx2.Client, upload_id: str) -> None:
    def chunks() -> Iterator[bytes]:
        yield opened("data")
        for _ in range(MAX_PART_BYTES // MIB):
            yield b"x" * MIB
        yield b"x" + END

    error = refused(http.post(f"/v1/uploads/{upload_id}/parts", content=chunks(), headers={"content-type": FORM}), 413)
    assert error["param"] == "data"


@pytest.mark.parametrize(
    "bomb",
    [
        b"--edge\r\n" + b"X: y\r\n" * 50_000,
        b"--edge\r\nX: " + b"y" * 200_000,
        b'--edge\r\nContent-Disposition: form-data; name="x"\r\n\r\n\r\n' * 3000,
        b"\r\n" * 100_000,
        b"--edge\r\nContent-Disposition: form-data" + b"; x=y" * 700 + b"\r\n\r\nx" + END,
        b"--edge\r\n\r\nx" + END,
        b"\x00" * 100_000,
    ],
)
def test_a_form_that_is_a_bomb(http: httpx2.Client, target: str, bomb: bytes) -> None:
    refused(http.post(target, content=bomb, headers={"content-type": FORM}))


def test_the_file_after_a_bomb_of_fields(http: httpx2.Client, target: str) -> None:
    fields = b"".join(b'--edge\r\nContent-Disposition: form-data; name="%d"\r\n\r\nx\r\n' % number for number in range(100))
    refused(http.post(target, content=begun(target) + b"content\r\n" + fields + b"--edge--\r\n", headers={"content-type": FORM}))


def test_a_part_that_is_empty(http: httpx2.Client, upload_id: str) -> None:
    error = refused(http.post(f"/v1/uploads/{upload_id}/parts", content=opened("data") + END, headers={"content-type": FORM}))
    assert (error["param"], error["code"]) == ("data", "empty_file")


def test_a_part_without_data(http: httpx2.Client, upload_id: str) -> None:
    error = refused(http.post(f"/v1/uploads/{upload_id}/parts", files={"file": b"x"}))
    assert (error["param"], error["code"]) == ("data", "missing_required_parameter")


@pytest.mark.parametrize("name", ["a\\u0000", "a\x07", "a\x1b[2J", "\x7f", "a\u2028b", "", "n" * 256])
def test_a_name_that_cannot_be_shown(http: httpx2.Client, name: str) -> None:
    name = name.replace("\\u0000", "\x00")
    content = PURPOSE + opened("file", name) + b"x" + END
    assert refused(http.post("/v1/files", content=content, headers={"content-type": FORM}))["param"] == "file"


@pytest.mark.parametrize("cursor", ["x", "file-", "-1", "a" * 5000, "%F0%9F%92%A9", "..%2F..%2Fetc", "';--", "[]"])
def test_a_cursor_that_is_none(http: httpx2.Client, cursor: str) -> None:
    assert refused(http.get(f"/v1/files?after={cursor}"), 404)["param"] == "after"


@pytest.mark.parametrize(
    "query", ["limit=-1", "limit=1e9", "limit=" + "9" * 400, "limit=", "order=", "after=%00", "limit=1&limit=x"]
)
def test_a_query_that_is_none(http: httpx2.Client, query: str) -> None:
    refused(http.get(f"/v1/files?{query}"))


def test_many_bodies_at_once_take_bounded_memory(service: Service, target: str) -> None:
    """The service runs in this process; 24 clients are stuck in the middle of a megabyte each."""
    process = psutil.Process()
    content = begun(target) + b"x" * (200 * 1024)
    clients = []
    before = process.memory_info().rss
    try:
        for _ in range(24):
            address = urlsplit(service.base_url)
            client = socket.create_connection((address.hostname, address.port))
            clients.append(client)
            client.sendall(head(target, f"Content-Length: {MIB // 4}") + content)
        time.sleep(0.5)
        assert process.memory_info().rss - before < 64 * MIB
    finally:
        for client in clients:
            client.close()


def test_a_form_that_comes_byte_by_byte(service: Service, http: httpx2.Client) -> None:
    content = PURPOSE + opened("file") + b"dribbled" + END
    with connection(service) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(head("/v1/files", f"Content-Length: {len(content)}"))
        for at in range(len(content)):
            client.sendall(content[at : at + 1])
        file = json.loads(reply_of(client).read())
    assert http.get(f"/v1/files/{file['id']}/content").content == b"dribbled"
    http.delete(f"/v1/files/{file['id']}")
