"""A real S3 server on this machine, and stores of two machines that share nothing but a bucket of it."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from itm.store import Store

SECRET = "not-to-be-shown-to-anyone"
_numbers = itertools.count()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Start a server, let the environment lead to it, and return its address."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        environment.setenv("AWS_ACCESS_KEY_ID", "testing")
        environment.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        environment.setenv("NO_PROXY", "127.0.0.1,localhost")
        yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_server: str) -> str:
    """Make a fresh bucket and return its name."""
    name = f"bucket-{next(_numbers)}"
    boto3.client("s3", endpoint_url=s3_server).create_bucket(Bucket=name)
    return name


@pytest.fixture
def one(tmp_path: Path, bucket: str) -> Store:
    """Return the store of the machine that ingests."""
    return Store(tmp_path / "one" / "store", shared=f"s3://{bucket}/itm")


@pytest.fixture
def other(tmp_path: Path, one: Store) -> Store:
    """Return the store of another machine."""
    return Store(tmp_path / "other" / "store", shared=one.shared)


@pytest.fixture
def root() -> Path:
    """Return the root of the repository."""
    return Path(__file__).parents[2]
