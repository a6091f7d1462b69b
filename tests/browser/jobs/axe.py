"""axe-core from npm: what a page has that keeps people out."""

from __future__ import annotations

import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
PLACE = ROOT / "build" / "npm"
VERSION = "4"
GRAVE = ("serious", "critical")


@lru_cache(maxsize=1)
def script() -> str:
    """The source of axe-core, fetched once into build/."""
    source = PLACE / "node_modules" / "axe-core" / "axe.min.js"
    if not source.exists():
        PLACE.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", f"axe-core@{VERSION}"]
        subprocess.run(command, cwd=PLACE, check=True)
    return source.read_text()


def grave_violations(driver: Any) -> list[str]:
    """Serious and critical violations of WCAG 2.2 A and AA on the page, each with the first elements at fault."""
    # Through the debugger, which no content security policy holds up.
    driver.execute_cdp_cmd("Runtime.evaluate", {"expression": script()})
    found = driver.execute_async_script(
        "const done = arguments[0]; axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa',"
        " 'best-practice']}).then((result) => done(result.violations))"
    )
    return [
        f"{each['id']}: {each['help']}; {[node['html'][:160] for node in each['nodes'][:3]]}"
        for each in found
        if each["impact"] in GRAVE
    ]
