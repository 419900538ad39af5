"""The stored values of a finished fine-tuning run."""

from typing import Any

from itm.core.types import SplitName
from itm.finetuning.head import Evaluation

Values = dict[str, Any]  # of a run, as they are stored


def run_values(
    rate: float, decay: float, steps: tuple[int, int], speed: float, evaluations: dict[SplitName, Evaluation]
) -> Values:
    """Return the stored values of a finished run; `steps` are the number of steps and the best step."""
    pixels = evaluations["test"].pixel_accuracy
    return ({} if pixels is None else {"test_pixel_accuracy": pixels}) | {
        "learning_rate": rate,
        "weight_decay": decay,
        "steps": steps[0],
        "best_step": steps[1],
        "train_accuracy": evaluations["train"].accuracy,
        "val_accuracy": evaluations["val"].accuracy,
        "val_loss": evaluations["val"].loss,
        "test_accuracy": evaluations["test"].accuracy,
        "test_loss": evaluations["test"].loss,
        "images_per_second": round(speed, 1),
    }
