"""Names of timm's pre-trained models: always ``architecture.tag``, because an architecture can get another default tag."""

import logging
from typing import Any

from itm.core.errors import ModelError, did_you_mean
from itm.zoo.timm_gate import timm

log = logging.getLogger(__name__)


def is_wildcard(pattern: str) -> bool:
    return any(character in pattern for character in "*?[")


def timm_names(pattern: str) -> list[str]:
    """Return the names of timm's pre-trained models that match `pattern`, a name or a wildcard.

    An architecture without a tag means its default tag. A deprecated name means its new name.

    Raises
    ------
    ModelError
        If there is no such model. The message gives the reason and similar names.
    """
    if is_wildcard(pattern):
        names: list[str] = timm.list_models(pattern, pretrained=True)
        if not names:
            raise ModelError(f"no pre-trained model of timm matches {pattern!r}.")
        return names
    name: str = timm.models.get_deprecated_models().get(pattern) or pattern
    if name != pattern:
        log.info("timm has renamed %s to %s", pattern, name)
    architecture, _, tag = name.partition(".")
    check_architecture(architecture)
    tagged: list[str] = timm.list_models(f"{architecture}.*", pretrained=True)
    if name in tagged:
        return [name]
    if tag:
        tags = ", ".join(known.partition(".")[2] for known in tagged) or "none"
        raise ModelError(f"timm has no weights {tag!r} for {architecture}{did_you_mean(name, tagged)} Tags it has: {tags}.")
    default = timm.models.get_pretrained_cfg(architecture)
    if default is None or not default.has_weights:
        raise ModelError(f"timm has no pre-trained weights for {architecture}; give your own as `checkpoint` in a zoo file.")
    return [f"{architecture}.{default.tag}" if default.tag else architecture]


def check_architecture(name: str) -> None:
    """Raise a `ModelError` if timm does not have the architecture of `name`. A tag is ignored."""
    architecture = name.partition(".")[0]
    if not timm.is_model(architecture):
        near = did_you_mean(name, [*timm.list_models(), *timm.list_models(pretrained=True)])
        raise ModelError(f"timm {timm.__version__} has no model {name!r}{near} `itm models PATTERN` lists the models.")


def timm_config(name: str) -> dict[str, Any]:
    """Return timm's configuration of ``architecture`` or ``architecture.tag``; empty if there is none.

    A `ModelError` is raised if the architecture does not have the tag.
    """
    models: Any = timm.models  # its type hints are incomplete
    name = models.get_deprecated_models().get(name) or name
    try:
        config = models.get_pretrained_cfg(name)
    except RuntimeError as error:
        tagged = timm.list_models(f"{name.partition('.')[0]}.*", pretrained=True)
        raise ModelError(f"timm has no {name!r}{did_you_mean(name, tagged)}") from error
    return {} if config is None else dict(config.to_dict())
