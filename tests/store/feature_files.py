"""Feature files that tests write."""

from pathlib import Path

import numpy as np

from itm.core.types import Facts, Features
from itm.store.feature_file import write_features

IDENTITY = {"extractor": 1, "preprocessing": {"mean": [0.5, 0.5, 0.5]}, "splits": ["train"]}


def write(
    path: Path, rows: int, width: int = 6, logits: int = 0
) -> tuple[Features, dict[str, np.ndarray], np.ndarray, list[str]]:
    """Write a feature file of random numbers and return what was written."""
    generator = np.random.default_rng(rows)
    columns = {"embedding": generator.standard_normal((rows, width), np.float32)}
    if logits:
        columns["logits"] = generator.standard_normal((rows, logits), np.float32)
    facts = Facts(parameters=10, gmacs=None, width=width, input_size=48, family="résnet", pretraining="none")
    features = Features(
        path, "k" * 64, "mine@2", "w" * 64, "petals", "d" * 64, "classification", rows, facts, 12.5, cached=False
    )
    targets, ids = generator.integers(0, 3, rows), [f"{number:064x}" for number in range(rows)]
    groups = [None, "patient", "pätient"] * (rows // 3) + [None] * (rows % 3)
    write_features(features, ids, groups, targets, ["train", "val"] * (rows // 2), columns, IDENTITY)
    return features, columns, targets, ids
