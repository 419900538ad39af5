"""Train the mini pool and add it to the embedded zoo, one model per process: `python -m benchmarks.pretraining.main`."""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.task_runners import ProcessPoolTaskRunner

from benchmarks.pretraining.pictures import Pictures, drawn, from_parquet
from benchmarks.pretraining.recipes import RECIPES, Recipe, recipe
from benchmarks.pretraining.training import save, train
from itm.features.devices import share_cores


@task(name="pretrain", cache_policy=NO_CACHE, persist_result=False)
def pretrain_model(chosen: Recipe, pictures: Path | None, source: str, drawn_pictures: int, folder: Path, seed: int) -> None:
    """Train one model and write it. The pictures are read here, because they are too large to be sent to the process."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)  # Prefect shows only warnings
    data: Pictures = from_parquet(pictures, source) if pictures else drawn(drawn_pictures)
    save(train(chosen, data, seed), chosen, data, folder)


@flow(name="pretrain", validate_parameters=False)
def pretrain_flow(
    chosen: Sequence[Recipe], pictures: Path | None, source: str, drawn_pictures: int, folder: Path, seed: int
) -> None:
    """Train the chosen models in parallel. A failed model does not stop the others."""
    futures = [pretrain_model.submit(each, pictures, source, drawn_pictures, folder, seed) for each in chosen]
    for future in futures:
        future.wait()
    for future in futures:
        future.result()


def main() -> None:
    """Train all models of the mini pool or the given ones."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", help="models to train (default: all)")
    parser.add_argument(
        "--pictures", type=Path, help="Parquet file with the columns class and jpeg (default: synthetic pictures)"
    )
    parser.add_argument("--source", default="CIFAR-10", help="name of the pictures in the zoo file")
    parser.add_argument("--drawn", type=int, default=6000, help="number of synthetic pictures per family, without a file")
    parser.add_argument("--folder", type=Path, default=Path("data/zoo"))
    parser.add_argument("--workers", type=int, default=torch.get_num_threads())
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    chosen = [recipe(name) for name in options.names] or RECIPES
    runner = ProcessPoolTaskRunner(options.workers, initializer=share_cores, initargs=(options.workers,))
    pretrain_flow.with_options(task_runner=runner)(  # type: ignore[arg-type]
        chosen, options.pictures, options.source, options.drawn, options.folder, options.seed
    )


if __name__ == "__main__":
    main()
