"""A Prefect server of this machine alone, for schedules where no other server is named."""

import logging
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx
from filelock import FileLock, Timeout
from prefect.settings import PREFECT_API_URL, temporary_settings

from itm.core.errors import ItmError

log = logging.getLogger("itm.flow")

HOST, PORT = "127.0.0.1", 4200  # the port that Prefect's own commands expect
PATIENCE = 180.0  # seconds; the first start makes a database


class ServerError(ItmError):
    """The server of a schedule cannot be started."""


@contextmanager
def at_hand() -> Iterator[str]:
    """Give the address of the server that the environment names, or of one that is started here and ends with us.

    A flow run is started by a schedule only where a whole server runs; the one that Prefect starts for a single flow has none.

    Raises
    ------
    ServerError
        If it does not answer in time.
    """
    if named := PREFECT_API_URL.value():
        yield str(named)
        return
    with _free_port() as port:
        address = f"http://{HOST}:{port}/api"
        command = [sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(port)]
        told = os.environ | {"PREFECT_API_URL": address}
        # in a session of its own, so that Ctrl-C leaves it to those who still have to tell it of their end
        server = subprocess.Popen(command, env=told, stdout=subprocess.DEVNULL, start_new_session=True)
        try:
            _wait(server, address)
            os.environ["PREFECT_API_URL"] = address  # for the processes of flow runs
            with temporary_settings({PREFECT_API_URL: address}):
                yield address
        finally:
            os.environ.pop("PREFECT_API_URL", None)
            server.terminate()
            server.wait()


@contextmanager
def _free_port() -> Iterator[int]:
    """Give `PORT`, or another where somebody listens there or is about to; two that begin together would share a server."""
    lock = FileLock(Path(tempfile.gettempdir()) / f"itm-port-{PORT}.lock", mode=0o666)
    with ExitStack() as held:
        try:
            held.enter_context(lock.acquire(blocking=False))
        except Timeout:
            yield _bound(0)
        else:
            yield _bound(PORT) or _bound(0)


def _bound(port: int) -> int:
    """Return a port that was free a moment ago, and 0 where this one is not."""
    with closing(socket.socket()) as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return 0
        return int(probe.getsockname()[1])


def _wait(server: "subprocess.Popen[bytes]", address: str) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if server.poll() is not None:
            raise ServerError(f"the Prefect server ended with status {server.returncode}; try `prefect server start` by hand.")
        try:
            if httpx.get(f"{address}/health", timeout=5).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.5)
    raise ServerError(f"the Prefect server at {address} did not answer in {PATIENCE:g} s; try `prefect server start` by hand.")
