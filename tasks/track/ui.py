"""Print the links to the comparison of each data set, and start the MLflow server on the database of params.yaml.

It is `python -m tasks.track.ui`, and in a clone also `make ui`.
"""

import argparse
import logging
import os
import socket
import sys
from collections.abc import Iterator

import typer
from mlflow.entities import Experiment

from itm.core.errors import ItmError, ParamsError
from itm.core.params import find_params
from itm.core.secrets import error_message, public_address
from itm.store.tracked_file import UI, VIEW, comparison_link
from tasks.track.client import open_client
from tasks.track.views import TAG

HOST = "127.0.0.1"


def main() -> None:
    """Print the links, then become the MLflow server; a tracking server that runs elsewhere is not started."""
    parser = argparse.ArgumentParser(prog=UI)
    parser.add_argument("--port", type=int, default=5000)
    port = parser.parse_args().port
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        uri, lines = _links(port)
    except ItmError as error:
        raise SystemExit(f"error: {error_message(error)}") from None
    typer.echo("\n".join(lines))
    sys.stdout.flush()
    if not uri.startswith("http"):
        command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port)]
        os.execve(sys.executable, command, os.environ | {"MLFLOW_BACKEND_STORE_URI": uri})  # not in the list of processes


def _links(port: int) -> tuple[str, list[str]]:
    """Return the address of the database or server, and the lines to print."""
    params = find_params(None).tracking
    if not params.uri:
        raise ParamsError("track.uri is null, so nothing is tracked; set it to auto and run `itm rank` again.")
    with open_client(params) as client:
        own = str(client.tracking_uri)
        views = dict(view for experiment in client.search_experiments() for view in _views(experiment))
    is_server = own.startswith("http")
    server = public_address(own) if is_server else f"http://{HOST}:{port}"
    if not is_server:
        _check_port(port)
    if not views:
        return own, [f"There is no ranking in MLflow yet; run `itm rank`. MLflow: {server}"]
    links = [f"  {name}: {comparison_link(*view, server)}" for name, view in sorted(views.items())]
    return own, ["Compare the candidates in MLflow:", *links]


def _views(experiment: Experiment) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield the experiment and the key of each saved view, by the name of the data set, and of the ranking if it is a trial."""
    for key in (tag.removeprefix(TAG) for tag in experiment.tags if tag.startswith(TAG + VIEW)):
        trial = key.removeprefix(VIEW).removeprefix("-")
        yield f"{experiment.name} ({trial})" if trial else str(experiment.name), (str(experiment.experiment_id), key)


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or "it is no port"
            other = 5001 if port != 5001 else 5002
            raise ParamsError(f"port {port} cannot be used ({reason}); choose another one: --port {other}") from None


if __name__ == "__main__":
    main()
