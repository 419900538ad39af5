"""ITM against a plain reading of its description, and where it must not see labels."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from itm.errors import ParamsError
from itm.scores import evaluate
from itm.scores import itm as engine
from itm.scores._order import canonical
from itm.scores.contract import _split
from itm.scores.itm import ItmOptions, itm


def sample(n: int = 300, d: int = 20, classes: int = 5, gap: float = 0.5, seed: int = 0):  # type: ignore[no-untyped-def]
    """Return Gaussian classes in canonical order."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    features = (rng.normal(size=(n, d)) + gap * rng.normal(size=(classes, d))[labels]).astype(np.float32)
    return canonical(features, labels, None)


def plain(features: torch.Tensor, labels: torch.Tensor, split, parameters, batches, options):  # type: ignore[no-untyped-def]
    """Train one split with torch's own layers, autograd, AdamW and the B x B kernel, and return its accuracies."""
    weight, bias, head, offset = (torch.nn.Parameter(p.clone()) for p in parameters)
    optimiser = torch.optim.AdamW([weight, bias, head, offset], options.learning_rate, weight_decay=options.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda t: 1 - t / options.schedule_steps)
    centres = torch.eye(head.shape[0])[labels]
    learn, judge = torch.from_numpy(split.learn), torch.from_numpy(split.judge)
    accuracies = []
    for step in range(options.steps):
        rows = next(batches)[0]
        theta = F.normalize(features[rows] @ weight + bias, dim=1)
        kernel = (theta @ theta.T).detach() / len(rows)
        move = torch.matrix_power(torch.eye(len(rows)) - options.eta * kernel, options.recursions)
        evolved = centres[rows] + move @ (theta - centres[rows])
        loss = F.cross_entropy(evolved @ head + offset, labels[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if (step + 1) % options.judge_every == 0:
            with torch.no_grad():
                learnt = F.normalize(features[learn] @ weight + bias, dim=1)
                inner, target = learnt.T @ learnt / len(learn), learnt.T @ centres[learn] / len(learn)
                mapping = torch.eye(len(inner))
                for _ in range(options.recursions):
                    mapping = mapping - options.eta * (inner @ mapping - target)
                logits = F.normalize(features[judge] @ weight + bias, dim=1) @ mapping @ head + offset
            accuracies.append((logits.argmax(dim=1) == labels[judge]).double().mean().item())
    return accuracies


@pytest.mark.parametrize("recursions", [1, 3])
def test_is_the_plain_reading_of_the_method(recursions: int) -> None:
    """Fed the same weights and batches, autograd over the written-out algorithm reaches the same best accuracy."""
    data, options = sample(), ItmOptions(steps=120, judge_every=20, recursions=recursions, batch_size=64)
    split = _split(len(data.labels), 11)
    features = torch.from_numpy(engine._standardised(data.features))
    generator = torch.Generator().manual_seed(split.seed)
    parameters = [p[0] for p in engine._initial(features.shape[1], data.classes, [generator])]
    batches = engine._batches(torch.from_numpy(split.learn)[None], [generator], options.batch_size)
    accuracies = plain(features, torch.from_numpy(data.labels), split, parameters, batches, options)
    assert 0.3 < max(accuracies) < 1.0
    assert itm(data, [split], options) == pytest.approx([max(accuracies)], abs=1e-9)


def test_splits_do_not_feel_each_other() -> None:
    """Five splits run together give what each gives alone."""
    data, options = sample(), ItmOptions(steps=100)
    splits = [_split(len(data.labels), seed) for seed in range(5)]
    together = itm(data, splits, options)
    assert len(set(together)) > 1
    assert together == [itm(data, [split], options)[0] for split in splits]


@pytest.mark.parametrize(("classes", "batch", "recursions", "eta"), [(37, 256, 1, 0.5), (37, 64, 100, 0.5), (37, 16, 100, 0.5)])
def test_random_labels_stay_at_chance(classes: int, batch: int, recursions: int, eta: float) -> None:
    """With transferred evaluation, labels that mean nothing score within three standard errors of chance, at any setting."""
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(2000, 64)), rng.integers(0, classes, 2000)
    options = {"batch_size": batch, "recursions": recursions, "eta": eta}
    value = evaluate("itm", features, labels, options=options).value
    best_of_five = 1 / classes + 3 * (1 / classes / 400) ** 0.5
    assert value < best_of_five


def test_labelled_evaluation_is_refused_where_it_leaks() -> None:
    """Evolving held-out rows to their own labels, strongly enough to call noise perfect, is refused."""
    with pytest.raises(ParamsError, match="use 'transferred'"):
        ItmOptions(evaluation="labelled", recursions=100)


def test_labelled_and_transferred_agree_at_the_defaults() -> None:
    """At the published setting both readings of the evaluation give the same score within a point."""
    features, labels = sample(n=2000).features, sample(n=2000).labels
    values = [evaluate("itm", features, labels, options={"evaluation": e}).value for e in ("labelled", "transferred")]
    assert abs(values[0] - values[1]) < 0.01


def test_the_control_is_itm_with_eta_zero() -> None:
    """`itm_eta0` and `itm` with eta = 0 are one score."""
    features, labels = sample().features, sample().labels
    assert evaluate("itm_eta0", features, labels) == evaluate("itm", features, labels, options={"eta": 0.0})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"eta": 1.5}, "eta is 1.5"),
        ({"recursions": 0}, "recursions is 0"),
        ({"steps": 50}, "judge_every <= steps"),
        ({"evaluation": "peeking"}, "'transferred' or 'labelled'"),
    ],
)
def test_impossible_options_are_named(options: dict[str, object], said: str) -> None:
    """An option out of range or at odds with another is an error that names it."""
    with pytest.raises(ParamsError, match=said.replace("(", "[(]")):
        ItmOptions(**options)  # type: ignore[arg-type]
