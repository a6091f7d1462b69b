from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster import Cluster, RedisServer, new_database


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def idle_cluster(tmp_path_factory: pytest.TempPathFactory, postgres_url: str, redis_server: RedisServer) -> Iterator[Cluster]:
    """Database, Redis and a shared directory, and none of our processes yet."""
    from tests.models import tiny_model  # imports torch, for which not every test here has to wait

    directory = tmp_path_factory.mktemp("cluster")
    with new_database(postgres_url) as database_url:
        model = tiny_model(directory / "tiny")
        # Leases that outlive the pauses of a machine that does much else: nothing here is about their end.
        cluster = Cluster(directory, model, database_url=database_url, redis_url=redis_server.url, lease_seconds=10.0)
        try:
            yield cluster
        finally:
            cluster.stop()
            cluster.close()


@pytest.fixture(scope="module")
def cluster(idle_cluster: Cluster) -> Cluster:
    """Two APIs, two workers, one for light work and a scheduler."""
    idle_cluster.start_all()
    return idle_cluster
