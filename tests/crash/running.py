"""One cell of the matrix: a job, one blow, and whether the job ends as if there had been none."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psutil

from core.errors import Unavailable
from core.jobs.state import TERMINAL
from core.jobs.types import Job
from tests.service import HAS_AN_A, Json, Service, rows

from .cells import OCCURRENCES, Blow, Cell, Deployment, Victim
from .record import Record, orphans, surplus_files
from .servers import kill_all
from .world import API_KEY, LEASE_SECONDS, PATIENCE_SECONDS, Trap, World, until, world

STEPS = 3
HYPERPARAMETERS = {"n_epochs": 1, "batch_size": 2, "eval_interval": 2}
OPTIONS = {"samples_per_prompt": 8, "max_completion_tokens": 8, "learning_rate": 0.005, "final_checkpoint": "last"}
_STALL_SECONDS, _PATIENT = 6.0, 1800.0
_BEYOND_THE_LEASE = 1.5 * LEASE_SECONDS


@dataclass(frozen=True)
class Places:
    """What every cell needs of the machine."""

    model: Path
    template: Path
    """An empty PostgreSQL database."""
    directory: Path


@dataclass(frozen=True)
class CellEnd:
    """How a cell ended; without trouble it is as promised."""

    cell: Cell
    trouble: str
    seconds: float


def short_job(service: Service) -> Job:
    """The job of all cells: three steps, two checkpoints."""
    return service.create(train=rows(2 * STEPS), valid=rows(2), hyperparameters=HYPERPARAMETERS, options=OPTIONS, seed=7)


def undisturbed(places: Places) -> Record:
    """The record of a run without a blow, on the embedded service."""
    with world(Deployment.EMBEDDED, places.directory / "undisturbed", places.model, places.template) as calm:
        return Record.of(calm.service, calm.service.run(short_job(calm.service)))


def run(cell: Cell, places: Places, expected: Record) -> CellEnd:
    """Run one cell; never raises for what the service does wrong."""
    begin = time.monotonic()
    # Whoever is held at a failpoint shows no progress either: only a frozen runner is to be taken for one that hangs.
    stall = _STALL_SECONDS if (cell.victim, cell.blow) == (Victim.RUNNER, Blow.FREEZE) else _PATIENT
    try:
        with world(cell.deployment, places.directory / str(cell), places.model, places.template, stall_seconds=stall) as struck:
            trouble = _Run(cell, struck, places.directory / f"{cell}.reached").trouble(expected)
    except (AssertionError, psutil.TimeoutExpired) as error:
        trouble = f"{type(error).__name__}: {str(error)[-1500:]}"
    return CellEnd(cell, trouble, time.monotonic() - begin)


class _Run:
    def __init__(self, cell: Cell, struck: World, reached: Path) -> None:
        self._cell, self._world, self._service = cell, struck, struck.service
        self._sleepers: list[psutil.Process] = []
        self._trap = Trap(reached, cell.point, OCCURRENCES.get(cell.point, 1))

    def trouble(self, expected: Record) -> str:
        """What is not as promised; empty where all is."""
        job_id = self._create_at_trap() if self._cell.point.startswith("job_") else self._create_and_trap()
        ended = self._ended(job_id)
        record = Record.of(self._service, ended)
        wrong = [*self._wake(job_id), *(f"{name} differ" for name in record.differences(expected)), *orphans(self._service)]
        if surplus_files(self._service):
            wrong.append("a result file of no job")
        if len(self._service.jobs.list(after=None, limit=9, metadata=None).data) != 1:
            wrong.append("not one job")
        if record.status != "succeeded":
            wrong.append(f"{record.error}; {self._last_words()}")
        return "; ".join(wrong)

    def _create_and_trap(self) -> str:
        if self._cell.victim is Victim.API:
            self._world.start(Victim.API)
            self._world.api_url()
        self._world.start_all(**self._trap.variables)
        job = short_job(self._service)
        if self._cell.point == "before_release":  # whose runner ends with its job may hear of that by the lost lease first
            self._until(lambda: self._service.jobs.get(job.id).step >= 1)
            kill_all(self._world.processes(Victim.RUNNER))
        self._until(lambda: self._trap.sprung)
        self._blow()
        return job.id

    def _blow(self) -> None:
        cell, victims = self._cell, self._struck()
        if cell.blow is Blow.KILL:
            runners = self._world.processes(Victim.RUNNER) if cell.victim is Victim.WORKER else []
            kill_all(victims)
            _, alive = psutil.wait_procs(runners, timeout=PATIENCE_SECONDS)
            assert not alive, "a runner has outlived its worker"
            self._trap.open()
            self._world.revive(cell.victim)
            return
        self._freeze(victims)
        if cell.victim in (Victim.REDIS, Victim.POSTGRES):
            time.sleep(_BEYOND_THE_LEASE)
            _signal(victims, signal.SIGCONT)
            self._trap.open()
        else:
            self._sleepers = victims
            self._world.revive(cell.victim)

    def _struck(self) -> list[psutil.Process]:
        """The processes of the victim; where several are of its kind, that which was trapped."""
        found = self._world.processes(self._cell.victim)
        if self._cell.victim is Victim.WORKER and self._cell.blow is Blow.FREEZE:
            found = [*found, *self._world.processes(Victim.RUNNER)]
        return found

    def _freeze(self, victims: list[psutil.Process]) -> None:
        """At a moment at which none of them holds SQLite's one write lock: no one else could write then."""
        while True:
            _signal(victims, signal.SIGSTOP)
            if self._cell.deployment is Deployment.DISTRIBUTED or _is_writable(self._service.directory / "touchstone.db"):
                return
            _signal(victims, signal.SIGCONT)
            time.sleep(0.05)

    def _wake(self, job_id: str) -> list[str]:
        """A zombie goes on when everything is over: it may not change a row. What it does wrong."""
        if not self._sleepers:
            return []
        before = self._service.tables(job_id)
        _signal(self._sleepers, signal.SIGCONT)
        self._trap.open()
        runners = [process for process in self._sleepers if process.is_running() and _is_runner(process)]
        _, alive = psutil.wait_procs(runners, timeout=PATIENCE_SECONDS)
        time.sleep(LEASE_SECONDS / 3)  # one more look of the supervisor
        wrong = [] if self._service.tables(job_id) == before else ["the zombie has changed rows"]
        return [*wrong, "the zombie does not end"] if alive else wrong

    def _create_at_trap(self) -> str:
        """Through an API that is struck in the midst of the request; the client sends it again, to another API."""
        self._world.start_all()
        self._world.start(Victim.API, **self._trap.variables)
        request, first = _request(*_files(self._service)), self._world.api_url()
        answers: list[Json] = []
        sender = threading.Thread(target=lambda: answers.extend(_post(first, request)), daemon=True)
        sender.start()
        self._until(lambda: self._trap.sprung)
        self._blow()
        if self._cell.victim is not Victim.API:
            sender.join(PATIENCE_SECONDS)
        elif self._sleepers:  # a client that has waited long enough asks elsewhere, and then the first goes on
            repeated = threading.Thread(target=lambda: answers.extend(_post(self._world.api_url(), request)), daemon=True)
            repeated.start()
            time.sleep(_BEYOND_THE_LEASE)
            _signal(self._sleepers, signal.SIGCONT)
            self._trap.open()
            repeated.join(PATIENCE_SECONDS)
            sender.join(PATIENCE_SECONDS)
        while not answers:
            time.sleep(0.2)
            answers.extend(_post(self._world.api_url(), request))
        assert len({answer["id"] for answer in answers}) == 1, answers
        return str(answers[0]["id"])

    def _ended(self, job_id: str) -> Job:
        self._until(lambda: self._service.jobs.get(job_id).status in TERMINAL)
        return self._service.jobs.get(job_id)

    def _last_words(self) -> str:
        lines = self._service.log().splitlines()
        return "\n".join([line for line in lines if "celery" not in line][-20:])

    def _until(self, what: Callable[[], bool]) -> None:
        def answered() -> bool:
            with contextlib.suppress(Unavailable):
                return what()
            return False

        try:
            until(answered)
        except AssertionError as error:
            raise AssertionError(f"{error}; {self._last_words()}") from error


def _files(service: Service) -> tuple[str, str]:
    return service.upload(rows(2 * STEPS)), service.upload(rows(2))


def _request(train: str, valid: str) -> Json:
    method = {"type": "reinforcement", "reinforcement": {"grader": HAS_AN_A, "hyperparameters": HYPERPARAMETERS}}
    files = {"training_file": train, "validation_file": valid}
    return {"model": "tiny", "suffix": "demo", "seed": 7, "method": method, "touchstone": OPTIONS, **files}


def _post(url: str, request: Json) -> list[Json]:
    """The job that was made, or nothing where the server went away."""
    headers = {"authorization": f"Bearer {API_KEY}", "idempotency-key": "the-one-job"}
    try:
        reply = httpx2.post(f"{url}/v1/fine_tuning/jobs", json=request, headers=headers, timeout=120, trust_env=False)
    except httpx2.TransportError:
        return []
    assert reply.is_success or reply.status_code >= 500, reply.text
    return [reply.json()] if reply.is_success else []


def _signal(processes: Sequence[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


def _is_runner(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return "worker.runner" in process.cmdline()
    return False


def _is_writable(path: Path) -> bool:
    with contextlib.closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        return True
