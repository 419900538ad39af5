"""Where pseudo-cluster centres lie, and that each lane has its own."""

import numpy as np
import pytest
import torch

from itm.scores.folds import Splitting
from itm.scores.itm import centres as _centres
from itm.scores.itm.centres import Centres
from itm.scores.itm.options import ItmOptions, Kind
from itm.scores.itm.rows import Rows
from itm.scores.itm.training import Training
from itm.scores.sample import Sample

Tensor = torch.Tensor


def generators(count: int) -> list[torch.Generator]:
    """Return generators with the seeds 0, 1, 2 and so on."""
    return [torch.Generator().manual_seed(seed) for seed in range(count)]


def stretched(rows: int = 200, width: int = 6, seed: int = 0) -> np.ndarray:
    """Return rows around a point other than 0 that are turned, and of another spread along every axis."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(width, width)))[0]
    return 3.0 + rng.normal(size=(rows, width)) * np.arange(width, 0, -1) @ turn


def axes_by_svd(rows: np.ndarray, count: int) -> np.ndarray:
    """Return principal axes by another way than the one tested, their largest component positive."""
    axes = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)[2][:count]
    return axes * np.sign(np.take_along_axis(axes, np.abs(axes).argmax(axis=1, keepdims=True), axis=1))


def training(options: ItmOptions, rows: int = 120, width: int = 9, classes: int = 4) -> Training:
    """Return three lanes of one sample before the first step."""
    rng = np.random.default_rng(0)
    labels = np.arange(rows) % classes
    sample = Sample(rng.normal(size=(rows, width)).astype(np.float32), np.arange(rows), labels)
    folds = Splitting(folds=3).of(labels)
    return Training(Rows([sample], torch.device("cpu")), torch.from_numpy(labels), classes, [folds], options)


def test_one_hot_centres_are_the_corners_of_the_simplex() -> None:
    labels = torch.tensor([[2, 0], [1, 1]])
    centres = Centres(_centres.one_hot(3))
    assert centres.of(labels, torch.empty(2, 2, 3)).tolist() == [[[0, 0, 1], [1, 0, 0]], [[0, 1, 0], [0, 1, 0]]]
    assert centres.lanes(slice(1, 2)).of(labels[1:], torch.empty(1, 2, 3)).tolist() == [[[0, 1, 0], [0, 1, 0]]]


def test_random_centres_are_unit_vectors_by_the_seed_of_each_lane() -> None:
    table = _centres.random(4, 30, generators(3))
    torch.testing.assert_close(table.norm(dim=2), torch.ones(3, 4))
    alone = _centres.random(4, 30, generators(3)[2:])
    assert torch.equal(table[2:], alone)
    closeness = (table.reshape(12, 30) @ table.reshape(12, 30).T).fill_diagonal_(0)
    assert closeness.abs().max() < 0.9


def test_each_lane_is_pulled_to_its_own_centres() -> None:
    table = torch.arange(24.0).view(2, 3, 4)
    labels = torch.tensor([[0, 2], [2, 1]])
    centres, start = Centres(table), torch.empty(2, 2, 4)
    expected = torch.stack([table[0, [0, 2]], table[1, [2, 1]]])
    assert torch.equal(centres.of(labels, start), expected)
    assert torch.equal(centres.lanes(slice(1, 2)).of(labels[1:], start[1:]), expected[1:])


@pytest.mark.parametrize("blocks", [1, 4])
def test_principal_axes_are_those_of_the_rows(blocks: int) -> None:
    rows = stretched()
    axes = _centres.principal_axes(torch.from_numpy(rows)[None].split(-(-len(rows) // blocks), dim=1), 4)[0]
    np.testing.assert_allclose(axes.numpy(), axes_by_svd(rows, 4), atol=1e-6)
    torch.testing.assert_close(axes @ axes.T, torch.eye(4))


def test_principal_axes_have_one_sign() -> None:
    rows = torch.from_numpy(stretched())[None]
    axes = _centres.principal_axes([rows], 6)
    torch.testing.assert_close(axes, _centres.principal_axes([-rows], 6))
    assert (axes[0].gather(1, axes[0].abs().argmax(dim=1, keepdim=True)) > 0).all()


def test_an_offset_places_centres_among_the_embeddings() -> None:
    start = torch.from_numpy(np.stack([stretched(30, 4, 1), stretched(30, 4, 2)]))
    table = torch.from_numpy(stretched(3, 4))[None]
    labels = torch.arange(60).view(2, 30) % 3
    mean, std = start.numpy().mean(axis=1, keepdims=True), start.numpy().std(axis=1, keepdims=True)
    expected = mean + std * table[0].numpy()[labels.numpy()]
    np.testing.assert_allclose(Centres(table, offset=True).of(labels, start).numpy(), expected, atol=1e-12)
    placed = Centres(table, offset=True).placed(labels, torch.from_numpy(mean), torch.from_numpy(std))
    np.testing.assert_allclose(placed.numpy(), expected, atol=1e-12)
    assert torch.equal(Centres(table).of(labels, start), table[0][labels])


@pytest.mark.parametrize("dimensions", [0, 6])
def test_principal_axes_are_those_of_the_training_rows(dimensions: int) -> None:
    lanes = training(ItmOptions(centres="principal_axes", centre_dimensions=dimensions))
    assert lanes.centres.table.shape == (3, 4, dimensions or 4)
    for lane, rows in enumerate(lanes.train):
        x = torch.empty(len(rows), lanes.rows.width)
        lanes.rows.take(rows, x)
        theta = lanes.network.lanes(slice(lane, lane + 1)).theta(x[None])[0].double().numpy()
        np.testing.assert_allclose(lanes.centres.table[lane].numpy(), axes_by_svd(theta, 4), atol=1e-4)


@pytest.mark.parametrize("kind", ["random", "principal_axes"])
def test_centres_give_the_evolved_space_its_dimensions(kind: Kind) -> None:
    lanes = training(ItmOptions(centres=kind, centre_dimensions=7))
    mapping, _, head, _ = lanes.network.parameters
    assert mapping.shape == (3, 7, 9)
    assert head.shape == (3, 4, 7)
    assert lanes.centres.table.shape == (3, 4, 7)
