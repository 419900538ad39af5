"""A ranking as one page that opens without a network: the answer, the table, figures, failures and where it all comes from."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from itm.core.rankings import DataRanking, Ranking
from itm.report.details import drawing, scored_splits
from itm.report.figures import THEME, as_svg, score_against_cost, score_bars
from itm.report.page_tables import Table, details_table, ranking_table
from itm.report.wording import Answer, Shortfall, answer, contents, in_order, shortfalls, thrift
from itm.store.files import write_text

MOST_ROWS = 100  # a data set's models in the tables; thousands of lines make a page of many megabytes


@dataclass(frozen=True)
class Picture:
    """A figure as inline SVG, and how to read it."""

    svg: Markup
    caption: str


@dataclass(frozen=True)
class Panel:
    """Everything the page says of one data set; `more` counts the models that its tables leave out."""

    name: str
    data: DataRanking
    answer: Answer
    thrift: str
    contents: str
    ranking: Table
    details: Table | None
    pictures: tuple[Picture, ...]
    shortfalls: tuple[Shortfall, ...]
    more: int


def render(ranking: Ranking) -> str:
    """Return the page; the same ranking gives the same bytes."""
    panels = [_panel(data, ranking, number) for number, data in enumerate(ranking.data_sets, start=1)]
    return template("page.html").render(
        ranking=ranking, panels=panels, theme=THEME, scored=scored_splits(ranking), drawing=drawing(ranking)
    )


def write_page(ranking: Ranking, folder: Path) -> Path:
    """Write the page to index.html in `folder` and return its path.

    Raises
    ------
    StoreError
        If the folder cannot be written to; an older page is then still whole.
    """
    return write_index(folder, render(ranking))


def write_index(folder: Path, text: str) -> Path:
    """Write a page to index.html in `folder` and return its path.

    Raises
    ------
    StoreError
        If the folder cannot be written to; an older page is then still whole.
    """
    path = folder / "index.html"
    write_text(path, text)
    return path


def template(name: str, package: str = "itm.report") -> Template:
    """Return a template of `package`; it may include those of `itm.report`. Values are escaped, missing ones are errors."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, ""), PackageLoader("itm.report", "")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = _breakable
    return environment.get_template(name)


def _panel(data: DataRanking, ranking: Ranking, number: int) -> Panel:
    shown = replace(data, rows=tuple(in_order(data.rows)[:MOST_ROWS]))
    return Panel(
        f"data-{number}",
        data,
        answer(data),
        thrift(data),
        contents(data, scored_splits(ranking)),
        ranking_table(shown, ranking),
        details_table(shown, ranking.rank_by),
        _pictures(data, ranking.rank_by, number),
        tuple(shortfalls(data)),
        len(data.rows) - len(shown.rows),
    )


def _pictures(data: DataRanking, rank_by: str, number: int) -> tuple[Picture, ...]:
    if not any(row.estimate for row in data.rows):
        return ()
    return (
        Picture(
            inline(score_bars(data, rank_by), f"data-{number}-scores-", f"{rank_by} of every model on {data.data}"),
            "A mark is a model's score and the bar behind it the 95 % interval. Models in one tie group share colour and mark.",
        ),
        Picture(
            inline(score_against_cost(data, rank_by), f"data-{number}-cost-", f"{rank_by} against cost on {data.data}"),
            "The number in a mark is the model's rank. No model on the dashed line is beaten by a cheaper one.",
        ),
    )


def inline(figure: Figure, prefix: str, label: str) -> Markup:
    """Make a figure part of the page: with its own identifiers, the page's colours and a label for screen readers."""
    svg = as_svg(figure)
    svg = svg[svg.index("<svg") :].replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1)
    svg = re.sub(r'((?:\bid="|href="#|url\(#))', rf"\1{prefix}", svg)
    for name, colour in THEME.items():
        svg = re.sub(rf"(?<=(?:fill|roke): ){colour}\b", f"var(--{name})", svg)
    return Markup(svg)


def _breakable(name: str) -> Markup:
    """Let a long name break after its separators; copied text holds no sign of it."""
    return Markup(re.sub(r"([._/-])", r"\1<wbr>", name)) if re.fullmatch(r"[\w./-]*", name) else escape(name)
