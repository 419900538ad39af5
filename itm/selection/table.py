"""A selection in a terminal: predicted accuracies, picks, recipe, and the command that exports the checkpoint."""

from rich.console import Console
from rich.text import Text

from itm.core.selections import Selection
from itm.core.text import compact
from itm.report.terminal import plain_table, print_whole
from itm.selection.text import accuracy_text, answer_text, export_command, other_text, points, recipe_text, unfinished_text

MOST_ROWS = 15
HEADINGS = ("model", "predicted accuracy, 95 %", "P(best)", "trained", "test", "GMACs", "ms")


def print_selection(selection: Selection, console: Console, ranking: str | None = None) -> None:
    """Print the answer for one data set. `ranking` is the name of its ranking, if it has one."""
    shown = selection.models[:MOST_ROWS]
    lines = plain_table(title=Text(f"{selection.data}: accuracy after fine-tuning ({selection.protocol}), in points"))
    for heading in HEADINGS:
        lines.add_column(heading, justify="left" if heading == "model" else "right", no_wrap=True, overflow="fold")
    steps = trained_steps(selection)
    for row in shown:
        cells = (
            row.model,
            accuracy_text(row),
            f"{100 * row.chance_best:.0f} %",
            f"{steps[row.model]} steps" if row.model in steps else "-",
            "-" if row.reached is None else points(row.reached),
            compact(row.gmacs),
            compact(row.latency_ms),
        )
        lines.add_row(*map(Text, cells), style="bold green" if row.model == selection.pick else "")
    if shown:
        print_whole(lines, console)
    if more := len(selection.models) - len(shown):
        console.print(f"... and {more} more models with lower predicted accuracies", soft_wrap=True, highlight=False)
    for failure in selection.failures:
        console.print(Text(f"failed: {failure.model}: {failure.reason}"), soft_wrap=True)
    for excluded in selection.excluded:
        console.print(Text(f"excluded: {excluded.model}: {excluded.reason}"), soft_wrap=True)
    console.print(Text(answer_text(selection), "bold"), soft_wrap=True)
    for other in selection.others:
        console.print(Text(other_text(selection, other)), soft_wrap=True)
    if recipe := recipe_text(selection):
        console.print(Text(f"recipe: {recipe}"), soft_wrap=True)
    if command := export_command(selection, ranking):
        console.print(Text(f"checkpoint: {command}"), soft_wrap=True)
    if missing := unfinished_text(selection):
        console.print(Text(f"checkpoint: {missing}"), soft_wrap=True)


def trained_steps(selection: Selection) -> dict[str, int]:
    """Return the most steps that a run of each model was trained for."""
    found: dict[str, int] = {}
    for curve in selection.curves:
        found[curve.model] = max(found.get(curve.model, 0), curve.marks[-1][0])
    return found
