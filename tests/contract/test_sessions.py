"""Sessions of browsers on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from core.db import Database
from core.errors import Unauthorized
from core.security.keys import KeyStore
from core.security.secrets import digest
from core.security.sessions import LINK_SECONDS, SESSION_SECONDS, NewSession, SessionStore
from core.settings import DEFAULT_PROJECT
from core.tables import SessionRow

from .parts import Clock


class World:
    """A project with a key, on a database whose clock stands."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.keys = KeyStore(database)
        self.sessions = SessionStore(database)
        self.key, self.secret = self.keys.create(DEFAULT_PROJECT, "test", expires_in=2 * SESSION_SECONDS)

    def open(self) -> NewSession:
        return self.sessions.open(self.keys.authenticate(self.secret))

    def is_open(self, session: NewSession) -> bool:
        return digest(session.secret) in self.sessions.find([digest(session.secret)])


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def test_a_session_stands_for_its_key(world: World) -> None:
    session = world.open()
    holder = world.sessions.find([digest(session.secret)])[digest(session.secret)]
    assert (holder.key_id, holder.project_id) == (world.key.id, DEFAULT_PROJECT)


def test_the_secret_is_not_kept(world: World) -> None:
    session = world.open()
    with world.database.read() as database:
        row = database.scalars(select(SessionRow)).one()
        assert session.secret not in [str(value) for value in vars(row).values()]


def test_an_unknown_secret_opens_nothing(world: World) -> None:
    assert world.sessions.find([digest("x" * 43)]) == {}


def test_a_session_ends_in_time(world: World, clock: Clock) -> None:
    session = world.open()
    clock.advance(SESSION_SECONDS - 1)
    assert world.is_open(session)
    clock.advance(2)
    assert not world.is_open(session)


def test_a_session_ends_with_its_key(world: World) -> None:
    session = world.open()
    world.keys.revoke(DEFAULT_PROJECT, world.key.id)
    assert not world.is_open(session)


def test_signing_out_ends_this_session_only(world: World) -> None:
    session, other = world.open(), world.open()
    world.sessions.close(session.secret)
    assert not world.is_open(session)
    assert world.is_open(other)


def test_a_link_opens_one_session(world: World) -> None:
    link = world.sessions.make_link(DEFAULT_PROJECT, world.key.id)
    assert world.is_open(world.sessions.follow_link(link))
    with pytest.raises(Unauthorized):
        world.sessions.follow_link(link)


def test_a_link_is_good_for_a_short_time(world: World, clock: Clock) -> None:
    link = world.sessions.make_link(DEFAULT_PROJECT, world.key.id)
    clock.advance(LINK_SECONDS + 1)
    with pytest.raises(Unauthorized):
        world.sessions.follow_link(link)


def test_a_link_is_no_session_and_a_session_no_link(world: World) -> None:
    link = world.sessions.make_link(DEFAULT_PROJECT, world.key.id)
    assert world.sessions.find([digest(link)]) == {}
    with pytest.raises(Unauthorized):
        world.sessions.follow_link(world.open().secret)


def test_ended_sessions_are_cleared_by_the_next_sign_in(world: World, clock: Clock) -> None:
    world.open()
    clock.advance(SESSION_SECONDS + 1)
    world.open()
    with world.database.read() as database:
        assert len(database.scalars(select(SessionRow)).all()) == 1
