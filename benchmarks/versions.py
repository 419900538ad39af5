"""Writes versions.yaml, on which the stages of dvc.yaml depend: `make versions` after a version in the code was raised."""

from pathlib import Path
from typing import Any

import yaml

from itm.benchmark.results import EVALUATION
from itm.core.keys import content_key
from itm.data.ingest import INGEST
from itm.data.splits import SPLITS
from itm.features.identity import EXTRACTOR
from itm.finetuning.head import HEAD
from itm.finetuning.identity import FINETUNER
from itm.prediction.parameters import read_parameters
from itm.ranking.rank import RANKING
from itm.report.page import REPORT
from itm.scores import get, names

PATH = Path(__file__).resolve().parents[1] / "versions.yaml"
HEADER = (
    "# Versions of the components, written by `make versions`. The stages of dvc.yaml depend on them and not on source files.\n"
)


def all_versions() -> dict[str, Any]:
    """Return the versions of what decides a ranking, of fine-tuning and of the evaluation."""
    return {
        "ingest": INGEST,
        "splits": SPLITS,
        "extractor": EXTRACTOR,
        "scores": {name: get(name).info.version for name in names()},
        "ranking": RANKING,
        "predictions": content_key(read_parameters().model_dump(mode="json"))[:12],
        "report": REPORT,
        "finetune": FINETUNER,
        "finetune_head": HEAD,
        "evaluation": EVALUATION,
    }


def main() -> None:
    PATH.write_text(HEADER + yaml.safe_dump(all_versions(), sort_keys=False), encoding="utf-8")


if __name__ == "__main__":
    main()
