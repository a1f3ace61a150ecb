"""ftml: the model families of a machine-learning curriculum, each as its formula in
code.

The library never imports Ray, MLflow or DVC, so it works in a notebook. The pipeline
that searches, tracks and compares is located beside it, in `pipelines`.
"""

# The package `families` is imported first, so that its name in this module is then
# rebound to the function: a later import of a family does not bind the package again.
import ftml.families  # noqa: F401
from ftml.config import FamilyConfig
from ftml.core import Family, Step, device, families, family, fit
from ftml.data import (
    Cooccurrence,
    Domains,
    Images,
    Pairs,
    Sequences,
    Splits,
    Table,
    Trees,
)
from ftml.predictor import Predictor
from ftml.saving import load, save

__version__ = "0.1.0"

__all__ = [
    "Cooccurrence",
    "Domains",
    "Family",
    "FamilyConfig",
    "Images",
    "Pairs",
    "Predictor",
    "Sequences",
    "Splits",
    "Step",
    "Table",
    "Trees",
    "device",
    "families",
    "family",
    "fit",
    "load",
    "save",
]
