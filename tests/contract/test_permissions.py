"""`core.jobs.permissions` on SQLite and PostgreSQL."""

from __future__ import annotations

import pytest

from core.errors import InvalidRequest, NotFound
from core.jobs.models import find_checkpoint, find_served
from core.jobs.permissions import PermissionStore
from core.settings import DEFAULT_PROJECT

from .parts import FOREIGN_PROJECT, Parts


@pytest.fixture
def permissions(parts: Parts) -> PermissionStore:
    return PermissionStore(parts.database, DEFAULT_PROJECT)


@pytest.fixture
def names(parts: Parts) -> tuple[str, str]:
    """A tuned model, and the checkpoint behind it."""
    job = parts.finished()
    return str(job.fine_tuned_model), parts.store.checkpoints(job.id, after=None, limit=1).data[0].model_name


def served(parts: Parts, name: str) -> bool:
    try:
        find_served(parts.database, FOREIGN_PROJECT, name)
    except NotFound:
        return False
    return True


def test_a_permission_opens_both_names_for_sampling_and_nothing_more(parts: Parts, permissions, names) -> None:
    assert [served(parts, name) for name in names] == [False, False]
    permissions.grant(names[0], [FOREIGN_PROJECT])
    assert [served(parts, name) for name in names] == [True, True]
    with pytest.raises(NotFound):
        find_checkpoint(parts.database, FOREIGN_PROJECT, names[1])


def test_a_permission_opens_one_checkpoint_alone(parts: Parts, permissions, names) -> None:
    other = str(parts.finished().fine_tuned_model)
    permissions.grant(names[0], [FOREIGN_PROJECT])
    assert not served(parts, other)


def test_a_revoked_permission_closes_again(parts: Parts, permissions, names) -> None:
    (granted,) = permissions.grant(names[1], [FOREIGN_PROJECT])
    permissions.revoke(names[0], granted.id)
    assert not served(parts, names[1])


def test_granting_again_gives_the_same_permission(permissions, names) -> None:
    assert permissions.grant(names[0], [FOREIGN_PROJECT]) == permissions.grant(names[1], [FOREIGN_PROJECT, FOREIGN_PROJECT])


def test_an_unknown_project_grants_nothing(permissions, names) -> None:
    with pytest.raises(InvalidRequest) as caught:
        permissions.grant(names[0], [FOREIGN_PROJECT, "proj_unknown"])
    assert caught.value.param == "project_ids[1]"
    assert permissions.list(names[0], after=None, limit=10).data == ()


def test_permissions_are_paged_by_time(parts: Parts, permissions, names) -> None:
    granted = []
    for project in (FOREIGN_PROJECT, DEFAULT_PROJECT):
        parts.clock.advance(1.0)
        granted += permissions.grant(names[0], [project])
    first = permissions.list(names[0], after=None, limit=1)
    assert (list(first.data), first.has_more) == ([granted[1]], True)
    assert list(permissions.list(names[0], after=granted[1].id, limit=9).data) == [granted[0]]
    assert list(permissions.list(names[0], after=granted[0].id, limit=9, ascending=True).data) == [granted[1]]
    assert list(permissions.list(names[0], after=None, limit=9, granted_to=FOREIGN_PROJECT).data) == [granted[0]]


def test_permissions_are_the_owners_alone(parts: Parts, permissions, names) -> None:
    (granted,) = permissions.grant(names[0], [FOREIGN_PROJECT])
    foreign = PermissionStore(parts.database, FOREIGN_PROJECT)
    for call in (
        lambda: foreign.grant(names[0], [FOREIGN_PROJECT]),
        lambda: foreign.list(names[0], after=None, limit=1),
        lambda: foreign.revoke(names[0], granted.id),
    ):
        with pytest.raises(NotFound) as caught:
            call()
        assert caught.value.code == "model_not_found"


def test_a_permission_of_another_checkpoint_is_not_found(parts: Parts, permissions, names) -> None:
    (granted,) = permissions.grant(names[0], [FOREIGN_PROJECT])
    other = str(parts.finished().fine_tuned_model)
    with pytest.raises(NotFound):
        permissions.revoke(other, granted.id)
    with pytest.raises(InvalidRequest):
        permissions.list(other, after=granted.id, limit=1)
