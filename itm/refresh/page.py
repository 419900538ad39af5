"""What a refresh changed as one page that opens without a network, beside the same in Markdown and charts of past ranks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from itm.core.rankings import Estimate
from itm.core.text import counted, decimals, fixed, interval
from itm.refresh import text
from itm.refresh.bump_figure import bump_figure, drawable
from itm.refresh.records import DataChange, Place, Refresh
from itm.report.figures import THEME, write_png
from itm.report.page import Picture, inline, template
from itm.store.files import write_beside, write_text
from itm.store.layout import file_name

MOST_CHARTS = 12
MOST_ROWS = 15
CAPTION = (
    "The first models by the last refresh. A ring is around the model that was recommended at that time; the thick line is the "
    "one recommended now. A gap is a refresh in which a model failed or was not there."
)


@dataclass(frozen=True)
class ChangeTable:
    """Some models under headings; `more` counts those that are left out."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    more: int = 0


@dataclass(frozen=True)
class ChangePanel:
    """Everything the page says of a data set on which something changed."""

    change: DataChange
    verdict: str
    tables: tuple[ChangeTable, ...]
    picture: Picture | None


def render_changes(refresh: Refresh, changes: Sequence[DataChange], history: Sequence[Refresh]) -> str:
    """Return the page of a refresh; the same refreshes give the same bytes."""
    return _render(refresh, changes, _before(refresh, history), _charts(refresh, changes, history))


def write_changes(refresh: Refresh, changes: Sequence[DataChange], history: Sequence[Refresh], folder: Path) -> Path:
    """Write changes.md, changes.html and bump-DATA.png of each chart into `folder`, and return the path of the page.

    Parameters
    ----------
    refresh
        What is reported.
    changes
        What `itm.refresh.changes.compare` found in it.
    history
        The refreshes before it, for the charts; `refresh` itself may be among them.
    folder
        Where the files go; it is made where it is missing.

    Raises
    ------
    StoreError
        If the folder cannot be written to.
    """
    charts = _charts(refresh, changes, history)
    write_text(folder / "changes.md", text.markdown(refresh, changes))
    for data, figure in charts.items():
        write_beside(folder / f"bump-{file_name(data)}.png", partial(write_png, figure=figure))
    page = folder / "changes.html"
    write_text(page, _render(refresh, changes, _before(refresh, history), charts))
    return page


def _before(refresh: Refresh, history: Sequence[Refresh]) -> list[Refresh]:
    return [one for one in history if one.number < refresh.number]


def _render(refresh: Refresh, changes: Sequence[DataChange], before: Sequence[Refresh], charts: dict[str, Figure]) -> str:
    last = before[-1] if before else None
    panels = [
        ChangePanel(
            change,
            text.verdict(change),
            tuple(_tables(change, _places(refresh, change.data), _places(last, change.data))),
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
        before=text.started(last) if last else None,
        panels=panels,
        quiet=[(change.data, text.verdict(change)) for change in changes if text.is_quiet(change)],
        work=text.work(refresh),
        steps=[(step, text.duration(taken)) for step, taken in refresh.steps.items()],
        took=text.duration(sum(refresh.steps.values())),
        theme=THEME,
    )


def _charts(refresh: Refresh, changes: Sequence[DataChange], history: Sequence[Refresh]) -> dict[str, Figure]:
    """Draw the data sets whose order changed, news first where there are too many."""
    shown = [*_before(refresh, history), refresh]
    told = [change for change in changes if other_order(change) and drawable(shown, change.data)]
    first = sorted(told, key=lambda change: (not change.is_news, change.verdict == "same winner"))[:MOST_CHARTS]
    return {change.data: bump_figure(shown, change.data) for change in first}


def other_order(change: DataChange) -> bool:
    """Say whether a data set's order is another, so that there is something to draw."""
    return bool(change.verdict != "same winner" or change.is_news or change.new or change.gone or change.moved or change.failed)


def _picture(charts: dict[str, Figure], data: str, number: int) -> Picture:
    """Make a chart part of the page; what it means is said below the first of them."""
    svg = inline(charts[data], f"bump-{number}-", f"Ranks of the first models on {data} over past refreshes")
    return Picture(svg, CAPTION if data == next(iter(charts)) else "")


def _places(refresh: Refresh | None, data: str) -> dict[str, Place]:
    standings = refresh.standings if refresh else ()
    return {place.model: place for standing in standings if standing.data == data for place in standing.places}


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
        yield _table("Moved, among the models that both rankings hold", ("Model", "Before", "Now"), moves)


def _table(title: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> ChangeTable:
    title = f"{title} ({counted(len(rows), 'model')})" if len(rows) > 1 else title
    return ChangeTable(title, columns, tuple(rows[:MOST_ROWS]), max(len(rows) - MOST_ROWS, 0))


def _rank(place: Place | None) -> str:
    return "-" if place is None or place.rank is None else str(place.rank)


def _score(place: Place, all_places: dict[str, Place]) -> tuple[str, str, str]:
    found = {model: one for model, other in all_places.items() if (one := _estimate(other))}
    own, places = found[place.model], decimals(found.values())
    return _rank(place), fixed(own.value, places), interval(own, places)


def _estimate(place: Place) -> Estimate | None:
    if place.value is None or place.low is None or place.high is None:
        return None
    return Estimate(place.value, place.low, place.high, ())
