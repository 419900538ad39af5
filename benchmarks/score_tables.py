"""Compare the scores of a ranking: `python benchmarks/score_tables.py RANKING`.

RANKING is the folder printed by `itm rank`, with scores.parquet. The output is Markdown: one table per data set with one line
per model and one column per score, the failures with reasons, and Kendall's tau of each pair of scores, averaged over the data
sets.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from scipy.stats import kendalltau

MIN_MODELS = 3  # that two scores must share


def table_of(scores: pl.DataFrame) -> Iterator[str]:
    """Yield the lines of the table of one data set. Models are sorted by their mean rank over all scores."""
    wide = scores.pivot("score", index="model", values="value", sort_columns=True)
    names = wide.columns[1:]
    ranks = wide.select(pl.col(names).rank(descending=True)).mean_horizontal()
    yield f"| model | {' | '.join(names)} |"
    yield "|---" * (len(names) + 1) + "|"
    for row in wide.with_columns(ranks.alias("mean rank")).sort("mean rank", "model").iter_rows(named=True):
        yield f"| {row['model']} | " + " | ".join("-" if row[name] is None else f"{row[name]:.4g}" for name in names) + " |"


def correlation_table(scores: pl.DataFrame) -> Iterator[str]:
    """Yield the lines of a table of Kendall's tau-b between scores; a hyphen if a score is constant."""
    names = sorted(scores["score"].unique())
    values: dict[tuple[str, str], list[float]] = {}
    for (_,), own in scores.group_by("data"):
        wide = own.pivot("score", index="model", values="value")
        for first in names:
            for second in names:
                if first in wide.columns and second in wide.columns:
                    pairs = wide.select(first, second).drop_nulls() if first != second else wide.select(first).drop_nulls()
                    if len(pairs) >= MIN_MODELS and all(pairs[name].n_unique() > 1 for name in pairs.columns):
                        tau = kendalltau(pairs[first], pairs[second]).statistic if first != second else 1.0
                        values.setdefault((first, second), []).append(float(tau))
    yield f"| | {' | '.join(names)} |"
    yield "|---" * (len(names) + 1) + "|"
    for first in names:
        cells = [f"{np.mean(values[first, second]):.2f}" if (first, second) in values else "-" for second in names]
        yield f"| {first} | {' | '.join(cells)} |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ranking", type=Path)
    scores = pl.read_parquet(next(parser.parse_args().ranking.rglob("scores.parquet")))
    values = scores.filter(pl.col("fold").is_null() & (pl.col("status") == "ok"))
    for (data,), own in values.sort("data", "model", "score").group_by("data", maintain_order=True):
        print(f"## {data}\n", *table_of(own), "", sep="\n")
    failed = scores.filter(pl.col("status") == "failed").group_by("step", "reason").agg(pl.len().alias("pairs"))
    print("## Failures\n")
    for row in failed.sort("step", "reason").iter_rows(named=True):
        print(f"- {row['step']}, {row['pairs']} pairs: {row['reason']}")
    print("\n## Kendall's tau of pairs of scores\n", *correlation_table(values), sep="\n")


if __name__ == "__main__":
    main()
