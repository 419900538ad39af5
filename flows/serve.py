"""The refresh by the clock, on this machine alone."""

import asyncio
import logging
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from prefect.runner import Runner
from prefect.schedules import Cron
from prefect.types.entrypoint import EntrypointType

from flows.refresh import ON_TERMINAL, refresh_flow
from flows.server import at_hand
from itm.core.errors import ParamsError

log = logging.getLogger("itm.flow")


class _Runner(Runner):
    """Prefect's runner, which SIGTERM ends with what it runs; its own answer to that does not wait for its end."""

    def handle_sigterm(self, *_args: Any, **_options: Any) -> None:
        if not self.started:
            sys.exit(0)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # some send it twice, and once is enough
        self.execute_in_background(self.astop)


def serve(params: Path, cron: str, name: str) -> None:
    """Refresh by the clock until it is stopped, one run at a time; this is the door of `itm serve`.

    Raises
    ------
    ParamsError
        If `cron` is no schedule.
    """
    try:
        schedule = Cron(cron)
    except ValueError as error:
        raise ParamsError(
            f"--cron is {cron!r}, which is no schedule; an example is '0 2 * * *', every night at two."
        ) from error
    os.environ.setdefault(ON_TERMINAL, "1")
    with at_hand() as address:
        log.info("refreshing what %s names at %r; server: %s", params, cron, address.removesuffix("/api"))
        runner = _Runner(name=name, limit=1, pause_on_shutdown=False)
        runner.add_flow(
            refresh_flow,
            name=name,
            schedule=schedule,
            parameters={"params": str(params)},
            entrypoint_type=EntrypointType.MODULE_PATH,  # a module by its name is one that workers elsewhere find too
        )
        with suppress(KeyboardInterrupt):
            asyncio.run(runner.start())
    log.info("stopped")
