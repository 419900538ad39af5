"""N-LEEP against its definition, against the value of the code that came with SFDA, and with few images a class."""

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from itm.core.errors import ParamsError, ScoreError
from itm.scores import check_options, evaluate
from tests.scores.conftest import Golden
from tests.scores.samples import blobs


def test_the_reference_equals_the_stored_value(golden: Golden) -> None:
    """With full covariances, the stored seed and rows in the stored order, the value is that of the public code."""
    ids = [f"{row:06d}" for row in range(len(golden.labels))]
    value = evaluate("nleep", golden.features, golden.labels, ids=ids, options={"reference": True}).value
    assert value == pytest.approx(golden.expected["nleep:sfda (seed 0, no log)"], rel=1e-3)


def test_equals_the_definition() -> None:
    """The default is a diagonal mixture in the axes of an SVD that hold 80 % of the variance, and the log of LEEP's sum."""
    features, labels = blobs(n=300, d=10, gap=1.5)
    features = features.astype(np.float64) * np.logspace(0, -1, 10)
    ids = [f"{row:03d}" for row in range(300)]
    left, sizes, _ = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)
    count = next(k for k in range(1, 11) if (sizes[:k] ** 2).sum() > 0.8 * (sizes**2).sum())
    assert 1 < count < 10
    rows = left[:, :count] * sizes[:count]
    rows /= np.sqrt((rows**2).mean())
    mixture = GaussianMixture(20, covariance_type="diag", reg_covar=0.01, random_state=0).fit(rows)
    soft = mixture.predict_proba(rows)
    logs = []
    for row, label in zip(soft, labels, strict=True):
        logs.append(np.log(sum(weight * soft[labels == label, v].sum() / soft[:, v].sum() for v, weight in enumerate(row))))
    assert evaluate("nleep", features, labels, ids=ids).value == pytest.approx(np.mean(logs), rel=1e-6)


def test_a_mixture_of_some_rows_judges_all() -> None:
    """Where more rows come than it is fitted to, the value hardly changes."""
    features, labels = blobs(n=3000, gap=1.0)
    whole = evaluate("nleep", features, labels).value
    assert evaluate("nleep", features, labels, options={"rows": 1500}).value == pytest.approx(whole, abs=0.05)


@pytest.mark.parametrize("images", [5, 50])
def test_few_images_a_class_still_tell_spaces_apart(images: int) -> None:
    """With 5 or 50 images a class, noise is far from perfect, and better separated classes score higher."""
    values = [
        np.mean([evaluate("nleep", *blobs(n=10 * images, classes=10, gap=gap, seed=seed)).value for seed in range(3)])
        for gap in (0.0, 1.5, 4.0)
    ]
    assert values[0] < -1
    assert values[0] < values[1] < values[2]


def test_the_reference_says_where_it_fails() -> None:
    """Fewer rows than components, and covariances that are singular in the features' unit, are errors that name the way out."""
    with pytest.raises(ScoreError, match="needs 20 rows for its components, not 12; leave reference off"):
        evaluate("nleep", *blobs(n=12), options={"reference": True})
    features, labels = blobs(n=40, d=60)
    with pytest.raises(ScoreError, match=r"fails on 40 rows in .* leave reference off"):
        evaluate("nleep", features * np.float32(1e6), labels, options={"reference": True})


@pytest.mark.parametrize("options", [{"variance": 1.0}, {"regularisation": 0.0}, {"components": 0}, {"rows": 5}, {"seed": -1}])
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    """An option that makes no sense is an error that names the score."""
    with pytest.raises(ParamsError, match="nleep needs"):
        check_options("nleep", options)
