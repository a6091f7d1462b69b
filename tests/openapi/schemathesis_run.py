"""Schemathesis against a served instance: its own command, with the ids of a tenant for half of what paths name."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.openapi.filling import PATHS
from tests.openapi.world import Ids

CHECKED = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance"),
    *("response_schema_conformance", "negative_data_rejection", "unsupported_method", "allow_header_conformance"),
    *("ignored_auth", "use_after_free", "ensure_resource_availability", "missing_required_header"),
)
"""All checks but two. `positive_data_acceptance` takes a well-formed id that names nothing for data that must be accepted;
`object_level_authorization` is what `test_foreign.py` does for every field."""
REAL_IDS = 0.6
"""Share of the path parameters that name something which exists."""


@dataclass(frozen=True)
class Outcome:
    """What came of a run: its cases, the text that it printed, and whether all went well."""

    cases: int
    text: str
    is_good: bool


def run(
    directory: Path, base_url: str, key: str | None, ids: Ids, *, examples: int, seed: int, options: Sequence[str] = ()
) -> Outcome:
    """Every operation with `examples` cases beside those that follow from the document alone."""
    (directory / "schemathesis.toml").write_text(_configuration(ids))
    authorization = [] if key is None else ["--header", f"Authorization: Bearer {key}"]
    command = [
        *(str(Path(sys.executable).with_name("st")), "run", f"{base_url}/openapi.json", *authorization),
        *("--max-examples", str(examples), "--seed", str(seed), "--checks", ",".join(CHECKED), "--workers", "2"),
        *("--continue-on-failure", "--no-color", "--generation-database", "none", "--request-timeout", "60", *options),
    ]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=1500)
    text = done.stdout + done.stderr
    counted = re.search(r"^\s*(\d[\d,]*) generated", text, re.MULTILINE)
    return Outcome(0 if counted is None else int(counted[1].replace(",", "")), text, done.returncode == 0)


def _configuration(ids: Ids) -> str:
    kinds = {name: kind for name, kind in PATHS.items() if kind in ids}
    values = "".join(f'[dictionaries.{kind}]\nvalues = ["{ids[kind]}"]\n' for kind in sorted(set(kinds.values())))
    bindings = "".join(f'"path.{name}" = {{ dictionary = "{kind}", probability = {REAL_IDS} }}\n' for name, kind in kinds.items())
    return f"{values}[parameters]\n{bindings}"
