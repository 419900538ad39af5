"""ITM against a plain implementation of its description, and lanes that do not affect each other."""

from collections.abc import Sequence
from itertools import islice

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from itm.core.errors import ScoreError
from itm.scores import Fold, Sample, Splitting, canonical, evaluate, evaluate_together
from itm.scores.itm import predict as _predict
from itm.scores.itm import rows as _rows
from itm.scores.itm.options import ItmOptions
from itm.scores.itm.predict import predictions
from itm.scores.itm.rows import Rows
from itm.scores.itm.score import Itm
from itm.scores.itm.training import Training

Tensor = torch.Tensor
pytestmark = pytest.mark.slow


def made(rows: int = 330, width: int = 20, classes: int = 5, gap: float = 0.5, seed: int = 0) -> Sample:
    """Return Gaussian classes with centres about `gap` apart."""
    rng = np.random.default_rng(seed)
    labels = np.arange(rows) % classes
    features = rng.normal(size=(rows, width)) + gap * rng.normal(size=(classes, width))[labels]
    return Sample(features.astype(np.float32), np.arange(rows), labels)


def shuffled(sample: Sample, seed: int) -> Sample:
    """Return the rows in random order: samples then have different labels in the same place."""
    order = np.random.default_rng(seed).permutation(len(sample.labels))
    return Sample(sample.table, order, sample.labels[order])


def trained(samples: Sequence[Sample], folds: Sequence[Sequence[Fold]], options: ItmOptions) -> Training:
    """Return the state before the first step."""
    labels = torch.from_numpy(np.concatenate([sample.labels for sample in samples]))
    return Training(Rows(samples, torch.device("cpu")), labels, samples[0].classes, folds, options)


