"""MLflow logging, from one process after the work: the only room that imports mlflow.

Metrics are scores or accuracies, params what one may want as an axis, tags where it all comes from.
"""

from tasks.track.evaluation import track_evaluation
from tasks.track.finetuned import track_finetuned
from tasks.track.ranking import track

__all__ = ["track", "track_evaluation", "track_finetuned"]
