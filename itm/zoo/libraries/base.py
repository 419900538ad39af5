"""What a library of models provides, and the interface of timm around one of its models."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from itm.core.extras import require
from itm.zoo.weight_sets import Tensors

Arguments = Mapping[str, Any]


@dataclass(frozen=True)
class Settings:
    """What a library says of a model besides its weights.

    `preprocessing` is in the words of timm's configurations. `identity` is what decides the embeddings besides weights, version
    and arguments, such as the hash of a configuration file; `place` has no local path.
    """

    preprocessing: dict[str, Any]
    place: str
    pretraining: str = ""
    identity: dict[str, Any] = field(default_factory=dict)


class Embedder(nn.Module):
    """A model of another library with the interface of timm.

    `forward_features` returns the embeddings, and `forward_head` returns them unchanged or classifies them.
    """

    def __init__(self, backbone: nn.Module, classifier: nn.Linear | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.classifier: nn.Module = classifier or nn.Identity()
        self.num_classes = classifier.out_features if classifier else 0

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Return the embeddings [n, width] of inputs [n, 3, height, width]."""
        embedding: torch.Tensor = self.backbone(images)
        return embedding.flatten(1)

    def forward_features(self, images: torch.Tensor) -> torch.Tensor:
        return self.embed(images)

    def forward_head(self, embedding: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        """Return the embeddings, or the outputs of the classifier."""
        return embedding if pre_logits else self.classifier(embedding)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.forward_head(self.forward_features(images))


class Library(ABC):
    """A source of models. `name` is always a whole name such as ``torchvision:resnet50.IMAGENET1K_V2``."""

    scheme: ClassVar[str]
    package: ClassVar[str]
    extra: ClassVar[str] = ""  # of pyproject.toml; "" where the package is a dependency
    unused: ClassVar[frozenset[str]] = frozenset()  # modules and tensors that a file may have in addition

    def check_installed(self) -> None:
        """Raise a `MissingExtraError` if the library is not installed."""
        if self.extra:
            require(self.extra, f"a model named {self.scheme}:...")

    def place(self, name: str) -> str:
        """Return a name without its scheme."""
        return name.partition(":")[2].strip()

    def identity(self, name: str) -> dict[str, Any]:
        """Return what decides the embeddings of a model besides its weights and arguments, without local paths."""
        settings = self.settings(name)
        return {"name": f"{self.scheme}:{settings.place}", self.package: version(self.package), **settings.identity}

    @abstractmethod
    def names(self, pattern: str) -> list[str]:
        """Return the whole names of the models that a name or wildcard means, or raise a `ModelError`."""

    @abstractmethod
    def settings(self, name: str) -> Settings:
        """Return what the library says of a model, or raise a `ModelError`."""

    @abstractmethod
    def weight_file(self, name: str) -> Path:
        """Return the local file of its own weights, which is downloaded if missing, or raise a `ModelError`."""

    @abstractmethod
    def cached_weights(self, name: str) -> Path | None:
        """Return the cached file of its own weights, or None if it must be downloaded. The name is no folder."""

    @abstractmethod
    def build(self, name: str, arguments: Arguments) -> nn.Module:
        """Return the model as its weight files name its tensors, with random weights."""

    @abstractmethod
    def embedder(self, module: nn.Module) -> Embedder:
        """Return the interface of timm around a model from `build`, which it may change."""

    def converted(self, module: nn.Module, tensors: Tensors) -> Tensors:  # noqa: ARG002
        """Return tensors of an older file under the names of this version of the library."""
        return tensors
