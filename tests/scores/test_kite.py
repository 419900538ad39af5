"""KITE against kernels written out; no implementation was published to compare it with."""

from dataclasses import replace

import numpy as np
import pytest

from itm.errors import ScoreError
from itm.scores import Source, canonical, evaluate
from tests.scores.samples import blobs

LABELS = np.repeat([0, 1, 2], [10, 20, 30])


def alignment(one: np.ndarray, other: np.ndarray) -> float:
    """Return the centred alignment of two kernels."""
    centring = np.eye(len(one)) - 1 / len(one)
    one, other = centring @ one @ centring, centring @ other @ centring
    return float((one * other).sum() / (np.linalg.norm(one) * np.linalg.norm(other)))


def by_definition(features: np.ndarray, labels: np.ndarray, random: np.ndarray) -> float:
    """Return the ratio of the kernel's alignments with that of one-hot classes and with a random one."""
    classes, kernel = np.eye(labels.max() + 1)[labels], features @ features.T
    return alignment(kernel, classes @ classes.T) / alignment(kernel, random)


def embeddings(width: int) -> np.ndarray:
    """Return 60 embeddings of three classes far from zero."""
    rng = np.random.default_rng(width)
    return 5 + rng.normal(size=(60, width)) + rng.normal(size=(3, width))[LABELS]


@pytest.mark.parametrize("width", [6, 200])
@pytest.mark.parametrize("random", [4, 90])
def test_equals_its_definition(width: int, random: int) -> None:
    """For more images than dimensions and for fewer, of both networks, the value is that of the kernels themselves."""
    features, untrained = embeddings(width), 3 + np.random.default_rng(0).normal(size=(60, random))
    found = evaluate("kite", features, LABELS, source=Source(untrained=untrained)).value
    assert found == pytest.approx(by_definition(features, LABELS, untrained @ untrained.T), rel=1e-9)


@pytest.mark.parametrize("width", [6, 200])
def test_without_an_untrained_network_the_random_kernel_is_the_identity(width: int) -> None:
    """Where nothing is known of an untrained network, images are as unlike each other as infinitely many features make them."""
    features = embeddings(width)
    assert evaluate("kite", features, LABELS).value == pytest.approx(by_definition(features, LABELS, np.eye(60)), rel=1e-9)


def test_many_random_features_come_near_the_identity() -> None:
    """Independent random features approach the value without an untrained network as they grow in number."""
    features, rng = embeddings(6), np.random.default_rng(1)
    limit = evaluate("kite", features, LABELS).value
    off = [
        abs(evaluate("kite", features, LABELS, source=Source(untrained=rng.normal(size=(60, count)))).value / limit - 1)
        for count in (10, 100, 1000)
    ]
    assert off[0] > off[1] > off[2]
    assert off[2] < 0.05


def test_untrained_embeddings_follow_their_images() -> None:
    """Rows in another order, or a part of them, take the untrained network's embeddings of the same images along."""
    features, untrained = embeddings(6), np.random.default_rng(0).normal(size=(60, 5))
    part = np.random.default_rng(1).permutation(60)[:40]
    sample = canonical(features, LABELS, [f"{row:02d}" for row in range(60)], Source(untrained=untrained)).take(part)
    whole = evaluate("kite", features[part], LABELS[part], source=Source(untrained=untrained[part])).value
    copied = evaluate("kite", sample.features, sample.labels, source=replace(sample.source, untrained=untrained[part])).value
    assert copied == pytest.approx(whole, rel=1e-12)
    assert by_definition(features[part], LABELS[part], untrained[part] @ untrained[part].T) == pytest.approx(whole, rel=1e-9)


def test_embeddings_like_random_ones_score_lower() -> None:
    """Of two models with equally separated classes, the one that keeps more of what an untrained network sees scores lower."""
    features, labels = blobs(gap=1.0)
    untrained = np.random.default_rng(5).normal(size=(120, 3))
    own, mixed = (
        evaluate("kite", np.c_[features, weight * untrained], labels, source=Source(untrained=untrained)).value
        for weight in (0.3, 1.0)
    )
    assert mixed < own


def test_an_untrained_network_that_sees_nothing_is_refused() -> None:
    """Random embeddings that are the same for all images leave the ratio undefined, whatever their rounding."""
    with pytest.raises(ScoreError, match="untrained network's embeddings are the same for all images"):
        evaluate("kite", embeddings(6), LABELS, source=Source(untrained=np.full((60, 4), 0.1)))


def test_embeddings_that_say_nothing_score_nothing() -> None:
    """Constant embeddings are alike to no classes, whatever their rounding."""
    assert evaluate("kite", np.full((60, 4), 0.1), LABELS).value == 0
