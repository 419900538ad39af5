"""A model as one ONNX file."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from itm.core.errors import cause
from itm.core.extras import require

OPSET = 18
NAME = "model.onnx"
LARGEST = 2**31 - 2**20  # bytes of weights; an ONNX file has at most two gigabytes


def check_onnx() -> None:
    """Raise an error if the packages for ONNX are not installed."""
    require("onnx", "--onnx")


def write_onnx(module: torch.nn.Module, preprocessing: dict[str, Any], output: str, path: Path) -> str:
    """Write `module` with a free number of images. Return why it cannot be written, or nothing.

    The input `images` [n, channels, height, width] is that of the model, after its transform.
    """
    size = sum(tensor.nbytes for tensor in module.state_dict().values())
    images = torch.zeros(2, *preprocessing["input_size"])
    try:
        with _quiet():
            torch.onnx.export(
                module,
                (images,),
                path,
                dynamo=True,
                opset_version=OPSET,
                input_names=["images"],
                output_names=[output],
                dynamic_shapes=({0: torch.export.Dim("n")},),
                external_data=size > LARGEST,
                verbose=False,
            )
    except Exception as error:  # the exporter raises many types, and what a model does is not limited
        path.unlink(missing_ok=True)
        return f"torch cannot convert it ({type(error).__name__}: {cause(error)})"
    return ""


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide warnings of the exporter: they are about its own code."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
