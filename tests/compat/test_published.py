"""What OpenAI has published about reinforcement fine-tuning, as real jobs and grader runs."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from openai import BadRequestError, OpenAI

from tests.compat import published
from tests.compat.published_jobs import CREATE, HEADERS
from tests.compat.world import World, jsonl, wait_for

Json = dict[str, Any]
Finished = Callable[[str], Any]


@pytest.fixture
def client(world: World) -> Iterator[OpenAI]:
    with world.client() as client:
        yield client


def last_metrics(client: OpenAI, job_id: str) -> Json:
    """The data of the newest metrics event."""
    found: Json = next(event.data for event in client.fine_tuning.jobs.list_events(job_id) if event.type == "metrics")
    return found


def shown(world: World, job_id: str) -> Json:
    """The job as it is on the wire: the client's types cannot say what a multi grader is."""
    found: Json = requests.get(f"{world.base_url}/fine_tuning/jobs/{job_id}", headers=HEADERS, timeout=60).json()
    return found


def graded(world: World, job_id: str, step: int = 1) -> list[Json]:
    """The training rollouts of a step."""
    url = f"{world.base_url}/fine_tuning/jobs/{job_id}/rollouts?step={step}&split=train&limit=100"
    found: list[Json] = requests.get(url, headers=HEADERS, timeout=60).json()["data"]
    return found


def run(client: OpenAI, grader: Any, item: Json, model_sample: str) -> Any:
    return client.fine_tuning.alpha.graders.run(grader=grader, item=item, model_sample=model_sample)


class TestJobs:
    def test_a_security_assistant_is_judged_on_the_json_it_writes(self, world: World, client: OpenAI, finished: Finished) -> None:
        job = finished("A: guide, security assistant")
        reinforcement = shown(world, job.id)["method"]["reinforcement"]
        assert reinforcement["response_format"] == published.SECURITY_FORMAT
        assert set(reinforcement["grader"]["graders"]) == {"explanation", "compliant"}
        assert reinforcement["grader"]["name"].startswith("grader-")
        names = [grader["name"] for grader in last_metrics(client, job.id)["scores"]["graders"]]
        assert names == [reinforcement["grader"]["name"], "Explanation text grader", "compliant"]
        asked = [asked.body for asked in world.judge.asked if "Near The rule says so.?" in asked.raw]
        assert {body["model"] for body in asked} == {"gpt-4o-2024-08-06"}
        assert asked[0]["response_format"]["json_schema"]["name"] == "float_score_classification"
        rewards = [rollout["reward"] for rollout in graded(world, job.id)]
        assert any(reward is not None for reward in rewards)
        parts = [rollout["parts"] for rollout in graded(world, job.id) if rollout["reward"] is not None]
        assert set(parts[0]) == {"explanation", "compliant"}

    def test_a_job_of_the_clients_own_objects_keeps_its_seed(self, world: World, finished: Finished) -> None:
        job = finished("B: specification, string check")
        assert (job.seed, job.method.reinforcement.grader) == (42, published.STRING_CHECK)
        assert job.method.reinforcement.hyperparameters.reasoning_effort == "medium"
        for rollout in graded(world, job.id):
            assert rollout["reward"] in (0.0, 1.0)

    def test_a_job_made_with_requests_is_polled_and_answers(self, world: World, client: OpenAI, finished: Finished) -> None:
        job = finished("G: cookbook, clinical phrases")
        body = shown(world, job.id)
        assert (body["status"], body["user_provided_suffix"]) == ("succeeded", "o4_mini_clinical_phrases")
        assert body["fine_tuned_model"].startswith("ft:tiny:local:o4_mini_clinical_phrases:")
        assert body["method"]["reinforcement"]["response_format"] is None
        assert published.CLINICAL_HYPERPARAMETERS.items() <= body["method"]["reinforcement"]["hyperparameters"].items()
        assert body["method"]["reinforcement"]["grader"]["graders"] == published.CLINICAL["graders"]
        validated = [run.name for run in client.evals.runs.list(body["eval_id"], limit=100)]
        assert validated == ["Step 0", "Step 5", "Step 10"]
        assert client.evals.runs.list(body["eval_id"]).data[0].result_counts.total == 3 * len(published.CLINICAL_ROWS)
        assert all(0 <= rollout["reward"] <= 1 for rollout in graded(world, job.id))
        answer = client.responses.create(model=body["fine_tuned_model"], input="Give code 1", max_output_tokens=8)
        assert answer.output_text == answer.output[0].content[0].text

    def test_rows_of_messages_alone_reach_a_judge_in_one_piece(self, world: World, finished: Finished) -> None:
        job = finished("H: cookbook, HealthBench")
        assert job.method.reinforcement.grader.to_dict() == published.HEALTH_GRADER.to_dict()
        assert job.hyperparameters.n_epochs == 5
        asked = [asked.body for asked in world.judge.asked if "My knee hurts" in asked.raw]
        assert {(body["model"], body["reasoning_effort"]) for body in asked} == {("o4-mini-2025-04-16", "low")}
        content = asked[0]["messages"][0]["content"]
        assert content.startswith('Chat: [{"role": "user", "content": "My knee hurts')
        usage = job.to_dict()["usage_metrics"]["grader_tokens"]["o4-mini-2025-04-16"]
        assert usage["prompt_tokens"] == 11 * len(asked)

    def test_lists_are_scored_by_precision_and_recall(self, world: World, finished: Finished) -> None:
        job = finished("I: build hours, precision and recall")
        resolved = shown(world, job.id)["method"]["reinforcement"]["hyperparameters"]
        # A batch is never larger than the training file.
        assert resolved.items() >= {**published.LABEL_HYPERPARAMETERS, "batch_size": len(published.LABEL_ROWS)}.items()
        whole = [rollout for rollout in graded(world, job.id) if rollout["reward"] is not None]
        assert whole
        for rollout in whole:
            precision, recall = (rollout["parts"][name]["reward"] for name in ("precision", "recall"))
            assert rollout["reward"] == pytest.approx(2 * precision * recall / max(precision + recall, 1e-9))

    @pytest.mark.parametrize("name", sorted(CREATE))
    def test_its_eval_is_read_by_a_strict_client(self, world: World, finished: Finished, name: str) -> None:
        eval_id = finished(name).eval_id
        with world.client(_strict_response_validation=True) as strict:
            criteria = strict.evals.retrieve(eval_id).testing_criteria
            run = strict.evals.runs.list(eval_id, limit=1, order="desc").data[0]
            items = strict.evals.runs.output_items.list(run.id, eval_id=eval_id).data
        assert run.status == "completed"
        graders = {result.name[: -len("-00000000-0000-0000-0000-000000000000")] for item in items for result in item.results}
        assert {criterion.name for criterion in criteria} <= graders


