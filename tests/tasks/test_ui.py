"""`make ui` where it cannot start: one line with the cause and the fix."""

import socket
import sys
from collections.abc import Callable
from pathlib import Path

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
    assert "make ui PORT=" in message
