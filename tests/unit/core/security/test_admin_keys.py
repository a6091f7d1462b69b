"""Keys that manage, and open no project."""

from __future__ import annotations

import pytest

from core.db import Database
from core.errors import NotFound
from core.security.admin_keys import AdminKeyStore
from core.security.secrets import ADMIN_PREFIX, new_secret
from tests.clock import Clock


@pytest.fixture
def keys(database: Database) -> AdminKeyStore:
    return AdminKeyStore(database)


def test_a_made_key_opens(keys: AdminKeyStore) -> None:
    _, secret = keys.create("root")
    assert keys.opens(secret)


def test_an_unknown_key_does_not_open(keys: AdminKeyStore) -> None:
    assert not keys.opens(new_secret(ADMIN_PREFIX))


def test_an_expired_key_opens_and_is_listed_no_more(keys: AdminKeyStore, clock: Clock) -> None:
    key, secret = keys.create("root", expires_in=10)
    clock.now += 10
    assert not keys.opens(secret)
    assert key.id not in [listed.id for listed in keys.list()]


def test_a_deleted_key_opens_no_more(keys: AdminKeyStore) -> None:
    key, secret = keys.create("root")
    keys.delete(key.id)
    assert not keys.opens(secret)
    with pytest.raises(NotFound):
        keys.get(key.id)


def test_deleting_no_key_is_told(keys: AdminKeyStore) -> None:
    with pytest.raises(NotFound):
        keys.delete("key_nothing")


def test_its_last_use_is_noted(keys: AdminKeyStore, clock: Clock) -> None:
    key, secret = keys.create("root")
    clock.now += 5
    keys.opens(secret)
    assert keys.get(key.id).last_used_at == clock.now
