"""What the figures show, and that they come out the same every time."""

import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure

from itm.core.rankings import DataRanking
from itm.core.types import Facts
from itm.report.figures import THEME, as_svg, score_against_cost, score_bars
from tests.report.example import HOSTILE, POOL, example_ranking, ranked_by

pytestmark = pytest.mark.slow

DRAWERS = (score_bars, score_against_cost)


def _words(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_svg_is_the_same_every_time() -> None:
    for draw in DRAWERS:
        first, second = (as_svg(draw(example_ranking().data_sets[0])) for _ in range(2))
        assert first == second
        assert "<dc:date>" not in first


def test_svg_text_stays_text() -> None:
    svg = as_svg(score_bars(example_ranking().data_sets[0]))
    assert {model[0] for model in POOL} <= set(_words(svg))
    assert "<script>" not in svg
    assert HOSTILE in _words(svg)


def test_dollar_signs_are_not_mathematics() -> None:
    data = example_ranking().data_sets[0]
    named = replace(data, data="$d_1$", rows=(replace(data.rows[0], model="$x_1$"), *data.rows[1:]))
    assert "$x_1$" in _words(as_svg(score_bars(named)))
    for draw in DRAWERS:
        assert any(word.startswith("$d_1$: itm") for word in _words(as_svg(draw(named))))


def test_bars_end_where_intervals_end() -> None:
    data = example_ranking().data_sets[0]
    axes = score_bars(data).axes[0]
    groups = [drawn.get_segments() for drawn in axes.collections if isinstance(drawn, LineCollection)]
    ends = [bar[:, 0].tolist() for bars in groups for bar in bars]
    assert ends == [[row.estimate.low, row.estimate.high] for row in data.rows if row.estimate]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]


def test_tie_groups_share_a_colour() -> None:
    axes = score_bars(example_ranking().data_sets[0]).axes[0]
    drawn = [(line.get_color(), list(line.get_ydata())) for line in axes.lines]
    assert drawn[:2] == [(THEME["group-0"], [0, 1, 2]), (THEME["group-1"], [3, 4])]


def test_controls_are_drawn_on_the_line_of_their_model() -> None:
    data = example_ranking().data_sets[0]
    bare = replace(data.rows[1], estimate=replace(data.rows[1].estimate, details={}))
    figure = score_bars(replace(data, rows=(data.rows[0], bare, *data.rows[2:])))
    (ticks,) = [drawn for drawn in figure.axes[0].collections if isinstance(drawn, PathCollection)]
    estimates = [row.estimate for row in data.rows if row.estimate]
    expected = [[each.details["control"], place] for place, each in enumerate(estimates) if place != 1]
    assert np.asarray(ticks.get_offsets()).tolist() == expected
    assert "control (eta=0)" in _words(as_svg(figure))


def test_the_baseline_is_drawn_where_scores_come_near_it() -> None:
    far, near = example_ranking().data_sets[:2]
    for data, drawn in ((far, False), (near, True)):
        axes = score_bars(data).axes[0]
        assert [0.305, 0.305] in [list(line.get_xdata()) for line in axes.lines] or not drawn
        assert ("baseline" in _words(as_svg(score_bars(data)))) is drawn
        assert axes.get_xlim()[0] > 0.25


def test_a_score_without_details_has_nothing_to_be_compared_with() -> None:
    figure = score_bars(ranked_by(example_ranking(), "logme").data_sets[1])
    assert not figure.legends
    assert not [drawn for drawn in figure.axes[0].collections if isinstance(drawn, PathCollection)]


def test_failed_models_are_drawn_as_failed() -> None:
    words = _words(as_svg(score_bars(example_ranking().data_sets[0])))
    assert words.count("no score") == 1


def test_dashed_line_joins_models_that_no_cheaper_one_beats() -> None:
    data = example_ranking().data_sets[1]
    figure = score_against_cost(data)
    line = next(line for line in figure.axes[0].lines if line.get_linestyle() == "--")
    known = sorted((row.facts.gmacs or 0, row.estimate.value) for row in data.rows if row.facts and row.estimate)
    expected = [(x, y) for x, y in known if y > max([score for cost, score in known if cost < x], default=-1)]
    assert np.asarray(line.get_xydata()).tolist() == [list(point) for point in expected]


def test_parameters_stand_in_for_unknown_gmacs() -> None:
    data = example_ranking().data_sets[0]
    rows = list(data.rows)
    rows[0] = replace(rows[0], facts=Facts(86_000_000, None, 768, 224, "vit", ""))
    rows[1] = replace(rows[1], facts=None)
    axes = score_against_cost(replace(data, rows=tuple(rows))).axes[0]
    assert axes.get_xlabel() == "million parameters (log scale; 1 model of unknown cost not shown)"
    assert max(np.asarray(line.get_xdata()).max() for line in axes.lines) == 86.0


def test_many_models_and_none() -> None:
    data = example_ranking().data_sets[0]
    many = tuple(replace(data.rows[i % 8], model=f"model_{i}.tag", rank=i + 1, tie_group=i // 7) for i in range(100))
    nothing = replace(data, images=0, rows=())
    assert "model_0.tag" in _words(as_svg(score_bars(replace(data, rows=many))))
    assert "1" in _words(as_svg(score_against_cost(replace(data, rows=many))))
    for draw in DRAWERS:
        assert as_svg(draw(nothing)).endswith("</svg>\n")


def test_marks_carry_ranks_and_no_names() -> None:
    axes = score_against_cost(example_ranking().data_sets[0]).axes[0]
    places = {text.get_text(): text.get_position() for text in axes.texts}
    rows = [row for row in example_ranking().data_sets[0].rows if row.estimate and row.facts]
    assert places == {str(row.rank): (row.facts.gmacs, row.estimate.value) for row in rows if row.estimate and row.facts}


def test_very_long_names_leave_room_to_draw() -> None:
    data = example_ranking().data_sets[0]
    name = "start" + "x" * 300 + "end"
    named = replace(data, data=name, rows=(replace(data.rows[0], model=name), *data.rows[1:]))
    for draw in DRAWERS:
        assert [word for word in _words(as_svg(draw(named))) if word.startswith("startx") and "xend: itm" in word]
    words = _words(as_svg(score_bars(named)))
    assert [word for word in words if word.startswith("startx") and word.endswith("xend") and len(word) == 56]


@pytest.mark.parametrize("draw", DRAWERS)
def test_a_single_model_with_a_sure_score_can_be_drawn(draw: Callable[[DataRanking], Figure]) -> None:
    data = example_ranking().data_sets[0]
    only = next(row for row in data.rows if row.estimate)
    assert only.estimate is not None
    sure = replace(only.estimate, low=only.estimate.value, high=only.estimate.value)
    assert {only.model, "1"} & set(_words(as_svg(draw(replace(data, rows=(replace(only, estimate=sure),))))))
