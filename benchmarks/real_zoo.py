"""Write the zoo file of a folder of real checkpoints: `python benchmarks/real_zoo.py FOLDER OUTPUT.yaml`.

FOLDER contains zoo.json, factories.py and the weights. The output has absolute paths, so it can be in any folder.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import yaml


def entry(stem: str, facts: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Convert an entry of zoo.json to an entry of the zoo file."""
    arguments = dict(facts["kwargs"])
    if facts["factory"] == "timm":
        definition = {"architecture": arguments.pop("model_name")}
    else:
        definition = {"factory": f"{folder / 'factories.py'}:{facts['factory']}", "family": facts["factory"]}
    crop = {"crop": facts["crop"]} if "crop" in facts else {}
    return {
        "name": name(stem),
        **definition,
        "arguments": arguments,
        "checkpoint": str(folder / facts["checkpoint"]),
        "input_size": facts["input_size"],
        "mean": facts["mean"],
        "std": facts["std"],
        **crop,
        "pretraining": facts["source"],
    }


def name(stem: str) -> str:
    """Return ``architecture.tag`` for the stem of a checkpoint.

    >>> name("mobilenetv3_small_100_224_in1k"), name("resnet20_32_cifar10")
    ('mobilenetv3_small_100_224.in1k', 'resnet20_32.cifar10')
    """
    parts = stem.split("_")
    sized = max(number for number, part in enumerate(parts) if part.isdigit())
    return f"{'_'.join(parts[: sized + 1])}.{'_'.join(parts[sized + 1 :])}"


def main() -> None:
    """Write the zoo file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    folder = options.folder.resolve()
    models = json.loads((folder / "zoo.json").read_text(encoding="utf-8"))
    entries = [entry(stem, facts, folder) for stem, facts in models.items()]
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(yaml.safe_dump({"models": entries}, sort_keys=False), encoding="utf-8")
    print(f"{len(entries)} models in {options.output}")


if __name__ == "__main__":
    main()
