"""What tracking uses of MLflow's Python code that its documentation does not promise.

An upgrade of MLflow that changes one of these fails tests/pipelines/tracking/
test_mlflow_internals.py, and is handled here. Four modules hold the rest of what is
undocumented, each with a test of its own: `mlflow_ui.py` (what the pages read),
`local_store.py` and `migrate.py` (the tables of a store), and `serving.py` (the
function of the HTTP server that answers a request), which MLflow runs without this
package.
"""

from __future__ import annotations

from mlflow.utils import environment

CHECK_OF_REQUIREMENTS = "warn_dependency_requirement_mismatches"
"The name of the function in which MLflow compares requirements."


def skip_check_of_requirements() -> None:
    """Let MLflow not compare the requirements of a model with the installed packages.

    They are the installed versions, and MLflow would list the modules of all packages
    to compare them.
    """
    setattr(environment, CHECK_OF_REQUIREMENTS, _skip)


def create_tables(address: str, *, artifacts: str) -> None:
    """Create the tables of the SQLite database at an address, with an address as the
    folder of the artifacts of the experiment `Default`.

    `MlflowClient`, which is documented, has no argument for that folder.
    """
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    SqlAlchemyStore(address, artifacts)


def _skip(_: list[str]) -> None:
    """Do nothing, in place of a function of MLflow."""
