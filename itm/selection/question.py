"""What a search decides, and everything that does not change while it runs."""

from collections.abc import Mapping
from dataclasses import dataclass

from itm.core.keys import content_key
from itm.core.params import Params
from itm.core.rankings import DataRanking
from itm.core.selections import SearchBudget
from itm.core.types import DataRef, Exclusion, Failure, ModelRef, Protocol, SplitName
from itm.finetuning.identity import recipe
from itm.prediction.curve_model import CurveModel
from itm.prediction.prior import Belief
from itm.selection.policy import SHARES, Cost, Policy, Setting
from itm.store.layout import Store

RESERVE = 1.3  # times the estimated seconds of the final run are kept for it where time is limited: a machine may get slower


@dataclass(frozen=True)
class Question:
    """Which of the `models` is the best for a data set after fine-tuning by a protocol?

    `images` has the number of images per split. `baseline` is the validation accuracy of the commonest class.
    `rates` are the learning rates of the grid, ascending. `estimated` are the costs before anything was measured.
    `known_rates` are the same rates as the model of learning curves knows them.
    """

    data: DataRef
    ranking: DataRanking
    models: Mapping[str, ModelRef]
    protocol: Protocol
    rates: tuple[float, ...]
    known_rates: tuple[float, ...]
    images: Mapping[SplitName, int]
    baseline: float
    belief: Belief
    curves: CurveModel
    estimated: Mapping[str, Cost]
    budget: SearchBudget
    params: Params
    store: Store
    excluded: tuple[Exclusion, ...] = ()
    failures: tuple[Failure, ...] = ()

    @property
    def key(self) -> str:
        """Return a key of the data set, the candidates with their weights, the protocol and the recipe."""
        models = {row.model: row.weights for row in self.ranking.rows if row.model in self.models}
        options = recipe(self.params.finetune, "steps", "evaluations", "patience", "seed", "seeds")
        about = {"data": self.data.hash, "models": models, "protocol": self.protocol, "rates": self.rates}
        return content_key(about | {"recipe": options})

    @property
    def steps(self) -> int:
        """Return the number of steps of a whole run."""
        return self.params.finetune.steps

    def policy(self, costs: Mapping[str, Cost]) -> Policy:
        """Return the policy for costs as they are known now."""
        reserve = RESERVE if self.budget.seconds is not None else 1.0
        setting = Setting(self.known_rates, self.images["val"], self.params.finetune.seeds, reserve)
        return Policy(self.belief, self.curves, costs, setting)

    def step(self, share: float) -> int:
        """Return the step at which a run has reached a share of its steps."""
        return max(1, round(share * self.steps))

    @property
    def shares(self) -> dict[int, float]:
        """Return the shares at which a run is observed, by step. With few steps, several shares are one step."""
        return {self.step(share): share for share in SHARES}
