"""What every table in a terminal has in common."""

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text


def plain_table(*, title: Text | None = None) -> Table:
    """Return an empty table with a line under its headings and little room between columns."""
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)


def print_whole(table: Table, console: Console) -> None:
    """Print a table; into a pipe its lines are as long as their content."""
    if not console.is_terminal:
        table.width = console.measure(table, options=console.options.update(width=10_000)).maximum
    console.print(table, crop=False)
