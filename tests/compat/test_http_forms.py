"""The calls as the guides spell them without an SDK: `curl` as a process, and `requests`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.compat.world import FEW, HAS_AN_A, HELLO, KEY, MODEL, World

Json = dict[str, Any]
METHOD: Json = {"type": "reinforcement", "reinforcement": {"grader": HAS_AN_A, "hyperparameters": {"n_epochs": 1}}}


@pytest.fixture
def session(world: World) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {KEY}"
        yield session


def curl(world: World, path: str, *arguments: str) -> Any:
    """What `curl` prints, as JSON."""
    command = ["curl", "--silent", "--show-error", f"{world.base_url}{path}", "-H", f"Authorization: Bearer {KEY}", *arguments]
    done = subprocess.run(command, cwd=world.workplace.directory, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def curl_json(world: World, path: str, body: Json) -> Any:
    return curl(world, path, "-H", "Content-Type: application/json", "-d", json.dumps(body))


class TestCurl:
    def test_a_file_is_uploaded_as_a_form_and_read_back(self, world: World) -> None:
        made = curl(world, "/files", "-F", "purpose=fine-tune", "-F", "file=@train.jsonl")
        assert (made["object"], made["filename"], made["status"]) == ("file", "train.jsonl", "processed")
        (listed,) = curl(world, "/files?purpose=fine-tune&limit=1")["data"]
        assert listed == made
        assert curl(world, f"/files/{made['id']}", "-X", "DELETE")["deleted"] is True

    def test_a_file_expires_as_its_form_says(self, world: World) -> None:
        expires = ("-F", "expires_after[anchor]=created_at", "-F", "expires_after[seconds]=7200")
        made = curl(world, "/files", "-F", "purpose=fine-tune", "-F", "file=@train.jsonl", *expires)
        assert made["expires_at"] == made["created_at"] + 7200

    def test_an_upload_in_parts(self, world: World) -> None:
        content = (world.workplace.directory / "train.jsonl").read_bytes()
        body = {"purpose": "fine-tune", "filename": "parts.jsonl", "bytes": len(content), "mime_type": "text/jsonl"}
        upload = curl_json(world, "/uploads", body)
        part = curl(world, f"/uploads/{upload['id']}/parts", "-F", "data=@train.jsonl")
        done = curl_json(world, f"/uploads/{upload['id']}/complete", {"part_ids": [part["id"]]})
        assert (done["status"], done["file"]["bytes"]) == ("completed", len(content))

    def test_a_job_is_made_listed_and_cancelled(self, world: World) -> None:
        body = {
            "model": MODEL,
            "training_file": world.job.training_file,
            "validation_file": world.job.validation_file,
            "method": METHOD,
            "metadata": {"by": "curl"},
        }
        made = curl_json(world, "/fine_tuning/jobs", body)
        assert (made["status"], made["method"]["type"]) == ("validating_files", "reinforcement")
        listed = curl(world, "/fine_tuning/jobs?limit=1&metadata%5Bby%5D=curl")
        assert [job["id"] for job in listed["data"]] == [made["id"]]
        assert curl(world, f"/fine_tuning/jobs/{made['id']}/cancel", "-X", "POST")["status"] == "cancelled"

    def test_a_grader_is_tried(self, world: World) -> None:
        run = curl_json(
            world, "/fine_tuning/alpha/graders/run", {"grader": HAS_AN_A, "item": {"wanted": "a"}, "model_sample": "A"}
        )
        assert run["reward"] == 1.0

    def test_a_chat_is_streamed_as_events(self, world: World) -> None:
        body = json.dumps({"model": world.model, "messages": HELLO, "max_tokens": 4, "stream": True})
        command = ["curl", "--silent", "--no-buffer", f"{world.base_url}/chat/completions", "-H", f"Authorization: Bearer {KEY}"]
        done = subprocess.run(
            [*command, "-H", "Content-Type: application/json", "-d", body], capture_output=True, text=True, check=True
        )
        lines = [line for line in done.stdout.splitlines() if line]
        assert all(line.startswith("data: ") for line in lines)
        assert lines[-1] == "data: [DONE]"
        assert json.loads(lines[0].removeprefix("data: "))["object"] == "chat.completion.chunk"

    def test_a_wrong_key_is_an_error_in_the_envelope(self, world: World) -> None:
        command = ["curl", "--silent", f"{world.base_url}/models", "-H", "Authorization: Bearer sk-wrong-key-of-nobody"]
        error = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["error"]
        assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", "invalid_api_key", None)


class TestRequests:
    def test_files_job_events_and_checkpoints(self, world: World, session: requests.Session) -> None:
        with (world.workplace.directory / "train.jsonl").open("rb") as stream:
            made = session.post(f"{world.base_url}/files", files={"file": ("rows.jsonl", stream)}, data={"purpose": "fine-tune"})
        assert made.status_code == 200
        body = {"model": MODEL, "training_file": made.json()["id"], "method": METHOD, "touchstone": FEW, "seed": None}
        job = session.post(f"{world.base_url}/fine_tuning/jobs", json=body).json()
        assert session.post(f"{world.base_url}/fine_tuning/jobs/{job['id']}/cancel").json()["status"] == "cancelled"
        events = session.get(f"{world.base_url}/fine_tuning/jobs/{world.job.id}/events", params={"limit": 1}).json()
        assert (events["object"], events["has_more"], len(events["data"])) == ("list", True, 1)
        checkpoints = session.get(f"{world.base_url}/fine_tuning/jobs/{world.job.id}/checkpoints").json()
        assert [checkpoint["step_number"] for checkpoint in checkpoints["data"]] == [2, 1]
        assert checkpoints["first_id"] == checkpoints["data"][0]["id"]

    def test_a_grader_is_validated(self, world: World, session: requests.Session) -> None:
        reply = session.post(f"{world.base_url}/fine_tuning/alpha/graders/validate", json={"grader": HAS_AN_A})
        assert reply.json() == {"grader": HAS_AN_A}

    def test_replies_carry_openais_headers(self, world: World, session: requests.Session) -> None:
        headers = session.get(f"{world.base_url}/fine_tuning/jobs/{world.job.id}").headers
        assert headers["openai-version"] == "2020-10-01"
        assert int(headers["x-ratelimit-remaining-requests"]) < int(headers["x-ratelimit-limit-requests"])
        assert headers["x-request-id"].startswith("req_")
        assert int(headers["openai-processing-ms"]) >= 0
