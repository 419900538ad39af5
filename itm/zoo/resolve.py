"""Resolve names and wildcards to models of the zoo file, of the embedded zoo and of timm."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from itm.core.errors import ItmError, ModelError
from itm.core.sections import ZooParams
from itm.core.types import Failure, ModelRef
from itm.core.variants import SEPARATOR, Variant, split_variant
from itm.zoo.names import check_is_name, is_wildcard, suggestion
from itm.zoo.packaged import embedded_zoo_file
from itm.zoo.sources import has_source, models_of_source
from itm.zoo.zoo_file import Zoo, read_zoo_file


def resolve(zoo: ZooParams) -> tuple[list[ModelRef], list[Failure]]:
    """Return the candidates that `zoo` names, without duplicates and in order, and a failure per name without a model.

    A pattern is matched in the zoo file, then in the embedded zoo, then in timm, until something matches. An invalid entry of
    the zoo file is a failure if its name matches a pattern. An invalid entry without a readable name is always a failure.
    Each model is followed by those of `zoo.variants` that it has.
    """
    embedded = read_zoo_file(embedded_zoo_file())
    known = read_zoo_file(zoo.file, zoo.code) if zoo.file else embedded
    models: dict[str, ModelRef] = {}
    failures = {place: zoo_failure(place, reason) for place, reason in known.unnamed.items()}
    for pattern in zoo.models:
        for result in _find_candidates(pattern, known, embedded):
            if isinstance(result, ModelRef):
                models.setdefault(result.name, result)
            else:
                failures.setdefault(result.model, result)
    if zoo.variants:
        models = _with_variants(models, [Variant.parse(text) for text in zoo.variants])
    return list(models.values()), list(failures.values())


def is_any_known(zoo: ZooParams) -> bool:
    """Return whether a name or wildcard matches the zoo file or the embedded zoo. timm is not asked."""
    files = [read_zoo_file(zoo.file, zoo.code)] if zoo.file else []
    known = [name for file in (*files, read_zoo_file(embedded_zoo_file())) for name in (*file.models, *file.invalid)]
    return any(matches(pattern, known) or matches(split_variant(pattern)[0], known) for pattern in zoo.models)


def matches(pattern: str, names: list[str]) -> list[str]:
    """Return `[pattern]` if it is one of `names`, else the names that match it as a wildcard."""
    return [pattern] if pattern in names else [name for name in names if fnmatchcase(name, pattern)]


def timm_model(name: str) -> ModelRef:
    """Return timm's pre-trained model ``architecture.tag``."""
    return ModelRef(name=name, architecture=name, pretrained=True)


def zoo_failure(name: str, reason: str) -> Failure:
    return Failure(data="", model=name, step="zoo", reason=reason)


def _with_variants(models: dict[str, ModelRef], variants: Sequence[Variant]) -> dict[str, ModelRef]:
    """Return each model, followed by those variants that it has."""
    from itm.zoo.existing_variants import existing_variants  # takes seconds to import, and few zoos need it

    found = existing_variants(models.values(), variants)
    return {one.name: one for model in models.values() for one in (model, *found[model.name])}


def _find_candidates(pattern: str, known: Zoo, embedded: Zoo) -> Iterator[ModelRef | Failure]:
    """Yield what a pattern names. It may end in `@VARIANT`: then a wildcard finds only models that have the variant."""
    name, text = split_variant(pattern)
    if name == pattern or pattern in known.models or pattern in known.invalid:
        yield from _find(pattern, known, embedded)
        return
    if not name:
        yield zoo_failure(pattern, f"there is no model before {SEPARATOR!r}; write MODEL{pattern}.")
        return
    try:
        variant = Variant.parse(text)
    except ModelError as error:
        yield zoo_failure(pattern, str(error))
        return
    found = list(_find(name, known, embedded))
    yield from (replace(result, model=f"{result.model}{SEPARATOR}{text}") for result in found if isinstance(result, Failure))
    models = {result.name: result for result in found if isinstance(result, ModelRef) and not split_variant(result.name)[1]}
    if is_wildcard(name):
        variants = _with_variants(models, [variant])
        yield from (one for one in variants.values() if one.name not in models)
    else:
        yield from map(variant.of, models.values())


def _find(pattern: str, known: Zoo, embedded: Zoo) -> Iterator[ModelRef | Failure]:
    own = [*known.models, *known.invalid]
    names = matches(pattern, own)
    for name in names:
        yield known.models[name] if name in known.models else zoo_failure(name, known.invalid[name])
    if names:
        return
    if has_source(pattern):
        try:
            yield from models_of_source(pattern)
        except ItmError as error:
            yield zoo_failure(pattern, str(error))
        return
    if "*" in pattern and not set(pattern) - set("*?."):  # such as "*" or "*.*", which matches all names
        if not known.unnamed:
            yield zoo_failure(pattern, "the zoo file has no models; name models of timm explicitly.")
        return
    if names := matches(pattern, [*embedded.models]):
        yield from (embedded.models[name] for name in names)
        return
    try:
        check_is_name(pattern)
    except ModelError as error:
        yield zoo_failure(pattern, str(error))
        return
    try:
        # timm takes seconds to import and is not needed for a zoo file
        from itm.zoo.timm_names import timm_names

        yield from map(timm_model, timm_names(pattern))
    except ModelError as error:
        reason = f"not in the zoo{suggestion(pattern, [*own, *embedded.models])} In timm: {error}" if own else str(error)
        yield zoo_failure(pattern, reason)
