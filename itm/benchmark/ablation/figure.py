"""Draws an ablation: one panel an axis, its settings side by side, every model's score with its interval at each."""

from collections.abc import Sequence

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.typing import LineStyleType

from itm.report.figures import GROUP_COLOURS, MARKERS, THEME, WIDTH, short, style

WIDE = 5  # settings; a panel of more takes a row of its own
_DASHES: tuple[LineStyleType, ...] = ("-", "--", ":")  # after 16 models the pairs of colour and mark begin again
_NOTE = "Bars are 95 % intervals; the shaded setting is the default, the same in all panels."
_TAU = "\nIn brackets: how well the models keep the order of the default (weighted tau)."


def ablation_figure(table: pl.DataFrame, orders: pl.DataFrame) -> Figure:
    """Draw the long table of an ablation; below each setting stands how well it orders the models as the default does."""
    models = _best_first(table)
    several = len(models) > 1
    panels = [part for _, part in table.group_by("axis", maintain_order=True)]
    rows = _rows([part["setting"].n_unique() for part in panels])
    with style():
        height = 1.0 + 2.4 * len(rows) + 0.2 * -(-len(models) // 2)
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        title = f"{short(table['data'][0])}: itm, one option varied at a time"
        figure.suptitle(title, x=0.01, ha="left", weight="bold")
        grid = figure.add_gridspec(len(rows), 2)
        first = None
        for place, row in enumerate(rows):
            for side, number in enumerate(row):
                axes = first = figure.add_subplot(grid[place, side if len(row) > 1 else slice(None)], sharey=first)
                _panel(axes, panels[number], models, orders)
                axes.set_ylabel("itm" if side == 0 else "")
                axes.tick_params(axis="y", labelleft=side == 0)
        figure.legend(
            handles=[_line(number, model, has_any) for number, (model, has_any) in enumerate(models.items())],
            title=_NOTE + (_TAU if several else ""),
            loc="outside lower center",
            ncols=2 if several else 1,
            frameon=False,
            fontsize=8,
            title_fontsize=8,
        )
    return figure


def _best_first(table: pl.DataFrame) -> dict[str, bool]:
    """Return the models by their value at the default, best first, and whether they have any value at all."""
    found = table.group_by("model", maintain_order=True).agg(
        pl.col("value").filter("default").first(), pl.col("value").is_not_null().any().alias("any")
    )
    found = found.sort("value", "any", descending=True, nulls_last=True, maintain_order=True)
    return dict(zip(found["model"], found["any"], strict=True))


def _rows(widths: Sequence[int]) -> list[list[int]]:
    """Put panels two in a row, and the wide ones below in a row of their own."""
    narrow = [number for number, width in enumerate(widths) if width <= WIDE]
    wide = [[number] for number, width in enumerate(widths) if width > WIDE]
    return [narrow[start : start + 2] for start in range(0, len(narrow), 2)] + wide


def _panel(axes: Axes, part: pl.DataFrame, models: dict[str, bool], orders: pl.DataFrame) -> None:
    settings = part.unique("setting", keep="first", maintain_order=True)
    places = {setting: place for place, setting in enumerate(settings["setting"])}
    axes.set_title(part["axis"][0])
    axes.set_xlim(-0.6, len(places) - 0.4)
    axes.tick_params(axis="x", length=0, labelsize=8)
    axes.set_xticks(range(len(places)), [_label(part, setting, models, orders) for setting in places])
    for place, (label, default) in enumerate(zip(axes.get_xticklabels(), settings["default"], strict=True)):
        label.set_color(THEME["ink"])
        if default:
            label.set_fontweight("bold")
            axes.axvspan(place - 0.45, place + 0.45, color=THEME["grid"], alpha=0.6, linewidth=0, zorder=0)
    if not any(models.values()):
        axes.text(0.5, 0.5, "no score", transform=axes.transAxes, ha="center", color=THEME["muted"])
        axes.set_yticks([])
        return
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    step = min(0.12, 0.64 / len(models))  # models stand side by side within a setting, so that no interval hides another
    for number, model in enumerate(models):
        rows = part.filter(pl.col("value").is_not_null(), model=model)
        known = {row["setting"]: row for row in rows.iter_rows(named=True)}
        shift = (number - (len(models) - 1) / 2) * step
        x = [place + shift for place in places.values()]
        value, low, high = (
            [known[setting][end] if setting in known else float("nan") for setting in places]
            for end in ("value", "low", "high")
        )
        style = _line(number, model, has_any=True)
        axes.vlines(x, low, high, colors=style.get_color(), linewidth=1, alpha=0.5)
        axes.plot(x, value, linestyle=style.get_linestyle(), color=style.get_color(), linewidth=0.7, alpha=0.6)
        axes.plot(x, value, str(style.get_marker()), color=style.get_color(), markersize=3.5)


def _label(part: pl.DataFrame, setting: str, models: dict[str, bool], orders: pl.DataFrame) -> str:
    """Return a setting with its weighted tau, and for how many of the models that have values elsewhere it is undefined."""
    lines = [setting.replace(" + ", "\n+ ")]
    tau = orders.filter(axis=part["axis"][0], setting=setting)["tau_w"][0]
    if len(models) > 1:
        lines.append("(-)" if tau is None else f"({tau:.2f})")
    here = part.filter(pl.col("value").is_null(), setting=setting)["model"]
    missing = sum(models[model] for model in here)
    return "\n".join(lines + ([f"{missing} undefined"] if missing else []))


def _line(number: int, model: str, has_any: bool) -> Line2D:
    """Return how a model is drawn: neighbours in score differ in colour, models of one colour in their mark."""
    if not has_any:
        return Line2D([], [], linestyle="none", label=f"{short(model)}: no score")
    colour = THEME[f"group-{number % GROUP_COLOURS}"]
    marker = MARKERS[number // GROUP_COLOURS % len(MARKERS)]
    dashes = _DASHES[number // (GROUP_COLOURS * len(MARKERS)) % len(_DASHES)]
    return Line2D([], [], color=colour, marker=marker, linestyle=dashes, linewidth=0.7, markersize=3.5, label=short(model))
