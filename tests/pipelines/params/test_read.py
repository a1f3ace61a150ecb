"""params.yaml: what it may say, and every problem of it at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from ftml.config import Integers, LogUniform, Uniform
from ftml.core import families, family
from pipelines.common.names import RULE
from pipelines.params.read import ParamsError, Plan, domain_name, read_params

SOUND = """
datasets:
  tables:
    diabetes: {source: "sklearn:diabetes", task: regression}
    digits: {source: "sklearn:digits", task: classification, seed: 3, metric: log_loss}
  domains:
    turned: {source: "sklearn:digits", rotate: [0, 15, 30.5]}
  cooccurrence:
    kjv: {source: "file:kjv.txt", window: 3}
experiments:
  diabetes:
    ridge: {trials: 20, search: {alpha: {log_uniform: [1e-3, 1]}}}
    plain: {family: ridge, config: {alpha: 1e-3, seed: 0}}
    bare:  {family: ridge, search: {alpha: null}}
    usual: {family: ridge, trials: 3, search: {standardize: {choice: [true, false]}}}
  digits:
    softmax_regression:
"""
DATASET = "datasets: {tables: {d: {source: 's', task: regression}}}\n"
"One sound dataset, named d."


@pytest.fixture
def plan_of(tmp_path: Path) -> Callable[[str], Plan]:
    def read(text: str) -> Plan:
        (tmp_path / "params.yaml").write_text(text)
        return read_params(tmp_path / "params.yaml")

    return read


@pytest.fixture
def problems_of(plan_of: Callable[[str], Plan]) -> Callable[[str], list[str]]:
    """Read a faulty file and return its problems, a line each."""

    def read(text: str) -> list[str]:
        with pytest.raises(ParamsError) as caught:
            plan_of(text)
        first, *lines = str(caught.value).split("\n  ")
        count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
        assert first.endswith(f"params.yaml: {count}")
        return lines

    return read


def study(block: str) -> str:
    return f"{DATASET}experiments: {{d: {{ridge: {block}}}}}"


# What a sound file says


def test_sound_file_gives_datasets_with_their_stage_and_task(plan_of) -> None:
    datasets = plan_of(SOUND).datasets
    assert {name: (d.stage, d.task) for name, d in datasets.items()} == {
        "diabetes": ("tables", "regression"),
        "digits": ("tables", "classification"),
        "turned": ("domains", "domain_generalization"),
        "kjv": ("cooccurrence", "embedding"),
    }
    assert datasets["diabetes"].folder == Path("data/diabetes")
    assert datasets["turned"].section.rotate == [0.0, 15.0, 30.5]
    assert (datasets["diabetes"].section.seed, datasets["digits"].section.seed) == (
        0,
        3,
    )


def test_metric_of_a_dataset_is_its_own_or_the_first_of_its_task(plan_of) -> None:
    datasets = plan_of(SOUND).datasets
    assert (datasets["diabetes"].metric, datasets["diabetes"].mode) == ("mse", "min")
    assert (datasets["digits"].metric, datasets["digits"].mode) == ("log_loss", "min")


def test_sound_file_gives_studies_with_configuration_and_search(plan_of) -> None:
    ridge, plain, bare, usual = plan_of(SOUND).experiments["diabetes"]
    assert ridge.family == plain.family == family("ridge")
    assert ridge.space == {"alpha": LogUniform(1e-3, 1)}
    assert (ridge.section.trials, plain.section.trials, plain.section.seeds) == (
        20,
        1,
        1,
    )
    assert (plain.config.alpha, plain.space) == (1e-3, {})
    assert (bare.config.alpha, bare.space) == (family("ridge").Config().alpha, {})
    assert set(usual.space) == {"alpha", "standardize"}
    assert plain.folder == Path("experiments/diabetes/plain")
    assert plain.dataset.name == "diabetes"


def test_study_without_a_block_is_the_family_by_default(plan_of) -> None:
    (only,) = plan_of(SOUND).experiments["digits"]
    assert only.family.name == only.name == "softmax_regression"
    assert only.config == only.family.Config()


@pytest.mark.parametrize("number", ["1e-3", "1.0e-3", "0.001", "1E-3", "+1e-3"])
def test_number_with_an_exponent_reads_as_a_number(plan_of, number: str) -> None:
    plan = plan_of(study(f"{{config: {{alpha: {number}}}}}"))
    assert plan.experiments["d"][0].config.alpha == 1e-3


def test_domain_is_named_as_its_number_is_written_shortest() -> None:
    assert [domain_name(each) for each in (75, 75.0, 30.5, "75", "art")] == [
        "75",
        "75",
        "30.5",
        "75",
        "art",
    ]


def test_numbers_that_differ_name_different_domains() -> None:
    values = [1000001, 1000002, 1000001.5, 2**53 + 1, float(2**53), 0.1, 0.1 + 1e-16]
    assert len({domain_name(each) for each in values}) == len(values)
    assert domain_name(1000001.0) == "1000001"
    assert domain_name("0.10") != domain_name("0.1")
    assert domain_name(pd.Timestamp("2020-01-02")) == "2020-01-02"


@pytest.mark.skipif("erm" not in families(), reason="the family erm is not there yet")
def test_study_of_domains_names_its_test_domains(plan_of) -> None:
    datasets = "datasets: {domains: {d: {source: s, rotate: [0, 15.0]}}}\n"
    plan = plan_of(datasets + "experiments: {d: {erm: {test_domains: [15, x]}}}")
    assert plan.experiments["d"][0].test_domains == ["15", "x"]


# Unknown keys, at every depth


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            DATASET + "experiments: {}\nexperimints: {}",
            "experimints: unknown key; nearest: experiments",
        ),
        (
            "datasets: {tabels: {d: {source: s}}}\nexperiments: {}",
            "datasets.tabels: unknown key; nearest: tables",
        ),
        (
            "datasets: {tables: {d: {source: s, task: regression, sed: 1}}}\n"
            "experiments: {}",
            "datasets.tables.d.sed: unknown key; nearest: seed",
        ),
        (
            "datasets: {domains: {d: {source: s, rotates: [1, 2]}}}\nexperiments: {}",
            "datasets.domains.d.rotates: unknown key; nearest: rotate",
        ),
        (
            "datasets: {cooccurrence: {d: {source: s, windw: 3}}}\nexperiments: {}",
            "datasets.cooccurrence.d.windw: unknown key; nearest: window",
        ),
        (
            DATASET.replace("d:", "diabetes:") + "experiments: {diabets: {ridge: {}}}",
            "experiments.diabets: unknown dataset; nearest: diabetes",
        ),
        (
            DATASET.replace("d:", "diabetes:") + "experiments: {diabets: {}}",
            "experiments.diabets: unknown dataset; nearest: diabetes",
        ),
        (
            DATASET + "experiments: {d: {rigde: {}}}",
            "experiments.d.rigde: unknown family 'rigde'; nearest: ridge",
        ),
        (
            study("{family: rigde}"),
            "experiments.d.ridge: unknown family 'rigde'; nearest: ridge",
        ),
        (
            study("{trails: 3}"),
            "experiments.d.ridge.trails: unknown key; nearest: trials",
        ),
        (
            study("{resources: {gpus: 1}}"),
            "experiments.d.ridge.resources.gpus: unknown key; nearest: gpu",
        ),
        *(
            (
                study(f"{{resources: {{gpu: {gpu}}}}}"),
                "experiments.d.ridge.resources.gpu: expected 1 or a fraction of 1: a "
                f"family trains on one GPU, got {gpu}",
            )
            for gpu in (1.5, 2.0)
        ),
        (
            study("{early_stopping: {grase: 1}}"),
            "experiments.d.ridge.early_stopping.grase: unknown key; nearest: grace",
        ),
        (
            study("{config: {alhpa: 1}}"),
            "experiments.d.ridge.config.alhpa: unknown key; nearest: alpha",
        ),
        (
            study("{search: {alhpa: {uniform: [0, 1]}}}"),
            "experiments.d.ridge.search.alhpa: unknown key; nearest: alpha",
        ),
        (
            study("{search: {alhpa: null}}"),
            "experiments.d.ridge.search.alhpa: unknown key; nearest: alpha",
        ),
        (
            study("{search: {alpha: {unifrom: [0, 1]}}}"),
            "experiments.d.ridge.search.alpha: unknown distribution 'unifrom'; "
            "nearest: uniform",
        ),
        (
            "datasets: {tables: {d: {source: s, task: regression, metric: mes}}}\n"
            "experiments: {}",
            "datasets.tables.d.metric: unknown metric 'mes'; nearest: mse",
        ),
    ],
)
def test_unknown_key_is_given_with_the_nearest_name(problems_of, text, line) -> None:
    assert problems_of(text) == [line]


# Wrong types and values out of range


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("source: 3", "source: expected a valid string, got 3"),
        (
            "task: regresion",
            "task: expected binary_density or classification or clustering or condi",
        ),
        ("seed: -1", "seed: expected greater than or equal to 0, got -1"),
        ("seed: 1.5", "seed: expected a valid integer, got 1.5"),
        ("valid_fraction: 1", "valid_fraction: expected less than 1, got 1"),
        ("test_fraction: 0", "test_fraction: expected greater than 0, got 0"),
        ("test_fraction: half", "test_fraction: expected a valid number, got 'half'"),
        ("read: {decimls: 1}", "read.decimls: unknown key; nearest: decimal"),
        ("read: {decimal: x}", "read.decimal: expected '.' or ',' or keys with values"),
        ("read: {encoding: x}", "read.encoding: unknown encoding 'x'"),
        ("sha256: abc", "sha256: expected text that matches '^[0-9a-f]{64}$', got "),
    ],
)
def test_wrong_field_of_a_dataset_is_named(
    problems_of, field: str, expected: str
) -> None:
    sound = {"source": "source: s", "task": "task: regression"}
    fields = ", ".join({**sound, field.partition(":")[0]: field}.values())
    text = f"datasets: {{tables: {{d: {{{fields}}}}}}}\nexperiments: {{}}"
    (line,) = problems_of(text)
    assert line.startswith(f"datasets.tables.d.{expected}")


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("{trials: two}", "trials: expected a valid integer, got 'two'"),
        ("{trials: 0}", "trials: expected greater than or equal to 1, got 0"),
        ("{trials: true}", "trials: expected a valid integer, got True"),
        ("{seeds: 0}", "seeds: expected greater than or equal to 1, got 0"),
        ("{config: 3}", "config: expected keys with values, got 3"),
        ("{config: [alpha]}", "config: expected keys with values, got ['alpha']"),
        ("{search: 3}", "search: expected keys with values, got 3"),
        ("{resources: 2}", "resources: expected keys with values, got 2"),
        ("{resources: {cpu: 0}}", "resources.cpu: expected greater than 0, got 0"),
        (
            "{resources: {cpu: 1.e+308}}",
            "resources.cpu: expected less than or equal to 4096, got 1e+308",
        ),
        (
            "{resources: {cpu: .nan}}",
            "resources.cpu: expected a finite number, got nan",
        ),
        (
            "{resources: {cpu: .inf}}",
            "resources.cpu: expected a finite number, got inf",
        ),
        (
            "{early_stopping: {reduction_factor: 1}}",
            "early_stopping.reduction_factor: ",
        ),
        ("{report_every: 0}", "report_every: expected greater than or equal to 1"),
        ("{config: {alpha: -1}}", "config.alpha: expected greater than or equal to 0"),
        ("{config: {alpha: .nan}}", "config.alpha: expected a finite number, got nan"),
        (
            "{config: {alpha: '1e-3'}}",
            "config.alpha: expected a valid number, got '1e-3'",
        ),
        (
            "{config: {standardize: yes}}",
            "config.standardize: expected a valid boolean",
        ),
        (
            "{search: {alpha: {uniform: [-1, 1]}}}",
            "search.alpha: expected greater than",
        ),
        ("{search: {alpha: {uniform: [2, 1]}}}", "search.alpha: expected low < high"),
        ("{search: {alpha: 3}}", "search.alpha: expected one of {uniform: [...]}"),
        ("{search: {seed: {integers: [0, 3]}}}", "search.seed: unknown key"),
    ],
)
def test_wrong_field_of_a_study_is_named(
    problems_of, block: str, expected: str
) -> None:
    (line,) = problems_of(study(block))
    assert line.startswith(f"experiments.d.ridge.{expected}")


def test_key_that_is_fixed_and_searched_is_a_problem(problems_of) -> None:
    block = "{trials: 2, config: {alpha: 1}, search: {alpha: {uniform: [0, 1]}}}"
    (line,) = problems_of(study(block))
    assert line.startswith("experiments.d.ridge.search.alpha: also fixed under config")


def test_value_of_several_types_is_one_problem(problems_of) -> None:
    text = """
