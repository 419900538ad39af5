"""Fill a module with the weights of a file, whatever wrapper, prefix or version of timm wrote them."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from itm.core.errors import ModelError
from itm.zoo.state import SHOWN, Misfit, erase, load_state, misfit_error, required, unfilled
from itm.zoo.weight_file import read_weight_file
from itm.zoo.weight_sets import Tensors, WeightSet, WeightSets

log = logging.getLogger(__name__)
Convert = Callable[[Tensors], Tensors]


@dataclass
class Rules:
    """What fits a model.

    `convert` is tried for weights that do not fit as they are, or for all if `always_convert`. `unused` are modules and
    tensors that the file may have in addition. `defaults` are values of tensors that the file need not have.
    """

    convert: Convert | None = None
    always_convert: bool = False
    unused: frozenset[str] = frozenset()
    defaults: Tensors = field(default_factory=dict)


def fill(name: str, module: torch.nn.Module, path: Path, chosen: str | None, rules: Rules) -> None:
    """Load the weights of the file `path` into `module`. The log says which were taken if the file offers a choice.

    Raises
    ------
    ModelError
        If the file cannot be read, or does not have all weights of the module.
    """
    content = read_weight_file(path)
    sets = _weight_sets(content, path, chosen, rules)
    fitting, whole = sets.fitting(required(module)), sets.whole()
    misfits: list[Misfit] = []
    refusal = ""
    for own, convert in _attempts(fitting, whole, rules):
        try:
            tensors = convert(own.tensors) if convert else own.tensors
        except Exception as error:  # the conversions of timm expect their own files, and raise anything for others
            log.debug("%s: %s cannot be converted: %s", path, own.key, error)
            continue
        try:
            misfit = load_state(module, rules.defaults | tensors if rules.defaults else tensors, rules.unused)
        except Exception as error:  # modules can check their weights in their own way
            refusal = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            continue
        if not misfit:
            _log_taken(name, path, own, chosen, fitting if own in fitting else whole)
            if convert and not rules.always_convert:
                log.info("%s: weights of %s are converted to the names and sizes of this version of its library", name, path)
            return
        misfits.append(misfit)
    load_arrays: Any = getattr(module, "load_pretrained", None)
    if callable(load_arrays) and any("/" in key for own in whole for key in own.tensors):
        misfits = [_jax_misfit(module, load_arrays, path)]
        if not misfits[0]:
            return
    if refusal and not misfits:
        raise ModelError(f"{path}: the model refuses these weights ({refusal}); check `architecture` or `factory`.")
    misfits = misfits or [Misfit(whole[0].tensors, [*required(module)], [*whole[0].tensors])]
    raise misfit_error(module, min(misfits, key=len), path)


def _weight_sets(content: Any, path: Path, chosen: str | None, rules: Rules) -> WeightSets:
    sets = WeightSets(content, chosen, averages_first=rules.always_convert)
    if sets.found:
        return sets
    if chosen is not None and (known := WeightSets(content).found):
        keys = ", ".join(repr(key) for key in known if key) or "none, its weights are not under a key"
        raise ModelError(f"{path}: has no weights under weights_key {chosen!r}; it has: {keys}.")
    kind = f"the keys {', '.join([*map(str, content)][:SHOWN])}" if isinstance(content, dict) else f"a {type(content).__name__}"
    raise ModelError(
        f"{path}: contains {kind} instead of named weights. It must be a state dict, possibly under a key such as "
        "'state_dict' or 'model'."
    )


def _attempts(fitting: list[WeightSet], whole: list[WeightSet], rules: Rules) -> Iterable[tuple[WeightSet, Convert | None]]:
    if not rules.always_convert:
        yield from ((own, None) for own in (*fitting, *whole))
    if rules.convert:
        yield from ((own, rules.convert) for own in (*fitting, *whole))


def _log_taken(name: str, path: Path, own: WeightSet, chosen: str | None, candidates: list[WeightSet]) -> None:
    keys = dict.fromkeys(other.key for other in candidates if other.tensors.keys() == own.tensors.keys())
    if len(keys) > 1 and chosen is None:
        others = ", ".join(repr(key) for key in keys if key != own.key)
        log.warning(
            "%s: %s has several sets of weights; %r is taken, not %s; `weights_key` in the zoo file chooses another",
            *(name, path, own.key, others),
        )
    elif own.others:
        log.info("%s: weights under %r of %s are taken; not used: %s", name, own.key, path, ", ".join(own.others[:SHOWN]))


def _jax_misfit(module: torch.nn.Module, load_arrays: Callable[[str], None], path: Path) -> Misfit:
    """Load arrays with the names of JAX, as timm does for some architectures."""
    erase(module)
    try:
        load_arrays(str(path))
    except Exception as error:  # names and shapes of another model
        raise ModelError(
            f"{path}: the arrays do not fit the model ({type(error).__name__}: {str(error)[:200]}); check `architecture`."
        ) from error
    return Misfit({}, missing=unfilled(module))
