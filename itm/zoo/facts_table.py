"""The shipped table of facts of timm's pre-trained models. `benchmarks.model_facts` writes it.

Reading it takes no time, while timm takes seconds to import and each model half a second to build.
"""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from itm.core.types import Facts
from itm.zoo.licences import known_licence
from itm.zoo.names import is_wildcard, without_source

TABLE = Path(__file__).with_name("model_facts.parquet")


@dataclass(frozen=True)
class KnownModel:
    """Facts of one of timm's models ``architecture.tag``, the licence of its weights, and where they come from."""

    name: str
    facts: Facts
    licence: str | None
    repository: str | None
    file: str | None
    url: str | None


def known_model(name: str) -> KnownModel | None:
    """Return what the table says of ``architecture.tag``, or None, also if the table is of another timm."""
    return known_models().get(name) if is_current() else None


@cache
def known_models() -> dict[str, KnownModel]:
    """Return the models of the table by name, in the order of timm's lists."""
    import polars as pl  # a zoo file of own checkpoints does not need it

    rows = {row["model"]: _known(row) for row in pl.read_parquet(TABLE).iter_rows(named=True)}
    return {name: rows[name] for name in sorted(rows, key=_natural)}


@cache
def is_current() -> bool:
    """Return whether the table is of the installed timm."""
    import polars as pl

    return pl.read_parquet_metadata(TABLE).get("timm") == version("timm")


def matching_names(pattern: str) -> list[str]:
    """Return timm's names that match a wildcard or equal a name with its tag, if the table can tell; else nothing."""
    if not is_current():
        return []
    pattern = without_source(pattern)
    if not is_wildcard(pattern):
        return [pattern] if pattern in known_models() else []
    return [name for name in known_models() if fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")]


def _known(row: dict[str, Any]) -> KnownModel:
    size = row["input_size"]
    facts = Facts(
        parameters=row["parameters"],
        gmacs=row["gmacs"],
        width=row["width"],
        input_size=int(size) if size.isdigit() else size,
        family=row["family"],
        pretraining=row["pretraining"],
    )
    places = {name: row[name] for name in ("repository", "file", "url")}
    return KnownModel(row["model"], facts, known_licence(row["licence"]), **places)


def _natural(name: str) -> list[tuple[bool, int, str]]:
    """Return a key that sorts numbers in names by their size."""
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", name)]
