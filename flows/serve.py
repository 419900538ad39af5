"""`itm serve`: the refresh on a schedule and the Prefect server that it needs, on this machine alone."""

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
from prefect.runner import Runner
from prefect.schedules import Cron
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.types.entrypoint import EntrypointType

from flows.refresh import ON_TERMINAL, refresh_flow
from itm.core.errors import ItmError, ParamsError

log = logging.getLogger("itm.flow")

HOST = "127.0.0.1"
PATIENCE = 180.0  # seconds; the first start makes a database


class ServerError(ItmError):
    """The server of a schedule cannot be started."""


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
        signal.signal(signal.SIGINT, runner.handle_sigterm)
        asyncio.run(runner.start())
    log.info("stopped")


@contextmanager
def server() -> Iterator[str]:
    """Yield the address of the server in PREFECT_API_URL, or of one that is started here and stopped at the end.

    Schedules need a whole server: the one that Prefect starts for a single flow has no scheduler.
    """
    if named := PREFECT_API_URL.value():
        yield str(named)
        return
    port = str(_free_port())
    address = f"http://{HOST}:{port}/api"
    process = subprocess.Popen(
        [sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", port],
        env=os.environ | {"PREFECT_API_URL": address},
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C must not stop the server before the runner has reported its state
    )
    try:
        _wait(process, address)
        os.environ["PREFECT_API_URL"] = address  # for the processes of flow runs
        with temporary_settings({PREFECT_API_URL: address}):
            yield address
    finally:
        os.environ.pop("PREFECT_API_URL", None)
        process.terminate()
        process.wait()


def _free_port() -> int:
    """Return a port that the system chooses, so that two servers never get the same."""
    with closing(socket.socket()) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _wait(process: "subprocess.Popen[bytes]", address: str) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if process.poll() is not None:
            raise ServerError(f"the Prefect server ended with status {process.returncode}; try `prefect server start` by hand.")
        try:
            if httpx.get(f"{address}/health", timeout=5).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.5)
    raise ServerError(f"the Prefect server at {address} did not answer in {PATIENCE:g} s; try `prefect server start` by hand.")
