"""The processes that compute an update together, each on some of its groups. `torch.distributed` does the talking."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from core.settings import variable
from worker.policy.base import TrainGroup
from worker.policy.figures import PassFigures
from worker.policy.micro_batches import group_tokens

T = TypeVar("T")

_IDLE = timedelta(days=365)
"""How long a process may wait for what the leading one wants next: steps have no limit of time. Updates keep torch's own."""


@dataclass(frozen=True)
class Ranks:
    """This process among its peers. Alone, it has nothing to say to anyone; otherwise all of them make the same calls."""

    rank: int = 0
    count: int = 1
    orders: dist.ProcessGroup | None = None
    """All processes again, for what may have to be waited for."""

    @classmethod
    def join(cls, device: str, meeting: str = "env://") -> Ranks:
        """Meet the peers of whom the environment variables of `torchrun` tell, at a URL that `torch.distributed` knows."""
        rank, count = (int(str(variable(name))) for name in ("RANK", "WORLD_SIZE"))
        if device != "cpu":
            torch.cuda.set_device(device)
        backend = "gloo" if device == "cpu" else "cpu:gloo,cuda:nccl"
        dist.init_process_group(backend, init_method=meeting, rank=rank, world_size=count)
        return cls(rank, count, dist.new_group(backend="gloo", timeout=_IDLE))

    def leave(self) -> None:
        """Let go of the peers."""
        if self.count > 1:
            dist.destroy_process_group()

    @property
    def alone(self) -> bool:
        """Whether there are no others."""
        return self.count == 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that talks to the world: samples, and writes files."""
        return self.rank == 0

    def share(self, groups: Sequence[TrainGroup]) -> list[TrainGroup]:
        """This process's groups: the largest go first, each to whoever has the fewest tokens. Depends on the groups alone."""
        loads = [0] * self.count
        mine = []
        for index in sorted(range(len(groups)), key=lambda i: (-group_tokens(groups[i]), i)):
            rank = loads.index(min(loads))
            loads[rank] += group_tokens(groups[index])
            if rank == self.rank:
                mine.append(index)
        return [groups[index] for index in sorted(mine)]

    def add_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Sum every parameter's gradient over all processes; who has none adds nothing."""
        if self.count == 1:
            return
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            dist.all_reduce(parameter.grad)

    def total(self, figures: PassFigures) -> None:
        """Sum a pass's figures over all processes, in place."""
        if self.count == 1:
            return
        names = ("loss", "policy_loss", "kl", "entropy", "held", "tokens", "clippable")
        sums = torch.tensor([getattr(figures, name) for name in names], dtype=torch.float64)
        dist.all_reduce(sums)
        for name, value in zip(names, sums.tolist(), strict=True):
            setattr(figures, name, value)
        figures.ratio_max = self.most([figures.ratio_max])[0]

    def most(self, values: Sequence[float]) -> list[float]:
        """The largest of each value over all processes."""
        if self.count == 1:
            return list(values)
        largest = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(largest, dist.ReduceOp.MAX)
        return [float(value) for value in largest]

    def tell(self, value: T | None = None) -> T:
        """What the leading process has to say, at every process."""
        said = [value]
        if self.count > 1:
            dist.broadcast_object_list(said, src=0, group=self.orders)
        return said[0]  # type: ignore[return-value]

    def meet(self) -> None:
        """Wait until all processes are here."""
        if self.count > 1:
            dist.barrier(self.orders)


ALONE = Ranks()


def whole(tensor: Tensor) -> Tensor:
    """A tensor that may be spread over processes, in one piece at each of them."""
    gather = getattr(tensor, "full_tensor", None)
    gathered: Tensor = tensor if gather is None else gather()
    return gathered


def spread_as(tensor: Tensor, like: Tensor) -> Tensor:
    """A whole tensor, spread over processes as another one is."""
    if not hasattr(like, "full_tensor"):
        return tensor
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(like, DTensor)
    return distribute_tensor(tensor, like.device_mesh, like.placements)
