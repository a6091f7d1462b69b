from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import Any

import pytest

from graders.base import FailureKind, TokenUsage
from graders.judges import judge as judges
from graders.judges.base import Answer, NoAnswer, Question
from tests.judge import Said, always, completion, error, in_turn, verdict, wait_until

SCHEMA = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
QUESTION = Question(({"role": "user", "content": "well?"},), "form", SCHEMA, {"temperature": 0.0})
MakeJudge = Callable[..., Any]


def failure(judge: judges.Judge) -> NoAnswer:
    (result,) = judge.ask([QUESTION])
    assert isinstance(result, NoAnswer)
    return result


def test_the_question_goes_out_in_the_shape_of_chat_completions(make_judge: MakeJudge) -> None:
    server, judge = make_judge(always(verdict(1)), key="sk-operator")
    judge.ask([QUESTION])
    (asked,) = server.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.headers["authorization"] == "Bearer sk-operator"
    assert asked.body == {
        "model": "model-there",
        "messages": [{"role": "user", "content": "well?"}],
        "temperature": 0.0,
        "response_format": {"type": "json_schema", "json_schema": {"name": "form", "strict": True, "schema": SCHEMA}},
    }


def test_without_a_key_none_is_sent(make_judge: MakeJudge) -> None:
    server, judge = make_judge(always(verdict(1)))
    judge.ask([QUESTION])
    assert "authorization" not in server.asked[0].headers


def test_an_answer_comes_with_its_tokens(make_judge: MakeJudge) -> None:
    _, judge = make_judge(always(completion("yes", finish_reason="length")))
    (answer,) = judge.ask([QUESTION])
    assert isinstance(answer, Answer)
    assert (answer.text, answer.cut_off, answer.usage) == ("yes", True, TokenUsage(11, 7, 3))


@pytest.mark.parametrize(
    "usage", [{}, {"prompt_tokens": "many"}, {"prompt_tokens": -1, "prompt_tokens_details": 3}, {"completion_tokens": 1e9}]
)
def test_counts_that_are_none_count_nothing(make_judge: MakeJudge, usage: dict[str, Any]) -> None:
    _, judge = make_judge(always(completion("yes", usage=usage)))
    assert judge.ask([QUESTION])[0].usage == TokenUsage()


def test_content_in_parts_is_put_together(make_judge: MakeJudge) -> None:
    _, judge = make_judge(always(completion([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])))
    assert judge.ask([QUESTION])[0].text == "ab"


@pytest.mark.parametrize(
    "said", [completion(None, refusal="I would rather not."), completion("", finish_reason="content_filter")]
)
def test_a_refusal_is_a_failure_of_its_own(make_judge: MakeJudge, said: Said) -> None:
    _, judge = make_judge(always(said))
    result = failure(judge)
    assert (result.kind, result.usage) == (FailureKind.MODEL_REFUSAL, TokenUsage(11, 7, 3))


@pytest.mark.parametrize(
    "first",
    [
        error(429),
        error(429, retry_after="0"),
        error(500),
        error(503, retry_after_ms="1"),
        error(400, x_should_retry="true"),
        Said(b"<html>bad gateway</html>"),
        Said(b"[]"),
        Said(b'{"choices": []}'),
        Said(b"{", headers={"connection": "close"}, promises=1000),
    ],
    ids=["429", "429-after", "500", "503-after", "told-to", "html", "array", "no-choice", "cut"],
)
def test_what_may_pass_is_tried_again(make_judge: MakeJudge, first: Said) -> None:
    server, judge = make_judge(in_turn(first, first, verdict(1)))
    assert isinstance(judge.ask([QUESTION])[0], Answer)
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    "said", [error(400), error(404), error(422), error(503, x_should_retry="false"), error(302, location="/elsewhere")]
)
def test_what_will_not_pass_is_asked_once(make_judge: MakeJudge, said: Said) -> None:
    server, judge = make_judge(always(said))
    assert failure(judge).kind is FailureKind.MODEL_SERVER
    assert len(server.asked) == 1


def test_attempts_are_counted(make_judge: MakeJudge) -> None:
    server, judge = make_judge(always(error(500, "overheated")))
    assert failure(judge).details == "the judge's server answered with status 500: overheated"
    assert len(server.asked) == judges.ATTEMPTS


def test_a_wait_beyond_the_deadline_is_not_waited_for(make_judge: MakeJudge) -> None:
    server, judge = make_judge(always(error(429, "later", retry_after="3600")))
    assert failure(judge).details == "the judge's server answered with status 429: later"
    assert len(server.asked) == 1


def test_a_judge_that_hangs_costs_its_deadline(make_judge: MakeJudge) -> None:
    _, judge = make_judge(always(verdict(1, seconds=600)), seconds=0.2)
    result = failure(judge)
    assert (result.kind, result.details) == (FailureKind.MODEL_SERVER, "The other side took too long to answer.")


def test_a_reply_that_never_ends_is_cut_off(make_judge: MakeJudge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graders.judges.transports.MAX_REPLY_BYTES", 1 << 20)
    server, judge = make_judge(always(Said(b"x" * 65536, floods=True)))
    result = failure(judge)
    assert (result.kind, result.details) == (FailureKind.MODEL_SERVER, "The reply is larger than 1048576 bytes.")
    assert len(server.asked) == 1


def test_a_promise_of_a_hundred_megabytes_is_not_waited_for(make_judge: MakeJudge) -> None:
    _, judge = make_judge(always(Said(b"x", promises=100 << 20)))
    assert "larger" in failure(judge).details


def test_what_the_server_says_of_the_key_is_not_passed_on(make_judge: MakeJudge) -> None:
    _, judge = make_judge(always(error(401, "Incorrect API key provided: sk-oper*tor")))
    assert failure(judge).details == "the judge's server answered with status 401"


def test_no_more_than_so_many_at_a_time(make_judge: MakeJudge) -> None:
    server, judge = make_judge(always(verdict(1, seconds=0.02)), concurrency=3)
    assert len(judge.ask([QUESTION] * 12)) == 12
    assert server.most_at_once == 3


def test_answers_come_in_the_order_of_the_questions(make_judge: MakeJudge) -> None:
    _, judge = make_judge(lambda asked: completion(asked.body["messages"][0]["content"]))
    questions = [Question(({"role": "user", "content": str(i)},), "form", SCHEMA) for i in range(20)]
    assert [answer.text for answer in judge.ask(questions)] == [str(i) for i in range(20)]


def test_a_server_without_schemas_is_asked_in_words(make_judge: MakeJudge) -> None:
    def script(asked: Any) -> Said:
        return error(400, "This response_format type is unavailable now") if "response_format" in asked.body else verdict(1)

    server, judge = make_judge(script, concurrency=1)
    assert all(isinstance(answer, Answer) for answer in judge.ask([QUESTION] * 3))
    assert len(server.asked) == 4
    order = server.asked[-1].body["messages"][0]
    assert order["role"] == "system"
    assert "JSON schema" in order["content"]


def test_closing_gives_up_what_is_tried_again(make_judge: MakeJudge) -> None:
    server, judge = make_judge(always(error(500)), first_pause=600.0, concurrency=1, seconds=3600.0)
    outcome: list[Any] = []

    def ask() -> None:
        try:
            outcome.append(judge.ask([QUESTION] * 2))
        except CancelledError as cancelled:
            outcome.append(cancelled)

    thread = threading.Thread(target=ask)
    thread.start()
    wait_until(lambda: len(server.asked) == 1)
    judge.close()
    thread.join()
    assert len(outcome) == 1
    assert len(server.asked) == 1
