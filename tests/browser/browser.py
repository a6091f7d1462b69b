"""Debian's Chromium, headless, on a really served instance: what tests of pages do with it."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.chrome.service import Service as ChromeDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.conftest import ROOT

Json = dict[str, Any]

PATIENCE_SECONDS = 90.0
"""After which something awaited is given up."""
_SETTLED = """
const inView = (element) => element.getBoundingClientRect().top < innerHeight && element.getBoundingClientRect().bottom > 0;
return !document.querySelector('.loading') && ![...document.querySelectorAll('.plot:empty')].some(inView);
"""
_TWENTY_FRAMES = """
let left = 20;
const done = arguments[0];
const next = () => (left-- ? requestAnimationFrame(next) : done());
next();
"""
_NPM = ROOT / "build" / "browser" / "npm"
_AXE = "axe-core@4"
_HARMLESS = ("Failed to load resource: the server responded with a status of 4",)
"""Replies that a page handles."""
GRAVE = ("serious", "critical")
THEMES = ("dark", "light")


@contextmanager
def chromium(downloads: Path) -> Iterator[webdriver.Chrome]:
    """A browser with a fresh profile, which saves downloads to this directory."""
    options = webdriver.ChromeOptions()
    options.binary_location = _installed("chromium")
    # The sandbox of Chromium needs privileges that a container's root has not; the pages under test are our own.
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--hide-scrollbars",
        "--lang=en-GB",
    ):
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=ChromeDriver(_installed("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


def _installed(program: str) -> str:
    found = shutil.which(program)
    assert found, f"{program} is missing; on Debian: apt-get install chromium chromium-driver npm"
    return found


def axe_script() -> str:
    """axe-core's script, from npm."""
    script = _NPM / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        _NPM.mkdir(parents=True, exist_ok=True)
        command = [_installed("npm"), "install", "--no-audit", "--no-fund", "--prefix", str(_NPM), _AXE]
        subprocess.run(command, cwd=_NPM, check=True, capture_output=True)
    return script.read_text()


