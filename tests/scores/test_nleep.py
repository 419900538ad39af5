"""N-LEEP against its definition and the public code of SFDA, and with few images per class."""

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from itm.core.errors import ParamsError, ScoreError
from itm.scores import evaluate, make
from tests.scores import public_code
from tests.scores.conftest import Golden
from tests.scores.samples import blobs, in_order

pytestmark = pytest.mark.slow


def test_public_code_has_full_covariances_and_no_log(golden: Golden) -> None:
    stored = golden.expected["nleep:sfda (seed 0, no log)"]
    assert public_code.nleep(golden.features, golden.labels) == pytest.approx(stored, rel=1e-3)
    assert evaluate("nleep", golden.features, golden.labels).value < 0 < stored


def test_equals_the_definition() -> None:
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


def test_a_mixture_of_some_rows_stands_for_all() -> None:
    features, labels = blobs(n=3000, gap=1.0)
    whole = evaluate("nleep", features, labels).value
    assert evaluate("nleep", features, labels, options={"rows": 1500}).value == pytest.approx(whole, abs=0.05)


@pytest.mark.parametrize("images", [5, 50])
def test_few_images_per_class_still_distinguish_spaces(images: int) -> None:
    values = [
        np.mean([evaluate("nleep", *blobs(n=10 * images, classes=10, gap=gap, seed=seed)).value for seed in range(3)])
        for gap in (0.0, 1.5, 4.0)
    ]
    assert values[0] < -1
    assert values[0] < values[1] < values[2]


def test_the_unit_of_the_features_matters_to_public_code_alone() -> None:
    features, labels = blobs(n=40, d=60)
    large = features * np.float32(1e6)
    with pytest.raises(ValueError, match="ill-defined empirical covariance"):
        public_code.nleep(large, labels)
    ids = in_order(labels)
    ours = [evaluate("nleep", one, labels, ids=ids).value for one in (features, large)]
    assert ours[0] == pytest.approx(ours[1], rel=1e-6)
    with pytest.raises(ValueError, match="n_samples = 12"):
        public_code.nleep(*blobs(n=12))
    assert np.isfinite(evaluate("nleep", *blobs(n=12)).value)


def test_more_classes_than_rows_to_fit_are_an_error() -> None:
    with pytest.raises(ScoreError, match="nleep needs 150 rows for its components, not 100; raise the option rows"):
        evaluate("nleep", blobs(n=300)[0], np.arange(300) % 150, options={"rows": 100})


@pytest.mark.parametrize(
    ("option", "value"), [("variance", 1.0), ("regularisation", 0.0), ("components", 0), ("rows", 5), ("seed", -1)]
)
def test_options_out_of_range_are_errors(option: str, value: float) -> None:
    with pytest.raises(ParamsError, match=f"score 'nleep' options: {option}: must be (greater|less) .*got {value}"):
        make("nleep", {option: value})
