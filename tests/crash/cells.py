"""The cells of the crash matrix: at which failpoint, of which deployment, who is killed or frozen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    "mid_update": 2,
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
_IN_TRANSACTION = {"job_before_commit", "before_relayed"}


def cells() -> list[Cell]:
    """Every cell that can be."""
    return [
        Cell(point, deployment, victim, blow)
        for deployment, point in product(Deployment, POINTS)
        for victim, blow in _blows(point, deployment)
    ]


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


def _blows(point: str, deployment: Deployment) -> Iterator[tuple[Victim, Blow]]:
    owner = _ABOUT.get(point, Victim.RUNNER)
    if deployment is Deployment.EMBEDDED:
        if owner is Victim.API:  # it is a process of its own in the other deployment, and the same code
            return
        victims = {Victim.WORKER, Victim.RUNNER} if owner is Victim.RUNNER else {Victim.WORKER}
        for victim, blow in product(sorted(victims), Blow):
            # Whoever is frozen in a transaction of SQLite keeps everybody else from writing, as that database has it.
            if blow is Blow.KILL or point not in _IN_TRANSACTION:
                yield victim, blow
        return
    victims = {owner, Victim.REDIS, Victim.POSTGRES}
    if owner is Victim.RUNNER:
        victims |= {Victim.WORKER, Victim.API}
    for victim, blow in product(sorted(victims), Blow):
        # An API that is frozen beside a job does nothing to it.
        if blow is Blow.KILL or victim is not Victim.API or owner is Victim.API:
            yield victim, blow


def _frequency(chosen: Sequence[Cell], cell: Cell) -> tuple[int, int]:
    same = [one for one in chosen if (one.victim, one.deployment) == (cell.victim, cell.deployment)]
    return len([one for one in same if one.blow is cell.blow]) * _COST[cell.deployment], len(same) * _COST[cell.deployment]
