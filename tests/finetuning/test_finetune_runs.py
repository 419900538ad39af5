"""Fine-tuning runs: they learn, can be repeated, are kept, and say what is wrong."""

import json
import shutil
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from itm.core.errors import DataError, ModelError, StoreError
from itm.core.sections import DataParams, FinetuneParams
from itm.core.types import ModelRef
from itm.data.index import read_index
from itm.data.ingest import ingest
from itm.finetuning import pair
from itm.finetuning.steps import learning_rates
from itm.finetuning.trajectory import Trajectory
from itm.store.files import read_json
from itm.store.layout import Store

pytestmark = pytest.mark.slow

CHANCE = 0.1


def kept(store: Store) -> dict[str, Path]:
    """Return the stored runs by their names."""
    return {path.name.rpartition("-")[0]: path for path in (store.root / "cache" / "finetuned").rglob("*.json")}


def test_both_protocols_learn(run, resnet, store):
    full, head = run(resnet, steps=40)
    assert (full.protocol, head.protocol) == ("full", "head")
    assert min(full.test_accuracy, head.test_accuracy) > 5 * CHANCE
    assert (full.train_images, full.val_images, full.test_images, full.image_size) == (90, 30, 30, 48)
    assert full.learning_rate in (1e-4, 1e-2)
    assert full.best_step <= full.steps == 40
    assert full.images_per_second > 0
    assert len(kept(store)) == 2 + 2


def test_full_fine_tuning_changes_the_backbone_and_starts_from_the_head(run, resnet):
    rates = {"learning_rates": (1e-12, 1e-10), "batch_norm": "frozen", "weight_decay": 0.0}
    still, head = run(resnet, steps=2, **rates)
    assert still.test_accuracy == head.test_accuracy
    assert still.val_loss == pytest.approx(head.val_loss, abs=1e-4)
    moved, _ = run(resnet, steps=12, learning_rates=(1e-5, 1e-3))
    assert moved.test_loss != pytest.approx(head.test_loss, abs=1e-3)


def test_the_same_seed_gives_the_same_run(run, resnet):
    first, again = run(resnet, resume="always"), run(resnet, resume="always")
    timeless = {"seconds": 0.0, "images_per_second": 0.0}
    assert [replace(one, **timeless) for one in first] == [replace(one, **timeless) for one in again]
    other = run(resnet, seed=1)
    assert other[0].val_loss != first[0].val_loss


def test_what_is_stored_is_not_computed_again(run, resnet, monkeypatch):
    first = run(resnet)
    with monkeypatch.context() as without_images:
        without_images.setattr("itm.finetuning.pair.read_images", None)
        again = run(resnet, resume="only-cache")
        assert [replace(one, cached=False) for one in again] == list(first)
        assert all(one.cached for one in again)
    with pytest.raises(StoreError, match="run full-1 is not stored and resume is 'only-cache'"):
        run(resnet, seeds=2, resume="only-cache")
    two = run(resnet, seeds=2)
    assert [(one.protocol, one.seed, one.cached) for one in two] == [
        ("full", 0, True),
        ("full", 1, False),
        ("head", 0, True),
        ("head", 1, False),
    ]


def test_a_device_is_held_while_something_is_computed(run, resnet, monkeypatch):
    held: list[str] = []

    @contextmanager
    def recorded(target):
        held.append("taken")
        try:
            yield target
        finally:
            held.append("released")

    advance, short = Trajectory.advance, {"protocols": ("full",), "evaluations": 1}
    monkeypatch.setattr(pair, "leased", recorded)
    monkeypatch.setattr(Trajectory, "advance", lambda *arguments: held.append("used") or advance(*arguments))
    (first,) = run(resnet, steps=2, **short)
    assert held == ["taken", "used", "used", "used", "released"]  # for two learning rates and the run
    assert run(resnet, steps=2, **short) == (replace(first, cached=True),)
    monkeypatch.setattr(Trajectory, "advance", None)
    with pytest.raises(TypeError):
        run(resnet, steps=4, **short)
    assert held == ["taken", "used", "used", "used", "released", "taken", "released"]


