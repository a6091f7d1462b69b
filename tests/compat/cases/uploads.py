"""`client.uploads`."""

from __future__ import annotations

import hashlib
from typing import Any

from openai import OpenAI

from tests.compat.cases.base import proves
from tests.compat.world import World, jsonl, rows

CONTENT = jsonl(rows(5))
HALF = len(CONTENT) // 2


def begin(client: OpenAI) -> Any:
    return client.uploads.create(bytes=len(CONTENT), filename="mine.jsonl", mime_type="text/jsonl", purpose="fine-tune")


@proves("uploads.create")
def create(client: OpenAI, world: World) -> None:
    made = begin(client)
    assert (made.object, made.status, made.bytes, made.filename) == ("upload", "pending", len(CONTENT), "mine.jsonl")
    assert (made.purpose, made.file, made.expires_at) == ("fine-tune", None, made.created_at + 3600)
    assert made.id.startswith("upload_")


@proves("uploads.parts.create")
def create_part(client: OpenAI, world: World) -> None:
    made = begin(client)
    part = client.uploads.parts.create(made.id, data=CONTENT[:HALF])
    assert (part.object, part.upload_id) == ("upload.part", made.id)
    assert part.id.startswith("part_")


@proves("uploads.complete")
def complete(client: OpenAI, world: World) -> None:
    made = begin(client)
    second = client.uploads.parts.create(made.id, data=CONTENT[HALF:])
    first = client.uploads.parts.create(made.id, data=CONTENT[:HALF])
    done = client.uploads.complete(made.id, part_ids=[first.id, second.id], md5=hashlib.md5(CONTENT).hexdigest())
    assert (done.status, done.file.filename, done.file.bytes) == ("completed", "mine.jsonl", len(CONTENT))
    assert client.files.content(done.file.id).read() == CONTENT


@proves("uploads.cancel")
def cancel(client: OpenAI, world: World) -> None:
    made = begin(client)
    assert (client.uploads.cancel(made.id).status, made.status) == ("cancelled", "pending")


@proves("uploads.upload_file_chunked")
def upload_file_chunked(client: OpenAI, world: World) -> None:
    path = world.workplace.directory / "train.jsonl"
    done = client.uploads.upload_file_chunked(file=path, mime_type="text/jsonl", purpose="fine-tune", part_size=100)
    assert client.files.content(done.file.id).read() == path.read_bytes()
    done = client.uploads.upload_file_chunked(
        file=CONTENT, filename="mine.jsonl", bytes=len(CONTENT), mime_type="text/jsonl", purpose="fine-tune", part_size=64
    )
    assert client.files.content(done.file.id).read() == CONTENT
