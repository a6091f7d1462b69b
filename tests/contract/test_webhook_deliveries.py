from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.jobs.types import JobCommand
from core.outbox import Relay
from core.settings import DEFAULT_PROJECT
from core.webhooks.deliveries import CLAIM_SECONDS, KEEP_SECONDS, MAX_PER_PROJECT, DeliveryQueue, fan_out
from core.webhooks.retries import GIVE_UP_SECONDS, LONGEST_SECONDS
from core.webhooks.store import OVERLAP_SECONDS
from core.webhooks.types import Outcome

from .parts import FOREIGN_PROJECT, Parts
from .webhooks import BOX, CANCELLED, cancel_job, deliveries, endpoint, job_of, new_endpoint, store

TAKEN = Outcome(200, None)
DOWN = Outcome(None, "connect")


@pytest.fixture
def queue(parts: Parts) -> DeliveryQueue:
    return DeliveryQueue(parts.database)


class TestFanOut:
    def test_an_event_is_owed_to_every_endpoint_that_wants_it(self, parts: Parts):
        wanting = [endpoint(parts, "one"), endpoint(parts, "two", CANCELLED, "fine_tuning.job.failed")]
        other = endpoint(parts, "three", "fine_tuning.job.succeeded")
        job_id = cancel_job(parts)
        assert [[job_of(delivery) for delivery in deliveries(parts, it)] for it in wanting] == [[job_id], [job_id]]
        assert deliveries(parts, other) == []

    def test_the_event_has_openais_shape_and_one_id_everywhere(self, parts: Parts):
        one, two = endpoint(parts, "one"), endpoint(parts, "two")
        job_id = cancel_job(parts)
        bodies = [json.loads(deliveries(parts, it)[0].body) for it in (one, two)]
        assert bodies[0] == bodies[1]
        event_id = bodies[0].pop("id")
        assert event_id.startswith("evt_")
        now = int(parts.clock())
        assert bodies[0] == {"object": "event", "created_at": now, "type": CANCELLED, "data": {"id": job_id}}

    def test_no_endpoint_of_another_project_hears_of_it(self, parts: Parts):
        foreign, _ = store(parts.database, FOREIGN_PROJECT).create(new_endpoint())
        cancel_job(parts)
        assert store(parts.database, FOREIGN_PROJECT).deliveries(foreign.id, after=None, limit=10).data == ()

    def test_an_endpoint_does_not_hear_of_what_was_before_it(self, parts: Parts):
        job = parts.created()
        parts.store.command(job.id, JobCommand.CANCEL)
        parts.clock.advance(1.0)
        late = endpoint(parts)
        Relay(parts.database, {"webhook": fan_out}).relay()
        assert deliveries(parts, late) == []


class TestClaim:
    def test_an_attempt_has_all_that_is_needed(self, parts: Parts, queue: DeliveryQueue):
        made = endpoint(parts)
        cancel_job(parts)
        (attempt,) = queue.claim(10)
        (delivery,) = deliveries(parts, made)
        assert (attempt.delivery_id, attempt.number, attempt.url) == (delivery.id, 1, made.url)
        assert (attempt.body, attempt.timestamp) == (delivery.body, int(parts.clock()))
        assert tuple(BOX.open(sealed) for sealed in attempt.sealed_secrets) == store(parts.database).secrets(made.id)

    def test_a_claimed_delivery_is_nobody_elses(self, parts: Parts, queue: DeliveryQueue):
        endpoint(parts)
        cancel_job(parts)
        assert len(queue.claim(10)) == 1
        assert queue.claim(10) == []

    def test_one_endpoint_gets_one_attempt_at_a_time_in_order(self, parts: Parts, queue: DeliveryQueue):
        endpoint(parts)
        jobs = [cancel_job(parts) for _ in range(3)]
        seen = []
        for _ in jobs:
            (attempt,) = queue.claim(10)
            seen.append(json.loads(attempt.body)["data"]["id"])
            queue.record(attempt, TAKEN)
        assert seen == jobs

    def test_a_project_with_many_endpoints_leaves_room_for_others(self, parts: Parts, queue: DeliveryQueue):
        for number in range(MAX_PER_PROJECT + 2):
            endpoint(parts, f"e{number}")
        cancel_job(parts)
        assert len(queue.claim(100)) == MAX_PER_PROJECT
        assert queue.claim(100) == []

    def test_no_more_than_asked_for(self, parts: Parts, queue: DeliveryQueue):
        for number in range(3):
            endpoint(parts, f"e{number}")
        cancel_job(parts)
        assert len(queue.claim(2)) == 2
        assert len(queue.claim(2)) == 1

    def test_a_claim_whose_process_died_runs_out(self, parts: Parts, queue: DeliveryQueue):
        endpoint(parts)
        cancel_job(parts)
        (first,) = queue.claim(1)
        parts.clock.advance(CLAIM_SECONDS + 1)
        (second,) = queue.claim(1)
        assert (second.delivery_id, second.body, second.number) == (first.delivery_id, first.body, 2)

    def test_processes_that_claim_at_once_share_no_delivery(self, parts: Parts):
        for number in range(MAX_PER_PROJECT):
            endpoint(parts, f"e{number}")
        cancel_job(parts)
        with ThreadPoolExecutor(4) as pool:
            claims = list(pool.map(lambda _: DeliveryQueue(parts.database).claim(1), range(4)))
        ids = [attempt.delivery_id for claim in claims for attempt in claim]
        assert len(ids) == len(set(ids)) >= 1

    def test_an_old_secret_signs_for_a_day_after_its_rotation(self, parts: Parts, queue: DeliveryQueue):
        made = endpoint(parts)
        (old,) = store(parts.database).secrets(made.id)
        _, new = store(parts.database).rotate(made.id, keep_old=True)
        cancel_job(parts)
        (attempt,) = queue.claim(1)
        assert [BOX.open(sealed) for sealed in attempt.sealed_secrets] == [new, old]
        parts.clock.advance(OVERLAP_SECONDS + 1)
        (attempt,) = queue.claim(1)
        assert [BOX.open(sealed) for sealed in attempt.sealed_secrets] == [new]

    def test_what_is_owed_goes_to_the_url_of_now(self, parts: Parts, queue: DeliveryQueue):
        made = endpoint(parts)
        cancel_job(parts)
        store(parts.database).update(made.id, {"url": "https://moved.example/"})
        assert [attempt.url for attempt in queue.claim(1)] == ["https://moved.example/"]


