"""What a zoo of hundreds looks like: the first models are shown, and the rest are counted."""

from dataclasses import replace

import numpy as np
from matplotlib.collections import LineCollection

from itm.core.rankings import DataRanking
from itm.core.types import Facts
from itm.report.figures import MOST_MODELS, score_against_cost, score_bars
from itm.report.page import MOST_ROWS, render
from tests.report.example import example_ranking

MODELS = 300


def _large() -> DataRanking:
    """Return a data set on which the last of many models is the cheapest."""
    data = example_ranking().data_sets[0]
    first = data.rows[0]
    assert first.estimate is not None
    rows = [
        replace(
            first,
            model=f"model_{place:03d}",
            rank=place,
            estimate=replace(first.estimate, value=0.9 - place / 1000, low=0.89 - place / 1000, high=0.91 - place / 1000),
            facts=Facts(1_000_000, 1.0 if place < MODELS else 0.1, 64, 224, "resnet", ""),
        )
        for place in range(1, MODELS + 1)
    ]
    return replace(data, rows=tuple(rows))


def test_the_page_shows_the_first_models_and_counts_the_others() -> None:
    page = render(replace(example_ranking(), data_sets=(_large(),)))
    assert f"model_<wbr>{MOST_ROWS:03d}</span>" in page
    assert f"model_<wbr>{MOST_ROWS + 1:03d}</span>" not in page
    assert f"The table shows the first {MOST_ROWS} models. scores.parquet also has the other {MODELS - MOST_ROWS}." in page
    assert "also has the other" not in render(example_ranking())


def test_bars_are_drawn_of_the_first_models_and_the_title_says_so() -> None:
    axes = score_bars(_large()).axes[0]
    (bars,) = [drawn for drawn in axes.collections if isinstance(drawn, LineCollection)]
    assert len(bars.get_segments()) == MOST_MODELS
    assert axes.get_title(loc="left").endswith(f"the first {MOST_MODELS} of {MODELS} models")


def test_a_cheap_model_is_drawn_however_late_it_comes() -> None:
    figure = score_against_cost(_large())
    ranks = [int(text.get_text()) for text in figure.axes[0].texts if text.get_text().isdigit()]
    assert ranks == [*range(1, MOST_MODELS + 1), MODELS]
    (line,) = [line for line in figure.axes[0].lines if line.get_linestyle() == "--"]
    assert np.asarray(line.get_xdata()).tolist() == [0.1, 1.0]
