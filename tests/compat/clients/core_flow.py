"""The way of an RFT user through the service, with whatever major version of the `openai` package this interpreter has.

Reads OPENAI_BASE_URL and OPENAI_API_KEY; takes the directory with `train.jsonl` and `valid.jsonl`. Prints one JSON object.
Stands alone: it imports nothing of this repository.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import openai

MODEL = "o4-mini-2025-04-16"
GRADER = {
    "type": "string_check",
    "name": "has an a",
    "operation": "ilike",
    "input": "{{sample.output_text}}",
    "reference": "{{item.wanted}}",
}
METHOD = {
    "type": "reinforcement",
    "reinforcement": {
        "grader": GRADER,
        "hyperparameters": {"n_epochs": 1, "batch_size": 4, "eval_interval": 1, "eval_samples": 1},
    },
}
HELLO = [{"role": "user", "content": "say 1"}]


def refused(kind: type[openai.APIStatusError], call: Callable[[], object]) -> str | None:
    """The code of the error that a call must end with."""
    try:
        call()
    except kind as error:
        return error.code
    raise AssertionError(f"no {kind.__name__}")


def main(directory: Path) -> None:
    client = openai.OpenAI(max_retries=0)

    train, valid = (
        client.files.create(file=(directory / f"{name}.jsonl").open("rb"), purpose="fine-tune") for name in ("train", "valid")
    )
    assert client.files.wait_for_processing(train.id).status == "processed"
    assert train.id in {file.id for file in client.files.list(purpose="fine-tune")}

    graders = client.fine_tuning.alpha.graders
    assert graders.validate(grader=GRADER).grader.name == "has an a"
    assert graders.run(grader=GRADER, item={"wanted": "a"}, model_sample="an apple").reward == 1.0

    job = client.fine_tuning.jobs.create(
        model=MODEL,
        training_file=train.id,
        validation_file=valid.id,
        method=METHOD,
        suffix="flow",
        metadata={"sdk": openai.__version__},
        extra_body={"touchstone": {"samples_per_prompt": 4, "max_completion_tokens": 8}},
    )
    assert job.id in {found.id for found in client.fine_tuning.jobs.list(metadata={"sdk": openai.__version__})}
    while job.status not in ("succeeded", "failed", "cancelled"):
        time.sleep(0.2)
        job = client.fine_tuning.jobs.retrieve(job.id)
    assert job.status == "succeeded", job.error
    assert job.method is not None
    assert job.method.type == "reinforcement"

    messages = [event.message for event in client.fine_tuning.jobs.list_events(job.id, limit=2)]
    assert messages[0] == "The job has successfully completed"
    assert messages[-1] == f"Created fine-tuning job: {job.id}"
    checkpoints = list(client.fine_tuning.jobs.checkpoints.list(job.id))
    assert [checkpoint.step_number for checkpoint in checkpoints] == [2, 1]
    assert client.files.content(job.result_files[0]).text.startswith("step,")

    model = job.fine_tuned_model
    assert model is not None
    asked = {"model": model, "messages": HELLO, "max_completion_tokens": 8, "seed": 1}
    whole = client.chat.completions.create(**asked).choices[0].message.content
    chunks = list(client.chat.completions.create(stream=True, **asked))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole
    response = client.responses.create(model=checkpoints[0].fine_tuned_model_checkpoint, input="say 1", max_output_tokens=8)
    assert response.object == "response"

    assert refused(openai.BadRequestError, lambda: client.fine_tuning.jobs.cancel(job.id)) == "invalid_state"
    assert refused(openai.NotFoundError, lambda: client.fine_tuning.jobs.retrieve("ftjob-missing")) == "fine_tune_not_found"

    assert client.models.delete(model).deleted
    assert client.files.delete(train.id).deleted
    sys.stdout.write(json.dumps({"version": openai.__version__, "job": job.id, "model": model}) + "\n")


main(Path(sys.argv[1]))
