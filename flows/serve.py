"""`itm serve`: the refresh on a schedule and the Prefect server that it needs, on this machine alone."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefect.runner import Runner
from prefect.schedules import Cron
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.types.entrypoint import EntrypointType

from flows.refresh import ON_TERMINAL, refresh_flow
from flows.server import HOST, check_server, free_port, start_server
from itm.cli.interrupt import release_signals
from itm.core.errors import ParamsError

log = logging.getLogger("itm.flow")


class _Runner(Runner):
    """Prefect's runner, which ends its flow run before itself. `flow.serve` leaves the flow run behind."""

    def handle_sigterm(self, *_arguments: Any, **_options: Any) -> None:
        if not self.started:
            sys.exit(0)
        for sign in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sign, signal.SIG_IGN)  # a second signal must not interrupt the end
        self.execute_in_background(self.astop)


def serve(params: Path, cron: str, name: str) -> None:
    """Refresh on a schedule until SIGTERM or Ctrl-C, one run at a time; `itm serve` calls it."""
    try:
        schedule = Cron(cron)
    except ValueError as error:
        raise ParamsError(f"--cron is {cron!r}, which is not a schedule; '0 2 * * *' means every night at two.") from error
    os.environ.setdefault(ON_TERMINAL, "1")
    with server() as address:
        log.info("refreshing what %s names at %r; server: %s", params, cron, address.removesuffix("/api"))
        runner = _Runner(name=name, limit=1, pause_on_shutdown=False)
        runner.add_flow(
            refresh_flow,
            name=name,
            schedule=schedule,
            parameters={"params": str(params)},
            entrypoint_type=EntrypointType.MODULE_PATH,  # workers elsewhere can import a module by name
        )
        release_signals()  # from here on, the runner ends its flow run before itself
        signal.signal(signal.SIGINT, runner.handle_sigterm)
        asyncio.run(runner.start())
    log.info("stopped")


@contextmanager
def server() -> Iterator[str]:
    """Yield the address of the server in PREFECT_API_URL, or of one that is started here and stopped at the end.

    Schedules need a whole server: the one that Prefect starts for a single flow has no scheduler.
    """
    if named := PREFECT_API_URL.value():
        check_server(str(named))
        yield str(named)
        return
    port = free_port()
    address = f"http://{HOST}:{port}/api"
    command = ["prefect", "server", "start"]
    # Own session: Ctrl-C must not stop the server before the runner has reported its state
    process = start_server(command, port, {"PREFECT_API_URL": address}, own_session=True)
    try:
        os.environ["PREFECT_API_URL"] = address  # for the processes of flow runs
        with temporary_settings({PREFECT_API_URL: address}):
            yield address
    finally:
        os.environ.pop("PREFECT_API_URL", None)
        process.terminate()
        process.communicate()