class TestRuns:
    def test_the_judge_of_the_specification(self, client: OpenAI) -> None:
        result = run(client, published.EXACT_TEXT, {"reference_answer": "fuzzy wuzzy wasn't fuzzy"}, "fuzzy wuzzy wasn't fuzzy")
        assert (result.reward, result.metadata.name) == (1.0, "Example score model grader")
        assert result.metadata.sampled_model_name == "gpt-4o-mini-2024-07-18"
        assert result.metadata.token_usage == 18

    def test_an_image_reaches_the_judge(self, world: World, client: OpenAI) -> None:
        image = "data:image/png;base64," + base64.b64encode(b"a picture").decode()
        result = run(client, published.IMAGE_CAPTION, {"image": image}, "A dog")
        assert not any(value is True for value in result.metadata.errors.to_dict().values())
        parts = next(asked.body for asked in world.judge.asked[::-1] if "a caption" in asked.raw or "image_url" in asked.raw)
        assert parts["messages"][0]["content"][1] == {"type": "image_url", "image_url": {"url": image, "detail": "high"}}

    def test_a_recording_reaches_the_judge(self, world: World, client: OpenAI) -> None:
        sound = base64.b64encode(b"a sound").decode()
        result = run(client, published.AUDIO, {"audio": sound}, "Hello")
        assert not any(value is True for value in result.metadata.errors.to_dict().values())
        asked = next(asked.body for asked in world.judge.asked[::-1] if "input_audio" in asked.raw)
        assert asked["model"] == "gpt-audio"
        assert asked["messages"][1]["content"] == [{"type": "input_audio", "input_audio": {"data": sound, "format": "mp3"}}]

    def test_validation_echoes_the_string_check(self, client: OpenAI) -> None:
        assert client.fine_tuning.alpha.graders.validate(grader=published.ECHO).grader.to_dict() == published.ECHO

    @pytest.mark.parametrize(
        ("written", "reward"),
        [('{"name": "Ann", "email": "a@b.c"}', 1.0), ('{"name": "Ann", "email": "x@b.c"}', 0.5), ("no JSON", 0.0)],
    )
    def test_name_and_email(self, client: OpenAI, written: str, reward: float) -> None:
        result = run(client, published.NAME_AND_EMAIL, {"name": "Ann", "email": "a@b.c"}, written)
        assert result.reward == reward
        assert result.metadata.errors.sample_parse_error == (written == "no JSON")

    def test_calls_of_tools_are_graded_in_jobs_and_missing_in_plain_text(self, world: World, client: OpenAI) -> None:
        file = client.files.create(file=("tools.jsonl", jsonl(published.TOOL_ROWS)), purpose="fine-tune")
        method = {"type": "reinforcement", "reinforcement": {"grader": published.TOOL_CALL}}
        job = world.create(client, training_file=file.id, validation_file=None, method=method)
        wait_for(lambda: client.fine_tuning.jobs.retrieve(job.id).status in ("queued", "running"))
        client.fine_tuning.jobs.cancel(job.id)
        result = run(client, published.TOOL_CALL, {"smiles": "CO"}, "get_acceptors")
        assert (result.reward, result.metadata.errors.invalid_variable_error) == (0.0, True)

    def test_a_python_grader_without_a_name(self, client: OpenAI) -> None:
        item = {"reference_answer": "fuzzy wuzzy had no hair"}
        result = run(client, published.FUZZY_WUZZY, item, "fuzzy wuzzy was a bear")
        assert result.reward == 0.7555555555555555
        assert result.metadata.name.startswith("grader-")

    def test_a_number_as_reference(self, world: World, client: OpenAI) -> None:
        result = run(client, published.NUMBER, {"reference_answer": 1.0}, "0.9")
        assert result.reward == 0.9
        asked = next(asked.body for asked in world.judge.asked[::-1] if "The reference is" in asked.raw)
        assert asked["messages"][-1]["content"] == "The reference is 1.0, the answer 0.9."
        assert (asked["max_completion_tokens"], asked["reasoning_effort"]) == (32768, "medium")

    def test_the_cookbooks_judge_sends_its_sampling(self, world: World, client: OpenAI) -> None:
        result = run(client, published.CLINICAL_JUDGE, {"reference_answer": "lung"}, "heart")
        assert 0 <= result.reward <= 1
        asked = next(asked.body for asked in world.judge.asked[::-1] if "Expected: lung" in asked.raw)
        assert (asked["model"], asked["temperature"], asked["seed"]) == ("gpt-4.1-2025-04-14", 0, 42)

    def test_a_sentiment_within_json(self, client: OpenAI) -> None:
        result = run(client, published.SENTIMENT, {"reference_answer": "positive"}, '{"sentiment": "positive"}')
        assert result.reward == 1.0


