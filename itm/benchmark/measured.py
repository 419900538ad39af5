"""Reads what was measured of a pool: accuracies after fine-tuning, scores, and facts of the models."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np
import polars as pl

from itm.core.errors import DataError
from itm.core.types import Protocol
from itm.store.files import read_table

FACTS = ("parameters", "gmacs", "imagenet_top1")
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)


@dataclass(frozen=True)
class Measured:
    """Accuracies in percent [seeds, sets, models] by protocol, scores [sets, models] by name, facts [models] by name.

    NaN stands for what failed or is not known. `pools` names the pool that each model belongs to, `image_sizes` the pixels a
    side that models were fine-tuned at.
    """

    sets: tuple[str, ...]
    models: tuple[str, ...]
    pools: tuple[str, ...]
    accuracies: dict[Protocol, np.ndarray]
    scores: dict[str, np.ndarray]
    facts: dict[str, np.ndarray]
    image_sizes: tuple[int, ...]

    @property
    def truth(self) -> np.ndarray:
        """Return the ground truth [sets, models]: accuracy in percent after full fine-tuning, the mean over seeds."""
        return np.asarray(self.accuracies["full"].mean(axis=0))

    def of(self, pool: str) -> "Measured":
        """Return the models of one pool alone."""
        kept = np.array([one == pool for one in self.pools])
        return replace(
            self,
            models=tuple(model for model, one in zip(self.models, self.pools, strict=True) if one == pool),
            pools=(pool,) * int(kept.sum()),
            accuracies={protocol: values[..., kept] for protocol, values in self.accuracies.items()},
            scores={name: values[:, kept] for name, values in self.scores.items()},
            facts={name: values[kept] for name, values in self.facts.items()},
        )

    def complete(self) -> "Measured":
        """Return the data sets alone on which every model was fine-tuned, so that all are judged on the same ones.

        Raises
        ------
        DataError
            If there is none.
        """
        whole = ~np.isnan(self.truth).any(axis=1)
        if not whole.any():
            raise DataError(f"no data set has accuracies of all {len(self.models)} models; measure the missing ones.")
        return replace(
            self,
            sets=tuple(name for name, there in zip(self.sets, whole, strict=True) if there),
            accuracies={protocol: values[:, whole] for protocol, values in self.accuracies.items()},
            scores={name: values[whole] for name, values in self.scores.items()},
        )


def read_measured(folder: Path) -> Measured:
    """Read accuracies.csv, scores.parquet and models.csv of `folder`.

    Raises
    ------
    DataError
        If a file or a column is missing, an accuracy is measured twice or lies outside 0 to 1, or a model or a data set has
        scores but no accuracy.
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
    place = {name: number for number, name in enumerate(names)}, {name: number for number, name in enumerate(sets)}
    found = {protocol: _accuracies(accuracies.filter(protocol=protocol), *place, folder) for protocol in PROTOCOLS}
    values = {name: _matrix(scores.filter(score=name), *place) for name in sorted(scores["score"].unique())}
    facts = {name: models[name].cast(pl.Float64).fill_null(float("nan")).to_numpy() for name in FACTS}
    sizes = tuple(sorted(accuracies["image_size"].unique()))
    return Measured(sets, names, tuple(models["pool"]), found, values, facts, sizes)


def _csv(path: Path, *columns: str) -> pl.DataFrame:
    try:
        table = pl.read_csv(path, infer_schema_length=None)
    except (OSError, pl.exceptions.PolarsError) as error:
        told = " ".join(str(error).split())[:200]
        raise DataError(f"{path}: cannot be read ({told}); docs/evidence.md says how it is measured.") from error
    if missing := [name for name in columns if name not in table.columns]:
        raise DataError(f"{path}: has no column {' and no '.join(missing)}; it has {', '.join(table.columns)}.")
    return table


def _accuracies(table: pl.DataFrame, models: dict[str, int], sets: dict[str, int], folder: Path) -> np.ndarray:
    seeds = sorted(table["seed"].unique())
    found = np.full((len(seeds), len(sets), len(models)), np.nan)
    for data, model, seed, accuracy in table.select("data", "model", "seed", "test_accuracy").iter_rows():
        cell = seeds.index(seed), sets[data], models[model]
        if not np.isnan(found[cell]):
            raise DataError(f"{folder / 'accuracies.csv'}: {model} on {data}, seed {seed}, is there twice; keep one.")
        found[cell] = 100 * accuracy
    return found


def _matrix(table: pl.DataFrame, models: dict[str, int], sets: dict[str, int]) -> np.ndarray:
    found = np.full((len(sets), len(models)), np.nan)
    for data, model, value in table.select("data", "model", "value").iter_rows():
        found[sets[data], models[model]] = np.nan if value is None else value
    return found
