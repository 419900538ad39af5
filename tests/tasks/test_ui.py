"""`python -m tasks.track.ui`: links without passwords, and where it cannot start, one line with the cause and the fix."""

import socket
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

pytestmark = pytest.mark.slow


def run(monkeypatch: pytest.MonkeyPatch, port: int) -> str:
    """Return the message with which the command ends."""
    from tasks.track.ui import main

    monkeypatch.setattr(sys, "argv", ["ui", "--port", str(port)])
    with pytest.raises(SystemExit) as ended:
        main()
    return str(ended.value)


def test_without_tracking_there_is_nothing_to_show(project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    project(track={"uri": None})
    assert run(monkeypatch, 5000).startswith("error: track.uri is null, so nothing is tracked; set it to auto")


@pytest.mark.parametrize("port", [None, 70_000], ids=["taken", "none"])
def test_a_port_that_cannot_be_used_is_named_with_another(
    project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, port: int | None
) -> None:
    project(track={"uri": "auto"})
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        wanted = port or taken.getsockname()[1]
        message = run(monkeypatch, wanted)
    assert message.startswith(f"error: port {wanted} cannot be used")
    assert "choose another one: --port 500" in message


@pytest.mark.parametrize("password", ["hidden-word", "h@dden-word", "hi/dd?en#-word"])
def test_the_links_to_a_server_have_no_password(
    project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], password: str
) -> None:
    from tasks.track import ui

    project(track={"uri": "$ITM_TEST_MLFLOW"})
    uri = f"https://someone:{password}@mlflow.example.org/ml"
    monkeypatch.setenv("ITM_TEST_MLFLOW", uri)
    tags = {"mlflow.sharedViewState.candidates": "{}", "mlflow.sharedViewState.candidates-digits-1a2b3c": "{}"}
    experiment = SimpleNamespace(name="digits", experiment_id="7", tags=tags)
    client = SimpleNamespace(tracking_uri=uri, search_experiments=lambda: [experiment])
    monkeypatch.setattr(ui, "open_client", lambda _: nullcontext(client))
    monkeypatch.setattr(sys, "argv", ["ui"])
    ui.main()
    _, first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("  digits: https://mlflow.example.org/ml/#/experiments/7/runs?")
    assert second.startswith("  digits (digits-1a2b3c): https://mlflow.example.org/ml/#/experiments/7/runs?")
    assert second.endswith("viewStateShareKey=candidates-digits-1a2b3c")
