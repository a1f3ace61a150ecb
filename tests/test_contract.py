"""What every family keeps, checked over all, and proof that each check can fail.

A check takes a Family, so that broken ones, made at the end, can be given too.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import itertools
import json
import math
import random
import re
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pytest
import safetensors.numpy
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from pydantic import Field
from ruamel.yaml import YAML

import ftml
from ftml import saving
from ftml.config import FamilyConfig, LogUniform, read_config, search_space
from ftml.core import Family, Step, families, family, read_family
from ftml.data import Domains, Splits, Table, sequences
from ftml.plots import empty_figure, new_figure
from ftml.tasks import task, tasks
from pipelines.params.kinds import KINDS, DataKind
from pipelines.params.read import data_kinds, read_params
from tests.conftest import modules_imported_by

COUNT = 4
"Steps that a check looks at: enough for a start, a middle and an end."


# Small data of every data kind


def small_data(
    task_name: str, n_classes: int | None = None, *, kind: type | None = None
) -> Splits:
    """Return three tiny splits, always the same, for families of this task.

    `n_classes` leaves the rows of only the first so many classes. `kind`: the data kind
    where it is not the first that the task accepts.
    """
    if task_name not in tasks():
        raise ValueError(
            f"no small data for the task {task_name}: no module of ftml.tasks has this "
            "name"
        )
    wanted = kind or task(task_name).DATA[0]
    (record,) = (each for each in KINDS if each.data is wanted)
    data = record.small(task_name)
    if n_classes is None:
        return data
    return Splits(*(_first_classes(part, n_classes) for part in vars(data).values()))


def _first_classes(table: Table, n_classes: int) -> Table:
    kept = table.rows(table.y < n_classes)
    return dataclasses.replace(kept, classes=table.classes[:n_classes])


# How the checks train and compare


def whole_data(kind: Family) -> Splits:
    (only,) = kind.data if kind.data and len(kind.data) == 1 else (None,)
    if kind.chapter == "text" and kind.task == "classification":
        return sequences.small_texts()
    return small_data(kind.task, kind.n_classes, kind=only)


def data_of(kind: Family) -> Splits:
    return whole_data(kind).without_test()


def steps(
    kind: Family, data: Splits, state: Any = None, *, count: int = COUNT, seed: int = 0
) -> Iterator[Step]:
    """Yield the first steps of the default configuration, so few that it stays fast."""
    return itertools.islice(kind.train(kind.Config(seed=seed), data, state), count)


def content(tree: Any) -> tuple[bytes, bytes]:
    """Return a tree in the form that it is saved in: equal bytes are equal trees."""
    arrays: dict[str, np.ndarray] = {}
    encoded = saving._encode(tree, arrays)
    return json.dumps(encoded).encode(), safetensors.numpy.save(arrays)


def loaded(saved: tuple[bytes, bytes]) -> Any:
    """Return the tree of this content, as a new process loads it."""
    tree, arrays = saved
    copies = {k: v.copy() for k, v in safetensors.numpy.load(arrays).items()}
    return saving._decode(json.loads(tree), copies)


def fields_of(value: Any) -> dict[str, Any]:
    return {
        field.name: getattr(value, field.name) for field in dataclasses.fields(value)
    }


def step_content(step: Step) -> tuple[Any, ...]:
    """Return a step as a value that nothing can change any more."""
    return (
        step.n,
        content(dict(step.metrics)),
        content(fields_of(step.model)),
        content(step.state),
    )


def run_content(
    kind: Family, data: Splits, **options: Any
) -> tuple[tuple[Any, ...], ...]:
    return tuple(step_content(step) for step in steps(kind, data, **options))


@dataclass(frozen=True)
class Recorded:
    """What the first steps of a training have been, as values that nothing changes."""

    n: tuple[int, ...]
    metrics: tuple[dict[str, Any], ...]
    models: tuple[Any, ...]
    content: tuple[tuple[Any, ...], ...]


@functools.cache
def recorded(kind: Family) -> Recorded:
    """Return the first steps of seed 0, which most checks compare theirs to; trained
    once in a process.
    """
    found = [(step, step_content(step)) for step in steps(kind, data_of(kind))]
    return Recorded(
        n=tuple(step.n for step, _ in found),
        metrics=tuple(dict(step.metrics) for step, _ in found),
        models=tuple(step.model for step, _ in found),
        content=tuple(each for _, each in found),
    )


def data_content(data: Splits) -> list[tuple[bytes, bytes] | None]:
    return [
        None if part is None else content(fields_of(part))
        for part in vars(data).values()
    ]


def read_only(data: Splits) -> Splits:
    """Return a copy of the data whose arrays refuse to be written to."""
    data = copy.deepcopy(data)
    for part in vars(data).values():
        for value in vars(part).values() if part is not None else ():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
    return data


# The checks


def default_configuration_is_valid_and_survives_json(kind: Family) -> None:
    config = kind.Config()
    assert isinstance(config, FamilyConfig)
    assert read_config(kind.Config, config.model_dump(mode="json")) == config


def every_field_of_the_configuration_is_described(kind: Family) -> None:
    bare = [
        name
        for name, field in kind.Config.model_fields.items()
        if not field.description
    ]
    assert not bare, f"fields without a docstring: {', '.join(bare)}"


def every_sample_of_the_search_space_is_a_valid_configuration(kind: Family) -> None:
    space = search_space(kind.Config)
    rng = np.random.default_rng(0)
    drawn = [
        {name: each.sample(rng) for name, each in space.items()} for _ in range(50)
    ]
    ends = [{name: end} for name, each in space.items() for end in each.ends()]
    for values in drawn + ends:
        try:
            read_config(kind.Config, values)
        except ValueError as error:
            raise AssertionError(f"{values} is refused: {error}") from None


def its_task_exists_and_scores_it(kind: Family) -> None:
    scored = task(kind.task)
    metrics = scored.evaluate(recorded(kind).models[0], whole_data(kind).test)
    expected = set(scored.METRICS) - set(getattr(scored, "PARTIAL", ()))
    assert expected <= set(metrics)
    assert all(math.isfinite(value) for value in metrics.values()), metrics


def metrics_are_finite_floats_of_the_training_split(kind: Family) -> None:
    keys = set()
    for metrics in recorded(kind).metrics:
        assert metrics, "a step without metrics"
        for key, value in metrics.items():
            assert key.startswith("train_"), f"{key} does not begin with train_"
            assert isinstance(value, float), f"{key} is a {type(value).__name__}"
            assert math.isfinite(value), f"{key} is {value}"
        keys.add(frozenset(metrics))
    assert len(keys) == 1, "the steps have different metrics"


def steps_are_counted_from_one(kind: Family) -> None:
    counted = recorded(kind).n
    assert counted == tuple(range(1, len(counted) + 1))
    assert counted, "training yields no step"


def steps_hold_a_model_of_the_family(kind: Family) -> None:
    for model in recorded(kind).models:
        assert isinstance(model, kind.Model)


def same_seed_gives_the_same_model(kind: Family) -> None:
    data = data_of(kind)
    assert run_content(kind, data, seed=7) == run_content(kind, data, seed=7)


def training_neither_reads_nor_moves_the_global_generators(kind: Family) -> None:
    data, expected = data_of(kind), recorded(kind).content
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        random.seed(1)
        np.random.seed(1)
        torch.manual_seed(1)
        started = _global_state()
        found = run_content(kind, data)
        assert _global_state() == started, "a global generator was moved or seeded"
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])
    assert found == expected, "the model depends on a global generator"


def _global_state() -> tuple[Any, ...]:
    name, keys, *rest = np.random.get_state()
    torch_state = torch.get_rng_state().numpy().tobytes()
    return random.getstate(), name, keys.tobytes(), *rest, torch_state


def resumed_training_equals_uninterrupted_training(kind: Family) -> None:
    data, whole = data_of(kind), recorded(kind).content
    ended = len(whole) < COUNT
    for n, (*_, saved) in enumerate(whole, start=1):
        state = loaded(saved)
        # Where training has ended, one step more is asked for: there must be none.
        rest = run_content(kind, data, state=state, count=COUNT - n + ended)
        assert rest == whole[n:], f"resumed after step {n}, training goes another way"


def the_state_to_resume_from_is_not_changed(kind: Family) -> None:
    data = data_of(kind)
    for n, *_, saved in recorded(kind).content[:2]:
        state = loaded(saved)
        list(steps(kind, data, state=state, count=2))
        assert content(state) == saved, f"the state of step {n} was changed"


def inputs_are_not_changed(kind: Family) -> None:
    data = read_only(data_of(kind))
    config, before = kind.Config(seed=0), data_content(data)
    kept = config.model_dump()
    torch.set_warn_always(
        True
    )  # or torch says only once that it was given a read-only array
    try:
        made = itertools.islice(kind.train(config, data, None), COUNT)
        found = tuple(step_content(step) for step in made)
    except ValueError as error:
        if "read-only" not in str(error):
            raise
        pytest.fail(f"training writes to its data: {error}")
    finally:
        torch.set_warn_always(False)
    assert data_content(data) == before, "training changed its data"
    assert config.model_dump() == kept, "training changed its configuration"
    assert found == recorded(kind).content


def a_yielded_step_does_not_change_when_training_goes_on(kind: Family) -> None:
    kept, before = [], []
    with warnings.catch_warnings():
        # torch warns of a read-only array that it is given to read.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writ")
        try:
            for step in steps(kind, data_of(kind)):
                kept.append(step)
                before.append((step_content(step), versions(step)))
                make_read_only(step)
        except ValueError as error:
            if "read-only" not in str(error):
                raise
            pytest.fail(f"training writes to the model of step {len(kept)}: {error}")
    for step, then in zip(kept, before, strict=True):
        assert (step_content(step), versions(step)) == then, (
            f"step {step.n} changed after its yield"
        )


def parts_of(tree: Any, kind: type) -> Iterator[Any]:
    """Yield the arrays or tensors of a model or a state."""
    if isinstance(tree, kind):
        yield tree
    elif isinstance(tree, dict | list | tuple):
        for part in tree.values() if isinstance(tree, dict) else tree:
            yield from parts_of(part, kind)
    elif dataclasses.is_dataclass(tree):
        yield from parts_of(fields_of(tree), kind)


def versions(step: Step) -> list[int]:
    """Return how often each tensor of a step's model has been written to."""
    return [tensor._version for tensor in parts_of(step.model, torch.Tensor)]


