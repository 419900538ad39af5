"""A ranking as one HTML page that needs no network: answer, table, details, figures, failures and provenance."""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from itm.core.confirmations import Candidate, Confirmed
from itm.core.rankings import DataRanking, Ranking
from itm.kinds import get_kind
from itm.report.captions import bars_caption, cost_caption
from itm.report.confirmation import caption, cells, headings, of_data, verdict
from itm.report.details import by_target, held_out, scored_splits
from itm.report.exclusions import group_dropped, group_exclusions
from itm.report.figures import THEME, as_svg, score_against_cost, score_bars
from itm.report.next_step import next_command
from itm.report.page_tables import Table, details_table, ranking_table
from itm.report.target_figures import points_caption, predicted_against_true
from itm.report.wording import (
    Answer,
    FailureGroup,
    answer,
    bold_models,
    cheapest_tied,
    describe_data,
    group_failures,
    in_order,
)
from itm.store.files import write_text

MASKS = (
    "Test images with their masks, and the masks that the first models predict: a linear classifier, trained on the patches "
    "that are scored, at every place of the feature map of the checkpoint. Nothing is fine-tuned."
)
MOST_ROWS = 100  # per table; thousands of rows make a page of many megabytes
REPORT = 5  # raise it when a change of the page, its figures or its style changes what is written
GENERATOR = f"itm report {REPORT}"


@dataclass(frozen=True)
class Picture:
    """A figure as inline SVG or image, and its caption. A `wide` one has the width of the page."""

    svg: Markup
    caption: str
    wide: bool = False


@dataclass(frozen=True)
class Finetuned:
    """What fine-tuning showed of a data set: the verdict, what its numbers are, and the rows of its table."""

    verdict: str
    caption: str
    headings: tuple[str, ...]
    lines: tuple[tuple[Candidate, tuple[str, ...]], ...]
    pick: str | None


@dataclass(frozen=True)
class Panel:
    """The section of one data set; `more` counts the models that its tables leave out."""

    name: str
    data: DataRanking
    answer: Answer
    cheapest: str
    contents: str
    bold: str
    targets: str
    ranking: Table
    details: Table | None
    by_target: tuple[tuple[str, ...], list[tuple[str, ...]]] | None
    pictures: tuple[Picture, ...]
    failures: tuple[FailureGroup, ...]
    finetuned: Finetuned | None
    command: str
    more: int


def render(ranking: Ranking, confirmed: Sequence[Confirmed] = (), examples: Mapping[str, bytes] | None = None) -> str:
    """Return the page; the same ranking, results of fine-tuning and pictures of masks give the same bytes.

    `examples` has the PNG of predicted masks by data set.
    """
    panels = []
    for number, data in enumerate(ranking.data_sets, start=1):
        panel = _panel(data, ranking, number, of_data(data.data, confirmed))
        masks = (examples or {}).get(data.data)
        panels.append(replace(panel, pictures=(*panel.pictures, _masks(masks))) if masks else panel)
    return template("page.html").render(
        ranking=ranking,
        panels=panels,
        theme=THEME,
        generator=GENERATOR,
        scored=scored_splits(ranking),
        held_out=held_out(ranking),
        excluded=group_exclusions(ranking),
        dropped=group_dropped(ranking),
    )


def write_page(
    ranking: Ranking, folder: Path, confirmed: Sequence[Confirmed] = (), examples: Mapping[str, bytes] | None = None
) -> Path:
    """Write the page to index.html in `folder` and return its path. If this fails, an older page is unchanged."""
    return write_index(folder, render(ranking, confirmed, examples))


def is_current(page: Path) -> bool:
    """Return whether a page exists and is written by this version of the report."""
    if not page.is_file():
        return False
    with page.open(encoding="utf-8", errors="replace") as stream:
        return f'content="{GENERATOR}"' in stream.read(1000)


def write_index(folder: Path, text: str) -> Path:
    """Write a page to index.html in `folder` and return its path."""
    path = folder / "index.html"
    write_text(path, text)
    return path


def template(name: str, package: str = "itm.report") -> Template:
    """Return a template of `package`, which may include those of `itm.report`. It escapes values; a missing one is an error."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, ""), PackageLoader("itm.report", "")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = _breakable
    return environment.get_template(name)


def _panel(data: DataRanking, ranking: Ranking, number: int, confirmed: Confirmed | None) -> Panel:
    shown = replace(data, rows=tuple(in_order(data.rows)[:MOST_ROWS]))
    return Panel(
        f"data-{number}",
        data,
        answer(data, confirmed=confirmed),
        cheapest_tied(data),
        describe_data(data, scored_splits(ranking)),
        f" {bold_models(data)}" if bold_models(data) else "",
        get_kind(data.target.kind).describe(data.target),
        ranking_table(shown, ranking),
        details_table(shown),
        by_target(data),
        _pictures(data, number),
        tuple(group_failures(data)),
        _finetuned(confirmed) if confirmed else None,
        "" if confirmed else next_command(data, ranking),
        len(data.rows) - len(shown.rows),
    )


def _finetuned(confirmed: Confirmed) -> Finetuned:
    lines = tuple((row, cells(row)) for row in confirmed.candidates)
    return Finetuned(verdict(confirmed), caption(confirmed), headings(confirmed), lines, confirmed.pick)


def _pictures(data: DataRanking, number: int) -> tuple[Picture, ...]:
    if not any(row.estimate for row in data.rows):
        return ()
    bars, points = score_bars(data), predicted_against_true(data)
    label = f"{data.rank_by} of every model on {data.data}"
    pictures: tuple[Picture, ...] = (Picture(inline(bars, f"data-{number}-scores-", label), bars_caption(data, bars)),)
    if points:
        label = f"Predictions against targets on {data.data}"
        pictures = (*pictures, Picture(inline(points, f"data-{number}-points-", label), points_caption(data)))
    if not any(row.facts for row in data.rows):  # own embeddings have no known cost
        return pictures
    costs = score_against_cost(data)
    return (
        *pictures,
        Picture(
            inline(costs, f"data-{number}-cost-", f"{data.rank_by} against cost on {data.data}"), cost_caption(data, costs)
        ),
    )


def _masks(png: bytes) -> Picture:
    source = f"data:image/png;base64,{b64encode(png).decode()}"
    image = Markup('<img style="max-width: 100%" alt="Images, their masks, and predicted masks" src="{}">').format(source)
    return Picture(image, MASKS, wide=True)


def inline(figure: Figure, prefix: str, label: str) -> Markup:
    """Return a figure as inline SVG with identifiers of its own, the colours of the page and a label for screen readers."""
    svg = as_svg(figure)
    svg = svg[svg.index("<svg") :].replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1)
    svg = re.sub(r'((?:\bid="|href="#|url\(#))', rf"\1{prefix}", svg)
    for name, colour in THEME.items():
        svg = re.sub(rf"(?<=(?:fill|roke): ){colour}\b", f"var(--{name})", svg)
    return Markup(svg)


def _breakable(name: str) -> Markup:
    """Let a long name break at its separators, without changing the text that a reader copies."""
    return Markup(re.sub(r"(?<=[._/+-])|(?=@)", "<wbr>", name)) if re.fullmatch(r"[\w./@+-]*", name) else escape(name)
