"""Settings: environment variables with the prefix `RFT_` (or a `.env` file), read once into a frozen value."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

DEFAULT_PROJECT = "proj_default"

_SPIN_COUNT = "2000"
"""How long threads of a matrix product spin for each other before they sleep. OpenMP's default is for machines with nothing else
to do: one busy neighbour on a core makes every product ten times slower."""


class Settings(BaseSettings):
    """What differs between one machine and many is only what stands here.

    Paths and URLs left empty are derived from `data_dir`: SQLite, local objects and models below it.
    """

    model_config = SettingsConfigDict(env_prefix="RFT_", env_file=".env", extra="ignore", frozen=True)

    host: str = "127.0.0.1"
    port: int = 8000
    data_dir: Path = Path("rft-data")
    api_key: str | None = None
    """A key to create at the first start of the embedded service; otherwise one is made and printed once."""
    admin_key: str | None = None
    """Opens the routes that manage projects, keys and limits; without it they answer 401."""
    secrets_key: str | None = Field(default=None, min_length=32)
    """Seals the secrets of webhooks in the database. Where it is unset, a key is made in the data directory; several
    machines need the same one."""
    database_url: str = ""
    object_store_url: str = ""
    presigned_downloads: bool = False
    """Whether large files of a bucket are downloaded from the store itself, by links signed for a few minutes. Clients must reach
    the store, and so must whoever gets hold of a link in time."""
    presigned_endpoint: str | None = None
    """The store's address for clients, where it is not the one that this service uses (AWS_ENDPOINT_URL)."""
    redis_url: str | None = None
    """With it, processes on many machines make up one service: Celery's queues, wake-ups and shared rate limits live there. What
    is in it may be lost at any time."""
    models: Path | None = None
    """A YAML file: served base models, their sources, aliases. Without it the embedded default model is served."""
    model_dir: Path = Path()
    """Where `rft models fetch` keeps prepared base models."""

    lease_seconds: float = Field(default=30.0, gt=0)
    poll_seconds: float = Field(default=0.5, gt=0)
    stall_seconds: float = Field(default=1800.0, gt=0)
    """A runner that shows no progress for so long, no token, grade or micro-batch, is killed and its job given to another."""
    drain_seconds: float = Field(default=15.0, gt=0)
    """How long a worker that is told to end lets its runner go on to the next border between sampling batches."""
    look_seconds: float = Field(default=5.0, gt=0)
    """How often the workers of a distributed service look at the database by themselves, where nothing in Redis wakes them."""
    worker_models: str = ""
    """Ids of the base models that this machine's worker may run, with commas in between; all where empty."""
    worker_memory_gb: float | None = Field(default=None, gt=0)
    """Memory of this machine's device: models that need more (`device_memory_gb` in RFT_MODELS) are left to other workers."""
    grader_python: str | None = None
    """The interpreter of python graders; the service's own where unset."""
    grader_socket: Path | None = None
    """The unix socket of a grader service (`rft grader`) that runs python graders and programs; where unset, each process that
    needs one starts its own."""
    sandbox_level: Literal["none", "process", "strict"] = "process"
    """The least isolation under which python graders and programs may run. They get the best that the host gives."""
    allow_private_urls: bool = False
    """Whether judges, endpoint graders and webhooks may live at private, link-local or loopback addresses."""
    sampler_url: str | None = None
    """A sampler of its own (`rft sampler`) that answers chat completions and judges; where unset, each process that needs one
    starts its own."""
    sampler_token: str | None = Field(default=None, min_length=16)
    """The secret that a sampler on a network shares with its clients."""
    sampler_device: str = "cpu"
    runner_device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = Field(default=0, ge=0)
    """Threads of matrix products in each process of a runner; 0 shares out the machine's cores. Part of what makes a run
    repeatable."""
    trainer_processes: int = Field(default=1, ge=1, le=64)
    """Processes that compute a job's updates together on this machine, each on a device of its own where there are GPUs."""
    activation_checkpointing: bool = False
    """Updates keep one hidden state a layer and compute the layers a second time: less memory, the same bits, a third slower."""
    vllm_sync: Literal["auto", "lora", "merged"] = "auto"
    """How weights reach a vLLM engine: as an adapter, or merged where LoRA kernels are slow. By itself: merged on CPUs."""
    vllm_tensor_parallel: int = Field(default=1, ge=1)
    vllm_data_parallel: int = Field(default=1, ge=1)
    vllm_memory_share: float = Field(default=0.85, gt=0, le=1)
    """Of a GPU's memory."""
    vllm_sleep: bool = False
    """Whether vLLM gives its memory to the trainer during updates, where both share a GPU."""
    vllm_eager: bool = False
    """Without compilation: starts sooner, samples slower."""
    vllm_patience_seconds: float = Field(default=60.0, gt=0)
    """How long an engine may do nothing visible before it is asked for a sign of life, and how long it has to give one."""
    vllm_sync_limit: float | None = Field(default=None, gt=0)
    """How far the log-probabilities of engine and trainer may differ after a sync; by the weights' type where unset."""
    max_file_bytes: int = 512 * 1024 * 1024
    """A file sent in one request."""
    max_upload_bytes: int = 8 * 1024 * 1024 * 1024
    """A file sent in parts."""
    requests_per_minute: int = Field(default=600_000, ge=1, le=10_000_000)
    """Of one project, as the next three; admin routes and `rft projects limits` give single projects others."""
    max_running_jobs: int | None = Field(default=None, ge=0)
    max_waiting_jobs: int | None = Field(default=None, ge=0)
    max_stored_bytes: int | None = Field(default=None, ge=0)
    states_kept_days: float = Field(default=1.0, ge=0)
    """Training states of jobs that have ended: nothing can go on from them. Checkpoints are something else."""
    rollouts_kept_days: float | None = Field(default=None, ge=0)
    """After the end of their job, as the next; for ever where unset. Figures and curves stay."""
    checkpoints_kept_days: float | None = Field(default=None, ge=0)
    """Those that no tuned model, no permission and no job that is still to end needs."""
    results_kept_days: float | None = Field(default=None, ge=0)
    """Result files of jobs, after they were written."""
    stranger_requests_per_minute: int = Field(default=6000, ge=1, le=10_000_000)
    """Of one client address, answered with 401: beyond it such requests are answered with 429."""
    trusted_proxies: str = ""
    """Addresses or networks, separated by commas, whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed; of no one where
    empty."""
    log_format: Literal["plain", "json"] = "plain"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    metrics_port: int | None = Field(default=None, ge=0, le=65535)
    """Where a worker answers `/metrics` and `/livez`, without a key; nowhere where unset. The API has both at its own port."""
    metrics_host: str = "127.0.0.1"
    organization: str = "local"
    """The slug in names of tuned models, `ft:<base>:<organization>:<suffix>:<id>`."""

    @model_validator(mode="before")
    @classmethod
    def _derive(cls, values: dict[str, object]) -> dict[str, object]:
        data_dir = Path(str(values.get("data_dir") or "rft-data")).absolute()
        derived = {
            "data_dir": data_dir,
            "database_url": f"sqlite:///{data_dir / 'touchstone.db'}",
            "object_store_url": (data_dir / "objects").as_uri(),
            "model_dir": data_dir / "models",
        }
        return {**values, **{name: value for name, value in derived.items() if not values.get(name) or name == "data_dir"}}

    def environment(self) -> dict[str, str]:
        """The environment of a child process that shall have these settings too. Keys are no business of a child."""
        values = self.model_dump(exclude={"api_key", "admin_key", "secrets_key"}, exclude_none=True)
        ours = {f"RFT_{name.upper()}": str(value) for name, value in values.items()}
        return {"GOMP_SPINCOUNT": _SPIN_COUNT, **os.environ, **ours}


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The process's settings, read at first use."""
    return Settings()


def variable(name: str) -> str | None:
    """A variable of the environment that the operator's files name, such as a judge's key."""
    return os.environ.get(name)