datasets: {domains: {d: {source: s, rotate: [0, 15]}}}
experiments: {d: {ridge: {test_domains: [[1]]}}}
"""
    line, _ = problems_of(text)
    assert line == (
        "experiments.d.ridge.test_domains.0: expected a valid string or "
        "a valid integer or a valid number, got [1]"
    )


def test_missing_fields_are_named(problems_of) -> None:
    text = "datasets: {tables: {d: {}}}\nexperiments: {}"
    assert problems_of(text) == [
        "datasets.tables.d.source: missing",
        "datasets.tables.d.task: missing",
    ]
    assert problems_of("datasets: {}") == ["experiments: missing"]


def test_name_that_reads_as_a_number_must_stand_in_quotes(problems_of) -> None:
    text = "datasets: {tables: {2020: {source: s, task: regression}}}\nexperiments: {}"
    (line,) = problems_of(text)
    assert line == "datasets.tables.2020: expected a name, got 2020; put it in quotes"


def test_blocks_that_are_no_blocks_are_named(problems_of) -> None:
    lines = problems_of("datasets: {tables: 3}\nexperiments: [1]")
    assert lines == [
        "datasets.tables: expected keys with values, got 3",
        "experiments: expected keys with values, got [1]",
    ]


# What does not fit together


def test_family_of_another_task_than_the_dataset_is_a_problem(problems_of) -> None:
    text = DATASET + "experiments: {d: {softmax_regression: {}}}"
    assert problems_of(text) == [
        "experiments.d.softmax_regression: family softmax_regression is for "
        "classification, dataset d for regression"
    ]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            "source: 'file:a', rotate: [0, 15], label: y",
            "label: for a table, not for ro",
        ),
        ("source: 'file:a.csv'", "domain: missing; a table needs it, and grey images"),
        (
            "source: 'sklearn:wine'",
            "domain: missing; a table needs it, and grey images",
        ),
        ("source: 'file:pacs', label: y", "label: for a table, not for folders of ima"),
        (
            "source: 'file:a', domain: d, n_domains: 3",
            "n_domains: for made:sprites, no",
        ),
        ("source: 'made:sprites', rotate: [0, 15]", "rotate: for rotated images, no"),
        (
            "source: 'made:sprites', sha256: " + "a" * 64,
            "sha256: for files, not for ge",
        ),
        (
            "source: 'made:pitfalls', image_size: [8, 8]",
            "image_size: for folders of im",
        ),
        (
            "source: 'made:sprite'",
            "source: unknown 'made:sprite'; nearest: made:sprites",
        ),
        (
            "source: 'made:sprites', colour_agreement: 2",
            "colour_agreement: expected le",
        ),
        ("source: 'file:pacs', image_size: [8]", "image_size.1: missing"),
        (
            "source: 'file:pacs', image_size: [8, 0]",
            "image_size.1: expected greater th",
        ),
    ],
)
def test_field_that_the_source_of_domains_does_not_use_is_named(
    problems_of, fields: str, expected: str
) -> None:
    text = f"datasets: {{domains: {{d: {{{fields}}}}}}}\nexperiments: {{}}"
    (line,) = problems_of(text)
    assert line.startswith(f"datasets.domains.d.{expected}")


@pytest.mark.parametrize(
    "fields",
    [
        "source: 'file:mnist', rotate: [0, 15]",
        "source: 'file:pacs'",
        "source: 'pypi:pacs==1/pacs/*/*/*', image_size: [32, 48]",
        "source: 'https://host/table', domain: d, label: y",
        "source: 'made:pitfalls', n_per_domain: 100",
        "source: 'made:sprites', n_domains: 45, n_per_domain: 500",
        "source: 'made:sprites', colour_agreement: 1, image_size: [24, 24]",
    ],
)
def test_source_of_domains_has_the_fields_of_its_form(plan_of, fields: str) -> None:
    text = f"datasets: {{domains: {{d: {{{fields}}}}}}}\nexperiments: {{}}"
    assert plan_of(text).datasets["d"].section.validation_errors() == []


@pytest.mark.parametrize("stage", ["domains", "tables"])
def test_test_domains_stand_with_datasets_of_domains_and_only_there(
    problems_of, stage
) -> None:
    domains = "datasets: {domains: {d: {source: s, rotate: [0, 15]}}}\nexperiments: "
    if stage == "domains":
        text, expected = domains + "{d: {ridge: {}}}", "missing"
    else:
        text, expected = study("{test_domains: [a]}"), "only for a dataset of domains"
    assert problems_of(text)[-1] == f"experiments.d.ridge.test_domains: {expected}"


@pytest.mark.parametrize("domains", ["[]", "null"])
def test_empty_test_domains_are_one_problem(problems_of, domains: str) -> None:
    text = f"""
