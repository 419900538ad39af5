"""Letters that the usual font lacks: other installed fonts, one warning where none has them, and none of matplotlib's."""

from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib import font_manager
from matplotlib.figure import Figure

from itm.report.figures import as_svg, score_against_cost, score_bars, write_png
from itm.report.fonts import USUAL, choose_fonts
from tests.report.example import example_ranking

NOWHERE = "\U000f1234"  # of the private use area


def charmap(path: str) -> set[int]:
    return set(font_manager.get_font(path).get_charmap())


@pytest.fixture(scope="module")
def elsewhere() -> str:
    """Return a letter that an installed font has and the usual font lacks."""
    usual = charmap(font_manager.findfont(USUAL))
    for entry in font_manager.fontManager.ttflist:
        if found := sorted(charmap(entry.fname) - usual):
            return chr(found[-1])
    pytest.skip("every installed font has the letters of the usual one only")


def figure_with(text: str) -> Figure:
    figure = Figure()
    figure.add_subplot().set_title(text)
    return figure


def test_a_letter_comes_from_an_installed_font_that_has_it(elsewhere: str, tmp_path: Path, caplog) -> None:  # type: ignore[no-untyped-def]
    figure = figure_with(f"pets {elsewhere}")
    assert choose_fonts(figure) == frozenset()
    families = figure.axes[0].title.get_fontfamily()
    assert families[0] == USUAL
    (path,) = {font_manager.findfont(families[1])}
    assert ord(elsewhere) in charmap(path)
    write_png(tmp_path / "a.png", figure)  # a warning of matplotlib would be an error
    assert caplog.text == ""


def test_letters_of_the_usual_font_leave_a_figure_as_it_is() -> None:
    figure = figure_with("Größe, Ελλάδα, русский, pets_2")
    before = figure.axes[0].title.get_fontfamily()
    assert choose_fonts(figure) == frozenset()
    assert figure.axes[0].title.get_fontfamily() == before


def test_letters_of_no_font_are_named_once_and_only_for_pictures(tmp_path: Path, caplog) -> None:  # type: ignore[no-untyped-def]
    ranking = example_ranking()
    data = replace(
        ranking.data_sets[0],
        data=NOWHERE,
        rows=tuple(replace(row, model=f"{NOWHERE}{row.model}") for row in ranking.data_sets[0].rows),
    )
    for draw in (score_bars, score_against_cost):
        assert NOWHERE in as_svg(draw(data))
    assert caplog.text == ""
    for number in range(2):
        write_png(tmp_path / f"{number}.png", score_bars(data))
    (record,) = caplog.records
    assert f"no installed font has the letters {NOWHERE}: PNG figures show boxes" in record.getMessage()
