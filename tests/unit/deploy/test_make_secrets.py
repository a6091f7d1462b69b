"""Secrets are made once, differ every time, and are nobody else's to read."""

from __future__ import annotations

import stat
from pathlib import Path

from tests.unit.deploy.conftest import script


def test_files_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    made = script("make_secrets").write(tmp_path / "secrets")
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in made if path.name != "admin.key"} == {0o600}


def test_what_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    module = script("make_secrets")
    (kept, *_) = module.write(tmp_path)
    before = kept.read_text()
    assert module.write(tmp_path) == []
    assert kept.read_text() == before


def test_prometheus_gets_the_admin_key(tmp_path: Path) -> None:
    script("make_secrets").write(tmp_path)
    key = (tmp_path / "admin.key").read_text()
    assert f"RFT_ADMIN_KEY={key}\n" in (tmp_path / "api.env").read_text()


def test_values_differ_from_one_to_the_next() -> None:
    first, second = (script("make_secrets").contents() for _ in range(2))
    assert all(first[name][variable] != second[name][variable] for name in first for variable in first[name])


def test_server_and_clients_have_the_same_password() -> None:
    password = script("make_secrets").contents()["postgres.env"]
    assert password["POSTGRES_PASSWORD"] == password["PGPASSWORD"]
