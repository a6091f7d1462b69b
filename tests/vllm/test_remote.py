"""The vLLM engine in remote mode keeps every promise of `RolloutEngine` on a real `vllm serve`, and finds its server again."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from core.jobs.types import JobStatus
from core.models import VllmServer
from tests.contract.test_rollout_engine import *  # noqa: F403  - the promises of every engine
from tests.contract.test_rollout_engine import GROUPS, PARAMS, STOP_IDS, flat
from tests.service import Service, rows
from worker.canary import LIMITS, Canary, OutOfSync
from worker.policy.lora_policy import LoraPolicy
from worker.policy.model import PolicyModel, load_model
from worker.policy.trained import UpdateConfig
from worker.rollout.base import Completion, EngineLost, PromptGroup, RolloutEngine, SamplingParams
from worker.rollout.shared_out import SharedOut
from worker.rollout.vllm_http import ServerRefused
from worker.rollout.vllm_remote import RemoteVllmEngine

from .serving import Proxy, Serving, serve
from .test_engine import fresh, trained

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(580)]

SEQUENCES = [((1, 2, 3), (4, 5, 6)), (tuple(range(40)), (7, 8))]


@pytest.fixture(scope="session")
def model(directory: Path) -> PolicyModel:
    return load_model(directory)


@pytest.fixture
def policy(model: PolicyModel) -> LoraPolicy:
    return fresh(model, 1)


@pytest.fixture
def restarts() -> list[str]:
    return []


@pytest.fixture(scope="module")
def second(directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Another server of the same model."""
    serving, process = serve(directory, tmp_path_factory.mktemp("second"))
    yield serving
    process.terminate()
    process.wait(60)


@pytest.fixture
def connect(serving: Serving, restarts: list[str]) -> Iterator[Callable[..., RemoteVllmEngine]]:
    """Engines on the server, or on what stands before it."""
    made: list[RemoteVllmEngine] = []

    def engine(policy: LoraPolicy, url: str = serving.url, **options: Any) -> RemoteVllmEngine:
        given = {"max_len": 512, "patience_seconds": 10.0, "restarted": restarts.append, **options}
        made.append(RemoteVllmEngine(VllmServer(url, serving.adapters), "ftjob-1", policy, STOP_IDS, **given))
        return made[-1]

    yield engine
    for each in made:
        each.close()


@pytest.fixture
def engine(connect: Callable[..., RemoteVllmEngine], policy: LoraPolicy) -> RemoteVllmEngine:
    return connect(policy)


def test_the_same_batch_gives_the_same_bits(engine: RolloutEngine) -> None:
    """Tokens here: in which batches requests meet, and with them the last bits, vLLM leaves open."""
    once, again = ([completion.tokens_T for completion in flat(engine.generate(GROUPS, PARAMS))] for _ in range(2))
    assert once == again


def test_a_format_is_followed_and_leaves_log_probabilities_as_the_trainer_computes_them(
    engine: RolloutEngine, policy: LoraPolicy
) -> None:
    """At the one temperature at which the server can score them."""
    params = SamplingParams(24, response_format=ResponseFormat('{"enum": ["yes", "no"]}'))  # noqa: F405
    groups = engine.generate(GROUPS, params)
    assert {completion.stop_reason for completion in flat(groups)} == {StopReason.STOP}  # noqa: F405
    assert_the_policys(groups, policy)


def test_log_probabilities_are_those_before_top_p(engine: RolloutEngine, policy: LoraPolicy) -> None:
    assert_the_policys(engine.generate(GROUPS, SamplingParams(24, top_p=0.5)), policy)


def assert_the_policys(groups: list[list[Completion]], policy: LoraPolicy) -> None:
    sequences = [(g.prompt_T, c.tokens_T) for g, completions in zip(GROUPS, groups, strict=True) for c in completions]
    for completion, expected in zip(flat(groups), policy.score(sequences, 1.0), strict=True):
        assert completion.logprobs_T == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("params", [SamplingParams(4, temperature=0.8, top_p=0.5)])
