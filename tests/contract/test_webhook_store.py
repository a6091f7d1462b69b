from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from core.errors import InvalidRequest, NotFound
from core.tables import WebhookEndpointRow
from core.webhooks.store import MAX_ENDPOINTS

from .parts import FOREIGN_PROJECT, Parts
from .webhooks import cancel_job, deliveries, endpoint, new_endpoint, store


def test_an_endpoint_comes_back_as_it_was_made(parts: Parts):
    made, secret = store(parts.database).create(new_endpoint("mine", "https://a.example/x", "batch.failed", "batch.completed"))
    assert store(parts.database).get(made.id) == made
    assert (made.name, made.url, made.event_types) == ("mine", "https://a.example/x", ("batch.failed", "batch.completed"))
    assert (made.created_at, made.updated_at) == (parts.clock(), parts.clock())
    assert store(parts.database).secrets(made.id) == (secret,)


def test_no_secret_stands_in_the_database(parts: Parts):
    made, secret = store(parts.database).create(new_endpoint())
    _, newer = store(parts.database).rotate(made.id, keep_old=True)
    with parts.database.read() as session:
        row = session.get_one(WebhookEndpointRow, made.id)
        stored = f"{row.secret} {row.previous_secret} {row.secret_hint}"
    assert secret[6:] not in stored
    assert newer[6:] not in stored


def test_the_list_is_in_pages_newest_first(parts: Parts):
    made = [endpoint(parts, f"e{number}").id for number in range(5)]
    first = store(parts.database).list(after=None, limit=2)
    assert ([it.id for it in first.data], first.has_more) == ([made[4], made[3]], True)
    rest = store(parts.database).list(after=made[3], limit=10)
    assert ([it.id for it in rest.data], rest.has_more) == ([made[2], made[1], made[0]], False)


def test_a_project_has_a_limited_number_of_endpoints(parts: Parts):
    for number in range(MAX_ENDPOINTS):
        endpoint(parts, f"e{number}")
    with pytest.raises(InvalidRequest) as caught:
        store(parts.database).create(new_endpoint())
    assert caught.value.code == "too_many_endpoints"
    store(parts.database, FOREIGN_PROJECT).create(new_endpoint())


def test_calls_at_the_same_time_do_not_pass_the_limit(parts: Parts):
    for number in range(MAX_ENDPOINTS - 1):
        endpoint(parts, f"e{number}")

    def create(_: int) -> bool:
        try:
            store(parts.database).create(new_endpoint())
        except InvalidRequest:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(create, range(4))) == [False, False, False, True]


def test_a_create_call_that_comes_again_finds_the_same_endpoint(parts: Parts):
    made, secret = store(parts.database).create(new_endpoint())
    assert store(parts.database).create(new_endpoint(), unless_within=600.0) == (made, secret)
    assert store(parts.database).create(new_endpoint("other"), unless_within=600.0)[0].id != made.id
    parts.clock.advance(601.0)
    assert store(parts.database).create(new_endpoint(), unless_within=600.0)[0].id != made.id


def test_an_update_sets_what_it_names(parts: Parts):
    made = endpoint(parts)
    changed = store(parts.database).update(made.id, {"name": "new", "event_types": ["batch.failed"]})
    assert (changed.name, changed.url, changed.event_types) == ("new", made.url, ("batch.failed",))
    assert changed.updated_at == parts.clock() > made.updated_at
    assert store(parts.database).get(made.id) == changed


def test_an_update_that_changes_nothing_leaves_the_time_alone(parts: Parts):
    made = endpoint(parts)
    assert store(parts.database).update(made.id, {"name": made.name}) == made
    assert store(parts.database).update(made.id, {}) == made


def test_a_rotation_ends_the_old_secret_at_once(parts: Parts):
    made = endpoint(parts)
    (old,) = store(parts.database).secrets(made.id)
    store(parts.database).rotate(made.id, keep_old=True)
    rotated, newest = store(parts.database).rotate(made.id, keep_old=False)
    assert store(parts.database).secrets(made.id) == (newest,)
    assert newest != old
    assert (rotated.secret_hint[-4:], rotated.updated_at) == (newest.rstrip("=")[-4:], parts.clock())


def test_a_deleted_endpoint_takes_its_deliveries_along(parts: Parts):
    made = endpoint(parts)
    cancel_job(parts)
    store(parts.database).delete(made.id)
    with pytest.raises(NotFound):
        store(parts.database).get(made.id)
    cancel_job(parts)


def test_deliveries_are_in_pages_newest_first(parts: Parts):
    made = endpoint(parts)
    for _ in range(3):
        cancel_job(parts)
    newest, middle, oldest = deliveries(parts, made)
    assert newest.created_at > middle.created_at > oldest.created_at
    page = store(parts.database).deliveries(made.id, after=newest.id, limit=1)
    assert (page.data, page.has_more) == ((middle,), True)


def test_foreign_and_unknown_ids_look_the_same(parts: Parts):
    made = endpoint(parts)
    foreign = store(parts.database, FOREIGN_PROJECT)
    calls = (
        lambda it, name: it.get(name),
        lambda it, name: it.secrets(name),
        lambda it, name: it.list(after=name, limit=1),
        lambda it, name: it.update(name, {"name": "x"}),
        lambda it, name: it.rotate(name, keep_old=False),
        lambda it, name: it.deliveries(name, after=None, limit=1),
        lambda it, name: it.delete(name),
    )
    for call in calls:
        messages = []
        for name in (made.id, "whe_unknown"):
            with pytest.raises(NotFound) as caught:
                call(foreign, name)
            messages.append(caught.value.message.replace(name, ""))
        assert messages[0] == messages[1]
    assert store(parts.database).get(made.id) == made


def test_a_delivery_of_another_endpoint_is_no_cursor(parts: Parts):
    one, two = endpoint(parts, "one"), endpoint(parts, "two")
    cancel_job(parts)
    (delivery,) = deliveries(parts, one)
    with pytest.raises(NotFound) as caught:
        store(parts.database).deliveries(two.id, after=delivery.id, limit=1)
    assert caught.value.param == "after"