class Plain:
    """One lane of torch's own layers, autograd, AdamW and schedule, and the power of the B x B matrix, in float64.

    In float32 it would itself be further from the truth: a ReLU that rounding opens for a row moves its weights by a leap.
    """

    def __init__(self, sample: Sample, fold: Fold, start: Training, lane: int) -> None:
        table = sample.table.astype(np.float64)
        self.features = torch.from_numpy((table - table.mean(axis=0)) / table.std(axis=0))
        self.labels, self.fold, self.options = torch.from_numpy(sample.labels), fold, start.options
        self.table, network = (
            start.centres.lanes(slice(lane, lane + 1)).table[0].double(),
            start.network.lanes(slice(lane, lane + 1)),
        )
        linear = [torch.nn.Linear(weight.shape[2], weight.shape[1]).double() for weight in network.parameters[::2]]
        self.map = torch.nn.Sequential(*[layer for one in linear[:-2] for layer in (one, torch.nn.ReLU())], linear[-2])
        self.head = linear[-1]
        parameters = [parameter for layer in linear for parameter in layer.parameters()]
        for parameter, value in zip(parameters, network.parameters, strict=True):
            parameter.data.copy_(value.reshape(parameter.shape))
        self.optimiser = torch.optim.AdamW(parameters, self.options.learning_rate, weight_decay=self.options.weight_decay)
        steps = self.options.schedule_steps
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimiser, lambda step: 1 - step / steps)

    def theta(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return Theta of some rows, and their centres."""
        theta = F.normalize(self.map(self.features[rows]), dim=1)
        centres, start = self.table[self.labels[rows]], theta.detach()
        if self.options.centre_offset:
            centres = start.mean(dim=0) + start.std(dim=0, correction=0) * centres
        return theta, centres

    def step(self, rows: Tensor) -> float:
        """Take one step and return the loss before it."""
        theta, centres = self.theta(rows)
        kernel = (theta @ theta.T + float(self.options.mapping_bias)).detach() / len(rows)
        move = torch.matrix_power(
            torch.eye(len(rows), dtype=torch.float64) - self.options.eta * kernel, self.options.recursions
        )
        loss = F.cross_entropy(self.head(centres + move @ (theta - centres)), self.labels[rows])
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.schedule.step()
        return loss.item()

    def predictions(self) -> np.ndarray:
        """Return the classes of the test rows, moved by a linear layer that was trained to move the training rows."""
        with torch.no_grad():
            trained, centres = self.theta(torch.from_numpy(self.fold.train))
            tested, _ = self.theta(torch.from_numpy(self.fold.test))
        layer = torch.nn.Linear(trained.shape[1], trained.shape[1], bias=self.options.mapping_bias).double()
        torch.nn.init.eye_(layer.weight)
        if self.options.mapping_bias:
            torch.nn.init.zeros_(layer.bias)
        descent = torch.optim.SGD(layer.parameters(), self.options.eta)
        for _ in range(self.options.recursions):
            descent.zero_grad()
            (0.5 * F.mse_loss(layer(trained), centres, reduction="sum") / len(trained)).backward()
            descent.step()
        return np.asarray(self.head(layer(tested)).argmax(dim=1))


@pytest.mark.parametrize("hidden", [0, 1])
@pytest.mark.parametrize("recursions", [1, 3])
@pytest.mark.parametrize(
    "more",
    [{}, {"mapping_bias": True}, {"centres": "random", "centre_dimensions": 9, "centre_offset": True, "mapping_bias": True}],
    ids=["as published", "with a bias", "random centres"],
)
def test_equals_the_plain_implementation(hidden: int, recursions: int, more: dict[str, object]) -> None:
    """Plain torch gets the same weights and batches. The schedule ends soon after the last step and weights decay fast, so that
    both matter.
    """
    options = ItmOptions(
        hidden_blocks=hidden,
        recursions=recursions,
        batch_size=64,
        steps=80,
        evaluate_every=20,
        schedule_steps=100,
        weight_decay=0.5,
        **more,  # type: ignore[arg-type]
    )
    sample = made(gap=1.0 / (1 + hidden))
    folds = Splitting("holdout", repeats=2).of(sample.labels)
    training = trained([sample], [folds], options)
    plain = [Plain(sample, fold, training, lane) for lane, fold in enumerate(folds)]
    batches, evaluated = training.batches(), []
    for step in range(1, options.steps + 1):
        rows = next(batches)
        expected = [one.step(own) for one, own in zip(plain, rows, strict=True)]
        losses = -training.step(rows).log().mean(dim=1)
        assert losses.tolist() == pytest.approx(expected, abs=1e-4 if hidden else 1e-5)
        if step % options.evaluate_every == 0:
            evaluated.append([one.predictions() for one in plain])
            for found, one in zip(predictions(training), evaluated[-1], strict=True):
                assert (found.numpy() == one).mean() > 0.98
    for pick in ("best", "last"):
        found = Itm(options.model_copy(update={"pick": pick})).predict(sample, folds)
        for lane, fold in enumerate(folds):
            right = [(one[lane] == sample.labels[fold.test]).mean() for one in evaluated]
            assert 0.25 < right[-1] < 1
            expected_share = max(right) if pick == "best" else right[-1]
            assert (found[lane] == sample.labels[fold.test]).mean() == pytest.approx(expected_share, abs=0.02)


def test_an_epoch_is_every_row_once_in_a_new_order() -> None:
    sample, options = made(), ItmOptions(batch_size=100)
    folds = Splitting().of(sample.labels)
    batches = trained([sample], [folds], options).batches()
    epochs = [torch.cat(some, dim=1).numpy() for some in [[next(batches) for _ in range(3)] for _ in range(2)]]
    for epoch in epochs:
        for rows, fold in zip(epoch, folds, strict=True):
            np.testing.assert_array_equal(np.sort(rows), fold.train)
    assert len({tuple(rows) for epoch in epochs for rows in epoch}) == 10


LANE_OPTIONS = [
    ItmOptions(steps=60, evaluate_every=20),
    ItmOptions(steps=60, evaluate_every=20, batch_size=50, recursions=4, hidden_blocks=1),
    ItmOptions(steps=60, evaluate_every=20, inner_loss="cross_entropy", mapping_bias=True),
    ItmOptions(steps=60, evaluate_every=20, centres="random", centre_dimensions=13, centre_offset=True),
    ItmOptions(steps=60, evaluate_every=20, centres="principal_axes", inner_loss="mae"),
    ItmOptions(steps=60, evaluate_every=20, evaluation="labelled"),
]


@pytest.mark.parametrize("options", LANE_OPTIONS, ids=range(len(LANE_OPTIONS)))
def test_lanes_do_not_affect_each_other(options: ItmOptions) -> None:
    samples = [shuffled(made(gap=gap, seed=seed), seed) for seed, gap in enumerate((0.5, 0.7, 0.9))]
    folds, score = [Splitting(seed=seed).of(sample.labels) for seed, sample in enumerate(samples)], Itm(options)
    together = score._train(samples, folds, torch.device("cpu"), None)
    for sample, own, found in zip(samples, folds, together, strict=True):
        assert not isinstance(found, ScoreError)
        assert len({tuple(one) for one in found}) == len(own)
        for fold, one in zip(own, found, strict=True):
            (alone,) = score.predict(sample, [fold])
            np.testing.assert_array_equal(one, alone)


def test_models_do_not_affect_each_other_with_folds_of_unequal_size() -> None:
    tables, labels = [made(333, gap=gap, seed=seed).table for seed, gap in enumerate((0.3, 0.5, 0.7))], made(333).labels
    ids, options = [f"{row:03d}" for row in range(333)], {"steps": 100, "recursions": 5}
    samples = [canonical(table, labels, ids) for table in tables]
    together = evaluate_together("itm", samples, options=options)
    assert together == evaluate_together("itm", samples, options=options)
    assert together == [evaluate("itm", table, labels, ids=ids, options=options) for table in tables]
    assert len({str(one) for one in together}) == 3


def test_a_model_that_diverges_fails_alone() -> None:
    rng = np.random.default_rng(0)
    labels = (np.arange(200) % 10 > 7).astype(int)
    equal = np.repeat(rng.normal(size=(200, 1)), 1024, axis=1)  # all of them pull the map the same way
    samples = [Sample(table, np.arange(200), labels) for table in (rng.normal(size=(200, 1024)), equal, np.ones((200, 1024)))]
    folds = [Splitting().of(labels)] * 3
    score = Itm(ItmOptions(learning_rate=1e36, weight_decay=0.0, batch_size=8, steps=2, evaluate_every=1))
    found = score._train(samples, folds, torch.device("cpu"), None)
    assert isinstance(found[1], ScoreError)
    assert str(found[1]) == "itm diverged: its loss is no longer a number; learning_rate is 1e+36, lower it."
    for number in (0, 2):
        np.testing.assert_array_equal(found[number], score.predict(samples[number], folds[number]))


def test_a_learning_rate_far_too_large_is_an_error() -> None:
    with pytest.raises(ScoreError, match=r"itm diverged: .* learning_rate is 1e\+30, lower it"):
        evaluate("itm", made().table, made().labels, options={"learning_rate": 1e30})


@pytest.mark.parametrize("options", LANE_OPTIONS[:-1], ids=range(len(LANE_OPTIONS) - 1))
def test_predictions_do_not_depend_on_blocks(options: ItmOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = [shuffled(made(seed=seed), seed) for seed in range(2)]
    whole = trained(samples, [Splitting().of(sample.labels) for sample in samples], options)
    for rows in islice(whole.batches(), 60):
        whole.step(rows)
    expected = torch.cat(predictions(whole))
    assert 0.3 < (expected == whole.labels[torch.cat(whole.test)]).double().mean() < 1
    assert whole.block > 330
    whole.block = 31
    assert torch.equal(torch.cat(predictions(whole)), expected)
    monkeypatch.setattr(_predict, "REMEMBERED", 0)
    assert torch.equal(torch.cat(predictions(whole)), expected)
    monkeypatch.setattr(_rows, "KEPT", 0)
    whole.rows = Rows(samples, torch.device("cpu"))
    assert torch.equal(torch.cat(predictions(whole)), expected)


def test_the_control_is_itm_with_eta_zero() -> None:
    features, labels = made().table, made().labels
    control, own = evaluate("itm_eta0", features, labels), evaluate("itm", features, labels, options={"eta": 0.0})
    assert (control.value, control.fold_values) == (own.value, own.fold_values)
    assert own.details == control.details | {"control": own.value}


def test_itm_and_its_control_train_the_same_lanes_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sample, options = canonical(made().table, made().labels), {"steps": 100}
    trained_samples: list[int] = []
    real = Itm._train
    monkeypatch.setattr(Itm, "_train", lambda self, samples, *rest: trained_samples.append(1) or real(self, samples, *rest))
    (found,) = evaluate_together("itm", [sample], options=options)
    (control,) = evaluate_together("itm_eta0", [sample], options=options)
    assert len(trained_samples) == 2
    assert not isinstance(found, ScoreError)
    assert not isinstance(control, ScoreError)
    assert found.details["control"] == control.value
