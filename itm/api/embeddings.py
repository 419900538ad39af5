"""`itm.rank_embeddings`: rank embeddings of one's own, without any model."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from itm.api.model_ranking import ModelRanking
from itm.api.request import Names, names
from itm.core.errors import DataError, ParamsError
from itm.core.labels import as_whole_numbers, clean, is_missing
from itm.core.sections import ScoreParams
from itm.core.yaml_records import parse
from itm.data.embedding_files import as_float32, check_table
from itm.kinds import get_kind
from itm.ranking.arrays import describe_labels, rank_arrays
from itm.run.request import first_of
from itm.scores import expand

ALL = ("train", "val", "test")  # splits: all rows are scored


def rank_embeddings(
    embeddings: Mapping[str, Any],
    labels: Any,
    *,
    groups: Any = None,
    task: str = "classification",
    scores: Names = None,
    by: str | None = None,
    name: str = "embeddings",
    device: str = "cpu",
) -> ModelRanking:
    """Rank embeddings of the same images by several models. No model is needed, and nothing is written.

    An array that does not fit the labels is a failed row and does not stop the others. ``itm.rank("embeddings:FOLDER")`` ranks
    files of embeddings, keeps the scores, and writes a page.

    Parameters
    ----------
    embeddings
        The embeddings [images, width] of each model, by its name: an array of NumPy, a tensor, or a table of numbers.
    labels
        The labels [images] in the same order: text or whole numbers, numbers of a regression, or a list of labels per image for
        ``multilabel``. A table [images, targets] has several numbers per image, or 0 and 1 for each label.
    groups
        The group [images] of each image, such as its patient. Images of one group are never in different folds. An image whose
        group is missing (None, NaN or an empty text) is a group of its own.
    task
        ``classification``, ``multilabel`` or ``regression``.
    scores
        Names or wildcards of scores to compute. The first name decides the order, unless `by` names another.
    by
        The score that decides the order.
    name
        What the data set is called.
    device
        Where scores compute that can use an accelerator.

    Raises
    ------
    ItmError
        If an argument is wrong, or no array can be used. The message says what to do.

    Examples
    --------
    >>> import itm
    >>> random, labels = np.random.default_rng(0), np.arange(60) % 3
    >>> good, bad = (np.eye(3)[labels] + noise * random.normal(size=(60, 3)) for noise in (0.1, 9))
    >>> itm.rank_embeddings({"bad": bad, "good": good}, labels, scores="knn").best.model
    'good'
    """
    if not isinstance(embeddings, Mapping) or not embeddings:
        raise ParamsError("embeddings must be a mapping with at least one model, such as {'resnet50': array}.")
    chosen = names(scores) or ScoreParams().names
    expand(chosen)
    wanted = {"names": chosen, "rank_by": by or (first_of(chosen) if scores else "auto"), "splits": ALL}
    params = parse(wanted, ScoreParams, "rank_embeddings")
    if get_kind(task).level != "image":
        raise ParamsError(f"embeddings have no masks for {task}; rank those of patches as classification, grouped by image.")
    texts = _targets(labels, task)
    group_names = None if groups is None else [None if is_missing(name) else name for name in _column(groups, "groups")]
    if group_names is not None and len(group_names) != len(texts):
        raise DataError(f"there are {len(group_names)} groups for {len(texts)} labels; one group per label is needed.")
    data, targets = describe_labels(name, texts, task, group_names)
    arrays = {str(model): _array(str(model), values, len(texts)) for model, values in embeddings.items()}
    if all(isinstance(array, Exception) for array in arrays.values()):
        raise DataError("; ".join(map(str, arrays.values())))
    return ModelRanking(rank_arrays(arrays, data, targets, _number(group_names), params, device))


def _targets(labels: Any, task: str) -> Sequence[str]:
    """Return the text of the target of each image."""
    kind = get_kind(task)
    if 2 not in kind.axes:
        return _column(labels, "labels")
    if task == "multilabel" and _are_names(labels):
        return [json.dumps(sorted(own)) for own in labels]
    try:
        table = _as_numpy(labels)
    except (TypeError, ValueError) as error:
        raise DataError(f"labels cannot be read as an array ({error}); give one value, list or row per image.") from error
    if table.ndim != 2:
        return kind.texts({kind.target_column: list(_column(labels, "labels"))})
    names = [str(name) for name in getattr(labels, "columns", range(table.shape[1]))]
    return kind.texts({name: list(map(str, column)) for name, column in zip(names, table.T.tolist(), strict=True)})


def _are_names(labels: Any) -> bool:
    """Return whether labels are a collection of names for each image."""
    if not isinstance(labels, Sequence) or not all(isinstance(own, list | tuple | set | frozenset) for own in labels):
        return False
    return all(isinstance(name, str) for own in labels for name in own)


def _number(groups: Sequence[str | None] | None) -> np.ndarray | None:
    """Return a number per group. Each image without a group has a number of its own."""
    if groups is None or not any(groups):
        return None
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(row if name is None else name, len(numbers)) for row, name in enumerate(groups)])


def _column(values: Any, what: str) -> Sequence[str]:
    """Return one text per row."""
    try:
        array = _as_numpy(values)
    except (TypeError, ValueError) as error:
        raise DataError(f"{what} cannot be read as an array ({error}); give one value per image.") from error
    if array.ndim != 1 or not len(array):
        raise DataError(f"{what} have the shape {array.shape}; one value per image is needed.")
    return [clean(text) for text in as_whole_numbers(list(map(str, array.tolist())))]


def _array(model: str, values: Any, rows: int) -> np.ndarray | DataError:
    """Return embeddings as float32, or why they cannot be used."""
    try:
        array = _as_numpy(values)
        check_table(array, rows, model)
        return as_float32(array, np.arange(rows), model)
    except DataError as error:
        return error
    except (TypeError, ValueError) as error:
        return DataError(f"{model}: cannot be read as an array ({error}); give one row of numbers per image.")


def _as_numpy(values: Any) -> np.ndarray:
    if hasattr(values, "detach"):  # a tensor, perhaps on a GPU, with a gradient, or in bf16
        values = values.detach().cpu()
        values = values.float() if values.is_floating_point() else values
    return np.asarray(values)
