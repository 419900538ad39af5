"""The tables of the page: the ranking with every score and cost, and the details of the score that ranks."""

from dataclasses import dataclass
from typing import Literal

from itm.core.rankings import DataRanking, Estimate, RankedModel, Ranking
from itm.core.text import compact, decimals, format_fixed, interval
from itm.report.details import baseline, control, control_name, controlled, detailed, digits, metric_labels, note
from itm.report.figures import GROUP_COLOURS
from itm.report.predictions import has_predictions, percent, percent_interval
from itm.report.wording import in_order, status, tie_groups, tied_with_first


@dataclass(frozen=True)
class Column:
    """A column: its type, which decides how it sorts, and the direction of the first sort."""

    label: str
    kind: Literal["number", "text"] = "number"
    first: Literal["ascending", "descending"] = "descending"
    note: str = ""


@dataclass(frozen=True)
class Cell:
    """The text of a cell, and the value it sorts by; a cell without a value sorts last."""

    text: str
    value: float | str | None = None
    note: str = ""


_FIRST_COLUMNS = (Column("Rank", first="ascending"), Column("Model", "text", "ascending"))


@dataclass(frozen=True)
class Line:
    """The row of a model."""

    row: RankedModel
    status: str
    group: int | None
    best: bool
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """A table that can be sorted by any column, and sentences about it."""

    label: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    remarks: tuple[str, ...] = ()


def ranking_table(data: DataRanking, ranking: Ranking) -> Table:
    """Return the table of all models with their scores and costs."""
    others = _other_scores(data, ranking)
    places = {name: decimals(row.scores.get(name) for row in data.rows) for name in others}
    places[data.rank_by] = decimals(row.estimate for row in data.rows)
    lines = [
        _line(
            data,
            row,
            _score_cell(row, row.estimate, places[data.rank_by]),
            _group_cell(data, row),
            *([_predicted_cell(row)] if has_predictions(data) else []),
            *_cost_cells(row),
            *(_score_cell(row, row.scores.get(name), places[name]) for name in others),
        )
        for row in in_order(data.rows)
    ]
    columns = (
        *_FIRST_COLUMNS,
        Column(data.rank_by, note="ranked by this"),
        Column("Tie group", first="ascending"),
        *([Column("Fine-tuned", note="predicted accuracy, %")] if has_predictions(data) else []),
        Column("GMACs", first="ascending", note="per image"),
        Column("Parameters", first="ascending", note="million"),
        Column("Latency", first="ascending", note="ms, one image"),
        Column("Memory", first="ascending", note="MB, fine-tuning"),
        *(Column(name) for name in others),
    )
    return Table(f"Ranking on {data.data}", columns, tuple(lines), tuple(filter(None, [_measured_on(data)])))


def details_table(data: DataRanking) -> Table | None:
    """Return the table of the details of the score that ranks, or None if it has no details."""
    rows, places = detailed(data), digits(data)
    if not rows:
        return None
    same, name = data.score_metric, control_name(data.rank_by)
    labels = metric_labels(data)
    metrics = {key: words for key, words in labels.items() if key != same and any(key in e.details for _, e in rows)}
    lines = [
        _line(
            data,
            row,
            Cell(format_fixed(estimate.value, places), estimate.value),
            *(_compared(estimate, places) if controlled(data) else ()),
            _detail(estimate.standard_error, places + 1),
            Cell(interval(estimate, places), estimate.high - estimate.low),
            *(_detail(estimate.details.get(key), places) for key in metrics),
        )
        for row, estimate in rows
    ]
    columns = (
        *_FIRST_COLUMNS,
        Column(data.rank_by, note=f"held-out {labels.get(same, same)}" if same else ""),
        *((Column(name, note="the control"), Column("Difference", note="to the control")) if controlled(data) else ()),
        Column("Standard error", first="ascending"),
        Column("95 % interval", first="ascending"),
        *(Column(f"{words[:1].upper()}{words[1:]}") for words in metrics.values()),
    )
    remarks = (baseline(data), note(data), control(data))
    return Table(f"Details of {data.rank_by} on {data.data}", columns, tuple(lines), tuple(filter(None, remarks)))


def _line(data: DataRanking, row: RankedModel, *cells: Cell) -> Line:
    groups = tie_groups(data)
    group = groups.index(row.tie_group) % GROUP_COLOURS if row.tie_group in groups else None
    best = row.rank == 1 or row.model in {tied.model for tied in tied_with_first(data)}
    first = (Cell("-" if row.rank is None else str(row.rank), row.rank), Cell(row.model, row.model))
    return Line(row, status(row), group, best, (*first, *cells))


def _group_cell(data: DataRanking, row: RankedModel) -> Cell:
    """Return the tie group, with a note where a model of a later group is tied with the first model."""
    if row.tie_group is None:
        return Cell("-")
    later = row.tied_with_first and row.tie_group != tie_groups(data)[0]
    return Cell(str(row.tie_group), row.tie_group, "tied with the first" if later else "")


def _predicted_cell(row: RankedModel) -> Cell:
    if row.predicted is None:
        return Cell("-")
    return Cell(percent(row.predicted.value), row.predicted.value, percent_interval(row.predicted))


def _compared(estimate: Estimate, places: int) -> tuple[Cell, Cell]:
    reached = estimate.details.get("control")
    difference = None if reached is None else estimate.value - reached
    return _detail(reached, places), _detail(difference, places, "+")


def _detail(value: float | None, places: int, sign: str = "") -> Cell:
    return Cell("-") if value is None else Cell(format_fixed(value, places, sign), value)


def _other_scores(data: DataRanking, ranking: Ranking) -> list[str]:
    known = [facts.name for facts in ranking.scores if data.target.kind in facts.kinds]
    found = [name for row in data.rows for name in row.scores]
    return [name for name in dict.fromkeys([*known, *found]) if name != data.rank_by]


def _score_cell(row: RankedModel, estimate: Estimate | None, places: int) -> Cell:
    if estimate is None:
        return Cell("failed" if row.status == "ranked" and row.failures else "-")
    return Cell(format_fixed(estimate.value, places), estimate.value, interval(estimate, places))


def _cost_cells(row: RankedModel) -> tuple[Cell, ...]:
    facts, speed = row.facts, row.speed
    values = (facts.gmacs if facts else None, facts.parameters / 1e6 if facts else None)
    found = [Cell(compact(value), value) for value in values]
    if speed is None:
        return (*found, Cell("-"), Cell("-"))
    memory = speed.finetune_memory / 1e6 if speed.finetune_memory else None
    return (
        *found,
        Cell(compact(speed.latency_ms), speed.latency_ms, f"{compact(speed.images_per_second)} images/s"),
        Cell(compact(memory), memory, f"{compact(speed.memory / 1e6)} to embed"),
    )


def _measured_on(data: DataRanking) -> str:
    """Return where speed was measured, and for which batches."""
    speeds = [row.speed for row in data.rows if row.speed]
    if not speeds:
        return ""
    devices, batches = (sorted({str(getattr(speed, name)) for speed in speeds}) for name in ("device", "finetune_batch"))
    return (
        f"Latency and memory are those of the model alone, without decoding, on {' and '.join(devices)}. "
        f"Small numbers are of the fastest batch. A step of fine-tuning has {' or '.join(batches)} images."
    )
