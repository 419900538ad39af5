"""Real image files for the tests of the ingest step."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from itm.core.sections import DataParams
from itm.core.types import DataRef
from itm.data.ingest import ingest
from itm.store.layout import Store

Paint = Callable[..., Path]
Table = Callable[..., str]
Ingest = Callable[..., DataRef]


@pytest.fixture
def paint() -> Paint:
    """Write a picture of noise; the same number gives the same bytes."""

    def write(path: Path, number: int, side: int = 12) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
        return path

    return write


@pytest.fixture
def petals(tmp_path: Path, paint: Paint) -> Path:
    """Return a folder of two classes with ten different images each."""
    folder = tmp_path / "petals"
    for number in range(20):
        paint(folder / ("daisy", "rose")[number % 2] / f"{number:02d}.png", number)
    return folder


@pytest.fixture
def members(petals: Path) -> dict[str, bytes]:
    """Return the images of `petals` by their paths below it."""
    return {path.relative_to(petals).as_posix(): path.read_bytes() for path in sorted(petals.rglob("*.png"))}


@pytest.fixture
def write_table() -> Table:
    """Write an index of the images in a folder, with a column per function of their paths, and return its source."""

    def write(folder: Path, kind: str, **columns: Callable[[Path], object]) -> str:
        paths = sorted(folder.rglob("*.png"), key=lambda path: path.stem)
        values = {name: [value(path) for path in paths] for name, value in columns.items()}
        table = pl.DataFrame({"path": [str(path.relative_to(folder)) for path in paths]} | values)
        path = folder / f"index.{kind}"
        if kind == "csv":
            table.write_csv(path)
        else:
            table.write_parquet(path)
        return f"{kind}:{path}"

    return write


@pytest.fixture
def take(store: Store) -> Ingest:
    """Ingest a folder or a source's text with some data parameters."""

    def call(source: object, **params: object) -> DataRef:
        return ingest(str(source), DataParams.model_validate(params), store)

    return call
