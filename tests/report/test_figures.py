"""What the figures show, and that they come out the same every time."""

import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

from itm.core.rankings import DataRanking
from itm.core.types import Facts
from itm.report.figures import THEME, as_svg, score_against_cost, score_bars
from tests.report.example import HOSTILE, POOL, example_ranking, ranked_by

DRAWERS = (score_bars, score_against_cost)


def _words(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def _labels(figure: Figure) -> list[Annotation]:
    return [text for text in figure.axes[0].texts if isinstance(text, Annotation) and not text.get_text().isdigit()]


def test_svg_is_the_same_every_time() -> None:
    """The same ranking drawn twice gives the same bytes, without a date."""
    for draw in DRAWERS:
        first, second = (as_svg(draw(example_ranking().data_sets[0], "itm")) for _ in range(2))
        assert first == second
        assert "<dc:date>" not in first


def test_svg_text_stays_text() -> None:
    """Every model's name is in the picture as text, a hostile one escaped."""
    svg = as_svg(score_bars(example_ranking().data_sets[0], "itm"))
    assert {model[0] for model in POOL} <= set(_words(svg))
    assert "<script>" not in svg
    assert HOSTILE in _words(svg)


def test_dollar_signs_are_not_mathematics() -> None:
    """A name between dollar signs is shown as it is written."""
    data = example_ranking().data_sets[0]
    named = replace(data, rows=(replace(data.rows[0], model="$x_1$"), *data.rows[1:]))
    assert "$x_1$" in _words(as_svg(score_bars(named, "itm")))
    assert "$x_1$" in _words(as_svg(score_against_cost(named, "itm")))


def test_bars_end_where_intervals_end() -> None:
    """A bar reaches from the low to the high end of its interval, and the best model is on top."""
    data = example_ranking().data_sets[0]
    axes = score_bars(data, "itm").axes[0]
    groups = [drawn.get_segments() for drawn in axes.collections if isinstance(drawn, LineCollection)]
    ends = [bar[:, 0].tolist() for bars in groups for bar in bars]
    assert ends == [[row.estimate.low, row.estimate.high] for row in data.rows if row.estimate]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]


def test_tie_groups_share_a_colour() -> None:
    """Models of one tie group have one colour, those of the next another."""
    axes = score_bars(example_ranking().data_sets[0], "itm").axes[0]
    drawn = [(line.get_color(), list(line.get_ydata())) for line in axes.lines]
    assert drawn[:2] == [(THEME["group-0"], [0, 1, 2]), (THEME["group-1"], [3, 4])]


def test_controls_are_drawn_on_the_line_of_their_model() -> None:
    """A tick stands at every control's value, also below a model that has none, and the legend names it."""
    data = example_ranking().data_sets[0]
    bare = replace(data.rows[1], estimate=replace(data.rows[1].estimate, details={}))
    figure = score_bars(replace(data, rows=(data.rows[0], bare, *data.rows[2:])), "itm")
    (ticks,) = [drawn for drawn in figure.axes[0].collections if isinstance(drawn, PathCollection)]
    estimates = [row.estimate for row in data.rows if row.estimate]
    expected = [[each.details["control"], place] for place, each in enumerate(estimates) if place != 1]
    assert np.asarray(ticks.get_offsets()).tolist() == expected
    assert "eta=0, the control" in _words(as_svg(figure))


def test_the_commonest_class_is_drawn_where_scores_come_near_it() -> None:
    """What naming the commonest class reaches is a line where it is in sight, and never makes the scale longer."""
    far, near = example_ranking().data_sets[:2]
    for data, drawn in ((far, False), (near, True)):
        axes = score_bars(data, "itm").axes[0]
        assert [0.305, 0.305] in [list(line.get_xdata()) for line in axes.lines] or not drawn
        assert ("always the commonest class" in _words(as_svg(score_bars(data, "itm")))) is drawn
        assert axes.get_xlim()[0] > 0.25


def test_a_score_without_details_has_nothing_to_be_compared_with() -> None:
    """No legend, tick or line is drawn for a score that says no more than its value."""
    figure = score_bars(ranked_by(example_ranking(), "logme").data_sets[1], "logme")
    assert not figure.legends
    assert not [drawn for drawn in figure.axes[0].collections if isinstance(drawn, PathCollection)]


def test_failed_models_are_drawn_as_failed() -> None:
    """A model without a score keeps its line and says so."""
    words = _words(as_svg(score_bars(example_ranking().data_sets[0], "itm")))
    assert words.count("no score") == 1


