"""Create bodies of OpenAI's guides, specification, cookbook and build hours are taken as they are, and can be read back."""

from __future__ import annotations

import inspect
from typing import Any

import httpx2
import pytest
from openai import OpenAI
from openai.types.fine_tuning import ReinforcementHyperparameters, ReinforcementMethod
from openai.types.graders import ScoreModelGrader, StringCheckGrader

Json = dict[str, Any]

MODEL = "o4-mini-2025-04-16"
TEXT = "{{sample.output_text}}"


def phrase_grader(sample: Json, item: Json) -> float:
    from rapidfuzz import fuzz

    def similar(a: str, b: str) -> float:
        return fuzz.token_set_ratio(a, b) / 100.0

    return similar(sample["output_text"], item["reference_answer"])


def python(source: str, **fields: Any) -> Json:
    return {"type": "python", "source": source, **fields}


PHRASE = inspect.getsource(phrase_grader).replace("phrase_grader", "grade")
RECALL = "def grade(sample, item):\n    found = (sample['output_json'] or {}).get('entities', [])\n    return float(len(found))\n"
SECURITY: Json = {
    "type": "json_schema",
    "json_schema": {
        "name": "security_assistant",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"compliant": {"type": "string"}, "explanation": {"type": "string"}},
            "required": ["compliant", "explanation"],
            "additionalProperties": False,
        },
    },
}


def judge(**fields: Any) -> Json:
    content = "Grade {{ item.explanation }} against {{ sample.output_json.explanation }}: return a number from 0 to 1."
    return {"type": "score_model", "name": "judge", "input": [{"role": "user", "type": "message", "content": content}], **fields}


def check(name: str, value: str, reference: str, **fields: Any) -> Json:
    return {"name": name, "type": "string_check", "operation": "eq", "input": value, "reference": reference, **fields}


def multi(formula: str, **graders: Json) -> Json:
    return {"type": "multi", "graders": graders, "calculate_output": formula}


METHODS: dict[str, Json] = {
    "guide: security assistant": {
        "grader": multi(
            "0.5 * compliant + 0.5 * explanation",
            explanation=judge(model="gpt-4o-2024-08-06"),
            compliant=check("compliant", "{{item.compliant}}", "{{sample.output_json.compliant}}"),
        ),
        "response_format": SECURITY,
        "hyperparameters": {"reasoning_effort": "medium"},
    },
    "guide: name and email": {
        "grader": multi(
            "(name + email) / 2",
            name={
                "name": "sample_name_text_similarity",
                "type": "text_similarity",
                "input": "{{item.name}}",
                "reference": "{{sample.output_json.name}}",
                "evaluation_metric": "fuzzy_match",
                "pass_threshold": 0.9,
            },
            email=check("email", "{{item.email}}", "{{sample.output_json.email}}"),
        )
    },
    "guide: tool call": {
        "grader": multi(
            "0.5 * function + 0.5 * arguments",
            function=check("function", "get_acceptors", "{{sample.output_tools[0].function.name}}"),
            arguments=check("arguments", '{"smiles": "{{item.smiles}}"}', "{{sample.output_tools[0].function.arguments}}"),
        )
    },
    "guide: python grader without a name": {"grader": python(PHRASE)},
    "cookbook: clinical phrases": {
        "grader": multi(
            "0.85 * clinical_phrase + 0.15 * clinical_phrase_binary",
            clinical_phrase=python(PHRASE, name="clinical_phrase_grader", image_tag="2025-05-08"),
            clinical_phrase_binary=python(PHRASE, name="clinical_phrase_binary_grader", image_tag="2025-05-08"),
        ),
        "response_format": None,
        "hyperparameters": {
            "compute_multiplier": 1.0,
            "eval_samples": 3,
            "eval_interval": 5,
            "n_epochs": 5,
            "reasoning_effort": "medium",
        },
    },
    "cookbook: judge with a pass threshold": {
        "grader": judge(
            model="gpt-4.1-2025-04-14",
            range=[0, 1],
            pass_threshold=0.75,
            sampling_params={"temperature": 0, "seed": 42},
        ),
        "response_format": None,
    },
    "build hours: precision and recall": {
        "grader": multi(
            "2 * precision * recall / max(precision + recall, 1e-9)",
            precision=python(RECALL, name="precision"),
            recall=python(RECALL, name="recall"),
        ),
        "hyperparameters": {"n_epochs": 15, "batch_size": 16, "reasoning_effort": "low", "eval_samples": 3},
    },
    "build hours: sentiment": {
        "grader": {
            "type": "text_similarity",
            "name": "sentiment",
            "input": "{{ sample.output_json.sentiment }}",
            "reference": "{{ item.reference_answer }}",
            "evaluation_metric": "fuzzy_match",
        }
    },
}


@pytest.mark.parametrize("case", METHODS)
def test_a_published_body_is_taken_and_echoed(http: httpx2.Client, file_id: str, case: str) -> None:
    body = {
        "model": MODEL,
        "training_file": file_id,
        "validation_file": file_id,
        "suffix": "a_suffix_with_underscores",
        "seed": 42,
        "method": {"type": "reinforcement", "reinforcement": METHODS[case]},
    }
    reply = http.post("/v1/fine_tuning/jobs", json=body)
    assert reply.status_code == 200, reply.text
    shown = http.get(f"/v1/fine_tuning/jobs/{reply.json()['id']}").json()["method"]["reinforcement"]
    assert within(METHODS[case], shown)


def test_the_clients_own_grader_objects_are_taken(strict_client: OpenAI, file_id: str) -> None:
    grader = StringCheckGrader(
        name="Example string check grader", type="string_check", input="{{item.label}}", operation="eq", reference=TEXT
    )
    method = ReinforcementMethod(grader=grader, hyperparameters=ReinforcementHyperparameters(reasoning_effort="medium"))
    job = strict_client.fine_tuning.jobs.create(
        model=MODEL,
        training_file=file_id,
        validation_file=file_id,
        seed=42,
        method={"type": "reinforcement", "reinforcement": method},
    )
    assert (job.seed, job.method.reinforcement.grader) == (42, grader)


def test_a_judge_as_a_client_object_is_taken(strict_client: OpenAI, file_id: str) -> None:
    content = "Rubric: {{item.messages}} Answer: {{sample.output_text}}"
    grader = ScoreModelGrader(
        name="health",
        type="score_model",
        input=[{"role": "user", "type": "message", "content": content}],
        model="o4-mini-2025-04-16",
        sampling_params={"reasoning_effort": "low"},
    )
    hyperparameters = ReinforcementHyperparameters(batch_size=4, n_epochs=5)
    job = strict_client.fine_tuning.jobs.create(
        model=MODEL,
        training_file=file_id,
        validation_file=file_id,
        method={
            "type": "reinforcement",
            "reinforcement": ReinforcementMethod(grader=grader, hyperparameters=hyperparameters),
        },
    )
    assert job.method.reinforcement.grader.to_dict() == grader.to_dict()
    assert job.hyperparameters.batch_size == 4


def within(sent: Any, shown: Any) -> bool:
    """Whether `shown` has all that was sent, whatever else it has."""
    if isinstance(sent, dict):
        return isinstance(shown, dict) and all(key in shown and within(value, shown[key]) for key, value in sent.items())
    return bool(sent == shown)
