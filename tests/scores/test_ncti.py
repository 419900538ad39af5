"""The terms of NCTI against another implementation of discriminant analysis and the public code, and their sum."""

from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from itm.core.errors import ParamsError
from itm.core.sections import ScoreParams
from itm.core.types import Facts, Features, Outcome, ScoreValue
from itm.ranking.pooled import with_pooled
from itm.scores import evaluate, make
from itm.scores.common import discriminant as _discriminant
from itm.scores.common import statistics as _statistics
from tests.scores import public_code
from tests.scores.conftest import Golden
from tests.scores.public_code import ncti_of_posteriors
from tests.scores.samples import blobs

TERMS = ("ncti_nuclear", "ncti_posterior", "ncti_collapse")


def terms(features: np.ndarray, labels: np.ndarray, options: dict[str, object] | None = None) -> list[float]:
    """Return the three terms, the last with the published sign."""
    nuclear, posterior, collapse = (evaluate(name, features, labels, options=options).value for name in TERMS)
    return [nuclear, posterior, -collapse]


def overlapping(rows: int, width: int, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Return embeddings of classes that overlap, of unequal size and with unequal variances in turned axes."""
    rng = np.random.default_rng(rows)
    labels = np.r_[np.arange(classes), np.arange(classes), rng.integers(0, classes, rows - 2 * classes) % (classes - 1)]
    centres = rng.normal(size=(classes, width)) * 0.7
    rows_ = (rng.normal(size=(rows, width)) + centres[labels]) * np.geomspace(3, 0.1, width)
    return rows_ @ np.linalg.qr(rng.normal(size=(width, width)))[0], labels


def test_public_code_shrinks_both_covariances(golden: Golden) -> None:
    stored = golden.expected["ncti:ncti (nuclear, probability, log nuclear)"]
    reduced = PCA(64, random_state=0).fit_transform(golden.features)
    assert public_code.ncti(reduced, golden.labels) == pytest.approx(stored, rel=1e-9)


def test_the_public_terms_depend_on_the_unit_of_the_features() -> None:
    features, labels = overlapping(200, 70)
    public, ours = ([of(features * unit, labels) for unit in (0.03, 0.3)] for of in (public_code.ncti, terms))
    assert np.abs(np.subtract(*public)).min() > 0.01
    assert ours[0] == pytest.approx(ours[1], rel=1e-8)


@pytest.mark.parametrize(("rows", "width", "dimensions"), [(200, 70, 64), (300, 12, 64), (40, 90, 64), (100, 30, 3)])
def test_terms_equal_their_definition(rows: int, width: int, dimensions: int) -> None:
    features, labels = overlapping(rows, width)
    count = min(dimensions, width, rows - 1)
    reduced = PCA(count, svd_solver="full").fit_transform(features)
    means = np.stack([reduced[labels == label].mean(axis=0) for label in range(5)])
    model = LedoitWolf(assume_centered=True, store_precision=False).fit(reduced - means[labels])
    within, between = model.covariance_, np.cov(means[labels].T, bias=True)
    assert 0 < model.shrinkage_ < 1
    axes = scipy.linalg.eigh(between, within)[1][:, ::-1][:, : min(4, count)]
    posterior = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=float(model.shrinkage_)).fit(reduced, labels)
    expected = [
        float(np.linalg.norm(reduced @ axes, ord="nuc")),
        *ncti_of_posteriors(posterior.predict_proba(reduced), labels),
    ]
    assert terms(features, labels, {"dimensions": dimensions}) == pytest.approx(expected, rel=1e-7)


def test_classes_without_width_are_told_apart_for_certain() -> None:
    labels = np.arange(40) % 4
    nuclear, posterior, collapse = terms(np.eye(4)[labels] * 5, labels)
    assert posterior == pytest.approx(1)
    assert collapse == pytest.approx(np.log(4 * np.sqrt(10)))
    assert 1e4 < nuclear < np.inf


def test_embeddings_that_say_nothing_leave_the_shares() -> None:
    labels = np.repeat([0, 1], [30, 10])
    nuclear, posterior, collapse = terms(np.full((40, 3), 0.1), labels)
    assert nuclear == 0
    assert posterior == pytest.approx(0.75**2 + 0.25**2)
    assert collapse == pytest.approx(np.log(np.hypot(0.75, 0.25) * (np.sqrt(30) + np.sqrt(10))))


def test_collapse_alone_is_no_measure_of_separation() -> None:
    far = [evaluate("ncti_collapse", *blobs(n=300, gap=gap)).value for gap in (0.2, 1.0, 3.0)]
    assert far[1] < far[0]
    assert far[1] < far[2]


def test_small_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = overlapping(200, 20)
    whole = terms(features, labels)
    monkeypatch.setattr(_statistics, "BLOCK", 7 * 20)
    monkeypatch.setattr(_discriminant, "BLOCK", 3 * 5)
    assert terms(features, labels) == pytest.approx(whole, rel=1e-10)


def outcome(model: str, values: list[float]) -> Outcome:
    """Return the outcome of a model that has these terms."""
    facts = Facts(1, 0.1, 8, 48, "", "")
    features = Features(Path("x"), "k", model, "w", "petals", "d", "classification", 9, facts, 1.0, cached=False)
    named = zip(TERMS, values, strict=True)
    scores = tuple(ScoreValue("petals", "d", model, "w", name, value, (value,), 0.1) for name, value in named)
    return Outcome("petals", model, features, scores, ())


def test_the_combined_score_is_the_published_sum_plus_one() -> None:
    found = np.array([terms(*blobs(seed=seed, gap=gap)) for seed, gap in ((0, 0.3), (1, 0.6), (2, 1.0))])
    outcomes = [outcome(str(row), [a, b, -c]) for row, (a, b, c) in enumerate(found.tolist())]
    pooled = with_pooled(outcomes, ScoreParams(names=("ncti",), rank_by="ncti"))
    stretched = (found - found.min(axis=0)) / np.ptp(found, axis=0)
    expected = stretched @ [1, 1, -1] + 1
    assert [one.scores[-1].value for one in pooled] == pytest.approx(expected)
    assert [one.scores[-1].score for one in pooled] == ["ncti"] * 3


def test_options_out_of_range_are_errors() -> None:
    with pytest.raises(ParamsError, match=r"score 'ncti_nuclear' options: dimensions: must be greater than .*got 0"):
        make("ncti_nuclear", {"dimensions": 0})
