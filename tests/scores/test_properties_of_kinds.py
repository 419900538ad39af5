"""Properties of every score under every kind of task but classification, which `test_properties.py` has."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from itm.core.errors import ScoreError
from itm.kinds import METRICS, get_kind
from itm.scores import Splitting, canonical, evaluate_together, get, names
from tests.scores.samples import in_order, known, scored

pytestmark = pytest.mark.slow


def _labels(outputs: np.ndarray) -> np.ndarray:
    """Return three labels, from rare to frequent."""
    return (outputs[:, :3] > np.quantile(outputs[:, :3], [0.85, 0.6, 0.3], axis=0).diagonal()).astype(np.uint8)


TARGETS: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray]]] = {
    "multilabel": ("multilabel", _labels),
    "regression": ("regression", lambda outputs: outputs[:, 0]),
    "regression of several": ("regression", lambda outputs: outputs[:, :3] * [1, 100, 0.01] + [0, 7, -3]),
}
CASES = [
    pytest.param(case, name, id=f"{case}-{name}")
    for case, (kind, _) in TARGETS.items()
    for name in names()
    if kind in get(name).info.kinds and get(name).sampling != "pooled"
]
HELD_OUT = [case for case in CASES if get(str(case.values[1])).sampling == "held_out"]


def drawn(case: str, rows: int = 150, noise: float = 0.5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return embeddings and targets of a kind that depend on them."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(rows, 8)).astype(np.float32)
    outputs = features @ np.random.default_rng(1).normal(size=(8, 3)) / np.sqrt(8) + noise * rng.normal(size=(rows, 3))
    return features, TARGETS[case][1](outputs)


def value(case: str, name: str, features: np.ndarray, targets: np.ndarray, **how: Any) -> Any:
    return scored(name, features, targets, kind=TARGETS[case][0], **how)


@pytest.mark.parametrize(("case", "name"), CASES)
def test_the_order_of_rows_does_not_matter(case: str, name: str) -> None:
    features, targets = drawn(case)
    order = np.random.default_rng(1).permutation(len(targets))
    assert value(case, name, features[order], targets[order]) == value(case, name, features, targets)
    ids = np.array(in_order(targets))
    with_ids = value(case, name, features, targets, ids=ids)
    assert value(case, name, features[order], targets[order], ids=ids[order]) == with_ids


@pytest.mark.parametrize(("case", "name"), CASES)
def test_equal_embeddings_with_different_targets_have_one_order(case: str, name: str) -> None:
    features, targets = drawn(case, rows=60)
    features = np.repeat(features[:30], 2, axis=0)
    order = np.random.default_rng(1).permutation(60)
    one, other = (canonical(f, t, kind=TARGETS[case][0]) for f, t in ((features, targets), (features[order], targets[order])))
    np.testing.assert_array_equal(one.targets, other.targets)
    assert value(case, name, features[order], targets[order]) == value(case, name, features, targets)


@pytest.mark.parametrize(("case", "name"), CASES)
def test_input_is_never_changed_and_scale_does_not_matter(case: str, name: str) -> None:
    features, targets = drawn(case)
    ids, model = in_order(targets), known(features)
    for array in (features, targets):
        array.setflags(write=False)
    values = [value(case, name, features * scale, targets, ids=ids, model=model).value for scale in (2.0**-6, 1.0, 2.0**9)]
    assert values == pytest.approx([values[1]] * 3, rel=1e-9)


@pytest.mark.parametrize(("case", "name"), [case for case in CASES if get(str(case.values[1])).sampling != "constant"])
def test_targets_that_depend_more_on_the_embeddings_score_higher(case: str, name: str) -> None:
    values = [value(case, name, *drawn(case, rows=300, noise=noise), model=None).value for noise in (4.0, 1.0, 0.1)]
    assert values[0] < values[1] < values[2]


@pytest.mark.parametrize(("case", "name"), HELD_OUT)
def test_random_targets_stay_at_the_baseline(case: str, name: str) -> None:
    """No test row may have a part in what is trained: then noise predicts nothing.

    Average precision of a random order is above the share of a label by about ln(n) / n of a test set of n rows.
    """
    kind = get_kind(TARGETS[case][0])
    _, targets = drawn(case, rows=400)
    found = [value(case, name, drawn(case, rows=400, seed=seed)[0], targets, model=None) for seed in (11, 12, 13)]
    mean = np.mean([one.value for one in found])
    assert mean < found[0].details["baseline"] + 0.07
    assert found[0].metric == kind.main_metric.name


@pytest.mark.parametrize(("case", "name"), HELD_OUT)
def test_copies_in_one_group_do_not_leak(case: str, name: str) -> None:
    _, targets = drawn(case, rows=100)
    noise = np.random.default_rng(5).normal(size=(100, 60)).astype(np.float32)
    features, targets, groups = np.repeat(noise, 4, axis=0), np.repeat(targets, 4, axis=0), np.repeat(np.arange(100), 4)
    ids, model = in_order(targets), known(features)
    divided = value(case, name, features, targets, ids=ids, model=model)
    together = value(case, name, features, targets, ids=ids, model=model, groups=groups)
    assert together.value < together.details["baseline"] + 0.15
    assert divided.value > together.value + 0.1


@pytest.mark.parametrize(("case", "name"), CASES)
@pytest.mark.parametrize(
    "features",
    [
        pytest.param(np.ones((60, 6)), id="constant"),
        pytest.param(np.random.default_rng(0).normal(size=(60, 300)), id="fewer rows than features"),
        pytest.param(np.repeat(np.random.default_rng(0).normal(size=(20, 6)), 3, axis=0), id="duplicate rows"),
        pytest.param(np.random.default_rng(0).normal(size=(60, 6)) * 1e30, id="huge"),
        pytest.param(np.random.default_rng(0).normal(size=(60, 6)) + 1e4, id="far from zero"),
    ],
)
def test_odd_input_gives_a_finite_number_within_the_bounds(case: str, name: str, features: np.ndarray) -> None:
    _, targets = drawn(case, rows=60)
    result = value(case, name, features, targets)
    info = METRICS[result.metric] if result.metric else get(name).info
    assert all(np.isfinite(one) and info.lowest <= one <= info.highest for one in (result.value, *result.fold_values))


@pytest.mark.parametrize(("case", "name"), CASES)
def test_another_model_in_the_pool_changes_nothing(case: str, name: str) -> None:
    tables, targets = [drawn(case, seed=seed)[0] for seed in (1, 2)], drawn(case)[1]
    ids = in_order(targets)
    samples = [canonical(table, targets, ids, known(table), kind=TARGETS[case][0]) for table in tables]
    found = evaluate_together(name, samples, splitting=Splitting(folds=3))
    assert found == [value(case, name, table, targets, ids=ids) for table in tables]


@pytest.mark.parametrize("case", TARGETS)
def test_scores_of_another_kind_say_so(case: str) -> None:
    features, targets = drawn(case)
    kind = TARGETS[case][0]
    for name in names():
        if kind not in get(name).info.kinds and get(name).sampling != "pooled":
            with pytest.raises(ScoreError, match=f"{name} does not hold for {kind}, only for classification"):
                value(case, name, features, targets)


@pytest.mark.parametrize("case", TARGETS)
@pytest.mark.parametrize("grouped", [False, True], ids=["rows", "groups"])
def test_folds_are_balanced_over_every_stratum(case: str, grouped: bool) -> None:
    features, targets = drawn(case, rows=200)
    groups = np.arange(200) // 2 if grouped else None
    sample = canonical(features, targets, in_order(targets), kind=TARGETS[case][0], groups=groups)
    strata = sample.kind.strata(sample.targets)
    strata = np.eye(strata.max() + 1, dtype=int)[strata] if strata.ndim == 1 else strata
    counts = np.array([strata[fold.test].sum(axis=0) for fold in sample.folds(Splitting())])
    own = np.arange(200) if groups is None else groups
    random = (np.random.default_rng(0).permutation(200) % 5)[own]
    by_chance = np.array([strata[random == part].sum(axis=0) for part in range(5)])
    assert np.ptp(counts, axis=0).mean() < (0.8 if grouped else 0.6) * np.ptp(by_chance, axis=0).mean()
    if sample.groups is not None:
        for fold in sample.folds(Splitting()):
            assert not set(sample.groups[fold.train]) & set(sample.groups[fold.test])
