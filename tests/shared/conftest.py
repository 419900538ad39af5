"""A real S3 server on this machine, and stores of two machines that share nothing but a bucket of it."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from itm.core.sections import DataParams, ExtractParams
from itm.core.types import DataRef, Features, ModelRef
from itm.data.ingest import ingest
from itm.features.extract import extract
from itm.store.layout import Store

SECRET = "not-to-be-shown-to-anyone"
_numbers = itertools.count()


class Bucket:
    """What lies in the bucket of a store, seen by another client."""

    def __init__(self, store: Store, address: str) -> None:
        assert store.shared
        self.name = store.shared.removeprefix("s3://").partition("/")[0]
        self.client = boto3.client("s3", endpoint_url=address)

    def key(self, end: str) -> str:
        """Return the key of the only object whose name ends so."""
        found = [one["Key"] for one in self.client.list_objects_v2(Bucket=self.name)["Contents"]]
        (key,) = [one for one in found if one.endswith(end)]
        return str(key)

    def get(self, end: str) -> bytes:
        """Return an object's bytes."""
        return bytes(self.client.get_object(Bucket=self.name, Key=self.key(end))["Body"].read())

    def put(self, end: str, content: bytes) -> None:
        """Replace an object's bytes."""
        self.client.put_object(Bucket=self.name, Key=self.key(end), Body=content)


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
def contents(one: Store, s3_server: str) -> Bucket:
    """Return what lies in the bucket."""
    return Bucket(one, s3_server)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Return a folder of drawn images that only the first machine sees."""
    ingest("synthetic:shapes?images=60", DataParams(), alone := Store(tmp_path / "drawn"))
    (folder,) = (alone.root / "raw").iterdir()
    return folder.rename(tmp_path / "images")


@pytest.fixture
def data(images: Path, one: Store) -> DataRef:
    """Return the images as the first machine ingests and sends them."""
    return ingest(f"folder:{images}", DataParams(), one)


@pytest.fixture
def resnet(embedded: Callable[[str], ModelRef]) -> ModelRef:
    """Return a small embedded model."""
    return embedded("test_resnet.drawn_long")


@pytest.fixture
def run(resnet: ModelRef) -> Callable[..., Features]:
    """Extract with some options on one of the machines."""

    def call(data: DataRef, store: Store, **params: Any) -> Features:
        return extract(resnet, data, ("train", "val"), ExtractParams.model_validate(params), store)

    return call
