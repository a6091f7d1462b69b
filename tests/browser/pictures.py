"""The pictures of docs/pictures: `make pictures`, which takes them of real runs of the demo's task on the embedded model.

Serves a copy of the data that `make demo` has left (or of the directory that is given), runs the demo's job in two variants where
they are not in it yet, which takes about as long as the demo twice over, prepares every page as a reader would, and takes it in
both themes.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
from openai import OpenAI
from PIL import Image
from selenium.webdriver.common.by import By

from tests.browser.browser import Browser, chromium
from tests.browser.pages import DESK, PAGES, PHONE, address, take
from tests.conftest import ROOT

KEY = "sk-demo-key"
SUFFIX = "letter-a"
VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "letter-a-kl": ({}, {"kl_coef": 0.02}),
    "letter-a-gentle": ({"learning_rate_multiplier": 0.5}, {}),
}
"""Suffix of each variant, with what it changes in hyperparameters and options."""
PICTURES = ROOT / "docs" / "pictures"
MOST_HEIGHT = 1500
QUALITY = 80
STEP = 16
PROMPT = "Write two short sentences about tigers. Every sentence must start with the letter A."
RUNNING = "letter-a-twice"
"""A third variant, of two epochs, that is under way while the list of jobs is taken."""
FORMULA = ("share * answer", "0.7 * share + 0.3 * answer")
"""Of the demo's grader, and what the playground's picture tries instead."""
PROBLEMS = '{"messages": [{"role": "user", "content": "What is 2 + 2?"}], "answer": "4"}\n{"messages": "none"}\nnot JSON\n'


def main(data: Path) -> None:
    """Take all pictures."""
    with tempfile.TemporaryDirectory() as directory, served(data, Path(directory)) as address_of_service:
        client = OpenAI(base_url=f"{address_of_service}/v1", api_key=KEY)
        shown = next(job for job in client.fine_tuning.jobs.list() if job.user_provided_suffix == SUFFIX)  # type: ignore[attr-defined]
        compared = [shown.id, *run_variants(client, shown)]
        under_way = create(client, shown, RUNNING, {"n_epochs": 2}, {})
        while step(client, under_way) < 3:
            time.sleep(2)
        pictures = Path(directory) / "pictures"
        with chromium(Path(directory)) as driver:
            browser = Browser(driver, address_of_service, KEY, Path(directory))
            for name in PAGES:
                browser.resize(DESK.width, DESK.height)
                browser.open(place(name, shown, compared))
                PREPARATIONS.get(name, nothing)(browser)
                take(browser, pictures, name, DESK, most_height=MOST_HEIGHT)
                if name == "jobs":
                    client.fine_tuning.jobs.cancel(under_way)
            for name in ("job", "rollouts"):
                browser.resize(PHONE.width, PHONE.height, mobile=True)
                browser.open(place(name, shown, compared))
                take(browser, pictures, f"{name}-phone", PHONE, most_height=MOST_HEIGHT)
        compress(pictures)


@contextmanager
def served(data: Path, directory: Path) -> Iterator[str]:
    """`rft serve` on a copy of the data; yields its address."""
    shutil.copytree(data, directory / "data")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = {"RFT_DATA_DIR": str(directory / "data"), "RFT_API_KEY": KEY, "RFT_SANDBOX_LEVEL": "none"}
    command = [sys.executable, "-m", "cli.main", "serve", "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **settings})
    service = f"http://127.0.0.1:{port}"
    try:
        while not ready(service):
            if process.poll() is not None:
                raise SystemExit("rft serve has ended")
            time.sleep(0.2)
        yield service
    finally:
        process.terminate()
        process.wait()


def ready(service: str) -> bool:
    """Whether it answers."""
    try:
        return httpx2.get(f"{service}/readyz").status_code == 200
    except httpx2.TransportError:
        return False


def place(name: str, shown: Any, compared: list[str]) -> str:
    """The address of a page with the last step and all the jobs."""
    return (
        address(name, shown)
        .replace("step=2", f"step={STEP}")
        .replace("/compare", f"/compare?jobs={','.join(compared)}", name == "compare")
    )


def run_variants(client: OpenAI, shown: Any) -> list[str]:
    """The shown job again with something changed, so that there is something to compare: the ids, once they have ended."""
    there: dict[str, str] = {job.user_provided_suffix: job.id for job in client.fine_tuning.jobs.list()}  # type: ignore[attr-defined]
    jobs = [there.get(suffix) or create(client, shown, suffix, *changes) for suffix, changes in VARIANTS.items()]
    while any(client.fine_tuning.jobs.retrieve(job).status not in ("succeeded", "failed") for job in jobs):
        time.sleep(5)
    return jobs


def create(client: OpenAI, shown: Any, suffix: str, hyperparameters: dict[str, Any], options: dict[str, Any]) -> str:
    """The shown job again with these changes; returns the new id."""
    job: Any = client.get(f"/fine_tuning/jobs/{shown.id}", cast_to=object)
    block = job["method"]["reinforcement"]
    method: Any = {
        "type": "reinforcement",
        "reinforcement": {
            "grader": block["grader"],
            "hyperparameters": {**block["hyperparameters"], **hyperparameters},
        },
    }
    return client.fine_tuning.jobs.create(
        model=shown.model,
        training_file=shown.training_file,
        validation_file=shown.validation_file,
        seed=shown.seed,
        suffix=suffix,
        method=method,
        extra_body={"touchstone": {"max_completion_tokens": job["touchstone"]["max_completion_tokens"], **options}},
    ).id


def step(client: OpenAI, job: str) -> int:
    """How far a job is."""
    metrics: Any = client.get(f"/fine_tuning/jobs/{job}/metrics", cast_to=object)
    return int(metrics["step"])


def nothing(browser: Browser) -> None:
    """A page that shows all it has at once."""


def choose_files(browser: Browser) -> None:
    """The form with its files, so that the resolved numbers stand in it."""
    for label, name in (("Training file", "train.jsonl"), ("Validation file", "validation.jsonl")):
        options = browser.labelled(label).find_elements(By.TAG_NAME, "option")
        next(option for option in options if name in option.text).click()
    browser.says("What this comes to")


def grade_again(browser: Browser) -> None:
    """The job's grader with another formula, tried on a text and held against its last step."""
    browser.says("valid: multi")
    configuration = browser.labelled("Configuration")
    before = configuration.get_attribute("value") or ""
    assert FORMULA[0] in before
    browser.write(configuration, before.replace(*FORMULA))
    browser.write(browser.labelled("What the model wrote"), "A tiger sleeps at noon. All is quiet.")
    browser.write(browser.labelled("Row of the data file, as JSON"), '{"keywords": ["tiger"]}')
    browser.press("Grade")
    browser.find(".grade")
    browser.choose("Samples", f"Step {STEP}, training (32 samples)")
    browser.press("Grade again")
    browser.says("Kendall's tau")


def talk(browser: Browser) -> None:
    """One prompt answered by both models, once they are loaded."""
    for _ in range(2):
        browser.press("Start over")
        browser.write(browser.labelled("Prompt"), PROMPT)
        browser.press("Send")
        browser.until(lambda: browser.text(".chat-columns").count(" tokens · ") == 2)


def upload_problems(browser: Browser) -> None:
    """A file that has to be corrected."""
    path = browser.downloads / "with-problems.jsonl"
    path.write_text(PROBLEMS)
    browser.find("input[type=file]").send_keys(str(path))
    browser.says("a job with this file would fail")


PREPARATIONS: dict[str, Callable[[Browser], None]] = {
    "new-job": choose_files,
    "graders": grade_again,
    "chat": talk,
    "files": upload_problems,
}


def compress(directory: Path) -> None:
    """Put the pictures into the docs, as WebP."""
    PICTURES.mkdir(exist_ok=True)
    for path in sorted(directory.glob("*.png")):
        with Image.open(path) as picture:
            picture.convert("RGB").save(PICTURES / f"{path.stem}.webp", quality=QUALITY, method=6)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "demo" / "data")
