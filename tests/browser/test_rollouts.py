"""Rollouts as a reader goes through them."""

from __future__ import annotations

from typing import Any

import pytest
from selenium.webdriver.common.by import By

from tests.browser.browser import Browser
from tests.browser.conftest import XSS

pytestmark = pytest.mark.heavy


def rewards(browser: Browser) -> list[float]:
    return [float(text) for text in browser.texts(".samples .sample .reward")]


def test_a_group_stands_side_by_side_with_its_grades(browser: Browser, job: Any) -> None:
    browser.open(f"/jobs/{job.id}/rollouts?step=1")
    assert len(browser.all(".samples .sample")) == 4
    assert browser.texts(".samples .sample:first-child tbody th") == ["has_a", "short"]
    assert rewards(browser) == sorted(rewards(browser), reverse=True)
    browser.choose("Samples", "Worst first")
    browser.until(lambda: rewards(browser) == sorted(rewards(browser)))


def test_a_link_leads_to_step_and_prompt(browser: Browser, job: Any) -> None:
    browser.open(f"/jobs/{job.id}/rollouts?step=2")
    second = browser.all(".group-row")[1]
    second.click()
    browser.until(lambda: "prompt=" in browser.driver.current_url)
    browser.settled()
    address, heading = browser.driver.current_url, browser.text(".group-detail h2")
    browser.open("/files")
    browser.driver.get(address)
    browser.says(heading)


def test_keys_lead_through_prompts_and_steps(browser: Browser, job: Any) -> None:
    browser.open(f"/jobs/{job.id}/rollouts?step=1")
    first = browser.text(".group-detail h2")
    browser.find("body").send_keys("j")
    browser.until(lambda: browser.text(".group-detail h2") != first)
    browser.find("body").send_keys("]")
    browser.until(lambda: "step=2" in browser.driver.current_url)


def test_tokens_are_coloured_by_their_probability(browser: Browser, job: Any) -> None:
    browser.open(f"/jobs/{job.id}/rollouts?step=1")
    plain = browser.text(".samples .sample .completion")
    browser.labelled("Colour tokens by probability").click()
    browser.find(".samples .token")
    browser.settled()
    assert browser.text(".samples .sample .completion") == plain
    assert "log-probability" in browser.find(".samples .token").get_attribute("title")


def test_samples_are_found_by_error(browser: Browser, job: Any) -> None:
    browser.open(f"/jobs/{job.id}/rollouts?step=1&view=all")
    browser.says("of 16 samples")
    browser.choose("Grading", "Not graded")
    browser.until(lambda: all("python grader runtime" in row.text for row in browser.all(".sample-row")))
    browser.write(browser.labelled("Text"), "no completion holds this")
    browser.says("No sample of this step matches")


def test_one_prompt_is_followed_over_the_steps(browser: Browser, job: Any) -> None:
    browser.open(f"/jobs/{job.id}/rollouts?view=history&prompt=3")
    browser.until(lambda: len(browser.all(".step-section")) == 2)
    browser.find(".chart .main-svg")


def test_answers_of_two_checkpoints_are_compared(browser: Browser, job: Any) -> None:
    browser.open(f"/jobs/{job.id}/rollouts?view=compare")
    browser.choose("Left", "Base model (step 0)")
    browser.choose("Right", "Step 6 (checkpoint)")
    # Read in one go: the page may draw its pairs anew between two looks at them.
    headings = "return [...document.querySelectorAll('.pair h3')].map(heading => heading.textContent)"
    browser.until(lambda: browser.driver.execute_script(headings) == ["Base model", "Step 6"] * 6)
    assert "b=6" in browser.driver.current_url


def test_hostile_texts_are_shown_as_text(browser: Browser, job: Any) -> None:
    browser.open(f"/jobs/{job.id}/rollouts?step=1")
    browser.says(XSS)
    browser.open(f"/jobs/{job.id}/rollouts?view=compare")
    browser.says(XSS)
    assert browser.driver.find_elements(By.CSS_SELECTOR, "main img") == []
