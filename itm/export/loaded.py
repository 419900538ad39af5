"""A recommended model in this process."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from itm.core.errors import DataError
from itm.core.params import find_params
from itm.data.pixels import open_file, read_rgb
from itm.data.problems import UnusableImageError
from itm.export.choice import choose
from itm.export.module import output_module
from itm.export.predict import predict
from itm.store.layout import Store
from itm.zoo.facts import create_transform, preprocessing_without_weights


@dataclass(frozen=True)
class LoadedModel:
    """A model in evaluation mode, and how it sees images.

    `model` returns logits of the classes `labels` if it was fine-tuned, and embeddings otherwise; then `labels` is empty.
    """

    name: str
    model: torch.nn.Module
    transform: Callable[[Image.Image], torch.Tensor]
    labels: tuple[str, ...] = ()

    def predict(self, images: Any) -> np.ndarray:
        """Return class probabilities [n, classes] if the model was fine-tuned, else embeddings [n, width].

        `images` are a path, a PIL image, an array [height, width, 3] or [n, height, width, 3] of bytes, or a list of these.
        Files are read as they are when models are ranked.
        """
        return predict(self.model, self.transform, images, bool(self.labels), _open)


def load_recommended(
    data: str,
    store: Path | str | None = None,
    *,
    ranking: str | None = None,
    model: str | None = None,
    code: Iterable[Path | str] = (),
) -> LoadedModel:
    """Return the recommended model of a data set, fine-tuned if it was fine-tuned.

    `data` is the name or the source of a data set that was ranked. `store` is the folder of the store, by default that of
    params.yaml. `ranking` names a trial, and `model` another ranked model. `code` are files and folders with allowed factories,
    besides those of params.yaml.

    Raises
    ------
    ItmError
        If there is no such ranking or model, or the model cannot be loaded.
    """
    params = find_params(None)
    choice = choose(data, Store(Path(store or params.store)), ranking, model, (*params.zoo.code, *map(Path, code)))
    transform = create_transform(preprocessing_without_weights(choice.model))
    return LoadedModel(choice.row.model, output_module(choice), transform, choice.labels)


def _open(path: str) -> Image.Image:
    try:
        with open_file(path) as stream:
            return read_rgb(stream)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); check the path.") from error
    except UnusableImageError as problem:
        raise DataError(f"{path}: cannot be opened as an image ({problem}).") from problem
