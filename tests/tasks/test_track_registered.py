"""The registered model is loaded in a clean process, and a version is added only if something changed."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from itm.core.params import TrackParams
from itm.core.rankings import Ranking
from itm.core.types import Outcome
from itm.finetuning.table import write_runs
from itm.store.files import write_json
from itm.store.layout import Store
from tests.export.conftest import BLOCK, RESNET, Ranked, ranked  # noqa: F401

pytestmark = pytest.mark.slow

PREDICT = """
import json, sys
import mlflow.pyfunc
import numpy as np
import pandas as pd
from PIL import Image

model = mlflow.pyfunc.load_model("models:/itm-digits@recommended")
paths = sys.argv[1:]
pictures = [Image.open(path).convert("RGB") for path in paths]
forms = [paths, pictures, np.stack([np.asarray(picture) for picture in pictures]), pd.DataFrame({"image": paths})]
outputs = [model.predict(form) for form in forms]
assert all(np.allclose(outputs[0], output, rtol=1e-5, atol=1e-6) for output in outputs[1:])
one = model.predict(paths[0]), model.predict(pictures[0]), model.predict(np.asarray(pictures[0]))
assert all(np.allclose(outputs[0][:1], output, rtol=1e-4, atol=1e-5) for output in one)
columns = list(outputs[0].columns) if hasattr(outputs[0], "columns") else []
print(json.dumps([columns, np.asarray(outputs[0]).tolist(), "itm.export" in sys.modules]))
"""


@pytest.fixture
def tracked(ranked: Ranked, tmp_path: Path) -> Ranked:  # noqa: F811
    """Return the ranking in a store that a test may change."""
    shutil.copytree(ranked.store.root, tmp_path / "store")
    return replace(ranked, store=Store(tmp_path / "store"))


def parameters(store: Store) -> TrackParams:
    return TrackParams(uri=f"sqlite:///{store.root}/mlflow.db", artifacts=f"{store.root}/mlruns")


def track(own: Ranked, model: str, ranking: Ranking | None = None) -> None:
    from tasks.track.ranking import track as task

    write_json(own.store.recommended, {"digits": model})
    task.fn(ranking or own.ranking, parameters(own.store), own.store)


def versions(store: Store) -> list[Any]:
    """Return the versions of the registered model, the newest first."""
    from mlflow import MlflowClient

    uri = parameters(store).uri
    return list(MlflowClient(uri, uri).search_model_versions("name = 'itm-digits'"))


def predict(store: Store, paths: list[str], folder: Path) -> tuple[list[str], np.ndarray]:
    """Predict in a process that knows nothing but the address of MLflow."""
    known = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "ITM"))}
    environment = known | {"MLFLOW_TRACKING_URI": str(parameters(store).uri)}
    command = [sys.executable, "-W", "ignore", "-c", PREDICT, *paths]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)
    assert done.returncode == 0, done.stderr
    columns, values, used_itm = json.loads(done.stdout.splitlines()[-1])
    assert not used_itm
    return columns, np.array(values)


def test_the_recommended_model_is_loaded_in_a_clean_process_and_returns_embeddings(tracked: Ranked, tmp_path: Path) -> None:
    track(tracked, BLOCK)
    known = tracked.embeddings(BLOCK)
    images = [row for row in tracked.images().select("id", "path").iter_rows() if row[0] in known][:3]
    columns, values = predict(tracked.store, [path for _, path in images], tmp_path)
    assert columns == []
    np.testing.assert_allclose(values, [known[id_] for id_, _ in images], rtol=1e-5, atol=1e-5)
    assert not list((tracked.store.root / "mlruns").rglob("*.pkl"))


def test_after_fine_tuning_it_returns_the_probabilities_of_the_run(tracked: Ranked, tmp_path: Path) -> None:
    from tasks.track.finetuned import track_finetuned

    (tracked.store.root / "weights").rename(tmp_path / "later")
    track(tracked, RESNET)
    (tmp_path / "later").rename(tracked.store.root / "weights")
    outcomes = [Outcome("digits", RESNET, runs=tracked.runs[RESNET])]
    write_runs(outcomes, tracked.store)
    for _ in range(2):  # the second time, nothing has changed
        track_finetuned.fn(outcomes, (), [tracked.data], parameters(tracked.store), tracked.store)
        track(tracked, RESNET)
    now, before = versions(tracked.store)
    assert (now.tags["loadable"], before.tags["loadable"], before.tags["finetuned"]) == ("yes", "yes", "")
    best = max(tracked.runs[RESNET], key=lambda run: (run.val_accuracy, -run.val_loss))
    assert f"{100 * best.test_accuracy:.1f} [" in now.description
    images = tracked.images("test")
    columns, values = predict(tracked.store, images["path"].to_list(), tmp_path)
    targets = [columns.index(target) for target in images["target"]]
    assert (values.argmax(axis=1) == targets).mean() == pytest.approx(best.test_accuracy)
    assert -np.log(values[range(len(targets)), targets]).mean() == pytest.approx(best.test_loss, abs=1e-4)


def test_a_model_that_cannot_be_exported_is_a_version_with_the_reason(tracked: Ranked) -> None:
    whole = tracked.ranking
    rows = tuple(replace(row, weights="0" * 64) for row in whole.data_sets[0].rows)
    changed = replace(whole, data_sets=(replace(whole.data_sets[0], rows=rows),))
    for _ in range(2):
        track(tracked, BLOCK, changed)
    (only,) = versions(tracked.store)
    assert only.tags["loadable"] == "no"
    assert only.description.startswith(f"{BLOCK} cannot be loaded from MLflow: {BLOCK}: its weight file has changed")
    track(tracked, BLOCK)
    assert [one.tags["loadable"] for one in versions(tracked.store)] == ["yes", "no"]
