"""Standardised rows: correct for any scale and type, and the same whether kept in memory or read again."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from itm.scores import Splitting, canonical, evaluate, evaluate_together
from itm.scores.itm import rows as _rows
from itm.scores.itm.rows import Rows
from itm.scores.sample import Sample

pytestmark = pytest.mark.slow

COUNT, WIDTH = 700, 12
CPU = torch.device("cpu")
rng = np.random.default_rng(0)
NORMAL = rng.normal(size=(COUNT, WIDTH)) * np.linspace(0.5, 3, WIDTH) + rng.normal(size=WIDTH)
LABELS = np.arange(COUNT) % 4


def whole(table: np.ndarray) -> Sample:
    """Return a sample of all rows of a table, in their order."""
    return Sample(table, np.arange(len(table)), np.arange(len(table)) % 4)


def standardised(table: np.ndarray) -> np.ndarray:
    """Return a table with mean 0 and standard deviation 1 in every feature, computed in extended precision."""
    values = table.astype(np.longdouble)
    return np.asarray((values - values.mean(axis=0)) / values.std(axis=0), dtype=np.float64)


def taken(rows: Rows, numbers: np.ndarray | None = None) -> np.ndarray:
    """Return rows by number, or all rows."""
    wanted = torch.arange(rows.count) if numbers is None else torch.from_numpy(numbers)
    out = torch.full((len(wanted), rows.width), torch.nan)
    rows.take(wanted, out)
    return out.numpy()


def far_away() -> np.ndarray:
    """Return features with a mean of a million standard deviations."""
    return (NORMAL / NORMAL.std(axis=0) + 1e6).astype(np.float32)


def mixed_scales() -> np.ndarray:
    """Return features whose standard deviations differ by a factor of a thousand."""
    return (NORMAL * np.logspace(-1, 2, WIDTH)).astype(np.float32)


TABLES: dict[str, Callable[[], np.ndarray]] = {
    "float32": lambda: NORMAL.astype(np.float32),
    "float64": lambda: NORMAL,
    "float16": lambda: NORMAL.astype(np.float16),
    "int64": lambda: np.rint(100 * NORMAL).astype(np.int64),
    "uint8": lambda: np.clip(30 * NORMAL + 128, 0, 255).astype(np.uint8),
    "big endian": lambda: NORMAL.astype(">f4"),
    "column order": lambda: np.asfortranarray(NORMAL.astype(np.float32)),
    "far away": far_away,
    "far away in float64": lambda: NORMAL + 1e9,
    "mixed scales": mixed_scales,
    "1e30": lambda: NORMAL.astype(np.float32) * np.float32(1e30),
    "1e-30": lambda: NORMAL.astype(np.float32) * np.float32(1e-30),
    "3e38": lambda: np.float32(3e38) * (NORMAL / np.abs(NORMAL).max()).astype(np.float32),
    "1e-40": lambda: (NORMAL * 1e-40).astype(np.float32),
    "1e-140": lambda: NORMAL * 1e-140,
}


@pytest.fixture(params=["kept", "streamed"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Keep all rows in memory, or none."""
    if request.param == "streamed":
        monkeypatch.setattr(_rows, "KEPT", 0)
    return str(request.param)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("table", TABLES)
def test_every_feature_has_mean_0_and_deviation_1(table: str) -> None:
    features = TABLES[table]()
    found = taken(Rows([whole(features)], CPU))
    np.testing.assert_allclose(found, standardised(features), atol=1e-5)
    np.testing.assert_allclose(found.mean(axis=0, dtype=np.float64), 0, atol=1e-5)
    np.testing.assert_allclose(found.std(axis=0, dtype=np.float64), 1, atol=1e-5)


