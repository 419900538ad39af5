"""Weights are downloaded before any work, from a local server that fails in several ways. No test uses the network."""

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import torch

from itm.core.errors import ModelError
from itm.core.keys import file_hash
from itm.core.sections import ZooParams
from itm.core.types import ModelRef
from itm.zoo.downloads import UnreachableError, verify
from itm.zoo.hub import prefetch, pretrained_file
from itm.zoo.load import build, weights_hash
from itm.zoo.resolve import resolve, timm_model
from itm.zoo.timm_names import timm_config
from itm.zoo.weight_cache import FILES

Saved = Callable[..., tuple[ModelRef, torch.nn.Module]]
GOOD, OTHER = "test_resnet.r160_in1k", "test_vit.r160_in1k"
BY_ADDRESS = "gcvit_xxtiny.in1k"
REVISION = "0" * 40
QUICK = ZooParams(fetch_attempts=3, fetch_wait=0.01)


class Hub(BaseHTTPRequestHandler):
    """Server with a list of responses per repository: a status, a fault, or the content."""

    content: bytes
    trouble: dict[str, list[Any]]  # by repository: responses to the next requests; later requests succeed
    requests: list[str]
    promised: str | None
    digits: str  # checksum in the name of the file with its own URL
    closing: threading.Event

    def do_HEAD(self) -> None:
        name = self.path.split("/")[2].partition(".")[0] if "resolve" in self.path else self.path.rpartition(".")[2]
        if name != self.path:  # huggingface_hub makes another request once per process
            self.requests.append(f"{self.command} {name}")
        turns = self.trouble.get(name, [])
        trouble = turns[0] if turns == ["silent"] else turns.pop(0) if turns else 200
        if trouble == "silent":
            self.closing.wait()
            return
        if trouble == "cut":
            self.close_connection = True
            return
        bodies = {200: self.content, "other bytes": self.content[::-1], "half": self.content[: len(self.content) // 2]}
        self.send_response(trouble if isinstance(trouble, int) else 200)
        self.send_header("Content-Length", str(len(self.content) if trouble in bodies else 0))
        self.send_header("X-Repo-Commit", REVISION)
        self.send_header("ETag", '"of the git object"')
        self.send_header("X-Linked-Etag", f'"{self.promised or hashlib.sha256(self.content).hexdigest()}"')
        self.send_header("X-Linked-Size", str(len(self.content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(bodies.get(trouble, b""))

    def do_GET(self) -> None:
        self.do_HEAD()

    def log_message(self, *_: Any) -> None:
        """Do not log."""


@pytest.fixture
def hub(tmp_path: Path, saved: Saved, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    """Replace the hub by a local server with a timeout of half a second, and use an empty cache."""
    checkpoint = saved()[0].checkpoint
    assert checkpoint is not None
    values: dict[str, Any] = {
        "content": checkpoint.read_bytes(),
        "trouble": {},
        "requests": [],
        "promised": None,
        "digits": "d1d86009",
    }
    handler: Any = type("OneHub", (Hub,), values | {"closing": threading.Event()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    address, constants = f"http://127.0.0.1:{server.server_port}", huggingface_hub.constants
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 0.5)
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))

    def local_config(name: str) -> dict[str, Any]:
        file = f"gcvit-{handler.digits}.pth"
        return timm_config(name) | ({"url": f"{address}/{file}"} if name == BY_ADDRESS else {})

    monkeypatch.setattr("itm.zoo.hub.timm_config", local_config)  # the URL of that file is in timm's code
    yield handler
    handler.closing.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("trouble", "causes"),
    [
        ([503, 503], ["503", "503"]),
        ([429, 500], ["429", "500"]),
        ([408, 504], ["408", "504"]),
        (["cut", "cut"], ["Error", "Error"]),
        (["silent", "cut"], ["timed out", "Error"]),
    ],
)
def test_failed_downloads_are_retried(
    hub: type[Hub], trouble: list[Any], causes: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    hub.trouble = {"test_resnet": [*trouble]}
    with caplog.at_level(logging.WARNING, "itm"):
        available, failures = prefetch([timm_model(GOOD)], QUICK)
    assert (available, failures) == ((timm_model(GOOD),), ())
    assert weights_hash(timm_model(GOOD)) == hashlib.sha256(hub.content).hexdigest()
    assert hub.requests == ["HEAD test_resnet"] * 4 + [
        "GET test_resnet"
    ]  # huggingface_hub repeats the request before it downloads
    for number, (pause, cause, text) in enumerate(zip((0.01, 0.02), causes, caplog.messages, strict=True), 1):
        assert text.startswith(f"attempt {number} of 3: not downloaded: {GOOD} (")
        assert text.endswith(f"); retrying in {pause} s")
        assert cause in text


def test_file_without_answer_does_not_delay_others(hub: type[Hub]) -> None:
    hub.trouble = {"test_vit": ["silent"]}
    start = time.perf_counter()
    available, (failure,) = prefetch([timm_model(OTHER), timm_model(GOOD)], QUICK)
    assert time.perf_counter() - start < 60  # huggingface_hub would retry for minutes
    assert [model.name for model in available] == [GOOD]
    assert (failure.model, failure.step, failure.data) == (OTHER, "prefetch", "")
    for part in ("timm/test_vit.r160_in1k", "timed out", "Tried 3 times", "zoo file"):
        assert part in failure.reason
    assert (
        hub.requests.index("GET test_resnet") < [i for i, request in enumerate(hub.requests) if request == "HEAD test_vit"][1]
    )
    assert hub.requests.count("HEAD test_vit") == QUICK.fetch_attempts


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_refused_downloads_are_not_retried(hub: type[Hub], status: int) -> None:
    hub.trouble = {"test_vit": [status] * 9}
    available, (failure,) = prefetch([timm_model(OTHER), timm_model(GOOD)], QUICK.model_copy(update={"fetch_wait": 600}))
    assert [model.name for model in available] == [GOOD]
    assert f"{status}" in failure.reason
    assert hub.requests.count("HEAD test_vit") <= len(FILES)


def test_offline_mode_does_not_wait(hub: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    prefetch([timm_model(GOOD)], QUICK)
    hub.requests.clear()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    available, (failure,) = prefetch([timm_model(OTHER), timm_model(GOOD)], QUICK.model_copy(update={"fetch_wait": 600}))
    assert ([model.name for model in available], failure.model, hub.requests) == ([GOOD], OTHER, [])
    assert "HF_HUB_OFFLINE is set" in failure.reason


@pytest.mark.parametrize("trouble", ["other bytes", "half"])
@pytest.mark.parametrize("name", [GOOD, BY_ADDRESS])
def test_damaged_downloads_are_retried(hub: type[Hub], trouble: str, name: str) -> None:
    hub.digits = hashlib.sha256(hub.content).hexdigest()[:8]
    hub.trouble = {"pth": [trouble], "test_resnet": [200, 200, trouble]}  # two metadata requests, then the download
    available, failures = prefetch([timm_model(name)], QUICK)
    assert (len(available), failures) == (1, ())
    assert pretrained_file(name).read_bytes() == hub.content


@pytest.mark.parametrize("name", [GOOD, BY_ADDRESS])
def test_downloads_with_wrong_checksum_are_deleted(hub: type[Hub], name: str, tmp_path: Path) -> None:
    hub.promised = "a" * 64
    available, (failure,) = prefetch([timm_model(name)], QUICK)
    assert available == ()
    for part in (hashlib.sha256(hub.content).hexdigest(), hub.promised if name == GOOD else "d1d86009", "Tried 3 times"):
        assert part in failure.reason
    kept = [path for folder in ("hub", "torch") for path in (tmp_path / folder).rglob("*") if path.is_file()]
    assert not [path for path in kept if path.stat().st_size >= len(hub.content)]


def test_damaged_cached_file_is_downloaded_again(hub: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    prefetch([timm_model(GOOD)], QUICK)
    path = pretrained_file(GOOD)
    path.resolve().write_bytes(hub.content[:-1])
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    _, (failure,) = prefetch([timm_model(GOOD)], QUICK)
    assert "is damaged" in failure.reason
    assert path.exists()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    assert prefetch([timm_model(GOOD)], QUICK)[1] == ()
    assert pretrained_file(GOOD).read_bytes() == hub.content


def test_each_missing_file_is_downloaded_once(hub: type[Hub], saved: Saved) -> None:
    own, _ = saved("test_efficientnet")
    models = [
        own,
        timm_model(GOOD),
        replace(timm_model(GOOD), name="again"),
        replace(timm_model(OTHER), checkpoint=own.checkpoint),
    ]
    for _ in range(2):
        assert prefetch(models, QUICK) == (tuple(models), ())
        assert hub.requests == ["HEAD test_resnet"] * 2 + ["GET test_resnet"]
    assert prefetch([], QUICK) == ((), ())


def test_date_in_file_name_is_not_a_checksum(tmp_path: Path) -> None:
    for name in ("vit-20230101.pth", "model.safetensors", "IN22K-vit.g.16-600e.pth.tar"):
        (path := tmp_path / name).write_bytes(b"weights")
        verify(path)
    (wrong := tmp_path / "vit-0123abcd.pth").write_bytes(b"weights")
    with pytest.raises(UnreachableError, match="0123abcd"):
        verify(wrong)
    (right := tmp_path / f"vit-{hashlib.sha256(b'weights').hexdigest()[:9]}.pth").write_bytes(b"weights")
    verify(right)


def test_sha256_of_zoo_file_is_verified(saved: Saved, write_zoo: Callable[..., Path]) -> None:
    model, _ = saved()
    assert model.checkpoint is not None
    right, wrong = file_hash(model.checkpoint), "0" * 64
    entry = {"architecture": "test_resnet", "checkpoint": model.checkpoint.name}
    zoo = write_zoo(entry | {"name": "right", "sha256": right.upper()}, entry | {"name": "wrong", "sha256": wrong})
    (fits, differs), failures = resolve(ZooParams(file=zoo))
    assert (fits.sha256, failures) == (right, [])
    assert weights_hash(fits) == right
    build(fits)
    for function in (weights_hash, build):
        with pytest.raises(ModelError, match=f"wrong: .*{right}.*{wrong}"):
            function(differs)
    _, (failure,) = resolve(ZooParams(file=write_zoo(entry | {"name": "short", "sha256": right[:63]})))
    assert "sha256" in failure.reason
