"""How much a judge adds to a step: 128 samples whose sampling takes 5 seconds, a judge with 200 ms latency asked 16 at a time.

The engine is scripted: it sleeps as long as sampling would take, and completions end evenly over the second half of each
sampling batch. Everything behind it is what jobs run: the grading threads, the judge's client over real HTTP to a server in a
process of its own, the kept batches. Peer: the limit of 10 % of the sampling time. A second figure, for the worst case in which
all completions of a batch end at the same moment, is printed beside it: 64 answers then take four rounds of 200 ms, so 16 %.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks.check import Check
from core.jobs.plan import Hyperparameters, Options, resolve
from core.jobs.types import BatchRecord, Lease, Wish
from core.models import JudgeEndpoint, ModelRegistry
from core.processes import SocketService
from core.storage.build import open_store
from graders.base import Grader
from graders.build import build
from graders.judges.pool import JudgePool
from graders.parts import GraderParts
from graders.spec import parse
from worker.grading import FailureWatch, GradingPool
from worker.rollout.base import Completion, Finished, PromptGroup, SamplingParams, StopReason, unheard
from worker.sampling import BatchSampler, Prompt, Wanted

ROWS, SAMPLES, SAMPLING_SECONDS, LATENCY, CONCURRENCY, ROUNDS = 16, 8, 5.0, 0.2, 16, 3
LIMIT_PERCENT = 10.0
PLAIN = {"type": "string_check", "name": "p", "input": "{{sample.output_text}}", "reference": "a", "operation": "eq"}
JUDGED = {"type": "score_model", "name": "j", "model": "judge", "input": [{"role": "user", "content": "{{sample.output_text}}"}]}


def judge_overlap() -> Check:
    """The share of the sampling time that the judge adds, against `LIMIT_PERCENT`."""
    with _judge() as url:
        spread, worst = (_added_percent(url, ends_from) for ends_from in (0.5, 1.0))
    print(f"judge_overlap: all completions of a batch ending at once, the judge adds {worst:.1f} %")
    return Check("judge_overlap", spread, LIMIT_PERCENT, "% added", LIMIT_PERCENT / max(spread, 0.01))


def _added_percent(url: str, ends_from: float) -> float:
    entry = JudgeEndpoint("judge", url, None, "judge", CONCURRENCY, 60.0)
    pool = JudgePool(ModelRegistry({}, {}, {"judge": entry}), SocketService([]))

    def no_sandbox() -> Any:
        raise AssertionError

    plain, judged = (build(parse(config), GraderParts(no_sandbox, pool)) for config in (PLAIN, JUDGED))
    try:
        return (_step_seconds(judged, ends_from) - _step_seconds(plain, ends_from)) / SAMPLING_SECONDS * 100
    finally:
        pool.close()


def _step_seconds(grader: Grader, ends_from: float) -> float:
    """Median seconds of a step's sampling and grading."""
    plan = resolve(Hyperparameters(batch_size=ROWS), Options(samples_per_prompt=SAMPLES), train_rows=ROWS, valid_rows=0)
    prompts = [Prompt(row, {}, (row,)) for row in range(ROWS)]
    grading = GradingPool(grader, FailureWatch(1.0))
    with tempfile.TemporaryDirectory() as directory:
        sampler = BatchSampler(
            lease=Lease("ftjob-benchmark", "proj_benchmark", 1),
            plan=plan,
            job_seed=0,
            engine=_Engine(SAMPLING_SECONDS / (ROWS * SAMPLES), ends_from),
            grading=grading,
            chat=_Chat(),
            objects=open_store(Path(directory).as_uri()),
            journal=_Journal(),  # type: ignore[arg-type]
            history=_History(),  # type: ignore[arg-type]
        )
        seconds = [sampler.run(Wanted("train", step, prompts, SAMPLES, policy_version=0)).seconds for step in range(ROUNDS)]
        sampler.close()
    return statistics.median(seconds)


class _Engine:
    """Takes `seconds` a completion; they end evenly from the share `ends_from` of a batch's time on."""

    def __init__(self, seconds: float, ends_from: float) -> None:
        self._seconds, self._ends_from = seconds, ends_from

    def generate(
        self, groups_P: Sequence[PromptGroup], params: SamplingParams, finished: Finished = unheard
    ) -> list[list[Completion]]:
        """See `RolloutEngine.generate`."""
        begin = time.monotonic()
        completion = Completion((1,) * params.max_tokens, (0.0,) * params.max_tokens, StopReason.STOP)
        places = [(group, member) for group, prompt in enumerate(groups_P) for member in range(len(prompt.seeds_G))]
        whole = self._seconds * len(places)
        for order, (group, member) in enumerate(places):
            share = self._ends_from + (1 - self._ends_from) * (order + 1) / len(places)
            time.sleep(max(0.0, begin + whole * share - time.monotonic()))
            finished(group, member, completion)
        return [[completion] * len(group.seeds_G) for group in groups_P]

    def sync(self) -> None:
        """Nothing to take over."""

    def close(self) -> None:
        """Nothing to let go of."""


class _Chat:
    """Text of tokens that mean nothing."""

    def prompt(self, messages: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]] | None = None) -> tuple[int, ...]:
        """No prompt is rendered here."""
        raise NotImplementedError

    def text(self, ids: Sequence[int]) -> str:
        """As many letters as tokens."""
        return "a" * len(ids)

    def transcript(self, ids: Sequence[int]) -> str:
        """As many letters as tokens."""
        return self.text(ids)


class _Journal:
    def keep_batch(self, _batch: BatchRecord) -> Wish:
        return Wish.GO_ON


class _History:
    def batches(self, _split: str, _step: int) -> Sequence[BatchRecord]:
        return ()


@contextmanager
def _judge() -> Iterator[str]:
    """The base URL of a judge in a process of its own."""
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.judge_overlap"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _serve(announce: Callable[[str], None]) -> None:
    verdict = json.dumps({"steps": [], "result": 0.5})
    choice = {"index": 0, "message": {"role": "assistant", "content": verdict}, "finish_reason": "stop"}
    reply = json.dumps({"choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}).encode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            time.sleep(LATENCY)
            self.send_response(200)
            self.send_header("content-length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_arguments: object) -> None:
            """Nothing: standard output is the announcement's."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    announce(f"http://127.0.0.1:{server.server_port}/v1")
    server.serve_forever()


if __name__ == "__main__":
    _serve(lambda url: print(url, flush=True))
