"""Sets a ranking's scores side by side and compares how they order models: `python benchmarks/score_tables.py RANKING`.

RANKING is the folder that `itm rank` printed, with scores.parquet in it. Prints Markdown: a table a data set with a line a
model and a column a score, the failures with their reasons, and Kendall's tau of every pair of scores, averaged over the sets.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from scipy.stats import kendalltau

LEAST = 3  # models that two scores must share for an order to be compared


def table_of(scores: pl.DataFrame) -> Iterator[str]:
    """Yield the lines of a table of one data set's values, models by their mean rank over all scores."""
    wide = scores.pivot("score", index="model", values="value", sort_columns=True)
    names = wide.columns[1:]
    ranks = wide.select(pl.col(names).rank(descending=True)).mean_horizontal()
    yield f"| model | {' | '.join(names)} |"
    yield "|---" * (len(names) + 1) + "|"
    for row in wide.with_columns(ranks.alias("mean rank")).sort("mean rank", "model").iter_rows(named=True):
        yield f"| {row['model']} | " + " | ".join("-" if row[name] is None else f"{row[name]:.4g}" for name in names) + " |"


def alike(scores: pl.DataFrame) -> Iterator[str]:
    """Yield the lines of a table of Kendall's tau-b between scores; a hyphen where one of them cannot tell models apart."""
    names = sorted(scores["score"].unique())
    values: dict[tuple[str, str], list[float]] = {}
    for (_,), own in scores.group_by("data"):
        wide = own.pivot("score", index="model", values="value")
        for one in names:
            for other in names:
                if one in wide.columns and other in wide.columns:
                    pairs = wide.select(one, other).drop_nulls() if one != other else wide.select(one).drop_nulls()
                    if len(pairs) >= LEAST and all(pairs[name].n_unique() > 1 for name in pairs.columns):
                        tau = kendalltau(pairs[one], pairs[other]).statistic if one != other else 1.0
                        values.setdefault((one, other), []).append(float(tau))
    yield f"| | {' | '.join(names)} |"
    yield "|---" * (len(names) + 1) + "|"
    for one in names:
        cells = [f"{np.mean(values[one, other]):.2f}" if (one, other) in values else "-" for other in names]
        yield f"| {one} | {' | '.join(cells)} |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ranking", type=Path)
    scores = pl.read_parquet(next(parser.parse_args().ranking.rglob("scores.parquet")))
    values = scores.filter(pl.col("draw").is_null() & (pl.col("status") == "ok"))
    for (data,), own in values.sort("data", "model", "score").group_by("data", maintain_order=True):
        print(f"## {data}\n", *table_of(own), "", sep="\n")
    failed = scores.filter(pl.col("status") == "failed").group_by("step", "reason").agg(pl.len().alias("pairs"))
    print("## Failures\n")
    for row in failed.sort("step", "reason").iter_rows(named=True):
        print(f"- {row['step']}, {row['pairs']} pairs: {row['reason']}")
    print("\n## Kendall's tau of pairs of scores\n", *alike(values), sep="\n")


if __name__ == "__main__":
    main()
