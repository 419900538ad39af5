"""The models that can be ranked, with their facts."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from itm.core.errors import ModelError
from itm.core.types import Facts, Failure, ModelRef
from itm.core.variants import Variant, split_variant
from itm.zoo.construct import build_on_meta
from itm.zoo.facts import facts, preprocessing
from itm.zoo.names import check_is_name
from itm.zoo.resolve import matches, timm_model, zoo_failure
from itm.zoo.timm_names import timm_names
from itm.zoo.zoo_file import Zoo, read_zoo_file


def list_models(pattern: str, zoo_file: Path | None, code: Iterable[Path] = ()) -> Iterator[tuple[str, Facts | Failure]]:
    """Yield name and facts of each model of the zoo file and of timm that matches `pattern`. No weights are read.

    The pattern may end in a variant, of which the facts are then.

    Factories are executed, so a factory outside the paths `code` is a failure.

    Raises
    ------
    ModelError
        If no model matches.
    """
    pattern, text = split_variant(pattern)
    variant = Variant.parse(text) if text else None
    known = Zoo() if zoo_file is None else read_zoo_file(zoo_file, code)
    invalid = known.unnamed | known.invalid
    names = [name for name in (*known.models, *invalid) if not (variant and split_variant(name)[1])]
    own = matches(pattern, names)
    for name in own:
        yield _described(name, zoo_failure(name, invalid[name]) if name in invalid else known.models[name], variant)
    try:
        if not own:
            check_is_name(pattern)
        others = timm_names(pattern)
    except ModelError:
        if not own:
            raise
        return
    for name in others:
        if name not in own:
            yield _described(name, timm_model(name), variant)


def _described(name: str, model: ModelRef | Failure, variant: Variant | None) -> tuple[str, Facts | Failure]:
    """Return the name and the facts of a model, or of its variant."""
    if isinstance(model, Failure):
        return name, model
    candidate = variant.of(model) if variant else model
    try:
        module = build_on_meta(candidate)
        return candidate.name, facts(candidate, module, preprocessing(candidate, module))
    except ModelError as error:
        return candidate.name, zoo_failure(candidate.name, str(error))
