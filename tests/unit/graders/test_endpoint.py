from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from standardwebhooks import Webhook

from core.errors import InvalidRequest
from core.outbound import Outbound
from graders.base import FailureKind, Grade, GradeError, Sample
from graders.endpoint import ATTEMPTS, MAX_BYTES, EndpointGrader
from graders.spec import parse
from tests.judge import Said, Script, Server, always, error, in_turn, scored, serving

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SAMPLE = Sample(item={"answer": "4"}, output_text="5")
Make = Callable[..., tuple[Server, EndpointGrader]]


@pytest.fixture
def make() -> Iterator[Make]:
    """A scripted endpoint, and a grader that asks it impatiently."""
    with ExitStack() as stack:

        def make(
            script: Script, *, allow_private: bool = True, seconds: float = 30.0, **config: Any
        ) -> tuple[Server, EndpointGrader]:
            server = stack.enter_context(serving(script))
            outbound = Outbound(allow_private=allow_private)
            stack.callback(outbound.close)
            spec: Any = parse({"type": "endpoint", "name": "e", "url": f"{server.url}/score", **config})
            return server, EndpointGrader(spec, outbound, seconds=seconds, first_pause=0.001)

        yield make


def failure(grader: EndpointGrader, sample: Sample = SAMPLE) -> GradeError:
    (result,) = grader.grade([sample])
    assert isinstance(result, GradeError)
    return result


def test_sample_and_row_are_posted_and_the_score_comes_back(make: Make) -> None:
    server, grader = make(always(scored(0.25)), headers={"x-token": "t"})
    (grade,) = grader.grade([SAMPLE])
    assert isinstance(grade, Grade)
    assert grade.score == 0.25
    (asked,) = server.asked
    assert (asked.path, asked.headers["x-token"], asked.headers["content-type"]) == ("/score", "t", "application/json")
    assert asked.body["item"] == {"answer": "4"}
    assert asked.body["sample"]["output_text"] == "5"
    assert asked.body["trace_id"].startswith("trace_")


def test_every_sample_has_a_trace_of_its_own(make: Make) -> None:
    server, grader = make(always(scored(1)))
    grader.grade([SAMPLE] * 3)
    assert len({asked.body["trace_id"] for asked in server.asked}) == 3


def test_requests_are_signed_where_there_is_a_secret(make: Make) -> None:
    server, grader = make(always(scored(1)), signing_secret=SECRET)
    grader.grade([SAMPLE])
    (asked,) = server.asked
    assert Webhook(SECRET).verify(asked.raw, dict(asked.headers)) == asked.body
    assert asked.headers["webhook-id"] == asked.body["trace_id"]


def test_three_more_attempts_then_the_sample_is_discarded(make: Make) -> None:
    server, grader = make(always(error(500)))
    result = failure(grader)
    assert (result.kind, result.details) == (FailureKind.ENDPOINT_SERVER, "the endpoint answered with status 500")
    assert len(server.asked) == ATTEMPTS == 4
    assert len({asked.body["trace_id"] for asked in server.asked}) == 1


def test_an_endpoint_that_recovers_gives_its_score(make: Make) -> None:
    _, grader = make(in_turn(error(503), error(429, retry_after="0"), scored(1)))
    assert isinstance(grader.grade([SAMPLE])[0], Grade)


@pytest.mark.parametrize(
    "said",
    [
        scored("1"),
        scored(None),
        scored(True),
        Said(b'{"score": NaN}'),
        Said(b'{"score": 1e999}'),
        Said(b'{"score": 1' + b"0" * 400 + b"}"),
        Said(b'{"reward": 1}'),
        Said(b"[1]"),
        Said(b"1"),
        Said(b""),
        Said(b'{"score":' * 10_000),
        Said(b"\xff\xfe"),
        error(400),
        error(404),
        Said(b"", 302, {"location": "http://127.0.0.1:1/"}),
        Said(b"", 204),
        Said(b"x", promises=100 << 20),
        Said(b'{"score": 1}', headers={"content-encoding": "gzip"}),
    ],
)
def test_what_is_no_score_is_asked_for_once(make: Make, said: Said) -> None:
    server, grader = make(always(said))
    assert failure(grader).kind is FailureKind.ENDPOINT_SERVER
    assert len(server.asked) == 1


def test_what_the_endpoint_says_is_never_repeated(make: Make) -> None:
    _, grader = make(always(error(400, "secret of the house")))
    assert failure(grader).details == "the endpoint answered with status 400"


def test_a_reply_that_never_ends_is_cut_off(make: Make) -> None:
    _, grader = make(always(Said(b" " * 65536, floods=True)))
    assert failure(grader).details == f"The reply is larger than {MAX_BYTES} bytes."


def test_an_endpoint_that_hangs_costs_its_time(make: Make) -> None:
    _, grader = make(always(Said(b"{}", seconds=600)), seconds=0.2)
    assert failure(grader).details == "The other side took too long to answer."


def test_a_payload_over_a_megabyte_is_not_sent(make: Make) -> None:
    server, grader = make(always(scored(1)))
    assert failure(grader, Sample(item={"a": "x" * MAX_BYTES}, output_text="")).kind is FailureKind.ENDPOINT_INTERNAL
    assert server.asked == []


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "https://127.0.0.1/", "https://[::ffff:10.0.0.1]/", "https://169.254.169.254/"]
)
def test_private_addresses_are_not_called(make: Make, url: str) -> None:
    server, grader = make(always(scored(1)), allow_private=False, url=url)
    assert failure(grader).kind is FailureKind.ENDPOINT_INTERNAL
    assert server.asked == []


def test_a_header_that_could_split_the_request_is_not_sent(make: Make) -> None:
    server, grader = make(always(scored(1)), headers={"x-a": "1\r\nx-b: 2"})
    assert failure(grader).kind is FailureKind.ENDPOINT_INTERNAL
    assert server.asked == []


def test_a_rate_that_leaves_no_time_is_a_failure_and_not_a_wait(make: Make) -> None:
    server, grader = make(always(scored(1)), rate_limit=0.1, seconds=5.0)
    results = grader.grade([SAMPLE] * 3)
    assert sorted(type(result).__name__ for result in results) == ["Grade", "GradeError", "GradeError"]
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"url": 3}, "grader.url"),
        ({"headers": {"a": 1}}, "grader.headers.a"),
        ({"rate_limit": 0}, "grader.rate_limit"),
        ({"rate_limit": float("inf")}, "grader.rate_limit"),
        ({"signing_secret": "hush"}, "grader.signing_secret"),
        ({"signing_secret": "whsec_YWJj"}, "grader.signing_secret"),
        ({"signing_secret": "whsec_!!!"}, "grader.signing_secret"),
    ],
)
def test_a_malformed_configuration_is_refused(changes: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse({"type": "endpoint", "url": "https://example.com/", **changes})
    assert caught.value.param == param


def test_the_payload_is_json(make: Make) -> None:
    server, grader = make(always(scored(1)))
    grader.grade([Sample(item={"text": "\u2028 \ud83d é"}, output_text="\x00")])
    assert json.loads(server.asked[0].raw)["item"] == {"text": "\u2028 \ud83d é"}
