"""What differs between tasks: how targets are read, split, predicted and measured."""

from itm.core.errors import ParamsError, did_you_mean
from itm.kinds.base import TaskKind
from itm.kinds.classification import Classification
from itm.kinds.metrics import Metric
from itm.kinds.multilabel import MultiLabel
from itm.kinds.regression import Regression
from itm.kinds.segmentation import Segmentation

KINDS: dict[str, TaskKind] = {kind.name: kind for kind in (Classification(), MultiLabel(), Regression(), Segmentation())}
METRICS: dict[str, Metric] = {metric.name: metric for kind in KINDS.values() for metric in kind.metrics}


def get_kind(name: str) -> TaskKind:
    """Return the kind of this name.

    Raises
    ------
    ParamsError
        If there is none; the message names the nearest.
    """
    if name not in KINDS:
        raise ParamsError(f"there is no task {name!r}{did_you_mean(name, KINDS)} Known: {', '.join(KINDS)}.")
    return KINDS[name]


__all__ = ["KINDS", "METRICS", "Metric", "TaskKind", "get_kind"]
