"""Segmentation: targets of masks, mean IoU, and that random masks stay at the baseline."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import jaccard_score

from itm.core.errors import DataError, ScoreError
from itm.core.types import TargetSpec
from itm.kinds import get_kind
from itm.kinds.mask_target import MaskTarget
from itm.kinds.metrics import mean_iou
from itm.scores import evaluate, get, names

KIND = get_kind("segmentation")
STREET = MaskTarget("a" * 64, ((0, "sky", 90), (2, "road", 100), (10, "car", 100))).text
FIELD = MaskTarget("b" * 64, ((0, "sky", 90), (1, "tree", 10))).text


def test_classes_are_numbered_in_the_order_of_their_values() -> None:
    spec = KIND.specify([FIELD, STREET])
    assert spec == TargetSpec("segmentation", ("sky", "tree", "road", "car"))
    assert KIND.encode([FIELD, STREET], spec).tolist() == [0, 2]
    assert (KIND.level, KIND.describe(spec)) == ("patch", "4 classes")


def test_a_target_is_read_from_its_canonical_text() -> None:
    assert KIND.read(STREET) == STREET
    assert MaskTarget.read(STREET).numbers({"sky": 0, "tree": 1, "road": 2, "car": 3}) == {0: 0, 2: 2, 10: 3}
    for text in ("", "cat", "{}", '{"mask":"a","classes":[[0]],"patches":1}'):
        with pytest.raises(DataError, match="no mask"):
            KIND.read(text)


def test_what_cannot_be_ranked_is_told() -> None:
    spec = TargetSpec("segmentation", ("sky", "road"))
    assert KIND.check(np.zeros(5), spec, [None] * 5) == []
    assert KIND.check(np.zeros(4), spec, [None] * 4) == ["there are 4 usable images; segmentation needs 5 or more"]
    assert "only one class, 'sky'" in KIND.check(np.zeros(5), TargetSpec("segmentation", ("sky",)), [None] * 5)[0]
    assert KIND.warnings(TargetSpec("segmentation", ("Sky", "sky")))[0].startswith("these classes have nearly the same name")


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40).map(np.array))
def test_mean_iou_is_the_mean_jaccard_score_of_the_classes(pairs: np.ndarray) -> None:
    predicted, actual = pairs.T
    assert mean_iou(predicted, actual) == pytest.approx(jaccard_score(actual, predicted, average="macro", zero_division=0.0))


def patches(images: int = 40, each: int = 12, classes: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return embeddings of patches that are alike within an image, classes that are random, and the image of each patch."""
    rng = np.random.default_rng(0)
    image = np.repeat(np.arange(images), each)
    features = rng.normal(size=(images, 16))[image] + 0.1 * rng.normal(size=(len(image), 16))
    return features.astype(np.float32), rng.integers(0, classes, images)[image], image


@pytest.mark.slow
@pytest.mark.parametrize("name", ["itm", "knn", "linear_probe", "nearest_class_mean"])
def test_random_masks_stay_at_the_baseline(name: str) -> None:
    """With one class per image and embeddings that tell images apart, any leak between patches of an image would show."""
    features, labels, image = patches()
    found = evaluate(name, features, labels, "segmentation", image)
    assert found.metric == "patch_accuracy"
    assert found.value < found.details["baseline"] + 3 * (0.25 * 0.75 / 40) ** 0.5
    leaking = evaluate(name, features, labels, "segmentation")  # without groups
    assert leaking.value > leaking.details["baseline"] + 0.2


def test_scores_of_classes_hold_and_those_of_logits_do_not() -> None:
    holding = {name for name in names() if "segmentation" in get(name).info.kinds}
    assert set(names()) - holding == {"energy", "etran", "leep", "nce"}
    with pytest.raises(ScoreError, match="leep does not hold for segmentation, only for classification"):
        evaluate("leep", *patches()[:2], kind="segmentation")


def test_statistics_are_those_of_classification() -> None:
    features, labels, image = patches()
    for name in ("logme", "hscore", "gbc"):
        own = evaluate(name, features, labels, "segmentation", image)
        assert own == evaluate(name, features, labels, "classification", image)
