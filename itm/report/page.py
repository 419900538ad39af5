"""A ranking as one page that opens without a network: the answer, the table, figures, failures and where it all comes from."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from itm.report import (
    Answer,
    Shortfall,
    answer,
    compact,
    contents,
    decimals,
    fixed,
    in_order,
    interval,
    shortfalls,
    status,
    thrift,
    tie_groups,
    tied_with_first,
)
from itm.report.figures import GROUP_COLOURS, THEME, as_svg, score_against_cost, score_bars
from itm.store import write_beside
from itm.types import DataRanking, Estimate, RankedModel, Ranking


@dataclass(frozen=True)
class Column:
    """A column of the table: how it sorts, and in which direction a first click sorts it."""

    label: str
    kind: Literal["number", "text"] = "number"
    first: Literal["ascending", "descending"] = "descending"
    note: str = ""


@dataclass(frozen=True)
class Cell:
    """What a cell shows, and the value it sorts by; without a value it sorts last."""

    text: str
    value: float | str | None = None
    note: str = ""


@dataclass(frozen=True)
class Line:
    """A model's line of the table."""

    row: RankedModel
    status: str
    group: int | None
    best: bool
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Picture:
    """A figure as inline SVG, and how to read it."""

    svg: Markup
    caption: str


@dataclass(frozen=True)
class Panel:
    """Everything the page says of one data set."""

    name: str
    data: DataRanking
    answer: Answer
    thrift: str
    contents: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    pictures: tuple[Picture, ...]
    shortfalls: tuple[Shortfall, ...]


def render(ranking: Ranking) -> str:
    """Return the page; the same ranking gives the same bytes."""
    environment = Environment(
        loader=PackageLoader("itm", "report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["breakable"] = _breakable
    panels = [_panel(data, ranking, number) for number, data in enumerate(ranking.data_sets, start=1)]
    return environment.get_template("page.html").render(ranking=ranking, panels=panels, theme=THEME)


def write_page(ranking: Ranking, folder: Path) -> Path:
    """Write the page to index.html in `folder` and return its path.

    Raises
    ------
    StoreError
        If the folder cannot be written to; an older page is then still whole.
    """
    path = folder / "index.html"
    text = render(ranking)

    def write(temporary: Path) -> None:
        temporary.write_text(text, encoding="utf-8", newline="\n")

    write_beside(path, write)
    return path


def _panel(data: DataRanking, ranking: Ranking, number: int) -> Panel:
    others = _other_scores(data, ranking)
    places = {name: decimals(row.scores.get(name) for row in data.rows) for name in others}
    places[ranking.rank_by] = decimals(row.estimate for row in data.rows)
    groups = tie_groups(data)
    best = {row.model for row in tied_with_first(data)}
    lines = [
        Line(
            row,
            status(row),
            groups.index(row.tie_group) % GROUP_COLOURS if row.tie_group in groups else None,
            row.rank == 1 or row.model in best,
            (
                Cell("-" if row.rank is None else str(row.rank), row.rank),
                Cell(row.model, row.model),
                _score_cell(row, row.estimate, places[ranking.rank_by]),
                Cell("-" if row.tie_group is None else str(row.tie_group), row.tie_group),
                *_cost_cells(row),
                Cell(status(row), status(row)),
                *(_score_cell(row, row.scores.get(name), places[name]) for name in others),
            ),
        )
        for row in in_order(data.rows)
    ]
    columns = (
        Column("Rank", first="ascending"),
        Column("Model", "text", "ascending"),
        Column(ranking.rank_by, note="ranked by this"),
        Column("Tie group", first="ascending"),
        Column("GMACs", first="ascending", note="per image"),
        Column("Parameters", first="ascending", note="million"),
        Column("Images/s"),
        Column("Status", "text", "ascending"),
        *(Column(name) for name in others),
    )
    return Panel(
        f"data-{number}",
        data,
        answer(data),
        thrift(data),
        contents(data),
        columns,
        tuple(lines),
        _pictures(data, ranking.rank_by, number),
        tuple(shortfalls(data)),
    )


def _other_scores(data: DataRanking, ranking: Ranking) -> list[str]:
    known = [facts.name for facts in ranking.scores]
    found = [name for row in data.rows for name in row.scores]
    return [name for name in dict.fromkeys([*known, *found]) if name != ranking.rank_by]


def _score_cell(row: RankedModel, estimate: Estimate | None, places: int) -> Cell:
    if estimate is None:
        return Cell("failed" if row.status == "ranked" and row.failures else "-")
    return Cell(fixed(estimate.value, places), estimate.value, interval(estimate, places))


def _cost_cells(row: RankedModel) -> tuple[Cell, ...]:
    facts = row.facts
    values = (facts.gmacs if facts else None, facts.parameters / 1e6 if facts else None, row.images_per_second)
    return tuple(Cell(compact(value), value) for value in values)


def _pictures(data: DataRanking, rank_by: str, number: int) -> tuple[Picture, ...]:
    if not any(row.estimate for row in data.rows):
        return ()
    return (
        Picture(
            _inline(score_bars(data, rank_by), f"data-{number}-scores-", f"{rank_by} of every model on {data.data}"),
            "A mark is a model's score and the bar behind it the 95 % interval. Models in one tie group share colour and mark.",
        ),
        Picture(
            _inline(score_against_cost(data, rank_by), f"data-{number}-cost-", f"{rank_by} against cost on {data.data}"),
            "The number in a mark is the model's rank. No model on the dashed line is beaten by a cheaper one.",
        ),
    )


def _inline(figure: Figure, prefix: str, label: str) -> Markup:
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
