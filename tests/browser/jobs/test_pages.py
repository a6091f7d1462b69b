"""Every page looked at: pictures in both themes and on a phone, nobody kept out, nothing the console complains of."""

from __future__ import annotations

import pytest

from tests.browser.jobs.axe import grave_violations
from tests.browser.jobs.conftest import Browser

pytestmark = pytest.mark.heavy

PAGES = {
    "jobs": ("/jobs", "table.jobs"),
    "new-job": ("/jobs/new", ".verdict .badge"),
    "job": ("/jobs/{job}", ".chart.large .main-svg"),
    "rollouts": ("/jobs/{job}/rollouts?step=1", "h1"),
    "graders": ("/graders", "h1"),
    "chat": ("/chat", "h1"),
    "compare": ("/compare?jobs={job}", "h1"),
    "files": ("/files", "h1"),
}
SIZES = {"desk": (1400, 1000, False), "phone": (390, 844, True), "zoomed": (320, 800, False)}
"""320 pixels is a desk of 1280 at 400 % zoom."""


def show(browser: Browser, name: str, job: str) -> None:
    path, sign = PAGES[name]
    browser.open(path.format(job=job))
    browser.see(sign)
    browser.until(lambda driver: not browser.run("return document.querySelector('.spinner')"))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_keeps_nobody_out(browser: Browser, finished: str, name: str, theme: str) -> None:
    browser.theme(theme)
    show(browser, name, finished)
    height = browser.run("return Math.min(6000, document.documentElement.scrollHeight)")
    browser.size(1400, max(1000, height))
    browser.until(lambda driver: browser.run("return document.querySelectorAll('.plot:empty').length === 0"))
    browser.picture(f"{name}-{theme}")
    assert grave_violations(browser.driver) == []
    assert browser.troubles() == []


@pytest.mark.parametrize("size", ["phone", "zoomed"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_a_narrow_screen(browser: Browser, finished: str, name: str, size: str) -> None:
    width, height, mobile = SIZES[size]
    browser.size(width, height, mobile=mobile)
    show(browser, name, finished)
    overflow = browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
    browser.size(width, max(height, browser.run("return Math.min(8000, document.documentElement.scrollHeight)")), mobile=mobile)
    browser.picture(f"{name}-{size}")
    assert overflow <= 0
