"""A Hugging Face checkpoint's tensors, read one by one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor


class CheckpointTensors:
    """The tensors of a directory's safetensors files, by name; in one type, on one device."""

    def __init__(self, directory: Path, device: str | torch.device, dtype: torch.dtype) -> None:
        self._directory, self._device, self._dtype = directory, str(device), dtype
        index = directory / "model.safetensors.index.json"
        if index.exists():
            self._files: dict[str, str] = json.loads(index.read_text())["weight_map"]
        else:
            with self._open("model.safetensors") as file:
                self._files = dict.fromkeys(file.keys(), "model.safetensors")

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __getitem__(self, name: str) -> Tensor:
        # Opened for every tensor: what was read through one opening stays in memory until the last of its tensors goes.
        with self._open(self._files[name]) as file:
            tensor: Tensor = file.get_tensor(name).to(self._dtype)
            return tensor

    def read(self, names: Iterable[str]) -> Iterator[tuple[str, Tensor]]:
        """Some of them, file by file, each opened once: quicker than one by one, for tensors of which none is to stay."""
        for file_name, inside in groupby(sorted(names, key=self._files.__getitem__), key=self._files.__getitem__):
            with self._open(file_name) as file:
                for name in inside:
                    yield name, file.get_tensor(name).to(self._dtype)

    def get(self, name: str) -> Tensor | None:
        """The tensor, or None where there is none of the name."""
        return self[name] if name in self._files else None

    def _open(self, name: str) -> Any:
        return safe_open(self._directory / name, framework="pt", device=self._device)
