"""From the learning curves of the desk to the ground truth of `itm evaluate`: accuracies.csv."""

from pathlib import Path

import polars as pl

from itm.store.files import write_atomically

COLUMNS = (
    "data",
    "model",
    "protocol",
    "seed",
    "learning_rate",
    "best_step",
    "val_accuracy",
    "test_accuracy",
    "test_loss",
    "seconds",
    "image_size",
    "train_images",
    "val_images",
    "test_images",
    "weights",
    "data_hash",
)
PROTOCOLS = ("full", "head")
RUN = ("data", "model", "protocol", "seed", "learning_rate")
PAIR = ("data", "model", "protocol")


def accuracies(curves: pl.DataFrame) -> pl.DataFrame:
    """Return one row per pair, protocol and seed: the end of the runs at the best learning rate.

    The best rate is that whose first seed ends best on the validation images. A pair of which a rate or a seed is missing is
    left out, so that all accuracies are chosen in the same way.
    """
    finite = curves.filter(pl.col("protocol").is_in(PROTOCOLS), finite=True)
    ends = finite.sort("step").group_by(RUN, maintain_order=True).last()
    rates = curves.filter(seed=0).group_by(PAIR).agg(pl.col("learning_rate").n_unique().alias("rates"))
    every = rates.group_by("protocol").agg(pl.col("rates").max().alias("grid"))
    complete = rates.join(every, on="protocol").filter(pl.col("rates") == pl.col("grid")).select(PAIR)
    first = ends.filter(seed=0).sort("val_accuracy", "val_loss", descending=[True, False])
    best = first.group_by(PAIR, maintain_order=True).first().select(*PAIR, "learning_rate")
    chosen = ends.join(best, on=[*PAIR, "learning_rate"]).join(complete, on=PAIR)
    whole = chosen.filter(pl.len().over(PAIR) == pl.col("seed").n_unique().over("protocol"))
    return whole.rename({"step": "best_step"}).select(COLUMNS).sort("data", "model", "protocol", "seed")


def write_accuracies(curves: pl.DataFrame, output: Path) -> int:
    """Write accuracies.csv, and return the number of its rows."""
    table = accuracies(curves)
    write_atomically(output / "accuracies.csv", table.write_csv)
    return len(table)
