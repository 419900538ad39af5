"""Reads tables of accuracies as others publish them: long or wide, CSV or Parquet, under whatever column names are usual.

A long table has a row a model and data set, a wide one a row a model and a column a data set. Accuracies may be fractions or
percent, and scores are taken as they are: higher must mean better.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from itm.core.errors import DataError, did_you_mean

MODEL = ("model", "model_identifier", "model_fullname", "model_name", "checkpoint", "method")
DATA = ("dataset", "data_set", "data", "task", "target")
POOL = ("benchmark", "pool", "group", "protocol", "fewshot_k")
ACCURACY = (
    *("accuracy", "accuracy_percent", "acc", "acc_finetuned", "finetuned", "test_accuracy", "test_acc", "test_score", "top1"),
    *("acc1", "value", "lp_acc1_best_over_9hp", "head_training_acc_percent"),
    # these are rather second accuracies of the same pairs
    *("acc_frozen", "eval_accuracy", "lp_acc1_worst_over_9hp", "mean_per_class_recall"),
)
IDENTITY = ("pretrain_source", "weights", "img_size", "infer_img_size")  # tells models of one name apart where needed
FACTS = re.compile(  # numbers in a wide table that are no accuracies
    r"param|macs|macts|flops|img_size|image_size|shape|n_labels|classes|memory|bytes|second|runtime|per_sec|epochs|batch|^lr$|^seed$"
)
ALIASES = {
    "reghscore": "hscore_shrunk",
    "etranenergy": "energy",
    "pactrandirichlet": "pactran",
    "imagenettop1": "imagenet_top1",
    "paramcount": "parameters",
}
MISSING = ["", "nan", "NaN", "NA", "N/A", "-", "null"]


@dataclass(frozen=True, eq=False)
class PublishedPool:
    """The models and data sets of one pool; matrices are [data sets, models], NaN where the table has no value."""

    name: str
    models: tuple[str, ...]
    data_sets: tuple[str, ...]
    accuracy: str  # its column, or what else the numbers are called
    truth: np.ndarray
    others: dict[str, np.ndarray]  # second accuracies of the same pairs
    scores: dict[str, np.ndarray]
    notes: tuple[str, ...] = ()


def read_pools(
    path: Path,
    *,
    scores_path: Path | None = None,
    model: str | None = None,
    data: str | None = None,
    accuracy: str | None = None,
    pool: str | None = None,
    score_columns: Sequence[str] = (),
) -> tuple[PublishedPool, ...]:
    """Read a table of accuracies, and scores that stand in it or in a second, long table (`scores_path`).

    Columns are found by their usual names unless they are named here. A table without a column of data sets is wide: every
    column of numbers is a data set. With a column of accuracies it is about one data set instead, called as the file is.

    Raises
    ------
    DataError
        If a file cannot be read, a column is missing, or a model has two accuracies on one data set.
    """
    table = _read(path)
    where = f"{path.name}:"
    columns = _Columns(
        model=_found(model, MODEL, table, where) or table.columns[0],
        data=_found(data, DATA, table, where),
        accuracy=_found(accuracy, ACCURACY, table, where),
        pool=_found(pool, POOL, table, where),
        scores=tuple(_there(name, table, where) for name in score_columns),
    )
    if columns.data and not columns.accuracy:
        raise DataError(f"{where} no column of accuracies among {', '.join(table.columns)}; name it (--accuracy).")
    known = [name for name in table.columns if name not in columns.named and _is_score(table, name)]
    columns = replace(columns, scores=(*columns.scores, *known))
    tidy = _tidy(table, columns, path.stem).filter(pl.col("accuracy").is_finite())
    if tidy.is_empty():
        raise DataError(f"{where} no accuracies in {columns.accuracy or 'any column'}; name their column (--accuracy).")
    tidy = _told_apart(tidy, where)
    notes: tuple[str, ...] = ()
    if scores_path:
        tidy, notes = _joined(tidy, scores_path)
    parts = tidy.group_by("pool", maintain_order=True)
    first, *others = (_matrices(str(name), part, columns.accuracy or "accuracy") for (name,), part in parts)
    return (replace(first, notes=notes), *others)


@dataclass(frozen=True)
class _Columns:
    """Which column of a table is what."""

    model: str
    data: str | None
    accuracy: str | None
    pool: str | None
    scores: tuple[str, ...]

    @property
    def named(self) -> set[str | None]:
        return {self.model, self.data, self.accuracy, self.pool, *self.scores}


def _tidy(table: pl.DataFrame, columns: _Columns, stem: str) -> pl.DataFrame:
    """Return a row a pair: pool, model, data, accuracy, and the rest as `score NAME`, `other NAME` and `name NAME`."""
    kept = [_pool(table, columns.pool, stem), pl.col(columns.model).cast(pl.String).alias("model")]
    kept += [pl.col(name).cast(pl.String).alias(f"name {name}") for name in IDENTITY if name in table.columns]
    kept += [_number(name).alias(f"score {name}") for name in columns.scores]
    free = [name for name in table.columns if name not in columns.named and table[name].dtype.is_numeric()]
    if columns.accuracy:
        kept += [_number(name).alias(f"other {name}") for name in ACCURACY if name in free]
        data = pl.col(columns.data).cast(pl.String) if columns.data else pl.lit(stem)
        return table.select(*kept, data.alias("data"), _number(columns.accuracy).alias("accuracy"))
    sets = [name for name in free if name not in IDENTITY and not FACTS.search(name)]
    wide = table.select(*kept, *map(_number, sets))
    return wide.unpivot(sets, index=wide.columns[: len(kept)], variable_name="data", value_name="accuracy")


def _number(column: str) -> pl.Expr:
    return pl.col(column).cast(pl.Float64, strict=False)


def _read(path: Path) -> pl.DataFrame:
    """Return the table of a CSV or Parquet file."""
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            return pl.read_parquet(path)
        return pl.read_csv(path, infer_schema_length=None, null_values=MISSING)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{path}: no CSV or Parquet table ({error}).") from error


def _found(asked: str | None, usual: Sequence[str], table: pl.DataFrame, where: str) -> str | None:
    """Return the column asked for, or the first of the usual ones that there is."""
    if asked is not None:
        return _there(asked, table, where)
    return next((name for name in usual if name in table.columns), None)


def _there(column: str, table: pl.DataFrame, where: str) -> str:
    if column not in table.columns:
        raise DataError(f"{where} no column {column!r}{did_you_mean(column, table.columns)} It has {', '.join(table.columns)}.")
    return column


def _is_score(table: pl.DataFrame, name: str) -> bool:
    from itm.scores import names  # loads torch

    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    known = {re.sub(r"[^a-z0-9]", "", score) for score in names()} | set(ALIASES)
    return table[name].dtype.is_numeric() and plain in known


def _pool(table: pl.DataFrame, column: str | None, stem: str) -> pl.Expr:
    if column is None:
        return pl.lit(stem).alias("pool")
    value = pl.col(column).cast(pl.String)
    return (pl.format(f"{column} {{}}", value) if table[column].dtype.is_numeric() else value).alias("pool")


def _told_apart(tidy: pl.DataFrame, where: str) -> pl.DataFrame:
    """Return the table with what tells models of one name apart put to their names, as far as that is needed."""
    pair = pl.struct("pool", "model", "data")
    for fact in [column for column in tidy.columns if column.startswith("name ")]:
        repeated = pair.is_duplicated().any().over("pool", "model")
        tidy = tidy.with_columns(pl.when(repeated).then(pl.format("{} {}", "model", fact)).otherwise("model").alias("model"))
    twice = tidy.filter(pair.is_duplicated())
    if len(twice):
        first = twice.row(0, named=True)
        raise DataError(
            f"{where} {len(twice)} rows are of models with more than one accuracy on a data set, such as {first['model']} on "
            f"{first['data']}; name the column that tells them apart (--pool), or that of the models (--model)."
        )
    return tidy


def _joined(tidy: pl.DataFrame, path: Path) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return the table with the scores of a long table of methods, and a note if some of those found no accuracy."""
    table, where = _read(path), f"{path.name}:"
    model, data, pool = (_found(None, usual, table, where) for usual in (MODEL, DATA, POOL))
    if model in (None, "method") or data is None or not {"method", "score"} <= set(table.columns):
        raise DataError(f"{where} scores need the columns model, dataset, method and score; it has {', '.join(table.columns)}.")
    named = {model: "model", data: "data"}
    on = [*named.values(), *(["pool"] if pool else [])]
    long = table.select(
        *(pl.col(column).cast(pl.String).alias(name) for column, name in named.items() if column),
        *([_pool(table, pool, path.stem)] if pool else []),
        pl.format("score {}", "method").alias("method"),
        _number("score"),
    )
    if twice := int(long.select(*on, "method").is_duplicated().sum()):
        raise DataError(f"{where} {twice} rows are of a method with more than one score of a model on a data set.")
    lost = len(long.join(tidy, on=on, how="anti"))
    notes = (f"{lost} of {len(long)} scores in {path.name} belong to no accuracy of the table.",) if lost else ()
    return tidy.join(long.pivot("method", index=on, values="score"), on=on, how="left", suffix=f" of {path.stem}"), notes


def _matrices(name: str, part: pl.DataFrame, accuracy: str) -> PublishedPool:
    """Return a pool of the rows of one pool, models and data sets in the order of the table."""
    models, sets = (part[column].unique(maintain_order=True).to_list() for column in ("model", "data"))
    columns = part["model"].replace_strict(models, range(len(models)), return_dtype=pl.Int64).to_numpy()
    rows = part["data"].replace_strict(sets, range(len(sets)), return_dtype=pl.Int64).to_numpy()

    def matrix(column: str) -> np.ndarray:
        values = np.full((len(sets), len(models)), np.nan)
        values[rows, columns] = part[column].cast(pl.Float64).fill_null(np.nan).to_numpy()
        return values

    def all_of(kind: str) -> dict[str, np.ndarray]:
        found = {column.removeprefix(kind): matrix(column) for column in part.columns if column.startswith(kind)}
        return {column: values for column, values in found.items() if np.isfinite(values).any()}

    return PublishedPool(name, tuple(models), tuple(sets), accuracy, matrix("accuracy"), all_of("other "), all_of("score "))
