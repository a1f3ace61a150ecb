"""`ftml init`: what it proposes for a table, and what it writes around it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pathspec import GitIgnoreSpec
from ruamel.yaml import YAML

from ftml.data.reading import ReadOptions
from pipelines.cli import commands_stages, init, init_studies
from pipelines.cli.init import PLOTS, dataset_name
from pipelines.cli.init_table import advice, flow, merged, read_options
from pipelines.cli.proposal import choose_target, propose
from pipelines.cluster import connect
from pipelines.common.errors import log_file
from pipelines.params.read import read_params
from pipelines.stages import installed
from pipelines.stages.installed import code_digest
from pipelines.stages.sources import CHECKED
from pipelines.tracking.local_store import DATABASE

N = 60
RNG = np.random.default_rng(0)


def table(**columns: object) -> pd.DataFrame:
    """Return a table of N rows with a number `x`, a class `kind` and more columns."""
    kind = np.resize(["a", "b", "c"], N)
    return pd.DataFrame({"x": RNG.normal(size=N), "kind": kind} | columns)


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(init, "make_repositories", lambda folder: [])


def start(
    file: str = "her.csv",
    *,
    target: str | None = "kind",
    task: str | None = None,
    read: str | None = None,
    folder: str = ".",
) -> str:
    return init.init(
        Path(file), target=target, task=task, read=read, folder=Path(folder)
    )


# What is proposed


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (np.resize(["yes", "no"], N), "classification"),
        (np.resize([True, False], N), "classification"),
        (np.resize([0, 1, 2], N), "classification"),
        (np.arange(N) / 7, "regression"),
        (np.arange(N), "regression"),
    ],
)
def test_the_task_follows_from_the_values_of_the_target(
    values: np.ndarray, task: str
) -> None:
    found = propose(table(goal=values), target="goal", task=None)
    assert found.task.value == task


@pytest.mark.parametrize(
    ("values", "task", "message"),
    [
        (["a"] * N, None, "column goal holds 1 different text, so there is nothing"),
        (["a", "b"] * (N // 2), "regression", "--task: regression needs numbers"),
        ([1, 2] * (N // 2), "clustering", "--task: expected regression or class"),
        (list(pd.date_range("2020", periods=N)), None, "column goal holds dates;"),
    ],
)
def test_a_target_of_no_use_is_refused(
    values: list[object], task: str | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        propose(table(goal=values), target="goal", task=task)


def test_an_uncertain_target_is_an_error_that_lists_the_columns() -> None:
    message = r"give --target, one of x \(numbers\), kind \(3 different texts\)"
    with pytest.raises(ValueError, match=message):
        choose_target(table(), None)
    with pytest.raises(ValueError, match="no column 'goal'; the columns are x"):
        choose_target(table(), "goal")
    assert choose_target(table(Class=1), None) == "Class"
    data = table(
        id=np.arange(N), one=1, note=[f"n{i}" for i in range(N)], empty=None
    ).assign(day=pd.date_range("2020", periods=N))
    with pytest.raises(ValueError, match="not certain") as error:
        choose_target(data, None)
    assert str(error.value).endswith(
        "one of x (numbers), kind (3 different texts); not id, one, note, empty, day "
        "(dates, identifiers, free text or one value only)"
    )
    with pytest.raises(ValueError, match=r"one of one \(1 different number\)$"):
        choose_target(data[["one"]], None)
    with pytest.raises(ValueError, match="not certain"):
        choose_target(table(y=1, label=2), None)


def test_identifiers_and_columns_that_say_the_answer_are_left_out() -> None:
    data = table(
        id=RNG.permutation(N),
        name=[f"n{i}" for i in range(N)],
        empty=[None] * N,
        code=np.resize([10, 20, 30], N),
        age=RNG.permutation(N),
    )
    found = propose(data, target="kind", task=None)
    assert dict(found.drop) == {
        "id": "has a different value in each row: an identifier",
        "name": f"{N} different texts in {N} rows, such as 'n0'; that identifies rows",
        "empty": "has no value",
        "code": "has one value for each class of kind: it says the answer",
    }
    with pytest.raises(ValueError, match="no column is left to be a feature: id has"):
        propose(data[["id", "kind"]], target="kind", task=None)


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        *((name, True) for name in ("id", "Row", "sample_no", "MatrNr")),
        *((name, False) for name in ("humid", "paid", "width", "casino")),
    ],
)
def test_an_identifier_is_known_by_its_name(name: str, is_one: bool) -> None:
    data = table(**{name: RNG.permutation(N)})
    assert (name in propose(data, target="kind", task=None).drop) == is_one
    data[name] = RNG.normal(size=N)
    assert propose(data, target="kind", task=None).drop == {}


def test_a_column_that_numbers_the_rows_is_an_identifier_whatever_its_name() -> None:
    data = table(beleg=1000 + np.delete(np.arange(N + 2), [7, 40]))
    data["hour"] = np.arange(N)
    assert dict(propose(data, target="kind", task=None).drop) == {
        "beleg": "numbers the rows: an identifier"
    }


def test_an_identifier_of_several_rows_is_proposed_as_a_group() -> None:
    table(town_id=np.arange(N) // 7).to_csv("her.csv", index=False)
    assert "split     at random; by town_id? See params.yaml" in start()
    assert "      # split: {groups: town_id} # 9 groups; write" in printed_params(".")


def test_a_missing_value_gets_what_its_column_allows() -> None:
    data = table(size=1.0, sex="m", much=2.0, day=pd.Timestamp("2020-01-01"))
    data["sold"] = pd.array([True] * N, dtype="boolean")
    missing = {"size": 2, "sex": 3, "much": N // 2, "day": 1, "sold": 2, "kind": 4}
    for column, n in missing.items():
        data.loc[: n - 1, column] = None
    found = propose(data, target="kind", task=None)
    assert {name: each.value for name, each in found.missing.items()} == {
        "size": "median",
        "sex": "most_frequent",
        "much": "indicator",
        "day": "median",
        "sold": "most_frequent",
    }
    assert found.missing["sex"].about == f"3 of {N} rows have no value"
    assert found.missing_target is not None
    assert found.missing_target.about == "4 rows have no kind; they are left out"
    assert found.missing["day"].about == f"1 of {N} rows has no value"
    found = propose(data[3:], target="kind", task=None)
    assert found.missing_target is not None
    assert found.missing_target.about == "1 row has no kind; it is left out"


def test_rows_in_the_order_of_a_date_are_split_by_it_and_others_only_perhaps() -> None:
    dated = table(day=pd.date_range("2020", periods=N), price=np.arange(N) / 3)
    found = propose(dated, target="kind", task=None)
    assert found.time is not None
    assert (found.time.value, found.ordered) == ("day", None)
    found = propose(dated.drop(columns="day"), target="kind", task=None)
    assert found.ordered is not None
    assert (found.time, found.ordered.value) == (None, "price")
    found = propose(table(year=np.arange(N) // 6), target="kind", task=None)
    assert found.time is not None
    found = propose(table(), target="kind", task=None)
    assert found.time is found.ordered is None


@pytest.mark.parametrize(
    ("n_rare", "metric", "positive"), [(6, "auc", "no"), (30, "accuracy", "yes")]
)
def test_a_rare_class_of_two_is_the_positive_one(
    n_rare: int, metric: str, positive: str
) -> None:
    ill = ["no"] * n_rare + ["yes"] * (N - n_rare)
    found = propose(table(ill=ill), target="ill", task=None)
    assert found.positive is not None
    assert (found.metric.value, found.positive.value) == (metric, positive)


@pytest.mark.parametrize(
    ("task", "n", "n_classes", "first", "there", "absent"),
    [
        ("regression", 100, 0, "ols", "kernel_ridge", "mlp"),
        ("regression", 10**6, 0, "ols", "ridge", "kernel_ridge"),
        ("classification", 100, 2, "logistic_regression", "mlp", "softmax_regression"),
        ("classification", 10**6, 3, "softmax_regression", "mlp", "adaboost"),
    ],
)
def test_the_studies_serve_the_task_and_the_number_of_rows(
    task: str, n: int, n_classes: int, first: str, there: str, absent: str
) -> None:
    sizes = pd.Series([n // n_classes] * n_classes) if n_classes else None
    found = init_studies.propose_studies(task, n=n, counts=sizes)
    assert next(iter(found)) == first
    assert there in found
    assert absent not in found
    assert all(("cv" in each.value) == (n < 1000) for each in found.values())
    assert bool(init_studies.why_no_folds(n, sizes)) == (n > 1000)


def test_it_is_said_why_there_is_no_cross_validation() -> None:
    table(kind=["a"] * 9 + ["b"] * (N - 9)).to_csv("her.csv", index=False)
    assert "  no cv     class a has 9 rows; 5 folds need 10\n" in start()
    said = (
        "# There is no `cv` (cross-validation): class a has 9 rows; 5 folds need 10.\n"
    )
    assert said in printed_params(".")
    table().to_csv("other.csv", index=False)
    assert "no cv" not in start("other.csv", folder="other")
    assert "There is no `cv`" not in printed_params("other")


# What is written


def test_what_is_written_is_accepted_and_says_why(tmp_path: Path) -> None:
    data = table(id=RNG.permutation(N), **{"a: b": 1.5, "größe": 2.0, "1": "u"})
    data.loc[:3, "größe"] = None
    data.to_csv("Her table-2.csv", index=False)
    printed = start("Her table-2.csv", folder="new")
    plan = read_params(Path("new/params.yaml"))
    section = plan.datasets["her_table_2"].section
    assert section.source == "file:../Her table-2.csv"
    assert (section.target, section.drop) == ("kind", ["id"])
    assert section.missing == {"größe": "median"}
    assert "    - id # has a different value in each row" in printed_params("new")
    assert '"größe"' in printed_params("new") or "größe:" in printed_params("new")
    assert "missing   größe: 4 of 60 rows have no value; median" in printed
    assert "written: params.yaml, dvc.yaml, ftml.md, .gitignore, plots/" in printed
    assert "  cd new\n  dvc repro" in printed


def printed_params(folder: str) -> str:
    return Path(folder, "params.yaml").read_text()


def test_its_stages_call_the_installed_command_and_depend_on_its_code() -> None:
    table().to_csv("her.csv", index=False)
    start()
    stages = YAML(typ="safe").load(Path("dvc.yaml"))["stages"]
    for name, section in stages.items():
        stage = section.get("do", section)
        assert stage["cmd"].startswith(f"ftml stage {name}")
        assert name in commands_stages.stage_names()
        code = "data/.ftml" if name == "sources" else f"data/.sources/code/{name}"
        assert name == "installed" or code in stage["deps"]
    assert stages["installed"]["always_changed"] is True
    for plot in stages["report"]["plots"]:
        (options,) = plot.values()
        assert Path(options["template"]).is_file()


def test_nothing_is_overwritten_and_gitignore_is_kept() -> None:
    table().to_csv("her.csv", index=False)
    Path(".gitignore").write_text("/mine\n")
    Path("dvc.yaml").write_text("mine")
    with pytest.raises(ValueError, match=r"dvc\.yaml exists in .*nothing is overwrit"):
        start()
    assert not Path("params.yaml").exists()
    Path("dvc.yaml").unlink()
    assert "kept: .gitignore; add to it:\n# made by `dvc repro`" in start()
    assert Path(".gitignore").read_text() == "/mine\n"


def test_git_does_not_see_what_a_stage_or_a_failed_stage_leaves() -> None:
    written = (init.TEMPLATES / "gitignore.j2").read_text().replace("{{ name }}", "her")
    ignored = GitIgnoreSpec.from_lines(written.splitlines())
    logs = [
        log_file(stage, arguments)
        for stage in commands_stages.stage_names()
        for arguments in ([], ["her"], ["linear"])
    ]
    left = [
        *(str(log) for log in logs),
        *(str(path) for path in (CHECKED, installed.FILE, DATABASE, "mlflow.db-wal")),
        *(".search/.her.lock", "claims/none", "mlartifacts/1/a", "dvc_plots/a.html"),
        *("data/her/table.parquet", "experiments/her/ols/run.json"),
        *(f"{folder}/.new.ab12cd34/a" for folder in ("metrics", "reports", "data")),
        *(f"{folder}/.her.ab12cd34/a" for folder in ("experiments", "data")),
        *(f"reports/{name}" for name in init.REPORTS if name != "metrics.json"),
    ]
    assert [path for path in left if not ignored.match_file(path)] == []
    committed = [
        *(*init.FILES, ".gitignore", "her.csv", "data/raw.csv", "dvc.lock"),
        *("metrics/her.json", "reports/metrics.json", "data/.gitignore"),
    ]
    assert [path for path in committed if ignored.match_file(path)] == []


def test_no_stage_will_replace_what_her_folders_hold() -> None:
    Path("data/her").mkdir(parents=True)
    table().to_csv("data/her/her.csv", index=False)
    Path("metrics").mkdir()
    Path("metrics/her_table.json").write_text("{}")
    start("data/her/her.csv")
    (name,) = read_params(Path("params.yaml")).datasets
    assert name == "her_table_table"
    assert "/data/her_table_table\n" in Path(".gitignore").read_text()


def test_a_report_of_hers_is_not_overwritten() -> None:
    table().to_csv("her.csv", index=False)
    Path("reports").mkdir()
    Path("reports/index.html").write_text("hers")
    with pytest.raises(ValueError, match=r"reports/index\.html exists"):
        start()


def test_a_table_that_the_stage_refuses_is_refused_before_anything_is_written() -> None:
    data = table()
    data.loc[0, "kind"] = "once"
    data.to_csv("her.csv", index=False)
    with pytest.raises(ValueError, match="class once has 1 rows, too few"):
        start()
    assert [path.name for path in Path().iterdir()] == ["her.csv"]


def test_a_split_in_time_that_leaves_a_class_out_is_only_proposed() -> None:
    kind = np.repeat(["a", "b", "c"], N // 3)
    data = table(kind=kind, day=pd.date_range("2020", periods=N))
    data.to_csv("her.csv", index=False)
    assert "at random, but the rows are in the order of day" in start()
    assert "      # split: {time: day}" in printed_params(".")


def test_options_of_the_reader_that_are_certain_are_taken_from_its_message() -> None:
    data = table(
        cost=[f"${i},000.50" for i in range(10, 10 + N)],
        w=["?", *"1234567" * 8, *"123"],
    )
    data.to_csv("her.csv", index=False)
    start()
    section = read_params(Path("params.yaml")).datasets["her"].section
    assert section.read.model_dump(exclude_defaults=True) == {
        "strip": "$",
        "thousands": {"cost": ","},
        "na_values": {"w": ["?"]},
    }
    assert section.missing == {"w": "median"}


def test_a_choice_of_the_reader_is_an_error_that_read_answers() -> None:
    table(day=["03/04/2020", "05/06/2021"] * (N // 2)).to_csv("her.csv", index=False)
    with pytest.raises(ValueError, match=r"set read: \{dates.*give read: by --read"):
        start()
    start(read='{dates: {day: "%d/%m/%Y"}}')
    assert 'read: {dates: {day: "%d/%m/%Y"}}' in printed_params(".")
    with pytest.raises(ValueError, match=r"--read\.sepp: unknown key; nearest: sep"):
        read_options("{sepp: 1}")
    with pytest.raises(ValueError, match="--read: expected a mapping"):
        read_options("[")


def test_advice_of_one_kind_is_taken_and_a_choice_is_not() -> None:
    category = "or read: {types: {a: category}}"
    found = advice(f'set read: {{na_values: ["?"]}}, {category}')
    assert found == {"na_values": ["?"]}
    assert (
        advice(f'set read: {{decimal: ","}} or read: {{thousands: ","}}, {category}')
        is None
    )
    assert advice("set read: {encoding: latin-1}") is None
    options = merged(ReadOptions(strip="$"), "a", {"strip": "%", "decimal": ","})
    assert (options.strip, options.decimal) == ("$%", {"a": ","})


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("Penguins raw.csv.gz", "penguins_raw"),
        ("2024-sales.xlsx", "table_2024_sales"),
        ("東京.csv", "table"),
        ("claims.csv", "claims_table"),
    ],
)
def test_the_name_of_the_dataset_is_plain(file: str, name: str) -> None:
    assert dataset_name(Path(file)) == name


@pytest.mark.parametrize(
    "value", ["no", "1", "a: b", "#", "ü", True, 3, {"a b": ["~", None]}, "", "x "]
)
def test_values_are_written_so_that_yaml_reads_them_back(value: object) -> None:
    assert YAML(typ="safe", pure=True).load(flow(value)) == value


def test_all_plots_have_their_template() -> None:
    assert all((init.REPORT / name).is_file() for name in PLOTS)


# The code that runs


def test_the_hash_of_the_code_changes_with_any_file_but_compiled_ones(
    tmp_path: Path,
) -> None:
    package = tmp_path / "package"
    (package / "__pycache__").mkdir(parents=True)
    (package / "a.py").write_text("1")
    before = code_digest(package)
    (package / "__pycache__/a.pyc").write_text("2")
    assert code_digest(package) == before
    (package / "a.py").write_text("2")
    assert code_digest(package) != before


def test_ray_starts_in_the_folder_of_the_packages_and_not_in_that_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path] = []
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(connect.ray, "init", lambda *a, **k: seen.append(Path.cwd()))
    monkeypatch.setattr(connect.ray, "shutdown", lambda: None)
    with contextlib.ExitStack() as stack:
        stack.enter_context(connect.ray_cluster())
        assert Path.cwd() == tmp_path
    assert (seen[0] / "pipelines/cluster/connect.py").is_file()
