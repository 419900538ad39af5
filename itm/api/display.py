"""A ranking in a notebook: a table, and figures that need no configuration of matplotlib."""

from dataclasses import replace
from io import BytesIO

from matplotlib.figure import Figure

from itm.core.errors import ParamsError, did_you_mean
from itm.core.rankings import DataRanking, Ranking
from itm.report.details import scored_splits
from itm.report.figures import score_against_cost, score_bars, style
from itm.report.fonts import choose_fonts, without_glyph_warnings
from itm.report.page import template
from itm.report.page_tables import ranking_table
from itm.report.wording import describe_data, group_failures, in_order

KINDS = {"scores": score_bars, "cost": score_against_cost}


def draw(data: DataRanking, kind: str) -> Figure:
    """Return a figure of `KINDS`, which a notebook shows as it is.

    Raises
    ------
    ParamsError
        If there is no such kind.
    """
    if kind not in KINDS:
        raise ParamsError(f"there is no plot {kind!r}{did_you_mean(kind, KINDS)} Known: {', '.join(KINDS)}.")
    figure = KINDS[kind](data)

    def as_png() -> bytes:
        stream = BytesIO()
        choose_fonts(figure)
        with style(), without_glyph_warnings():
            figure.savefig(stream, format="png", dpi=96)
        return stream.getvalue()

    vars(figure)["_repr_png_"] = as_png  # notebooks show only figures that pyplot has made, unless they ask the figure
    return figure


def as_html(ranking: Ranking, answer: str, most: int) -> str:
    """Return the table of a ranking as HTML, with at most so many models. All text of the user is escaped."""
    (data,) = ranking.data_sets
    rows = in_order(data.rows)
    shown = replace(data, rows=tuple(rows[:most]))
    return template("ranking.html", "itm.api").render(
        data=data,
        answer=answer,
        contents=describe_data(data, scored_splits(ranking)),
        table=ranking_table(shown, ranking),
        failures=group_failures(shown),
        more=len(rows) - len(shown.rows),
    )
