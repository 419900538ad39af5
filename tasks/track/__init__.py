"""MLflow logging, from one process after the work: the only room that imports mlflow.

Metrics are scores or accuracies, params what one may want as an axis, tags where it all comes from.
"""
