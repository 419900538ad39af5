"""From names and wildcards to models: the zoo file first, timm after."""

from collections.abc import Iterator
from fnmatch import fnmatchcase

from itm.core.errors import ModelError, ParamsError, did_you_mean
from itm.core.sections import ZooParams
from itm.core.types import Failure, ModelRef
from itm.zoo.zoo_file import Zoo, read_zoo_file


def resolve(zoo: ZooParams) -> tuple[list[ModelRef], list[Failure]]:
    """Return the models that `zoo` names, each once and in the order asked for, and a failure for every name that has none.

    A pattern that matches something in the zoo file is not looked up in timm. Broken entries of the zoo file fail where their
    name is asked for; those without a readable name always do.

    Raises
    ------
    ParamsError
        If the zoo file cannot be read, or if every model of timm is asked for.
    """
    known = Zoo() if zoo.file is None else read_zoo_file(zoo.file, zoo.code)
    if zoo.file is None and any(_is_everything(pattern) for pattern in zoo.models):
        raise ParamsError(
            "zoo.models is '*' and there is no zoo file, which would mean every model of timm, more than 1,500. Name some, for "
            "instance zoo.models: [resnet50, 'vit_small_patch16_*'] (`itm models PATTERN` lists them), or give zoo.file."
        )
    models: dict[str, ModelRef] = {}
    failures = {place: _failure(place, reason) for place, reason in known.nameless.items()}
    for pattern in zoo.models:
        for found in _find(pattern, known):
            if isinstance(found, ModelRef):
                models.setdefault(found.name, found)
            else:
                failures.setdefault(found.model, found)
    return list(models.values()), list(failures.values())


def matches(pattern: str, names: list[str]) -> list[str]:
    """Return `pattern` itself where it is one of `names`, otherwise those of `names` that it matches as a wildcard."""
    return [pattern] if pattern in names else [name for name in names if fnmatchcase(name, pattern)]


def timm_model(name: str) -> ModelRef:
    """Return timm's pre-trained model of that ``architecture.tag``."""
    return ModelRef(name=name, architecture=name, pretrained=True)


def _find(pattern: str, known: Zoo) -> Iterator[ModelRef | Failure]:
    own = [*known.models, *known.broken]
    names = matches(pattern, own)
    for name in names:
        yield known.models[name] if name in known.models else _failure(name, known.broken[name])
    if names:
        return
    if _is_everything(pattern):
        if not known.nameless:
            yield _failure(pattern, "the zoo file names no models, and every model of timm is never meant; name some.")
        return
    # timm takes seconds to import, and whoever uses a zoo file alone can do without
    from itm.zoo.timm_names import timm_names

    try:
        yield from map(timm_model, timm_names(pattern))
    except ModelError as error:
        reason = f"not in the zoo file{did_you_mean(pattern, own)} In timm: {error}" if own else str(error)
        yield _failure(pattern, reason)


def _failure(name: str, reason: str) -> Failure:
    return Failure(data="", model=name, step="zoo", reason=reason)


def _is_everything(pattern: str) -> bool:
    return "*" in pattern and not set(pattern) - set("*?.")
