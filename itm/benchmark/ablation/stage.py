"""The stage of an ablation: the score ITM of a pair at many settings."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from itm.core.params import Params
from itm.core.sections import ScoreParams
from itm.core.types import Outcome
from itm.features.devices import device
from itm.ranking.scoring import Scored, all_stored, identities, score
from itm.run.stages import Job, PairKey, Stage
from itm.store.layout import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AblateStage(Stage):
    """Computes ITM at several `settings`, each the options of one as JSON. The scores are named by them."""

    name: ClassVar[str] = "score"
    settings: tuple[str, ...]

    def compute(self, jobs: Sequence[Job], params: Params, store: Store) -> list[Outcome]:
        """Compute the score of each pair at every setting. One that is undefined is a failure."""
        target, resume = str(device(params.extract.device)), params.extract.resume
        outcomes = []
        for job in jobs:
            assert job.outcome.features
            scored = [score(job.outcome.features, _at(options, params), store, resume, target) for options in self.settings]
            outcomes.append(self._named(job.outcome, scored))
        return outcomes

    def find_cached(self, jobs: Sequence[Job], params: Params, store: Store) -> dict[PairKey, Outcome]:
        wanted = [identities(_at(options, params)) for options in self.settings]
        found: dict[PairKey, Outcome] = {}
        for job in jobs:
            assert job.outcome.features
            scored = [all_stored(job.outcome.features, own, store, params.extract.resume) for own in wanted]
            known = [one for one in scored if one]
            if len(known) == len(scored):
                found[job.key] = self._named(job.outcome, known)
        return found

    def log_result(self, outcome: Outcome) -> None:
        computed = sum(not score.cached for score in outcome.scores)
        cached, undefined = len(outcome.scores) - computed, len(self.settings) - len(outcome.scores)
        text = "%s on %s: %d settings, %d computed, %d cached, %d undefined"
        log.info(text, outcome.model, outcome.data, len(self.settings), computed, cached, undefined)

    def _named(self, outcome: Outcome, scored: Sequence[Scored]) -> Outcome:
        pairs = list(zip(self.settings, scored, strict=True))
        scores = tuple(replace(one, score=options) for options, (scores, _) in pairs for one in scores)
        failures = tuple(replace(one, step=options) for options, (_, failures) in pairs for one in failures)
        return replace(outcome, scores=scores, failures=failures)


def _at(options: str, params: Params) -> ScoreParams:
    change = {"names": ("itm",), "rank_by": "itm", "options": {"itm": json.loads(options)}}
    return params.score.model_copy(update=change)
