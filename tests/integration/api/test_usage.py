"""What projects have used, over HTTP: buckets of their own for projects, of all for administrators."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.settings import DEFAULT_PROJECT
from core.usage import UsageKind, count

from .conftest import FOREIGN_KEY, FOREIGN_PROJECT, KEY, Fresh, Service

ADMIN = "the-tests-own-admin-key"
DAY = 86_400
TODAY = int(time.time()) // DAY * DAY
PROJECT, ORGANIZATION = "/v1/fine_tuning/usage", "/v1/organization/usage/fine_tuning"


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory, fresh: Fresh) -> Iterator[Service]:
    """Two projects: yesterday and the day before in the first hours, one job's model and a judge."""
    directory: Path = tmp_path_factory.mktemp("used")
    with fresh.running(fresh.settings(directory, admin_key=ADMIN)) as service:
        with service.context.database.begin() as session:
            for days, hour, steps in ((1, 0, 3), (1, 5, 4), (2, 0, 5)):
                moment = TODAY - days * DAY + hour * 3600 + 60
                tiny = {("tiny", UsageKind.STEPS): steps, ("tiny", UsageKind.DEVICE_SECONDS): steps / 2}
                judged = {("judge", UsageKind.JUDGE_PROMPT_TOKENS): 10 * steps}
                count(session, DEFAULT_PROJECT, moment, {**tiny, **judged})
            count(session, FOREIGN_PROJECT, TODAY - DAY + 60, {("tiny", UsageKind.STEPS): 100})
        yield service


def asked(service: Service, path: str, key: str, **params: Any) -> Any:
    with service.http(key) as http:
        reply = http.get(path, params={"start_time": TODAY - 2 * DAY, **params})
    assert reply.status_code == 200, reply.text
    return reply.json()


def results(page: Any) -> list[list[tuple[Any, ...]]]:
    names = ("project_id", "model", "num_steps", "device_seconds", "judge_input_tokens")
    return [[tuple(result[name] for name in names) for result in bucket["results"]] for bucket in page["data"]]


def test_a_project_sees_its_own_days(used: Service) -> None:
    page = asked(used, PROJECT, KEY)
    assert [bucket["start_time"] for bucket in page["data"]] == [TODAY - 2 * DAY, TODAY - DAY, TODAY]
    mine = DEFAULT_PROJECT
    assert results(page) == [[(mine, None, 5, 2.5, 50)], [(mine, None, 7, 3.5, 70)], []]
    assert (page["object"], page["has_more"], page["next_page"]) == ("page", False, None)


def test_models_are_kept_apart_where_asked(used: Service) -> None:
    page = asked(used, PROJECT, KEY, group_by="model", end_time=TODAY - DAY)
    mine = DEFAULT_PROJECT
    assert results(page) == [[(mine, "judge", 0, 0.0, 50), (mine, "tiny", 5, 2.5, 0)]]


def test_a_model_can_be_asked_for_alone(used: Service) -> None:
    assert results(asked(used, PROJECT, KEY, models="judge"))[0] == [(DEFAULT_PROJECT, None, 0, 0.0, 50)]


def test_another_project_sees_nothing_of_it(used: Service) -> None:
    assert results(asked(used, PROJECT, FOREIGN_KEY)) == [[], [(FOREIGN_PROJECT, None, 100, 0.0, 0)], []]


def test_administrators_see_all_and_choose_how_they_are_grouped(used: Service) -> None:
    assert results(asked(used, ORGANIZATION, ADMIN))[1] == [(None, None, 107, 3.5, 70)]
    # Brackets: as OpenAI's client writes lists.
    grouped = asked(used, ORGANIZATION, ADMIN, **{"group_by[]": ["project_id"]})
    assert results(grouped)[1] == [(DEFAULT_PROJECT, None, 7, 3.5, 70), (FOREIGN_PROJECT, None, 100, 0.0, 0)]
    one = asked(used, ORGANIZATION, ADMIN, project_ids=FOREIGN_PROJECT)
    assert results(one)[1] == [(None, None, 100, 0.0, 0)]


def test_the_organizations_usage_is_for_admin_keys(used: Service) -> None:
    with used.http() as tenant:
        assert tenant.get(ORGANIZATION, params={"start_time": 0}).status_code == 403


def test_hours_come_in_pages(used: Service) -> None:
    span = {"bucket_width": "1h", "start_time": TODAY - DAY, "end_time": TODAY - DAY + 6 * 3600, "limit": 4}
    first = asked(used, PROJECT, KEY, **span)
    second = asked(used, PROJECT, KEY, **span, page=first["next_page"])
    steps = [sum(result["num_steps"] for result in bucket["results"]) for bucket in first["data"] + second["data"]]
    assert steps == [3, 0, 0, 0, 0, 4]
    assert (first["has_more"], second["has_more"]) == (True, False)


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"start_time": TODAY, "end_time": TODAY}, "end_time"),
        ({"limit": 32}, "limit"),
        ({"page": "page_7"}, "page"),
        ({"page": "page_0"}, "page"),
        ({"bucket_width": "1m"}, "bucket_width"),
        ({"group_by": "user_id"}, "group_by"),
    ],
)
def test_what_cannot_be_answered_is_refused(used: Service, params: Any, param: str) -> None:
    with used.http() as http:
        reply = http.get(PROJECT, params={"start_time": TODAY - DAY, **params})
    assert reply.status_code == 400
    assert reply.json()["error"]["param"].startswith(param)
