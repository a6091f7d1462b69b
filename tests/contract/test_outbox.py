from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.db import Database
from core.outbox import KEEP_SECONDS, Message, Relay
from core.settings import DEFAULT_PROJECT
from core.tables import OutboxRow

from .parts import Clock


def owe(database: Database, count: int = 1, topic: str = "topic") -> None:
    with database.begin() as session:
        now = database.time(session)
        for number in range(count):
            session.add(OutboxRow(project_id=DEFAULT_PROJECT, topic=topic, payload={"n": number}, created_at=now, sent_at=None))


def unsent(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).where(OutboxRow.sent_at.is_(None))) or 0


def test_messages_reach_their_handler_in_order_and_once(database: Database):
    handed: list[int] = []
    relay = Relay(database, {"topic": lambda _session, message: handed.append(message.payload["n"])})
    owe(database, 250)
    relay.relay()
    relay.relay()
    assert handed == list(range(250))


def test_a_message_comes_with_all_that_was_written(database: Database, clock: Clock):
    handed: list[Message] = []
    owe(database)
    Relay(database, {"topic": lambda _session, message: handed.append(message)}).relay()
    (message,) = handed
    assert (message.project_id, message.topic, message.payload) == (DEFAULT_PROJECT, "topic", {"n": 0})
    assert message.created_at == clock()


def test_what_a_handler_writes_is_lost_with_the_mark_where_it_fails(database: Database):
    def fails(session: Session, message: Message) -> None:
        session.add(OutboxRow(project_id="p", topic="written", payload={}, created_at=0.0, sent_at=None))
        session.flush()
        raise RuntimeError("killed")

    owe(database)
    with pytest.raises(RuntimeError):
        Relay(database, {"topic": fails}).relay()
    handed: list[str] = []
    note = {topic: lambda _session, message: handed.append(message.topic) for topic in ("topic", "written")}
    Relay(database, note).relay()
    assert handed == ["topic"]


def test_topics_that_nobody_waits_for_are_marked_as_sent(database: Database):
    owe(database, topic="job.dispatch")
    Relay(database, {}).relay()
    assert unsent(database) == 0


def test_two_relays_at_once_hand_on_every_message_once(database: Database):
    owe(database, 120)
    handed: list[int] = []
    lock = threading.Lock()

    def note(_session: Session, message: Message) -> None:
        with lock:
            handed.append(message.id)

    relays = [Relay(database, {"topic": note}) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda relay: relay.relay(), relays))
    relays[0].relay()
    assert len(handed) == len(set(handed)) == 120


def test_old_messages_are_deleted_and_unsent_ones_never(database: Database, clock: Clock):
    owe(database, 3)
    Relay(database, {}).relay()
    owe(database, 2)
    clock.advance(KEEP_SECONDS + 1)
    Relay(database, {}).purge()
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(OutboxRow)) == 2
    assert unsent(database) == 2


def test_messages_sent_lately_are_kept(database: Database, clock: Clock):
    owe(database, 3)
    Relay(database, {}).relay()
    clock.advance(KEEP_SECONDS - 1)
    Relay(database, {}).purge()
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(OutboxRow)) == 3
