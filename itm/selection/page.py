"""A selection as one HTML page that needs no network: answer, predicted accuracies, recipe, and figures of the search."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from itm.core.selections import PredictedModel, Selection
from itm.core.text import compact, duration, pluralize
from itm.report.figures import THEME
from itm.report.page import Picture, inline, template
from itm.selection.budget import budget_text
from itm.selection.figures import FIGURES, best_rate
from itm.selection.table import trained_steps
from itm.selection.text import accuracy_text, answer_text, export_command, other_text, points, recipe_text, unfinished_text
from itm.store.files import write_text
from itm.store.layout import Store

MOST_ROWS = 100
COLUMNS = ("Model", "Predicted, %", "P(best)", "Trained", "Best rate", "Test, %", "Rank by score", "GMACs", "ms")


@dataclass(frozen=True)
class Panel:
    """The section of one data set."""

    name: str
    selection: Selection
    answer: str
    others: tuple[str, ...]
    recipe: str
    command: str
    missing: str
    search: str
    columns: tuple[str, ...]
    rows: tuple[tuple[bool, tuple[str, ...]], ...]
    more: int
    pictures: tuple[Picture, ...]


def write_selection_page(selections: Sequence[Selection], store: Store) -> Path:
    """Write selection.html next to the page of the ranking, and return its path."""
    path = store.reports / "selection.html"
    write_text(path, render_selection(selections, store.ranking_name))
    return path


def render_selection(selections: Sequence[Selection], ranking: str | None = None) -> str:
    """Return the page; the same selections give the same bytes."""
    panels = [_panel(selection, number, ranking) for number, selection in enumerate(selections, start=1)]
    return template("selection.html", "itm.selection").render(panels=panels, theme=THEME)


def _panel(selection: Selection, number: int, ranking: str | None) -> Panel:
    steps, shown = trained_steps(selection), selection.models[:MOST_ROWS]
    return Panel(
        name=f"data-{number}",
        selection=selection,
        answer=answer_text(selection),
        others=tuple(other_text(selection, other) for other in selection.others),
        recipe=recipe_text(selection),
        command=export_command(selection, ranking),
        missing=unfinished_text(selection),
        search=_search(selection),
        columns=COLUMNS,
        rows=tuple((row.model == selection.pick, _cells(selection, row, steps)) for row in shown),
        more=len(selection.models) - len(shown),
        pictures=_pictures(selection, number),
    )


def _search(selection: Selection) -> str:
    """Return what the search did, in sentences."""
    done = pluralize(len(selection.experiments), "experiment")
    models = pluralize(len({own.model for own in selection.experiments}), "model")
    whole = f"; the full grid is estimated at {duration(selection.grid_seconds)}" if selection.grid_seconds else ""
    return (
        f"{done} with {models} of {len(selection.models)} in {duration(selection.spent)}, for {budget_text(selection.budget)}"
        f"{whole}. Protocol {selection.protocol}. Accuracies are measured on "
        f"{pluralize(selection.validation_images, 'validation image')} of {pluralize(selection.classes, 'class')}."
    )


def _cells(selection: Selection, row: PredictedModel, steps: dict[str, int]) -> tuple[str, ...]:
    rate = best_rate(selection, row)
    return (
        row.model,
        accuracy_text(row),
        f"{100 * row.chance_best:.0f} %",
        f"{steps[row.model]} steps" if row.model in steps else "-",
        "-" if rate is None else f"{rate:.2g}",
        "-" if row.reached is None else points(row.reached),
        "-" if row.rank is None else str(row.rank),
        compact(row.gmacs),
        compact(row.latency_ms),
    )


def _pictures(selection: Selection, number: int) -> tuple[Picture, ...]:
    found = []
    for name, draw, caption in FIGURES:
        if figure := draw(selection):
            found.append(Picture(inline(figure, f"data-{number}-{name}-", f"{name} of {selection.data}"), caption))
    return tuple(found)
