"""Embeddings that a user has computed are ranked like those of a zoo: cached, with failures as rows, and without a model."""

from pathlib import Path

import numpy as np
import pytest

from itm.core.errors import DataError, ParamsError
from itm.core.params import Params
from itm.core.rankings import DataRanking
from itm.finetuning.pairs import request
from itm.run import pipeline
from itm.run.check import check_request
from itm.store.layout import Store
from itm.store.ranking_file import page_path, read_ranking

pytestmark = pytest.mark.slow

LABELS = np.arange(120) % 3
NEAR, FAR = 0.3, 3.0  # noise of a good and of a bad model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with two models, one broken file, and labels."""
    path, random = tmp_path / "own", np.random.default_rng(0)
    path.mkdir()
    centres = np.eye(3, 5)[LABELS]
    np.save(path / "near.npy", centres + NEAR * random.normal(size=centres.shape))
    np.savez(path / "far.npz", centres + FAR * random.normal(size=centres.shape))
    np.save(path / "short.npy", centres[:7])
    (path / "labels.txt").write_text("\n".join(f"class {label}" for label in LABELS))
    return path


def _params(folder: Path, store: Store, *names: str) -> Params:
    scores = names or ("knn", "logme")
    return Params.model_validate(
        {
            "data": {"sets": [f"embeddings:{folder}"]},
            "score": {"names": scores, "rank_by": "knn"},
            "runner": {"kind": "inline"},
            "store": store.root,
        }
    )


def _ranked(params: Params, store: Store) -> DataRanking:
    return pipeline.run(params, store).data_sets[0]


def test_the_files_of_a_folder_are_ranked_and_stored(folder, store, caplog):
    caplog.set_level("INFO", logger="itm")
    params = _params(folder, store)
    data = _ranked(params, store)
    assert [(row.model, row.status) for row in data.rows] == [("near", "ranked"), ("far", "ranked"), ("short", "failed")]
    assert "has 7 rows for 120 labels" in data.rows[2].failures[0].reason
    assert data.rows[0].facts is None
    assert "extracted 2 pairs (0 cached)" in caplog.text
    page = page_path(store).read_text()
    assert "near" in page
    assert "itm finetune" not in page
    assert "against cost" not in page
    caplog.clear()
    assert _ranked(params, store) == data == read_ranking(store).data_sets[0]
    assert "extracted 0 pairs (2 cached), computed 0 scores (4 cached)" in caplog.text


def test_only_a_changed_file_is_computed_again(folder, store, caplog):
    params = _params(folder, store)
    before = _ranked(params, store)
    np.save(folder / "near.npy", np.load(folder / "near.npy") + 1.0)
    caplog.set_level("INFO", logger="itm")
    after = _ranked(params, store)
    assert "extracted 1 pair (1 cached)" in caplog.text
    assert before.rows[0].weights != after.rows[0].weights
    assert before.rows[1] == after.rows[1]


def test_scores_that_need_a_model_are_failures_that_say_so(folder, store):
    data = _ranked(_params(folder, store, "knn", "leep", "parameters", "imagenet_top1"), store)
    reasons = {failure.step: failure.reason for failure in data.rows[0].failures}
    assert reasons.keys() == {"score leep", "score parameters", "score imagenet_top1"}
    assert reasons["score leep"].startswith("leep needs the outputs of the model's own classifier, which is not known")


def test_embeddings_and_images_are_not_ranked_in_one_run(folder, store):
    params = _params(folder, store)
    both = params.model_copy(update={"data": params.data.model_copy(update={"sets": (*params.data.sets, "digits")})})
    with pytest.raises(ParamsError, match="has embeddings and digits has images; rank them in separate runs"):
        check_request(both)


def test_models_cannot_be_chosen_for_embeddings(folder, call):
    said = call("rank", f"embeddings:{folder}", "--model", "near", status=2)
    assert "every file of embeddings is ranked, so no zoo, model or variant can be chosen" in said.output


def test_embeddings_cannot_be_fine_tuned(folder, store):
    with pytest.raises(DataError, match="embeddings cannot be fine-tuned; name the images"):
        request(_params(folder, store), store)
