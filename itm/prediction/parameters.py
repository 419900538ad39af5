"""The fitted parameters of the predictions, and the file that they are committed in."""

import logging
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from itm.core.errors import StoreError, cause

log = logging.getLogger(__name__)

COMMITTED = Path(__file__).with_name("parameters.json")
FITTED = "full"  # the protocol whose parameters stand in for those of a protocol that was not measured


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PriorParameters(_Record):
    """The angle of the final accuracy as a linear function of standardised features.

    A feature is standardised by `centres` and `scales`. `set_variance` is what the models of a data set have in common,
    `model_variance` what a model has in common on all data sets, and `rest_variance` what is left. `records` has, by the hash
    of its weights, the mean and the variance of what a measured model has in common.
    """

    features: tuple[str, ...]
    centres: tuple[float, ...]
    scales: tuple[float, ...]
    intercept: float
    slopes: tuple[float, ...]
    set_variance: float
    model_variance: float
    rest_variance: float
    records: Mapping[str, tuple[float, float]] = {}


class CurveParameters(_Record):
    """What a validation result says of the final accuracy, for each learning rate (rows) and share of the steps (columns).

    A result is `offsets` + `follows` x prior mean + `shows` x (final - prior mean) + noise of deviation `noise`, all as
    angles. `alike` has the correlation of the noise of two cells, numbered row by row. It is lower by the factor
    `shared_by_seeds` between two seeds, and by `shared_by_models` between two models of a data set.
    """

    rates: tuple[float, ...]
    shares: tuple[float, ...]
    offsets: tuple[tuple[float, ...], ...]
    follows: tuple[tuple[float, ...], ...]
    shows: tuple[tuple[float, ...], ...]
    noise: tuple[tuple[float, ...], ...]
    alike: tuple[tuple[float, ...], ...]
    shared_by_seeds: float
    shared_by_models: float


class ProtocolParameters(_Record):
    """All parameters of one protocol, and the number of data sets and models that they were fitted on."""

    data_sets: int
    models: int
    prior: PriorParameters
    curves: CurveParameters


class Parameters(_Record):
    """The content of parameters.json: how it was made, and the parameters by protocol."""

    command: str
    protocols: Mapping[str, ProtocolParameters]

    def of(self, protocol: str) -> ProtocolParameters:
        """Return the parameters of a protocol; those of full fine-tuning, which is logged, if it was not measured."""
        if protocol not in self.protocols:
            log.info("accuracies by %s were not measured; they are predicted as those of full fine-tuning", protocol)
        return self.protocols.get(protocol, self.protocols[FITTED])


@cache
def read_parameters(path: Path = COMMITTED) -> Parameters:
    """Read the parameters that are committed, or those of another file of this form.

    Raises
    ------
    StoreError
        If the file is missing or has another form.
    """
    try:
        return Parameters.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise StoreError(
            f"{path}: the parameters of predictions cannot be read ({cause(error)}); "
            "install the package again, or fit them by `python -m benchmarks.select_fit`."
        ) from error
