"""`/v1/fine_tuning/checkpoints/{model}/permissions`: another project samples from a checkpoint, and does no more."""

from __future__ import annotations

from pathlib import Path

import httpx2
import openai
import pytest
from openai import OpenAI

OTHER = "proj_other"


@pytest.fixture
def checkpoint(run, tmp_path: Path) -> str:
    """The name of a checkpoint, with a slash in it."""
    return run.checkpoint(1, 0.1, {"a": b"1"}, tmp_path, name=f"ft:tiny:local:a/b:{run.job_id[-8:]}:ckpt-step-1")


def test_a_permission_is_granted_listed_and_deleted(strict_client: OpenAI, checkpoint: str) -> None:
    permissions = strict_client.fine_tuning.checkpoints.permissions
    (granted,) = permissions.create(checkpoint, project_ids=[OTHER])
    assert (granted.id[:3], granted.object, granted.project_id) == ("cp_", "checkpoint.permission", OTHER)
    assert [one.to_dict() for one in permissions.list(checkpoint)] == [granted.to_dict()]
    with pytest.warns(DeprecationWarning, match="deprecated"):
        assert permissions.retrieve(checkpoint).data[0].id == granted.id
    deleted = permissions.delete(granted.id, fine_tuned_model_checkpoint=checkpoint)
    assert deleted.to_dict() == {"id": granted.id, "object": "checkpoint.permission", "deleted": True}
    assert list(permissions.list(checkpoint)) == []


def test_granting_again_changes_nothing(client: OpenAI, checkpoint: str) -> None:
    permissions = client.fine_tuning.checkpoints.permissions
    first, again = (permissions.create(checkpoint, project_ids=[OTHER, OTHER]).data for _ in range(2))
    assert first == again
    assert len(first) == 1


def test_permissions_are_paged_in_both_orders(strict_client: OpenAI, checkpoint: str) -> None:
    permissions = strict_client.fine_tuning.checkpoints.permissions
    permissions.create(checkpoint, project_ids=[OTHER])
    permissions.create(checkpoint, project_ids=["proj_default"])
    newest = [one.project_id for one in permissions.list(checkpoint, limit=1)]
    oldest = [one.project_id for one in permissions.list(checkpoint, limit=1, order="ascending")]
    assert (newest, oldest) == (["proj_default", OTHER], [OTHER, "proj_default"])


def test_permissions_can_be_filtered_by_project(client: OpenAI, checkpoint: str) -> None:
    permissions = client.fine_tuning.checkpoints.permissions
    permissions.create(checkpoint, project_ids=[OTHER, "proj_default"])
    assert [one.project_id for one in permissions.list(checkpoint, project_id=OTHER)] == [OTHER]


def test_a_permitted_project_sees_the_model_by_both_names(client: OpenAI, foreign_client: OpenAI, run, checkpoint: str) -> None:
    tuned = run.finish()
    client.fine_tuning.checkpoints.permissions.create(checkpoint, project_ids=[OTHER])
    assert [foreign_client.models.retrieve(name).id for name in (checkpoint, tuned)] == [checkpoint, tuned]


def test_a_permission_ends_with_its_deletion(client: OpenAI, foreign_client: OpenAI, checkpoint: str) -> None:
    permissions = client.fine_tuning.checkpoints.permissions
    (granted,) = permissions.create(checkpoint, project_ids=[OTHER])
    permissions.delete(granted.id, fine_tuned_model_checkpoint=checkpoint)
    with pytest.raises(openai.NotFoundError):
        foreign_client.models.retrieve(checkpoint)


def test_a_permitted_project_can_neither_download_nor_delete_nor_train_nor_share(
    client: OpenAI, service, run, checkpoint: str, body
) -> None:
    client.fine_tuning.checkpoints.permissions.create(checkpoint, project_ids=[OTHER])
    quoted = checkpoint.replace("/", "%2F")
    with service.http("sk-the-key-of-another-project") as http:
        weights = http.get(f"/v1/fine_tuning/jobs/{run.job_id}/checkpoints/{run.checkpoint_id}/weights")
        deleted = http.delete(f"/v1/models/{quoted}")
        trained = http.post("/v1/fine_tuning/jobs", json={**body, "model": checkpoint})
        shared = http.post(f"/v1/fine_tuning/checkpoints/{quoted}/permissions", json={"project_ids": [OTHER]})
    assert [reply.status_code for reply in (weights, deleted, trained, shared)] == [404, 400, 403, 404]


@pytest.mark.parametrize(
    ("sent", "param", "code"),
    [
        ({}, "project_ids", "missing_required_parameter"),
        ({"project_ids": OTHER}, "project_ids", "invalid_type"),
        ({"project_ids": []}, "project_ids", "invalid_value"),
        ({"project_ids": [OTHER, "proj_unknown"]}, "project_ids[1]", "invalid_value"),
    ],
)
def test_a_wrong_grant_is_refused_and_grants_nothing(
    http: httpx2.Client, client: OpenAI, checkpoint: str, sent, param: str, code: str
) -> None:
    reply = http.post(f"/v1/fine_tuning/checkpoints/{checkpoint.replace('/', '%2F')}/permissions", json=sent)
    error = reply.json()["error"]
    assert (reply.status_code, error["param"], error["code"]) == (400, param, code)
    assert client.fine_tuning.checkpoints.permissions.list(checkpoint).data == []


def test_unknown_cursors_and_permissions_are_refused(client: OpenAI, checkpoint: str) -> None:
    permissions = client.fine_tuning.checkpoints.permissions
    with pytest.raises(openai.BadRequestError) as caught:
        permissions.list(checkpoint, after="cp_unknown")
    assert caught.value.param == "after"
    with pytest.raises(openai.NotFoundError) as missing:
        permissions.delete("cp_unknown", fine_tuned_model_checkpoint=checkpoint)
    assert missing.value.param == "permission_id"


@pytest.mark.parametrize("name", ["tiny", "ft:tiny:local::unknown1"])
def test_models_without_checkpoint_have_no_permissions(client: OpenAI, name: str) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.fine_tuning.checkpoints.permissions.list(name)
    assert caught.value.code == "model_not_found"


def test_a_permission_of_a_checkpoint_that_is_replaced_goes_with_it(
    client: OpenAI, foreign_client: OpenAI, run, tmp_path: Path
) -> None:
    name = run.checkpoint(1, 0.1, {"a": b"1"}, tmp_path)
    client.fine_tuning.checkpoints.permissions.create(name, project_ids=[OTHER])
    for step in range(2, 6):
        run.checkpoint(step, 0.5, {"a": b"1"}, tmp_path)
    with pytest.raises(openai.NotFoundError):
        foreign_client.models.retrieve(name)
