"""Names of timm's pre-trained models: always ``architecture.tag``, because an architecture can get another default tag."""

import logging
from typing import Any

from itm.core.errors import ModelError, did_you_mean
from itm.zoo.names import is_wildcard, same_names, suggestion, without_source
from itm.zoo.timm_gate import timm

log = logging.getLogger(__name__)


def timm_names(pattern: str) -> list[str]:
    """Return the names of timm's pre-trained models that match `pattern`, a name or a wildcard.

    An architecture without a tag means its default tag. A deprecated name means its new name. The source of a name, such as
    `hf-hub:timm/`, its capitals and its hyphens do not matter.

    Raises
    ------
    ModelError
        If there is no such model. The message gives the reason and similar names.
    """
    pattern = without_source(pattern)
    if is_wildcard(pattern):
        pretrained: list[str] = timm.list_models(pretrained=True)
        plain = pattern.lower().replace("-", "_")
        names: list[str] = timm.list_models(pattern, pretrained=True) or timm.list_models(plain, pretrained=True)
        if not names:
            raise ModelError(f"no pre-trained model of timm matches {pattern!r}{suggestion(pattern, pretrained)}")
        return names
    name: str = timm.models.get_deprecated_models().get(pattern) or _exact(pattern)
    if name != pattern:
        log.info("%s is called %s in timm", pattern, name)
    architecture, _, tag = name.partition(".")
    check_architecture(name)
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
        near = suggestion(name, [*timm.list_models(), *timm.list_models(pretrained=True)])
        raise ModelError(f"timm {timm.__version__} has no model {name!r}{near} `itm models PATTERN` lists the models.")


def _exact(name: str) -> str:
    """Return the name of timm that differs from `name` only in capitals, hyphens and underscores, if there is one."""
    if timm.is_model(name.partition(".")[0]):
        return name
    same = same_names(name, [*timm.list_models(), *timm.list_models(pretrained=True)])
    return same[0] if len(same) == 1 else name


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
