"""A folder with small measurements."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

MODELS = tuple(f"mini_{letter}" for letter in "abcdefgh") + tuple(f"real_{letter}" for letter in "abcd")
SETS = ("flowers", "letters", "tiles")


@pytest.fixture
def measured_folder(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes measurements of twelve models on three data sets. `itm` is the accuracy plus noise."""

    def write(noise: float = 0.0, **scores: np.ndarray) -> Path:
        generator = np.random.default_rng(3)
        truth = generator.uniform(0.3, 0.9, (len(SETS), len(MODELS)))
        folder = tmp_path / "measured"
        folder.mkdir(exist_ok=True)
        runs, values = [], []
        known = {"itm": truth + noise * generator.normal(size=truth.shape), "knn": truth} | scores
        for row, data in enumerate(SETS):
            for column, model in enumerate(MODELS):
                for protocol, loss in (("full", 0.0), ("head", 0.05)):
                    for seed in (0, 1):
                        accuracy = truth[row, column] - loss + (-0.001, 0.001)[seed]
                        runs.append(
                            {
                                "data": data,
                                "model": model,
                                "protocol": protocol,
                                "seed": seed,
                                "image_size": 48,
                                "test_accuracy": accuracy,
                            }
                        )
                for name, table in known.items():
                    value = float(table[row, column])
                    values.append({"data": data, "model": model, "score": name, "value": value if np.isfinite(value) else None})
        pl.DataFrame(runs).write_csv(folder / "accuracies.csv")
        pl.DataFrame(values).write_parquet(folder / "scores.parquet")
        facts = {"parameters": range(12), "gmacs": range(12), "imagenet_top1": [None] * 8 + [70.0, 71.0, 72.0, 73.0]}
        pl.DataFrame({"model": MODELS, "pool": [m[:4] for m in MODELS], **facts}).write_csv(folder / "models.csv")
        return folder

    return write
