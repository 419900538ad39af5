"""Names with a source: ``hf-hub:USER/REPO`` and ``local-dir:FOLDER`` of timm, and models of other libraries."""

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from itm.core.errors import ModelError
from itm.core.types import ModelRef, Preprocessing
from itm.zoo.libraries import FOLDER_SCHEMES, find_library, scheme_of
from itm.zoo.names import HUB
from itm.zoo.units import input_size

FOLDER = "local-dir:"
CONFIG = "config.json"
HUB_SPELLINGS = (HUB, "hf_hub:", "hf://", "https://huggingface.co/", "http://huggingface.co/", "huggingface.co/")


def has_source(name: str) -> bool:
    """Return whether a name has a source. Names of timm's own repositories, such as `hf-hub:timm/resnet18`, have none."""
    return bool(scheme_of(name)) or name.lower().startswith(FOLDER) or bool(_repository(name))


def is_folder(name: str, base: Path = Path()) -> bool:
    """Return whether a name has a source that takes folders, and this folder exists. Relative paths are relative to `base`."""
    place = name.partition(":")[2].strip()
    takes_folders = name.lower().startswith(FOLDER) or scheme_of(name) in FOLDER_SCHEMES
    return takes_folders and bool(place) and (base / Path(place).expanduser()).is_dir()


def models_of_source(pattern: str) -> list[ModelRef]:
    """Return the models that a name with a source means. Only torchvision and open_clip have wildcards.

    Raises
    ------
    ModelError
        If there is no such model, or its configuration cannot be read or downloaded.
    MissingExtraError
        If the library is not installed.
    """
    if library := find_library(pattern):
        names = library.names(pattern)
        own = pattern.strip() if len(names) == 1 and is_folder(pattern) else ""  # the name shows no absolute path
        return [ModelRef(own or name, architecture=name, pretrained=True) for name in names]
    if pattern.lower().startswith(FOLDER):
        return [_of_folder(pattern)]
    return [_of_repository(_repository(pattern))]


def with_source(model: ModelRef, folder: Path) -> ModelRef:
    """Return a model of a zoo file as the source of its architecture describes it, or unchanged without a source.

    Relative paths are relative to `folder`. Values of the zoo file replace those of the source.
    """
    if model.architecture is None or not has_source(model.architecture):
        return model
    scheme, _, place = model.architecture.partition(":")
    here = f"{scheme}:{folder / Path(place.strip()).expanduser()}"
    found, *more = models_of_source(here if is_folder(model.architecture, folder) else model.architecture)
    if more:
        raise ModelError(f"architecture {model.architecture!r} is a wildcard; an entry must be one model.")
    if scheme_of(model.architecture):
        return replace(model, architecture=found.architecture)
    own, default = model.preprocessing, found.preprocessing
    values = ((getattr(own, one.name), getattr(default, one.name)) for one in fields(Preprocessing))
    return replace(
        model,
        architecture=found.architecture,
        arguments=found.arguments | model.arguments,
        checkpoint=model.checkpoint or found.checkpoint,
        repository=found.repository,
        pretrained=False,
        preprocessing=Preprocessing(*(mine if mine is not None else given for mine, given in values)),
        pretraining=model.pretraining or found.pretraining,
    )


def _repository(name: str) -> str:
    """Return USER/REPO of a name of the Hugging Face Hub that is not of timm itself, or ""."""
    start = next((start for start in HUB_SPELLINGS if name.lower().startswith(start)), "")
    place = name[len(start) :].strip().rstrip("/")
    return place if start and place.count("/") == 1 and not place.lower().startswith("timm/") else ""


def _of_repository(repository: str) -> ModelRef:
    from itm.zoo.downloads import hub_file

    name = f"{HUB}{repository}"
    return _model(name, hub_file(name, repository, (CONFIG,)), repository=repository)


def _of_folder(name: str) -> ModelRef:
    from itm.zoo.weight_cache import FILES

    folder = Path(name.partition(":")[2].strip()).expanduser()
    if not folder.is_dir():
        raise ModelError(f"{folder} is not a folder; check the path.")
    config, weights = folder / CONFIG, next((path for file in FILES if (path := folder / file).is_file()), None)
    if not config.is_file():
        raise ModelError(f"{folder} has no {CONFIG}, which timm.models.save_for_hf writes; name its weights in a zoo file.")
    if weights is None:
        raise ModelError(f"{folder} has no {' or '.join(FILES)}.")
    return _model(name.strip().rstrip("/"), config, checkpoint=weights.resolve())


def _model(name: str, config: Path, **weights: Any) -> ModelRef:
    """Return the model of a configuration as timm writes it."""
    try:
        values = json.loads(config.read_text(encoding="utf-8"))
        images = values.get("pretrained_cfg", values)
        architecture = values["architecture"]
        classes = values.get("num_classes", images.get("num_classes"))
        arguments = dict(values.get("model_args") or {}) | ({} if classes is None else {"num_classes": classes})
        size = images.get("input_size")
        mean, std = (tuple(value) if (value := images.get(word)) else None for word in ("mean", "std"))
        side: Any = input_size(size[1:]) if size else None
        rest = (images.get(word) for word in ("crop_pct", "interpolation", "crop_mode"))
        preprocessing = Preprocessing(side, mean, std, *rest)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{name}: {config} is no configuration of timm ({type(error).__name__}: {error}); a model of transformers is named "
            "transformers:PLACE, and one of open_clip open_clip:PLACE."
        ) from error
    pretraining = str(images.get("tag") or "").replace("_", " ")
    return ModelRef(
        name, architecture=architecture, arguments=arguments, preprocessing=preprocessing, pretraining=pretraining, **weights
    )
