"""The changes of a refresh as one HTML page that needs no network, as Markdown, and as charts of past ranks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from itm.core.rankings import Estimate
from itm.core.text import decimals, format_fixed, interval, pluralize
from itm.refresh import text
from itm.refresh.bump_figure import bump_figure, drawable
from itm.refresh.records import DataChange, Place, Refresh
from itm.report.figures import THEME, write_png
from itm.report.page import Picture, inline, template
from itm.store.files import write_atomically, write_text
from itm.store.layout import file_name

MOST_CHARTS = 12
MOST_ROWS = 15
CAPTION = (
    "Ranks of the models that are first in the last refresh. A ring marks the model that was recommended at that time. The "
    "thick line is the model that is recommended now. A gap means that the model failed or was missing."
)


@dataclass(frozen=True)
class ChangeTable:
    """A table of models; `more` counts the rows that are left out."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    more: int = 0


@dataclass(frozen=True)
class ChangePanel:
    """The section of a data set on which something changed."""

    change: DataChange
    verdict: str
    tables: tuple[ChangeTable, ...]
    picture: Picture | None


def write_changes(refresh: Refresh, changes: Sequence[DataChange], history: Sequence[Refresh], folder: Path) -> Path:
    """Write changes.md, changes.html and bump-DATA.png of each chart into `folder`, and return the path of the page.

    `history` has the refreshes before it, for the charts; `refresh` itself may be among them. The same refreshes give the same
    bytes.
    """
    before = [one for one in history if one.number < refresh.number]
    charts = _charts(changes, [*before, refresh])
    write_text(folder / "changes.md", text.markdown(refresh, changes))
    for data, figure in charts.items():
        write_atomically(folder / f"bump-{file_name(data)}.png", partial(write_png, figure=figure))
    page = folder / "changes.html"
    write_text(page, _render(refresh, changes, before[-1] if before else None, charts))
    return page


def _render(refresh: Refresh, changes: Sequence[DataChange], last: Refresh | None, charts: dict[str, Figure]) -> str:
    panels = [
        ChangePanel(
            change,
            text.verdict(change),
            tuple(_tables(change, refresh.places(change.data), last.places(change.data) if last else {})),
            _picture(charts, change.data, number) if change.data in charts else None,
        )
        for number, change in enumerate(changes, start=1)
        if not text.is_quiet(change)
    ]
    return template("changes.html", "itm.refresh").render(
        refresh=refresh,
        headline=text.headline(refresh, changes),
        is_news=any(change.is_news for change in changes),
        began=text.started(refresh),
        ranked_by=text.ranked_by(refresh),
        before=text.started(last) if last else None,
        panels=panels,
        quiet=[(change.data, text.verdict(change)) for change in changes if text.is_quiet(change)],
        work=text.work(refresh),
        steps=[(step, text.duration(taken)) for step, taken in refresh.steps.items()],
        took=text.duration(sum(refresh.steps.values())),
        theme=THEME,
    )


def _charts(changes: Sequence[DataChange], shown: Sequence[Refresh]) -> dict[str, Figure]:
    """Return charts of the data sets whose order changed; if there are too many, new recommendations come first."""
    changed = [change for change in changes if other_order(change) and drawable(shown, change.data)]
    first = sorted(changed, key=lambda change: (not change.is_news, change.verdict == "same winner"))[:MOST_CHARTS]
    return {change.data: bump_figure(shown, change.data) for change in first}


def other_order(change: DataChange) -> bool:
    """Return whether the order of the models changed on a data set."""
    return bool(change.verdict != "same winner" or change.is_news or change.new or change.gone or change.moved or change.failed)


def _picture(charts: dict[str, Figure], data: str, number: int) -> Picture:
    """Return a chart for the page; only the first one has a caption."""
    svg = inline(charts[data], f"bump-{number}-", f"Ranks of the first models on {data} over past refreshes")
    return Picture(svg, CAPTION if data == next(iter(charts)) else "")


def _tables(change: DataChange, now: dict[str, Place], before: dict[str, Place]) -> Iterator[ChangeTable]:
    if change.new:
        rows = [(model, *_score(now[model], now)) for model in change.new]
        yield _table("New", ("Model", "Rank", "Score", "95 % interval"), rows)
    if change.gone:
        yield _table("Gone", ("Model", "Rank before"), [(model, _rank(before.get(model))) for model in change.gone])
    if change.failed:
        yield _table("Failed", ("Model", "Reason"), [(model, now[model].reason or "") for model in change.failed])
    if change.moved:
        moves = [(move.model, str(move.before), str(move.now)) for move in text.by_jump(change.moved)]
        yield _table("Moved, among the models of both rankings", ("Model", "Before", "Now"), moves)


def _table(title: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> ChangeTable:
    title = f"{title} ({pluralize(len(rows), 'model')})" if len(rows) > 1 else title
    return ChangeTable(title, columns, tuple(rows[:MOST_ROWS]), max(len(rows) - MOST_ROWS, 0))


def _rank(place: Place | None) -> str:
    return "-" if place is None or place.rank is None else str(place.rank)


def _score(place: Place, all_places: dict[str, Place]) -> tuple[str, str, str]:
    found = {model: one for model, other in all_places.items() if (one := _estimate(other))}
    own, places = found[place.model], decimals(found.values())
    return _rank(place), format_fixed(own.value, places), interval(own, places)


def _estimate(place: Place) -> Estimate | None:
    if place.value is None or place.low is None or place.high is None:
        return None
    return Estimate(place.value, place.low, place.high, ())
