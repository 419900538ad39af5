"""The stages that a pair of a model and a data set can go through, and what the engine needs to know of each.

A stage runs in other processes and on other machines, so it is a small object of a module-level class, which can be pickled.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from itm.core.errors import ItmError, StoreError, is_expected
from itm.core.params import Params
from itm.core.secrets import error_message
from itm.core.types import DataRef, Failure, Features, ModelRef, Outcome
from itm.features.devices import device
from itm.features.extract import cached_features, extract_together, log_extracted
from itm.features.extractors import Extractor, extractor_for
from itm.features.shared_passes import SharedPasses, shared_passes
from itm.ranking.scoring import all_stored, identities, score_together
from itm.store.feature_file import check_pages
from itm.store.files import exists
from itm.store.layout import Store
from itm.store.mirror import publish

log = logging.getLogger(__name__)

Pair = tuple[ModelRef, DataRef]
PairKey = tuple[str, str]


@dataclass(frozen=True)
class Job:
    """One pair on its way through the stages; `outcome` holds the results of the stages before."""

    model: ModelRef
    data: DataRef
    outcome: Outcome

    @property
    def key(self) -> PairKey:
        return pair_key(self.model, self.data)


def pair_key(model: ModelRef, data: DataRef) -> PairKey:
    """Return the names of model and data set."""
    return model.name, data.name


class Stage(ABC):
    """One step of the work on a pair."""

    name: ClassVar[str]
    on_device: ClassVar[bool] = False  # whether a job needs a GPU where workers declare some
    together: int = 1  # number of pairs of one data set that are computed together

    def batches(self, jobs: Sequence[Job]) -> Iterable[Sequence[Job]]:
        """Return which jobs of one data set are computed together."""
        return (jobs[start : start + self.together] for start in range(0, len(jobs), self.together))

    @abstractmethod
    def compute(self, jobs: Sequence[Job], params: Params, store: Store) -> list[Outcome]:
        """Return the outcome of each job, extended by the results of this stage or by a failure."""

    @abstractmethod
    def find_cached(self, jobs: Sequence[Job], params: Params, store: Store) -> dict[PairKey, Outcome]:
        """Return the outcomes of those jobs whose results are stored."""

    def for_run(self, jobs: Sequence[Job], params: Params, store: Store) -> "Stage":  # noqa: ARG002
        """Return this stage with what it needs to know of all `jobs` of a run."""
        return self

    def has_result(self, outcome: Outcome) -> bool:  # noqa: ARG002
        """Return whether a pair can go to the next stage. Otherwise its last failure ends it."""
        return True

    def is_usable(self, outcome: Outcome, store: Store) -> bool:  # noqa: ARG002
        """Check a cached outcome that the next stage will read, and make it available to workers elsewhere."""
        return True

    def log_result(self, outcome: Outcome) -> None:  # noqa: B027
        """Log what was computed for a pair."""


@dataclass(frozen=True)
class ExtractStage(Stage):
    """Computes the embeddings of models on a data set."""

    name: ClassVar[str] = "extract"
    on_device: ClassVar[bool] = True
    shared: SharedPasses = field(default_factory=SharedPasses)

    def for_run(self, jobs: Sequence[Job], params: Params, store: Store) -> "ExtractStage":
        return replace(self, shared=shared_passes([(job.model, job.data) for job in jobs], params, store))

    def batches(self, jobs: Sequence[Job]) -> Iterable[Sequence[Job]]:
        found: dict[int | PairKey, list[Job]] = {}
        for job in jobs:
            found.setdefault(self.shared.numbers.get(job.key, job.key), []).append(job)
        return found.values()

    def compute(self, jobs: Sequence[Job], params: Params, store: Store) -> list[Outcome]:
        data = jobs[0].data
        own = params.score.splits, params.extract, store, self.shared.configs.get(data.name, ())
        found = extract_together([job.model for job in jobs], data, *own)
        outcomes = []
        for job, features in zip(jobs, found, strict=True):
            if isinstance(features, Features):
                outcomes.append(replace(job.outcome, features=features))
            elif len(jobs) == 1:
                raise features
            else:
                if not is_expected(features):
                    log.error("%s on %s failed", *job.key, exc_info=features)
                failure = Failure(data.name, job.model.name, self.name, error_message(features))
                outcomes.append(replace(job.outcome, failures=(*job.outcome.failures, failure)))
        return outcomes

    def has_result(self, outcome: Outcome) -> bool:
        return outcome.features is not None

    def find_cached(self, jobs: Sequence[Job], params: Params, store: Store) -> dict[PairKey, Outcome]:
        """Find feature files by their footers.

        A model that cannot be described has nothing cached: `compute` raises the error.
        """
        target, splits = device(params.extract.device), params.score.splits
        extractors: dict[tuple[str, str], Extractor | None] = {}
        found: dict[PairKey, Outcome] = {}
        for job in jobs:
            key = job.model.name, job.data.target.kind
            extractor = extractors.setdefault(key, extractor_for(job.model, job.data))
            if extractor is None:
                continue
            try:
                identity = extractor.identity(job.data, splits, params.extract, target)
            except (ItmError, OSError) as error:
                log.debug("%s cannot be looked up: %s", job.model.name, error)
                extractors[key] = None
                continue
            if features := cached_features(identity, job.data, params.extract.resume, store):
                found[job.key] = replace(job.outcome, features=features)
        return found

    def is_usable(self, outcome: Outcome, store: Store) -> bool:
        """Check all pages of a feature file. A file that only the shared place has is checked when it is fetched."""
        assert outcome.features
        path = outcome.features.path
        try:
            if exists(path):
                check_pages(path)
        except StoreError as error:
            log.warning("%s Computing it again.", error)
            return False
        publish(store, path)
        return True

    def log_result(self, outcome: Outcome) -> None:
        if outcome.features and not outcome.features.cached:
            log_extracted(outcome.features)


@dataclass(frozen=True)
class ScoreStage(Stage):
    """Computes the scores of the embeddings of one or more models of a data set."""

    name: ClassVar[str] = "score"
    together: int = 1

    def compute(self, jobs: Sequence[Job], params: Params, store: Store) -> list[Outcome]:
        """Compute the scores of all pairs together. A score that is undefined is a failure."""
        features = [job.outcome.features for job in jobs if job.outcome.features]
        target = str(device(params.extract.device))
        scored = score_together(features, params.score, store, params.extract.resume, target)
        return [
            replace(job.outcome, scores=scores, failures=(*job.outcome.failures, *failures))
            for job, (scores, failures) in zip(jobs, scored, strict=True)
        ]

    def find_cached(self, jobs: Sequence[Job], params: Params, store: Store) -> dict[PairKey, Outcome]:
        identified = identities(params.score)
        found: dict[PairKey, Outcome] = {}
        for job in jobs:
            assert job.outcome.features
            if scored := all_stored(job.outcome.features, identified, store, params.extract.resume):
                found[job.key] = replace(job.outcome, scores=scored[0], failures=(*job.outcome.failures, *scored[1]))
        return found


EXTRACT = ExtractStage()
