"""Chromium on a served dashboard, and what it measures of a page: paints, long tasks, requests."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service as ChromeDriver
from selenium.webdriver.common.by import By

PATIENCE_SECONDS = 180.0
QUIET_SECONDS = 2.0
"""A page that has had no long task for so long is done with loading."""
CHART = ".chart.large .main-svg"
_WATCH = """
window.seen = {drawn: null, tasks: []};
new PerformanceObserver((list) => {
  for (const task of list.getEntries()) window.seen.tasks.push([task.startTime, task.duration]);
}).observe({type: 'longtask', buffered: true});
const observer = new MutationObserver(() => {
  if (document.querySelector(arguments_chart)) {
    window.seen.drawn = performance.now();
    observer.disconnect();
  }
});
observer.observe(document, {childList: true, subtree: true});
""".replace("arguments_chart", repr(CHART))


class Page:
    """A signed-in browser."""

    def __init__(self, driver: webdriver.Chrome, address: str) -> None:
        self.driver, self.address = driver, address

    def open(self, path: str) -> None:
        """Load a page of the dashboard."""
        self.driver.get(f"{self.address}/dashboard{path}")

    def open_beside(self, path: str) -> None:
        """Load a page in a window of its own, which stays visible."""
        self.driver.switch_to.new_window("window")
        self._watch()
        self.open(path)

    def run(self, script: str, *values: Any) -> Any:
        """What a script returns."""
        return self.driver.execute_script(script, *values)

    def until(self, what: Callable[[], Any]) -> None:
        """Wait until it is true. Raises `TimeoutError`."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        while not what():
            if time.monotonic() > give_up:
                raise TimeoutError(self.driver.find_element(By.TAG_NAME, "body").text[:2000])
            time.sleep(0.1)

    def quiet(self) -> None:
        """Wait until no long task has begun for `QUIET_SECONDS`."""
        script = "return performance.now() - Math.max(0, ...window.seen.tasks.map(([at, length]) => at + length))"
        self.until(lambda: self.run(script) > 1000 * QUIET_SECONDS)

    def loaded(self, path: str) -> tuple[float, float]:
        """Seconds to the first contentful paint and until a job's page can be used, with an empty cache.

        It can be used when its reward chart is drawn and the last long task of loading is over.
        """
        self.driver.execute_cdp_cmd("Network.clearBrowserCache", {})
        self.open(path)
        self.until(lambda: self.run("return window.seen.drawn"))
        self.quiet()
        paint = self.run("return performance.getEntriesByName('first-contentful-paint')[0].startTime")
        usable = self.run("return Math.max(window.seen.drawn, ...window.seen.tasks.map(([at, length]) => at + length))")
        return paint / 1000, usable / 1000

    def longest_task(self, script: str, times: int, pause: float = 0.25) -> float:
        """Milliseconds of the longest task while a script runs some times; `arguments[0]` of it counts. 0 where none is long."""
        begin = self.run("return performance.now()")
        for turn in range(times):
            self.run(script, turn)
            time.sleep(pause)
        self.quiet()
        tasks = self.run("return window.seen.tasks")
        return max((length for at, length in tasks if at >= begin), default=0.0)

    def requests_a_minute(self, seconds: float) -> list[int]:
        """How many requests each open window makes in that time, by the minute. All of them are visible."""
        windows = self.driver.window_handles
        for window in windows:
            self.driver.switch_to.window(window)
            assert not self.run("return document.hidden")
            self.run("performance.clearResourceTimings()")
        time.sleep(seconds)
        counts = []
        for window in windows:
            self.driver.switch_to.window(window)
            counts.append(round(self.run("return performance.getEntriesByType('resource').length") * 60 / seconds))
        return counts

    def _watch(self) -> None:
        self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _WATCH})

    def sign_in(self, key: str) -> None:
        """Once a browser."""
        self._watch()
        self.open("/jobs")
        self.until(lambda: self.driver.find_elements(By.NAME, "api-key"))
        self.driver.find_element(By.NAME, "api-key").send_keys(key + "\n")
        self.until(lambda: self.driver.find_elements(By.CSS_SELECTOR, "nav"))


@contextmanager
def chromium(address: str, key: str) -> Iterator[Page]:
    """A browser with a fresh profile, signed in. Ends the program where Chromium is missing."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        raise SystemExit("this benchmark needs Chromium and its driver: run tests/browser/setup")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=1400,1000"):
        options.add_argument(argument)
    chrome = webdriver.Chrome(options=options, service=ChromeDriver(driver))
    try:
        page = Page(chrome, address)
        page.sign_in(key)
        yield page
    finally:
        chrome.quit()


def median(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The median of either side."""
    return statistics.median(first for first, _ in pairs), statistics.median(second for _, second in pairs)
