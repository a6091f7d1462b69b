"""What the model itself may write: kept completions and details of grades that would be markup, on every page that shows them."""

from __future__ import annotations

import pytest

from tests.browser.browser import Browser
from tests.browser.conftest import XSS, Served

pytestmark = pytest.mark.heavy


@pytest.mark.parametrize("view", ["", "&colour=1", "&view=all", "&view=history&prompt=0"])
def test_what_the_model_wrote_shows_as_text(browser: Browser, served: Served, view: str) -> None:
    browser.open(f"/jobs/{served.hostile_job}/rollouts?step=2{view}")
    browser.says(XSS)
    assert browser.run("return document.querySelectorAll('main img, main script').length") == 0


def test_a_hostile_completion_is_taken_into_the_playground_as_text(browser: Browser, served: Served) -> None:
    browser.open(f"/graders?job={served.hostile_job}&rollout=train-2-0-0-0")
    browser.until(lambda: browser.labelled("What the model wrote").get_attribute("value") == XSS)
    assert browser.run("return document.querySelectorAll('main img, main script').length") == 0