def test_what_the_server_has_no_log_probabilities_of_is_refused(engine: RolloutEngine, params: SamplingParams) -> None:
    with pytest.raises(ServerRefused, match=r"temperature of 0\.8"):
        engine.generate(GROUPS, params)


def test_a_server_with_too_little_context_is_refused(connect: Callable[..., RemoteVllmEngine], policy: LoraPolicy) -> None:
    with pytest.raises(ServerRefused, match="max_model_len"):
        connect(policy, max_len=513)


def test_an_adapter_of_too_high_a_rank_is_refused(connect: Callable[..., RemoteVllmEngine], model: PolicyModel) -> None:
    wide = LoraPolicy.fresh(model, rank=16, alpha=8.0, seed=1, config=UpdateConfig(learning_rate=0.02))
    with pytest.raises(ServerRefused, match="rank"):
        connect(wide)


def test_a_wrong_adapter_is_caught(engine: RemoteVllmEngine, model: PolicyModel, serving: Serving) -> None:
    ours, wrong = trained(model, 2), trained(model, 3)
    engine._weights = ours
    engine.sync()
    canary = Canary([engine], ours, 1.0, LIMITS["float32"])
    canary.before_update(SEQUENCES)
    engine._weights = wrong
    engine.sync()
    with pytest.raises(OutOfSync):
        canary.check()


def test_adapters_leave_with_their_engine_and_those_of_a_dead_run_before_the_next(
    connect: Callable[..., RemoteVllmEngine], policy: LoraPolicy, serving: Serving
) -> None:
    left = connect(policy)
    assert serving.served() == [left._adapter]
    after = connect(policy)  # the same job, and `left` was not closed
    assert serving.served() == [after._adapter]
    assert [path.name for path in serving.adapters.iterdir()] == [after._adapter]
    after.close()
    assert serving.served() == []
    assert list(serving.adapters.iterdir()) == []


def test_what_was_under_way_is_aborted_with_its_call(engine: RemoteVllmEngine, serving: Serving) -> None:
    class Enough(Exception):
        pass

    def finished(_group: int, _member: int, _completion: Completion) -> None:
        raise Enough

    with pytest.raises(Enough):
        engine.generate([PromptGroup((1, 2, 3), tuple(range(200)))], SamplingParams(400), finished)
    give_up = time.monotonic() + 60
    while serving.running():
        assert time.monotonic() < give_up


def test_a_server_that_hung_up_and_lost_its_adapters_is_found_again(
    connect: Callable[..., RemoteVllmEngine], policy: LoraPolicy, serving: Serving, restarts: list[str]
) -> None:
    """As one that is started again."""
    with Proxy(serving.port) as proxy:
        engine = connect(policy, url=proxy.url)
        before = [c.tokens_T for c in flat(engine.generate(GROUPS, PARAMS))]
        told: list[tuple[int, int]] = []

        def finished(group: int, member: int, _completion: Completion) -> None:
            if not told:
                serving.unload(str(engine._adapter))
                proxy.hang_up()
            told.append((group, member))

        after = engine.generate(GROUPS, PARAMS, finished)
        engine.close()
    assert [c.tokens_T for c in flat(after)] == before
    assert sorted(told) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
    assert len(restarts) == 1
    assert "hung up" in restarts[0]


def test_a_server_that_is_not_there_is_a_clear_error(connect: Callable[..., RemoteVllmEngine], policy: LoraPolicy) -> None:
    with Proxy(1) as proxy:
        url = proxy.url
    with pytest.raises(EngineLost, match="server has not been there for 1 seconds"):
        connect(policy, url=url, patience_seconds=0.1)


def test_a_server_that_hangs_is_a_clear_error_and_serves_on_when_it_wakes(
    connect: Callable[..., RemoteVllmEngine], policy: LoraPolicy, serving: Serving
) -> None:
    engine = connect(policy, patience_seconds=1.0)
    cores = psutil.Process(serving.pid).children(recursive=True)
    for core in cores:
        core.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(EngineLost, match="sampled nothing for 1 seconds"):
            engine.generate(GROUPS, PARAMS)
    finally:
        for core in cores:
            core.send_signal(signal.SIGCONT)
    assert engine.generate(GROUPS, PARAMS)


