"""Recorded learning curves: what is in the committed table is not recorded again."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import torch

from benchmarks import desk_curves
from benchmarks.desk_curves import Pair, collect, committed_runs
from itm.core.params import Params
from itm.core.sections import DataParams
from itm.core.types import ModelRef
from itm.core.yaml_records import parse
from itm.data.ingest import ingest
from itm.store.layout import Store

pytestmark = pytest.mark.slow

PARAMS = parse({"finetune": {"steps": 2, "batch_norm": "frozen", "learning_rates": [1e-4, 1e-2]}}, Params, "test")


def test_a_recording_goes_on_from_the_committed_table(
    tmp_path: Path, embedded: Callable[[str], ModelRef], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(desk_curves, "MARKS", 2)
    model, store, other = embedded("test_resnet.drawn_long"), Store(tmp_path / "store"), Store(tmp_path / "other")
    data = ingest("digits", DataParams(max_images=150), store)
    pair = Pair(model, data, PARAMS, store, {})
    for protocol in ("head", "norm"):
        pair.record(protocol)
    (tmp_path / "params.yaml").write_text(f"store: {store.root}\n")
    collect(tmp_path, tmp_path)
    table = pl.read_parquet(tmp_path / "curves.parquet")
    assert table.group_by("protocol").len().sort("protocol").rows() == [("head", 2), ("norm", 2 * 2)]
    assert sorted(table.filter(protocol="norm")["learning_rate"].unique()) == pytest.approx([1e-3 / 3, 1e-1 / 3], rel=1e-5)
    assert table["key"].n_unique() == 2 + 2

    known = committed_runs(tmp_path / "curves.parquet")
    monkeypatch.setattr(desk_curves, "Training", None)
    again = Pair(model, data, PARAMS, other, known)
    for protocol in ("head", "norm"):
        again.record(protocol)  # needs no training
    with pytest.raises(TypeError):
        again.record("full")
    (tmp_path / "params.yaml").write_text(f"store: {other.root}\n")
    collect(tmp_path, tmp_path)
    assert pl.read_parquet(tmp_path / "curves.parquet").equals(table)
    assert committed_runs(tmp_path / "nothing.parquet") == {}