class TestAgents:
    """Tools that a server runs while the model answers are not offered."""

    def _create(self, world: World, **changes: Any) -> None:
        with world.client() as client:
            reinforcement = {**published.AGENT, **changes}
            world.create(client, model="gpt-5-2025-08-07", method={"type": "reinforcement", "reinforcement": reinforcement})

    def test_tools_of_a_server_are_refused_before_anything_is_made(self, world: World) -> None:
        with pytest.raises(BadRequestError) as caught:
            self._create(world)
        assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "method.reinforcement.tools")

    def test_a_limit_of_steps_without_tools_changes_nothing_and_is_echoed(self, world: World, client: OpenAI) -> None:
        reinforcement = {**published.AGENT, "tools": []}
        method = {"type": "reinforcement", "reinforcement": reinforcement}
        job = world.create(client, model="gpt-5-2025-08-07", method=method)
        client.fine_tuning.jobs.cancel(job.id)
        shown = job.to_dict()["method"]["reinforcement"]
        assert (shown["max_episode_steps"], shown["hyperparameters"]["eval_samples"]) == (50, 2)
        assert job.model == "gpt-5-2025-08-07"

    def test_its_endpoint_grader_is_asked(self, world: World, client: OpenAI) -> None:
        grader = {**published.AGENT_ENDPOINT, "url": f"{world.judge.url}/score"}
        result = run(client, grader, {"answer": "x"}, "four")
        assert result.reward == 4 / 16
        asked = next(asked for asked in world.judge.asked[::-1] if asked.path == "/score")
        assert asked.headers["authorization"] == "Bearer secret"
        assert asked.body["item"] == {"answer": "x"}
        assert asked.body["trace_id"].startswith("trace_")
