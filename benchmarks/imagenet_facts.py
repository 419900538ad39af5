"""Writes the table of published ImageNet accuracies: `python benchmarks/imagenet_facts.py TABLE.csv OUTPUT.parquet`.

TABLE.csv joins timm's `results/results-imagenet.csv` with where it comes from: columns model, img_size, param_count (millions),
in1k (per cent), repo, commit and licence. Of a checkpoint judged at several sizes of image, the smallest is kept: it is
its own input size in all of them, and larger ones are only for judging it. OUTPUT goes to `itm/zoo/imagenet_results.parquet`.
"""

import argparse
from pathlib import Path

import polars as pl


def facts(table: pl.DataFrame) -> pl.DataFrame:
    """Return one row a checkpoint, in the order of their names."""
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
    """Return where the table comes from: one repository, one commit, one licence."""
    said = {name: table[name].unique().to_list() for name in ("repo", "commit", "licence")}
    for name, values in said.items():
        if len(values) != 1:
            raise SystemExit(f"column {name} holds {values}; all rows must come from one place.")
    return {
        "source": f"https://github.com/{said['repo'][0]}, results/results-imagenet.csv",
        "commit": said["commit"][0],
        "licence": said["licence"][0],
        "changes": "one row a checkpoint, at its own input size; columns chosen and renamed",
    }


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("table", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    table = pl.read_csv(options.table)
    found = facts(table)
    found.write_parquet(options.output, compression="zstd", metadata=origin(table))
    print(f"{len(found)} checkpoints in {options.output}, {options.output.stat().st_size} bytes")


if __name__ == "__main__":
    main()
