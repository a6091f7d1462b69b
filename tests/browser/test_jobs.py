"""Jobs from the form to their end, as a reader lives them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By

from tests.browser.browser import Browser
from tests.browser.conftest import KEY, SINGLE, SUFFIX, XSS, Served, rows

pytestmark = pytest.mark.heavy

LAST_REWARDS = "return document.querySelector('.chart.large .plot').data?.at(-2)?.x.length ?? 0"


def status(browser: Browser) -> str:
    return browser.text("h1 .badge")


def test_a_job_is_created_from_the_form_and_its_curve_grows(browser: Browser, served: Served, tmp_path: Path) -> None:
    for name, count in (("train", 16), ("valid", 4)):
        (tmp_path / f"{name}.jsonl").write_bytes(rows(count))
    browser.open("/jobs/new")
    browser.write(browser.labelled("Configuration"), json.dumps(SINGLE))
    browser.says("has an a")
    browser.labelled("Upload a training file").send_keys(str(tmp_path / "train.jsonl"))
    browser.labelled("Upload a validation file").send_keys(str(tmp_path / "valid.jsonl"))
    browser.says("validated on 4 prompts")
    assert browser.labelled("batch_size").get_attribute("placeholder") == "auto (4)"
    browser.write(browser.labelled("Suffix"), "from-the-form")
    browser.write(browser.labelled("n_epochs"), "50")
    browser.press("Create the job")
    browser.until(lambda: "/jobs/ftjob-" in browser.driver.current_url)
    job = browser.driver.current_url.split("/jobs/")[1]
    browser.says("running", "h1")
    few = browser.until(lambda: browser.run(LAST_REWARDS))
    browser.until(lambda: browser.run(LAST_REWARDS) > few)  # without a reload
    served.client().fine_tuning.jobs.cancel(job)
    browser.until(lambda: status(browser) == "cancelled")


def test_a_job_is_paused_resumed_and_cancelled(browser: Browser, served: Served) -> None:
    browser.open(f"/jobs/{served.long_job()}")
    browser.press("Pause")
    browser.press("Pause the job", "dialog")
    browser.until(lambda: status(browser) == "paused")
    browser.press("Resume")
    browser.until(lambda: status(browser) in ("queued", "running"))
    browser.press("Cancel")
    browser.press("Go back", "dialog")
    assert status(browser) != "cancelled"
    browser.press("Cancel")
    browser.press("Cancel the job", "dialog")
    browser.until(lambda: status(browser) == "cancelled")


def test_what_is_wrong_with_a_number_is_told_at_its_field(browser: Browser, served: Served) -> None:
    served.client().files.create(file=("told.jsonl", rows(4)), purpose="fine-tune")
    browser.open("/jobs/new")
    options = browser.labelled("Training file").find_elements(By.TAG_NAME, "option")
    next(option for option in options if "told.jsonl" in option.text).click()
    browser.write(browser.labelled("batch_size"), "-3")
    browser.until(lambda: browser.labelled("batch_size").get_attribute("aria-invalid") == "true")


def test_options_that_are_objects_are_fields_too(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_bytes(rows(4))
    browser.open("/jobs/new")
    browser.labelled("Upload a training file").send_keys(str(tmp_path / "train.jsonl"))
    browser.says("steps over 4 prompts")
    browser.find("form details > summary").click()
    rounds = browser.labelled("dynamic_sampling.max_rounds")
    browser.until(lambda: rounds.get_attribute("placeholder") == "none")
    assert browser.labelled("max_staleness").get_attribute("placeholder") == "auto (0)"
    browser.write(rounds, "99")
    browser.until(lambda: rounds.get_attribute("aria-invalid") == "true")
    browser.write(rounds, "2")
    browser.until(lambda: rounds.get_attribute("placeholder") == "auto (2)")


def test_jobs_are_searched_and_filtered(browser: Browser, job: Any) -> None:
    browser.open("/jobs")
    browser.says(SUFFIX)
    browser.write(browser.labelled("Search"), "no job is called so")
    browser.says("No job fits")
    browser.write(browser.labelled("Search"), job.id)
    browser.until(lambda: len(browser.all("table.jobs tbody tr")) == 1)
    browser.choose("Status", "Failed")
    browser.says("No job fits")
    assert "status=failed" in browser.driver.current_url


def test_a_finished_job_shows_curves_checkpoints_and_settings(browser: Browser, job: Any) -> None:
    browser.open(f"/jobs/{job.id}")
    browser.says("best")
    for text in ("Reward by grader", "Completion length", "Entropy", "Grader latency", "Seconds per phase"):
        browser.says(text)
    assert "KL to the reference" not in browser.text("main"), "the job has no kl_coef"
    browser.says("batch_size", "dl.facts ~ dl.facts")
    browser.says("The job has successfully completed", ".events")
    fills = browser.run("return document.querySelector('.chart.large .plot').data.filter(line => line.fill).length")
    assert fills == 2, "the confidence bands of both rewards"


def test_curves_are_smoothed_zoomed_together_and_made_logarithmic(browser: Browser, job: Any) -> None:
    browser.resize(1400, 2000)  # charts are drawn while they are in view
    browser.open(f"/jobs/{job.id}")
    plot = "document.querySelector('.chart.large .plot')"
    lines = browser.until(lambda: browser.run(f"return {plot}.data?.length"))
    slider = browser.find(".chart-tools input")
    browser.run("arguments[0].value = 0.6; arguments[0].dispatchEvent(new Event('input'))", slider)
    browser.until(lambda: browser.run(f"return {plot}.data.length") > lines - 2)
    assert "smooth=0.6" in browser.driver.current_url
    browser.run(f"Plotly.relayout({plot}, {{'xaxis.range[0]': 1, 'xaxis.range[1]': 3}})")
    ranges = "return [...document.querySelectorAll('.js-plotly-plot')].map(each => each.layout.xaxis.range.join())"
    browser.until(lambda: len(browser.run(ranges)) > 1 and set(browser.run(ranges)) == {"1,3"})
    browser.press("Log", ".chart.large")
    browser.until(lambda: browser.run(f"return {plot}.layout.yaxis.type") == "log")


def test_a_chart_is_saved_as_table_and_picture(browser: Browser, job: Any) -> None:
    browser.open(f"/jobs/{job.id}")
    browser.find(".chart.large .main-svg")
    browser.press("CSV", ".chart.large")
    table = browser.until(lambda: next(browser.downloads.glob("*-reward.csv"), None))
    steps = list(csv.DictReader(table.read_text().splitlines()))
    assert list(steps[0]) == ["step", "train", "validation"]
    assert [row["step"] for row in steps] == [str(step) for step in range(len(steps))]
    browser.press("PNG", ".chart.large")
    picture = browser.until(lambda: next(browser.downloads.glob("*-reward.png"), None))
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_times_are_in_the_readers_zone(browser: Browser, job: Any) -> None:
    shown = []
    for zone in ("Asia/Tokyo", "America/New_York"):
        browser.driver.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": zone})
        browser.open(f"/jobs/{job.id}")
        shown.append((browser.text(".facts-line time"), browser.find(".facts-line time").get_attribute("datetime")))
    browser.driver.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": ""})
    assert shown[0][0] != shown[1][0]
    assert shown[0][1] == shown[1][1]


def test_hostile_names_and_metadata_show_as_text(browser: Browser, job: Any) -> None:
    browser.open(f"/jobs/{job.id}")
    assert SUFFIX in browser.text("h1")
    browser.says(XSS, "dl.facts")
    browser.says("<b onclick=alert(1)>train<b>.jsonl", "dl.facts")
    for path in ("/jobs", "/jobs/new", "/compare"):
        browser.open(path)
        browser.says(SUFFIX if path != "/jobs/new" else "New job")
        assert browser.run("return document.querySelectorAll('main img, main script, main b').length") == 0


def test_signing_out_shows_the_form_and_keeps_the_key_nowhere(browser: Browser) -> None:
    browser.open("/jobs")
    stored = browser.run("return JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert KEY not in stored
    assert "rft_session" not in stored
    browser.press("Sign out", ".side")
    browser.find("input[name=api-key]")
    browser.sign_in(KEY)