class Browser:
    """One signed-in browser and the service that it looks at."""

    def __init__(self, driver: webdriver.Chrome, base_url: str, key: str, downloads: Path) -> None:
        self.driver, self.base_url, self.downloads = driver, base_url, downloads
        self.resize(1400, 950)
        self.driver.get(f"{base_url}/dashboard")
        self.sign_in(key)

    def sign_in(self, key: str) -> None:
        """Fill in the form that is shown."""
        self.find("input[name=api-key]").send_keys(key)
        self.find("button[type=submit]").click()
        self.find(".shell")
        self.driver.get_log("browser")  # before the sign-in the page asks who is there, and hears 401

    def open(self, path: str) -> None:
        """Load a page of the dashboard, and wait until nothing is loading."""
        self.driver.get(f"{self.base_url}/dashboard{path}")
        self.find("main h1")
        self.settled()

    def settled(self) -> None:
        """Until nothing on the page says that it is loading, and charts in view are drawn."""
        self.until(lambda: self.run(_SETTLED))

    def find(self, selector: str) -> WebElement:
        """The first element that matches, as soon as there is one."""
        return self.until(lambda: next(iter(self.driver.find_elements(By.CSS_SELECTOR, selector)), None))

    def all(self, selector: str) -> list[WebElement]:
        """What matches now."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def labelled(self, label: str) -> WebElement:
        """The control with this label."""
        labels = f"//label[normalize-space()={json.dumps(label)}]"
        element = self.until(lambda: next(iter(self.driver.find_elements(By.XPATH, labels)), None))
        return self.driver.find_element(By.ID, element.get_attribute("for"))

    def button(self, text: str, within: str = "body") -> WebElement:
        """The button or link with this text."""

        def found() -> WebElement | None:
            for element in self.driver.find_elements(By.CSS_SELECTOR, f"{within} button, {within} a"):
                if element.is_displayed() and element.text.strip() == text:
                    return element
            return None

        return self.until(found)

    def press(self, text: str, within: str = "body") -> None:
        """Click the button or link with this text; one that is drawn anew before it is clicked is looked for again."""

        def clicked() -> bool:
            self.button(text, within).click()
            return True

        self.until(clicked)

    def choose(self, label: str, option: str) -> None:
        """Choose an option, by its text, of the select with this label."""
        control = self.labelled(label)
        self.until(lambda: next((o for o in control.find_elements(By.TAG_NAME, "option") if o.text == option), None)).click()

    def write(self, control: WebElement, text: str) -> None:
        """Put a text in the place of a control's own."""
        script = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input', {bubbles: true}));"
        self.driver.execute_script(script, control, text)

    def says(self, text: str, within: str = "main") -> None:
        """Wait until the page shows this text."""
        self.until(lambda: text in self.text(within))

    def text(self, within: str = "main") -> str:
        """The visible text of the first element that matches; one that is drawn anew while it is read is read again."""
        text: str = self._undisturbed(lambda: self.driver.find_element(By.CSS_SELECTOR, within).text)
        return text

    def texts(self, selector: str) -> list[str]:
        """The visible texts of all that match now."""
        texts: list[str] = self._undisturbed(lambda: [element.text for element in self.all(selector)])
        return texts

    def _undisturbed(self, read: Callable[[], Any]) -> Any:
        """What `read` returns once no element went while it read."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return read()
            except StaleElementReferenceException:
                if time.monotonic() > give_up:
                    raise

    def until(self, what: Callable[[], Any]) -> Any:
        """The first true value of `what`."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                if value := what():
                    return value
            except (NoSuchElementException, StaleElementReferenceException):
                pass  # not there yet, or drawn anew in between
            assert time.monotonic() < give_up, f"waited in vain on {self.driver.current_url}:\n{self.text('body')[:3000]}"
            time.sleep(0.05)

    def run(self, script: str, *values: Any) -> Any:
        """What a script returns."""
        return self.driver.execute_script(script, *values)

    def resize(self, width: int, height: int, *, mobile: bool = False) -> None:
        """The size of the page's window."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def theme(self, name: str) -> None:
        """`light` or `dark`, from now on."""
        script = "localStorage.setItem('theme', arguments[0]); document.documentElement.dataset.theme = arguments[0];"
        self.driver.execute_script(script + "document.dispatchEvent(new Event('themechange'))", name)

    def picture(self, path: Path) -> None:
        """Keep a picture of the window as it is, once the charts in it are drawn."""
        path.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(2):  # a chart is drawn one frame after it came into view, the next one a frame later
            self.driver.execute_async_script(_TWENTY_FRAMES)
            self.settled()
        self.driver.save_screenshot(str(path))

    def violations(self) -> list[str]:
        """What axe-core finds serious or critical, in both themes."""
        found = []
        # Through the debugger, which no content security policy holds up.
        self.driver.execute_cdp_cmd("Runtime.evaluate", {"expression": axe_script()})
        ask = "const done = arguments[arguments.length - 1]; axe.run().then(done, (error) => done({error: String(error)}));"
        for theme in THEMES:
            self.theme(theme)
            result: Json = self.driver.execute_async_script(ask)
            assert "error" not in result, result
            for violation in result["violations"]:
                if violation["impact"] in GRAVE:
                    nodes = [node["html"][:200] for node in violation["nodes"][:3]]
                    found.append(f"{theme}: {violation['id']}: {violation['help']} {nodes}")
        return found

    def complaints(self) -> list[str]:
        """What scripts have complained of since this was asked last, a refused inline style or script included."""
        entries = self.driver.get_log("browser")
        return [entry["message"] for entry in entries if not any(known in entry["message"] for known in _HARMLESS)]

    def overflows(self) -> bool:
        """Whether the page is wider than its window."""
        script = "return document.documentElement.scrollWidth > document.documentElement.clientWidth + 1"
        return bool(self.driver.execute_script(script))
