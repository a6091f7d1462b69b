"""What the dashboard costs its readers and the service, each figure against its limit.

- A job's page with 2,000 steps (over 50,000 points in its curves) is loaded with an empty cache while the embedded model trains
  on the same machine: seconds to the first contentful paint, and until it can be used (reward chart drawn, no long task left).
- Every page open in a window of its own, with nothing happening: requests of the busiest one in a minute.
- Scripts and styles of all pages together, as they are sent, without the chart library.
- The longest task of the browser's main thread while a reader smooths and zooms the curves of 2,000 steps, goes through 1,250
  prompts, and scrolls the list of 10,000 rollouts. 200 ms is what web.dev calls a good response.
- The same job of the embedded model with and without ten windows open on its page, all drawing on the same machine: the time of
  a step, step by step, as runs with the same seed do the same work; steps count from when all windows are loaded. Where readers
  sit at machines of their own, what is left of it is the share of the cores that the API process takes for them.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
from openai import OpenAI

from api.dashboard.assets import assets
from benchmarks.check import Check
from benchmarks.dashboard_browser import Page, chromium, median
from benchmarks.dashboard_world import World
from benchmarks.service import KEY, ROOT, Service, served
from core.settings import Settings, get_settings

STEPS = 2000
PROMPTS = 1250
LOADS = 5
IDLE_SECONDS = 60.0
SETTLE_SECONDS = 10.0
WINDOWS = 10
WINDOWS_A_BROWSER = 5
"""Browsers open six connections to a server, and every window of a running job holds one."""
ROUNDS = 2
TRAIN_STEPS = 12
MODEL = "smollm2-135m-instruct"
DATA = ROOT / "examples" / "precise_instructions"
GRADER = {
    "type": "string_check",
    "name": "a",
    "input": "{{sample.output_text}}",
    "reference": "a",
    "operation": "ilike",
}
_SMOOTH = """
const slider = document.querySelector('.chart-tools input');
slider.value = 0.1 + 0.15 * (arguments[0] % 6);
slider.dispatchEvent(new Event('input'));
"""
_ZOOM = """
const from = 100 * (arguments[0] % 8);
Plotly.relayout(document.querySelector('.chart.large .plot'), {'xaxis.range[0]': from, 'xaxis.range[1]': from + 900});
"""
_SCROLL = "const list = document.querySelector('.virtual'); list.scrollTop = (arguments[0] + 1) * list.scrollHeight / {};"
_NEXT_PROMPT = "document.dispatchEvent(new KeyboardEvent('keydown', {key: 'j', bubbles: true}));"


def run() -> list[Check]:
    """All figures, as limits over what is measured."""
    model_dir = {"RFT_MODEL_DIR": str(get_settings().model_dir)}
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as directory:
        data = Path(directory) / "data"
        curves, rollouts = _worlds(data)
        with served(data, model_dir) as service:
            paint, usable = _load(service, curves)
            requests = _idle(service, curves, rollouts)
            chart, prompts, scroll = _lag(service, curves, rollouts)
            slower, share = _slowdown(service)
    sent = sum(len(asset.compressed or asset.body) for asset in assets().files.values())
    return [
        _limit("first_paint", paint, 1.0, "s"),
        _limit("interactive", usable, 2.0, "s"),
        _limit("idle_requests", max(requests, 1), 4, "a minute"),
        _limit("scripts_and_styles", sent / 1000, 150, "kB"),
        _limit("lag_of_curves", max(chart, 50.0), 200, "ms"),
        _limit("lag_of_prompts", max(prompts, 50.0), 200, "ms"),
        _limit("lag_of_rollouts", max(scroll, 50.0), 200, "ms"),
        _limit("training_time_with_10", slower, 1.02, "times"),
        _limit("api_share_with_10", 100 * share, 2, "%"),
    ]


def _limit(name: str, ours: float, limit: float, unit: str) -> Check:
    return Check(name, ours, limit, unit, limit / ours)


def _worlds(data: Path) -> tuple[str, str]:
    world = World(Settings(_env_file=None, data_dir=data))
    try:
        return world.job("curves", steps=STEPS), world.job("rollouts", steps=2, prompts=PROMPTS)
    finally:
        world.close()


def _client(service: Service) -> OpenAI:
    return OpenAI(base_url=service.base_url, api_key=KEY)


def _address(service: Service) -> str:
    return service.base_url.removesuffix("/v1")


def _train(client: OpenAI, steps: int) -> str:
    """A job of the embedded model, of so many steps."""
    rows = (DATA / "train.jsonl").read_bytes().splitlines(keepends=True)
    training = client.files.create(file=("train.jsonl", b"".join(rows[: 4 * steps])), purpose="fine-tune")
    hyperparameters = {"n_epochs": 1, "batch_size": 4}
    method: Any = {"type": "reinforcement", "reinforcement": {"grader": GRADER, "hyperparameters": hyperparameters}}
    options = {"touchstone": {"max_completion_tokens": 40}}
    return client.fine_tuning.jobs.create(model=MODEL, training_file=training.id, seed=1, method=method, extra_body=options).id


def _steps(client: OpenAI, job: str) -> dict[int, float]:
    """Seconds of each step that is done."""
    page: Any = client.get(f"/fine_tuning/jobs/{job}/metrics", cast_to=object)
    return {each["step"]: each["timing"]["step"]["full_iteration"] for each in page["data"]}


def _until(client: OpenAI, job: str, step: int) -> dict[int, float]:
    while max(done := _steps(client, job), default=-1) < step:
        state = client.fine_tuning.jobs.retrieve(job)
        if state.status in ("failed", "cancelled"):
            raise SystemExit(f"the job ended {state.status}: {state.error}")
        time.sleep(1)
    return done


def _load(service: Service, job: str) -> tuple[float, float]:
    """Seconds to the first paint and until the page can be used, while a job trains."""
    client = _client(service)
    training = _train(client, 16)
    _until(client, training, 1)
    with chromium(_address(service), KEY) as page:
        loads = [page.loaded(f"/jobs/{job}") for _ in range(LOADS)]
    assert client.fine_tuning.jobs.retrieve(training).status == "running"
    client.fine_tuning.jobs.cancel(training)
    return median(loads)


def _idle(service: Service, curves: str, rollouts: str) -> int:
    """Requests a minute of the page that asks most."""
    paths = (
        "/jobs/new",
        f"/jobs/{curves}",
        f"/jobs/{rollouts}/rollouts",
        "/graders",
        "/chat",
        f"/compare?jobs={curves}",
        "/files",
    )
    with chromium(_address(service), KEY) as page:
        for path in paths:
            page.open_beside(path)
        time.sleep(SETTLE_SECONDS)
        counts = page.requests_a_minute(IDLE_SECONDS)
    for path, asked in zip(("/jobs", *paths), counts, strict=True):
        print(f"  {asked} requests a minute of {path}")
    return max(counts)


def _lag(service: Service, curves: str, rollouts: str) -> tuple[float, float, float]:
    """Milliseconds of the longest task: at the curves, going through prompts, and scrolling the list of all rollouts."""
    with chromium(_address(service), KEY) as page:
        page.open(f"/jobs/{curves}")
        page.until(lambda: page.run("return window.seen.drawn"))
        page.quiet()
        chart = max(page.longest_task(_SMOOTH, 12), page.longest_task(_ZOOM, 8))
        page.open(f"/jobs/{rollouts}/rollouts")
        page.until(lambda: page.run("return document.querySelector('.sample')"))
        page.quiet()
        prompts = max(page.longest_task(_NEXT_PROMPT, 20), page.longest_task(_SCROLL.format(40), 40))
        page.open(f"/jobs/{rollouts}/rollouts?view=all")
        page.until(lambda: page.run("return document.querySelector('.sample-row')"))
        page.quiet()
        scroll = _scrolled(page)
    return chart, prompts, scroll


def _scrolled(page: Page) -> float:
    """The longest task on the way through the list of all rollouts, whose pages are fetched on the way."""
    longest = 0.0
    while True:
        longest = max(longest, page.longest_task(_SCROLL.format(1), 5, pause=0.5))
        if "more come" not in page.run("return document.querySelector('main [role=status]').textContent"):
            return longest


def _slowdown(service: Service) -> tuple[float, float]:
    """How much longer a step takes while ten windows show its job, and the API process's share of the cores meanwhile."""
    client = _client(service)
    quiet: list[dict[int, float]] = []
    watched: list[dict[int, float]] = []
    shares = []
    for _ in range(ROUNDS):
        quiet.append(_trained(client, service, windows=0))
        api = psutil.Process(service.process.pid)
        begin, used = time.monotonic(), sum(api.cpu_times()[:2])
        watched.append(_trained(client, service, windows=WINDOWS))
        shares.append((sum(api.cpu_times()[:2]) - used) / (time.monotonic() - begin) / psutil.cpu_count())
    ratios = [w[step] / q[step] for w, q in zip(watched, quiet, strict=True) for step in w]
    print(f"  step times with {WINDOWS} windows over those without: {', '.join(f'{ratio:.3f}' for ratio in sorted(ratios))}")
    return statistics.median(ratios), statistics.median(shares)


def _trained(client: OpenAI, service: Service, windows: int) -> dict[int, float]:
    """Seconds of each step of a job that begins when all of so many windows are loaded; without windows, of all but the first."""
    job = _train(client, TRAIN_STEPS)
    loaded = 1
    with ExitStack() as stack:
        for _ in range(windows // WINDOWS_A_BROWSER):
            page = stack.enter_context(chromium(_address(service), KEY))
            page.open(f"/jobs/{job}")
            for _ in range(WINDOWS_A_BROWSER - 1):
                page.open_beside(f"/jobs/{job}")
        if windows:
            time.sleep(SETTLE_SECONDS)
            loaded = max(_steps(client, job), default=0) + 1
        times = _until(client, job, TRAIN_STEPS)
    while client.fine_tuning.jobs.retrieve(job).status == "running":
        time.sleep(0.5)
    return {step: seconds for step, seconds in times.items() if step > loaded}
