"""Every page looked at: accessible, within a phone's width and readable at 400 % zoom, and pictured in both themes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.browser import Browser
from tests.browser.conftest import KEY
from tests.browser.pages import DESK, PAGES, PHONE, ZOOMED, Window, show, take
from tests.conftest import ROOT

pytestmark = pytest.mark.heavy

PICTURES = ROOT / "build" / "browser" / "pictures"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_keeps_nobody_out(browser: Browser, job: Any, name: str) -> None:
    show(browser, name, job, DESK)
    take(browser, PICTURES, name, DESK, most_height=6000)
    assert browser.violations() == []


@pytest.mark.parametrize("window", [pytest.param(PHONE, id="phone"), pytest.param(ZOOMED, id="zoomed")])
@pytest.mark.parametrize("name", PAGES)
def test_a_narrow_window_needs_no_scrolling_sideways(browser: Browser, job: Any, name: str, window: Window) -> None:
    show(browser, name, job, window)
    overflows = browser.overflows()
    take(browser, PICTURES, f"{name}-{window.width}", window, most_height=6000)
    assert not overflows


@pytest.mark.parametrize("name", PAGES)
def test_no_text_of_a_page_stands_letter_by_letter(browser: Browser, job: Any, name: str) -> None:
    """Of words that have no room a browser makes columns of letters: no cell is so narrow."""
    show(browser, name, job, ZOOMED)
    narrow = "element.offsetWidth && element.offsetWidth < 24 && element.innerText.length > 3"
    script = f"return [...document.querySelectorAll('td, button, .button')].filter(element => {narrow}).map(e => e.innerText)"
    assert browser.run(script) == []


def test_the_sign_in_form_keeps_nobody_out(browser: Browser) -> None:
    browser.open("/jobs")
    browser.press("Sign out", ".side")
    browser.find("input[name=api-key]")
    try:
        assert browser.violations() == []
    finally:
        browser.sign_in(KEY)
