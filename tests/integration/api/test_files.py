"""`/v1/files` as the unmodified client and as a careless one meet it."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import openai
import pytest
from openai import OpenAI

ROW = b'{"messages": [{"role": "user", "content": "hello"}]}\n'
BOUNDARY = "a-boundary"


def part(name: str, value: bytes, filename: str | None = None) -> bytes:
    attribute = "" if filename is None else f'; filename="{filename}"'
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{attribute}\r\n\r\n'
    return head.encode() + value + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()
FILE = part("file", ROW, "train.jsonl")
PURPOSE = part("purpose", b"fine-tune")


def post(http: httpx2.Client, content: bytes, content_type: str = f"multipart/form-data; boundary={BOUNDARY}") -> httpx2.Response:
    return http.post("/v1/files", content=content, headers={"content-type": content_type})


def stored_objects(service) -> set[str]:
    root = service.context.objects.root
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_an_upload_comes_back_as_it_was_sent(strict_client: OpenAI) -> None:
    file = strict_client.files.create(file=("train.jsonl", ROW * 1000), purpose="fine-tune")
    assert (file.bytes, file.filename, file.purpose, file.status) == (len(ROW) * 1000, "train.jsonl", "fine-tune", "processed")
    assert strict_client.files.retrieve(file.id) == file
    assert strict_client.files.content(file.id).read() == ROW * 1000


def test_waiting_for_processing_ends_at_once(client: OpenAI) -> None:
    file = client.files.create(file=("train.jsonl", ROW), purpose="fine-tune")
    assert client.files.wait_for_processing(file.id).id == file.id


def test_a_name_of_other_scripts_survives_the_download(client: OpenAI) -> None:
    file = client.files.create(file=('dät"a 漢.jsonl', ROW), purpose="fine-tune")
    reply = client.files.content(file.id)
    assert file.filename == "dät%22a 漢.jsonl"
    assert "\n" not in reply.response.headers["content-disposition"]


def test_the_list_is_paged(strict_client: OpenAI) -> None:
    files = [strict_client.files.create(file=(f"{n}.bin", ROW), purpose="user_data").id for n in range(3)]
    page = strict_client.files.list(purpose="user_data", limit=2, order="desc")
    assert [file.id for file in page.data] == files[:0:-1]
    assert page.has_more
    assert page.last_id == files[1]
    assert [file.id for file in page.get_next_page().data][:1] == files[:1]


def test_a_deleted_file_is_gone(strict_client: OpenAI, service) -> None:
    file = strict_client.files.create(file=("train.jsonl", ROW), purpose="fine-tune")
    assert strict_client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError) as caught:
        strict_client.files.retrieve(file.id)
    assert caught.value.message.endswith(f"No such File object: {file.id}")
    assert caught.value.param == "id"
    assert not any(file.id in name for name in stored_objects(service))


def test_fields_may_follow_the_file(http: httpx2.Client) -> None:
    expiry = part("expires_after[anchor]", b"created_at") + part("expires_after[seconds]", b"3600")
    reply = post(http, FILE + expiry + PURPOSE + END)
    assert reply.status_code == 200
    file = reply.json()
    assert file["expires_at"] - file["created_at"] == 3600
    assert http.get(f"/v1/files/{file['id']}/content").content == ROW


def test_the_client_can_let_a_file_expire(strict_client: OpenAI) -> None:
    expiry = {"anchor": "created_at", "seconds": 3600}
    file = strict_client.files.create(file=("train.jsonl", ROW), purpose="fine-tune", expires_after=expiry)
    assert file.expires_at is not None


@pytest.mark.parametrize(
    ("content", "param"),
    [
        (PURPOSE + END, "file"),
        (PURPOSE + part("file", b"", "train.jsonl") + END, "file"),
        (PURPOSE + part("file", ROW) + END, "file"),
        (PURPOSE + FILE + FILE + END, "file"),
        (PURPOSE + part("file", ROW, "train.csv") + END, "file"),
        (PURPOSE + part("file", ROW, "a\x07.jsonl") + END, "file"),
        (PURPOSE + part("file", ROW, "n" * 300 + ".jsonl") + END, "file"),
        (FILE + END, "purpose"),
        (part("purpose", b"fun") + FILE + END, "purpose"),
        (FILE + part("purpose", b"fun") + END, "purpose"),
        (part("purpose", b"x" * 5000) + FILE + END, "purpose"),
        (PURPOSE + part("expires_after[seconds]", b"3600") + FILE + END, "expires_after.anchor"),
        (PURPOSE + part("expires_after[anchor]", b"created_at") + FILE + END, "expires_after.seconds"),
        (
            PURPOSE + FILE + part("expires_after[anchor]", b"created_at") + part("expires_after[seconds]", b"60") + END,
            "expires_after.seconds",
        ),
        (PURPOSE + FILE, "file"),
        (PURPOSE + FILE[:-20], "file"),
        (b"", "file"),
        ((PURPOSE + FILE + END).replace(BOUNDARY.encode(), b"another"), "file"),
        (part("junk", b"x") * 40 + PURPOSE + FILE + END, None),
    ],
)  # fmt: skip
def test_a_wrong_form_is_refused_and_leaves_nothing(service, http: httpx2.Client, content: bytes, param: str | None) -> None:
    before = stored_objects(service)
    reply = post(http, content)
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == param
    assert stored_objects(service) == before


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", "application/json", f"multipart/form-data; boundary={'x' * 300}"]
)
def test_a_body_that_is_no_form_is_refused(http: httpx2.Client, content_type: str) -> None:
    reply = post(http, PURPOSE + FILE + END, content_type)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "invalid_multipart")


@pytest.mark.parametrize("over", [1, 200_000])
def test_a_file_over_the_limit_is_refused_and_leaves_nothing(service, http: httpx2.Client, over: int) -> None:
    before = stored_objects(service)
    limit = service.context.settings.max_file_bytes
    reply = post(http, PURPOSE + part("file", b"x" * (limit + over), "train.jsonl") + END)
    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "too_large")
    assert stored_objects(service) == before


def test_a_body_of_unknown_length_is_counted(service, http: httpx2.Client) -> None:
    before = stored_objects(service)
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n'.encode()
    chunks = (piece for piece in (PURPOSE, head, *[b"x" * 1000] * 400, END))
    reply = http.post("/v1/files", content=chunks, headers={"content-type": f"multipart/form-data; boundary={BOUNDARY}"})
    assert reply.status_code == 413
    assert stored_objects(service) == before


def test_an_upload_cut_off_leaves_nothing(service) -> None:
    before = stored_objects(service)
    address = urlsplit(service.base_url)
    content = PURPOSE + FILE[:-2] + b"x" * 100_000
    head = (
        f"POST /v1/files HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer sk-the-tests-own-key\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {len(content) + 100_000}\r\n\r\n"
    )
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(head.encode() + content)
        while stored_objects(service) == before:
            time.sleep(0.01)
    while stored_objects(service) != before:
        time.sleep(0.01)
    assert stored_objects(service) == before


@pytest.mark.parametrize("query", ["limit=0", "limit=10001", "limit=x", "order=up"])
def test_a_wrong_query_names_its_parameter(http: httpx2.Client, query: str) -> None:
    reply = http.get(f"/v1/files?{query}")
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == query.split("=")[0]


def test_foreign_files_do_not_exist(client: OpenAI, foreign_client: OpenAI) -> None:
    file = client.files.create(file=("train.jsonl", ROW), purpose="fine-tune")
    assert file.id not in [listed.id for listed in foreign_client.files.list().data]
    for call in (foreign_client.files.retrieve, foreign_client.files.content, foreign_client.files.delete):
        with pytest.raises(openai.NotFoundError):
            call(file.id)
    with pytest.raises(openai.NotFoundError):
        foreign_client.files.list(after=file.id)


def test_a_create_call_made_again_by_the_client_makes_one_file(service, client: OpenAI) -> None:
    again = {"x-stainless-retry-count": "1"}
    first = client.files.create(file=("again.jsonl", ROW), purpose="fine-tune")
    objects = stored_objects(service)
    assert client.files.create(file=("again.jsonl", ROW), purpose="fine-tune", extra_headers=again) == first
    assert stored_objects(service) == objects


@pytest.mark.parametrize("change", ["name", "content", "expiry"])
def test_another_file_is_no_repetition(client: OpenAI, change: str) -> None:
    again = {"x-stainless-retry-count": "1"}
    first = client.files.create(file=("other.jsonl", ROW), purpose="fine-tune")
    second = client.files.create(
        file=("another.jsonl" if change == "name" else "other.jsonl", ROW * 2 if change == "content" else ROW),
        purpose="fine-tune",
        extra_headers=again,
        **({"expires_after": {"anchor": "created_at", "seconds": 3600}} if change == "expiry" else {}),
    )
    assert second.id != first.id


@pytest.mark.parametrize("purpose", ["assistants", "batch", "fine-tune", "vision", "user_data", "evals"])
def test_every_purpose_of_the_client_is_kept(client: OpenAI, purpose: str) -> None:
    assert client.files.create(file=("a.jsonl", ROW), purpose=purpose).purpose == purpose


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        (b'filename="d\xc3\xa4t.jsonl"', "dät.jsonl"),
        (b'filename="a\\"b.jsonl"', 'a"b.jsonl'),
        (b"filename=plain.jsonl", "plain.jsonl"),
    ],
)
def test_names_as_other_clients_write_them(http: httpx2.Client, name: bytes, kept: str) -> None:
    disposition = b'--%s\r\nContent-Disposition: form-data; name="file"; %s\r\n' % (BOUNDARY.encode(), name)
    reply = post(http, PURPOSE + disposition + b"Content-Type: application/octet-stream\r\n\r\n" + ROW + b"\r\n" + END)
    assert reply.json()["filename"] == kept


def test_curl_uploads(service, tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes(ROW)
    fields = ["purpose=fine-tune", f"file=@{path}", "expires_after[anchor]=created_at", "expires_after[seconds]=3600"]
    command = ["curl", "-sS", f"{service.base_url}/v1/files", "-H", "Authorization: Bearer sk-the-tests-own-key"]
    for field in fields:
        command += ["-F", field]
    file = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert (file["filename"], file["purpose"], file["bytes"]) == ("train.jsonl", "fine-tune", len(ROW))
    assert file["expires_at"] - file["created_at"] == 3600


@pytest.mark.parametrize(("wanted", "start", "stop"), [("bytes=5-9", 5, 10), ("bytes=40-", 40, None), ("bytes=-7", -7, None)])
def test_a_part_of_a_file_can_be_fetched(http: httpx2.Client, file_id: str, wanted: str, start: int, stop: int | None) -> None:
    whole = http.get(f"/v1/files/{file_id}/content")
    reply = http.get(f"/v1/files/{file_id}/content", headers={"range": wanted, "if-range": whole.headers["etag"]})
    assert (reply.status_code, reply.content) == (206, whole.content[start:stop])


def test_a_range_of_another_version_gives_the_whole_file(http: httpx2.Client, file_id: str) -> None:
    reply = http.get(f"/v1/files/{file_id}/content", headers={"range": "bytes=0-1", "if-range": '"old"'})
    assert reply.status_code == 200


def test_a_range_behind_the_end_is_refused(http: httpx2.Client, file_id: str) -> None:
    reply = http.get(f"/v1/files/{file_id}/content", headers={"range": "bytes=999999999-"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (416, "range_not_satisfiable")


def test_head_tells_the_size_of_the_content(http: httpx2.Client, file_id: str) -> None:
    reply = http.head(f"/v1/files/{file_id}/content")
    assert (reply.status_code, reply.content) == (200, b"")
    assert int(reply.headers["content-length"]) == http.get(f"/v1/files/{file_id}").json()["bytes"]
