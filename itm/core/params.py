"""Everything params.yaml can say, as frozen records with their defaults."""

from pathlib import Path
from typing import Any

from itm.core.sections import (
    DataParams,
    EvaluateParams,
    ExtractParams,
    FinetuneParams,
    LimitParams,
    Record,
    RefreshParams,
    RunnerParams,
    ScoreParams,
    TrackParams,
    ZooParams,
)
from itm.core.yaml_records import parse, read_yaml


class Params(Record):
    """Everything params.yaml can say.

    `store` is a folder of each machine, `shared` the URL of a folder through which workers without a common disk exchange files
    of theirs; $NAME takes it from the environment.
    """

    data: DataParams = DataParams()
    zoo: ZooParams = ZooParams()
    extract: ExtractParams = ExtractParams()
    score: ScoreParams = ScoreParams()
    finetune: FinetuneParams = FinetuneParams()
    evaluate: EvaluateParams = EvaluateParams()
    runner: RunnerParams = RunnerParams()
    limits: LimitParams = LimitParams()
    refresh: RefreshParams = RefreshParams()
    track: TrackParams = TrackParams()
    store: Path = Path("data")
    shared: str | None = None

    @property
    def tracking(self) -> TrackParams:
        """Return where to track, "auto" put in words."""
        uri = f"sqlite:///{self.store}/mlflow.db" if self.track.uri == "auto" else self.track.uri
        artifacts = f"{self.store}/mlruns" if self.track.artifacts == "auto" else self.track.artifacts
        return self.track.model_copy(update={"uri": uri, "artifacts": artifacts})


def with_overrides(params: Params, **changes: dict[str, Any]) -> Params:
    """Return `params` with some values of some sections replaced and everything checked again.

    >>> with_overrides(Params(), score={"seeds": 3}).score.seeds
    3
    """
    values = params.model_dump()
    for section, change in changes.items():
        values[section] = values[section] | {k: v for k, v in change.items() if v is not None}
    return parse(values, Params, "options")


def find_params(path: Path | None) -> Params:
    """Read `path`, or params.yaml of the working directory where there is one, or take the defaults."""
    chosen = path or Path("params.yaml")
    return read_yaml(chosen, Params) if path or chosen.exists() else Params()
