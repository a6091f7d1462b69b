from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from openai import OpenAI
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.integration.cli.conftest import Workplace

PROMPT: Any = [{"role": "user", "content": "say 3"}]


@pytest.fixture
def client(served: Workplace) -> Iterator[OpenAI]:
    with OpenAI(base_url=served.variables["OPENAI_BASE_URL"], api_key=served.variables["OPENAI_API_KEY"]) as client:
        yield client


@pytest.fixture(scope="module")
def job(served: Workplace, finished: str) -> Any:
    return json.loads(served.rft("jobs", "show", finished, "--json").stdout)


def files(served: Workplace, name: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (served.directory / name).iterdir()}


def test_an_adapter_is_what_peft_loads(served: Workplace, finished: str) -> None:
    served.rft("download", finished, "-o", "adapter")

    assert set(files(served, "adapter")) == {"adapter_config.json", "adapter_model.safetensors"}


def test_the_tuned_models_name_means_the_same(served: Workplace, finished: str, job: Any) -> None:
    served.rft("download", finished, "-o", "by-job")
    served.rft("download", job["fine_tuned_model"], "-o", "by-model")

    assert files(served, "by-job") == files(served, "by-model")


def test_a_checkpoints_name_means_that_checkpoint(served: Workplace, finished: str, client: OpenAI) -> None:
    last = client.fine_tuning.jobs.checkpoints.list(finished).data[0]
    served.rft("download", last.fine_tuned_model_checkpoint, "-o", "by-name")
    served.rft("download", finished, "--checkpoint", last.id, "-o", "by-id")
    served.rft("download", finished, "--checkpoint", "last", "-o", "as-last")

    assert files(served, "by-name") == files(served, "by-id") == files(served, "as-last")


def test_a_merged_model_answers_as_the_service_does(served: Workplace, job: Any, client: OpenAI) -> None:
    served.rft("download", job["id"], "--format", "merged", "-o", "merged")
    directory = served.directory / "merged"
    tokenizer = AutoTokenizer.from_pretrained(directory)
    prompt = tokenizer.apply_chat_template(PROMPT, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    out = AutoModelForCausalLM.from_pretrained(directory).generate(**prompt, do_sample=False, max_new_tokens=12)
    answer = tokenizer.decode(out[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True)
    reply = client.chat.completions.create(model=job["fine_tuned_model"], messages=PROMPT, temperature=0, max_tokens=12)

    assert reply.choices[0].message.content == answer


def test_a_directory_with_something_in_it_is_left_alone(served: Workplace, finished: str) -> None:
    (served.directory / "mine").mkdir()
    (served.directory / "mine" / "notes").touch()

    assert "mine is not empty" in served.rft("download", finished, "-o", "mine", check=1).stderr
    assert set(files(served, "mine")) == {"notes"}


@pytest.mark.parametrize("arguments", [("ftjob-nope",), ("ft:tiny:local::nope",)])
def test_an_unknown_name_leaves_nothing_behind(served: Workplace, arguments: tuple[str, ...]) -> None:
    served.rft("download", *arguments, "-o", "nothing", check=1)

    assert not (served.directory / "nothing").exists()
    assert not list(served.directory.glob(".download-*"))


def test_an_unknown_checkpoint_leaves_nothing_behind(served: Workplace, finished: str) -> None:
    done = served.rft("download", finished, "--checkpoint", "ftckpt_nope", "-o", "nothing", check=1)

    assert "ftckpt_nope" in done.stderr
    assert not (served.directory / "nothing").exists()
