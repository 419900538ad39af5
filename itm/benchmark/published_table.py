"""Published tables of accuracies: long or wide, CSV or Parquet, with the usual column names.

A long table has one row per model and data set. A wide table has one row per model and one column per data set. Accuracies may
be fractions or percent. Scores must be higher for better models.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from itm.core.errors import DataError, cause, did_you_mean

MODEL = ("model", "model_identifier", "model_fullname", "model_name", "checkpoint", "method")
DATA = ("dataset", "data_set", "data", "task", "target")
POOL = ("benchmark", "pool", "group", "protocol", "fewshot_k")
ACCURACY = (
    *("accuracy", "accuracy_percent", "acc", "acc_finetuned", "finetuned", "test_accuracy", "test_acc", "test_score", "top1"),
    *("miou", "mean_iou", "acc1", "value", "lp_acc1_best_over_9hp", "head_training_acc_percent"),
    # usually second accuracies of the same pairs
    *("acc_frozen", "eval_accuracy", "lp_acc1_worst_over_9hp", "mean_per_class_recall"),
)
IDENTITY = ("pretrain_source", "weights", "img_size", "infer_img_size")  # distinguishes models with equal names
FACTS = re.compile(  # numeric columns of a wide table that are not accuracies
    r"param|macs|macts|flops|img_size|image_size|shape|n_labels|classes|memory|bytes|second|runtime|per_sec|epochs|batch|^lr$|^seed$"
)
REPORTED = "tau_w_reported"  # column of the correlation that a paper reports for its score on a data set
ALIASES = {
    "itmscore": "itm",
    "reghscore": "hscore_shrunk",
    "etranenergy": "energy",
    "pactrandirichlet": "pactran",
    "imagenettop1": "imagenet_top1",
    "paramcount": "parameters",
}
MISSING = ["", "nan", "NaN", "NA", "N/A", "-", "null"]


@dataclass(frozen=True, eq=False)
class PublishedPool:
    """One pool of a published table. Matrices are [data sets, models], NaN where the table has no value."""

    name: str
    models: tuple[str, ...]
    data_sets: tuple[str, ...]
    accuracy: str  # name of the column
    truth: np.ndarray
    others: dict[str, np.ndarray]  # second accuracies of the same pairs
    scores: dict[str, np.ndarray]
    notes: tuple[str, ...] = ()
    reported: np.ndarray | None = None  # tau_w [data sets] as published with the table


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
    """Read a table of accuracies, and scores from the same table or from a second, long table (`scores_path`).

    Columns that are not given are found by their usual names. A table without a column of data sets is wide: each numeric
    column is a data set. If it has a column of accuracies, it contains one data set, named like the file.

    Raises
    ------
    DataError
        If a file cannot be read, a column is missing, or a model has two accuracies on one data set.
    """
    table = _read(path)
    where = f"{path.name}:"
    columns = _Columns(
        model=_find_column(model, MODEL, table, where) or table.columns[0],
        data=_find_column(data, DATA, table, where),
        accuracy=_find_column(accuracy, ACCURACY, table, where),
        pool=_find_column(pool, POOL, table, where),
        scores=tuple(_check_column(name, table, where) for name in score_columns),
    )
    if columns.data and not columns.accuracy:
        raise DataError(f"{where} there is no column of accuracies among {', '.join(table.columns)}; name it (--accuracy).")
    known = [name for name in table.columns if name not in columns.named and _is_score(table, name)]
    columns = replace(columns, scores=(*columns.scores, *known))
    tidy = _tidy(table, columns, path.stem).filter(pl.col("accuracy").is_finite())
    if tidy.is_empty():
        raise DataError(
            f"{where} there are no accuracies in {columns.accuracy or 'any column'}; name their column (--accuracy)."
        )
    tidy = _make_names_unique(tidy, where)
    notes: tuple[str, ...] = ()
    if scores_path:
        tidy, notes = _join_scores(tidy, scores_path)
    parts = tidy.group_by("pool", maintain_order=True)
    first, *others = (_matrices(str(name), part, columns.accuracy or "accuracy") for (name,), part in parts)
    return (replace(first, notes=notes), *others)


@dataclass(frozen=True)
class _Columns:
    model: str
    data: str | None
    accuracy: str | None
    pool: str | None
    scores: tuple[str, ...]

    @property
    def named(self) -> set[str | None]:
        return {self.model, self.data, self.accuracy, self.pool, *self.scores}


def _tidy(table: pl.DataFrame, columns: _Columns, stem: str) -> pl.DataFrame:
    """Return one row per (model, data) pair: pool, model, data, accuracy, `score NAME`, `other NAME` and `name NAME`."""
    kept = [_pool(table, columns.pool, stem), pl.col(columns.model).cast(pl.String).alias("model")]
    kept += [pl.col(name).cast(pl.String).alias(f"name {name}") for name in IDENTITY if name in table.columns]
    kept += [_number(name).alias(f"score {name}") for name in columns.scores]
    kept += [_number(REPORTED)] if REPORTED in table.columns else []
    free = [name for name in table.columns if name not in (*columns.named, REPORTED) and table[name].dtype.is_numeric()]
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
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            return pl.read_parquet(path)
        return pl.read_csv(path, infer_schema_length=None, null_values=MISSING)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{path}: is not a CSV or Parquet table ({cause(error)}); check the path.") from error


def _find_column(given: str | None, usual: Sequence[str], table: pl.DataFrame, where: str) -> str | None:
    """Return the given column, or the first usual one that the table has."""
    if given is not None:
        return _check_column(given, table, where)
    return next((name for name in usual if name in table.columns), None)


def _check_column(column: str, table: pl.DataFrame, where: str) -> str:
    if column not in table.columns:
        raise DataError(
            f"{where} there is no column {column!r}{did_you_mean(column, table.columns)} It has {', '.join(table.columns)}."
        )
    return column


def _is_score(table: pl.DataFrame, name: str) -> bool:
    from itm.scores import names  # imports torch

    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    known = {re.sub(r"[^a-z0-9]", "", score) for score in names()} | set(ALIASES)
    return table[name].dtype.is_numeric() and plain in known


def _pool(table: pl.DataFrame, column: str | None, stem: str) -> pl.Expr:
    if column is None:
        return pl.lit(stem).alias("pool")
    value = pl.col(column).cast(pl.String)
    return (pl.format(f"{column} {{}}", value) if table[column].dtype.is_numeric() else value).alias("pool")


def _make_names_unique(tidy: pl.DataFrame, where: str) -> pl.DataFrame:
    """Append facts of `IDENTITY` to the names of models with several accuracies on a data set."""
    pair = pl.struct("pool", "model", "data")
    for fact in [column for column in tidy.columns if column.startswith("name ")]:
        repeated = pair.is_duplicated().any().over("pool", "model")
        tidy = tidy.with_columns(pl.when(repeated).then(pl.format("{} {}", "model", fact)).otherwise("model").alias("model"))
    duplicates = tidy.filter(pair.is_duplicated())
    if len(duplicates):
        first = duplicates.row(0, named=True)
        raise DataError(
            f"{where} {len(duplicates)} rows give a model more than one accuracy on a data set, for instance {first['model']} "
            f"on {first['data']}; name the column that distinguishes them (--pool), or the column of the models (--model)."
        )
    return tidy


def _join_scores(tidy: pl.DataFrame, path: Path) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return the table with the scores of a long table, and a note if some scores have no accuracy."""
    table, where = _read(path), f"{path.name}:"
    model, data, pool = (_find_column(None, usual, table, where) for usual in (MODEL, DATA, POOL))
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
    if duplicates := int(long.select(*on, "method").is_duplicated().sum()):
        raise DataError(f"{where} {duplicates} rows give a method more than one score for a model on a data set.")
    unused = len(long.join(tidy, on=on, how="anti"))
    notes = (f"{unused} of {len(long)} scores in {path.name} have no accuracy in the table.",) if unused else ()
    return tidy.join(long.pivot("method", index=on, values="score"), on=on, how="left", suffix=f" of {path.stem}"), notes


def _matrices(name: str, part: pl.DataFrame, accuracy: str) -> PublishedPool:
    """Return the pool of these rows. Models and data sets keep the order of the table."""
    models, sets = (part[column].unique(maintain_order=True).to_list() for column in ("model", "data"))
    columns = part["model"].replace_strict(models, range(len(models)), return_dtype=pl.Int64).to_numpy()
    rows = part["data"].replace_strict(sets, range(len(sets)), return_dtype=pl.Int64).to_numpy()

    def matrix(column: str) -> np.ndarray:
        values = np.full((len(sets), len(models)), np.nan)
        values[rows, columns] = part[column].cast(pl.Float64).fill_null(np.nan).to_numpy()
        return values

    def matrices(prefix: str) -> dict[str, np.ndarray]:
        values = {column.removeprefix(prefix): matrix(column) for column in part.columns if column.startswith(prefix)}
        return {name: own for name, own in values.items() if np.isfinite(own).any()}

    truth, others, scores = matrix("accuracy"), matrices("other "), matrices("score ")
    reported = np.nanmax(matrix(REPORTED), axis=1) if REPORTED in part.columns else None
    return PublishedPool(name, tuple(models), tuple(sets), accuracy, truth, others, scores, reported=reported)