def test_a_job_that_samples_ahead_on_a_server_elsewhere_succeeds_with_every_sync_proven(
    serving: Serving, directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(tmp_path / "data", directory)
    tiny = {"source": str(directory), "engine": "vllm", "url": serving.url, "adapter_dir": str(serving.adapters)}
    tiny["max_model_len"] = 500
    (service.directory / "models.yaml").write_text(yaml.safe_dump({"models": {"tiny": tiny}}))
    steps = {"n_epochs": 2, "batch_size": 4, "eval_interval": 2}
    options = {"samples_per_prompt": 8, "max_completion_tokens": 8, "learning_rate": 0.02, "max_staleness": 1}
    options["adapter"] = {"type": "lora", "rank": 4, "alpha": 8}
    job = service.run(service.create(train=rows(8), valid=rows(4), hyperparameters=steps, options=options))
    assert job.status is JobStatus.SUCCEEDED, (job.error, service.log()[-4000:])
    figures = [metrics["touchstone"] for metrics in service.jobs.steps(job.id, after_step=0)]
    assert all(each["sync_difference"] < LIMITS["float32"] for each in figures)
    assert [each["staleness"] for each in figures] == [0, 1, 1, 1]
    assert figures[0]["update"]["ratio_max"] < 1e-3 < figures[1]["update"]["ratio_max"]
    assert serving.served() == []
    service.close()


def test_two_servers_share_rollouts_and_one_that_hangs_up_is_found_again(
    connect: Callable[..., RemoteVllmEngine], policy: LoraPolicy, serving: Serving, second: Serving, restarts: list[str]
) -> None:
    alone = connect(policy)
    groups = [*GROUPS, PromptGroup((9, 8, 7), (16, 17)), PromptGroup((5,), (18,))]
    before = [completion.tokens_T for completion in flat(alone.generate(groups, PARAMS))]
    alone.close()
    with Proxy(second.port) as proxy:
        shared = SharedOut([connect(policy, number=1), connect(policy, number=2, url=proxy.url)])
        assert len(serving.served()) == len(second.served()) == 1
        told: list[tuple[int, int]] = []

        def finished(group: int, member: int, _completion: Completion) -> None:
            if not told:
                proxy.hang_up()
            told.append((group, member))

        shared.sync()
        after = shared.generate(groups, PARAMS, finished)
        shared.close()
    assert [completion.tokens_T for completion in flat(after)] == before
    assert sorted(told) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (2, 0), (2, 1), (3, 0)]
    assert len(restarts) == 1
    assert serving.served() == second.served() == []


def test_a_job_on_two_servers_succeeds_with_both_proven_after_every_sync(
    serving: Serving, second: Serving, directory: Path, tmp_path: Path
) -> None:
    service = Service(tmp_path / "data", directory)
    tiny = {"source": str(directory), "engine": "vllm", "max_model_len": 500}
    elsewhere = {"url": [serving.url, second.url], "adapter_dir": str(serving.adapters)}
    (service.directory / "models.yaml").write_text(yaml.safe_dump({"models": {"tiny": {**tiny, **elsewhere}}}))
    steps = {"n_epochs": 1, "batch_size": 4, "eval_interval": 2}
    options = {"samples_per_prompt": 8, "max_completion_tokens": 8, "learning_rate": 0.02}
    options["adapter"] = {"type": "lora", "rank": 4, "alpha": 8}
    sampled = [server.sampled() for server in (serving, second)]
    job = service.run(service.create(train=rows(8), valid=rows(4), hyperparameters=steps, options=options))
    assert job.status is JobStatus.SUCCEEDED, (job.error, service.log()[-4000:])
    figures = [metrics["touchstone"] for metrics in service.jobs.steps(job.id, after_step=0)]
    assert all(each["sync_difference"] < LIMITS["float32"] for each in figures)
    assert all(each["update"]["ratio_max"] < 1e-3 for each in figures)
    assert all(server.sampled() > before for server, before in zip((serving, second), sampled, strict=True))
    service.close()