def make_read_only(step: Step) -> None:
    """Make the arrays of a step's model refuse to be written to."""
    for array in parts_of(step.model, np.ndarray):
        array.flags.writeable = False


def it_trains_on_the_data_of_the_final_fit(kind: Family) -> None:
    list(steps(kind, whole_data(kind).for_final_fit()))


def it_does_not_look_at_the_test_split(kind: Family) -> None:
    data = whole_data(kind)
    assert run_content(kind, data) == recorded(kind).content


def a_saved_and_loaded_model_is_the_same(kind: Family) -> None:
    scored, data = task(kind.task), whole_data(kind)
    config = kind.Config(seed=3)
    (step,) = itertools.islice(kind.train(config, data.without_test(), None), 1)
    with tempfile.TemporaryDirectory() as folder:
        saving.save(Path(folder) / "model", step.model, config)
        predictor = saving.load(Path(folder) / "model")
    loaded, loaded_config = predictor.model, predictor.config
    assert type(loaded) is type(step.model)
    assert loaded_config == config
    assert content(fields_of(loaded)) == content(fields_of(step.model))
    assert scored.evaluate(loaded, data.test) == scored.evaluate(step.model, data.test)
    frame = scored.example(data.test)
    served = scored.serve(loaded, frame)
    assert len(served) == len(frame)
    pd.testing.assert_frame_equal(
        served, scored.serve(step.model, frame), check_exact=True
    )


