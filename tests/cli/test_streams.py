"""Output that cannot be shown or written never ends a command."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PREPARE = "import sys\nfrom itm.cli.streams import make_output_safe\nmake_output_safe()\n"
TEXT = "Eräs kuva 花 ±1 \\udc80"


def run(code: str, **environment: str) -> "subprocess.CompletedProcess[bytes]":
    command = [sys.executable, "-c", PREPARE + code]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, check=False)


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("ascii", rb"Er\xe4s kuva \u82b1 \xb11 \udc80"),
        ("iso8859-1", b"Er\xe4s kuva \\u82b1 \xb11 \\udc80"),
        ("cp1252", b"Er\xe4s kuva \\u82b1 \xb11 \\udc80"),
        ("cp437", b"Er\x84s kuva \\u82b1 \xf11 \\udc80"),
        ("utf-8", "Eräs kuva 花 ±1 \\udc80".encode()),
    ],
)
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_what_an_encoding_lacks_is_escaped(stream, encoding, shown):
    done = run(f"print('{TEXT}', file=sys.{stream})", PYTHONIOENCODING=encoding)
    assert (done.returncode, getattr(done, stream)) == (0, shown + b"\n")


def test_a_log_reaches_a_terminal_of_another_encoding():
    code = (
        f"import logging\nfrom itm.core.logs import log_to_terminal\nlog_to_terminal()\nlogging.getLogger('itm').info('{TEXT}')"
    )
    done = run(code, PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert rb"INFO    Er\xe4s kuva \u82b1" in done.stderr


@pytest.mark.parametrize("show", ["print('line', flush=True)", "Console().print('line')", "typer.echo('line')"])
def test_work_goes_on_after_the_reader_of_a_pipe_has_gone(tmp_path: Path, show):
    finished = tmp_path / "finished"
    code = f"import typer\nfrom rich.console import Console\nfor _ in range(9): {show}\nopen({str(finished)!r}, 'w')"
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([sys.executable, "-c", PREPARE + code], stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")
    assert finished.exists()


def test_a_full_disk_below_the_output_is_one_line():
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-c", f"{PREPARE}for _ in range(9): print('line', flush=True)"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "error: the output cannot be written (No space left on device).\n")


@pytest.mark.parametrize("closed", ["<&- >&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_output_is_no_error(closed):
    script = f'exec "$0" -c "$1" {closed}'
    code = f"{PREPARE}print('line'); print('line', file=sys.stderr)"
    assert subprocess.run(["sh", "-c", script, sys.executable, code], check=False).returncode == 0


def test_scores_are_listed_where_the_output_is_ascii():
    done = subprocess.run(
        ["itm", "scores", "knn"], env=os.environ | {"PYTHONIOENCODING": "ascii"}, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"Higher is better" in done.stdout