datasets: {{domains: {{d: {{source: s, rotate: [0, 15]}}}}}}
experiments: {{d: {{ridge: {{test_domains: {domains}}}}}}}
"""
    lines = [line for line in problems_of(text) if "test_domains" in line]
    assert len(lines) == 1


def test_wrong_field_does_not_make_test_domains_look_missing(problems_of) -> None:
    text = """
datasets: {domains: {d: {source: s, rotate: [0, 15]}}}
experiments: {d: {ridge: {trials: two, test_domains: [15]}}}
"""
    assert not [line for line in problems_of(text) if "test_domains" in line]


def test_a_dataset_cannot_have_the_name_of_the_claims(problems_of) -> None:
    text = """
datasets: {tables: {claims: {source: s, task: regression}}}
experiments: {}
"""
    assert problems_of(text) == [
        "datasets.tables.claims: the MLflow experiment of the claims has this name; "
        + RULE
    ]


def test_the_claims_of_a_chapter_have_a_seed_and_a_budget(problems_of) -> None:
    claims = "{linear: {seed: -1, budgets: large}, liner: {}}"
    text = f"datasets: {{}}\nexperiments: {{}}\nclaims: {claims}\n"
    assert problems_of(text) == [
        "claims.linear.seed: expected greater than or equal to 0, got -1",
        "claims.linear.budgets: unknown key; nearest: budget",
        "claims.liner: unknown chapter; nearest: linear",
    ]


def test_a_seed_of_all_claims_is_refused_with_its_place(problems_of) -> None:
    problems = problems_of("datasets: {}\nexperiments: {}\nclaims: {seed: 0}\n")
    assert problems[-1].endswith("; seed and budget are keys of a chapter")


def test_two_stages_cannot_make_one_dataset(problems_of) -> None:
    text = """
