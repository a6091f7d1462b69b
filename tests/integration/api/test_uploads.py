"""`/v1/uploads` as the unmodified client and as a careless one meet it."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2
import openai
import pytest
from openai import OpenAI

LINE = b'{"messages": [{"role": "user", "content": "hello"}]}\n'
CONTENT = LINE * 3000


def begin(client: OpenAI, size: int, **fields: object) -> str:
    asked = {"filename": "train.jsonl", "purpose": "fine-tune", "mime_type": "text/jsonl", **fields}
    return client.uploads.create(bytes=size, **asked).id


def send(client: OpenAI, upload_id: str, *parts: bytes) -> list[str]:
    return [client.uploads.parts.create(upload_id, data=part).id for part in parts]


def kept(service) -> set[str]:
    """Objects of parts, and temporary files."""
    root = service.context.objects.root
    names = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    return {name for name in names if name.startswith(".tmp") or "/uploads/" in name}


@pytest.fixture
def tidy(service) -> Iterator[None]:
    """The test leaves no part behind."""
    before = kept(service)
    yield
    assert kept(service) == before


@pytest.fixture(params=["lax", "strict"])
def either(request: pytest.FixtureRequest, client: OpenAI, strict_client: OpenAI) -> OpenAI:
    return client if request.param == "lax" else strict_client


def test_the_clients_helper_uploads_a_path(either: OpenAI, tmp_path: Path, tidy) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes(CONTENT)
    upload = either.uploads.upload_file_chunked(
        file=path, mime_type="text/jsonl", purpose="fine-tune", part_size=50_000, md5=hashlib.md5(CONTENT).hexdigest()
    )
    assert upload.status == "completed"
    assert upload.file is not None
    assert (upload.file.bytes, upload.file.filename, upload.file.purpose) == (len(CONTENT), "train.jsonl", "fine-tune")
    assert either.files.content(upload.file.id).read() == CONTENT


def test_the_clients_helper_uploads_bytes(either: OpenAI) -> None:
    upload = either.uploads.upload_file_chunked(
        file=CONTENT, filename="a.jsonl", bytes=len(CONTENT), mime_type="text/jsonl", purpose="fine-tune"
    )
    assert either.files.content(upload.file.id).read() == CONTENT


def test_an_upload_is_described_as_it_was_announced(strict_client: OpenAI) -> None:
    upload = strict_client.uploads.create(bytes=7, filename="../a\\b 漢.bin", purpose="user_data", mime_type="x/y")
    assert (upload.object, upload.status, upload.bytes, upload.filename) == ("upload", "pending", 7, "../a\\b 漢.bin")
    assert upload.expires_at - upload.created_at == 3600
    assert upload.file is None


def test_parts_are_joined_in_the_order_of_their_ids(strict_client: OpenAI) -> None:
    upload_id = begin(strict_client, 6)
    first, second, third = send(strict_client, upload_id, b"aa", b"bb", b"cc")
    file = strict_client.uploads.complete(upload_id, part_ids=[third, first, second]).file
    assert strict_client.files.content(file.id).read() == b"ccaabb"


def test_parts_may_come_at_the_same_time(client: OpenAI) -> None:
    pieces = [bytes([65 + number]) * 20_000 for number in range(8)]
    upload_id = begin(client, 160_000)
    ids: dict[int, str] = {}

    def one(number: int) -> None:
        ids[number] = client.uploads.parts.create(upload_id, data=pieces[number]).id

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    file = client.uploads.complete(upload_id, part_ids=[ids[number] for number in range(8)]).file
    assert client.files.content(file.id).read() == b"".join(pieces)


def test_a_file_in_parts_may_be_larger_than_one_in_a_single_request(client: OpenAI, service) -> None:
    content = b"x" * (service.context.settings.max_file_bytes + 1)
    upload = client.uploads.upload_file_chunked(
        file=content, filename="a.bin", bytes=len(content), mime_type="x/y", purpose="user_data", part_size=100_000
    )
    assert client.files.retrieve(upload.file.id).bytes == len(content)


def test_the_file_expires_as_asked_when_the_upload_began(strict_client: OpenAI) -> None:
    upload_id = begin(strict_client, 1, expires_after={"anchor": "created_at", "seconds": 7200})
    file = strict_client.uploads.complete(upload_id, part_ids=send(strict_client, upload_id, b"x")).file
    assert file.expires_at - file.created_at == 7200


def test_a_completed_file_is_used_like_any_other(client: OpenAI, body: dict) -> None:
    from .conftest import ROWS, jsonl

    content = jsonl(ROWS)
    upload = client.uploads.upload_file_chunked(
        file=content, filename="a.jsonl", bytes=len(content), mime_type="text/jsonl", purpose="fine-tune"
    )
    job = client.fine_tuning.jobs.create(**{**body, "training_file": upload.file.id})
    assert job.training_file == upload.file.id


def test_completing_again_gives_the_same_file(strict_client: OpenAI) -> None:
    upload_id = begin(strict_client, 4)
    parts = send(strict_client, upload_id, b"aa", b"bb")
    first = strict_client.uploads.complete(upload_id, part_ids=parts)
    assert strict_client.uploads.complete(upload_id, part_ids=parts) == first


def test_completing_twice_at_once_makes_one_file(client: OpenAI, tidy) -> None:
    upload_id = begin(client, 200_000, filename="twice.jsonl")
    parts = send(client, upload_id, b"a" * 100_000, b"b" * 100_000)
    files: list[str] = []
    threads = [
        threading.Thread(target=lambda: files.append(client.uploads.complete(upload_id, part_ids=parts).file.id))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(files) == 4
    assert len(set(files)) == 1
    assert [file.filename for file in client.files.list()].count("twice.jsonl") == 1


def test_a_cancelled_upload_is_gone_with_its_parts(strict_client: OpenAI, tidy) -> None:
    upload_id = begin(strict_client, 4)
    parts = send(strict_client, upload_id, b"aa", b"bb")
    assert strict_client.uploads.cancel(upload_id).status == "cancelled"
    assert strict_client.uploads.cancel(upload_id).status == "cancelled"
    for call in (
        lambda: strict_client.uploads.complete(upload_id, part_ids=parts),
        lambda: strict_client.uploads.parts.create(upload_id, data=b"x"),
    ):
        with pytest.raises(openai.BadRequestError) as caught:
            call()
        assert caught.value.code == "invalid_state"


def test_a_completed_upload_takes_nothing_more(client: OpenAI) -> None:
    upload_id = begin(client, 2)
    client.uploads.complete(upload_id, part_ids=send(client, upload_id, b"aa"))
    for call in (lambda: client.uploads.cancel(upload_id), lambda: send(client, upload_id, b"x")):
        with pytest.raises(openai.BadRequestError) as caught:
            call()
        assert caught.value.code == "invalid_state"


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"bytes": 0}, "bytes"),
        ({"bytes": -1}, "bytes"),
        ({"bytes": "7"}, "bytes"),
        ({"bytes": 1.5}, "bytes"),
        ({"bytes": None}, "bytes"),
        ({"filename": ""}, "filename"),
        ({"filename": "a\x1b[2J.jsonl"}, "filename"),
        ({"filename": "n" * 300 + ".jsonl"}, "filename"),
        ({"filename": "train.csv"}, "filename"),
        ({"purpose": "fun"}, "purpose"),
        ({"mime_type": ""}, "mime_type"),
        ({"mime_type": "a\nb"}, "mime_type"),
        ({"expires_after": {"anchor": "now", "seconds": 3600}}, "expires_after.anchor"),
        ({"expires_after": {"anchor": "created_at", "seconds": 60}}, "expires_after.seconds"),
    ],
)
def test_a_wrong_announcement_is_refused(http: httpx2.Client, change: dict, param: str) -> None:
    body = {"bytes": 7, "filename": "a.jsonl", "purpose": "fine-tune", "mime_type": "text/jsonl", **change}
    reply = http.post("/v1/uploads", json=body)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


def test_an_upload_over_the_limit_is_refused(http: httpx2.Client) -> None:
    body = {"bytes": 8 * 2**30 + 1, "filename": "a.jsonl", "purpose": "fine-tune", "mime_type": "text/jsonl"}
    reply = http.post("/v1/uploads", json=body)
    assert (reply.status_code, reply.json()["error"]["param"]) == (413, "bytes")


@pytest.mark.parametrize(
    ("choose", "param"),
    [
        (lambda parts: [], "part_ids"),
        (lambda parts: parts[:1], "part_ids"),
        (lambda parts: [parts[0], parts[0]], "part_ids"),
        (lambda parts: [*parts, "part_unknown"], "part_ids"),
        (lambda parts: "part_1", "part_ids"),
        (lambda parts: [parts[0], 7], "part_ids[1]"),
        (lambda parts: ["part_x"] * 10_001, "part_ids"),
    ],
)
def test_wrong_part_ids_are_refused_and_the_upload_goes_on(client: OpenAI, http: httpx2.Client, choose, param, tidy) -> None:
    upload_id = begin(client, 4)
    parts = send(client, upload_id, b"aa", b"bb")
    reply = http.post(f"/v1/uploads/{upload_id}/complete", json={"part_ids": choose(parts)})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)
    assert client.uploads.complete(upload_id, part_ids=parts).status == "completed"


@pytest.mark.parametrize("order", [1, -1])
def test_the_md5_tells_a_wrong_order(client: OpenAI, order: int, tidy) -> None:
    upload_id = begin(client, 4)
    parts = send(client, upload_id, b"aa", b"bb")[::order]
    digest = hashlib.md5(b"aabb").hexdigest().upper()
    if order == 1:
        assert client.uploads.complete(upload_id, part_ids=parts, md5=digest).status == "completed"
    else:
        with pytest.raises(openai.BadRequestError) as caught:
            client.uploads.complete(upload_id, part_ids=parts, md5=digest)
        assert caught.value.param == "md5"
        assert client.uploads.complete(upload_id, part_ids=parts[::-1], md5=digest).status == "completed"


def test_an_md5_that_is_none_is_refused(client: OpenAI) -> None:
    upload_id = begin(client, 1)
    with pytest.raises(openai.BadRequestError) as caught:
        client.uploads.complete(upload_id, part_ids=send(client, upload_id, b"x"), md5="not hexadecimal")
    assert caught.value.param == "md5"


def test_parts_of_another_upload_do_not_exist(client: OpenAI) -> None:
    theirs = send(client, begin(client, 2), b"aa")
    upload_id = begin(client, 2)
    with pytest.raises(openai.BadRequestError) as caught:
        client.uploads.complete(upload_id, part_ids=theirs)
    assert caught.value.code == "unknown_part"


def test_foreign_uploads_do_not_exist(client: OpenAI, foreign_client: OpenAI) -> None:
    upload_id = begin(client, 2)
    parts = send(client, upload_id, b"aa")
    for call in (
        lambda: foreign_client.uploads.parts.create(upload_id, data=b"x"),
        lambda: foreign_client.uploads.complete(upload_id, part_ids=parts),
        lambda: foreign_client.uploads.cancel(upload_id),
    ):
        with pytest.raises(openai.NotFoundError) as caught:
            call()
        assert caught.value.param == "upload_id"
    theirs = begin(foreign_client, 2)
    with pytest.raises(openai.BadRequestError):
        foreign_client.uploads.complete(theirs, part_ids=parts)
    assert client.uploads.complete(upload_id, part_ids=parts).status == "completed"
