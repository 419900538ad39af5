"""`itm.select`: the best model for a data set under a budget, with the accuracy to expect."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from itm.api.request import Names, read_request
from itm.core.errors import DataError, ModelError
from itm.core.selections import FoundRecipe, OtherPick, PredictedModel, Selection
from itm.run.check import check_request
from itm.store.layout import Store

if TYPE_CHECKING:
    import polars as pl

    from itm.export import LoadedModel

WIDTH = 120  # columns of the printed table


@dataclass(frozen=True, repr=False)
class ModelSelection:
    """The answer for one data set: the pick, and what to expect of every model. Iterating gives the models, best first.

    Attributes
    ----------
    selection
        The record of selection.json: experiments, learning curves, how the search ended, what failed or was left out.
    store
        Where the selection and the trained weights are.
    """

    selection: Selection
    store: Store

    @property
    def best(self) -> PredictedModel:
        """Return the pick with its expected accuracy.

        Raises
        ------
        ModelError
            If there is no pick. The message says why.
        """
        if best := self.selection.best:
            return best
        raise ModelError(f"no model can be recommended for {self.selection.data}: {self.selection.why}")

    @property
    def others(self) -> tuple[OtherPick, ...]:
        """Return other models worth a look: more accurate, smaller or faster."""
        return self.selection.others

    @property
    def recipe(self) -> FoundRecipe | None:
        """Return how the pick is fine-tuned."""
        return self.selection.recipe

    @property
    def page(self) -> Path:
        """Return the path of the HTML page of the search."""
        return self.store.reports / "selection.html"

    def load(self) -> "LoadedModel":
        """Return the pick, ready to predict: fine-tuned as far as the search came in its final run.

        Raises
        ------
        ItmError
            If there is no pick, or it cannot be loaded.
        """
        from itm.export import load_recommended  # imports torch

        own = self.selection
        return load_recommended(own.data, self.store.root, ranking=self.store.ranking_name, model=self.best.model)

    def __iter__(self) -> Iterator[PredictedModel]:
        return iter(self.selection.models)

    def __len__(self) -> int:
        return len(self.selection.models)

    def to_polars(self) -> "pl.DataFrame":
        """Return a table with one row per model: expected accuracy with its interval, chance to be the best, and costs."""
        import polars as pl

        return pl.DataFrame(self.selection.models, infer_schema_length=None)

    def __repr__(self) -> str:
        from rich.console import Console

        from itm.selection.table import print_selection

        console = Console(file=StringIO(), width=WIDTH, color_system=None, highlight=False, force_jupyter=False)
        print_selection(self.selection, console, self.store.ranking_name)
        assert isinstance(console.file, StringIO)
        return "\n".join(line.rstrip() for line in console.file.getvalue().strip("\n").splitlines())


def select(
    data: str | Path,
    *,
    budget: str | None = None,
    regret: float | None = None,
    confidence: float | None = None,
    protocol: str = "full",
    zoo: str | Path | None = None,
    models: Names = None,
    variants: Names = None,
    steps: int | None = None,
    max_images: int | None = None,
    filters: Mapping[str, Any] | None = None,
    device: str | None = None,
    params: str | Path | None = None,
    store: str | Path | None = None,
) -> ModelSelection:
    """Select the best model for a data set after fine-tuning, under a budget.

    It computes what ``itm select DATA --runner inline`` does, and shares the store with it. A call that was interrupted
    resumes: experiments are kept, and the seconds already spent count.

    Parameters
    ----------
    data, zoo, models, variants, max_images, filters, device, params, store
        As in `itm.rank`.
    budget
        A time such as ``30m`` or ``2h``, or a share of the time that fine-tuning every model at every learning rate would
        take, such as ``15%``.
    regret, confidence
        Stop once the pick is within `regret` points of the best model with this probability, 0.95 by default.
    protocol
        ``full``, ``lora``, ``norm`` or ``last_block``.
    steps
        Steps of a whole run.

    Raises
    ------
    ItmError
        If an argument is wrong, or the data set cannot be used. The message says what to do.

    Examples
    --------
    >>> import itm
    >>> selection = itm.select("digits", zoo="tiny", budget="10m")  # doctest: +SKIP
    >>> selection.best.model, round(selection.best.accuracy, 2)  # doctest: +SKIP
    ('mini_resnet50.a1', 0.97)
    """
    began = time.monotonic()
    from itm.selection.budget import read_budget

    limit = read_budget(budget, regret, confidence)
    sections: dict[str, dict[str, Any]] = {
        "data": {"max_images": max_images},
        "extract": {"device": device},
        "filters": dict(filters or {}),
        "finetune": {"steps": steps, "protocols": (protocol,)},
    }
    chosen, own = read_request(data, zoo, models, variants, params, store, sections)
    check_request(chosen)
    import torch

    from itm.selection.select import run

    threads = torch.get_num_threads()
    try:
        selections = run(chosen, own, limit, began=began)
    finally:
        torch.set_num_threads(threads)  # executors change it, and the program of the caller goes on
    if not selections:
        raise DataError(f"{data}: no model was selected.")
    return ModelSelection(selections[0], own)
