"""The server that all tests of this folder share, and databases on it."""

import secrets
from collections.abc import Iterator

import pytest
from postgres_cluster import Cluster, Database, started


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Return a server that runs."""
    with started() as running:
        yield running


@pytest.fixture
def mlflow(cluster: Cluster) -> Database:
    """Return a fresh database for MLflow, under a new name: MLflow remembers within a process which ones have tables."""
    return cluster.create(f"mlflow_{secrets.token_hex(4)}")
