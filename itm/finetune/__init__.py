"""Fine-tuning: the accuracies that a ranking predicts, to confirm its first models or to have ground truth for a benchmark."""

from itm.finetune.runs import finetune
from itm.finetune.table import below_head

__all__ = ["below_head", "finetune"]
