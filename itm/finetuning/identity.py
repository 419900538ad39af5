"""What a fine-tuning run depends on. Runs with the same identity and options have the same result."""

from typing import Any

from itm.core.sections import FinetuneParams
from itm.core.types import DataRef, ModelRef
from itm.features.extractors import Extractor
from itm.features.identity import package_versions
from itm.finetuning.head import HEAD
from itm.zoo import load

FINETUNER = 3  # raise it when a change here changes accuracies
RECIPE = ("batch_size", "warmup", "weight_decay", "crop", "mirror", "batch_norm", "precision")


def pair_identity(model: ModelRef, data: DataRef, extractor: Extractor, precision: str, device: str) -> dict[str, Any]:
    """Return what all runs of a model on a data set depend on."""
    return load.definition(model) | {
        "finetuner": FINETUNER,
        "head": HEAD,
        "model": model.name,
        "weights": extractor.weights,
        "preprocessing": extractor.preprocessing,
        "data": data.hash,
        "device": device,
        "precision": precision,
        "packages": package_versions(),
    }


def recipe(params: FinetuneParams, *more: str) -> dict[str, Any]:
    """Return the options of training that change the result of a run."""
    return params.model_dump(mode="json", include={*RECIPE, *more})
