"""MLflow logging, from one process after the work. No other package imports mlflow.

Metrics are scores and accuracies, params are properties that can be the axis of a plot, tags are provenance.
"""

import os

os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")  # before it is imported; otherwise the first run logs its own tables
