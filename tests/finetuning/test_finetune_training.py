"""The parts of a run: the head, the crops, batch norm, the schedule and the parameters."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.datasets import load_digits, make_classification
from sklearn.linear_model import LogisticRegression

from itm.core.errors import DataError, ParamsError
from itm.core.sections import FinetuneParams
from itm.core.types import TargetSpec
from itm.core.yaml_records import parse
from itm.data.index import read_index
from itm.finetuning.head import train_head
from itm.finetuning.images import read_images
from itm.finetuning.steps import learning_rates
from itm.finetuning.training import Training
from itm.finetuning.trajectory import Trajectory
from itm.store.layout import Store
from itm.zoo import facts as zoo_facts
from itm.zoo import load
from tests.finetuning.conftest import TEN

pytestmark = pytest.mark.slow

SPLITS = {"train": slice(0, 300), "val": slice(300, 450), "test": slice(450, 1700)}


def classes(count: int) -> TargetSpec:
    return TargetSpec("classification", tuple(f"{number}" for number in range(count)))


@pytest.mark.parametrize("made", ["digits", "many dimensions"])
def test_the_head_is_as_good_as_logistic_regression(made):
    if made == "digits":
        x, y = load_digits(return_X_y=True)
        order = np.random.default_rng(0).permutation(len(y))
        (x, y), tolerance = (x[order], y[order]), 0.02
    else:
        x, y = make_classification(1700, 400, n_informative=60, n_redundant=300, n_classes=5, class_sep=2, random_state=0)
        x, tolerance = 3 * x + 100, 0.03
    embedded = {name: (torch.from_numpy(x[rows]).float(), torch.from_numpy(y[rows])) for name, rows in SPLITS.items()}
    head = train_head(embedded, classes(len(set(y))), seed=0)
    scaled = (x - x[SPLITS["train"]].mean(0)) / x[SPLITS["train"]].std(0).clip(1e-6)
    judged = []
    for strength in (1e-4, 1e-3, 1e-2, 1e-1, 1.0):
        other = LogisticRegression(C=strength, max_iter=300).fit(scaled[SPLITS["train"]], y[SPLITS["train"]])
        judged.append([other.score(scaled[SPLITS[name]], y[SPLITS[name]]) for name in ("val", "test")])
    assert head.evaluations["test"].accuracy > max(judged)[1] - tolerance
    logits = embedded["test"][0] @ head.weight.T + head.bias  # of embeddings as they are
    assert float((logits.argmax(1) == embedded["test"][1]).double().mean()) == head.evaluations["test"].accuracy


def test_whole_crops_are_the_image_and_smaller_ones_lie_inside(images):
    rows = torch.arange(8)
    plain = next(images.batches("train"))[0][:8]
    whole, labels = images.cropped(rows, 1.0, False, torch.Generator().manual_seed(0))
    assert whole.shape == plain.shape
    assert labels.tolist() == images.splits["train"].labels[:8].tolist()
    difference = (whole - plain).abs().mean()
    assert difference < 0.15 * plain.std()
    one, other = (images.cropped(rows, 0.5, False, torch.Generator().manual_seed(seed))[0] for seed in (0, 1))
    assert (one - plain).abs().mean() > 2 * difference
    assert (one - other).abs().mean() > 2 * difference
    turned = images.cropped(rows, 1.0, True, torch.Generator().manual_seed(0))[0]
    straight = [(turned[row] - whole[row]).abs().max() < 1e-4 for row in range(8)]
    mirrored = [(turned[row].flip(2) - whole[row]).abs().mean() < 0.02 for row in range(8)]
    assert [not same for same in straight] == mirrored
    assert 0 < sum(mirrored) < 8


def test_judged_images_are_those_of_extraction(images, digits, resnet):
    from io import BytesIO

    from itm.data.pixels import read_rgb

    transform = zoo_facts.create_transform(zoo_facts.preprocessing_without_weights(resnet))
    paths = read_index(digits).filter(status="ok", split="val")["path"]
    expected = torch.stack([transform(read_rgb(BytesIO(path.read_bytes()))) for path in map(type(digits.index), paths)])
    torch.testing.assert_close(torch.cat([batch for batch, _ in images.batches("val")]), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", [[3, 48, 48], [3, 20000, 20000]])
def test_an_image_that_changed_or_becomes_too_large_is_named(digits, resnet, size):
    config = zoo_facts.preprocessing_without_weights(resnet) | {"input_size": size}
    table = read_index(digits)
    bad = table.filter(status="ok", split="train")["path"][0]
    changed = table.with_columns(id=pl.when(pl.col("path") == bad).then(pl.lit("0" * 64)).otherwise("id"))
    reason = "changed after it was ingested" if size[1] == 48 else "8 x 8 pixels cannot be resized"
    with pytest.raises(DataError, match=rf"{bad}.*{reason}"):
        read_images(changed if size[1] == 48 else table, digits, config, torch.device("cpu"), Store(Path()))


@pytest.mark.parametrize(
    ("options", "moves"), [({"batch_norm": "frozen"}, False), ({"batch_size": 8}, False), ({"batch_norm": "train"}, True)]
)
def test_frozen_batch_norm_keeps_its_statistics(images, resnet, options, moves):
    backbone = load.build(resnet)
    before = {name: value.clone() for name, value in backbone.state_dict().items() if "running" in name}
    training = Training(backbone, images, TEN, FinetuneParams(**options), "digits")
    head = train_head(training.embedded_at_start, TEN, 0)
    trained = Trajectory(training, head, 1e-3, 3, 1, 0).finish()
    after = {name.removeprefix("backbone."): value for name, value in trained.state.items()}
    assert before
    assert any(not torch.equal(value, after[name]) for name, value in before.items()) is moves
    assert not torch.equal(after["conv1.0.weight"], load.build(resnet).state_dict()["conv1.0.weight"])


def test_auto_takes_the_statistics_that_a_head_prefers(images, resnet):
    backbone = load.build(resnet)
    moved = Training(backbone, images, TEN, FinetuneParams(batch_norm="train"), "digits")
    fixed_head, moved_head = (train_head(one, TEN, 0).evaluations["val"] for one in (moved.embedded, moved.embedded_at_start))
    auto = Training(load.build(resnet), images, TEN, FinetuneParams(), "digits")
    prefers_moved = (moved_head.accuracy, -moved_head.loss) > (fixed_head.accuracy, -fixed_head.loss)
    assert auto.statistics.frozen is not prefers_moved
    expected = moved.embedded_at_start if prefers_moved else moved.embedded
    torch.testing.assert_close(auto.embedded_at_start["val"][0], expected["val"][0])


def test_few_images_lower_the_learning_rates():
    params = FinetuneParams()
    assert learning_rates(params, 200, 10) == params.learning_rates
    assert learning_rates(params, 199, 10)[0] == pytest.approx(1e-5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"learning_rates": [1e-4, 1e-3]}, "finetune.learning_rates: must be positive and span a factor of 100 or more"),
        ({"learning_rates": [0.0, 1.0]}, "must be positive"),
        ({"crop": 0.0}, "finetune.crop"),
        ({"protocols": ["ful"]}, "finetune.protocols.0"),
        ({"step": 3}, "unknown key 'finetune.step'; did you mean 'steps'"),
    ],
)
def test_parameters_are_checked(values, message):
    from itm.core.params import Params

    with pytest.raises(ParamsError, match=message.replace("(", r"\(")):
        parse({"finetune": values}, Params, "test")
