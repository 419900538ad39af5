"""A ranking of one data set as a short Markdown note."""

from itm.core.rankings import DataRanking, RankedModel
from itm.core.text import compact, decimals, format_fixed, interval
from itm.report.wording import answer, describe_data, group_failures, in_order, status

LONGEST = 7500  # characters; MLflow takes 8000
LONGEST_REASON = 300


def ranking_note(data: DataRanking) -> str:
    """Return the answer, the table, and the reasons of failures as Markdown. A long table is cut, and says so."""
    lines = [str(answer(data)), "", describe_data(data), ""]
    if data.reason:
        return _plain("\n".join(lines))[:LONGEST]
    lines += [f"| # | model | {data.rank_by}, 95 % | tie group | GMACs | status |", "|---|---|---|---|---|---|"]
    places = decimals(row.estimate for row in data.rows)
    rows = [_row(row, places) for row in in_order(data.rows)]
    for models, step, reason in group_failures(data):
        text = f"Failed at {step}: {', '.join(models)}. {reason}" if step else f"Failed: {', '.join(models)}. {reason}"
        rows += ["", " ".join(text.split())[:LONGEST_REASON]]
    for number, row in enumerate(rows):
        if sum(map(len, lines)) + len(lines) + len(row) > LONGEST - 100:
            return "\n".join([*lines, "", f"{len(rows) - number} more lines are on the page."])
        lines.append(_plain(row))
    if data.recipe and sum(map(len, lines)) + len(lines) + len(data.recipe) <= LONGEST - 100:
        lines += ["", "Build the first model with timm:", "", "```python", data.recipe, "```"]
    return "\n".join(lines)


def _row(row: RankedModel, places: int) -> str:
    score = f"{format_fixed(row.estimate.value, places)} {interval(row.estimate, places)}" if row.estimate else "-"
    gmacs = compact(row.facts.gmacs if row.facts else None)
    model = row.model.replace("|", "\\|")
    return f"| {row.rank or '-'} | {model} | {score} | {row.tie_group or '-'} | {gmacs} | {status(row)} |"


def _plain(text: str) -> str:
    """Return text without HTML: names and reasons can hold anything."""
    return text.replace("<", "&lt;")
