"""What ITM may not see: labels of the rows it is judged on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from itm.core.errors import ParamsError, ScoreError
from itm.scores import Splitting, evaluate
from itm.scores.itm.options import ItmOptions
from itm.scores.itm.predict import predictions
from itm.scores.itm.rows import Rows
from itm.scores.itm.score import itm
from itm.scores.itm.training import Training
from itm.scores.sample import Sample
from itm.scores.splits import Split

LEAK_TABLE = [(37, 256, 1, 0.5), (100, 256, 1, 0.5), (37, 256, 100, 1.0), (37, 64, 100, 0.5), (37, 16, 100, 0.5)]


@dataclass(frozen=True)
class Unchecked(ItmOptions):
    """Options that nobody refuses, to show what is refused and why."""

    def __post_init__(self) -> None:
        pass


def blobs(rows: int) -> Sample:
    """Return five Gaussian classes that overlap."""
    rng = np.random.default_rng(0)
    labels = np.arange(rows) % 5
    features = rng.normal(size=(rows, 20)) + 0.5 * rng.normal(size=(5, 20))[labels]
    return Sample(features.astype(np.float32), np.arange(rows), labels)


def started(sample: Sample, splits: Sequence[Split], options: ItmOptions) -> Training:
    """Return the state before the first step."""
    rows = Rows([sample], torch.device("cpu"))
    return Training(rows, torch.from_numpy(sample.labels), sample.classes, [splits], options)


def chance(classes: int, rows: int, splits: int) -> float:
    """Return what the mean over splits of the best of five judgements of noise exceeds once in 30,000 times.

    One judgement of m rows has the standard error sqrt(p (1 - p) / m), p = 1 / C, if every class has as many rows. The best
    of five normal numbers lies 1.163 of it above their mean and varies by 0.669 of it, the mean over splits by 1 / sqrt(splits)
    of that; the bound is four such deviations further up. Judgements that resemble each other stay below it even more surely.
    """
    error = (1 / classes * (1 - 1 / classes) / rows) ** 0.5
    return 1 / classes + error * (1.163 + 4 * 0.669 / splits**0.5)


@pytest.mark.parametrize(("classes", "batch", "recursions", "eta"), LEAK_TABLE)
def test_noise_stays_at_chance(classes: int, batch: int, recursions: int, eta: float) -> None:
    """Labels that mean nothing score chance, however strongly embeddings move; evolved towards their own labels they would not.

    Both readings judge the same trained weights. The second is refused where it scores noise as a pattern, and shown here to
    do so, and allowed where it does not.
    """
    rows = 4000 // (5 * classes) * 5 * classes  # every fold has as many of each class, so that guessing the commonest is chance
    noise = np.random.default_rng(0).normal(size=(rows, 64)).astype(np.float32)
    sample = Sample(noise, np.arange(rows), np.arange(rows) % classes)
    splits = Splitting().of(sample.labels)
    options = ItmOptions(batch_size=batch, recursions=recursions, eta=eta)
    training = started(sample, splits, options)
    batches = training.batches()
    judged: dict[str, list[list[float]]] = {"transferred": [], "labelled": []}
    for step in range(1, options.steps + 1):
        training.step(next(batches))
        if step % options.judge_every == 0:
            for evaluation, shares in judged.items():
                training.options = Unchecked(**{**vars(options), "evaluation": evaluation})
                found = [one.numpy() for one in predictions(training)]
                shares.append([(one == sample.labels[s.judge]).mean() for one, s in zip(found, splits, strict=True)])
    values = {evaluation: float(np.max(shares, axis=0).mean()) for evaluation, shares in judged.items()}
    (predicted,) = itm([sample], [splits], options, "cpu")
    assert not isinstance(predicted, ScoreError)
    own = np.mean([(one == sample.labels[split.judge]).mean() for one, split in zip(predicted, splits, strict=True)])
    assert own == pytest.approx(values["transferred"], abs=1e-12)  # it is what the score does
    bound = chance(classes, len(splits[0].judge), splits=5)
    assert bound < 2 / classes
    assert values["transferred"] < bound
    if eta * recursions / batch > 0.01:
        assert values["labelled"] > 5 / classes
        with pytest.raises(ParamsError, match=rf"batches of {batch} rows .*; use 'transferred'"):
            replace(options, evaluation="labelled")
    else:
        assert values["labelled"] < bound
        assert replace(options, evaluation="labelled").evaluation == "labelled"


def test_a_small_last_batch_is_refused_as_well() -> None:
    """Held-out rows that leave a last batch of 4 leak too, which no option tells; the error says how many rows there are."""
    noise = np.random.default_rng(0).normal(size=(260 * 5, 16))
    with pytest.raises(ScoreError, match=r"batches of 4 rows at eta \* recursions / rows = 0\.125 \(> 0\.01\)"):
        evaluate("itm", noise, np.arange(1300) % 5, options={"evaluation": "labelled"})


def test_labelled_and_transferred_agree_at_the_published_setting() -> None:
    """With the published options both readings give the same score within a point."""
    sample = blobs(2000)
    values = [
        evaluate("itm", sample.table, sample.labels, options={"evaluation": e}).value for e in ("labelled", "transferred")
    ]
    assert 0.4 < values[0] < 1
    assert values == pytest.approx([values[0]] * 2, abs=0.01)


def test_held_out_labels_do_not_count() -> None:
    """The same rows held out with other labels get the same predictions, as long as nothing is picked by them."""
    sample, options = blobs(330), ItmOptions(steps=60, judge_every=60, recursions=50, eta=1.0)
    (split,) = Splitting("paper").of(sample.labels)
    turned = sample.labels.copy()
    turned[split.judge] = (turned[split.judge] + 1) % 5
    other = Sample(sample.table, sample.rows, turned)
    one, two = (itm([given], [[split]], options, "cpu")[0][0] for given in (sample, other))  # type: ignore[index]
    np.testing.assert_array_equal(one, two)
