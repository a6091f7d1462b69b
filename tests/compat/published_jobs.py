"""How scripts that OpenAI has published create their jobs: with dicts, with the client's own objects, with `requests`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import requests

from tests.compat import published
from tests.compat.world import KEY, MODEL, World, jsonl

Json = dict[str, Any]
SHORT = {"samples_per_prompt": 4, "max_completion_tokens": 8}
HEADERS = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}


def _upload(world: World, *files: list[Json]) -> list[str]:
    with world.client() as client:
        return [client.files.create(file=("rows.jsonl", jsonl(rows)), purpose="fine-tune").id for rows in files]


def _create(world: World, train: list[Json], valid: list[Json], method: Any, options: Json, **fields: Any) -> str:
    training_file, validation_file = _upload(world, train, valid)
    files = {"training_file": training_file, "validation_file": validation_file}
    with world.client() as client:
        return client.fine_tuning.jobs.create(
            model=MODEL, method=method, extra_body={"touchstone": options}, **files, **fields
        ).id


def security(world: World) -> str:
    # Room for the random model's strings to end: those that do not have no JSON to grade.
    rows, options = published.SECURITY_ROWS, {"samples_per_prompt": 16, "max_completion_tokens": 300}
    reinforcement = published.SECURITY["reinforcement"]
    once = {**reinforcement["hyperparameters"], "n_epochs": 1, "eval_samples": 1}
    method = {**published.SECURITY, "reinforcement": {**reinforcement, "hyperparameters": once}}
    return _create(world, rows, rows, method, options)


def string_check(world: World) -> str:
    rows, method = published.LABELLED_ROWS, {"type": "reinforcement", "reinforcement": published.STRING_CHECK_METHOD}
    return _create(world, rows, rows, method, SHORT, seed=42)


def clinical(world: World) -> str:
    train, valid = _upload(world, published.CLINICAL_ROWS, published.CLINICAL_ROWS)
    body = published.clinical_body(train, valid, published.CLINICAL, "o4_mini_clinical_phrases")
    reply = requests.post(f"{world.base_url}/fine_tuning/jobs", json={**body, "touchstone": SHORT}, headers=HEADERS, timeout=60)
    assert reply.status_code == 200, reply.text
    return str(reply.json()["id"])


def health(world: World) -> str:
    method = {"type": "reinforcement", "reinforcement": published.HEALTH_METHOD}
    return _create(world, published.HEALTH_ROWS, published.HEALTH_ROWS[-4:], method, SHORT)


def labels(world: World) -> str:
    reinforcement = {
        "grader": published.PRECISION_AND_RECALL,
        "response_format": published.LABELS_FORMAT,
        "hyperparameters": published.LABEL_HYPERPARAMETERS,
    }
    method = {"type": "reinforcement", "reinforcement": reinforcement}
    options = {"samples_per_prompt": 4, "max_completion_tokens": 40}
    return _create(world, published.LABEL_ROWS, published.LABEL_ROWS[:2], method, options, suffix="f1")


CREATE: dict[str, Callable[[World], str]] = {
    "A: guide, security assistant": security,
    "B: specification, string check": string_check,
    "G: cookbook, clinical phrases": clinical,
    "H: cookbook, HealthBench": health,
    "I: build hours, precision and recall": labels,
}
MODELS_NOT_NEEDED = ("B: specification, string check", "H: cookbook, HealthBench")
"""Jobs of whose models nothing is asked."""
