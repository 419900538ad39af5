"""Figure of an ablation: one panel per axis, with the score of each model and its interval per setting."""

from collections.abc import Sequence

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.typing import LineStyleType

from itm.report.figures import GROUP_COLOURS, MARKERS, THEME, WIDTH, short, style

WIDE = 5  # settings; a panel with more has its own row
_DASHES: tuple[LineStyleType, ...] = ("-", "--", ":")  # colours and markers repeat after 16 models
_NOTE = "Bars are 95 % intervals. The shaded setting is the default, which is the same in all panels."
_TAU = "\nIn brackets: weighted tau with the order of the models at the default."


def ablation_figure(table: pl.DataFrame, orders: pl.DataFrame) -> Figure:
    """Draw the table of an ablation. The label of a setting shows its weighted tau with the default."""
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
        for position, row in enumerate(rows):
            for column, number in enumerate(row):
                axes = first = figure.add_subplot(grid[position, column if len(row) > 1 else slice(None)], sharey=first)
                _panel(axes, panels[number], models, orders)
                axes.set_ylabel("itm" if column == 0 else "")
                axes.tick_params(axis="y", labelleft=column == 0)
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
    """Return the models sorted by their value at the default, and whether they have any value."""
    values = table.group_by("model", maintain_order=True).agg(
        pl.col("value").filter("default").first(), pl.col("value").is_not_null().any().alias("any")
    )
    values = values.sort("value", "any", descending=True, nulls_last=True, maintain_order=True)
    return dict(zip(values["model"], values["any"], strict=True))


def _rows(widths: Sequence[int]) -> list[list[int]]:
    """Arrange panels in rows of two, then wide panels in their own rows."""
    narrow = [number for number, width in enumerate(widths) if width <= WIDE]
    wide = [[number] for number, width in enumerate(widths) if width > WIDE]
    return [narrow[start : start + 2] for start in range(0, len(narrow), 2)] + wide


def _panel(axes: Axes, part: pl.DataFrame, models: dict[str, bool], orders: pl.DataFrame) -> None:
    settings = part.unique("setting", keep="first", maintain_order=True)
    positions = {setting: position for position, setting in enumerate(settings["setting"])}
    axes.set_title(part["axis"][0])
    axes.set_xlim(-0.6, len(positions) - 0.4)
    axes.tick_params(axis="x", length=0, labelsize=8)
    axes.set_xticks(range(len(positions)), [_label(part, setting, models, orders) for setting in positions])
    for position, (label, default) in enumerate(zip(axes.get_xticklabels(), settings["default"], strict=True)):
        label.set_color(THEME["ink"])
        if default:
            label.set_fontweight("bold")
            axes.axvspan(position - 0.45, position + 0.45, color=THEME["grid"], alpha=0.6, linewidth=0, zorder=0)
    if not any(models.values()):
        axes.text(0.5, 0.5, "no score", transform=axes.transAxes, ha="center", color=THEME["muted"])
        axes.set_yticks([])
        return
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    step = min(0.12, 0.64 / len(models))  # offset between models, so intervals do not overlap
    for number, model in enumerate(models):
        rows = part.filter(pl.col("value").is_not_null(), model=model)
        known = {row["setting"]: row for row in rows.iter_rows(named=True)}
        shift = (number - (len(models) - 1) / 2) * step
        x = [position + shift for position in positions.values()]
        value, low, high = (
            [known[setting][end] if setting in known else float("nan") for setting in positions]
            for end in ("value", "low", "high")
        )
        style = _line(number, model, has_any=True)
        axes.vlines(x, low, high, colors=style.get_color(), linewidth=1, alpha=0.5)
        axes.plot(x, value, linestyle=style.get_linestyle(), color=style.get_color(), linewidth=0.7, alpha=0.6)
        axes.plot(x, value, str(style.get_marker()), color=style.get_color(), markersize=3.5)


def _label(part: pl.DataFrame, setting: str, models: dict[str, bool], orders: pl.DataFrame) -> str:
    """Return a setting with its weighted tau, and the number of models that have values only at other settings."""
    lines = [setting.replace(" + ", "\n+ ")]
    tau = orders.filter(axis=part["axis"][0], setting=setting)["tau_w"][0]
    if len(models) > 1:
        lines.append("(-)" if tau is None else f"({tau:.2f})")
    without_value = part.filter(pl.col("value").is_null(), setting=setting)["model"]
    undefined = sum(models[model] for model in without_value)
    return "\n".join(lines + ([f"{undefined} undefined"] if undefined else []))


def _line(number: int, model: str, has_any: bool) -> Line2D:
    """Return the style of a model. Models with similar scores have different colours."""
    if not has_any:
        return Line2D([], [], linestyle="none", label=f"{short(model)}: no score")
    colour = THEME[f"group-{number % GROUP_COLOURS}"]
    marker = MARKERS[number // GROUP_COLOURS % len(MARKERS)]
    dashes = _DASHES[number // (GROUP_COLOURS * len(MARKERS)) % len(_DASHES)]
    return Line2D([], [], color=colour, marker=marker, linestyle=dashes, linewidth=0.7, markersize=3.5, label=short(model))
