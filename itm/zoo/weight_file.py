"""Read weight files without executing code. The first bytes say what a file is, because names are often wrong."""

import argparse
import pathlib
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from itm.core.errors import ModelError

ZIP, NUMPY = b"PK\x03\x04", b"\x93NUMPY"
# What training scripts store with the weights as plain data: arguments, paths, and metrics as NumPy scalars.
_SCALAR, _ARRAY = np.float64(0).__reduce__()[0], np.zeros(1).__reduce__()[0]
DATA_TYPES: list[Any] = [
    *(argparse.Namespace, pathlib.PosixPath, pathlib.PurePosixPath, np.dtype, np.ndarray),
    *(type(np.dtype(kind)) for kind in ("f8", "f4", "f2", "i8", "i4", "u1", "?")),
    *((_SCALAR, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
    *((_ARRAY, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")),
]
# Files that have no weights by name, by their first bytes.
OTHER_FILES = {
    b"\x89HDF": "an HDF5 file, as Keras writes it; load it with Keras and save the arrays with numpy.savez",
    b"GGUF": "a GGUF file of quantized weights; use the original weights",
    b"\x1f\x8b": "a gzip archive; unpack it",
    b"BZh": "a bzip2 archive; unpack it",
    b"\xfd7zXZ": "an xz archive; unpack it",
    b"7z\xbc\xaf": "a 7z archive; unpack it",
    b"\x28\xb5\x2f\xfd": "a zstd archive; unpack it",
    b"\x89PNG": "a PNG image; name the weight file",
    b"\xff\xd8\xff": "a JPEG image; name the weight file",
    b"%PDF": "a PDF document; name the weight file",
    NUMPY: "one NumPy array without a name; save all weights by name with numpy.savez",
}


def read_weight_file(path: Path) -> Any:
    """Return the content of a file of safetensors, torch.save or numpy.savez.

    Raises
    ------
    ModelError
        If the file is missing, damaged, of another kind, or needs code to be read.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such weight file; check `checkpoint`, or download the file again.")
    try:
        with path.open("rb") as stream:
            start = stream.read(512)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); check its permissions.") from error
    try:
        if _is_safetensors(start):
            return load_file(path)
        if start.startswith(ZIP) and (other := _other_archive(path)) is not None:
            if other:
                raise ModelError(f"{path}: is {other}.")
            with np.load(path, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
        # not the path, whose suffix torch would trust
        with path.open("rb") as stream, torch.serialization.safe_globals(DATA_TYPES):
            return torch.load(stream, map_location="cpu", weights_only=True)
    except ModelError:
        raise
    except Exception as error:  # readers raise many error types for damaged files
        raise ModelError(f"{path}: {_read_error(path, start, error)}") from error


def _is_safetensors(start: bytes) -> bool:
    """Return whether a file starts with the length of a JSON header and the header."""
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 100_000_000


def _other_archive(path: Path) -> str | None:
    """Return None for a ZIP archive of torch.save, "" for one of numpy.savez, and a description of any other."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if any(name.endswith(("/constants.pkl", "/code/__torch__.py")) or "/code/__torch__" in name for name in names):
        return (
            "a TorchScript archive, which contains code, so it is not read. If you trust it, convert it once: "
            "`torch.save(torch.jit.load(OLD, map_location='cpu').state_dict(), NEW)`, and use NEW"
        )
    if names and all(name.endswith(".npy") for name in names):
        return ""
    if any(name.endswith("data.pkl") for name in names):
        return None
    if "config.json" in names:
        return "a Keras model; load it with Keras and save the arrays with numpy.savez"
    return f"a ZIP archive of other files ({', '.join(names[:3])}); unpack it and name the weight file in it"


def _read_error(path: Path, start: bytes, error: Exception) -> str:
    text = start.lstrip()
    if not text:
        return "is empty; download it again."
    if text.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, not the weights themselves; run `git lfs pull`."
    if b"weight_map" in text or path.name.endswith(".index.json"):
        return "is the index of weights in several files; load them in Python and save them as one safetensors file."
    if text.startswith((b"<", b"{")):
        return "is a web page or text, not weights (a failed download?); download it again."
    if other := next((what for magic, what in OTHER_FILES.items() if start.startswith(magic)), ""):
        return f"is {other}."
    if start[257:262] == b"ustar":
        return "is a tar archive; unpack it and name the weight file in it."
    if (
        start[4:8] == b"TFL3"
        or path.suffix == ".onnx"
        or (start[:1] == b"\x08" and re.search(rb"pytorch|onnx|keras", start[:64]))
    ):
        return "is an ONNX or TensorFlow Lite model, which has other names than PyTorch; use the original PyTorch weights."
    code = re.search(r"GLOBAL (\S+)", str(error))
    if code:
        return (
            f"is a pickle that needs {code[1]}, and reading it could execute any code, so it is rejected. If you trust it, "
            "convert it once: `torch.save(torch.load(OLD, weights_only=False)['state_dict'], NEW)` (or `.state_dict()` for a "
            "whole module), and use NEW."
        )
    reason = " ".join(str(error).split()) or type(error).__name__
    return f"is damaged or not a weight file ({reason[:200]}); download it again, or save it again as safetensors."
