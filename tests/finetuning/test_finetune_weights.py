"""The weights of the best run are kept, and nothing else."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from itm.core.errors import StoreError
from itm.finetuning.weights import FinetunedWeights, keep, read_facts, read_state

pytestmark = pytest.mark.slow

FACTS = FinetunedWeights(0, ("a", "b"), 1e-3, 0.8, 0.5, 0.7, 0.6, 30)


def weights(value: float) -> dict[str, torch.Tensor]:
    return {"head.weight": torch.full((2, 3), value)}


def test_the_best_of_several_seeds_is_kept(run, resnet, store):
    runs = run(resnet, seeds=2, protocols=("full",))
    best = max(runs, key=lambda one: (one.val_accuracy, -one.val_loss))
    (path,) = (store.root / "weights").rglob("*.safetensors")
    facts = read_facts(path)
    assert (facts.seed, facts.val_loss, facts.test_accuracy) == (best.seed, best.val_loss, best.test_accuracy)
    assert facts.names == tuple(str(number) for number in range(10))
    assert {"head.weight", "head.bias", "backbone.conv1.0.weight"} <= load_file(path).keys()


def test_weights_are_not_kept_if_nobody_wants_them(run, resnet, store):
    run(resnet, protocols=("full",), keep_weights=False)
    assert not (store.root / "weights").exists()


def test_a_worse_run_does_not_replace_a_better_one(tmp_path: Path):
    path = tmp_path / "kept.safetensors"
    keep(path, FACTS, weights(1.0))
    keep(path, replace(FACTS, seed=1, val_loss=0.6), weights(2.0))
    assert read_facts(path) == FACTS
    keep(path, replace(FACTS, seed=2, val_accuracy=0.9, val_loss=0.6), weights(3.0))
    assert read_facts(path).seed == 2
    assert read_state(path)["head.weight"][0, 0] == 3.0


def test_an_unfinished_run_never_replaces_a_finished_one(tmp_path: Path):
    path = tmp_path / "kept.safetensors"
    unfinished = replace(FACTS, val_accuracy=0.9, test_accuracy=None, test_loss=None, trained=0.5)
    keep(path, unfinished, weights(1.0))
    keep(path, FACTS, weights(2.0))
    keep(path, unfinished, weights(3.0))
    assert read_facts(path) == FACTS
    assert read_state(path)["head.weight"][0, 0] == 2.0


def test_damaged_weights_count_as_missing(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    path = tmp_path / "kept.safetensors"
    path.write_bytes(b"damaged")
    assert read_facts(path) is None
    assert "kept.safetensors: the fine-tuned weights cannot be read" in caplog.text
    with pytest.raises(StoreError, match=r"kept.safetensors: cannot be read \(.*\); fine-tune again"):
        read_state(path)
    keep(path, FACTS, weights(1.0))
    assert read_facts(path) == FACTS


def test_a_run_counts_where_its_weights_cannot_be_written(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "file").write_text("in the way")
    keep(tmp_path / "file" / "kept.safetensors", FACTS, weights(1.0))
    assert "the fine-tuned weights are not kept, so they cannot be exported" in caplog.text
