"""A ranking of three small models, the first two of them fine-tuned, and the images that they were tested on."""

from dataclasses import dataclass

import polars as pl
import pytest

from itm.core.params import Params
from itm.core.rankings import Ranking
from itm.core.types import DataRef, Run
from itm.core.yaml_records import parse
from itm.export.choice import Choice, choose
from itm.finetuning.runs import finetune
from itm.run import pipeline
from itm.run.plan import plan
from itm.store.layout import Store

RESNET, TOKENS, BLOCK = "test_resnet.drawn_long", "test_vit.drawn_long@token+mean", "test_vit.drawn_long@block2@mean"


@dataclass(frozen=True)
class Ranked:
    """A ranking and the fine-tuning runs of its first two models."""

    store: Store
    ranking: Ranking
    data: DataRef
    runs: dict[str, tuple[Run, ...]]

    def choice(self, model: str) -> Choice:
        return choose("digits", self.store, model=model)

    def embeddings(self, model: str) -> dict[str, list[float]]:
        """Return the embeddings that were ranked, by image."""
        (path,) = (self.store.root / "cache" / "features").rglob(f"{model.replace('@', '~40~').replace('+', '~2b~')}-*.parquet")
        table = pl.read_parquet(path)
        return dict(zip(table["id"], table["embedding"].to_list(), strict=True))

    def images(self, split: str | None = None) -> pl.DataFrame:
        """Return id, path and target of the usable images."""
        table = pl.read_parquet(self.store.index("digits")).filter(status="ok")
        return table.filter(split=split) if split else table


@pytest.fixture(scope="session")
def ranked(tmp_path_factory: pytest.TempPathFactory) -> Ranked:
    folder = tmp_path_factory.mktemp("ranked")
    with pytest.MonkeyPatch.context() as patch:
        import itm.features.speed

        patch.setattr(itm.features.speed, "RUNS", (1, 1))
        patch.setattr(itm.features.speed, "BATCHES", {"cpu": 2, "other": 2})
        values = {
            "data": {"sets": ["digits"], "max_images": 100},
            "zoo": {"models": [RESNET, TOKENS, BLOCK]},
            "score": {"names": ["knn"], "rank_by": "knn"},
            "runner": {"kind": "inline"},
            "finetune": {"steps": 3, "evaluations": 1, "seeds": 2, "learning_rates": [1e-5, 1e-3], "protocols": ["full"]},
            "store": folder,
        }
        params, store = parse(values, Params, "test"), Store(folder)
        ranking = pipeline.run(params, store)
        planned, runs = plan(params, store), {}
        for model in planned.models[:2]:
            runs[model.name] = finetune(model, planned.data_sets[0], params.finetune, params.extract, store)
    return Ranked(store, ranking, planned.data_sets[0], runs)
