"""`client.files`."""

from __future__ import annotations

import io
import time
from typing import Any

import pytest
from openai import NotFoundError, OpenAI

from tests.compat.cases.base import proves
from tests.compat.world import World, jsonl, rows

CONTENT = jsonl(rows(3))


def upload(client: OpenAI, **options: Any) -> Any:
    return client.files.create(file=("mine.jsonl", CONTENT), purpose="fine-tune", **options)


@proves("files.create")
def create(client: OpenAI, world: World) -> None:
    made = upload(client, expires_after={"anchor": "created_at", "seconds": 3600})
    assert (made.object, made.filename, made.bytes, made.purpose) == ("file", "mine.jsonl", len(CONTENT), "fine-tune")
    assert made.id.startswith("file-")
    assert (made.status, made.expires_at) == ("processed", made.created_at + 3600)
    stream = client.files.create(file=io.BytesIO(CONTENT), purpose="user_data")
    path = client.files.create(file=world.workplace.directory / "train.jsonl", purpose="fine-tune")
    assert (stream.bytes, path.filename) == (len(CONTENT), "train.jsonl")


@proves("files.list")
def listed(client: OpenAI, world: World) -> None:
    made = [upload(client).id for _ in range(3)]
    newest = [file.id for file in client.files.list(purpose="fine-tune", limit=3)][:3]
    assert newest == made[::-1]
    page = client.files.list(order="asc", limit=1)
    assert (len(page.data), page.has_more) == (1, True)
    assert all(file.purpose == "fine-tune-results" for file in client.files.list(purpose="fine-tune-results"))


@proves("files.retrieve")
def retrieve(client: OpenAI, world: World) -> None:
    made = upload(client)
    assert client.files.retrieve(made.id) == made


@proves("files.delete")
def delete(client: OpenAI, world: World) -> None:
    made = upload(client)
    gone = client.files.delete(made.id)
    assert (gone.id, gone.object, gone.deleted) == (made.id, "file", True)
    with pytest.raises(NotFoundError, match=f"No such File object: {made.id}") as caught:
        client.files.retrieve(made.id)
    assert caught.value.param == "id"


@proves("files.content")
def content(client: OpenAI, world: World) -> None:
    reply = client.files.content(upload(client).id)
    assert (reply.read(), reply.text) == (CONTENT, CONTENT.decode())
    (results,) = world.job.result_files
    reply = client.files.content(results)
    target = world.workplace.directory / f"results-{time.time_ns()}.csv"
    reply.write_to_file(target)
    columns = target.read_text().splitlines()[0].split(",")
    assert {"step", "train_mean_reward", "full_valid_mean_reward", "completion_tokens_mean", "total_loss_sum"} <= set(columns)


@proves("files.retrieve_content")
def retrieve_content(client: OpenAI, world: World) -> None:
    made = upload(client)
    with pytest.deprecated_call():
        assert client.files.retrieve_content(made.id) == CONTENT.decode()


@proves("files.wait_for_processing")
def wait_for_processing(client: OpenAI, world: World) -> None:
    made = upload(client)
    assert client.files.wait_for_processing(made.id, poll_interval=0.1, max_wait_seconds=10).status == "processed"
