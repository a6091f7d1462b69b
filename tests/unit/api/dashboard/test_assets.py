"""The pages' files: how large, and that their rules hold."""

from __future__ import annotations

import posixpath
import re

import pytest

from api.dashboard.assets import assets, plotly

MOST_BYTES = 150_000
SCRIPTS = sorted(name for name in assets().files if name.endswith(".js"))


def imported(name: str, seen: set[str]) -> set[str]:
    """A script with all that it imports at once; pages are imported when they are first shown."""
    if name not in seen:
        seen.add(name)
        source = assets().files[name].body.decode()
        for target in re.findall(r"""^import .* from "([^"]+)";$""", source, re.MULTILINE):
            imported(posixpath.normpath(posixpath.join(posixpath.dirname(name), target)), seen)
    return seen


@pytest.mark.parametrize("page", [name for name in SCRIPTS if re.fullmatch(r"pages/[^/]+\.js", name)])
def test_scripts_and_styles_of_a_page_are_small(page: str) -> None:
    styles = {name for name in assets().files if name.endswith(".css")}
    needed = imported("app.js", set()) | imported(page, set()) | {"lib/theme-first.js"} | styles
    assert sum(len(assets().files[name].body) for name in needed) < MOST_BYTES


def test_all_pages_together_are_sent_as_few_bytes() -> None:
    assert sum(len(asset.compressed or asset.body) for asset in assets().files.values()) < MOST_BYTES


def test_the_chart_library_comes_from_its_package() -> None:
    assert plotly().body[:200].count(b"plotly.js") == 1


def test_the_chart_library_has_no_style_to_add() -> None:
    assert b"no-style-of-maps" not in assets().index.body


@pytest.mark.parametrize("name", SCRIPTS)
def test_text_never_becomes_markup(name: str) -> None:
    source = assets().files[name].body.decode()
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|createContextualFragment"
    assert not re.search(forbidden, source)


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_import_is_a_file_of_ours(name: str) -> None:
    source = assets().files[name].body.decode()
    folder = name.rpartition("/")[0].split("/") if "/" in name else []
    for target in re.findall(r"""(?:from|import)\s*\(?\s*["']([^"']+)["']""", source):
        assert target.startswith("."), target
        parts = list(folder)
        for part in target.split("/"):
            if part == "..":
                parts.pop()
            elif part != ".":
                parts.append(part)
        assert "/".join(parts) in assets().files


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_secret_is_kept_where_scripts_can_read_it(name: str) -> None:
    source = assets().files[name].body.decode()
    assert re.findall(r"(?:local|session)Storage\.\w+\(\"([^\"]+)\"", source) in ([], ["theme"], ["theme", "theme"])
    assert "document.cookie" not in source
