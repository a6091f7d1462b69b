"""Which weights are in memory: base models loaded on demand, and a few adapters merged into copies of them."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Generic, TypeVar

from core.errors import Unavailable
from core.models import ModelRegistry
from core.storage import manifest
from core.storage.base import ObjectKey, ObjectStore
from worker.policy.chat import ChatTokenizer
from worker.policy.export import write_merged
from worker.policy.model import PolicyModel, Weights, load_model
from worker.policy.tuned import tuned_weights
from worker.rollout.guide import Guides

KEEP_BASES = 1
KEEP_MERGED = 3
IDLE_SECONDS = 600.0
"""Weights not asked for during this time leave memory."""
EXPORT_SECONDS = 24 * 3600.0
"""Exported directories older than this were left by a caller that died, and are removed."""

T = TypeVar("T")


@dataclass(frozen=True)
class Served:
    """A model ready to be asked, with its tokenizer. `max_len` counts prompt and completion together."""

    tokenizer: ChatTokenizer
    max_len: int
    vocab: int
    guides: Callable[[], Guides]
    """What holds completions to a format; made at the first call."""


@dataclass(frozen=True)
class ServedWeights(Served):
    """Weights in this process, ready to sample from."""

    weights: Weights


@dataclass(frozen=True)
class _Base:
    model: PolicyModel
    tokenizer: ChatTokenizer
    max_len: int
    guides: Callable[[], Guides]


class Recent(Generic[T]):
    """Values by key; the one used longest ago makes room for a new one."""

    def __init__(self, capacity: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._capacity = capacity
        self._clock = clock
        self._values: OrderedDict[str, tuple[T, float]] = OrderedDict()

    def get(self, key: str, make: Callable[[], T]) -> T:
        """The value of this key, made where it is missing. Room is made first, so that memory never holds one too many."""
        if key not in self._values:
            while len(self._values) >= self._capacity:
                self._values.popitem(last=False)
            self._values[key] = (make(), 0.0)
        value, _ = self._values[key]
        self._values[key] = (value, self._clock())
        self._values.move_to_end(key)
        return value

    def drop_idle(self, seconds: float) -> None:
        """Let go of values not asked for during the last `seconds`."""
        oldest = self._clock() - seconds
        for key in [key for key, (_, used) in self._values.items() if used < oldest]:
            del self._values[key]


class Engine:
    """Loads, merges and exports. Belongs to one thread."""

    def __init__(self, registry: ModelRegistry, store: ObjectStore, *, merged_directory: Path, device: str = "cpu") -> None:
        self._registry = registry
        self._store = store
        self._merged_directory = merged_directory
        self._device = device
        self._bases: Recent[_Base] = Recent(KEEP_BASES)
        self._merged: Recent[Weights] = Recent(KEEP_MERGED)

    def serve(self, base_model: str, manifest_key: str | None) -> ServedWeights:
        """The base model, or what the checkpoint of this manifest makes of it.

        Raises `NotFound` for an unknown model, `Unavailable` for one that is not prepared, `CorruptObject` for a damaged
        checkpoint.
        """
        base = self._base(base_model)
        weights = base.model.weights
        if manifest_key is not None:
            weights = self._merged.get(f"{base_model} {manifest_key}", lambda: self._merge(base, manifest_key))
        return ServedWeights(base.tokenizer, base.max_len, base.model.config.vocab, base.guides, weights)

    def export(self, base_model: str, manifest_key: str) -> Path:
        """A fresh directory with the merged model, as plain `transformers` loads it. The caller removes it."""
        self._sweep_exports()
        weights = self.serve(base_model, manifest_key).weights
        working = Path(tempfile.mkdtemp(prefix="model-", dir=self._merged_directory))
        try:
            write_merged(self._base(base_model).model, weights, working)
        except BaseException:
            shutil.rmtree(working)
            raise
        return working

    def unload_idle(self) -> None:
        """Free the memory of what nobody has asked for lately."""
        self._merged.drop_idle(IDLE_SECONDS)
        self._bases.drop_idle(IDLE_SECONDS)

    def _base(self, name: str) -> _Base:
        listed = self._registry.resolve(name)
        if not listed.prepared:
            message = f"The model `{listed.id}` is not on this machine yet: run `rft models fetch {listed.id}`."
            raise Unavailable(message, param="model", code="model_not_ready")

        def load() -> _Base:
            model, tokenizer = load_model(listed.directory, self._device), ChatTokenizer(listed.directory)
            guides = cache(lambda: tokenizer.guides(model.config.vocab))
            return _Base(model, tokenizer, min(model.max_len, listed.max_model_len or model.max_len), guides)

        return self._bases.get(listed.id, load)

    def _merge(self, base: _Base, manifest_key: str) -> Weights:
        with tempfile.TemporaryDirectory(prefix="checkpoint-") as scratch:
            directory = Path(scratch) / "checkpoint"
            manifest.fetch(self._store, ObjectKey.parse(manifest_key), directory)
            return tuned_weights(base.model, directory)

    def _sweep_exports(self) -> None:
        self._merged_directory.mkdir(parents=True, exist_ok=True)
        oldest = time.time() - EXPORT_SECONDS
        for directory in self._merged_directory.iterdir():
            if directory.stat().st_mtime < oldest:
                shutil.rmtree(directory)
