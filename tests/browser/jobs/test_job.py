"""A job from its form to its end, as a reader lives it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.browser.jobs.conftest import HOSTILE, Browser, Served, rows

pytestmark = pytest.mark.heavy


def status(browser: Browser) -> str:
    return browser.see("h1 .badge").text


def current_job(browser: Browser) -> str:
    browser.until(lambda driver: "/jobs/ftjob-" in driver.current_url)
    return browser.driver.current_url.split("/jobs/")[1].split("?")[0]


def test_a_job_is_created_from_the_form_and_its_curve_grows(browser: Browser, served: Served, tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_bytes(rows(16))
    browser.open("/jobs/new")
    browser.see(".verdict .badge.good")
    browser.see("input[type=file]").send_keys(str(tmp_path / "train.jsonl"))
    browser.see(".note", "What this comes to")
    assert browser.see("input[name=batch_size]").get_attribute("placeholder") == "auto (4)"
    browser.fill("Suffix", "from-the-form")
    browser.fill("n_epochs", "50")
    browser.press("Create the job")
    job_id = current_job(browser)
    browser.see(".legend", "train")
    browser.until(lambda driver: served.client.fine_tuning.jobs.retrieve(job_id).status == "running")
    seen = browser.until(
        lambda driver: browser.run("return document.querySelector('.chart.large .plot').data?.at(-2)?.x.length > 2")
    )
    assert seen, "points arrive without a reload"
    served.client.fine_tuning.jobs.cancel(job_id)


def test_a_job_is_paused_resumed_and_cancelled(browser: Browser, served: Served) -> None:
    browser.open(f"/jobs/{served.job(suffix='steered')}")
    browser.press("Pause")
    browser.press("Pause the job", "dialog")
    browser.until(lambda driver: status(browser) == "paused")
    browser.press("Resume")
    browser.until(lambda driver: status(browser) in ("queued", "running"))
    browser.press("Cancel")
    browser.press("Go back", "dialog")
    assert status(browser) != "cancelled"
    browser.press("Cancel")
    browser.press("Cancel the job", "dialog")
    browser.until(lambda driver: status(browser) == "cancelled")


def test_a_grader_that_is_wrong_is_told_while_it_is_written(browser: Browser) -> None:
    browser.open("/jobs/new")
    browser.see(".verdict .badge.good")
    browser.fill("Configuration", '{"type": "string_check"}')
    assert browser.see(".verdict .badge.bad")
    assert "input" in browser.see(".field .error").text


def test_a_finished_job_shows_its_best_checkpoint_and_settings(browser: Browser, finished: str) -> None:
    browser.open(f"/jobs/{finished}")
    assert browser.see(".badge.good", "best")
    assert browser.see("dl.facts", "batch_size")
    assert browser.see(".events", "The job has successfully completed")


def test_hostile_text_shows_as_text(browser: Browser, served: Served) -> None:
    name = "<img src=x onerror='window.stolen=1'>.jsonl"
    file = served.client.files.create(file=(name, rows(4, HOSTILE)), purpose="fine-tune").id
    grader = {
        "type": "string_check",
        "name": HOSTILE[:60],
        "input": "{{sample.output_text}}",
        "reference": HOSTILE,
        "operation": "eq",
    }
    job_id = served.job(
        training_file=file,
        validation_file=file,
        suffix="<b onclick=x>s</b>",
        metadata={HOSTILE[:60]: HOSTILE},
        method={"type": "reinforcement", "reinforcement": {"grader": grader, "hyperparameters": {"n_epochs": 1}}},
    )
    served.ended(job_id)
    browser.open(f"/jobs/{job_id}")
    assert "<b onclick=x>s</b>" in browser.see("h1").text
    assert HOSTILE[:40] in browser.see("dl.facts", HOSTILE[:40]).text
    browser.see("dl.facts a", "<img src=x")
    for path in ("/jobs", "/jobs/new", f"/jobs/{job_id}", f"/jobs/{job_id}/rollouts?step=1", "/files", f"/compare?jobs={job_id}"):
        browser.open(path)
        browser.see("h1")
        browser.until(lambda driver: not browser.run("return document.querySelector('.spinner')"))
        assert browser.run("return [window.stolen, document.querySelectorAll('main img, main script').length]") == [None, 0]


def test_a_quiet_page_asks_little(browser: Browser, finished: str) -> None:
    browser.open(f"/jobs/{finished}")
    browser.see(".chart.large .main-svg")
    time.sleep(5)
    browser.run("performance.clearResourceTimings()")
    time.sleep(20)
    assert browser.run("return performance.getEntriesByType('resource').length") <= 1


def test_signing_out_shows_the_form(browser: Browser) -> None:
    browser.open("/jobs")
    browser.press("Sign out")
    browser.see("input[name=api-key]")
    browser.sign_in()
