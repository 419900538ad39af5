"""The ranking of models for one data set, as Python programs and notebooks use it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from itm.core.errors import ModelError
from itm.core.extras import MissingExtraError
from itm.core.rankings import DataRanking, RankedModel, Ranking
from itm.core.types import Failure
from itm.report.wording import answer, cheapest, cheapest_tied, group_failures, in_order, ranked, tied_with_first
from itm.store.layout import Store
from itm.store.ranking_file import page_path

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    from matplotlib.figure import Figure

    from itm.export import LoadedModel

MOST_ROWS = 30  # rows that are printed
WIDTH = 120  # columns of the printed table


@dataclass(frozen=True, repr=False)
class ModelRanking:
    """The models of one data set, best first, followed by those that failed.

    Iterating gives the rows. In a notebook, it is shown as a table.

    Attributes
    ----------
    ranking
        The record of ranking.json with this data set alone: scores, intervals, tie groups, costs and provenance.
    store
        Where the ranking and its models are, or None if it is only in memory.
    """

    ranking: Ranking
    store: Store | None = None

    @property
    def data(self) -> DataRanking:
        """Return the record of the data set."""
        return self.ranking.data_sets[0]

    @cached_property
    def rows(self) -> tuple[RankedModel, ...]:
        """Return the ranked models, best first, then those that failed."""
        return tuple(in_order(self.data.rows))

    @property
    def best(self) -> RankedModel:
        """Return the first model.

        Raises
        ------
        ModelError
            If no model could be ranked. The message has the reasons.
        """
        if first := ranked(self.data):
            return first[0]
        reasons = "; ".join(f"{', '.join(names)}: {reason}" for names, _, reason in group_failures(self.data))
        raise ModelError(f"no model could be ranked on {self.data.data}: {reasons or 'none was named'}")

    @property
    def tied(self) -> tuple[RankedModel, ...]:
        """Return the other models that can be just as good as the first: these images do not decide between them."""
        return tuple(tied_with_first(self.data))

    @property
    def cheapest(self) -> RankedModel:
        """Return the model with the fewest multiply-adds among the first and those tied with it."""
        return cheapest(self.data) or self.best

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Return what failed, with the reasons: models, or single scores of ranked models."""
        return tuple(failure for row in self.rows for failure in row.failures)

    @property
    def answer(self) -> str:
        """Return which model to fine-tune and why, in one or two sentences."""
        return " ".join(filter(None, (str(answer(self.data)), cheapest_tied(self.data))))

    @property
    def page(self) -> Path | None:
        """Return the path of the HTML page with all details, or None if the ranking is only in memory."""
        return page_path(self.store) if self.store else None

    def load(self, model: str | None = None) -> "LoadedModel":
        """Return the first model, or `model`, ready to predict; fine-tuned if it was fine-tuned.

        Raises
        ------
        ItmError
            If the ranking has no models, or the model cannot be loaded.
        """
        if self.store is None or self.best.facts is None:
            raise ModelError(
                f"{self.data.data}: embeddings were ranked, and there is no model to load; load yours by its name."
            )
        from itm.export import load_recommended  # imports torch

        return load_recommended(
            self.data.data, self.store.root, ranking=self.store.ranking_name, model=model or self.best.model
        )

    def __iter__(self) -> Iterator[RankedModel]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def to_polars(self) -> "pl.DataFrame":
        """Return a table with one row per model: the score with its interval, all scores, costs and failures."""
        import polars as pl

        from itm.api.frame import columns

        return pl.DataFrame(columns(self.data), strict=False)

    def to_pandas(self) -> "pd.DataFrame":
        """Return the table of `to_polars` as a frame of pandas, which must be installed."""
        if find_spec("pandas") is None:
            raise MissingExtraError("to_pandas needs pandas; run pip install pandas, or use to_polars.")
        import pandas as pd

        return pd.DataFrame(self.to_polars().to_dict(as_series=False))

    def plot(self, kind: Literal["scores", "cost"] = "scores") -> "Figure":
        """Return a figure of matplotlib: the scores with their intervals, or the scores against the cost of the models.

        A notebook shows it. Elsewhere, ``figure.savefig("ranking.png")`` writes it.
        """
        from itm.api.display import draw

        return draw(self.data, kind)

    def __repr__(self) -> str:
        from rich.console import Console

        from itm.report.table import print_ranking

        shown = replace(self.data, rows=self.rows[:MOST_ROWS])
        console = Console(file=StringIO(), width=WIDTH, color_system=None, highlight=False, force_jupyter=False)
        print_ranking(replace(self.ranking, data_sets=(shown,)), console)
        more = len(self.rows) - len(shown.rows)
        left_out = f"\n... and {more} more models; to_polars() has all of them" if more else ""
        assert isinstance(console.file, StringIO)
        return "\n".join(line.rstrip() for line in console.file.getvalue().strip("\n").splitlines()) + left_out

    def _repr_html_(self) -> str:
        from itm.api.display import as_html

        return as_html(self.ranking, self.answer, MOST_ROWS)
