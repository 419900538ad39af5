"""ITM must not use the labels of test rows."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from itm.core.errors import ScoreError
from itm.scores import Splitting, evaluate
from itm.scores.folds import Fold
from itm.scores.itm.options import ItmOptions
from itm.scores.itm.predict import predictions
from itm.scores.itm.rows import Rows
from itm.scores.itm.score import Itm
from itm.scores.itm.training import Training
from itm.scores.sample import Sample

pytestmark = pytest.mark.slow

LEAK_TABLE = [(37, 256, 1, 0.5), (100, 256, 1, 0.5), (37, 256, 100, 1.0), (37, 64, 100, 0.5), (37, 16, 100, 0.5)]


def blobs(rows: int) -> Sample:
    """Return five Gaussian classes that overlap."""
    rng = np.random.default_rng(0)
    labels = np.arange(rows) % 5
    features = rng.normal(size=(rows, 20)) + 0.5 * rng.normal(size=(5, 20))[labels]
    return Sample(features.astype(np.float32), np.arange(rows), labels)


def started(sample: Sample, folds: Sequence[Fold], options: ItmOptions) -> Training:
    """Return the state before the first step."""
    rows = Rows([sample], torch.device("cpu"))
    return Training(rows, torch.from_numpy(sample.labels), sample.classes, [folds], options)


def chance(classes: int, rows: int, folds: int) -> float:
    """Return what the mean over folds of the best of five accuracies of noise exceeds once in 30,000 times.

    An accuracy on m rows has the standard error sqrt(p (1 - p) / m), p = 1 / C, if all classes have the same number of rows.
    The best of five normal numbers lies 1.163 of it above their mean and varies by 0.669 of it; the mean over folds varies by
    1 / sqrt(folds) of that. The bound is four such deviations above. Accuracies that are correlated stay below it all the more.
    """
    error = (1 / classes * (1 - 1 / classes) / rows) ** 0.5
    return 1 / classes + error * (1.163 + 4 * 0.669 / folds**0.5)


@pytest.mark.parametrize(("classes", "batch", "recursions", "eta"), LEAK_TABLE)
def test_noise_stays_at_chance(classes: int, batch: int, recursions: int, eta: float) -> None:
    """Random labels score chance, however strongly embeddings move. Evolved towards their own labels, test rows would not.

    Both ways evaluate the same trained weights. The second is an error where it scores noise as a pattern, and is shown to do
    so here; it is allowed where it does not.
    """
    rows = 4000 // (5 * classes) * 5 * classes  # classes of equal size in every fold: guessing is chance
    noise = np.random.default_rng(0).normal(size=(rows, 64)).astype(np.float32)
    sample = Sample(noise, np.arange(rows), np.arange(rows) % classes)
    folds = Splitting().of(sample.labels)
    options = ItmOptions(batch_size=batch, recursions=recursions, eta=eta)
    training = started(sample, folds, options)
    batches = training.batches()
    accuracies: dict[str, list[list[float]]] = {"transferred": [], "labelled": []}
    for step in range(1, options.steps + 1):
        training.step(next(batches))
        if step % options.evaluate_every == 0:
            for evaluation, shares in accuracies.items():
                training.options = options.model_copy(update={"evaluation": evaluation})  # without the check
                found = [one.numpy() for one in predictions(training)]
                shares.append([(one == sample.labels[s.test]).mean() for one, s in zip(found, folds, strict=True)])
    values = {evaluation: float(np.max(shares, axis=0).mean()) for evaluation, shares in accuracies.items()}
    predicted = Itm(options).predict(sample, folds)
    own = np.mean([(one == sample.labels[fold.test]).mean() for one, fold in zip(predicted, folds, strict=True)])
    assert own == pytest.approx(values["transferred"], abs=1e-12)  # it is what the score does
    bound = chance(classes, len(folds[0].test), folds=5)
    assert bound < 2 / classes
    assert values["transferred"] < bound
    if eta * recursions / batch > 0.01:
        assert values["labelled"] > 5 / classes
        with pytest.raises(ValueError, match=rf"batches of {batch} rows .*; use 'transferred'"):
            ItmOptions(batch_size=batch, recursions=recursions, eta=eta, evaluation="labelled")
    else:
        assert values["labelled"] < bound
        labelled = ItmOptions(batch_size=batch, recursions=recursions, eta=eta, evaluation="labelled")
        assert labelled.evaluation == "labelled"


def test_a_small_last_batch_is_refused_as_well() -> None:
    noise = np.random.default_rng(0).normal(size=(260 * 5, 16))
    with pytest.raises(ScoreError, match=r"batches of 4 rows at eta \* recursions / rows = 0\.125 \(> 0\.01\)"):
        evaluate("itm", noise, np.arange(1300) % 5, options={"evaluation": "labelled"})


def test_labelled_and_transferred_agree_at_the_published_setting() -> None:
    sample = blobs(2000)
    values = [
        evaluate("itm", sample.table, sample.labels, options={"evaluation": e}).value for e in ("labelled", "transferred")
    ]
    assert 0.4 < values[0] < 1
    assert values == pytest.approx([values[0]] * 2, abs=0.01)


def test_held_out_labels_do_not_count() -> None:
    sample, options = blobs(330), ItmOptions(steps=60, evaluate_every=60, recursions=50, eta=1.0)
    (fold,) = Splitting("holdout").of(sample.labels)
    turned = sample.labels.copy()
    turned[fold.test] = (turned[fold.test] + 1) % 5
    other = Sample(sample.table, sample.rows, turned)
    one, two = (Itm(options).predict(given, [fold])[0] for given in (sample, other))
    np.testing.assert_array_equal(one, two)
