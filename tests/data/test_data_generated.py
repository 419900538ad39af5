"""Embedded examples whose targets are no classes: scenes, angles, and rotated digits."""

import json

import numpy as np
import pytest
from PIL import Image

from itm.core.errors import DataError
from itm.core.sections import DataParams
from itm.data.index import read_index
from itm.data.ingest import ingest
from itm.data.sources.parse import parse_source
from itm.store.layout import Store


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")


def test_scenes_have_several_labels_and_some_have_none(store) -> None:
    data = ingest("synthetic:scenes?images=60", DataParams(), store)
    sets = [json.loads(text) for text in read_index(data)["target"]]
    assert (data.name, data.target.kind, data.images) == ("scenes-images60", "multilabel", 60)
    assert data.target.names == ("arrow", "bar", "circle", "cross", "square", "star", "triangle")
    assert {len(own) for own in sets} == {0, 1, 2, 3}


def test_angles_are_those_of_the_drawn_arrows(store) -> None:
    data = ingest("synthetic:angle?images=40&difficulty=0", DataParams(), store)
    assert (data.target.kind, data.target.names) == ("regression", ("angle [°]",))
    down = []
    for row in read_index(data).iter_rows(named=True):
        pixels = np.asarray(Image.open(row["path"]).convert("RGB"), dtype=float)
        figure = np.linalg.norm(pixels - np.median(pixels, axis=(0, 1)), axis=2) > 40
        rows, columns = np.nonzero(figure)
        spread = np.linalg.eigh(np.cov(columns, rows))[1][:, 1]  # the long axis of the arrow
        found = np.degrees(np.arctan2(spread[1], spread[0]))
        wanted = json.loads(row["target"])["angle [°]"]
        down.append(abs((found - wanted + 90) % 180 - 90))
    assert np.median(down) < 5


def test_digits_are_rotated_by_a_known_angle_and_keep_their_own_data_set(store) -> None:
    data = ingest("digits?target=rotation", DataParams(max_images=50), store)
    assert (data.name, data.target.kind, data.target.names) == ("digits-rotation", "regression", ("angle [°]",))
    assert -60 <= data.target.facts["lowest angle [°]"] < -30
    assert parse_source("digits").source.kind == "classification"
    assert parse_source("mine=digits?target=rotation").name == "mine"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("digits?target=rotatoin", "digits: target is 'rotatoin'; did you mean 'rotation'? Known: class, rotation"),
        ("digits?angle=3", "unknown option 'angle'"),
        ("synthetic:scene", "there is no family 'scene'; did you mean 'scenes'"),
        ("synthetic:angle?images=3", "images is 3; angle needs at least 10"),
    ],
)
def test_wrong_options_are_named(store, source, said) -> None:
    with pytest.raises(DataError, match=said.replace("?", r"\?")):
        ingest(source, DataParams(), store)