datasets:
  tables: {d: {source: s, task: regression}}
  domains: {d: {source: s, rotate: [0, 15]}}
experiments: {}
"""
    assert problems_of(text) == [
        "datasets.domains.d: another stage prepares a dataset of this name"
    ]


@pytest.mark.parametrize("block", ["config: {alpha: 1}", "search: {alpha: null}"])
def test_trials_without_anything_to_search_are_a_problem(
    problems_of, block: str
) -> None:
    (line,) = problems_of(study(f"{{trials: 2, {block}}}"))
    assert line == "experiments.d.ridge.trials: 2 trials, but nothing to search"


@pytest.mark.parametrize(
    ("fractions", "line"),
    [
        ("[0.5, 1.0]", "learning_curve.1: expected less than 1, got 1.0"),
        ("[0]", "learning_curve.0: expected greater than 0, got 0"),
        ("5", "learning_curve: expected a valid list, got 5"),
    ],
)
def test_fractions_of_a_learning_curve_lie_between_none_and_all(
    problems_of, fractions: str, line: str
) -> None:
    (found,) = problems_of(study(f"{{learning_curve: {fractions}}}"))
    assert found == f"experiments.d.ridge.{line}"


def test_trials_of_a_grid_alone_are_a_problem(problems_of) -> None:
    (line,) = problems_of(study("{trials: 2, search: {alpha: {grid: [0.1, 1.0]}}}"))
    assert line == "experiments.d.ridge.trials: 2 trials, but a grid is tried once"


def test_every_problem_of_a_file_comes_at_once(problems_of) -> None:
    lines = problems_of("""
