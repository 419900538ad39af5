"""Write the table of published ImageNet accuracies: `python benchmarks/imagenet_facts.py TABLE.csv OUTPUT.parquet`.

TABLE.csv is timm's `results/results-imagenet.csv` with its source. Columns: model, img_size, param_count (millions), in1k
(percent), repo, commit and licence. If a checkpoint has results at several image sizes, the smallest is kept, which is its
default input size. The output belongs to `itm/zoo/imagenet_results.parquet`.
"""

import argparse
from pathlib import Path

import polars as pl


def facts(table: pl.DataFrame) -> pl.DataFrame:
    """Return one row per checkpoint, sorted by name."""
    return (
        table.sort("model", "img_size")
        .unique("model", keep="first", maintain_order=True)
        .select(
            "model",
            top1=pl.col("in1k").cast(pl.Float64),
            parameters=pl.col("param_count").cast(pl.Float64),
            input_size=pl.col("img_size").cast(pl.Int32),
        )
    )


def origin(table: pl.DataFrame) -> dict[str, str]:
    """Return the source of the table: one repository, one commit, one licence."""
    values = {name: table[name].unique().to_list() for name in ("repo", "commit", "licence")}
    for name, distinct in values.items():
        if len(distinct) != 1:
            raise SystemExit(f"column {name} has the values {distinct}; all rows must have the same source.")
    return {
        "source": f"https://github.com/{values['repo'][0]}, results/results-imagenet.csv",
        "commit": values["commit"][0],
        "licence": values["licence"][0],
        "changes": "one row a checkpoint, at its own input size; columns chosen and renamed",
    }


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("table", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    table = pl.read_csv(options.table)
    rows = facts(table)
    rows.write_parquet(options.output, compression="zstd", metadata=origin(table))
    print(f"{len(rows)} checkpoints in {options.output}, {options.output.stat().st_size} bytes")


if __name__ == "__main__":
    main()
