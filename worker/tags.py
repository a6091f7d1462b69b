"""What a worker can run: the operator's tags of its machine, against what the models' file says of models."""

from __future__ import annotations

from core.errors import NotFound, RftError
from core.models import BaseModel, ModelRegistry
from core.settings import Settings


class UnknownTag(RftError):
    """`RFT_WORKER_MODELS` names a model that is not served."""

    code = "unknown_worker_model"
    type = "server_error"


def runnable_models(settings: Settings) -> frozenset[str] | None:
    """Ids of the base models whose jobs this worker takes; None for all, models that its file does not list included.

    Without `RFT_WORKER_MODELS` and `RFT_WORKER_MEMORY_GB` a worker takes every job. Models whose need of memory the file does not
    tell fit everywhere. Raises `UnknownTag`, and `InvalidModels` where the models' file is no good.
    """
    names = [name.strip() for name in settings.worker_models.split(",") if name.strip()]
    if not names and settings.worker_memory_gb is None:
        return None
    registry = ModelRegistry.load(settings)
    models = [_named(registry, name) for name in names] or registry.list()
    return frozenset(model.id for model in models if _fits(model, settings.worker_memory_gb))


def _named(registry: ModelRegistry, name: str) -> BaseModel:
    try:
        return registry.resolve(name)
    except NotFound:
        raise UnknownTag(f"RFT_WORKER_MODELS names '{name}', which is no served model.", param="RFT_WORKER_MODELS") from None


def _fits(model: BaseModel, memory_gb: float | None) -> bool:
    return memory_gb is None or model.device_memory_gb is None or model.device_memory_gb <= memory_gb
