"""What tests of several steps need: a store, a small drawn data set, and the embedded zoo."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from itm.core.sections import DataParams, ZooParams
from itm.core.types import DataRef, ModelRef
from itm.data.ingest import ingest
from itm.store.layout import Store
from itm.zoo.resolve import resolve

settings.register_profile("here", database=None, deadline=None, derandomize=True)  # timings never decide a test
settings.load_profile("here")


@pytest.fixture
def zoo_file() -> Path:
    """Return the embedded zoo's file."""
    return Path(__file__).resolve().parents[1] / "data" / "zoo" / "zoo.yaml"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return an empty store."""
    return Store(tmp_path / "store")


@pytest.fixture
def shapes(store: Store) -> DataRef:
    """Return sixty drawn shapes of ten classes, 40 of them to train on, 10 to validate."""
    return ingest("made:shapes?images=60", DataParams(splits={"train": 0.6, "val": 0.2, "test": 0.2}), store)


@pytest.fixture
def embedded(zoo_file: Path) -> Callable[[str], ModelRef]:
    """Return a function that gives a model of the embedded zoo by its name."""

    def find(name: str) -> ModelRef:
        return resolve(ZooParams(file=zoo_file, models=(name,)))[0][0]

    return find


@pytest.fixture
def own_logger() -> Iterator[None]:
    """Give the library's logger back as it was: a command sends it to its own terminal."""
    logger = logging.getLogger("itm")
    before = logger.handlers, logger.propagate, logger.level
    yield
    logger.handlers, logger.propagate = before[:2]
    logger.setLevel(before[2])
