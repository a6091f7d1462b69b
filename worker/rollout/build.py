"""The engine that a job's base model asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Literal

from core.errors import JobFailure
from core.jobs.plan import Plan
from core.models import BaseModel
from core.settings import Settings
from worker.canary import SyncedEngine
from worker.policy.chat import ChatTokenizer
from worker.policy.trained import TrainedPolicy
from worker.rollout.base import RolloutEngine
from worker.rollout.shared_out import SharedOut
from worker.rollout.torch import TorchEngine
from worker.rollout.vllm_remote import RemoteVllmEngine


def build_engine(
    base: BaseModel,
    settings: Settings,
    plan: Plan,
    policy: TrainedPolicy,
    chat: ChatTokenizer,
    job_id: str,
    warn: Callable[[str], None],
) -> tuple[RolloutEngine, Sequence[SyncedEngine]]:
    """The engine, and all engines behind it that have weights of their own. `warn` is told of an engine that was restarted.

    Raises `JobFailure` where vLLM is not installed or cannot do what the job needs, `EngineLost` where it cannot be started or
    reached.
    """
    if base.engine == "torch":
        guides = partial(chat.guides, policy.model.config.vocab)
        return TorchEngine(policy, chat.stop_ids, guides, ahead=plan.max_staleness > 0), ()
    max_len = min(policy.model.max_len, base.max_model_len or policy.model.max_len)
    if base.servers:
        if plan.is_full:
            message = f"Model {base.id} is sampled by a vLLM server elsewhere, which takes adapters only."
            raise JobFailure(message, code="unsupported_adapter", param="touchstone.adapter")
        remote = [
            RemoteVllmEngine(
                server,
                job_id,
                policy,
                chat.stop_ids,
                max_len=max_len,
                number=number,
                patience_seconds=settings.vllm_patience_seconds,
                restarted=warn if len(base.servers) == 1 else partial(_numbered, warn, number),
            )
            for number, server in enumerate(base.servers, 1)
        ]
        return (remote[0] if len(remote) == 1 else SharedOut(remote)), remote
    if find_spec("vllm") is None:
        raise JobFailure(f"Model {base.id} asks for the engine vllm, which is not installed here.", code="engine_not_installed")
    from worker.rollout.vllm import VllmEngine
    from worker.rollout.vllm_process import VllmOptions

    options = VllmOptions(
        max_model_len=max_len,
        dtype=base.dtype,
        sync="merged" if plan.is_full else _sync(settings, policy),
        max_lora_rank=plan.lora_rank,
        tensor_parallel_size=settings.vllm_tensor_parallel,
        data_parallel_size=settings.vllm_data_parallel,
        gpu_memory_utilization=settings.vllm_memory_share,
        sleep=settings.vllm_sleep,
        eager=settings.vllm_eager,
        max_num_seqs=plan.sampling_rows,
        patience_seconds=settings.vllm_patience_seconds,
        ahead=plan.max_staleness > 0,
    )
    engine = VllmEngine(base.directory, policy, chat.stop_ids, options, warn)
    return engine, [engine]


def _numbered(warn: Callable[[str], None], number: int, message: str) -> None:
    warn(f"Engine {number}: {message}")


def _sync(settings: Settings, policy: TrainedPolicy) -> Literal["lora", "merged"]:
    if settings.vllm_sync == "auto":
        return "merged" if policy.merged.embed.device.type == "cpu" else "lora"
    return settings.vllm_sync
