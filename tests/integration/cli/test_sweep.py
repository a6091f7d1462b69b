"""`rft sweep`: what the service clears away by itself, shown and done."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.db import Database
from core.files import FileStore
from core.settings import DEFAULT_PROJECT, Settings
from core.storage.build import open_store
from tests.integration.cli.conftest import Workplace


@pytest.fixture
def files(workplace: Workplace, tmp_path: Path) -> FileStore:
    """Files of a service of its own: one that is used, and bytes whose row never came."""
    workplace.variables["RFT_DATA_DIR"] = str(tmp_path / "data")
    workplace.rft("migrate")
    settings = Settings(data_dir=tmp_path / "data")
    files = FileStore(Database(settings.database_url), open_store(settings.object_store_url), DEFAULT_PROJECT, 1000)
    files.create("a", "evals", [b"x"])
    files.receive([b"abandoned"])
    return files


def swept(workplace: Workplace, *options: str) -> dict[str, str]:
    """How many of what."""
    lines = (line.split("\t") for line in workplace.rft("sweep", *options).stdout.splitlines())
    return {what: count for what, count, _ in lines if count != "0"}


@pytest.mark.usefixtures("files")
def test_what_is_young_stays(workplace: Workplace) -> None:
    assert swept(workplace) == {}


def test_a_dry_run_shows_what_goes_and_leaves_it(workplace: Workplace, files: FileStore) -> None:
    shown = swept(workplace, "--dry-run", "--grace", "0s")
    assert shown == swept(workplace, "--grace", "0s") == {"orphan objects": "1"}
    assert swept(workplace, "--grace", "0s") == {}
    assert len(files.list().data) == 1
