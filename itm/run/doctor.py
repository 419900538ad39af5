"""Checks that everything a ranking needs is there: packages, devices, store, project, machine, weights and tracking."""

import importlib
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from itm.core.errors import ItmError
from itm.core.extras import EXTRAS
from itm.core.params import Params
from itm.run.findings import Finding, can_be_written, note, ok, wrong
from itm.run.project_checks import check_project
from itm.run.system_checks import check_system

LIBRARY = ("torch", "torchvision", "timm", "polars", "pyarrow", "scipy", "scikit-learn")


def examine(params: Params) -> Iterator[Finding]:
    """Yield the result of each check; a bad finding says what to do."""
    yield from _packages()
    yield _vision()
    yield _devices(params.extract.device)
    yield _store(params.store)
    yield from check_project(params)
    yield from check_system()
    yield from _weights(params)
    yield _tracking(params.tracking.uri)


def _packages() -> Iterator[Finding]:
    for name in (*LIBRARY, *EXTRAS["pipeline"]):
        try:
            yield ok(name, version(name))
        except PackageNotFoundError:
            if name in EXTRAS["pipeline"]:
                yield note(name, "is not installed: rankings run inline, without tracking")
            else:
                yield wrong(name, "is not installed; pip install itm-rank")


def _vision() -> Finding:
    try:
        gate = importlib.import_module("itm.zoo.timm_gate")
    except (ImportError, RuntimeError) as error:
        return wrong("torchvision and timm", f"do not load ({error}); install the torchvision that matches torch")
    repaired = bool(gate.is_torchvision_patched())
    return ok("torchvision and timm", "load, two missing operators declared" if repaired else "load as they are")


def _devices(device: str) -> Finding:
    import torch

    from itm.features.devices import device as device_of

    found = [f"{os.cpu_count()} CPU cores"]
    found += [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    try:
        device_of(device)
    except ItmError as error:
        return wrong("devices", f"{error} Here are {', '.join(found)}")
    return ok("devices", ", ".join(found))


def _store(root: Path) -> Finding:
    if not can_be_written(root / "indexes"):
        return wrong("store", f"{root} cannot be written; change `store` in params")
    if not root.exists():
        return note("store", f"{root} does not exist yet; the first ranking makes it")
    return ok("store", f"{root} can be written")


def _weights(params: Params) -> Iterator[Finding]:
    from itm.zoo.load import build, weights_hash
    from itm.zoo.resolve import resolve

    try:
        models, failures = resolve(params.zoo)
    except ItmError as error:
        yield wrong("zoo", str(error))
        return
    for model in models:
        try:
            build(model)
            yield ok(model.name, f"weights {weights_hash(model)[:12]} load")
        except ItmError as error:
            yield wrong(model.name, str(error))
    for failure in failures:
        yield wrong(failure.model, failure.reason)


def _tracking(uri: str | None) -> Finding:
    if uri is None:
        return ok("tracking", "is off")
    if uri.startswith(("http://", "https://")):
        try:
            with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=5):
                return ok("tracking", f"{uri} answers")
        except (OSError, urllib.error.URLError) as error:
            return wrong("tracking", f"{uri} does not answer ({error}); start the MLflow server or change track.uri")
    if uri.startswith("sqlite:///"):
        path = Path(uri.removeprefix("sqlite:///"))
        if not can_be_written(path):
            return wrong("tracking", f"{path} cannot be written; change track.uri")
        return ok("tracking", uri) if path.exists() else note("tracking", f"{path} does not exist yet; the first run makes it")
    return ok("tracking", f"{uri} (not tried)")
