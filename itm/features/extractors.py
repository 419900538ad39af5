"""One model as a function from images to embeddings, with the identity of what it returns."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch.nn import functional

from itm.core.errors import ModelError
from itm.core.keys import content_key
from itm.core.sections import ExtractParams
from itm.core.types import DataRef, ModelRef, SplitName
from itm.features import identity as identities
from itm.features.devices import precision_on
from itm.features.identity import Identity
from itm.features.patches import GRID, PATCHES
from itm.kinds import get_kind
from itm.zoo import facts, load
from itm.zoo.feature_map import FEATURE_MAP, FeatureMap
from itm.zoo.variant_module import Pooled, check_variant, has_tokens, tokens_after


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
            precision=precision_on(device, params.precision),
            device=device.type,
            packages=identities.package_versions(),
            extractor=identities.EXTRACTOR,
            subset=data.subset,
        )

    @cached_property
    def _definition(self) -> dict[str, Any]:
        return load.definition(self.model)

    def __call__(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the `outputs` of inputs [n, channels, height, width], each [n, width]."""
        module: Any = self.module
        return self.outputs_of(module.forward_features(images))

    def outputs_of(self, features: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the `outputs` of what the model computes before its pooling."""
        module: Any = self.module
        found = {"embedding": module.forward_head(features, pre_logits=True)}
        if found["embedding"].ndim != 2:
            shape = tuple(found["embedding"].shape)
            raise ModelError(f"embeddings have shape {shape}; one row per image is needed, so set global_pool.")
        if "logits" in self.outputs:
            found["logits"] = module.forward_head(features)
        return found

    @property
    def plain_key(self) -> str:
        """Return a key that is equal for variants of one model that see the same images."""
        definition = {name: value for name, value in self._definition.items() if name not in ("block", "pooling")}
        return content_key([definition, self.weights, self.preprocessing])


class PatchExtractor(Extractor):
    """Computes the embeddings of the patches of images by one model. It sees the whole image, without cropping."""

    @cached_property
    def preprocessing(self) -> dict[str, Any]:
        return whole_image(facts.preprocessing_without_weights(self.model))

    @cached_property
    def module(self) -> torch.nn.Module:
        """Return the model as its feature map, with its weights."""
        return FeatureMap(self.model.name, load.build(self.model))

    @property
    def outputs(self) -> tuple[str, ...]:
        return ("embedding",)

    def identity(self, data: DataRef, splits: Iterable[SplitName], params: ExtractParams, device: torch.device) -> Identity:
        return replace(super().identity(data, splits, params, device), pooling=FEATURE_MAP, patches=PATCHES)

    def __call__(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the embedding [n, cells, width] of each cell of inputs [n, channels, height, width].

        It is the feature map at the centre of the cell, interpolated as the upsampled outputs of a linear head are.
        """
        cells = functional.interpolate(self.module(images).float(), (GRID, GRID), mode="bilinear", align_corners=False)
        return {"embedding": cells.flatten(2).transpose(1, 2)}

    @property
    def plain_key(self) -> str:
        """Return a key of its own: variants share no forward pass."""
        return content_key([super().plain_key, self._definition])


def extractor_for(model: ModelRef, data: DataRef) -> Extractor:
    """Return the extractor of a model for the task kind of a data set."""
    return PatchExtractor(model) if get_kind(data.target.kind).level == "patch" else Extractor(model)


def whole_image(preprocessing: dict[str, Any]) -> dict[str, Any]:
    """Return a preprocessing that shows the model the whole image, resized to its input without keeping proportions."""
    return preprocessing | {"crop_pct": 1.0, "crop_mode": "squash"}


class ForwardPass:
    """One pass over images for one model, or for variants of one model whose tokens it computes once."""

    def __init__(self, extractors: Sequence[Extractor], plain: torch.nn.Module | None = None) -> None:
        self.extractors, self.plain = extractors, plain
        self.module = extractors[0].module if plain is None else plain
        self.preprocessing = extractors[0].preprocessing

    def __call__(self, images: torch.Tensor) -> list[dict[str, torch.Tensor]]:
        """Return the outputs of each extractor for inputs [n, channels, height, width]."""
        if self.plain is None:
            return [self.extractors[0](images)]
        tokens = tokens_after(self.plain, {extractor.model.block for extractor in self.extractors}, images)
        return [extractor.outputs_of(tokens[extractor.model.block]) for extractor in self.extractors]


def forward_passes(extractors: Iterable[Extractor]) -> tuple[list[ForwardPass], dict[str, Exception]]:
    """Build the models with as few forward passes as possible, and return the errors of others by name."""
    groups: dict[str, list[Extractor]] = {}
    for extractor in extractors:
        groups.setdefault(extractor.plain_key, []).append(extractor)
    passes, errors = list[ForwardPass](), dict[str, Exception]()
    for own in groups.values():
        try:
            plain = load.build_plain(own[0].model) if len(own) > 1 else None
        except Exception as error:  # custom code can raise anything
            errors |= dict.fromkeys((extractor.model.name for extractor in own), error)
            continue
        if plain is None or not has_tokens(plain):
            passes += _alone(own, plain, errors)
        elif shared := [extractor for extractor in own if _share(extractor, plain, errors)]:
            passes.append(ForwardPass(shared, plain))
    return passes, errors


def _alone(
    extractors: Iterable[Extractor], plain: torch.nn.Module | None, errors: dict[str, Exception]
) -> Iterable[ForwardPass]:
    """Yield one pass per model. `plain` is the plain model, if it is built already."""
    for extractor in extractors:
        try:
            if plain is not None and _is_plain(extractor.model):
                extractor.module = plain
            yield ForwardPass([extractor])
        except Exception as error:  # custom code can raise anything
            errors[extractor.model.name] = error


def _share(extractor: Extractor, plain: torch.nn.Module, errors: dict[str, Exception]) -> bool:
    """Make an extractor use the modules of the plain model, and return whether it is such a variant."""
    model = extractor.model
    try:
        check_variant(model, plain)
    except ModelError as error:
        errors[model.name] = error
        return False
    extractor.module = plain if _is_plain(model) else Pooled(plain, model.pooling)
    return True


def _is_plain(model: ModelRef) -> bool:
    return model.block is None and model.pooling is None