def it_cites_its_source(kind: Family) -> None:
    assert len(kind.source) >= 10, f"its source says only {kind.source!r}"


def its_figures_and_those_of_its_task_render(kind: Family) -> None:
    data, model = whole_data(kind), recorded(kind).models[-1]
    drawn = dict(task(kind.task).figures(model, data.test))
    if kind.figures is not None:
        own = kind.figures(kind.Config(), model, data.for_final_fit())
        assert not set(own) & set(drawn), "the task has a figure of that name"
        drawn = drawn | own if is_first_of_its_task(kind) else dict(own)
    elif not is_first_of_its_task(kind):
        return
    for name, figure in drawn.items():
        figure.dpi = 30
        canvas = FigureCanvasAgg(figure)
        canvas.draw()  # once; `savefig` draws twice
        assert np.ptp(np.asarray(canvas.buffer_rgba())[..., :3]) > 0, f"{name} is blank"


def is_first_of_its_task(kind: Family) -> bool:
    """Return whether no family before this one in its chapter has its task.

    The figures of a task are made for every family, but drawn, which takes five times
    as long, for these only. A family outside the folder is the first.
    """
    chapters = families()
    if kind.name not in chapters:
        return True
    same = [name for name, chapter in chapters.items() if chapter == kind.chapter]
    return kind.name == next(n for n in same if family(n).task == kind.task)


