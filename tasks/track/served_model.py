"""The code of a registered model. MLflow stores this file with the model and runs it where the model is loaded.

It needs mlflow and timm. itm is not needed.
"""

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext


class ExportedModel(PythonModel):
    """An exported folder as a function from images to embeddings or class probabilities."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the model of the folder, and the code that reads images."""
        folder = Path(context.artifacts["model"])
        self.model, self.transform = runpy.run_path(str(folder / "load.py"))["load"]()
        self.predict_images = runpy.run_path(context.artifacts["predict"])["predict"]
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        classifies = config["itm"]["outputs"] == "logits"
        text = (folder / "labels.txt").read_text(encoding="utf-8") if classifies else ""
        self.labels = text.removesuffix("\n").split("\n") if classifies else []  # splitlines divides labels with U+2028

    # The annotation only keeps MLflow from converting the input and from asking for one.
    def predict(self, context: PythonModelContext, model_input: np.ndarray, params: Any = None) -> Any:  # noqa: ARG002
        """Return embeddings [n, width], or a table with one column of probabilities per class.

        The input is a path, a PIL image, an array [height, width, 3] or [n, height, width, 3] of bytes, a list of these, or a
        table with one column of paths.
        """
        found = self.predict_images(self.model, self.transform, model_input, bool(self.labels))
        return pd.DataFrame(found, columns=self.labels) if self.labels else found


set_model(ExportedModel())