@pytest.mark.parametrize("table", TABLES)
def test_kept_rows_are_the_streamed_ones(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = whole(TABLES[table]())
    numbers = np.random.default_rng(1).integers(0, COUNT, 300)
    kept = taken(Rows([sample], CPU), numbers)
    monkeypatch.setattr(_rows, "KEPT", 0)
    np.testing.assert_array_equal(taken(Rows([sample], CPU), numbers), kept)


@pytest.mark.usefixtures("way")
def test_rows_that_follow_each_other_are_a_block() -> None:
    samples = [whole(NORMAL), Sample(NORMAL + 5, np.arange(COUNT)[::-1].copy(), LABELS)]
    rows = Rows(samples, CPU)
    for sample, start, stop in ((0, 0, COUNT), (1, 0, 9), (1, COUNT - 20, COUNT)):
        numbers = sample * COUNT + np.arange(start, stop)
        np.testing.assert_array_equal(rows.block(sample, start, stop).numpy(), taken(rows, numbers))


@pytest.mark.usefixtures("way")
def test_a_sample_is_its_rows_in_their_order() -> None:
    rows = np.random.default_rng(2).permutation(COUNT)[:500]
    sample = Sample(NORMAL.astype(np.float32), rows, LABELS[rows])
    np.testing.assert_allclose(taken(Rows([sample], CPU)), standardised(NORMAL[rows]), atol=1e-5)


@pytest.mark.usefixtures("way")
def test_several_samples_have_one_numbering() -> None:
    tables = [NORMAL.astype(np.float32), 5 - 3 * NORMAL**2, np.roll(NORMAL, 1, axis=0).astype(np.float16)]
    rows = Rows([whole(table) for table in tables], CPU)
    numbers = np.random.default_rng(3).permutation(3 * COUNT)
    expected = np.concatenate([standardised(table) for table in tables])[numbers]
    np.testing.assert_allclose(taken(rows, numbers), expected, atol=1e-5)
    np.testing.assert_allclose(taken(rows, np.arange(COUNT, COUNT + 9)), standardised(tables[1])[:9], atol=1e-5)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("kind", ["float32", "float64", "int64"])
@pytest.mark.parametrize("value", [0, 7, 10**6 + 1])
def test_constant_features_become_0(kind: str, value: int) -> None:
    features = np.full((COUNT, 3), value, dtype=kind)
    assert not taken(Rows([whole(features)], CPU)).any()
    features[:, 1] = 100 * NORMAL[:, 1]
    found = taken(Rows([whole(features)], CPU))
    assert not found[:, [0, 2]].any()
    np.testing.assert_allclose(found[:, 1], standardised(features[:, 1:2])[:, 0], atol=1e-4)


def test_a_spread_that_is_rounding_is_not_blown_up() -> None:
    features = NORMAL / NORMAL.std(axis=0) * np.r_[1e-9, 1e-5, np.ones(WIDTH - 2)]
    found = taken(Rows([whole(features)], CPU)).std(axis=0)
    np.testing.assert_allclose(found, np.r_[1e-3, np.ones(WIDTH - 1)], rtol=1e-4)


def test_a_table_is_not_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_rows, "KEPT", 0)
    np.save(tmp_path / "table.npy", NORMAL.astype(np.float32))
    before = (tmp_path / "table.npy").read_bytes()
    mapped = np.load(tmp_path / "table.npy", mmap_mode="r+")
    taken(Rows([whole(mapped)], CPU))
    mapped.flush()
    assert (tmp_path / "table.npy").read_bytes() == before


def test_more_rows_than_a_block_are_standardised_as_one_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_rows, "BLOCK", 3 * 9 * WIDTH + 1)
    features = np.sort(NORMAL + 1e4, axis=0)[: 25 * 27 + 1]  # sorted, so that blocks differ as far as they can
    np.testing.assert_allclose(taken(Rows([whole(features)], CPU)), standardised(features), atol=1e-5)


@pytest.mark.parametrize("lay", ["array", "memory map"])
def test_scores_are_the_same_kept_and_streamed(lay: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order = np.random.default_rng(4).permutation(COUNT)
    ids = [f"{row:04d}" for row in order]
    tables = [(NORMAL + gap * np.eye(4, WIDTH)[LABELS])[order].astype(np.float32) for gap in (1.0, 2.0, 3.0)]
    if lay == "memory map":
        for number, table in enumerate(tables):
            np.save(tmp_path / f"{number}.npy", table)
        tables = [np.load(tmp_path / f"{number}.npy", mmap_mode="r") for number in range(3)]
    splitting = Splitting(folds=3)
    options = {"steps": 60, "evaluate_every": 20, "batch_size": 100}

    def scores() -> list[object]:
        samples = [canonical(table, LABELS[order], ids) for table in tables]
        return list(evaluate_together("itm", samples, options=options, splitting=splitting))

    kept = scores()
    assert len(set(map(str, kept))) == 3
    monkeypatch.setattr(_rows, "KEPT", tables[0].nbytes - 1)
    assert scores() == kept


@pytest.mark.parametrize("table", ["float64", "float16", "int64", "uint8", "far away", "1e30", "1e-30"])
def test_type_and_scale_of_a_table_hardly_matter(table: str) -> None:
    apart = NORMAL + 4 * np.eye(4, WIDTH)[LABELS]
    features = {
        "float64": apart,
        "float16": apart.astype(np.float16),
        "int64": np.rint(100 * apart).astype(np.int64),
        "uint8": np.clip(20 * apart + 128, 0, 255).astype(np.uint8),
        "far away": (apart + 1e6).astype(np.float32),
        "1e30": apart.astype(np.float32) * np.float32(1e30),
        "1e-30": apart.astype(np.float32) * np.float32(1e-30),
    }[table]
    ids = [f"{row:04d}" for row in range(COUNT)]
    expected = evaluate("itm", apart.astype(np.float32), LABELS, ids=ids, options={"steps": 100}).value
    assert 0.8 < expected < 1
    assert evaluate("itm", features, LABELS, ids=ids, options={"steps": 100}).value == pytest.approx(expected, abs=0.01)
