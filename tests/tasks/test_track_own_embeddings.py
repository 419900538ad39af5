"""A ranking of embeddings without models in a real MLflow database."""

from pathlib import Path

import numpy as np
import pytest

from itm.core.params import Params
from itm.core.yaml_records import parse
from itm.run import pipeline
from itm.store.layout import Store

pytestmark = pytest.mark.slow


def test_each_file_of_embeddings_is_a_run_with_its_score(tmp_path: Path) -> None:
    from mlflow import MlflowClient

    from tasks.track.ranking import track

    own, labels = tmp_path / "own", np.arange(60) % 3
    own.mkdir()
    np.save(own / "near.npy", np.eye(3)[labels])
    np.save(own / "far.npy", np.random.default_rng(0).normal(size=(60, 4)))
    (own / "labels.txt").write_text("\n".join(map(str, labels)))
    values = {"data": {"sets": [f"embeddings:{own}"]}, "score": {"names": ["knn"]}, "store": tmp_path / "store"}
    params = parse(values, Params, "test")
    ranking = pipeline.run(params, Store(params.store))
    track.fn(ranking, params.tracking, Store(params.store))
    client = MlflowClient(tracking_uri=params.tracking.uri, registry_uri=params.tracking.uri)
    (experiment,) = [one for one in client.search_experiments() if one.name.startswith("own")]
    found = client.search_runs([experiment.experiment_id])
    scores = {run.data.tags["model"]: run.data.metrics["knn"] for run in found if "mlflow.parentRunId" in run.data.tags}
    assert scores == {row.model: row.scores["knn"].value for row in ranking.data_sets[0].rows}
    assert scores["near"] == 1.0
