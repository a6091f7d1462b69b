"""What runs inside vLLM's own worker processes: loaded there by name, as vLLM's `worker_extension_cls`."""

from __future__ import annotations

import logging
import os
import select
import signal
import threading
from pathlib import Path
from typing import Any

from core.settings import variable
from worker.policy.lora import ADAPTER_CONFIG, merged_tensors

OWNER_VARIABLE = "RFT_ENGINE_OWNER"
"""Names the process that started the engine."""


class WorkerExtension:
    """Methods added to vLLM's worker, called by name through `collective_rpc`."""

    model_runner: Any
    model_config: Any
    device: Any
    reload_weights: Any

    def take_weights(self, base: str, directory: str) -> None:
        """Replace the engine's weights: by those of a base model plus the adapter in a directory, or by a whole model there."""
        if (Path(directory) / ADAPTER_CONFIG).exists():
            weights = merged_tensors(Path(base), Path(directory), self.device, self.model_config.dtype)
            self.reload_weights(weights_iterator=weights)
            return
        self.reload_weights(weights_path=directory)
        # A head that is tied to the embedding was laid out for CPUs when the model was loaded, which vLLM does not repeat.
        head = self.model_runner.get_model().lm_head
        head.quant_method.process_weights_after_loading(head)

    def scale_logits(self, scale: float) -> None:
        """Multiply all logits by this from now on: 1 / temperature makes vLLM's raw log-probabilities those at the temperature.

        Its own temperature would act behind them, together with top-p.
        """
        processor = self.model_runner.get_model().logits_processor
        getattr(processor, "base_layer", processor).scale = scale


def end_with_owner(owner: int) -> None:
    """End this process, and the engine core above it, as soon as the owner is gone, however it ended."""
    try:
        handle = os.pidfd_open(owner)
    except ProcessLookupError:
        os._exit(1)
    above = os.getppid()

    def watch() -> None:
        select.select([handle], [], [])
        if above not in (owner, 1) and os.getppid() == above:
            os.kill(above, signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=watch, name="owner", daemon=True).start()


# Layers without an adapter keep their weights, of which vLLM would warn at every sync, each by each.
for module in ("inplace", "layerwise"):
    logging.getLogger(f"vllm.model_executor.model_loader.reload.{module}").setLevel(logging.ERROR)

# vLLM imports this module before it loads a model, and calls nothing of it by itself.
if owner := variable(OWNER_VARIABLE):
    end_with_owner(int(owner))
