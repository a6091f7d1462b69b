"""What every `Grader` promises, and the graders of OpenAI's own guides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from graders.base import FailureKind, Grade, GradeError, Grader, Sample, Sandbox
from graders.build import build
from graders.parts import GraderParts
from graders.report import run_response
from graders.sandbox.client import SandboxClient
from graders.spec import normalised, parse

Json = dict[str, Any]
Build = Callable[[Json], Grader]

STRING_CHECK: Json = {
    "type": "string_check",
    "name": "s",
    "input": "{{sample.output_text}}",
    "reference": "{{item.a}}",
    "operation": "eq",
}
SIMILARITY: Json = {
    "type": "text_similarity",
    "name": "t",
    "input": "{{sample.output_text}}",
    "reference": "{{item.a}}",
    "evaluation_metric": "fuzzy_match",
}
PYTHON: Json = {"type": "python", "name": "p", "source": "def grade(sample, item): return sample['output_text'] == item['a']"}
MULTI: Json = {
    "type": "multi",
    "name": "m",
    "graders": {"s": STRING_CHECK, "t": SIMILARITY, "p": PYTHON},
    "calculate_output": "(s + t + p) / 3",
}

RIGHT = Sample(item={"a": "yes"}, output_text="yes")
WRONG = Sample(item={"a": "yes"}, output_text="###")
BROKEN = Sample(item={}, output_text="yes")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    client = SandboxClient(wall_seconds=60)
    yield client
    client.close()


@pytest.fixture(params=[STRING_CHECK, SIMILARITY, PYTHON, MULTI], ids=lambda config: config["type"])
def config(request: pytest.FixtureRequest) -> Json:
    return request.param


@pytest.fixture
def grader(config: Json, sandbox: Sandbox) -> Grader:
    return build(parse(config), GraderParts(lambda: sandbox))


def scores(results: list[Grade | GradeError]) -> list[float | FailureKind]:
    return [result.score if isinstance(result, Grade) else result.kind for result in results]


def test_it_says_what_it_is(grader: Grader, config: Json) -> None:
    assert (grader.name, grader.type) == (config["name"], config["type"])


def test_a_right_answer_scores_one(grader: Grader) -> None:
    assert scores(grader.grade([RIGHT])) == [1.0]


def test_one_result_a_sample_in_order(grader: Grader) -> None:
    assert scores(grader.grade([RIGHT, WRONG, WRONG, RIGHT])) == [1.0, 0.0, 0.0, 1.0]


def test_no_samples_have_no_results(grader: Grader) -> None:
    assert grader.grade([]) == []


def test_a_sample_that_cannot_be_graded_is_an_error_and_no_zero(grader: Grader) -> None:
    assert isinstance(grader.grade([BROKEN])[0], GradeError)


def test_a_failure_costs_its_own_sample_only(grader: Grader) -> None:
    assert [isinstance(result, Grade) for result in grader.grade([RIGHT, BROKEN, RIGHT])] == [True, False, True]


def test_a_failure_says_why(grader: Grader) -> None:
    [result] = grader.grade([BROKEN])
    assert isinstance(result, GradeError)
    assert result.details


def test_grading_takes_time(grader: Grader) -> None:
    assert grader.grade([RIGHT])[0].seconds > 0


def test_closing_twice_does_no_harm(config: Json) -> None:
    grader = build(parse(config), GraderParts(SandboxClient))
    grader.grade([RIGHT])
    grader.close()
    grader.close()


def test_members_share_one_sandbox(sandbox: Sandbox) -> None:
    asked: list[int] = []

    def factory() -> Sandbox:
        asked.append(1)
        return sandbox

    build(parse({**MULTI, "graders": {"s": PYTHON, "t": PYTHON, "p": PYTHON}}), GraderParts(factory))
    assert len(asked) == 1


def test_a_sandbox_that_cannot_run_is_an_error_of_the_server() -> None:
    client = SandboxClient("/no/such/python")
    [result] = build(parse(PYTHON), GraderParts(lambda: client)).grade([RIGHT])
    client.close()
    assert isinstance(result, GradeError)
    assert result.kind is FailureKind.PYTHON_SERVER


@pytest.mark.parametrize("body", ["1 / 0", "float('nan')", "float('inf')", "'1'", "None"])
def test_a_python_grader_without_a_finite_number_fails_at_run_time(sandbox: Sandbox, body: str) -> None:
    config = {"type": "python", "source": f"def grade(sample, item): return {body}"}
    assert scores(build(parse(config), GraderParts(lambda: sandbox)).grade([RIGHT])) == [FailureKind.PYTHON_RUNTIME]


# The graders of OpenAI's guides and cookbook

WRATIO = """
from rapidfuzz import fuzz, utils

def grade(sample, item) -> float:
    output_text = sample["output_text"]
    reference_answer = item["reference_answer"]
    return fuzz.WRatio(output_text, reference_answer, processor=utils.default_process) / 100.0