def many_at_once_give_what_each_gives_alone(kind: Family) -> None:
    if kind.train_many is None:
        return
    data = data_of(kind)
    configs = packed_configs(kind)
    alone = [list(steps_of(kind, config, data)) for config in configs]
    many = list(itertools.islice(kind.train_many(configs, data), COUNT))
    assert len(many) == max(len(each) for each in alone)
    for n, together in enumerate(many):
        assert len(together) == len(configs)
        for step, each in zip(together, alone, strict=True):
            assert (step is None) == (n >= len(each)), "a member ends at another step"
            if step is not None:
                assert_close(step, each[n])
    states = [step.state for step in many[0]]
    rest = list(itertools.islice(kind.train_many(configs, data, states), COUNT - 1))
    assert [len([s for s in each if s]) for each in rest] == [
        len([s for s in each if s]) for each in many[1:]
    ]
    for again, together in zip(rest, many[1:], strict=True):
        for one, other in zip(again, together, strict=True):
            if one is not None:
                assert_close(one, other)


def packed_configs(kind: Family) -> list[FamilyConfig]:
    """Return the default and two samples of the search, as the tuner packs them."""
    rng = np.random.default_rng(0)
    space = search_space(kind.Config)
    drawn = [{name: each.sample(rng) for name, each in space.items()} for _ in range(2)]
    return [read_config(kind.Config, values) for values in [{}, *drawn]]


def steps_of(kind: Family, config: FamilyConfig, data: Splits) -> Iterator[Step]:
    return itertools.islice(kind.train(config, data, None), COUNT)


def assert_close(one: Step, other: Step) -> None:
    """Compare two steps; a product of many and one of few round differently.

    Weights in float32 are compared to the precision that a few steps leave of it.
    """
    assert one.n == other.n
    single = is_single(fields_of(one.model))
    rtol, atol = (1e-3, 1e-5) if single else (1e-6, 1e-9)
    assert one.metrics == pytest.approx(other.metrics, rel=rtol, abs=atol)
    compare(fields_of(one.model), fields_of(other.model), rtol=rtol, atol=atol)


