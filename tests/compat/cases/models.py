"""`client.models`."""

from __future__ import annotations

import pytest
from openai import NotFoundError, OpenAI

from tests.compat.cases.base import proves
from tests.compat.world import MODEL, World


@proves("models.list")
def listed(client: OpenAI, world: World) -> None:
    found = {model.id: model for model in client.models.list()}
    assert {"tiny", world.model} <= set(found)
    assert found[world.model].object == "model"


@proves("models.retrieve")
def retrieve(client: OpenAI, world: World) -> None:
    for name in ("tiny", MODEL, world.model, world.checkpoint(client)):
        model = client.models.retrieve(name)
        assert (model.object, model.owned_by != "", model.created > 0) == ("model", True, True)
    with pytest.raises(NotFoundError) as caught:
        client.models.retrieve("no/such:model")
    assert caught.value.code == "model_not_found"


@proves("models.delete")
def delete(client: OpenAI, world: World) -> None:
    job = world.wait_for_end(world.spare.pop())
    gone = client.models.delete(job.fine_tuned_model)
    assert (gone.id, gone.object, gone.deleted) == (job.fine_tuned_model, "model", True)
    with pytest.raises(NotFoundError):
        client.models.retrieve(job.fine_tuned_model)
