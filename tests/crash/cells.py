"""The cells of the crash matrix: at which failpoint, of which deployment, who is killed or frozen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product

from core.failpoints import POINTS


class Deployment(StrEnum):
    """Which processes there are."""

    EMBEDDED = "embedded"
    """SQLite, and one supervisor that does everything."""
    DISTRIBUTED = "distributed"
    """PostgreSQL, Redis, and a process each for API, GPU worker, light worker and scheduler."""


class Victim(StrEnum):
    """Who is struck."""

    RUNNER = "runner"
    WORKER = "worker"
    """The supervisor or GPU worker; frozen together with its runner, as with a machine that sleeps."""
    API = "api"
    LIGHT = "light worker"
    SCHEDULER = "scheduler"
    REDIS = "redis"
    POSTGRES = "postgres"


class Blow(StrEnum):
    """What befalls it."""

    KILL = "SIGKILL"
    """Then it is started again: a runner by its worker, everything else by whoever looks after processes."""
    FREEZE = "SIGSTOP"
    """For longer than the lease, then SIGCONT."""


@dataclass(frozen=True)
class Cell:
    """One run of a job with one blow."""

    point: str
    deployment: Deployment
    victim: Victim
    blow: Blow

    def __str__(self) -> str:
        return f"{self.point}-{self.deployment}-{self.victim}-{self.blow}".replace(" ", "_")


OCCURRENCES = {
    "mid_sampling": 9,
    "mid_grading": 5,
    "before_batch_row": 2,
    "after_batch_row": 2,
    "after_update": 2,
    "mid_evaluation": 3,
    "between_parts": 2,
    "before_step_commit": 2,
    "after_step_commit": 2,
}
"""Which time a process comes to the point, where it is not the first: in the midst of the job."""

_ABOUT = {
    "job_before_commit": Victim.API,
    "job_after_commit": Victim.API,
    "before_validated": Victim.LIGHT,
    "before_relayed": Victim.SCHEDULER,
    "after_claim": Victim.WORKER,
    "before_release": Victim.WORKER,
}
"""Who comes to a point; all others are the runner's."""
_COST = {Deployment.EMBEDDED: 1, Deployment.DISTRIBUTED: 4}
_BEFORE_ANY_SIGN = {"runner_started"}
"""Where a runner that hangs is given half an hour: it may be loading a large model."""
_IN_TRANSACTION = {"job_before_commit", "before_relayed"}


def cells() -> list[Cell]:
    """Every cell that can be."""
    possible = (
        Cell(point, deployment, victim, blow)
        for deployment, point in product(Deployment, POINTS)
        for victim, blow in product(_victims(point, deployment), Blow)
    )
    return [cell for cell in possible if _can_be(cell)]


def pairwise(every: Sequence[Cell]) -> list[Cell]:
    """A selection in which each point meets each blow, and each victim of a deployment each blow.

    Points are met in turn by those victims that were chosen least, which are cheaper in the embedded deployment: greedy, and the
    same in every run.
    """
    chosen: list[Cell] = []
    for point, blow in product(POINTS, Blow):
        possible = [cell for cell in every if (cell.point, cell.blow) == (point, blow)]
        if possible:
            chosen.append(min(possible, key=lambda cell: (_frequency(chosen, cell), every.index(cell))))
    for cell in every:
        if _frequency(chosen, cell)[0] == 0:
            chosen.append(cell)
    return chosen


HANDFUL = (
    Cell("mid_sampling", Deployment.EMBEDDED, Victim.RUNNER, Blow.KILL),
    Cell("before_manifest", Deployment.EMBEDDED, Victim.WORKER, Blow.KILL),
    Cell("after_batch_row", Deployment.EMBEDDED, Victim.WORKER, Blow.FREEZE),
    Cell("mid_export", Deployment.EMBEDDED, Victim.RUNNER, Blow.KILL),
)
"""For every run of the tests."""


def _victims(point: str, deployment: Deployment) -> list[Victim]:
    owner = _ABOUT.get(point, Victim.RUNNER)
    if deployment is Deployment.EMBEDDED:
        if owner is Victim.API:  # it is a process of its own in the other deployment, and the same code
            return []
        return [Victim.RUNNER, Victim.WORKER] if owner is Victim.RUNNER else [Victim.WORKER]
    beside = {Victim.WORKER, Victim.API} if owner is Victim.RUNNER else set()
    return sorted({owner, Victim.REDIS, Victim.POSTGRES} | beside)


def _can_be(cell: Cell) -> bool:
    if cell.blow is Blow.KILL:
        return True
    if cell.victim is Victim.RUNNER:
        return cell.point not in _BEFORE_ANY_SIGN
    if cell.victim is Victim.API:  # one that is frozen beside a job does nothing to it
        return _ABOUT.get(cell.point) is Victim.API
    # Whoever is frozen in a transaction of SQLite keeps everybody else from writing, as that database has it.
    return cell.deployment is Deployment.DISTRIBUTED or cell.point not in _IN_TRANSACTION


def _frequency(chosen: Sequence[Cell], cell: Cell) -> tuple[int, int]:
    same = [one for one in chosen if (one.victim, one.deployment) == (cell.victim, cell.deployment)]
    return len([one for one in same if one.blow is cell.blow]) * _COST[cell.deployment], len(same) * _COST[cell.deployment]