extra: 1
datasets:
  tables:
    d: {source: 3, task: regression, test_fraction: 2}
    e: {source: s, task: regression}
  pictures: {}
experiments:
  e:
    ridge: {trials: none, config: {alhpa: 1, standardize: 3}, resources: {gpus: 1}}
    rigde: {}
  f: {}
""")
    keys = [line.partition(": ")[0] for line in lines]
    assert sorted(keys) == [
        "datasets.pictures",
        "datasets.tables.d.source",
        "datasets.tables.d.test_fraction",
        "experiments.e.ridge.config.alhpa",
        "experiments.e.ridge.config.standardize",
        "experiments.e.ridge.resources.gpus",
        "experiments.e.ridge.trials",
        "experiments.e.rigde",
        "experiments.f",
        "extra",
    ]


# Files that cannot be read


def refusal(path: Path) -> str:
    with pytest.raises(ParamsError) as caught:
        read_params(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_missing_file_is_named_with_where_to_stand(tmp_path: Path) -> None:
    message = refusal(tmp_path / "params.yaml")
    assert message.endswith("params.yaml: no such file; run from the project's root")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "not valid YAML: while parsing a flow sequence"),
        ("a: 1\n b: 2", "not valid YAML: "),
        ("datasets: {}\ndatasets: {}", 'found duplicate key "datasets"'),
        (study("{trials: 2, trials: 3}"), 'found duplicate key "trials"'),
        ("", "expected datasets: and experiments:, got an empty file"),
        ("# only this", "expected datasets: and experiments:, got an empty file"),
        ("- 1", "expected datasets: and experiments:, got a list"),
    ],
)
def test_file_that_is_not_params_is_refused_in_one_line(
    tmp_path, text, message
) -> None:
    (tmp_path / "params.yaml").write_text(text)
    refused = refusal(tmp_path / "params.yaml")
    assert "params.yaml: " in refused
    assert message in refused
    assert "To suppress" not in refused


def test_file_of_other_bytes_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes(b"\xff\xfe\x00\x81")
    assert "not valid YAML" in refusal(tmp_path / "params.yaml")


def test_distributions_of_params_replace_those_of_the_family(plan_of) -> None:
    block = "{trials: 2, search: {alpha: {uniform: [0, 1]}}}"
    assert plan_of(study(block)).experiments["d"][0].space == {"alpha": Uniform(0, 1)}
    text = DATASET.replace("regression", "classification") + (
        "experiments: {d: {softmax_regression: "
        "{trials: 2, search: {n_iterations: {integers: [1, 9]}}}}}"
    )
    space = plan_of(text).experiments["d"][0].space
    own = LogUniform(1e-6, 1e0)
    assert space == {"alpha": own, "n_iterations": Integers(1, 9)}


EACH = """
datasets: {{domains: {{d: {{source: s, rotate: [0, 15]{baseline}}}}}}}
experiments: {{d: {{erm: {study}}}}}
"""


def test_each_domain_can_be_left_out_in_turn(plan_of) -> None:
    plan = plan_of(EACH.format(baseline="", study="{test_domains: each}"))
    (study,) = plan.experiments["d"]
    assert study.test_domains == ["each"]
    assert study.section.selections == ["validation"]


@pytest.mark.parametrize(
    ("baseline", "study", "expected"),
    [
        ("", "{test_domains: eahc}", "erm.test_domains: expected a valid list"),
        (
            "",
            "{test_domains: each, selections: [oracel]}",
            "erm.selections.0: expected 'validation', 'leave_one_domain_out' or",
        ),
        (
            "",
            "{test_domains: each, selections: [oracle, oracle]}",
            "erm.selections: a selection is named twice",
        ),
        (", baseline: em", "{test_domains: each}", "d.baseline: no study 'em' of this"),
    ],
)
def test_what_is_wrong_with_the_protocol_is_named(
    problems_of, baseline: str, study: str, expected: str
) -> None:
    (line,) = problems_of(EACH.format(baseline=baseline, study=study))
    assert expected in line


def test_selections_that_need_domains_are_for_datasets_of_domains(problems_of) -> None:
    (line,) = problems_of(study("{selections: [oracle]}"))
    assert line == "experiments.d.ridge.selections: only for a dataset of domains"


def test_a_study_cannot_have_the_name_of_the_comparison(problems_of) -> None:
    text = study("{}").replace("ridge: {}", "comparison: {family: ridge}")
    (line,) = problems_of(text)
    assert line.endswith(f"the name of a study cannot be comparison; {RULE}")


def test_a_file_that_a_configuration_names_must_be_there(
    plan_of, problems_of, tmp_path: Path
) -> None:
    weights = tmp_path / "weights.safetensors"
    block = f"{{network: resnet18, pretrained: {weights}}}"
    text = EACH.format(baseline="", study=f"{{test_domains: each, config: {block}}}")
    (line,) = problems_of(text)
    assert line == f"experiments.d.erm.config.pretrained: no file '{weights}'"
    weights.write_bytes(b"")
    (study,) = plan_of(text).experiments["d"]
    assert study.config.pretrained == str(weights)


def test_cross_validation_is_for_tables(plan_of, problems_of) -> None:
    (line,) = problems_of(EACH.format(baseline="", study="{test_domains: each, cv: 5}"))
    assert line == "experiments.d.erm.cv: only for a dataset of tables"
    assert plan_of(study("{cv: 5}")).experiments["d"][0].section.cv == 5
    (line,) = problems_of(study("{cv: 1}"))
    assert "cv: expected" in line


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("task: regression, target: null", "target: regression needs a column"),
        (
            "task: density, features: [a, target]",
            "features: contains target, the target",
        ),
        (
            "task: density, scale: true, binarize: 1.0",
            "scale: cannot be combined with binarize",
        ),
    ],
)
def test_fields_of_a_table_that_do_not_fit_are_named(
    problems_of, fields: str, expected: str
) -> None:
    text = f"datasets: {{tables: {{d: {{source: s, {fields}}}}}}}\nexperiments: {{}}"
    (line,) = problems_of(text)
    assert line.startswith(f"datasets.tables.d.{expected}")


def test_density_of_real_rows_is_refused_on_binary_ones(problems_of) -> None:
    text = (
        "datasets: {tables: {d: {source: s, task: binary_density}}}\n"
        "experiments: {d: {kde: {}}}"
    )
    expected = "family kde is for density, dataset d for binary_density"
    assert problems_of(text) == [f"experiments.d.kde: {expected}"]


def test_wrong_task_is_named_with_the_nearest_and_with_all_other_problems(
    problems_of,
) -> None:
    lines = problems_of("""
