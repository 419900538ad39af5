"""The Prefect server of a flow: the one that PREFECT_API_URL names, or one that is started for this process alone.

It is checked before a flow begins. Otherwise Prefect waits for minutes, and its traceback does not name the cause.
"""

import atexit
import logging
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import wraps
from threading import Event, Thread
from typing import ParamSpec, TypeVar

import httpx
import prefect
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectHTTPStatusError
from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    get_current_settings,
    temporary_settings,
)

from flows.server_home import INLINE, check_database, check_home, known_cause
from itm.cli.interrupt import end_command
from itm.core.errors import ServerError
from itm.core.secrets import has_password, hide_secrets

log = logging.getLogger("itm.flow")

P = ParamSpec("P")
R = TypeVar("R")

HOST = "127.0.0.1"
PATIENCE = 180.0  # seconds; the first start makes a database
ANSWER = 10.0  # seconds for a named server to answer
# Runs a module like `python -m`, and ends it when its standard input is closed.
TIED = """
import os, runpy, signal, sys, threading
def end():
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=end, daemon=True).start()
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def needs_server(without: Callable[P, R]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that provides the server of a flow.

    If no server can be started, `without` does the work without Prefect. A server that PREFECT_API_URL names must answer.
    """

    def decorate(flow: Callable[P, R]) -> Callable[P, R]:
        @wraps(flow)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                address = provide_server()
            except ServerError as error:
                if PREFECT_API_URL.value():
                    raise
                log.warning("%s Running without Prefect.", error)
                return without(*args, **kwargs)
            with flow_server(address):
                return flow(*args, **kwargs)

        return run

    return decorate


@contextmanager
def flow_server(address: str) -> Iterator[None]:
    """Use a server for a flow and its workers, which would start servers of their own. A lost connection is a ServerError."""
    try:
        with temporary_settings({PREFECT_API_URL: address}):
            yield
    except (httpx.HTTPError, PrefectHTTPStatusError) as error:
        raise ServerError(
            f"the Prefect server at {_without_password(address)} stopped answering ({_text(error)}). Finished results are "
            f"stored, and the same command resumes; start the server again, {INLINE}."
        ) from error


def provide_server() -> str:
    """Check the server of PREFECT_API_URL, or start one that ends with this process. Return its address.

    Raises
    ------
    ServerError
        If it does not answer or cannot be started.
    """
    if named := PREFECT_API_URL.value():
        check_server(str(named))
        return str(named)
    server = SubprocessASGIServer()  # the one that Prefect would start itself when it first needs it
    if server.running:
        return server.api_url
    command = ["uvicorn", "--app-dir", str(prefect.__module_path__.parent)]
    command += ["--factory", "prefect.server.api.server:create_app", "--log-level", "error", "--lifespan", "on"]
    settings = get_current_settings().to_environment_variables(exclude_unset=True)
    settings |= {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
    port = free_port()
    server.server_process = start_server(command, port, settings)
    server.port, server.running = port, True
    atexit.register(server.stop)
    atexit.register(_end_with(server.server_process).set)  # before the line above
    return server.api_url


def _end_with(server: "subprocess.Popen[bytes]") -> Event:
    """End the command if its server ends: Prefect would wait for it for minutes. Return the event that it may end."""
    may_end = Event()

    def wait() -> None:
        status = server.wait()
        time.sleep(0.5)  # a signal to the whole group is not a lost server
        if not may_end.is_set():
            end_command(f"error: the Prefect server of this command ended with status {status}", 2)

    Thread(target=wait, daemon=True, name="server").start()
    return may_end


def check_server(address: str) -> None:
    """Check that a server answers, is Prefect's, and has a version that works with this one."""
    has_password(address)  # remembers it, so that no message shows it
    try:
        with (
            temporary_settings({PREFECT_API_URL: address, PREFECT_CLIENT_MAX_RETRIES: 0}),
            get_client(httpx_settings={"timeout": ANSWER}, sync_client=True) as client,
        ):
            client.raise_for_api_version_mismatch()
    except Exception as error:  # Prefect, httpx and proxies raise many types
        raise ServerError(
            f"PREFECT_API_URL names {_without_password(address)}, where no Prefect server answers ({_text(error)}); start it, "
            f"correct or unset PREFECT_API_URL, {INLINE}."
        ) from error


def start_server(
    command: Sequence[str], port: int, settings: Mapping[str, str], *, own_session: bool = False
) -> "subprocess.Popen[bytes]":
    """Start a Prefect server on the loopback interface, and wait until it answers. It ends with this process, even if killed.

    Raises
    ------
    ServerError
        If Prefect's home or database cannot be used, or the server ends or does not answer.
    """
    check_home()
    check_database()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, "-c", TIED, *command, "--host", HOST, "--port", f"{port}"],
            stdin=subprocess.PIPE,  # closed when this process ends
            env=os.environ | settings | {"PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "ERROR"},
            stdout=output,
            stderr=output,
            start_new_session=own_session,
        )
        try:
            _wait(process, f"http://{HOST}:{port}/api/health")
        except BaseException as error:
            process.kill()
            process.communicate()
            if not isinstance(error, ServerError):
                raise
            output.seek(0)
            said = output.read().decode(errors="replace")
            raise ServerError(f"Prefect's server cannot be started: {known_cause(said) or error}, {INLINE}.") from None
    return process


def free_port() -> int:
    """Return a port that the system chooses, so that two servers never get the same."""
    with closing(socket.socket()) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _wait(process: "subprocess.Popen[bytes]", address: str) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if process.poll() is not None:
            raise ServerError(f"it ended with status {process.returncode}; try `prefect server start` by hand")
        try:
            if httpx.get(address, timeout=5, trust_env=False).is_success:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise ServerError(f"it did not answer in {PATIENCE:g} s; try `prefect server start` by hand")


def _without_password(address: str) -> str:
    return re.sub(r"//[^/@]*@", "//", address)


def _text(error: BaseException) -> str:
    """Return the first cause of an error in one line."""
    while error.__cause__:
        error = error.__cause__
    return hide_secrets(" ".join(f"{type(error).__name__}: {error}".split())[:300])
