"""Features of three loose clusters, and their scores."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from itm.core.sections import ScoreParams
from itm.core.types import Facts, Failure, Features, ScoreValue
from itm.ranking.scoring import score
from itm.store.feature_file import write_features
from itm.store.layout import Store

NAMES = ("knn", "logme")
Scored = tuple[tuple[ScoreValue, ...], tuple[Failure, ...]]


@pytest.fixture
def clusters(store: Store) -> Callable[[int], Features]:
    """Return a function that writes features of three loose clusters, in groups of some rows, and returns their record."""

    def write(rows: int = 90, kind: str = "classification", group_size: int = 0) -> Features:
        generator = np.random.default_rng(0)
        labels = np.arange(rows) % 3
        embeddings = generator.normal(size=(rows, 8)) + 0.6 * np.eye(8)[labels]
        path, facts = store.features("petals", "mine", "k" * 64), Facts(1, 0.1, 8, 48, "", "")
        features = Features(path, "k" * 64, "mine", "w" * 64, "petals", "d" * 64, kind, rows, facts, 10.0, cached=False)
        ids = [f"{number:04d}" for number in range(rows)]
        groups = [f"patient {row // group_size}" if group_size else None for row in range(rows)]
        write_features(features, ids, groups, labels, ["train"] * rows, {"embedding": embeddings}, {})
        return features

    return write


@pytest.fixture
def run(store: Store, clusters: Callable[[int], Features]) -> Callable[..., Scored]:
    """Score the clusters with some parameters."""
    features = clusters(90)

    def call(
        names: tuple[str, ...] = NAMES, resume: Any = "only-missing", key: str = "k" * 64, device: str = "cpu", **params: Any
    ) -> Scored:
        chosen = ScoreParams.model_validate({"names": names, "rank_by": names[0], **params})
        return score(replace(features, key=key), chosen, store, resume, device)

    return call
