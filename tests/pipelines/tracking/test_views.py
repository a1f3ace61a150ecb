"""Views and descriptions on MLflow's pages; metrics and parameters as logged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines.common.estimate import Estimate
from pipelines.params.read import Plan, read_params
from pipelines.study.plan import configurations_of
from pipelines.study.record import Trial
from pipelines.tracking import descriptions, mlflow_ui, views
from pipelines.tracking.child_runs import as_params, without_duplicates
from tests.pipelines.metrics import study_metrics

PARAMS = """
datasets: {tables: {toy: {source: s, task: regression}}}
experiments:
  toy:
    ridge: {trials: 5}
    own: {family: ridge, search: {alpha: {log_grid: [0.1, 10, 3]}}}
    ols: {}
"""

GRIDS = """
datasets: {tables: {toy: {source: s, task: regression}}}
experiments:
  toy:
    ridge: {search: {alpha: {log_grid: [0.1, 10, 3]}}}
    mixed:
      family: kernel_ridge
      trials: 4
      search: {width: {grid: [1, 2]}, alpha: {log_uniform: [0.1, 10]}}
    random: {family: ridge, trials: 5}
    ols: {}
"""


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(PARAMS)
    return read_params()


def state(tags: dict[str, str]) -> dict:
    """Return what a page reads from the only one of these tags."""
    (value,) = tags.values()
    content = json.loads(value)
    return json.loads(content["state"]) if "state" in content else content


def test_the_view_of_the_studies_puts_the_best_first_and_the_facts_in_order(
    plan: Plan,
) -> None:
    found = state(views.best_view(plan.datasets["toy"]))
    assert "`ftml.role` = 'study'" in found["searchFilter"]
    assert "`ftml.current` = 'true'" in found["searchFilter"]
    assert found["orderByKey"] == "metrics.`test_mse`"
    assert found["orderByAsc"] is True
    assert found["columnOrder"][1:5] == [
        "tags.`ftml.family`",
        "metrics.`test_mse`",
        "metrics.`test_mse_standard_error`",
        "metrics.`search_seconds`",
    ]
    kinds = [chart["type"] for chart in found["compareRunCharts"]]
    assert kinds == ["BAR", "BAR", "SCATTER"]


def test_the_view_of_the_claims_puts_what_was_found_beside_what_was_expected() -> None:
    found = state(views.claims_view())
    assert "`ftml.current` = 'true'" in found["searchFilter"]
    assert found["columnOrder"][2:6] == [
        "tags.`ftml.holds`",
        "tags.`ftml.mistakes`",
        "metrics.`expected`",
        "metrics.`measured`",
    ]


def test_the_view_of_a_search_draws_what_was_searched(plan: Plan) -> None:
    ridge, own, ols = plan.experiments["toy"]
    found = state(views.search_view(ridge))
    (chart,) = found["compareRunCharts"]
    assert chart["selectedParams"] == sorted(ridge.space)
    assert chart["selectedMetrics"] == ["valid_mse"]
    assert "tags.`ftml.study` = 'ridge'" in found["searchFilter"]
    assert [descriptions.searches(study) for study in (ridge, own, ols)] == [
        True,
        True,
        False,
    ]


def test_there_is_a_view_of_curves_only_where_studies_share_any() -> None:
    assert views.curves_view([]) == {}
    found = state(views.curves_view(["train_loss", "train_gap"]))
    assert "`ftml.current` = 'true'" in found["searchFilter"]
    charts = found["compareRunCharts"]
    assert [chart["metricKey"] for chart in charts] == ["train_loss", "train_gap"]


def test_a_study_is_described_by_its_formula_its_source_and_its_command(
    plan: Plan,
) -> None:
    ridge = plan.experiments["toy"][0]
    text = descriptions.study(ridge, "7")
    assert "Ridge regression: least squares with an L2 penalty." in text
    assert "\n\n    theta = argmin" in text
    assert 'Source: FTML lecture 9, "Ridge regression".' in text
    assert "dvc repro experiment@toy" in text
    assert mlflow_ui.view_address("7", views.search_key("ridge"), charts=True) in text


def test_an_experiment_says_which_study_is_best_and_how_to_load_it(plan: Plan) -> None:
    estimate = Estimate(mean=0.5, standard_error=0.01, values=[0.49, 0.51])
    best = study_metrics("ridge", metric="mse", test={"mse": estimate})
    toy = plan.datasets["toy"]
    text = descriptions.experiment(toy, "7", digest="d", best=best)
    first = text.split("\n\n")[0]
    assert "Best in validation: ridge, test mse 0.500 ± 0.010." in first
    assert mlflow_ui.view_address("7", views.BEST) in first
    assert 'load_model("models:/toy@champion")' in text
    assert "champion" not in descriptions.experiment(toy, "7", digest="d")


def test_a_fit_says_what_it_was_trained_on(plan: Plan) -> None:
    ridge = plan.experiments["toy"][0]
    assert "50% of training" in descriptions.child(ridge, "fit", Trial({}, share=0.5))
    assert "scored on validation" in descriptions.child(ridge, "trial", Trial({}))


def test_no_metric_is_logged_under_two_names() -> None:
    one = {
        "test_accuracy": 0.5,
        "test_worst_accuracy": 0.5,
        "test_accuracy/75": 0.5,
        "test_log_loss": 1.0,
        "test_log_loss/75": 1.0,
        "train_loss": 0.1,
    }
    assert set(without_duplicates(one)) == {
        "test_accuracy",
        "test_log_loss",
        "train_loss",
    }
    two = one | {"test_accuracy/15": 0.7, "test_log_loss/15": 0.9}
    assert without_duplicates(two) == two


def test_the_number_of_configurations_is_that_of_the_search(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(GRIDS)
    found = {}
    for study in read_params(tmp_path / "params.yaml").experiments["toy"]:
        assert study.n_configurations == len(configurations_of(study))
        found[study.name] = study.n_configurations
    assert found == {"ridge": 3, "mixed": 8, "random": 5, "ols": 1}


def test_texts_are_params_as_they_are() -> None:
    params = as_params({"optimizer": "adam", "rate": 0.1, "norm": True, "h": [8, 4]})
    assert [param.value for param in params] == ["adam", "0.1", "true", "[8, 4]"]
