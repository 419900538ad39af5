"""A benchmark through the pipeline of `itm rank`. Available models and data sets are ranked, and compared with accuracies."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl
import yaml

from itm.benchmark.itm20.accuracies import Accuracies, compare
from itm.benchmark.itm20.files import Item, find_data, find_weights
from itm.benchmark.itm20.pool import DATA_SETS, NAME, Checkpoint
from itm.core.errors import ParamsError
from itm.core.keys import content_key
from itm.core.params import Params, with_overrides
from itm.core.rankings import Ranking
from itm.run import pipeline
from itm.store.files import write_table, write_text
from itm.store.layout import Store

FACTORIES = Path(__file__).resolve().with_name("factories.py")


@dataclass(frozen=True)
class Pool:
    """The chosen checkpoints and all data sets, each with its availability."""

    root: Path
    checkpoints: tuple[Checkpoint, ...]
    weights: tuple[Item, ...]
    data: tuple[Item, ...]

    @property
    def models(self) -> tuple[Checkpoint, ...]:
        """Return the checkpoints whose weights are available."""
        return tuple(one for one, item in zip(self.checkpoints, self.weights, strict=True) if item.location)

    @property
    def sources(self) -> tuple[str, ...]:
        """Return the sources of the available data sets, each with its name."""
        return tuple(f"{item.name}={item.location}" for item in self.data if item.location)


def look(checkpoints: Sequence[Checkpoint], root: Path) -> Pool:
    """Return what is available. Weights are downloaded only if a data set is available."""
    data = find_data(DATA_SETS, root)
    weights = find_weights(checkpoints, fetch=any(item.location for item in data))
    return Pool(root, tuple(checkpoints), weights, data)


def prepare(pool: Pool, params: Params) -> tuple[Params, Store]:
    """Write the zoo file of the models that timm does not have, and return the parameters and the store of this ranking.

    Raises
    ------
    ParamsError
        If no data set or fewer than two checkpoints are available.
    """
    if not pool.sources or len(pool.models) < 2:
        raise ParamsError(
            f"{NAME} needs a data set and two checkpoints, and has {len(pool.sources)} and {len(pool.models)}; "
            "the lines above say what is missing and what to do."
        )
    names = tuple(checkpoint.name for checkpoint in pool.models)
    key = content_key([names, pool.sources, params.data.max_images, params.score.names])
    store = Store(params.store, f"{NAME}-{key[:6]}")
    zoo = store.results / "benchmark" / "zoo.yaml"
    locations = {item.identity: item.location for item in pool.weights}
    entries = [
        {"name": one.name, "factory": f"{FACTORIES}:{one.factory}", "checkpoint": locations[one.name]}
        | {name: value for name, value in asdict(one.preprocessing).items() if value is not None}
        for one in pool.models
        if one.file
    ]
    write_text(zoo, yaml.safe_dump({"models": entries}, sort_keys=False))
    return with_overrides(params, data={"sets": pool.sources}, zoo={"file": zoo, "models": names, "code": (FACTORIES,)}), store


def run(pool: Pool, params: Params, store: Store, accuracies: Accuracies | None) -> tuple[Ranking, pl.DataFrame | None]:
    """Rank the pool. If there are accuracies, write and return their agreement with the scores."""
    ranking = pipeline.run(params, store)
    if accuracies is None:
        return ranking, None
    table = compare(ranking, accuracies, {checkpoint.name: checkpoint.row for checkpoint in pool.checkpoints})
    write_table(store.results / "benchmark" / "agreement.parquet", table)
    return ranking, table
