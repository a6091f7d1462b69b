"""A runner of several processes: the trainer's ranks, started and watched by the agent behind `torchrun`.

The first rank is the runner proper; the others compute their share of every update. One that dies takes all of them along, and
the job goes on in a new runner, as after any other death of one. The ranks meet through files of a private directory and talk
over the loopback interface: nobody else can join in.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from core.settings import variable
from core.telemetry.reports import VARIABLE as REPORTS
from worker.policy.ranks import ALONE, Ranks

log = logging.getLogger(__name__)

_MEETING = "RFT_RANKS_MEETING"
"""Tells a rank the private directory."""
_STATUS = "status"
_LOOPBACK = {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}
_NO_PORT = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
"""The agent of a single machine needs no store that listens."""
_OF_TORCHRUN = ("MASTER_ADDR", "MASTER_PORT", "RANK", "LOCAL_RANK", "GROUP_RANK", "ROLE_RANK", "WORLD_SIZE")
_ELASTIC = "TORCHELASTIC_"
CRASHED = 1


def is_rank() -> bool:
    """Whether this process is one of the ranks."""
    return variable(_MEETING) is not None


def run_ranks(count: int, module: str, arguments: Sequence[str]) -> int:
    """Run `python -m module arguments` as so many ranks until they end; the exit status that the first one has left.

    `CRASHED` where a rank ended before that.
    """
    with tempfile.TemporaryDirectory(prefix="rft-ranks-") as directory:
        os.environ.update({**_LOOPBACK, **_NO_PORT, _MEETING: directory, **_reports()})
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=count,
            run_id=Path(directory).name,
            rdzv_backend="c10d",
            rdzv_endpoint=str(Path(directory, "agent")),
            rdzv_configs={"store_type": "file"},
            local_addr="127.0.0.1",
            logs_specs=DefaultLogsSpecs(log_dir=str(Path(directory, "logs"))),
            max_restarts=0,
            shutdown_timeout=2,
        )
        try:
            elastic_launch(config, sys.executable)("-m", module, *arguments)
        except ChildFailedError as error:
            for rank, failure in sorted(error.failures.items()):
                log.warning("rank %d ended with status %d", rank, failure.exitcode)
        except SignalException as error:
            log.info("ended by signal %d", error.sigval)
        status = Path(directory, _STATUS)
        return int(status.read_text()) if status.exists() else CRASHED


def join(device: str) -> tuple[Ranks, str]:
    """Meet the other ranks, if there are any; also this rank's own device of that type."""
    directory = variable(_MEETING)
    if directory is None:
        return ALONE, device
    if device == "cuda":
        device = f"cuda:{variable('LOCAL_RANK')}"
    ranks = Ranks.join(device, (Path(directory) / "ranks").as_uri())
    # An engine that this process starts has ranks of its own.
    for name in [name for name in os.environ if name in _OF_TORCHRUN or name.startswith(_ELASTIC)]:
        del os.environ[name]
    return ranks, device


def leave_status(status: int, ranks: Ranks) -> int:
    """Tell the agent, if there is one, how the first rank ends: the others may end otherwise, for the want of it."""
    if not ranks.alone:
        Path(str(variable(_MEETING)), _STATUS).write_text(str(status))
        ranks.leave()
    return status


def _reports() -> dict[str, str]:
    """The pipe for the supervisor's metrics, which the agent does not hand down as a descriptor."""
    descriptor = variable(REPORTS)
    return {} if descriptor is None else {REPORTS: f"/proc/{os.getpid()}/fd/{descriptor}"}
