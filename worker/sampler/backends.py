"""Who answers a chat request: vLLM where the operator chose it for the base model, our own decoder everywhere else."""

from __future__ import annotations

import asyncio
import logging
from importlib.util import find_spec
from typing import Protocol

import torch

from core.errors import NotFound, RftError
from core.models import BaseModel, ModelRegistry
from core.settings import Settings
from core.storage.base import ObjectStore
from worker.sampler.request import ChatRequest
from worker.sampler.scheduler import Listener, SamplingFailed, Scheduler
from worker.sampler.vllm import NotForVllm, VllmBase

log = logging.getLogger(__name__)


class GiveUp(Protocol):
    """A request on its way."""

    def give_up(self) -> None:
        """Sample no further, and tell nobody."""


class VllmBackend:
    """The base models that vLLM answers for. Belongs to one event loop."""

    def __init__(self, registry: ModelRegistry, store: ObjectStore, settings: Settings) -> None:
        self._registry, self._store, self._settings = registry, store, settings
        self._bases: dict[str, VllmBase] = {}

    def base(self, name: str) -> VllmBase | None:
        """The model of this name or alias, where vLLM answers for it."""
        try:
            listed = self._registry.resolve(name)
        except NotFound:
            return None
        if not self._is_ours(listed):
            return None
        if listed.id not in self._bases:
            self._bases[listed.id] = VllmBase(listed, self._store, self._settings)
        return self._bases[listed.id]

    def _is_ours(self, base: BaseModel) -> bool:
        """A server of our own needs vLLM, and the device that the sampler may use: vLLM takes a GPU where there is one."""
        if base.engine != "vllm" or not base.prepared:
            return False
        may_start = self._settings.sampler_device != "cpu" or not torch.cuda.is_available()
        return base.server is not None or (may_start and find_spec("vllm") is not None)

    async def unload_idle(self) -> None:
        """End servers of our own that nobody has asked for lately."""
        for base in self._bases.values():
            await base.unload_idle()

    async def close(self) -> None:
        """End servers of our own, and take back the adapters from others."""
        for base in self._bases.values():
            await base.close()


class VllmTicket:
    """A request that vLLM answers, or else the scheduler. Belongs to one event loop."""

    def __init__(self, base: VllmBase, scheduler: Scheduler, request: ChatRequest, listener: Listener) -> None:
        self._base, self._scheduler, self._request, self._listener = base, scheduler, request, listener
        self._handed_on: GiveUp | None = None
        self._task = asyncio.ensure_future(self._run())

    def give_up(self) -> None:
        """See `GiveUp.give_up`."""
        self._task.cancel()
        if self._handed_on is not None:
            self._handed_on.give_up()

    async def _run(self) -> None:
        error: RftError | None = None
        try:
            await self._base.answer(self._request, self._listener)
        except NotForVllm as reason:
            log.info("left to the torch backend: %s", reason)
            self._handed_on = self._scheduler.submit(self._request, self._listener)
            return
        except RftError as known:
            error = known
        except Exception as unknown:
            log.error("sampling failed", exc_info=unknown)
            error = SamplingFailed("The sampler could not finish this request. The service's log tells why.")
        self._listener.ended(error)
