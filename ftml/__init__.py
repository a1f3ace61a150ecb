"""ftml: the model families of a machine-learning curriculum, each as its formula in
code.

The library never imports Ray, MLflow or DVC, so it works in a notebook. The pipeline
that searches, tracks and compares is located beside it, in `pipelines`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# The package `families` is imported before the function of that name, which the name
# then means here: a later import of a family does not bind the package again.
import ftml.data
import ftml.families
from ftml.core import Family, Step, device, families, family, fit

if TYPE_CHECKING:
    from ftml.config import FamilyConfig
    from ftml.data import *  # noqa: F403
    from ftml.predictor import Predictor
    from ftml.saving import load, save

__version__ = "0.1.0"

__all__ = [
    "Family",
    "FamilyConfig",
    "Predictor",
    "Step",
    "device",
    "families",
    "family",
    "fit",
    "load",
    "save",
]
__all__ += ftml.data.__all__

# The modules of these names import pandas and pydantic, which takes long.
_MODULES = {
    **dict.fromkeys(ftml.data.__all__, "ftml.data"),
    "FamilyConfig": "ftml.config",
    "Predictor": "ftml.predictor",
    "load": "ftml.saving",
    "save": "ftml.saving",
}
_SUBMODULES = ("config", "predictor", "saving", "tasks")
"Modules that `import ftml` makes available, as `ftml.tasks`."


def __getattr__(name: str) -> Any:
    """Return what another module defines; it is imported when it is first asked for."""
    if name in _SUBMODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
