"""What can be read of a job that runs: curve, rollouts, checkpoints, weights, and how it ended."""

from __future__ import annotations

import csv
import io
import tarfile
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import OpenAI

from core.jobs.sql_leases import SqlLeaseStore

Json = dict[str, Any]
URL = "/v1/fine_tuning/jobs"
ADAPTER = {"adapter_config.json": b'{"r": 16}', "adapter_model.safetensors": bytes(range(256)) * 1000}


def members(content: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}


def test_a_running_job_shows_its_numbers(strict_client: OpenAI, run) -> None:
    job = strict_client.fine_tuning.jobs.retrieve(run.job_id)
    assert job.hyperparameters.batch_size == run.plan.batch_size
    assert job.method.reinforcement.hyperparameters.eval_samples == run.plan.eval_samples
    assert job.model_extra["touchstone"] == run.plan.options()
    assert job.trained_tokens is None


def test_a_finished_job_shows_its_model(strict_client: OpenAI, run, tmp_path: Path) -> None:
    run.step(0, 0.1)
    run.checkpoint(0, 0.1, ADAPTER, tmp_path)
    name = run.finish()
    job = strict_client.fine_tuning.jobs.retrieve(run.job_id)
    assert (job.status, job.fine_tuned_model, job.trained_tokens) == ("succeeded", name, 10)
    assert job.result_files == [f"file-of-{run.job_id}"]
    assert job.finished_at is not None
    messages = [event.message for event in strict_client.fine_tuning.jobs.list_events(job.id)]
    assert f"New fine-tuned model created: {name}" in messages


def test_a_failed_job_tells_why(strict_client: OpenAI, service, job: Any) -> None:
    stored = service.context.jobs("proj_default").get(job.id)
    error = {"code": "invalid_training_file", "message": "Line 3: broken.", "param": "training_file"}
    SqlLeaseStore(service.context.database).rejected(stored, error)
    failed = strict_client.fine_tuning.jobs.retrieve(job.id)
    assert failed.status == "failed"
    assert failed.error.to_dict() == error


def test_the_curve_comes_in_one_call(http: httpx2.Client, run) -> None:
    for number, reward in enumerate((0.1, 0.2, 0.4)):
        run.step(number, reward)
    curve = http.get(f"{URL}/{run.job_id}/metrics").json()
    assert [step["train_mean_reward"] for step in curve["data"]] == [0.1, 0.2, 0.4]
    assert (curve["status"], curve["step"]) == ("running", 2)


def test_the_curve_can_start_after_a_step(http: httpx2.Client, run) -> None:
    for number in range(3):
        run.step(number, 0.5)
    curve = http.get(f"{URL}/{run.job_id}/metrics", params={"after_step": 0}).json()
    assert [step["step"] for step in curve["data"]] == [1, 2]


@pytest.mark.parametrize("how", [{"params": {"format": "csv"}}, {"headers": {"accept": "text/csv"}}])
def test_the_curve_comes_as_csv(http: httpx2.Client, run, how: Json) -> None:
    run.step(0, 0.25)
    reply = http.get(f"{URL}/{run.job_id}/metrics", **how)
    assert reply.headers["content-type"].startswith("text/csv")
    row = next(csv.DictReader(io.StringIO(reply.text)))
    assert (row["step"], row["train_mean_reward"], row["full_valid_mean_reward"]) == ("0", "0.25", "")
    assert row["scores/graders/0/train_reward_mean"] == "0.25"


def test_an_unchanged_curve_is_not_sent_again(http: httpx2.Client, run) -> None:
    run.step(0, 0.1)
    tag = http.get(f"{URL}/{run.job_id}/metrics").headers["etag"]
    reply = http.get(f"{URL}/{run.job_id}/metrics", headers={"if-none-match": tag})
    assert (reply.status_code, reply.content, reply.headers["etag"]) == (304, b"", tag)


@pytest.mark.parametrize("change", ["first_step", "step", "status"])
def test_a_changed_curve_is_sent(http: httpx2.Client, client: OpenAI, run, change: str) -> None:
    if change != "first_step":
        run.step(0, 0.1)
    tag = http.get(f"{URL}/{run.job_id}/metrics").headers["etag"]
    if change == "first_step":
        run.step(0, 0.1)
    elif change == "step":
        run.step(1, 0.2)
    else:
        client.fine_tuning.jobs.cancel(run.job_id)
    assert http.get(f"{URL}/{run.job_id}/metrics", headers={"if-none-match": tag}).status_code == 200


def test_another_question_has_another_tag(http: httpx2.Client, run) -> None:
    run.step(0, 0.1)
    queries = ({}, {"after_step": 0}, {"format": "csv"})
    assert len({http.get(f"{URL}/{run.job_id}/metrics", params=query).headers["etag"] for query in queries}) == 3


def test_a_metrics_event_carries_the_metrics(strict_client: OpenAI, run) -> None:
    run.step(0, 0.1)
    event = strict_client.fine_tuning.jobs.list_events(run.job_id, limit=1).data[0]
    assert event.type == "metrics"
    assert event.data["train_mean_reward"] == 0.1


