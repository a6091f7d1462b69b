"""A served instance on the tiny model, with a real worker, and Debian's Chromium signed in to it.

Needs Debian's packages `chromium` and `chromium-driver`, and npm for axe-core; `tests/browser/setup` sees to them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI
from selenium import webdriver
from selenium.webdriver.chrome.service import Service as Driver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.models import tiny_model

ROOT = Path(__file__).resolve().parents[3]
PICTURES = ROOT / "build" / "dashboard"
PATIENCE_SECONDS = 120
KEY = "sk-the-browsers-own-key"
HOSTILE = '<img src=x onerror="window.stolen=1"><script>window.stolen=1</script>&amp;\u202e\'"'
"""Text that would run as a program wherever it were taken for markup."""

Json = dict[str, Any]


def rows(count: int, note: str = "") -> bytes:
    lines = [
        {"messages": [{"role": "user", "content": f"{i} {note}" + "tick " * (i % 3)}], "wanted": "a", "note": note}
        for i in range(count)
    ]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


GRADER: Json = {
    "type": "string_check",
    "name": "has an a",
    "input": "{{sample.output_text}}",
    "reference": "{{item.wanted}}",
    "operation": "ilike",
}
HYPERPARAMETERS = {"n_epochs": 3, "batch_size": 4, "eval_interval": 3, "eval_samples": 2}
OPTIONS = {"samples_per_prompt": 8, "max_completion_tokens": 12, "learning_rate": 0.02}


@dataclass(frozen=True)
class Served:
    """A running service and ways to its parts."""

    url: str
    client: OpenAI

    def job(self, **changes: Any) -> str:
        """A new job's id."""
        files = {
            f"{name}_file": self.client.files.create(file=(f"{name}.jsonl", rows(count)), purpose="fine-tune").id
            for name, count in (("training", 16), ("validation", 4))
        }
        body: Json = {
            "model": "tiny",
            "suffix": "tone",
            "method": {"type": "reinforcement", "reinforcement": {"grader": GRADER, "hyperparameters": HYPERPARAMETERS}},
            **files,
            **changes,
        }
        return self.client.fine_tuning.jobs.create(**body, extra_body={"touchstone": OPTIONS}).id

    def ended(self, job_id: str) -> str:
        """Wait for a job's end; returns its id."""
        follow = [sys.executable, "-m", "cli.main", "jobs", "watch", job_id]
        environment = {**os.environ, "OPENAI_BASE_URL": f"{self.url}/v1", "OPENAI_API_KEY": KEY}
        subprocess.run(follow, env=environment, cwd=ROOT, check=False, stdout=subprocess.DEVNULL, timeout=300)
        return job_id


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("served")
    model = tiny_model(tmp_path_factory.mktemp("model"))
    (directory / "models.yaml").write_text(f"models: {{tiny: {{source: {model}}}}}\n")
    settings = {
        "RFT_DATA_DIR": str(directory / "data"),
        "RFT_MODELS": str(directory / "models.yaml"),
        "RFT_API_KEY": KEY,
        "RFT_POLL_SECONDS": "0.1",
        "RFT_THREADS": "1",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "cli.main", "serve", "--port", "0"]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=directory, env={**os.environ, **settings}, stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        first = process.stdout.readline()
        assert first.startswith("base_url"), (directory / "log").read_text()
        base_url = first.split()[1]
        with OpenAI(base_url=base_url, api_key=KEY) as client:
            yield Served(base_url.removesuffix("/v1"), client)
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()


class Browser:
    """Chromium, and how a reader looks for things."""

    def __init__(self, driver: webdriver.Chrome, url: str) -> None:
        self.driver = driver
        self.url = url

    def open(self, path: str) -> None:
        """Go to an address below /dashboard."""
        self.driver.get(f"{self.url}/dashboard{path}")

    def until(self, what: Callable[[webdriver.Chrome], Any]) -> Any:
        """The first true value of `what`."""
        return WebDriverWait(self.driver, PATIENCE_SECONDS, ignored_exceptions=[Exception]).until(what)

    def see(self, css: str, text: str = "") -> WebElement:
        """The first visible element of the selector that contains the text."""

        def find(driver: webdriver.Chrome) -> WebElement | None:
            found = driver.find_elements(By.CSS_SELECTOR, css)
            return next((each for each in found if each.is_displayed() and text in each.text), None)

        found: WebElement = self.until(find)
        return found

    def press(self, label: str, within: str = "") -> None:
        """Click the button or link of this label."""
        self.see(f"{within} button, {within} a" if within else "button, a", label).click()

    def fill(self, label: str, value: str) -> None:
        """Write into the field with this label."""
        name = self.see("label", label).get_attribute("for")
        field = self.driver.find_element(By.ID, name)
        field.clear()
        field.send_keys(value)

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script returns."""
        return self.driver.execute_script(script, *arguments)

    def sign_in(self) -> None:
        """With the key, once a browser."""
        self.open("")
        self.see("input[name=api-key]").send_keys(KEY + "\n")
        self.see("nav a", "Jobs")

    def size(self, width: int, height: int, *, mobile: bool = False) -> None:
        """The size of the page in CSS pixels."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def theme(self, name: str) -> None:
        """Light or dark, from the next page on."""
        self.run("localStorage.setItem('theme', arguments[0])", name)

    def picture(self, name: str) -> None:
        """Keep a picture of the whole page."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.driver.save_screenshot(str(PICTURES / f"{name}.png"))

    def troubles(self) -> list[str]:
        """Errors of the console since the last call, without those that are meant.

        Plotly's map part, which no page of ours uses, wants a style element; the policy refuses it.
        """
        meant = ("/dashboard/session", "plotly.min.js 20 Applying inline style", "plotly.min.js 21 Applying inline style")
        entries = [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]
        return [message for message in entries if not any(part in message for part in meant)]


@pytest.fixture(scope="session")
def signed_in(served: Served) -> Iterator[Browser]:
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1400,1000", "--lang=en-US"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Driver("/usr/bin/chromedriver"))
    try:
        browser = Browser(driver, served.url)
        browser.sign_in()
        yield browser
    finally:
        driver.quit()


@pytest.fixture
def browser(signed_in: Browser) -> Browser:
    """A browser that is signed in, in the light, at the width of a desk."""
    signed_in.size(1400, 1000)
    signed_in.theme("light")
    signed_in.troubles()
    return signed_in


@pytest.fixture(scope="session")
def finished(served: Served) -> str:
    """The id of a job that has ended well."""
    return served.ended(served.job())