@pytest.mark.parametrize("number", [0, 1])
def test_names_cover_neither_each_other_nor_leave_the_frame(number: int) -> None:
    """Names beside the marks do not overlap and stay inside the axes; here all of them find a place."""
    figure = score_against_cost(example_ranking().data_sets[number], "itm")
    figure.draw_without_rendering()
    labels = _labels(figure)
    boxes = [Text.get_window_extent(label) for label in labels]
    assert sorted(label.get_text() for label in labels) == sorted(model[0] for model in POOL[:8])
    assert [box.count_overlaps(boxes) for box in boxes] == [1] * len(boxes)
    frame = figure.axes[0].get_window_extent()
    assert all(frame.contains(*box.min) and frame.contains(*box.max) for box in boxes)


def test_names_stand_beside_intervals_and_not_on_them() -> None:
    """Where there is room, a name covers no model's interval, however long that is."""
    data = example_ranking().data_sets[1]
    rows = [
        replace(row, estimate=replace(row.estimate, low=row.estimate.value - 0.1, high=row.estimate.value + 0.1))
        for row in (data.rows[0], data.rows[4], data.rows[7])
        if row.estimate
    ]
    figure = score_against_cost(replace(data, rows=tuple(rows)), "itm")
    figure.draw_without_rendering()
    bars = [bar.get_segments()[0] for bar in figure.axes[0].collections if isinstance(bar, LineCollection)]
    spans = [Bbox(figure.axes[0].transData.transform(bar)) for bar in bars]
    names = [Text.get_window_extent(label) for label in _labels(figure)]
    assert (len(names), len(spans)) == (3, 3)
    assert [name.count_overlaps(spans) for name in names] == [0, 0, 0]


def test_dashed_line_joins_models_that_no_cheaper_one_beats() -> None:
    """The line holds the best score at every cost and nothing else."""
    data = example_ranking().data_sets[1]
    figure = score_against_cost(data, "itm")
    line = next(line for line in figure.axes[0].lines if line.get_linestyle() == "--")
    known = sorted((row.facts.gmacs or 0, row.estimate.value) for row in data.rows if row.facts and row.estimate)
    expected = [(x, y) for x, y in known if y > max([score for cost, score in known if cost < x], default=-1)]
    assert np.asarray(line.get_xydata()).tolist() == [list(point) for point in expected]


def test_parameters_stand_in_for_unknown_gmacs() -> None:
    """Where one model's GMACs are not known, all are compared by parameters; a model of unknown cost is counted as left out."""
    data = example_ranking().data_sets[0]
    rows = list(data.rows)
    rows[0] = replace(rows[0], facts=Facts(86_000_000, None, 768, 224, "vit", ""))
    rows[1] = replace(rows[1], facts=None)
    axes = score_against_cost(replace(data, rows=tuple(rows)), "itm").axes[0]
    assert axes.get_xlabel() == "million parameters (log scale; 1 model of unknown cost left out)"
    assert max(np.asarray(line.get_xdata()).max() for line in axes.lines) == 86.0


def test_many_models_and_none() -> None:
    """A pool of a hundred models and a data set without any are drawn without a warning."""
    data = example_ranking().data_sets[0]
    many = tuple(replace(data.rows[i % 8], model=f"model_{i}.tag", rank=i + 1, tie_group=i // 7) for i in range(100))
    nothing = DataRanking("none", "folder:none", "", 0, (), {}, ())
    for draw in DRAWERS:
        assert "model_0.tag" in _words(as_svg(draw(replace(data, rows=many), "itm")))
        assert as_svg(draw(nothing, "itm")).endswith("</svg>\n")


def test_very_long_names_leave_room_to_draw() -> None:
    """A name as long as a path is shortened in the middle, and both its ends stay."""
    data = example_ranking().data_sets[0]
    named = replace(data, rows=(replace(data.rows[0], model="start" + "x" * 300 + "end"), *data.rows[1:]))
    for draw in DRAWERS:
        assert [word for word in _words(as_svg(draw(named, "itm"))) if word.startswith("startx") and word.endswith("xend")]


@pytest.mark.parametrize("draw", DRAWERS)
def test_a_single_model_with_a_sure_score_can_be_drawn(draw: Callable[[DataRanking, str], Figure]) -> None:
    """One model, one cost and an interval of no width still make a figure."""
    data = example_ranking().data_sets[0]
    only = next(row for row in data.rows if row.estimate)
    assert only.estimate is not None
    sure = replace(only.estimate, low=only.estimate.value, high=only.estimate.value)
    assert only.model in _words(as_svg(draw(replace(data, rows=(replace(only, estimate=sure),)), "itm")))
