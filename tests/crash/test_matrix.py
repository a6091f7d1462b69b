"""Cells of the crash matrix: at each failpoint somebody is killed or frozen, and the job ends as if nobody had been."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from core.failpoints import POINTS

from .cells import HANDFUL, Blow, Cell, Victim, cells, pairwise
from .matrix import run_all
from .record import Record
from .running import CellEnd, Places, run, short_job
from .servers import kill_all
from .world import Trap, World, until

SELECTION = pairwise(cells())
GIVEN_BACK = "given back for a while"


@pytest.mark.parametrize("cell", HANDFUL, ids=str)
def test_a_blow_changes_nothing(cell: Cell, places: Places, calm: Record) -> None:
    assert run(cell, places, calm).trouble == ""


def test_a_long_outage_of_the_database_gives_the_job_back_uncounted(distributed: World, tmp_path: Path, calm: Record) -> None:
    service, trap = distributed.service, Trap(tmp_path / "reached", "before_batch_row", 2)
    distributed.start_all(**trap.variables)
    job = short_job(service)
    until(lambda: trap.sprung)
    kill_all(distributed.processes(Victim.POSTGRES))
    trap.open()
    until(lambda: GIVEN_BACK in service.log())
    distributed.revive(Victim.POSTGRES)
    until(lambda: service.lease_owner(job.id) is None or service.jobs.get(job.id).lease_epoch > 1)
    assert service.jobs.get(job.id).attempts <= 1
    assert Record.of(service, service.wait_for_end(job.id)) == calm


def test_the_selection_meets_every_point_and_every_victim() -> None:
    assert {cell.point for cell in SELECTION} == set(POINTS)
    assert {(cell.victim, cell.blow) for cell in SELECTION} >= {
        (victim, blow) for victim in Victim for blow in Blow if any((c.victim, c.blow) == (victim, blow) for c in cells())
    }


@pytest.fixture(scope="session")
def outcomes(places: Places) -> Mapping[Cell, CellEnd]:
    return {outcome.cell: outcome for outcome in run_all(SELECTION, places)}


@pytest.mark.heavy
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("cell", SELECTION, ids=str)
def test_a_blow_of_the_selection_changes_nothing(cell: Cell, outcomes: Mapping[Cell, CellEnd]) -> None:
    assert outcomes[cell].trouble == ""
