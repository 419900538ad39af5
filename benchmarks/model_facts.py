"""Write the table of facts of timm's pre-trained models: `python -m benchmarks.model_facts OUTPUT.parquet`.

Size, cost and width are measured without weights, on the meta device, once per architecture, input size and number of classes.
Licence and places of the weights are those of timm's configurations. Rows of an existing OUTPUT of the same timm are kept, so
an interrupted run resumes. The output belongs to `itm/zoo/model_facts.parquet`. It takes about half an hour.
"""

import argparse
import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl

from itm.core.errors import ModelError
from itm.core.types import Facts
from itm.zoo.construct import build_on_meta
from itm.zoo.facts import facts, preprocessing
from itm.zoo.resolve import timm_model
from itm.zoo.timm_gate import timm
from itm.zoo.timm_names import timm_config

SAVED_EVERY = 100
SCHEMA = {
    "model": pl.String,
    "family": pl.String,
    "pretraining": pl.String,
    "parameters": pl.Int64,
    "gmacs": pl.Float64,
    "width": pl.Int32,
    "input_size": pl.String,
    "licence": pl.String,
    "repository": pl.String,
    "file": pl.String,
    "url": pl.String,
}
Measured = dict[tuple[Any, ...], Facts | ModelError]


def row(name: str, measured: Measured) -> dict[str, Any] | None:
    """Return the row of a model, or None if it cannot be built."""
    model, config = timm_model(name), timm_config(name)
    shape = (name.partition(".")[0], str(config["input_size"]), config["num_classes"], str(config.get("pool_size")))
    if shape not in measured:
        try:
            module = build_on_meta(model)
            measured[shape] = facts(model, module, preprocessing(model, module))
        except ModelError as error:
            measured[shape] = error
            print(f"left out: {error}", flush=True)
    found = measured[shape]
    if isinstance(found, ModelError):
        return None
    return {
        "model": name,
        "family": found.family,
        "pretraining": name.partition(".")[2].replace("_", " "),
        "parameters": found.parameters,
        "gmacs": found.gmacs,
        "width": found.width,
        "input_size": str(found.input_size),
        "licence": config.get("license"),
        "repository": config.get("hf_hub_id"),
        "file": config.get("hf_hub_filename"),
        "url": config.get("url") or None,
    }


def existing_rows(output: Path) -> list[dict[str, Any]]:
    """Return the rows of a table that the installed timm has written."""
    if not output.is_file() or pl.read_parquet_metadata(output).get("timm") != timm.__version__:
        return []
    return pl.read_parquet(output).to_dicts()


def write(rows: list[dict[str, Any]], output: Path) -> None:
    """Write the table, sorted by name."""
    metadata = {
        "timm": timm.__version__,
        "date": dt.date.today().isoformat(),
        "source": "https://github.com/huggingface/pytorch-image-models, configurations of the pre-trained models",
        "command": "python -m benchmarks.model_facts",
    }
    table = pl.DataFrame(rows, schema=SCHEMA).sort("model")
    table.write_parquet(output, compression="zstd", metadata=metadata)


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("output", type=Path)
    output = parser.parse_args().output
    rows, measured = existing_rows(output), Measured()
    known = {one["model"] for one in rows}
    missing = [name for name in timm.list_models(pretrained=True) if name not in known]
    for number, name in enumerate(missing, 1):
        if found := row(name, measured):
            rows.append(found)
        if number % SAVED_EVERY == 0:
            write(rows, output)
            print(f"{number} of {len(missing)} models", flush=True)
    write(rows, output)
    print(f"{len(rows)} models in {output}, {output.stat().st_size} bytes")


if __name__ == "__main__":
    main()
