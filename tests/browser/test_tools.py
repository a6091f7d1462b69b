"""Grader playground, chat, compare and files as a reader uses them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.browser.browser import Browser
from tests.browser.conftest import GRADER, XSS, Served

pytestmark = pytest.mark.heavy

ALWAYS_ONE = {"type": "python", "name": "one", "source": "def grade(sample, item):\n    return 1.0\n"}


def grade(browser: Browser, text: str) -> None:
    """Try the suite's grader on a text."""
    browser.open("/graders")
    browser.write(browser.labelled("Configuration"), json.dumps(GRADER))
    browser.write(browser.labelled("What the model wrote"), text)
    browser.write(browser.labelled("Row of the data file, as JSON"), '{"wanted": "a"}')
    browser.press("Grade")


def test_a_grader_is_checked_while_it_is_written(browser: Browser) -> None:
    browser.open("/graders")
    browser.says("valid: string_check")
    browser.write(browser.labelled("Configuration"), '{"type": "string_check"}')
    browser.says("not valid yet")
    browser.says("Missing required parameter")


def test_a_grader_is_tried_on_a_text(browser: Browser) -> None:
    grade(browser, "a word")
    browser.says("0.970", ".grade")
    assert "has_a" in browser.text(".grade")


def test_an_error_of_a_grader_is_told(browser: Browser) -> None:
    grade(browser, "12345")
    browser.says("not graded", ".grade")
    browser.says("ValueError", ".grade")


def test_a_program_is_edited_as_lines(browser: Browser) -> None:
    browser.open("/graders")
    browser.write(browser.labelled("Configuration"), json.dumps(ALWAYS_ONE))
    source = browser.until(lambda: next((e for e in browser.all("textarea[name=source]") if e.is_displayed()), None))
    browser.until(lambda: source.get_attribute("value") == ALWAYS_ONE["source"])
    browser.write(source, "def grade(sample, item):\n    return 0.25\n")
    browser.until(lambda: "0.25" in browser.labelled("Configuration").get_attribute("value"))


def test_a_step_is_graded_again_and_compared(browser: Browser, job: Any) -> None:
    browser.open(f"/graders?job={job.id}")
    browser.says("valid: multi")
    browser.write(browser.labelled("Configuration"), json.dumps(ALWAYS_ONE))
    browser.says("valid: python")
    browser.choose("Samples", "Step 1, training (16 samples)")
    browser.press("Grade again")
    browser.says("Nothing to learn")
    browser.says("Changed most")


def test_a_kept_sample_is_taken_into_the_playground(browser: Browser, served: Served, job: Any) -> None:
    page: Any = served.client().get(f"/fine_tuning/jobs/{job.id}/rollouts?step=1&limit=100", cast_to=object)
    browser.open(f"/jobs/{job.id}/rollouts?step=1")
    completion = browser.text(".samples .sample .completion")
    browser.press("Try graders on it", ".samples")
    browser.says("A kept sample")
    written = browser.labelled("What the model wrote").get_attribute("value")
    assert written in {_as_in_a_field(rollout["completion"]) for rollout in page["data"]}
    # The tiny model writes blanks and control characters too, which a page shows otherwise than a field holds them.
    assert _letters(written) == _letters(completion)
    assert XSS in json.loads(browser.labelled("Row of the data file, as JSON").get_attribute("value"))["note"]


def test_two_models_answer_the_same_prompt(browser: Browser, job: Any) -> None:
    browser.open(f"/chat?model={quote(job.fine_tuned_model)}&max_tokens=8")
    models = [browser.labelled(f"{side} model").get_attribute("value") for side in ("Left", "Right")]
    assert models == ["tiny", job.fine_tuned_model]
    browser.write(browser.labelled("Prompt"), XSS)
    browser.press("Send")
    browser.until(lambda: browser.text(".chat-columns").count("8 tokens") == 2)
    assert browser.text(".chat-columns").count(XSS) == 2


def test_curves_of_jobs_are_compared(browser: Browser, job: Any) -> None:
    browser.open(f"/compare?jobs={job.id}")
    browser.find(".chart .main-svg")
    browser.choose("Figure", "Training reward")
    browser.says("Training reward", ".chart h2")
    assert "metric=train_mean_reward" in browser.driver.current_url
    for figure in ("Entropy", "Gradient norm"):
        browser.choose("Figure", figure)
        browser.says(figure, ".chart h2")
        browser.until(lambda: browser.all(".chart .legend strong"))


def test_a_file_is_uploaded_checked_and_deleted(browser: Browser, tmp_path: Path) -> None:
    name = "my <i>rows.jsonl"
    path = tmp_path / name
    path.write_text('{"messages": [{"role": "user", "content": "good"}]}\n{"messages": 1}\nnothing\n')
    browser.open("/files")
    browser.find("input[type=file]").send_keys(str(path))
    browser.says("2 problems: a job with this file would fail")
    assert {"Line 2", "Line 3"} <= set(browser.texts(".problems button"))
    browser.says("good")
    browser.until(lambda: next(e for e in browser.all("button") if e.get_attribute("aria-label") == f"Delete {name}")).click()
    browser.press("Delete", "dialog")
    browser.until(lambda: name not in browser.text())


def test_files_are_shown_with_their_names_as_text(browser: Browser, job: Any, served: Served) -> None:
    browser.open(f"/files?file={job.training_file}")
    browser.says("<b onclick=alert(1)>train<b>.jsonl")
    browser.says("This file can be used")
    browser.says(XSS)


def _letters(text: str) -> str:
    return "".join(character for character in text if character.isalnum())


def _as_in_a_field(text: str) -> str:
    """A text area has one kind of line end."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
