"""The model that MLflow stores and serves: the files of `ftml.save` as a pyfunc model.

MLflow runs this file when it loads a model ("models from code"), so nothing is pickled.
It may import only `ftml` and its requirements: MLflow copies `ftml` into the model, and
not `pipelines`.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from ftml.saving import load


class ServedModel(PythonModel):
    """Loads the artifact `model` and predicts: one row of output for each row of input,
    in the columns and the classes of the user.
    """

    def load_context(self, context: PythonModelContext) -> None:
        """Load the model."""
        self.predictor = load(Path(context.artifacts["model"]))

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: object = None,
    ) -> pd.DataFrame:
        """Return the predictions for a table of inputs; there are no parameters.

        If the model can replace values, missing ones or unknown categories, the column
        `notes` says for each row which values it has replaced; null if none. A number
        that is not finite is null, since the JSON of an answer has no NaN.
        """
        found = self.predictor.predict(model_input)
        if self.predictor.replaces:
            notes = self.predictor.notes(model_input)
            found["notes"] = pd.Series(notes, found.index, dtype=object)
        for name, column in found.items():
            if column.dtype.kind == "f" and not np.isfinite(column).all():
                found[name] = column.astype(object).where(np.isfinite(column), None)
        return found


set_model(ServedModel())
