"""Keys open exactly one project, for as long as they are good, and are never kept."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from core.db import Database
from core.errors import InvalidRequest, NotFound, Unauthorized
from core.ids import new_id
from core.projects import ProjectStore
from core.security.keys import KeyStore
from core.security.secrets import digest, mask, new_secret
from core.tables import ApiKeyRow, ProjectRow
from tests.clock import Clock


@pytest.fixture
def keys(database: Database) -> KeyStore:
    return KeyStore(database)


@pytest.fixture
def project(database: Database) -> str:
    return make_project(database)


def make_project(database: Database) -> str:
    project_id = new_id("proj_")
    with database.begin() as session:
        session.add(ProjectRow(project_id=project_id, name="Test", created_at=0.0))
    return project_id


def refusal(keys: KeyStore, secret: str | None) -> Unauthorized:
    with pytest.raises(Unauthorized) as caught:
        keys.authenticate(secret)
    return caught.value


def test_secrets_have_the_documented_form() -> None:
    assert re.fullmatch(r"rft_sk_[0-9A-Za-z]{43}", new_secret())


def test_secrets_differ() -> None:
    assert len({new_secret() for _ in range(100)}) == 100


def test_a_key_authenticates(keys: KeyStore, project: str) -> None:
    key, secret = keys.create(project, "laptop")
    assert keys.authenticate(secret).key_id == key.id


def test_a_key_knows_its_project(keys: KeyStore, project: str) -> None:
    _, secret = keys.create(project, "laptop")
    assert keys.authenticate(secret).project_id == project


def test_the_secret_is_not_kept(keys: KeyStore, project: str, database: Database) -> None:
    key, secret = keys.create(project, "laptop")
    with database.read() as session:
        row = session.scalars(select(ApiKeyRow).where(ApiKeyRow.id == key.id)).one()
        kept = [str(getattr(row, column.key)) for column in ApiKeyRow.__table__.columns]
    assert not any(secret in value or secret[7:-6] in value for value in kept)


def test_a_key_shows_no_more_than_its_hint(keys: KeyStore, project: str) -> None:
    key, secret = keys.create(project, "laptop")
    assert (key.hint, secret in repr(key)) == (f"rft_s***{secret[-2:]}", False)


def test_a_missing_key_is_told_in_openai_s_words(keys: KeyStore) -> None:
    assert refusal(keys, None).message.startswith("You didn't provide an API key.")


def test_an_empty_key_is_a_missing_one(keys: KeyStore) -> None:
    assert refusal(keys, "").message == refusal(keys, None).message


def test_an_unknown_key_is_told_in_openai_s_words(keys: KeyStore) -> None:
    error = refusal(keys, "sk-abcdefghijklmnopqrstuvwxyz")
    assert error.message.startswith("Incorrect API key provided: sk-ab***yz. ")


def test_a_refusal_is_a_401_with_openai_s_code(keys: KeyStore) -> None:
    error = refusal(keys, "sk-abcdefghijklmnopqrstuvwxyz")
    assert (error.status, error.code) == (401, "invalid_api_key")


def test_unknown_expired_revoked_and_mistyped_keys_look_the_same(keys: KeyStore, project: str, clock: Clock) -> None:
    _, expired = keys.create(project, "a", expires_in=10)
    revoked_key, revoked = keys.create(project, "b")
    keys.revoke(project, revoked_key.id)
    clock.now += 10
    secrets = [expired, revoked, new_secret(), revoked[:-1] + ("a" if revoked[-1] != "a" else "b")]
    bodies = {refusal(keys, secret).message.replace(mask(secret), "MASKED") for secret in secrets}
    assert len(bodies) == 1


def test_a_key_is_good_until_it_expires(keys: KeyStore, project: str, clock: Clock) -> None:
    key, secret = keys.create(project, "a", expires_in=10)
    clock.now += 9.5
    assert keys.authenticate(secret).key_id == key.id


def test_an_expired_key_is_refused(keys: KeyStore, project: str, clock: Clock) -> None:
    _, secret = keys.create(project, "a", expires_in=10)
    clock.now += 10
    refusal(keys, secret)


def test_a_revoked_key_is_refused(keys: KeyStore, project: str) -> None:
    key, secret = keys.create(project, "a")
    keys.revoke(project, key.id)
    refusal(keys, secret)


def test_revoking_again_keeps_the_first_time(keys: KeyStore, project: str, clock: Clock) -> None:
    key, _ = keys.create(project, "a")
    first = keys.revoke(project, key.id)
    clock.now += 10
    assert keys.revoke(project, key.id) == first


def test_a_foreign_key_cannot_be_revoked(keys: KeyStore, project: str, database: Database) -> None:
    key, secret = keys.create(make_project(database), "theirs")
    with pytest.raises(NotFound):
        keys.revoke(project, key.id)
    assert keys.authenticate(secret).key_id == key.id


def test_a_list_holds_the_project_s_keys_newest_first(keys: KeyStore, project: str, database: Database, clock: Clock) -> None:
    keys.create(make_project(database), "theirs")
    first, _ = keys.create(project, "first")
    clock.now += 1
    second, _ = keys.create(project, "second")
    assert keys.list(project) == (second, first)


def test_a_secret_of_one_s_own_authenticates(keys: KeyStore, project: str) -> None:
    key, secret = keys.create(project, "RFT_API_KEY", secret=f"sk-{project}-a")
    assert keys.authenticate(secret).key_id == key.id


def test_the_same_secret_gives_the_same_key(keys: KeyStore, project: str) -> None:
    first = keys.create(project, "RFT_API_KEY", secret=f"sk-{project}-b")
    assert keys.create(project, "RFT_API_KEY", secret=f"sk-{project}-b") == first


def test_giving_a_revoked_secret_again_does_not_bring_it_back(keys: KeyStore, project: str) -> None:
    key, secret = keys.create(project, "RFT_API_KEY", secret=f"sk-{project}-c")
    keys.revoke(project, key.id)
    keys.create(project, "RFT_API_KEY", secret=secret)
    refusal(keys, secret)


def test_a_secret_opens_one_project_only(keys: KeyStore, project: str, database: Database) -> None:
    _, secret = keys.create(make_project(database), "theirs")
    with pytest.raises(InvalidRequest, match="another project"):
        keys.create(project, "mine", secret=secret)


@pytest.mark.parametrize("secret", ["", "with space", "line\nbreak", "ключ", "x" * 513, "rft_sk_" + "a" * 43])
def test_secrets_that_no_header_carries_or_that_are_mistyped_are_refused(keys: KeyStore, project: str, secret: str) -> None:
    with pytest.raises(InvalidRequest):
        keys.create(project, "mine", secret=secret)


def test_a_key_of_no_project_is_an_error(keys: KeyStore) -> None:
    with pytest.raises(IntegrityError):
        keys.create("proj_unknown", "nobody's")


@pytest.mark.parametrize("secret", ["x", "a\0b", "\udc80" * 30, "é" * 40, "x" * 100_000, "' OR 1=1 --", "\n" * 40])
def test_hostile_secrets_are_refused_without_an_echo(keys: KeyStore, secret: str) -> None:
    message = refusal(keys, secret).message
    assert len(message) < 200
    assert message.isprintable()


def test_no_single_typing_error_passes_the_checksum(keys: KeyStore, project: str) -> None:
    _, secret = keys.create(project, "mine")
    for position in range(7, len(secret)):
        mistyped = secret[:position] + ("x" if secret[position] != "x" else "y") + secret[position + 1 :]
        with pytest.raises(InvalidRequest):
            keys.create(project, "mistyped", secret=mistyped)


@pytest.mark.parametrize("secret", ["", "short", "fifteen-letters"])
def test_short_secrets_are_masked_whole(secret: str) -> None:
    assert mask(secret) == "***"


def test_scopes_are_kept(keys: KeyStore, project: str) -> None:
    _, secret = keys.create(project, "a", scopes=["api.files.read", "api.files.read"])
    assert keys.authenticate(secret).scopes == ("api.files.read",)


def test_a_scope_that_does_not_exist_makes_no_key(keys: KeyStore, project: str) -> None:
    with pytest.raises(InvalidRequest):
        keys.create(project, "a", scopes=["api.files.destroy"])
    assert keys.list(project) == ()


def test_scopes_and_expiry_can_be_changed(keys: KeyStore, project: str, clock: Clock) -> None:
    key, secret = keys.create(project, "a")
    changed = keys.change(project, key.id, expires_in=10, scopes=["model.request"])
    assert (changed.expires_at, changed.scopes) == (clock.now + 10, ("model.request",))
    assert keys.authenticate(secret).scopes == ("model.request",)


def test_a_revoked_key_cannot_be_changed(keys: KeyStore, project: str) -> None:
    key, _ = keys.create(project, "a")
    keys.revoke(project, key.id)
    with pytest.raises(NotFound):
        keys.change(project, key.id, expires_in=10)


def test_both_keys_open_while_a_rotation_overlaps(keys: KeyStore, project: str, clock: Clock) -> None:
    old, old_secret = keys.create(project, "a", scopes=["api.files.read"])
    new, new_secret_ = keys.rotate(project, old.id, overlap=3600)
    clock.now += 3599
    assert keys.authenticate(old_secret).key_id == old.id
    assert keys.authenticate(new_secret_).key_id == new.id
    assert (new.name, new.scopes) == (old.name, old.scopes)


def test_the_old_key_is_refused_after_the_overlap(keys: KeyStore, project: str, clock: Clock) -> None:
    old, secret = keys.create(project, "a")
    keys.rotate(project, old.id, overlap=3600)
    clock.now += 3600
    refusal(keys, secret)


def test_a_rotation_prolongs_no_key(keys: KeyStore, project: str, clock: Clock) -> None:
    old, secret = keys.create(project, "a", expires_in=10)
    keys.rotate(project, old.id, overlap=3600)
    clock.now += 10
    refusal(keys, secret)


def test_a_rotated_key_lives_as_long_as_the_old_one_did(keys: KeyStore, project: str, clock: Clock) -> None:
    old, _ = keys.create(project, "a", expires_in=100)
    clock.now += 50
    assert keys.rotate(project, old.id, overlap=0)[0].expires_at == clock.now + 100


def test_a_foreign_key_cannot_be_rotated(keys: KeyStore, project: str, database: Database) -> None:
    key, _ = keys.create(make_project(database), "theirs")
    with pytest.raises(NotFound):
        keys.rotate(project, key.id, overlap=0)


def test_many_keys_are_found_at_once(keys: KeyStore, project: str) -> None:
    secrets = [keys.create(project, str(number))[1] for number in range(3)]
    found = keys.find([digest(secret) for secret in (*secrets, new_secret())])
    assert set(found) == {digest(secret) for secret in secrets}


def test_a_key_tells_that_its_project_is_archived(keys: KeyStore, project: str, database: Database) -> None:
    _, secret = keys.create(project, "a")
    ProjectStore(database).archive(project)
    assert keys.authenticate(secret).archived


def test_a_use_is_noted(keys: KeyStore, project: str, clock: Clock) -> None:
    key, _ = keys.create(project, "a")
    keys.used([key.id])
    assert keys.list(project)[0].last_used_at == clock.now