datasets:
  tables:
    a: {source: s, task: regresion, test_fraction: 2}
    b: {source: s, task: language_model}
    c: {source: s, task: 3}
  images:
    i: {source: s, task: regression}
experiments: {}
""")
    keys = [line.partition(": ")[0] for line in lines]
    assert keys == [
        "datasets.tables.a.test_fraction",
        "datasets.tables.a.task",
        "datasets.tables.b.task",
        "datasets.tables.c.task",
        "datasets.images.i.task",
    ]
    assert lines[1].endswith("got 'regresion'; nearest: regression")
    assert "expected a valid string" in lines[3]
    assert lines[4].startswith(
        "datasets.images.i.task: expected classification or generation or "
        "representation, got 'regression'"
    )


TWO_KINDS = """
datasets:
  tables: {t: {source: "sklearn:digits", task: classification}}
  images: {i: {source: "sklearn:digits"}}
experiments: {experiments}
"""


def test_family_says_which_data_kinds_it_takes(plan_of, problems_of) -> None:
    sound = "{t: {mlp: {}, softmax_regression: {}}, i: {mlp: {}, lenet: {}}}"
    plan = plan_of(TWO_KINDS.replace("{experiments}", sound))
    assert {d.task for d in plan.datasets.values()} == {"classification"}
    faulty = "{t: {lenet: {}}, i: {softmax_regression: {}}}"
    assert problems_of(TWO_KINDS.replace("{experiments}", faulty)) == [
        "experiments.t.lenet: family lenet is trained on Images, "
        "dataset t is of the kind Table",
        "experiments.i.softmax_regression: family softmax_regression is trained on "
        "Table, dataset i is of the kind Images",
    ]
