"""A table of images with a number each, ranked by the flow as a user would: scores, table, page and MLflow."""

import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from mlflow import MlflowClient
from PIL import Image
from rich.console import Console

from itm.core.params import Params
from itm.core.yaml_records import parse
from itm.report.table import print_ranking
from itm.store.layout import Store

pytestmark = pytest.mark.slow

MODELS = ["test_resnet.drawn_long", "test_efficientnet.textures"]


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """Return an index of forty images of a disk, two per group, with the radius as target, and three bad targets."""
    rng = np.random.default_rng(0)
    across, down = np.meshgrid(np.arange(48), np.arange(48))
    rows = []
    for number in range(43):
        radius = 4 + 0.4 * number
        disk = (across - 24) ** 2 + (down - 24) ** 2 < radius**2
        pixels = np.where(disk, 200, 60)[..., None] + rng.integers(0, 40, (48, 48, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / f"{number:02d}.png")
        rows.append((f"{number:02d}.png", f"{radius:.2f}", f"object {number // 2}"))
    table = pl.DataFrame(rows, schema=["path", "radius", "object"], orient="row")
    bad = pl.Series(["large", "nan", "1e300"])
    table = table.with_columns(pl.concat([table["radius"][:40], bad]).alias("radius"))
    table.write_csv(tmp_path / "index.csv")
    return tmp_path / "index.csv"


@pytest.mark.servers
@pytest.mark.usefixtures("prefect_server")
def test_a_numeric_target_ranks_end_to_end(root: Path, tmp_path: Path, index: Path) -> None:
    from flows.rank import run

    values = {
        "data": {"sets": [f"csv:{index}?task=regression&target=radius&group=object"]},
        "zoo": {"file": root / "data" / "zoo" / "zoo.yaml", "models": MODELS},
        "track": {"uri": f"sqlite:///{tmp_path}/mlflow.db", "artifacts": f"{tmp_path}/mlruns"},
        "store": tmp_path / "store",
    }
    store = Store(tmp_path / "store")
    result, problem = run(parse(values, Params, "test"), store)
    assert not problem

    (ranked,) = result.data_sets
    assert [row.failures for row in ranked.rows] == [()] * 2
    assert (ranked.rejected, ranked.images, ranked.groups) == ({"no label": 1, "wrong target": 2}, 40, 20)
    scores = pl.read_parquet(store.scores)
    assert set(scores["score"]) == {"linear_probe", "knn", "logme", "itm"}
    held_out = scores.filter(pl.col("fold").is_null(), pl.col("score").is_in(["linear_probe", "knn"]))
    assert set(held_out["metric"]) == {"r2"}
    assert held_out["value"].min() > 0.5

    stream = io.StringIO()
    print_ranking(result, Console(file=stream, width=120))
    for text in (stream.getvalue(), (store.reports / "index.html").read_text()):
        assert "R²" in text
        assert "mean absolute error of" in text
        assert "Spearman correlation of" in text
    assert "predictions of" in (store.reports / "index.html").read_text()
    client = MlflowClient(values["track"]["uri"])
    (experiment,) = client.search_experiments(filter_string="name != 'Default'")
    logged = [run.data.metrics.keys() for run in client.search_runs([experiment.experiment_id])]
    expected = {"logme", "knn", "linear_probe", "linear_probe/r2", "linear_probe/mae", "linear_probe/spearman"}
    assert sum(expected <= metrics for metrics in logged) == 2, logged