def is_single(tree: Any) -> bool:
    """Return whether a tree holds a tensor of float32."""
    if isinstance(tree, dict):
        return any(map(is_single, tree.values()))
    return isinstance(tree, torch.Tensor) and tree.dtype == torch.float32


def compare(one: Any, other: Any, *, rtol: float, atol: float) -> None:
    """Compare two trees of dicts, with arrays, tensors and JSON values in them."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key, value in one.items():
            compare(value, other[key], rtol=rtol, atol=atol)
    elif one is None or isinstance(one, str):
        assert one == other
    else:
        np.testing.assert_allclose(one, other, rtol=rtol, atol=atol)


def its_section_of_params_loads(kind: Family) -> None:
    """Read the section `{family: <name>, trials: 2}` on a dataset that it takes."""
    if not search_space(kind.Config):
        return
    record = next(each for each in KINDS if each.data in data_kinds(kind))
    dataset = {"source": "file:some.csv"}
    if record.section_names_task:
        dataset["task"] = kind.task
    study: dict[str, Any] = {"family": kind.name, "trials": 2}
    if record.data is Domains:
        dataset["domain"] = "place"
        study["test_domains"] = ["some"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "params.yaml"
        sections = {
            "datasets": {record.stage: {"d": dataset}},
            "experiments": {"d": {"s": study}},
        }
        YAML().dump(sections, path)
        (read,) = read_params(path).experiments["d"]
    assert read.family == kind
    assert dict(read.space) == search_space(kind.Config)


CHECKS = (
    default_configuration_is_valid_and_survives_json,
    every_field_of_the_configuration_is_described,
    every_sample_of_the_search_space_is_a_valid_configuration,
    its_task_exists_and_scores_it,
    metrics_are_finite_floats_of_the_training_split,
    steps_are_counted_from_one,
    steps_hold_a_model_of_the_family,
    same_seed_gives_the_same_model,
    training_neither_reads_nor_moves_the_global_generators,
    resumed_training_equals_uninterrupted_training,
    the_state_to_resume_from_is_not_changed,
    inputs_are_not_changed,
    a_yielded_step_does_not_change_when_training_goes_on,
    it_trains_on_the_data_of_the_final_fit,
    it_does_not_look_at_the_test_split,
    it_cites_its_source,
    many_at_once_give_what_each_gives_alone,
)
REGISTERED = (
    a_saved_and_loaded_model_is_the_same,
    its_figures_and_those_of_its_task_render,
    its_section_of_params_loads,
)
"Checks that need the registry, for families in the folder only."


def name_of(check: Callable[[Family], None]) -> str:
    return check.__name__


ONE_WORKER_EACH = [
    pytest.param(name, marks=pytest.mark.xdist_group(f"contract of {name}"))
    for name in families()
]
"All checks of a family run in one process, which trains it once for most of them."


@pytest.mark.parametrize("check", CHECKS + REGISTERED, ids=name_of)
@pytest.mark.parametrize("name", ONE_WORKER_EACH)
def test_family_keeps_the_contract(name: str, check: Callable[[Family], None]) -> None:
    check(family(name))


def test_import_of_the_library_imports_no_heavy_package() -> None:
    heavy = {"torch", "matplotlib", "sklearn", "scipy.stats"}
    assert not heavy & modules_imported_by("ftml")


FORBIDDEN = re.compile(
    r"^\s*(?:import|from)\s+(ray|mlflow|dvc|pipelines)\b", re.MULTILINE
)
"Imports of what the library must not need, anywhere in a module."


def test_no_module_of_the_library_imports_the_pipeline_or_its_tools() -> None:
    root = Path(ftml.__file__).parent
    found = {
        str(path.relative_to(root)): names
        for path in root.rglob("*.py")
        if (names := FORBIDDEN.findall(path.read_text()))
    }
    assert not found


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import numpy\n    from ray.tune import Tuner", ["ray"]),
        ("import mlflow", ["mlflow"]),
        ("from pipelines import keys", ["pipelines"]),
        ("import rays\n# import dvc", []),
    ],
)
def test_forbidden_import_is_found(code: str, found: list[str]) -> None:
    assert FORBIDDEN.findall(code) == found


# Families that are broken on purpose: each check must fail on the one made for it


class SmallConfig(FamilyConfig):
    rate: Annotated[float, Field(gt=0, le=1), LogUniform(1e-3, 1e-1)] = 0.05
    "learning rate"


@dataclass(frozen=True)
class SmallModel:
    theta: np.ndarray

    def predict(self, X: np.ndarray) -> np.ndarray:
        return X @ self.theta


def start(config: SmallConfig, d: int) -> dict[str, Any]:
    zero = np.zeros(d)
    generator = np.random.default_rng(config.seed).bit_generator.state
    return {"n": 0, "theta": zero, "velocity": zero, "generator": generator}


def moved(
    state: dict[str, Any], config: SmallConfig, data: Splits[Table]
) -> dict[str, Any]:
    """Return the state after a step on one random row, with momentum."""
    rng = np.random.default_rng()
    rng.bit_generator.state = state["generator"]
    i = rng.integers(len(data.train))
    x, y = data.train.X[i], data.train.y[i]
    velocity = 0.9 * state["velocity"] - config.rate * (x @ state["theta"] - y) * x
    return {
        "n": state["n"] + 1,
        "theta": state["theta"] + velocity,
        "velocity": velocity,
        "generator": rng.bit_generator.state,
    }


def step_of(state: dict[str, Any], data: Splits[Table]) -> Step:
    model = SmallModel(state["theta"])
    mse = float(np.mean((data.train.y - model.predict(data.train.X)) ** 2))
    return Step(state["n"], {"train_mse": mse}, model, state)


def healthy(config, data, state=None):
    state = state or start(config, data.train.X.shape[1])
    while state["n"] < 6:
        state = moved(state, config, data)
        yield step_of(state, data)


def loses_its_velocity_on_resume(config, data, state=None):
    fresh = start(config, data.train.X.shape[1])
    for step in healthy(config, data, {**fresh, **state} if state else None):
        kept = {key: value for key, value in step.state.items() if key != "velocity"}
        yield dataclasses.replace(step, state=kept)


def goes_on_after_its_end(config, data, state=None):
    state = state or start(config, data.train.X.shape[1])
    for _ in range(2):
        state = moved(state, config, data)
        yield step_of(state, data)


def draws_from_the_global_generator(config, data, state=None):
    state = state or start(config, data.train.X.shape[1])
    noise = np.random.normal(size=state["theta"].shape)
    yield from healthy(config, data, {**state, "theta": state["theta"] + noise})


def seeds_the_global_generator(config, data, state=None):
    torch.manual_seed(config.seed)
    yield from healthy(config, data, state)


def ignores_its_seed(config, data, state=None):
    state = state or start(SmallConfig(seed=random.SystemRandom().getrandbits(60)), 4)
    yield from healthy(config, data, state)


def centres_its_input_in_place(config, data, state=None):
    data.train.X[:] -= data.train.X.mean(axis=0)
    yield from healthy(config, data, state)


def yields_a_model_that_changes_later(config, data, state=None):
    theta = np.zeros(data.train.X.shape[1])
    for step in healthy(config, data, state):
        theta[:] = step.state["theta"]
        yield dataclasses.replace(step, model=SmallModel(theta))


def writes_to_its_model_what_is_there_already(config, data, state=None):
    theta = np.zeros(data.train.X.shape[1])  # a large penalty keeps it at zero
    for step in healthy(config, data, state):
        theta[:] = 0.0
        yield dataclasses.replace(step, model=SmallModel(theta))


def changes_the_state_it_is_given(config, data, state=None):
    state = copy.deepcopy(state) if state is None else state
    for step in healthy(config, data, state):
        if state is not None:
            state["theta"] = step.state["theta"]
        yield step


def counts_from_zero(config, data, state=None):
    for step in healthy(config, data, state):
        yield dataclasses.replace(step, n=step.n - 1)


def yields_nothing(config, data, state=None):
    yield from ()


def names_a_metric_of_validation(config, data, state=None):
    for step in healthy(config, data, state):
        yield dataclasses.replace(step, metrics={"valid_mse": 1.0})


def measures_nan(config, data, state=None):
    for step in healthy(config, data, state):
        yield dataclasses.replace(step, metrics={"train_mse": math.nan})


def learns_from_the_test_split(config, data, state=None):
    both = data.train if data.test is None else data.train.join(data.test)
    yield from healthy(config, Splits(both), state)


def yields_a_foreign_model(config, data, state=None):
    for step in healthy(config, data, state):
        yield dataclasses.replace(step, model=Table(data.train.X, data.train.y))


def solves_many(configs, data, states=None):
    states = states or [None] * len(configs)
    alone = [
        healthy(config, data, state)
        for config, state in zip(configs, states, strict=True)
    ]
    yield from map(list, itertools.zip_longest(*alone))


def solves_all_with_the_first_configuration(configs, data, states=None):
    yield from solves_many([configs[0]] * len(configs), data, states)


def leaves_the_ended_out(configs, data, states=None):
    for steps in solves_many(configs, data, states):
        yield steps[1:]


def starts_again_from_nothing(configs, data, states=None):
    yield from solves_many(configs, data)


def family_of(train: Any, **parts: Any) -> Family:
    """Return the view of a module of this training and, elsewhere, sound parts."""
    module = ModuleType("broken", parts.pop("doc", "A family. Source: this very test."))
    sound = {
        "TASK": "regression",
        "Config": SmallConfig,
        "Model": SmallModel,
        "train": train,
    }
    for name, part in {**sound, **parts}.items():
        if part is not None:
            setattr(module, name, part)
    return read_family(module)


@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_sound_family_passes_every_check_that_broken_ones_fail(check) -> None:
    check(family_of(healthy))


@pytest.mark.parametrize(
    ("train", "check"),
    [
        (loses_its_velocity_on_resume, resumed_training_equals_uninterrupted_training),
        (goes_on_after_its_end, resumed_training_equals_uninterrupted_training),
        (
            draws_from_the_global_generator,
            training_neither_reads_nor_moves_the_global_generators,
        ),
        (
            seeds_the_global_generator,
            training_neither_reads_nor_moves_the_global_generators,
        ),
        (ignores_its_seed, same_seed_gives_the_same_model),
        (centres_its_input_in_place, inputs_are_not_changed),
        (
            yields_a_model_that_changes_later,
            a_yielded_step_does_not_change_when_training_goes_on,
        ),
        (
            writes_to_its_model_what_is_there_already,
            a_yielded_step_does_not_change_when_training_goes_on,
        ),
        (changes_the_state_it_is_given, the_state_to_resume_from_is_not_changed),
        (counts_from_zero, steps_are_counted_from_one),
        (yields_nothing, steps_are_counted_from_one),
        (names_a_metric_of_validation, metrics_are_finite_floats_of_the_training_split),
        (measures_nan, metrics_are_finite_floats_of_the_training_split),
        (learns_from_the_test_split, it_does_not_look_at_the_test_split),
        (yields_a_foreign_model, steps_hold_a_model_of_the_family),
    ],
    ids=lambda value: value.__name__,
)
def test_check_fails_on_a_family_broken_for_it(train, check) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check(family_of(train))


def test_sound_family_that_trains_many_passes() -> None:
    many_at_once_give_what_each_gives_alone(family_of(healthy, train_many=solves_many))


@pytest.mark.parametrize(
    "train_many",
    [
        solves_all_with_the_first_configuration,
        leaves_the_ended_out,
        starts_again_from_nothing,
    ],
    ids=name_of,
)
def test_many_at_once_that_differ_from_each_alone_are_caught(train_many) -> None:
    with pytest.raises(AssertionError):
        many_at_once_give_what_each_gives_alone(
            family_of(healthy, train_many=train_many)
        )


def test_family_whose_training_of_many_is_no_generator_is_refused() -> None:
    with pytest.raises(TypeError, match=r"broken\.train_many is not a generator"):
        family_of(healthy, train_many=lambda configs, data, states=None: [])


def draws_its_weights(config, model, data):
    figure, axes = new_figure()
    axes.plot(model.theta)
    return {"weights": figure}


def draws_what_its_task_draws(config, model, data):
    return {"predicted_against_true": new_figure()[0]}


def test_sound_family_with_figures_of_its_own_passes() -> None:
    its_figures_and_those_of_its_task_render(
        family_of(healthy, figures=draws_its_weights)
    )


def test_figure_that_is_blank_is_caught() -> None:
    def draws_nothing(config, model, data):
        return {"nothing": empty_figure(1.0, 1.0)}

    with pytest.raises(AssertionError, match="nothing is blank"):
        its_figures_and_those_of_its_task_render(
            family_of(healthy, figures=draws_nothing)
        )


def test_figure_that_hides_one_of_the_task_is_caught() -> None:
    with pytest.raises(AssertionError, match="the task has a figure of that name"):
        its_figures_and_those_of_its_task_render(
            family_of(healthy, figures=draws_what_its_task_draws)
        )


def test_search_that_leaves_the_range_of_its_field_is_caught() -> None:
    class Config(FamilyConfig):
        rate: Annotated[float, Field(le=1), LogUniform(1e-3, 2.0)] = 0.1
        "learning rate"

    with pytest.raises(AssertionError, match="less than or equal to 1"):
        every_sample_of_the_search_space_is_a_valid_configuration(
            family_of(healthy, Config=Config)
        )


def test_field_without_a_description_is_caught() -> None:
    class Config(FamilyConfig):
        rate: float = 0.1

    with pytest.raises(AssertionError, match="rate"):
        every_field_of_the_configuration_is_described(family_of(healthy, Config=Config))


@pytest.mark.parametrize("doc", ["A family.", "A family.\n\nSource:\n"])
def test_family_without_a_source_is_refused(doc: str) -> None:
    with pytest.raises(TypeError, match="broken cites no source"):
        family_of(healthy, doc=doc)


def test_family_whose_training_is_no_generator_is_refused() -> None:
    with pytest.raises(TypeError, match=r"broken\.train is not a generator of steps"):
        family_of(lambda config, data, state=None: list(healthy(config, data, state)))


@pytest.mark.parametrize("part", ["TASK", "Config", "Model", "train"])
def test_family_that_lacks_a_part_is_refused(part: str) -> None:
    with pytest.raises(TypeError, match=f"broken lacks {part}"):
        family_of(**{"train": healthy, part: None})


def test_task_without_small_data_is_named() -> None:
    with pytest.raises(ValueError, match="no small data for the task juggling"):
        small_data("juggling")


# The data kinds


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.stage)
def test_small_data_of_a_kind_serve_each_of_its_tasks(kind: DataKind) -> None:
    assert kind.tasks
    for name in kind.tasks:
        data = kind.small(name)
        parts = vars(data).values()
        assert [type(part) for part in parts] == [kind.data] * 3
        assert data_content(data) == data_content(kind.small(name))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.stage)
def test_data_kind_whose_sections_name_no_task_has_one_task(kind: DataKind) -> None:
    assert kind.section_names_task or len(kind.tasks) == 1


def test_every_task_accepts_data_kinds_that_have_a_record() -> None:
    known = {kind.data for kind in KINDS}
    assert all(set(task(name).DATA) <= known for name in tasks())