class TestRecord:
    def test_a_success_ends_the_delivery(self, parts: Parts, queue: DeliveryQueue):
        made = endpoint(parts)
        cancel_job(parts)
        (attempt,) = queue.claim(1)
        queue.record(attempt, TAKEN)
        (delivery,) = deliveries(parts, made)
        assert (delivery.status, delivery.attempts, delivery.status_code, delivery.error) == ("succeeded", 1, 200, None)
        assert delivery.next_attempt_at is None
        parts.clock.advance(GIVE_UP_SECONDS)
        assert queue.claim(1) == []

    def test_a_failure_is_tried_again_later_under_the_same_id(self, parts: Parts, queue: DeliveryQueue):
        made = endpoint(parts)
        cancel_job(parts)
        (first,) = queue.claim(1)
        queue.record(first, Outcome(500, None))
        assert queue.claim(1) == []
        (delivery,) = deliveries(parts, made)
        assert (delivery.status, delivery.status_code) == ("pending", 500)
        assert delivery.next_attempt_at is not None
        parts.clock.seconds = delivery.next_attempt_at
        (second,) = queue.claim(1)
        assert (second.delivery_id, second.body, second.number) == (first.delivery_id, first.body, 2)
        assert second.timestamp > first.timestamp

    def test_a_wish_to_be_left_alone_is_honoured(self, parts: Parts, queue: DeliveryQueue):
        made = endpoint(parts)
        cancel_job(parts)
        (attempt,) = queue.claim(1)
        queue.record(attempt, Outcome(429, None, retry_after=900.0))
        assert deliveries(parts, made)[0].next_attempt_at == parts.clock() + 900.0

    def test_it_is_given_up_after_three_days(self, parts: Parts, queue: DeliveryQueue):
        made = endpoint(parts)
        cancel_job(parts)
        began = parts.clock()
        while deliveries(parts, made)[0].status == "pending":
            for attempt in queue.claim(1):
                queue.record(attempt, DOWN)
            parts.clock.advance(LONGEST_SECONDS / 2)
        (delivery,) = deliveries(parts, made)
        assert (delivery.status, delivery.error) == ("failed", "connect")
        assert delivery.attempted_at is not None
        assert GIVE_UP_SECONDS - 3 * LONGEST_SECONDS < delivery.attempted_at - began <= GIVE_UP_SECONDS

    def test_a_late_outcome_does_not_undo_a_newer_attempt(self, parts: Parts, queue: DeliveryQueue):
        made = endpoint(parts)
        cancel_job(parts)
        (late,) = queue.claim(1)
        parts.clock.advance(CLAIM_SECONDS + 1)
        (newer,) = queue.claim(1)
        queue.record(newer, TAKEN)
        queue.record(late, DOWN)
        assert deliveries(parts, made)[0].status == "succeeded"

    def test_an_outcome_for_a_deleted_endpoint_is_dropped(self, parts: Parts, queue: DeliveryQueue):
        made = endpoint(parts)
        cancel_job(parts)
        (attempt,) = queue.claim(1)
        store(parts.database).delete(made.id)
        queue.record(attempt, TAKEN)
        assert queue.claim(1) == []


class TestPurge:
    def test_deliveries_that_ended_long_ago_are_forgotten(self, parts: Parts, queue: DeliveryQueue):
        made = endpoint(parts)
        cancel_job(parts)
        (attempt,) = queue.claim(1)
        queue.record(attempt, TAKEN)
        queue.purge()
        assert len(deliveries(parts, made)) == 1
        parts.clock.advance(GIVE_UP_SECONDS + KEEP_SECONDS + 1)
        queue.purge()
        assert deliveries(parts, made) == []

    def test_deliveries_still_owed_are_kept(self, parts: Parts, queue: DeliveryQueue):
        made = endpoint(parts)
        cancel_job(parts)
        parts.clock.advance(GIVE_UP_SECONDS + KEEP_SECONDS + 1)
        queue.purge()
        assert len(deliveries(parts, made)) == 1


def test_the_default_project_is_the_one_of_the_jobs(parts: Parts):
    assert endpoint(parts).project_id == DEFAULT_PROJECT
