"""Vision backbones of transformers: ``transformers:USER/REPO`` of the Hugging Face Hub, or ``transformers:FOLDER``.

Of a model of images and text, the vision tower is taken, without its projection. The embedding is the pooled output of the
backbone. Without one, and where its pooling is a layer of a pre-training task, it is the class token, or the mean of all
positions. Code of a repository is never run.
"""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn

from itm.core.errors import ModelError, cause
from itm.core.keys import file_hash
from itm.zoo.downloads import hub_file, optional_hub_file
from itm.zoo.libraries.base import Arguments, Embedder, Library, Settings
from itm.zoo.libraries.images import PROCESSORS, processor_config
from itm.zoo.weight_cache import FILES, cached_file
from itm.zoo.weight_sets import Tensors

CONFIG = "config.json"
POOLING = "add_pooling_layer"
REFUSED = {
    "vit_mae": "hides random parts of each image; use vit_base_patch16_224.mae of timm",
    "siglip2": "takes patches instead of images; use a checkpoint of fixed size such as google/siglip2-base-patch16-224",
    "siglip2_vision_model": "takes patches instead of images; use a checkpoint of fixed size",
    "timm_wrapper": "is a model of timm; name it as hf-hub:USER/REPO",
}


class PooledOutput(Embedder):
    """A backbone of transformers."""

    def __init__(self, backbone: Any) -> None:
        self.has_class_token = any(name.endswith("cls_token") for name in backbone.state_dict())
        super().__init__(backbone)

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        backbone: Any = self.backbone
        size = getattr(backbone.config, "image_size", None)
        other = size is not None and [*images.shape[-2:]] != ([size, size] if isinstance(size, int) else [*size])
        options = {"interpolate_pos_encoding": True} if other and _takes(backbone.forward, "interpolate_pos_encoding") else {}
        output = backbone(pixel_values=images, **options)
        pooled: torch.Tensor | None = getattr(output, "pooler_output", None)
        if pooled is not None:
            return pooled.flatten(1)
        last: torch.Tensor = output.last_hidden_state
        if last.ndim == 4:
            return last.mean((2, 3))
        return last[:, 0] if self.has_class_token else last.mean(1)


class TransformersModels(Library):
    scheme = package = extra = "transformers"
    unused = frozenset({"pooler", "classifier", "decoder", "lm_head", "embeddings.mask_token"})

    def names(self, pattern: str) -> list[str]:
        place = self.place(pattern).rstrip("/")
        folder = Path(place).expanduser()
        if folder.is_dir():
            name = f"{self.scheme}:{folder.resolve()}"
        elif place.count("/") == 1 and not place.startswith((".", "/", "~")):
            name = f"{self.scheme}:{place}"
        else:
            raise ModelError(f"{place!r} is neither a folder nor USER/REPO of the Hugging Face Hub; check the path.")
        self._config(name)
        return [name]

    def settings(self, name: str) -> Settings:
        file, config = self._config(name)
        folder = Path(self.place(name))
        if folder.is_dir():
            processor, place = next((path for one in PROCESSORS if (path := folder / one).is_file()), None), ""
        else:
            processor, place = _hub_processor(name, self.place(name)), self.place(name)
        return Settings(processor_config(name, processor, config), place, identity={"config": file_hash(file)})

    def weight_file(self, name: str) -> Path:
        return self._file(name, FILES)

    def cached_weights(self, name: str) -> Path | None:
        return cached_file(self.place(name), None, None)

    def build(self, name: str, arguments: Arguments) -> nn.Module:
        _, config = self._config(name)
        create: Any = transformers.AutoModel.from_config
        options = {"dtype": torch.float32, **arguments}
        module: nn.Module = create(config, **options)
        if any(".pooler.dense." in f".{tensor}" for tensor in module.state_dict()):
            module = create(config, **{POOLING: False}, **options)
        return module

    def embedder(self, module: nn.Module) -> Embedder:
        return PooledOutput(module)

    def converted(self, module: Any, tensors: Tensors) -> Tensors:
        """Return tensors as transformers converts those of its older versions. Missing ones are left out."""
        options: dict[str, Any] = {"config": module.config, "output_loading_info": True, "dtype": torch.float32}
        if getattr(module, "pooler", None) is None and _takes(type(module).__init__, POOLING):
            options[POOLING] = False
        with _quiet():
            loaded, report = type(module).from_pretrained(None, state_dict=dict(tensors), **options)
        missing = set(report["missing_keys"])
        return {name: own for name, own in loaded.state_dict().items() if name not in missing}

    def _config(self, name: str) -> tuple[Path, Any]:
        """Return the configuration file of a model, and the configuration of its vision tower."""
        file = self._file(name, (CONFIG,))
        try:
            config: Any = transformers.AutoConfig.from_pretrained(file.parent, local_files_only=True, trust_remote_code=False)
        except Exception as error:  # raised for unknown types, code of the repository, and damaged files
            raise ModelError(f"{name}: {file} is no configuration that transformers knows ({cause(error)}).") from error
        config = getattr(config, "vision_config", config)
        kind = config.model_type
        if kind in REFUSED:
            raise ModelError(f"{name}: {kind} {REFUSED[kind]}.")
        if kind not in _vision_types():
            raise ModelError(f"{name}: {kind} is no vision backbone of transformers {transformers.__version__}.")
        return file, config

    def _file(self, name: str, files: tuple[str, ...]) -> Path:
        place = self.place(name)
        folder = Path(place)
        if not folder.is_dir():
            return hub_file(name, place, files)
        if found := next((path for file in files if (path := folder / file).is_file()), None):
            return found
        index = next(folder.glob("*.index.json"), None) if files == FILES else None
        why = "; its weights are in several files, load and save them as one" if index else ""
        raise ModelError(f"{name}: {folder} has no {' or '.join(files)}{why}.")


@cache
def _hub_processor(name: str, repository: str) -> Path | None:
    """Return the file of the image processor of a repository, or None if it has none. The Hub is asked once per process."""
    return optional_hub_file(name, repository, PROCESSORS)


@cache
def _vision_types() -> frozenset[str]:
    from transformers.models.auto import modeling_auto

    towers = {kind for kind in modeling_auto.MODEL_MAPPING_NAMES if kind.endswith("_vision_model")}
    return frozenset(towers | {*modeling_auto.MODEL_FOR_IMAGE_MAPPING_NAMES})


def _takes(function: Any, argument: str) -> bool:
    return argument in inspect.signature(function).parameters


@contextmanager
def _quiet() -> Iterator[None]:
    """Turn off progress bars and reports of loading: `fill` reports what is missing."""
    messages: Any = transformers.logging
    before = messages.get_verbosity()
    messages.set_verbosity_error()
    messages.disable_progress_bar()
    try:
        yield
    finally:
        messages.set_verbosity(before)
        messages.enable_progress_bar()


LIBRARY = TransformersModels()
