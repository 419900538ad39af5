"""Checks that everything a ranking needs is there: packages, devices, weights, store and tracking."""

import importlib
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from itm.core.errors import ItmError
from itm.core.extras import EXTRAS
from itm.core.params import Params

LIBRARY = ("torch", "torchvision", "timm", "polars", "pyarrow", "scipy", "scikit-learn")


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    what: str
    good: bool
    text: str


def examine(params: Params) -> Iterator[Finding]:
    """Yield the result of each check; a bad finding says what to do."""
    yield from _packages()
    yield _vision()
    yield _devices(params.extract.device)
    yield _store(params.store)
    yield from _weights(params)
    yield _tracking(params.tracking.uri)


def _packages() -> Iterator[Finding]:
    for name in (*LIBRARY, *EXTRAS["pipeline"]):
        try:
            yield Finding(name, True, version(name))
        except PackageNotFoundError:
            if name in EXTRAS["pipeline"]:
                yield Finding(name, True, "is not installed: rankings run inline, without tracking")
            else:
                yield Finding(name, False, "is not installed; pip install itm-rank")


def _vision() -> Finding:
    try:
        gate = importlib.import_module("itm.zoo.timm_gate")
    except (ImportError, RuntimeError) as error:
        return Finding("torchvision and timm", False, f"do not load ({error}); install the torchvision that matches torch")
    repaired = bool(gate.is_torchvision_patched())
    return Finding("torchvision and timm", True, "load, two missing operators declared" if repaired else "load as they are")


def _devices(device: str) -> Finding:
    import torch

    from itm.features.devices import device as device_of

    found = [f"{os.cpu_count()} CPU cores"]
    found += [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    try:
        device_of(device)
    except ItmError as error:
        return Finding("devices", False, f"{error} Here are {', '.join(found)}")
    return Finding("devices", True, ", ".join(found))


def _store(root: Path) -> Finding:
    good = _can_be_written(root / "indexes")
    return Finding("store", good, f"{root} can be written" if good else f"{root} cannot be written; change `store` in params")


def _can_be_written(path: Path) -> bool:
    """Return whether a file can be created or changed at `path`, whose folders need not exist."""
    path = path.absolute()
    existing = next(place for place in (path, *path.parents) if place.exists())
    return os.access(existing, os.W_OK) and (existing == path or existing.is_dir())


def _weights(params: Params) -> Iterator[Finding]:
    from itm.zoo.load import build, weights_hash
    from itm.zoo.resolve import resolve

    try:
        models, failures = resolve(params.zoo)
    except ItmError as error:
        yield Finding("zoo", False, str(error))
        return
    for model in models:
        try:
            build(model)
            yield Finding(model.name, True, f"weights {weights_hash(model)[:12]} load")
        except ItmError as error:
            yield Finding(model.name, False, str(error))
    for failure in failures:
        yield Finding(failure.model, False, failure.reason)


def _tracking(uri: str | None) -> Finding:
    if uri is None:
        return Finding("tracking", True, "is off")
    if uri.startswith(("http://", "https://")):
        try:
            with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=5):
                return Finding("tracking", True, f"{uri} answers")
        except (OSError, urllib.error.URLError) as error:
            return Finding("tracking", False, f"{uri} does not answer ({error}); start the MLflow server or change track.uri")
    if uri.startswith("sqlite:///"):
        path = Path(uri.removeprefix("sqlite:///"))
        good = _can_be_written(path)
        return Finding("tracking", good, uri if good else f"{path} cannot be written; change track.uri")
    return Finding("tracking", True, f"{uri} (not tried)")
