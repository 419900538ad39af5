"""Run `itm select` for real, and compare its pick with the full grid, which is trained afterwards.

    python -m benchmarks.select_real WORK [SOURCE ...] [--models PATTERN ...] [--share 0.15]

WORK is an empty folder, or that of an interrupted run, which goes on. Without a source, the data set is one that the desk does
not have: drawn strokes. The recipe is that of the desk. Each line of the output is JSON: the picked and the best model, the
test accuracy lost in points, and the share of the seconds of the full grid that the search took. It takes a quarter of an hour
on two cores, nearly all of it for the grid.
"""

import argparse
import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path

from itm.core.params import Params
from itm.core.selections import SearchBudget, Selection
from itm.core.yaml_records import parse
from itm.data.index import read_usable
from itm.finetuning.rungs import Rung, Wanted, train_rungs
from itm.finetuning.steps import learning_rates
from itm.run.plan import plan
from itm.selection.select import run
from itm.store.layout import Store

ZOO = Path("data/zoo/zoo.yaml")
SOURCE = "synthetic:strokes"
PATTERN = "mini_*"

log = logging.getLogger("itm.benchmarks.select_real")


def parameters(work: Path, source: str, models: Sequence[str]) -> Params:
    """Return the parameters of the desk for one data set."""
    values = {
        "data": {"sets": [source], "max_images": 1200, "splits": {"train": 0.5, "val": 0.15, "test": 0.35}},
        "zoo": {"file": str(ZOO), "models": list(models)},
        "score": {"names": ["linear_probe"]},
        "finetune": {"learning_rates": [5e-5, 5e-4, 5e-3], "steps": 80, "seeds": 1, "protocols": ["full"]},
        "runner": {"kind": "processes", "workers": 2},
        "store": str(work),
    }
    return parse(values, Params, "select_real")


def measure(params: Params, share: float) -> dict[str, object]:
    """Select, train the full grid, and return what the selection lost."""
    store = Store(params.store)
    (selection,) = run(params, store, SearchBudget(share=share))
    log.info("%s: %s after %.0f s; now the full grid", selection.data, selection.pick, selection.spent)
    grid = full_grid(params, store)
    best = {name: max(rungs, key=_quality) for name, rungs in grid.items()}
    truths = {name: rung.test_accuracy or 0.0 for name, rung in best.items()}
    winner = max(truths, key=lambda name: truths[name])
    total = sum(rung.seconds for rungs in grid.values() for rung in rungs)
    return {
        "data": selection.data,
        "models": len(grid),
        "pick": selection.pick,
        "best": winner,
        "regret": round(100 * (truths[winner] - _delivered(selection, grid)), 2),
        "share": round(sum(own.seconds for own in selection.experiments) / total, 3),
        "grid_seconds": round(total),
    }


def full_grid(params: Params, store: Store) -> dict[str, tuple[Rung, ...]]:
    """Train every model at every learning rate to its end. What the search has trained goes on."""
    planned = plan(params, store)
    (data,) = planned.data_sets
    images = len(read_usable(data).filter(split="train"))
    found = {}
    for model in planned.models:
        began = time.monotonic()
        rates = learning_rates(params.finetune, images, len(data.target.names), "full")
        wanted = [Wanted("full", rate, params.finetune.seed, params.finetune.steps) for rate in rates]
        found[model.name] = train_rungs(model, data, wanted, params.finetune, params.extract, store)
        log.info("%s: %.0f s", model.name, time.monotonic() - began)
    return found


def _quality(rung: Rung) -> tuple[bool, float, float]:
    mark = max(rung.marks, key=lambda own: own.quality, default=None)
    return (rung.finite, *mark.quality) if mark else (False, 0.0, 0.0)


def _delivered(selection: Selection, grid: dict[str, tuple[Rung, ...]]) -> float:
    """Return the test accuracy of the run that the selection delivers."""
    assert selection.pick
    assert selection.recipe
    own = next(rung for rung in grid[selection.pick] if rung.learning_rate == selection.recipe.learning_rate)
    return own.test_accuracy or 0.0


def main() -> None:
    """Print a line per data set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("work", type=Path)
    parser.add_argument("sources", nargs="*", default=[SOURCE])
    parser.add_argument("--models", nargs="+", default=[PATTERN])
    parser.add_argument("--share", type=float, default=0.15)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    for source in options.sources:
        print(json.dumps(measure(parameters(options.work, source, options.models), options.share)), flush=True)


if __name__ == "__main__":
    main()
