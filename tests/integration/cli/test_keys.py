"""`rft keys` and `rft projects`, on a service of their own and on one that runs."""

from __future__ import annotations

import pytest
from openai import AuthenticationError, OpenAI, PermissionDeniedError

from tests.integration.cli.conftest import Workplace


def rows(workplace: Workplace, *command: str) -> list[list[str]]:
    return [line.split("\t") for line in workplace.rft(*command).stdout.splitlines()]


def test_a_key_can_be_made_for_a_project_with_scopes_and_an_end(workplace: Workplace) -> None:
    project = workplace.rft("projects", "create", "Team A").stdout.strip()
    workplace.rft("keys", "create", "--project", project, "--name", "ci", "--expires", "90d", "--scope", "api.all.read")
    ((_, _, name, _, last_used, state, scopes),) = rows(workplace, "keys", "list", "--project", project)
    assert (name, last_used, scopes) == ("ci", "-", "api.all.read")
    assert state.startswith("until ")


def test_admin_keys_stand_apart(workplace: Workplace) -> None:
    assert workplace.rft("keys", "create", "--admin", "--name", "root").stdout.startswith("rft_admin_")
    ((key_id, *_),) = rows(workplace, "keys", "list", "--admin")
    assert rows(workplace, "keys", "list") == []
    workplace.rft("keys", "revoke", key_id, "--admin")
    assert rows(workplace, "keys", "list", "--admin") == []


def test_limits_can_be_set_and_taken_away(workplace: Workplace) -> None:
    project = workplace.rft("projects", "create", "Team A").stdout.strip()
    limits = dict(rows(workplace, "projects", "limits", project, "--max-running-jobs", "2"))
    assert limits["max_running_jobs"] == "2"
    limits = dict(rows(workplace, "projects", "limits", project, "--max-running-jobs", "default"))
    assert limits["max_running_jobs"] == "default"


def test_an_archived_project_is_listed_as_such(workplace: Workplace) -> None:
    project = workplace.rft("projects", "create", "Team A").stdout.strip()
    workplace.rft("projects", "archive", project)
    states = {row[0]: row[2] for row in rows(workplace, "projects", "list")}
    assert states[project].startswith("archived ")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("keys", "create", "--project", "proj_none"), 1),
        (("keys", "create", "--scope", "root"), 1),
        (("keys", "create", "--expires", "soon"), 2),
        (("keys", "rotate", "key_none"), 1),
        (("projects", "archive", "proj_default"), 1),
        (("projects", "limits", "proj_default", "--max-stored-bytes", "lots"), 2),
        (("projects", "limits", "proj_default", "--requests-per-minute", "0"), 1),
    ],
)
def test_what_makes_no_sense_is_told(workplace: Workplace, command: tuple[str, ...], code: int) -> None:
    assert workplace.rft(*command, check=code).stderr


def test_a_rotated_key_works_beside_the_new_one_until_it_is_revoked(served: Workplace) -> None:
    old = served.rft("keys", "create", "--name", "turning").stdout.strip()
    (key_id,) = [row[0] for row in rows(served, "keys", "list") if row[2] == "turning"]
    new = served.rft("keys", "rotate", key_id, "--overlap", "1h").stdout.strip()
    with (
        OpenAI(base_url=served.variables["OPENAI_BASE_URL"], api_key=old) as before,
        OpenAI(base_url=served.variables["OPENAI_BASE_URL"], api_key=new) as after,
    ):
        assert before.models.list().data == after.models.list().data
        served.rft("keys", "revoke", key_id)
        with pytest.raises(AuthenticationError):
            before.models.list()
        assert after.models.list().data


def test_archiving_shuts_a_running_service_s_project(served: Workplace) -> None:
    project = served.rft("projects", "create", "Short").stdout.strip()
    secret = served.rft("keys", "create", "--project", project).stdout.strip()
    with OpenAI(base_url=served.variables["OPENAI_BASE_URL"], api_key=secret) as client:
        assert client.models.list().data
        served.rft("projects", "archive", project)
        with pytest.raises(PermissionDeniedError):
            client.models.list()
