"""A source from another package is ranked on like one of this package."""

from pathlib import Path
from zipfile import ZipFile

import numpy as np
import polars as pl
import pytest
from PIL import Image

from itm.store.files import read_table
from itm.store.layout import Store
from itm.store.ranking_file import read_ranking
from tests.plugins.conftest import Itm
from tests.plugins.package import install

MODEL = "test_resnet.drawn_long"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Return a zip file with sixty images of two classes, from twenty groups, and a text."""
    path, rng = tmp_path / "petals.zip", np.random.default_rng(0)
    with ZipFile(path, "w") as archive:
        for number in range(60):
            member = f"{('daisy', 'rose')[number % 2]}/{number % 20:02d}-{number}.png"
            with archive.open(member, "w") as stream:
                Image.fromarray(rng.integers(80 * (number % 2), 256, (24, 24, 3), dtype=np.uint8)).save(stream, "PNG")
        archive.writestr("rose/note.txt", "no image")
    return path


@pytest.mark.servers
@pytest.mark.slow
@pytest.mark.usefixtures("archive")
def test_a_source_of_another_package_is_ranked_on(itm: Itm, tmp_path: Path, zoo_file: Path) -> None:
    modules = {"itm_zipped": Path(__file__).parent / "zipped.py", "itm_broken": "import no_such_module_anywhere\n"}
    entry_points = {"itm.sources": {"zipped": "itm_zipped:Zipped", "broken": "itm_broken"}}
    install(tmp_path / "site", "zipped-source", modules, entry_points)
    words = ("zipped:petals.zip?groups=2", "--zoo", str(zoo_file), "--model", MODEL, "--score", "knn", "--runner", "inline")
    done = itm("rank", *words)
    assert done.returncode == 0, done.stderr
    printed = " ".join(done.stderr.split())
    assert "the source 'broken' of itm_broken cannot be loaded: ModuleNotFoundError" in printed
    assert "Traceback" not in printed
    (results,) = (tmp_path / "data" / "rankings").iterdir()
    store = Store(tmp_path / "data", results.name)
    (data,) = read_ranking(store).data_sets
    assert (data.data, data.images, data.groups, data.rejected) == ("petals", 60, 20, {"not an image": 1})
    assert [(row.model, row.rank) for row in data.rows] == [(MODEL, 1)]
    index = read_table(store.index("petals"))
    assert set(index["path"].str.split("!").list.first()) == {"petals.zip"}
    splits = index.filter(status="ok").group_by("group").agg(pl.col("split").n_unique())
    assert splits["split"].to_list() == [1] * 20
    assert "60 images, 2 classes, 20 groups, scored on" in " ".join(done.stdout.split())
