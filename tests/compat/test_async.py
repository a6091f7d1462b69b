"""The asynchronous client: one way through the service, and a stream."""

from __future__ import annotations

import asyncio

import pytest
from openai import AsyncOpenAI

from tests.compat.world import ADMIN_KEY, FEW, HAS_AN_A, HELLO, KEY, MODEL, World, jsonl, rows


@pytest.mark.parametrize("strict", [False, True], ids=["lax", "strict"])
def test_the_asynchronous_client_goes_the_whole_way(world: World, strict: bool) -> None:
    asyncio.run(_go(world, strict))


async def _go(world: World, strict: bool) -> None:
    options = {"api_key": KEY, "admin_api_key": ADMIN_KEY, "max_retries": 0, "_strict_response_validation": strict}
    async with AsyncOpenAI(base_url=world.base_url, **options) as client:
        file = await client.files.create(file=("a.jsonl", jsonl(rows(4))), purpose="fine-tune")
        assert (await client.files.wait_for_processing(file.id)).status == "processed"
        assert (
            await client.fine_tuning.alpha.graders.run(grader=HAS_AN_A, item={"wanted": "a"}, model_sample="Ab")
        ).reward == 1.0
        method = {"type": "reinforcement", "reinforcement": {"grader": HAS_AN_A}}
        job = await client.fine_tuning.jobs.create(
            model=MODEL, training_file=file.id, method=method, extra_body={"touchstone": FEW}
        )
        assert (await client.fine_tuning.jobs.cancel(job.id)).status == "cancelled"
        messages = [event.message async for event in client.fine_tuning.jobs.list_events(world.job.id, limit=2)]
        assert messages[0] == "The job has successfully completed"
        assert [one.step_number async for one in client.fine_tuning.jobs.checkpoints.list(world.job.id)] == [2, 1]
        stream = await client.chat.completions.create(model=world.model, messages=HELLO, max_tokens=4, stream=True)
        reasons = [chunk.choices[0].finish_reason async for chunk in stream if chunk.choices]
        assert reasons[-1] in ("stop", "length")
        projects = [project.id async for project in client.admin.organization.projects.list()]
        assert "proj_default" in projects
        assert (await client.files.delete(file.id)).deleted
