"""The page and the figures of a selection."""

from dataclasses import replace

from itm.core.selections import LearningCurve, PredictedModel, SearchBudget, SearchState, Selection, TrainedRung
from itm.core.types import Exclusion
from itm.report.figures import as_svg
from itm.selection.figures import FIGURES, learning_curves, predicted_against_reached, race, regret_over_time
from itm.selection.page import render_selection, write_selection_page

NAMES = [f"model_{number}" for number in range(6)]
SELECTION = Selection(
    data="cells",
    source="folder:cells",
    data_hash="h",
    protocol="full",
    classes=4,
    validation_images=60,
    budget=SearchBudget(seconds=600),
    spent=612.0,
    grid_seconds=4000.0,
    stop="budget",
    why="a budget of 10 min is used up",
    pick=NAMES[0],
    models=tuple(PredictedModel(name, "w", 0.9 - n / 50, 0.8, 0.95, 0.5 / (n + 1)) for n, name in enumerate(NAMES)),
    states=tuple(SearchState(100.0 * n, NAMES[n % 2], 0.9, 0.8, 0.95, 0.5, 0.02 / n, 0.001, 6 - n) for n in range(1, 4)),
    experiments=tuple(TrainedRung(60.0 * n, NAMES[n % 3], 1e-3, 0, 10 * n, 0.8, 5.0) for n in range(1, 7)),
    curves=tuple(LearningCurve(name, 1e-3, 0, ((10, 0.7), (20, 0.8))) for name in NAMES[:3]),
    excluded=(Exclusion("giant", "has more parameters than allowed", "max_params"),),
)


def test_the_page_has_the_answer_the_table_and_the_figures():
    reached = replace(SELECTION.models[0], reached=0.87)
    page = render_selection([replace(SELECTION, models=(reached, *SELECTION.models[1:]))], "cells-1")
    assert "For cells, fine-tune model_0: expected accuracy 90.0 [80.0, 95.0] %" in page
    assert all(f"model_<wbr>{number}" in page for number in range(6))
    assert page.count("<svg") == len(FIGURES)
    assert "<strong>giant</strong>: has more parameters than allowed" in page
    assert "http" not in page.replace("http://www.w3.org", "")  # it needs no network
    assert page == render_selection([replace(SELECTION, models=(reached, *SELECTION.models[1:]))], "cells-1")


def test_what_is_not_known_is_not_drawn():
    assert predicted_against_reached(SELECTION) is None
    bare = replace(SELECTION, experiments=(), curves=(), states=SELECTION.states[:1])
    assert (race(bare), learning_curves(bare), regret_over_time(bare)) == (None, None, None)
    assert "<svg" not in render_selection([bare])


def test_the_race_has_the_trained_models_best_first():
    figure = race(SELECTION)
    assert figure is not None
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == NAMES[:3]
    assert "minutes of the search" in as_svg(figure)


def test_a_selection_without_a_pick_has_a_page(store):
    none = replace(SELECTION, pick=None, models=(), others=(), states=(), experiments=(), curves=(), why="every model failed")
    path = write_selection_page([none], store)
    assert path == store.reports / "selection.html"
    assert "For cells, no model can be recommended: every model failed." in path.read_text()
