"""The model that MLflow stores and serves: ftml's own files behind a pyfunc.

MLflow runs this file when it loads a model ("models from code"), so nothing is pickled.
"""

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from ftml.core import family
from ftml.saving import load
from ftml.tasks import task


class ServedModel(PythonModel):
    """Loads `model/` and predicts through its task: a row out for each row in."""

    def load_context(self, context: Any) -> None:
        self.model, config = load(Path(context.artifacts["model"]))
        self.task = task(family(type(config).__module__.split(".")[-1]).task)

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: Any = None
    ) -> pd.DataFrame:
        return self.task.serve(self.model, model_input)


set_model(ServedModel())