"""

NAME_AND_EMAIL: Json = {
    "type": "multi",
    "graders": {
        "name": {
            "name": "name_grader",
            "type": "text_similarity",
            "input": "{{sample.output_json.name}}",
            "reference": "{{item.name}}",
            "evaluation_metric": "fuzzy_match",
            "pass_threshold": 0.9,
        },
        "email": {
            "name": "email_grader",
            "type": "string_check",
            "input": "{{sample.output_json.email}}",
            "reference": "{{item.email}}",
            "operation": "eq",
        },
    },
    "calculate_output": "(name + email) / 2",
}

TOOL_CALL: Json = {
    "type": "multi",
    "graders": {
        "function_name": {
            "type": "string_check",
            "input": "get_acceptors",
            "reference": "{{sample.output_tools[0].function.name}}",
            "operation": "eq",
        },
        "arguments": {
            "type": "string_check",
            "input": '{"smiles": "{{item.smiles}}"}',
            "reference": "{{sample.output_tools[0].function.arguments}}",
            "operation": "eq",
        },
    },
    "calculate_output": "0.5 * function_name + 0.5 * arguments",
}

PHRASE = """
from __future__ import annotations

def grade(sample: dict, item: dict) -> float:
    from rapidfuzz import fuzz, utils
    return fuzz.token_set_ratio(sample["output_text"], item["reference_answer"], processor=utils.default_process) / 100.0
"""

PHRASE_BINARY = """
def grade(sample: dict, item: dict) -> float:
    return 1.0 if sample["output_text"] == item["reference_answer"] else 0.0
"""

CLINICAL: Json = {
    "type": "multi",
    "graders": {
        "clinical_phrase": {"name": "clinical_phrase_grader", "image_tag": "2025-05-08", "type": "python", "source": PHRASE},
        "clinical_phrase_binary": {
            "name": "clinical_phrase_binary_grader",
            "image_tag": "2025-05-08",
            "type": "python",
            "source": PHRASE_BINARY,
        },
    },
    "calculate_output": "0.85 * clinical_phrase + 0.15 * clinical_phrase_binary",
}

FUZZY = Sample(item={"reference_answer": "fuzzy wuzzy had no hair"}, output_text="fuzzy wuzzy was a bear")


def run(config: Json, sample: Sample, sandbox: Sandbox) -> Json:
    spec = parse(config)
    return run_response(spec, build(spec, GraderParts(lambda: sandbox)).grade([sample])[0])


def test_python_wratio_gives_the_documented_reward(sandbox: Sandbox) -> None:
    assert run({"type": "python", "source": WRATIO}, FUZZY, sandbox)["reward"] == 0.7555555555555555


def test_python_without_a_name_gets_one(sandbox: Sandbox) -> None:
    spec = parse({"type": "python", "source": WRATIO})
    assert run({"type": "python", "source": WRATIO}, FUZZY, sandbox)["metadata"]["name"] == normalised(spec)["name"]


@pytest.mark.parametrize(("email", "reward"), [("ada@example.com", 1.0), ("ada@example.org", 0.5)])
def test_name_and_email(sandbox: Sandbox, email: str, reward: float) -> None:
    output: Json = {"name": "Ada Lovelace", "email": "ada@example.com"}
    sample = Sample(item={"name": "Ada Lovelace", "email": email}, output_text="", output_json=output)
    assert run(NAME_AND_EMAIL, sample, sandbox)["reward"] == reward


def test_name_and_email_of_a_completion_that_is_not_json(sandbox: Sandbox) -> None:
    sample = Sample(item={"name": "Ada", "email": "ada@example.com"}, output_text="Ada, ada@example.com")
    assert run(NAME_AND_EMAIL, sample, sandbox)["metadata"]["errors"]["sample_parse_error"] is True


@pytest.mark.parametrize(("arguments", "reward"), [('{"smiles": "CCO"}', 1.0), ('{"smiles":"CCO"}', 0.5)])
def test_tool_call(sandbox: Sandbox, arguments: str, reward: float) -> None:
    call = {"type": "function", "id": "c", "function": {"name": "get_acceptors", "arguments": arguments}}
    sample = Sample(item={"smiles": "CCO"}, output_text="", output_tools=[call])
    assert run(TOOL_CALL, sample, sandbox)["reward"] == reward


def test_a_tool_that_was_not_called_is_an_invalid_variable(sandbox: Sandbox) -> None:
    errors = run(TOOL_CALL, Sample(item={"smiles": "CCO"}, output_text="none"), sandbox)["metadata"]["errors"]
    assert errors["invalid_variable_error"] is True


def test_two_weighted_python_graders(sandbox: Sandbox) -> None:
    sample = Sample(item={"reference_answer": "muscle weakness"}, output_text="Weakness, muscle")
    body = run(CLINICAL, sample, sandbox)
    assert (body["reward"], body["sub_rewards"]) == (0.85, {"clinical_phrase": 1.0, "clinical_phrase_binary": 0.0})
