"""Every page of rollouts and tools: accessible, within a phone's width, and pictured in both themes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.tools.browser import Browser

pytestmark = pytest.mark.heavy

PAGES = {
    "rollouts": "/jobs/{job}/rollouts?step=2",
    "rollouts-tokens": "/jobs/{job}/rollouts?step=2&colour=1",
    "rollouts-all": "/jobs/{job}/rollouts?step=2&view=all",
    "rollouts-history": "/jobs/{job}/rollouts?view=history&prompt=3",
    "rollouts-compare": "/jobs/{job}/rollouts?view=compare",
    "graders": "/graders?job={job}",
    "chat": "/chat",
    "compare": "/compare",
    "files": "/files?file={file}",
}


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious(browser: Browser, job: Any, name: str) -> None:
    browser.open(PAGES[name].format(job=job.id, file=job.training_file))
    browser.picture(name)
    assert browser.violations() == []


@pytest.mark.parametrize("name", PAGES)
def test_a_phone_shows_it_without_scrolling_sideways(browser: Browser, job: Any, name: str) -> None:
    browser.resize(375, 812)
    browser.open(PAGES[name].format(job=job.id, file=job.training_file))
    browser.picture(f"{name}-phone")
    assert not browser.overflows()
