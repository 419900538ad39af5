"""One model as a function from images to embeddings, with the identity of what it returns."""

from collections.abc import Iterable
from functools import cached_property
from typing import Any

import torch

from itm.core.errors import ModelError
from itm.core.sections import ExtractParams
from itm.core.types import DataRef, ModelRef, SplitName
from itm.features import identity as identities
from itm.features.identity import Identity
from itm.zoo import facts, load


class Extractor:
    """Computes the embeddings of one model.

    Only `outputs`, `module` and calls build the model and read its weights.
    """

    def __init__(self, model: ModelRef) -> None:
        self.model = model

    @cached_property
    def preprocessing(self) -> dict[str, Any]:
        """Return how the model wants its images, in plain values."""
        return facts.preprocessing_without_weights(self.model)

    @cached_property
    def weights(self) -> str:
        """Return the hash of the weight file."""
        return load.weights_hash(self.model)

    @cached_property
    def module(self) -> torch.nn.Module:
        """Return the model with its weights."""
        return load.build(self.model)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Return the names of what a call returns: "embedding" and, where the model has a classifier, "logits"."""
        return ("embedding", "logits") if getattr(self.module, "num_classes", 0) else ("embedding",)

    def identity(self, data: DataRef, splits: Iterable[SplitName], params: ExtractParams, device: torch.device) -> Identity:
        """Return the identity of the embeddings of these splits of a data set."""
        return Identity(
            **self._definition,
            model=self.model.name,
            weights=self.weights,
            preprocessing=self.preprocessing,
            data=data.hash,
            splits=tuple(sorted(splits)),
            precision=params.precision_on(device.type),
            device=device.type,
            packages=identities.package_versions(),
            extractor=identities.EXTRACTOR,
        )

    @cached_property
    def _definition(self) -> dict[str, Any]:
        return load.definition(self.model)

    def __call__(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the `outputs` of inputs [n, channels, height, width], each [n, width]."""
        module: Any = self.module
        features = module.forward_features(images)
        found = {"embedding": module.forward_head(features, pre_logits=True)}
        if found["embedding"].ndim != 2:
            shape = tuple(found["embedding"].shape)
            raise ModelError(f"embeddings have shape {shape}; one row per image is needed, so set global_pool.")
        if "logits" in self.outputs:
            found["logits"] = module.forward_head(features)
        return found
