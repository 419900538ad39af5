"""What a candidate must not exceed: parameters, GMACs and licence, before any work, and measured latency and memory."""

from dataclasses import dataclass, field, replace

from pydantic import ByteSize, TypeAdapter, ValidationError

from itm.core.errors import ModelError, ParamsError
from itm.core.params import Params, with_overrides
from itm.core.rankings import DataRanking, RankedModel
from itm.core.selections import ExcludedModel
from itm.core.text import compact, pluralize
from itm.core.types import Failure
from itm.zoo.listing import Description, list_models
from itm.zoo.packaged import embedded_zoo_file
from itm.zoo.resolve import resolve
from itm.zoo.selection import Filters, parse_filters

MILLISECONDS = {"ms": 1.0, "s": 1000.0, "": 1.0}


@dataclass(frozen=True)
class Requirements:
    """Bounds of candidates. A model of which a bounded property is unknown is left out.

    `filters` bound what is known without weights. `max_latency_ms` is that of one image, and `max_memory` that of a step of
    full fine-tuning in bytes; both are measured on this machine.
    """

    filters: Filters = field(default_factory=Filters)
    max_latency_ms: float | None = None
    max_memory: int | None = None


def read_requirements(
    max_params: str | None = None,
    max_gmacs: float | None = None,
    max_latency: str | None = None,
    max_memory: str | None = None,
    licence: str | None = None,
) -> Requirements:
    """Return the requirements of the command line.

    Raises
    ------
    ParamsError
        If a value is wrong.
    """
    filters = parse_filters(max_params, max_gmacs, licence, None)
    return Requirements(
        filters, _milliseconds(max_latency) if max_latency else None, _bytes(max_memory) if max_memory else None
    )


def narrow(params: Params, requirements: Requirements) -> tuple[Params, tuple[ExcludedModel, ...]]:
    """Return parameters without the models that do not pass the filters, and these models with reasons. No weights are read.

    Raises
    ------
    ModelError
        If no model passes.
    """
    if requirements.filters == Filters():
        return params, ()
    zoo = params.zoo
    models, failures = resolve(zoo)
    kept, excluded = [failure.model for failure in failures], list[ExcludedModel]()
    for model in models:
        found = next(iter(list_models(model.name, zoo.file or embedded_zoo_file(), zoo.code)))
        if isinstance(found, Failure) or requirements.filters.passes(found):
            kept.append(model.name)
        else:
            excluded.append(ExcludedModel(model.name, _why(found, requirements.filters)))
    if len(kept) == len(failures):
        raise ModelError(f"{pluralize(len(excluded), 'model')} found, but none passes the filters; relax one of them.")
    return with_overrides(params, zoo={"models": tuple(kept), "variants": ()}), tuple(excluded)


def without_excess(ranking: DataRanking, requirements: Requirements) -> tuple[DataRanking, tuple[ExcludedModel, ...]]:
    """Return a ranking without the models that exceed what is measured, and these models with reasons.

    Raises
    ------
    ModelError
        If no ranked model is left.
    """
    reasons = {row.model: _exceeds(row, requirements) for row in ranking.rows if row.rank is not None}
    excluded = tuple(ExcludedModel(model, reason) for model, reason in reasons.items() if reason)
    if excluded and len(excluded) == len(reasons):
        raise ModelError(f"no model meets the requirements: {excluded[0].model}: {excluded[0].reason}; relax them.")
    return replace(ranking, rows=tuple(row for row in ranking.rows if not reasons.get(row.model))), excluded


def _exceeds(row: RankedModel, requirements: Requirements) -> str:
    """Return why a ranked model is no candidate, or nothing."""
    speed = row.speed
    if (most := requirements.max_latency_ms) is not None and (speed is None or speed.latency_ms > most):
        own_latency = f"{compact(speed.latency_ms)} ms" if speed else "not known"
        return f"its latency is {own_latency}, and at most {most:g} ms are allowed"
    if (memory := requirements.max_memory) is not None:
        own = speed.finetune_memory if speed else None
        if own is None or own > memory:
            needs = "an unknown amount of" if own is None else f"{compact(own / 1e9)} GB of"
            return f"fine-tuning needs {needs} memory, and at most {compact(memory / 1e9)} GB are allowed"
    return ""


def _why(model: Description, filters: Filters) -> str:
    """Return which filter a model does not pass."""
    facts = model.facts
    if filters.max_params is not None and facts.parameters > filters.max_params:
        most = compact(filters.max_params / 1e6)
        return f"it has {compact(facts.parameters / 1e6)} million parameters, and at most {most} are allowed"
    if filters.max_gmacs is not None and (facts.gmacs is None or facts.gmacs > filters.max_gmacs):
        return f"it has {compact(facts.gmacs)} GMACs, and at most {filters.max_gmacs:g} are allowed"
    return f"its licence is {model.licence or 'unknown'}"


def _milliseconds(text: str) -> float:
    plain = text.strip().lower()
    unit = "ms" if plain.endswith("ms") else "s" if plain.endswith("s") else ""
    try:
        found = float(plain.removesuffix(unit)) * MILLISECONDS[unit]
    except ValueError:
        found = 0.0
    if not found > 0:
        raise ParamsError(f"--max-latency is {text!r}, which is no time of an image; give one such as 5ms.")
    return found


def _bytes(text: str) -> int:
    try:
        return int(TypeAdapter(ByteSize).validate_python(text))
    except ValidationError:
        raise ParamsError(f"--max-memory is {text!r}, which is no size; give one such as 8GB.") from None
