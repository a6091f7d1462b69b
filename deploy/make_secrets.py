"""The secrets of docker-compose.yml, made once: a file for each, in deploy/secrets, a directory that is open to you alone.

    python3 deploy/make_secrets.py

What is there already is left as it is.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

DIRECTORY = Path(__file__).resolve().parent / "secrets"
ADMIN_KEY = "admin.key"
"""The admin key alone, as Prometheus reads it: in its container as another user, hence the file's mode."""


def contents() -> dict[str, dict[str, str]]:
    """Fresh values: variables by the file that holds them."""
    password = secrets.token_urlsafe(24)
    return {
        # The server's and the clients' name for the same password.
        "postgres.env": {"POSTGRES_PASSWORD": password, "PGPASSWORD": password},
        "s3.env": {"AWS_ACCESS_KEY_ID": secrets.token_hex(10), "AWS_SECRET_ACCESS_KEY": secrets.token_urlsafe(30)},
        "sampler.env": {"RFT_SAMPLER_TOKEN": secrets.token_urlsafe(30)},
        "seal.env": {"RFT_SECRETS_KEY": secrets.token_urlsafe(48)},
        "api.env": {
            "RFT_API_KEY": f"rft_sk_{secrets.token_urlsafe(30)}",
            "RFT_ADMIN_KEY": f"rft_admin_{secrets.token_urlsafe(30)}",
        },
        "grafana.env": {"GF_SECURITY_ADMIN_PASSWORD": secrets.token_urlsafe(18)},
    }


def write(directory: Path) -> list[Path]:
    """Write the files that are missing; returns them."""
    directory.mkdir(mode=0o700, exist_ok=True)
    made = []
    for name, variables in contents().items():
        path = directory / name
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            continue
        with os.fdopen(descriptor, "w") as file:
            file.writelines(f"{variable}={value}\n" for variable, value in variables.items())
        made.append(path)
    key = directory / ADMIN_KEY
    if not key.exists():
        key.write_text(_variable(directory / "api.env", "RFT_ADMIN_KEY"))
        key.chmod(0o644)
        made.append(key)
    return made


def _variable(path: Path, name: str) -> str:
    lines = (line.partition("=") for line in path.read_text().splitlines())
    return next(value for variable, _, value in lines if variable == name)


def main() -> None:
    """Write, and say what was made."""
    for path in write(DIRECTORY):
        sys.stdout.write(f"made {path}\n")


if __name__ == "__main__":
    main()
