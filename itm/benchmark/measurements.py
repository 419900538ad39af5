"""Measurements of a pool: accuracies after fine-tuning, scores, and properties of the models."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from itm.core.errors import DataError, cause
from itm.core.types import Protocol
from itm.store.files import read_table

FACTS = ("parameters", "gmacs", "imagenet_top1")
PROTOCOLS: tuple[Protocol, ...] = ("full", "head")


@dataclass(frozen=True)
class Measurements:
    """Measurements of a pool. NaN means failed or unknown."""

    sets: tuple[str, ...]
    models: tuple[str, ...]
    pools: tuple[str, ...]  # of each model
    accuracies: dict[Protocol, np.ndarray]  # in percent, [seeds, sets, models]
    scores: dict[str, np.ndarray]  # [sets, models]
    facts: dict[str, np.ndarray]  # [models]
    image_sizes: tuple[int, ...]  # of fine-tuning, in pixels per side

    @property
    def truth(self) -> np.ndarray:
        """Return the ground truth [sets, models]: accuracy in percent after full fine-tuning, mean over seeds."""
        return np.asarray(self.accuracies["full"].mean(axis=0))

    def for_pool(self, pool: str) -> "Measurements":
        kept = np.array([other == pool for other in self.pools])
        return replace(
            self,
            models=tuple(model for model, other in zip(self.models, self.pools, strict=True) if other == pool),
            pools=(pool,) * int(kept.sum()),
            accuracies={protocol: values[..., kept] for protocol, values in self.accuracies.items()},
            scores={name: values[:, kept] for name, values in self.scores.items()},
            facts={name: values[kept] for name, values in self.facts.items()},
        )

    def complete(self) -> "Measurements":
        """Return the measurements on data sets with accuracies of all models; at least one must exist."""
        complete = ~np.isnan(self.truth).any(axis=1)
        if not complete.any():
            raise DataError(f"no data set has accuracies of all {len(self.models)} models; measure the missing ones.")
        return replace(
            self,
            sets=tuple(name for name, keep in zip(self.sets, complete, strict=True) if keep),
            accuracies={protocol: values[:, complete] for protocol, values in self.accuracies.items()},
            scores={name: values[complete] for name, values in self.scores.items()},
        )


def read_measurements(folder: Path) -> Measurements:
    """Read accuracies.csv, scores.parquet and models.csv of `folder`.

    Raises
    ------
    DataError
        If a file or a column is missing, an accuracy is duplicated or outside 0 to 1, or a model or a data set has scores but
        no accuracy.
    """
    accuracies = _csv(folder / "accuracies.csv", "data", "model", "protocol", "seed", "test_accuracy", "image_size")
    models = _csv(folder / "models.csv", "model", "pool", *FACTS)
    scores = read_table(folder / "scores.parquet").filter(pl.col("score").is_not_null())
    outside = accuracies.filter(~pl.col("test_accuracy").is_between(0, 1))
    if len(outside):
        raise DataError(f"{folder / 'accuracies.csv'}: {len(outside)} accuracies are not between 0 and 1.")
    sets, names = tuple(sorted(accuracies["data"].unique())), tuple(models["model"])
    for column, known in (("data", sets), ("model", names)):
        for table, file in ((scores, "scores.parquet"), (accuracies, "accuracies.csv")):
            if missing := sorted(set(table[column]) - set(known)):
                where = "models.csv" if column == "model" else "accuracies.csv"
                raise DataError(f"{folder / file}: {column} {missing[0]!r} is not in {where}; measure both again.")
    columns, rows = ({name: number for number, name in enumerate(ordered)} for ordered in (names, sets))
    by_protocol = {p: _accuracy_array(accuracies.filter(protocol=p), columns, rows, folder) for p in PROTOCOLS}
    values = {name: _score_matrix(scores.filter(score=name), columns, rows) for name in sorted(scores["score"].unique())}
    facts = {name: models[name].cast(pl.Float64).fill_null(float("nan")).to_numpy() for name in FACTS}
    sizes = tuple(sorted(accuracies["image_size"].unique()))
    return Measurements(sets, names, tuple(models["pool"]), by_protocol, values, facts, sizes)


def _csv(path: Path, *columns: str) -> pl.DataFrame:
    try:
        table = pl.read_csv(path, infer_schema_length=None)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(
            f"{path}: cannot be read ({cause(error)}); docs/studies/evidence.md describes how to measure it."
        ) from error
    if missing := [name for name in columns if name not in table.columns]:
        raise DataError(f"{path}: has no column {' and no '.join(missing)}; it has {', '.join(table.columns)}.")
    return table


def _accuracy_array(table: pl.DataFrame, models: dict[str, int], sets: dict[str, int], folder: Path) -> np.ndarray:
    seeds = sorted(table["seed"].unique())
    array = np.full((len(seeds), len(sets), len(models)), np.nan)
    for data, model, seed, accuracy in table.select("data", "model", "seed", "test_accuracy").iter_rows():
        cell = seeds.index(seed), sets[data], models[model]
        if not np.isnan(array[cell]):
            raise DataError(f"{folder / 'accuracies.csv'}: {model} on {data}, seed {seed}, occurs twice; keep one.")
        array[cell] = 100 * accuracy
    return array


def _score_matrix(table: pl.DataFrame, models: dict[str, int], sets: dict[str, int]) -> np.ndarray:
    matrix = np.full((len(sets), len(models)), np.nan)
    for data, model, value in table.select("data", "model", "value").iter_rows():
        matrix[sets[data], models[model]] = np.nan if value is None else value
    return matrix
