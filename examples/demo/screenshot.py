"""The job's page of the dashboard as a picture, where there is a Chromium to take it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

WINDOW = (1280, 1900)
PATIENCE_SECONDS = 60


def keep_screenshot(page: str, key: str, path: Path) -> str | None:
    """Sign in to the page's service and keep a picture of the page. What hinders that comes back in words."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        return "there is no Chromium with its driver here (Debian: apt-get install chromium chromium-driver)"
    try:
        from selenium import webdriver
        from selenium.common.exceptions import WebDriverException
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        return "the package selenium is missing"
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size={},{}".format(*WINDOW)):
        options.add_argument(argument)
    try:
        chrome = webdriver.Chrome(options=options, service=Service(driver))
        try:
            _take(chrome, page, key, path)
        finally:
            chrome.quit()
    except WebDriverException as error:
        return f"the browser failed: {(error.msg or str(error)).splitlines()[0]}"
    return None


def _take(chrome: Any, page: str, key: str, path: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    wait = WebDriverWait(chrome, PATIENCE_SECONDS)
    chrome.get(page)
    wait.until(lambda _: chrome.find_elements(By.NAME, "api-key"))
    chrome.find_element(By.NAME, "api-key").send_keys(key + "\n")
    wait.until(lambda _: chrome.find_elements(By.CSS_SELECTOR, ".chart.large .main-svg"))
    in_view = "each => each.getBoundingClientRect().top < innerHeight"
    undrawn = f"return [...document.querySelectorAll('.plot:empty')].filter({in_view}).length"
    wait.until(lambda _: chrome.execute_script(undrawn) == 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    chrome.save_screenshot(str(path))