def test_rollouts_are_read_page_by_page(http: httpx2.Client, run) -> None:
    run.rollouts(1, "train", 0, 3)
    run.rollouts(1, "train", 1, 3)
    seen: list[str] = []
    page: Json = {"has_more": True}
    while page["has_more"]:
        query = {"step": 1, "limit": 2, **({"after": seen[-1]} if seen else {})}
        page = http.get(f"{URL}/{run.job_id}/rollouts", params=query).json()
        seen += [rollout["id"] for rollout in page["data"]]
    assert seen == [f"train-1-{batch}-7-{sample}" for batch in range(2) for sample in range(3)]


def test_a_rollout_has_its_grade(http: httpx2.Client, run) -> None:
    run.rollouts(2, "train", 0, 2)
    good, failed = http.get(f"{URL}/{run.job_id}/rollouts?step=2").json()["data"]
    assert (good["reward"], good["error_kind"], good["parts"]) == (1.0, None, {"exact": {"reward": 1.0}})
    assert (failed["reward"], failed["error_kind"], failed["error_details"]) == (
        None,
        "python_grader_runtime",
        "ZeroDivisionError",
    )
    assert good["prompt"] == "user: What is 7 + 7?"
    assert good["seed"] == 2**63


def test_tokens_come_where_they_are_asked_for(http: httpx2.Client, run) -> None:
    run.rollouts(1, "train", 0, 1)
    assert "tokens" not in http.get(f"{URL}/{run.job_id}/rollouts?step=1").json()["data"][0]
    rollout = http.get(f"{URL}/{run.job_id}/rollouts?step=1&include=tokens").json()["data"][0]
    assert (rollout["tokens"], rollout["logprobs"]) == ([1, 2], [-0.5, -0.25])


def test_rollouts_can_be_chosen_by_split(http: httpx2.Client, run) -> None:
    run.rollouts(1, "train", 0, 2)
    run.rollouts(1, "valid", 0, 2)
    page = http.get(f"{URL}/{run.job_id}/rollouts?step=1&split=valid").json()
    assert {rollout["split"] for rollout in page["data"]} == {"valid"}


def test_a_step_without_rollouts_is_an_empty_page(http: httpx2.Client, run) -> None:
    page = http.get(f"{URL}/{run.job_id}/rollouts?step=5").json()
    assert (page["data"], page["has_more"], page["first_id"]) == ([], False, None)


def test_checkpoints_have_openais_shape(strict_client: OpenAI, run, tmp_path: Path) -> None:
    names = [run.checkpoint(step, step / 10, ADAPTER, tmp_path) for step in (0, 4, 8)]
    page = strict_client.fine_tuning.jobs.checkpoints.list(run.job_id, limit=2)
    assert [checkpoint.fine_tuned_model_checkpoint for checkpoint in page.data] == names[:0:-1]
    assert page.data[0].step_number == 8
    assert page.data[0].metrics.step == 8
    assert page.data[0].metrics.train_mean_reward == 0.8
    assert [checkpoint.step_number for checkpoint in page] == [8, 4, 0]


def test_an_adapter_is_downloaded_as_it_was_stored(http: httpx2.Client, run, tmp_path: Path) -> None:
    run.checkpoint(0, 0.1, ADAPTER, tmp_path)
    reply = http.get(f"{URL}/{run.job_id}/checkpoints/{run.checkpoint_id}/weights")
    assert reply.headers["content-type"] == "application/x-tar"
    assert run.checkpoint_id in reply.headers["content-disposition"]
    assert members(reply.content) == ADAPTER


def test_a_whole_model_is_downloaded_as_it_was_stored_and_has_no_adapter(http: httpx2.Client, run, tmp_path: Path) -> None:
    whole = {"config.json": b"{}", "model.safetensors": b"weights", "tokenizer.json": b"{}"}
    run.checkpoint(0, 0.1, whole, tmp_path)
    url = f"{URL}/{run.job_id}/checkpoints/last/weights"
    assert members(http.get(url, params={"format": "merged"}).content) == whole
    refused = http.get(url)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "no_adapter")
    assert refused.json()["error"]["param"] == "format"


@pytest.mark.parametrize(("name", "step"), [("best", 4), ("last", 8)])
def test_best_and_last_are_names_of_checkpoints(http: httpx2.Client, run, tmp_path: Path, name: str, step: int) -> None:
    for number, reward in ((0, 0.1), (4, 0.9), (8, 0.5)):
        run.checkpoint(number, reward, {"step": str(number).encode()}, tmp_path)
    reply = http.get(f"{URL}/{run.job_id}/checkpoints/{name}/weights")
    assert members(reply.content) == {"step": str(step).encode()}


@pytest.mark.parametrize("name", ["best", "last", "ftckpt_unknown"])
def test_a_checkpoint_that_is_not_there_is_a_404(http: httpx2.Client, run, name: str) -> None:
    reply = http.get(f"{URL}/{run.job_id}/checkpoints/{name}/weights")
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "checkpoint_not_found")


def test_a_damaged_part_breaks_the_download_off(http: httpx2.Client, run, service, tmp_path: Path) -> None:
    run.checkpoint(0, 0.1, ADAPTER, tmp_path)
    root = service.context.objects.root
    part = next(root.rglob(f"{run.job_id}/**/adapter_model.safetensors"))
    part.write_bytes(b"\x00" * part.stat().st_size)
    with pytest.raises(httpx2.RemoteProtocolError):
        http.get(f"{URL}/{run.job_id}/checkpoints/last/weights")
