"""The models that can be ranked, with their facts."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from itm.core.errors import ModelError
from itm.core.types import Facts, Failure, ModelRef
from itm.zoo.construct import build_on_meta
from itm.zoo.facts import facts, preprocessing
from itm.zoo.names import check_is_name
from itm.zoo.resolve import matches, timm_model, zoo_failure
from itm.zoo.timm_names import timm_names
from itm.zoo.zoo_file import Zoo, read_zoo_file


def list_models(pattern: str, zoo_file: Path | None, code: Iterable[Path] = ()) -> Iterator[tuple[str, Facts | Failure]]:
    """Yield name and facts of each model of the zoo file and of timm that matches `pattern`. No weights are read.

    Factories are executed, so a factory outside the paths `code` is a failure.

    Raises
    ------
    ModelError
        If no model matches.
    """
    known = Zoo() if zoo_file is None else read_zoo_file(zoo_file, code)
    invalid = known.unnamed | known.invalid
    own = matches(pattern, [*known.models, *invalid])
    for name in own:
        yield name, zoo_failure(name, invalid[name]) if name in invalid else _facts_or_failure(known.models[name])
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
            yield name, _facts_or_failure(timm_model(name))


def _facts_or_failure(model: ModelRef) -> Facts | Failure:
    try:
        module = build_on_meta(model)
        return facts(model, module, preprocessing(model, module))
    except ModelError as error:
        return zoo_failure(model.name, str(error))
