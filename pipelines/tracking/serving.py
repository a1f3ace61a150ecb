"""The model that MLflow stores and serves: the files of `ftml.save` as a pyfunc model.

MLflow runs this file when it loads a model ("models from code"), so nothing is pickled.
It may import only `ftml` and its requirements: MLflow copies `ftml` into the model, and
not `pipelines`.
"""

from pathlib import Path

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from ftml.core import family
from ftml.saving import load
from ftml.tasks import task


class ServedModel(PythonModel):
    """Loads the artifact `model` and predicts as the task of its family does: one row
    of output for each row of input.
    """

    def load_context(self, context: PythonModelContext) -> None:
        """Load the model and find its task by the module of its configuration."""
        self.model, config = load(Path(context.artifacts["model"]))
        self.task = task(family(type(config).__module__.split(".")[-1]).task)

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: object = None,
    ) -> pd.DataFrame:
        """Return the predictions for a table of inputs; there are no parameters."""
        return self.task.serve(self.model, model_input)


set_model(ServedModel())
