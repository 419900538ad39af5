"""A benchmark through the pipeline of `itm rank`: what is in place is ranked and, where accuracies are given, compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from itm.benchmark.itm20.accuracies import Accuracies, compare
from itm.benchmark.itm20.files import Item, look_at_data, look_at_weights
from itm.benchmark.itm20.pool import DATA_SETS, NAME, Checkpoint
from itm.core.errors import ParamsError, did_you_mean
from itm.core.keys import content_key
from itm.core.params import Params, with_overrides
from itm.core.rankings import Ranking
from itm.run import pipeline
from itm.scores import computed
from itm.store.files import write_table, write_text
from itm.store.layout import Store

FACTORIES = Path(__file__).resolve().with_name("factories.py")


@dataclass(frozen=True)
class Pool:
    """The checkpoints that were asked for and all data sets, each with what is in place of it."""

    root: Path
    checkpoints: tuple[Checkpoint, ...]
    weights: tuple[Item, ...]
    data: tuple[Item, ...]

    @property
    def models(self) -> tuple[Checkpoint, ...]:
        """Return the checkpoints whose weights are in place."""
        return tuple(one for one, item in zip(self.checkpoints, self.weights, strict=True) if item.place)

    @property
    def sources(self) -> tuple[str, ...]:
        """Return the sources of the data sets that are in place, each with its name."""
        return tuple(f"{item.name}={item.place}" for item in self.data if item.place)


def check(name: str, params: Params) -> None:
    """Find out, before anything is fetched, whether there is a benchmark of this name and the scores of `params`.

    Raises
    ------
    ParamsError
        If there is no such benchmark or score.
    """
    if name != NAME:
        raise ParamsError(f"no benchmark {name!r}{did_you_mean(name, [NAME])} Known: {NAME}.")
    computed(params.score.names)


def look(checkpoints: Sequence[Checkpoint], root: Path) -> Pool:
    """Find out what is in place; weights are fetched only where there is a data set to use them on."""
    data = look_at_data(DATA_SETS, root)
    weights = look_at_weights(checkpoints, fetch=any(item.place for item in data))
    return Pool(root, tuple(checkpoints), weights, data)


def prepare(pool: Pool, params: Params) -> tuple[Params, Store]:
    """Write the zoo file of what timm does not have, and return the parameters and the store of this ranking.

    Raises
    ------
    ParamsError
        If there is no data set, or not two checkpoints to put in an order.
    """
    if not pool.sources or len(pool.models) < 2:
        raise ParamsError(
            f"{NAME} needs a data set and two checkpoints, and has {len(pool.sources)} and {len(pool.models)}; "
            "the lines above say what is missing and what to do."
        )
    names = tuple(checkpoint.name for checkpoint in pool.models)
    asked = [names, pool.sources, params.data.max_images, params.score.names]
    store = Store(params.store, f"{NAME}-{content_key(asked)[:6]}")
    zoo = store.results / "benchmark" / "zoo.yaml"
    places = {item.stands_for: item.place for item in pool.weights}
    entries = [_entry(checkpoint, places[checkpoint.name]) for checkpoint in pool.models if checkpoint.file]
    write_text(zoo, yaml.safe_dump({"models": entries}, sort_keys=False))
    return with_overrides(params, data={"sets": pool.sources}, zoo={"file": zoo, "models": names, "code": (FACTORIES,)}), store


def run(pool: Pool, params: Params, store: Store, accuracies: Accuracies | None) -> tuple[Ranking, pl.DataFrame | None]:
    """Rank what `prepare` prepared, and write and return how its scores agree with the accuracies, if there are any.

    Raises
    ------
    ParamsError
        If the parameters are wrong as a whole.
    """
    ranking = pipeline.run(params, store, show_progress=True)
    if accuracies is None:
        return ranking, None
    table = compare(ranking, accuracies, {checkpoint.name: checkpoint.row for checkpoint in pool.checkpoints})
    write_table(store.results / "benchmark" / "agreement.parquet", table)
    return ranking, table


def _entry(checkpoint: Checkpoint, file: str | None) -> dict[str, Any]:
    wanted = checkpoint.preprocessing
    return {
        "name": checkpoint.name,
        "factory": f"{FACTORIES}:{checkpoint.factory}",
        "checkpoint": file,
        "input_size": wanted.input_size,
        "mean": wanted.mean and [*wanted.mean],
        "std": wanted.std and [*wanted.std],
        "crop": wanted.crop,
        "interpolation": wanted.interpolation,
    }
