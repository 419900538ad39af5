"""The entry point of `itm`. Signals and output are prepared before anything heavy is imported."""

from itm.cli.interrupt import end_on_signals
from itm.cli.streams import make_output_safe


def app() -> None:
    """Run the command line."""
    end_on_signals()
    make_output_safe()
    from itm.cli.commands import app

    app()
