"""Every page of the dashboard as an address and a window, and how pictures of them are taken."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.browser.browser import THEMES, Browser

PAGES = {
    "jobs": "/jobs",
    "new-job": "/jobs/new",
    "job": "/jobs/{job}",
    "rollouts": "/jobs/{job}/rollouts?step={step}",
    "rollouts-tokens": "/jobs/{job}/rollouts?step=1&colour=1",
    "rollouts-all": "/jobs/{job}/rollouts?step={step}&view=all",
    "rollouts-history": "/jobs/{job}/rollouts?view=history&split=valid&prompt=3",
    "rollouts-compare": "/jobs/{job}/rollouts?view=compare",
    "graders": "/graders?job={job}",
    "chat": "/chat?model={model}",
    "compare": "/compare",
    "files": "/files?file={file}",
}


@dataclass(frozen=True)
class Window:
    """A size of the page in CSS pixels."""

    width: int
    height: int
    mobile: bool = False


DESK = Window(1280, 900)
PHONE = Window(390, 844, mobile=True)
ZOOMED = Window(320, 800)
"""A desk of 1280 pixels at 400 % zoom."""


def address(name: str, job: Any) -> str:
    """Where a page stands, for an ended job as the `openai` client has it."""
    values = {"job": job.id, "model": quote(job.fine_tuned_model), "file": job.training_file, "step": 2}
    return PAGES[name].format(**values)


def show(browser: Browser, name: str, job: Any, window: Window) -> None:
    """Open a page in a window of this size."""
    browser.resize(window.width, window.height, mobile=window.mobile)
    browser.open(address(name, job))


def take(browser: Browser, directory: Path, name: str, window: Window, *, most_height: int) -> None:
    """Pictures of the page that is shown in both themes, as high as it is and at most `most_height`."""
    height = browser.run("return document.documentElement.scrollHeight")
    browser.resize(window.width, max(window.height, min(most_height, height)), mobile=window.mobile)
    browser.run("window.scrollTo(0, 0)")
    for theme in THEMES:
        browser.theme(theme)
        browser.picture(directory / f"{name}-{theme}.png")
