"""The stage that replaces extraction for embeddings that a user has computed."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from itm.core.errors import ItmError
from itm.core.params import Params
from itm.core.types import Outcome
from itm.features.extract import cached_features
from itm.features.own_embeddings import import_embeddings, own_identity
from itm.run.stages import ExtractStage, Job, PairKey
from itm.store.layout import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImportStage(ExtractStage):
    """Checks the embeddings of one model on one data set, and stores them as a feature file."""

    on_device: ClassVar[bool] = False

    def for_run(self, jobs: Sequence[Job], params: Params, store: Store) -> "ImportStage":  # noqa: ARG002
        return self

    def batches(self, jobs: Sequence[Job]) -> Sequence[Sequence[Job]]:
        return [[job] for job in jobs]

    def compute(self, jobs: Sequence[Job], params: Params, store: Store) -> list[Outcome]:
        own = params.score.splits, params.extract.resume, store
        return [replace(job.outcome, features=import_embeddings(job.model.name, job.data, *own)) for job in jobs]

    def find_cached(self, jobs: Sequence[Job], params: Params, store: Store) -> dict[PairKey, Outcome]:
        found: dict[PairKey, Outcome] = {}
        for job in jobs:
            try:
                identity = own_identity(job.model.name, job.data, params.score.splits)
            except ItmError as error:  # `compute` raises it again
                log.debug("%s on %s cannot be looked up: %s", *job.key, error)
                continue
            if features := cached_features(identity, job.data, params.extract.resume, store):
                found[job.key] = replace(job.outcome, features=features)
        return found

    def log_result(self, outcome: Outcome) -> None:
        if outcome.features and not outcome.features.cached:
            log.info("%s on %s: read %d embeddings", outcome.model, outcome.data, outcome.features.rows)