def test_a_killed_pair_goes_on_where_it_was(run, resnet, store, monkeypatch):
    advance, calls = Trajectory.advance, []
    grid = {"learning_rates": FinetuneParams().learning_rates, "few_images_divisor": 3}

    def dies_in_the_fourth(self, to):  # type: ignore[no-untyped-def]
        calls.append(self.learning_rate)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return advance(self, to)

    monkeypatch.setattr(Trajectory, "advance", dies_in_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        run(resnet, **grid)
    rates = learning_rates(FinetuneParams(), 90, 10)
    assert set(kept(store)) == {f"search-0-{rate:g}" for rate in rates[:3]}
    run(resnet, **grid)
    assert calls[4:6] == list(rates[3:])
    assert len(calls) == 4 + 2 + 1


@pytest.mark.parametrize("damage", ["changed", "cut"])
def test_a_damaged_run_is_computed_again(run, resnet, store, damage, caplog):
    first = run(resnet, protocols=("head",))
    (path,) = kept(store).values()
    whole = path.read_text()
    record = read_json(path)
    record["payload"]["test_accuracy"] = 0.99
    path.write_text(json.dumps(record) if damage == "changed" else whole[:100])
    (again,) = run(resnet, protocols=("head",))
    assert not again.cached
    assert again.test_accuracy == first[0].test_accuracy
    assert f"{path}: is damaged" in caplog.text
    assert run(resnet, protocols=("head",), resume="only-cache") == (replace(again, cached=True),)


def test_a_rate_that_blows_up_loses(run, resnet):
    full, _ = run(resnet, learning_rates=(1e-4, 1e30))
    assert full.learning_rate == 1e-4
    with pytest.raises(ModelError, match=r"every learning rate \(1e\+28, 1e\+30\); add lower ones"):
        run(resnet, learning_rates=(1e28, 1e30))


def test_a_class_may_be_missing_in_validation(run, resnet, digits, store):
    rows = read_index(digits).filter(status="ok")
    table = rows.select("path", "split", label="target").filter(~((rows["target"] == "3") & (rows["split"] == "val")))
    index = digits.index.parents[1] / "without_threes_in_val.csv"  # above the images
    table.write_csv(index)
    data = ingest(f"csv:{index}", DataParams(), store)
    full, head = run(resnet, data)
    assert full.val_images < 30
    assert min(full.test_accuracy, head.test_accuracy) > 3 * CHANCE


def test_every_split_is_needed_and_images_must_be_as_ingested(run, resnet, store):
    without_test = ingest("mine=synthetic:shapes?images=30", DataParams(splits={"train": 0.7, "val": 0.3}), store)
    with pytest.raises(DataError, match="mine has no test images; fine-tuning learns from train, chooses on val"):
        run(resnet, without_test)
    data = ingest("synthetic:shapes?images=30", DataParams(), store)
    one, other, *_ = read_index(data)["path"]
    shutil.copy(one, other)
    with pytest.raises(DataError, match="changed after it was ingested; ingest again"):
        run(resnet, data)


def test_a_model_without_a_head_and_with_dropout(run, tmp_path):
    (tmp_path / "own.py").write_text(
        "import torch\nfrom torch import nn\nfrom torch.nn import functional\n\n\nclass Small(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.stem = nn.Conv2d(3, 16, 9, 4)\n\n"
        "    def forward_features(self, x):\n        return functional.dropout(self.stem(x).relu(), 0.2, self.training)\n\n"
        "    def forward_head(self, x, pre_logits=False):\n        return x.mean((2, 3))\n\n\n"
        "def small():\n    return Small()\n"
    )
    generator = torch.Generator().manual_seed(1)
    kernel = 0.1 * torch.randn(16, 3, 9, 9, generator=generator)
    weights = {"stem.weight": kernel, "stem.bias": torch.zeros(16)}
    save_file(weights, tmp_path / "own.safetensors")
    model = ModelRef("own", factory=f"{tmp_path / 'own.py'}:small", checkpoint=tmp_path / "own.safetensors")
    model = replace(model, preprocessing=replace(model.preprocessing, input_size=48))
    full, head = run(model, steps=8)
    again, _ = run(model, steps=8, resume="always")
    assert (full.val_loss, full.test_accuracy) == (again.val_loss, again.test_accuracy)
    assert head.val_accuracy > CHANCE
    assert load_file(tmp_path / "own.safetensors")["stem.bias"].count_nonzero() == 0


def test_grey_rectangles_are_fine_tuned(run, grey_rectangles):
    full, head = run(grey_rectangles)
    assert (full.image_size, head.image_size) == (48, 48)
    assert max(full.test_accuracy, head.test_accuracy) > CHANCE
