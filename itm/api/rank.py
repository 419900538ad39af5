"""`itm.rank`: rank pre-trained models for a data set."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from itm.api.model_ranking import ModelRanking
from itm.api.request import Names, names, read_request
from itm.core.errors import DataError
from itm.core.params import Params
from itm.core.rankings import Ranking
from itm.run.check import check_request
from itm.run.current import Inputs
from itm.run.request import first_of
from itm.store.layout import Store
from itm.store.ranking_file import read_ranking

COMMAND = "rank"  # whose record says whether the stored ranking is current


def rank(
    data: str | Path,
    *,
    zoo: str | Path | None = None,
    models: Names = None,
    variants: Names = None,
    scores: Names = None,
    by: str | None = None,
    max_images: int | None = None,
    filters: Mapping[str, Any] | None = None,
    device: str | None = None,
    precision: str | None = None,
    params: str | Path | None = None,
    store: str | Path | None = None,
) -> ModelRanking:
    """Rank pre-trained models for the images of a data set, from one forward pass of each model.

    It computes what ``itm rank DATA --runner inline`` does, with the same defaults, and shares the store with it: what one has
    computed, the other takes. A model that fails is a row with its reason and does not stop the others.

    Parameters
    ----------
    data
        A source such as ``folder:pictures``, ``csv:index.csv``, ``digits`` or ``embeddings:FOLDER``, or the path of a folder
        with one sub-folder of images per class.
    zoo
        A zoo of the package such as ``tiny``, a zoo file, or names such as ``timm:resnet*``. None: that of params.yaml, or the
        embedded models.
    models
        Names or wildcards of models.
    variants
        Variants of each model to rank as well, such as ``mean`` or ``288``.
    scores
        Names or wildcards of scores to compute. The first name decides the order, unless `by` names another.
    by
        The score that decides the order.
    max_images
        The maximum number of images, sampled evenly over classes; 0 is all.
    filters
        Limits that leave models out before any work, as in the section `filters` of params.yaml, such as
        ``{"max_params": "30M", "race": True}``.
    device
        ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ...
    precision
        ``fp32``, ``bf16`` or ``auto``.
    params
        A parameter file. None: params.yaml of the working directory, if it exists.
    store
        The folder of the store. None: that of the parameters, which is ``data`` by default.

    Raises
    ------
    ItmError
        If an argument is wrong, or the data set cannot be used. The message says what to do.

    Examples
    --------
    >>> import itm
    >>> ranking = itm.rank("digits", models="mini_*")  # doctest: +SKIP
    >>> ranking.best.model  # doctest: +SKIP
    'mini_vit_tiny_patch16_224.mae'
    """
    chosen_scores = names(scores)
    chosen, own = read_request(
        data,
        zoo,
        models,
        variants,
        params,
        store,
        {
            "data": {"max_images": max_images},
            "extract": {"device": device, "precision": precision},
            "filters": dict(filters or {}),
            "score": {"names": chosen_scores, "rank_by": by or first_of(chosen_scores or ())},
        },
    )
    ranking = _ranked(chosen, own)
    (ranked,) = ranking.data_sets
    if ranked.reason:
        raise DataError(ranked.reason)
    return ModelRanking(ranking, own)


def _ranked(params: Params, store: Store) -> Ranking:
    """Return the ranking of the store if nothing changed since it was computed, else compute it."""
    inputs = Inputs(params, store)
    if inputs.unchanged_since(COMMAND):
        return read_ranking(store)
    check_request(params)
    import torch  # slow to import, and not needed where the ranking is current

    from itm.run import pipeline

    threads = torch.get_num_threads()
    try:
        ranking = pipeline.run(params, store)
    finally:
        torch.set_num_threads(threads)  # the engine changes it, and the program of the caller goes on
    inputs.remember(COMMAND, ranking)
    return ranking
