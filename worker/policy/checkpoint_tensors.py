"""A Hugging Face checkpoint's tensors, read one by one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor


class CheckpointTensors:
    """The tensors of a directory's safetensors files, by name; in one type, on one device."""

    def __init__(self, directory: Path, device: str | torch.device, dtype: torch.dtype) -> None:
        self._directory, self._device, self._dtype = directory, str(device), dtype
        self._open: dict[str, Any] = {}
        index = directory / "model.safetensors.index.json"
        if index.exists():
            self._files: dict[str, str] = json.loads(index.read_text())["weight_map"]
        else:
            self._files = dict.fromkeys(self._file("model.safetensors").keys(), "model.safetensors")

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __getitem__(self, name: str) -> Tensor:
        tensor: Tensor = self._file(self._files[name]).get_tensor(name).to(self._dtype)
        return tensor

    def get(self, name: str) -> Tensor | None:
        """The tensor, or None where there is none of the name."""
        return self[name] if name in self._files else None

    def _file(self, name: str) -> Any:
        if name not in self._open:
            self._open[name] = safe_open(self._directory / name, framework="pt", device=self._device)
        return self._open[name]
