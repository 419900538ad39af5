"""The tables of the page: the ranking with every score and cost, and what the score ranked by is made of."""

from dataclasses import dataclass
from typing import Literal

from itm.core.rankings import DataRanking, Estimate, RankedModel, Ranking
from itm.core.text import compact, decimals, fixed, interval
from itm.report.details import METRICS, balance, commonest_class, control, control_name, controlled, detailed, digits, metric
from itm.report.figures import GROUP_COLOURS
from itm.report.wording import in_order, status, tie_groups, tied_with_first


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


_FIRST_COLUMNS = (Column("Rank", first="ascending"), Column("Model", "text", "ascending"))


@dataclass(frozen=True)
class Line:
    """A model's line of the table."""

    row: RankedModel
    status: str
    group: int | None
    best: bool
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """A table that can be sorted by any column, and what is said of it in words."""

    label: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    remarks: tuple[str, ...] = ()


def ranking_table(data: DataRanking, ranking: Ranking) -> Table:
    """Return every model with its scores and costs."""
    others = _other_scores(data, ranking)
    places = {name: decimals(row.scores.get(name) for row in data.rows) for name in others}
    places[ranking.rank_by] = decimals(row.estimate for row in data.rows)
    lines = [
        _line(
            data,
            row,
            _score_cell(row, row.estimate, places[ranking.rank_by]),
            Cell("-" if row.tie_group is None else str(row.tie_group), row.tie_group),
            *_cost_cells(row),
            *(_score_cell(row, row.scores.get(name), places[name]) for name in others),
        )
        for row in in_order(data.rows)
    ]
    columns = (
        *_FIRST_COLUMNS,
        Column(ranking.rank_by, note="ranked by this"),
        Column("Tie group", first="ascending"),
        Column("GMACs", first="ascending", note="per image"),
        Column("Parameters", first="ascending", note="million"),
        Column("Images/s"),
        *(Column(name) for name in others),
    )
    return Table(f"Ranking on {data.data}", columns, tuple(lines))


def details_table(data: DataRanking, rank_by: str) -> Table | None:
    """Return what the score ranked by is made of, or nothing where it has no details."""
    rows, places = detailed(data), digits(data)
    if not rows:
        return None
    same, name = metric(data), control_name(rank_by)
    metrics = {key: words for key, words in METRICS.items() if key != same and any(key in e.details for _, e in rows)}
    lines = [
        _line(
            data,
            row,
            Cell(fixed(estimate.value, places), estimate.value),
            *(_compared(estimate, places) if controlled(data) else ()),
            _detail(estimate.standard_error, places + 1),
            Cell(interval(estimate, places), estimate.high - estimate.low),
            *(_detail(estimate.details.get(key), places) for key in metrics),
        )
        for row, estimate in rows
    ]
    columns = (
        *_FIRST_COLUMNS,
        Column(rank_by, note=f"held-out {METRICS[same]}" if same else ""),
        *((Column(name, note="the control"), Column("Difference", note="to the control")) if controlled(data) else ()),
        Column("Standard error", first="ascending"),
        Column("95 % interval", first="ascending"),
        *(Column(words.capitalize()) for words in metrics.values()),
    )
    remarks = (commonest_class(data), balance(data), control(data, rank_by))
    return Table(f"What {rank_by} is made of on {data.data}", columns, tuple(lines), tuple(filter(None, remarks)))


def _line(data: DataRanking, row: RankedModel, *cells: Cell) -> Line:
    groups = tie_groups(data)
    group = groups.index(row.tie_group) % GROUP_COLOURS if row.tie_group in groups else None
    best = row.rank == 1 or row.model in {tied.model for tied in tied_with_first(data)}
    first = (Cell("-" if row.rank is None else str(row.rank), row.rank), Cell(row.model, row.model))
    return Line(row, status(row), group, best, (*first, *cells))


def _compared(estimate: Estimate, places: int) -> tuple[Cell, Cell]:
    reached = estimate.details.get("control")
    difference = None if reached is None else estimate.value - reached
    return _detail(reached, places), _detail(difference, places, "+")


def _detail(value: float | None, places: int, sign: str = "") -> Cell:
    return Cell("-") if value is None else Cell(fixed(value, places, sign), value)


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
