"""Tables in a terminal."""

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text


def plain_table(*, title: Text | None = None) -> Table:
    """Return an empty table with a line below its headings and narrow gaps between its columns."""
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)


def print_whole(table: Table, console: Console) -> None:
    """Print a table. Lines that go into a pipe are as long as their content."""
    if not console.is_terminal:
        table.width = console.measure(table, options=console.options.update(width=10_000)).maximum
    console.print(table, crop=False)
