"""Trees, models and folders on disk: whole, exact, and never pickled."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from safetensors import SafetensorError

import ftml
from ftml import saving
from ftml.families.linear import ridge
from ftml.saving import load_tree, save_tree, whole_folder

DTYPES = (
    "bool",
    "uint8",
    "int8",
    "int32",
    "int64",
    "uint64",
    "float16",
    "float32",
    "float64",
)

arrays = st.sampled_from(DTYPES).flatmap(
    lambda dtype: npst.arrays(
        dtype, npst.array_shapes(min_dims=0, max_dims=3, min_side=0)
    )
)
texts = st.text(st.characters(codec="utf-8"))
scalars = (
    st.none() | st.booleans() | st.integers(-(2**128), 2**128) | st.floats() | texts
)
keys = (
    st.none() | st.booleans() | st.integers() | texts | st.tuples(st.integers(), texts)
)
trees = st.recursive(
    scalars | arrays,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(keys, inner, max_size=3)
    ),
    max_leaves=12,
)


def round_trip(tree: Any) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        save_tree(Path(folder), tree)
        return load_tree(Path(folder))[0]


def assert_same(loaded: Any, tree: Any) -> None:
    """Raise AssertionError unless both are one tree, in types and to the last bit."""
    assert type(loaded) is type(tree)
    if isinstance(tree, dict):
        assert list(loaded) == list(tree)
        assert [type(key) for key in loaded] == [type(key) for key in tree]
        for key in tree:
            assert_same(loaded[key], tree[key])
    elif isinstance(tree, list | tuple):
        assert len(loaded) == len(tree)
        for one, other in zip(loaded, tree, strict=True):
            assert_same(one, other)
    elif isinstance(tree, np.ndarray):
        assert (loaded.dtype, loaded.shape) == (tree.dtype, tree.shape)
        assert loaded.tobytes() == tree.tobytes()
    elif isinstance(tree, torch.Tensor):
        assert loaded.dtype == tree.dtype
        assert loaded.shape == tree.shape
        assert torch.equal(loaded, tree)
    elif isinstance(tree, float) and math.isnan(tree):
        assert math.isnan(loaded)
    else:
        assert loaded == tree


@given(trees)
@settings(max_examples=150)
def test_every_tree_comes_back_as_it_was(tree: Any) -> None:
    assert_same(round_trip(tree), tree)


@pytest.mark.parametrize(
    "array",
    [
        np.array(2.5),
        np.zeros((0, 3), np.float32),
        np.arange(12.0).reshape(3, 4).T,
        np.arange(10)[::-2],
        np.broadcast_to(np.float32(1.0), (2, 3)),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
    ],
    ids=["zero_dimensional", "empty", "transposed", "strided", "broadcast", "fortran"],
)
def test_array_keeps_shape_and_values_whatever_its_layout(array: np.ndarray) -> None:
    assert_same(round_trip(array), array)


def test_array_of_the_other_byte_order_keeps_its_values() -> None:
    np.testing.assert_array_equal(
        round_trip(np.arange(3, dtype=">f8")), [0.0, 1.0, 2.0]
    )


def test_loaded_arrays_can_be_written_to() -> None:
    assert round_trip(np.arange(3)).flags.writeable


@pytest.mark.parametrize(
    "tensor",
    [
        torch.tensor(3.0),
        torch.zeros(0, 2),
        torch.arange(6).reshape(2, 3).T,
        torch.tensor([True, False]),
        torch.ones(2, dtype=torch.float64, requires_grad=True).detach(),
        torch.Generator().manual_seed(3).get_state(),
    ],
)
def test_tensor_comes_back_as_a_tensor(tensor: torch.Tensor) -> None:
    assert_same(round_trip(tensor), tensor)


def test_numpy_scalars_come_back_as_plain_numbers() -> None:
    tree = [np.float32(0.5), np.int64(3), np.bool_(True), np.float64(0.1)]
    assert_same(round_trip(tree), [0.5, 3, True, 0.1])


def test_generator_resumes_from_its_saved_state() -> None:
    rng = np.random.default_rng(5)
    rng.normal(size=7)
    state = round_trip(rng.bit_generator.state)
    assert max(state["state"].values()) > 2**64  # PCG64 holds 128-bit numbers
    other = np.random.default_rng()
    other.bit_generator.state = state
    np.testing.assert_array_equal(other.normal(size=5), rng.normal(size=5))


def test_adam_resumes_bit_identically_from_its_saved_state() -> None:
    def after(steps: int, weight: torch.Tensor, state: Any = None) -> tuple[Any, Any]:
        weight = weight.clone().requires_grad_()
        adam = torch.optim.Adam([weight], lr=0.1)
        if state is not None:
            adam.load_state_dict(state)
        for _ in range(steps):
            adam.zero_grad()
            (weight**2).sum().backward()
            adam.step()
        return weight.detach(), adam.state_dict()

    start = torch.tensor([1.0, -3.0])
    half, state = after(3, start)
    loaded = round_trip({"weight": half, "adam": state})
    assert_same(loaded["adam"], state)
    assert torch.equal(
        after(2, loaded["weight"], loaded["adam"])[0], after(5, start)[0]
    )


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (object(), "builtins.object"),
        (Path("x"), "Path"),
        ({1, 2}, "builtins.set"),
        (b"bytes", "builtins.bytes"),
        (1j, "builtins.complex"),
        (np.array([None, "a"]), "dtype object"),
        (np.array(["a"]), "dtype <U1"),
        (np.array([1j]), "dtype complex128"),
        (np.array(["2020-01-01"], "M8[D]"), "datetime64"),
        (np.datetime64("2020-01-01"), "datetime64"),
        (torch.nn.Linear(1, 1), "torch.nn"),
        (lambda: None, "function"),
    ],
)
def test_tree_with_any_other_value_is_refused_and_never_pickled(
    tmp_path: Path, value: Any, named: str
) -> None:
    with pytest.raises(TypeError, match="cannot save a ") as caught:
        save_tree(tmp_path, {"state": [value]})
    assert named in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_the_json_saved_with_the_tree_is_loaded(tmp_path: Path) -> None:
    save_tree(tmp_path, [1], family="ridge", n=3)
    assert load_tree(tmp_path) == ([1], {"family": "ridge", "n": 3})


def test_same_tree_is_saved_as_the_same_bytes(tmp_path: Path) -> None:
    tree = {"b": np.arange(3), "a": [np.ones(2), np.zeros((0, 2))]}
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        save_tree(tmp_path / name, tree)
    for name in (saving.TREE, saving.ARRAYS):
        assert (tmp_path / "one" / name).read_bytes() == (
            tmp_path / "two" / name
        ).read_bytes()


@pytest.mark.parametrize("name", [saving.TREE, saving.ARRAYS])
@pytest.mark.parametrize("kept", [None, 0, 0.5, 0.99])
def test_missing_or_truncated_file_is_one_error_that_names_the_folder(
    tmp_path: Path, name: str, kept: float | None
) -> None:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    save_tree(folder, {"theta": np.arange(100.0), "n": 3})
    path = folder / name
    if kept is None:
        path.unlink()
    else:
        whole = path.read_bytes()
        path.write_bytes(whole[: int(kept * (len(whole) - 2))])
    with pytest.raises(ValueError, match="checkpoint: not a whole checkpoint or model"):
        load_tree(folder)


@pytest.mark.parametrize(
    "text",
    ["[]", "{}", '{"tree": {"array": "0007"}}', '{"tree": {"thing": 1, "other": 2}}'],
)
def test_foreign_json_is_one_error_that_names_the_folder(
    tmp_path: Path, text: str
) -> None:
    save_tree(tmp_path, np.ones(2))
    (tmp_path / saving.TREE).write_text(text)
    with pytest.raises(ValueError, match=f"{tmp_path.name}: not a whole"):
        load_tree(tmp_path)


# Folders, whole or not at all


def listing(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def test_folder_appears_whole_with_its_parents_and_replaces_an_older_one(
    tmp_path: Path,
) -> None:
    target = tmp_path / "a" / "b"
    for text in ("first", "second"):
        with whole_folder(target, marks=["first"]) as folder:
            assert (
                folder.parent.parent == target.parent
            )  # one rename away: same file system
            (folder / text).write_text(text)
        assert listing(tmp_path) == {f"a/b/{text}": text}
    assert [path.name for path in target.parent.iterdir()] == ["b"]


def test_target_is_there_while_its_successor_is_written(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "old").write_text("old")
    with whole_folder(tmp_path / "t", marks=["old"]):
        assert (tmp_path / "t" / "old").read_text() == "old"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
@pytest.mark.parametrize("existed", [True, False])
def test_block_that_raises_leaves_the_target_and_nothing_beside(
    tmp_path: Path, error: type[BaseException], existed: bool
) -> None:
    target = tmp_path / "target"
    if existed:
        target.mkdir()
        (target / "old").write_text("old")

    def write_half() -> None:
        with whole_folder(target, marks=["old"]) as folder:
            (folder / "half").write_text("half")
            raise error

    with pytest.raises(error):
        write_half()
    assert listing(tmp_path) == ({"target/old": "old"} if existed else {})
    assert len(list(tmp_path.iterdir())) == existed


def test_rename_that_fails_puts_the_older_folder_back(
    tmp_path: Path, monkeypatch
) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "old").write_text("old")
    rename = Path.rename

    def failing(self: Path, other: Path) -> Path:
        if self.name == "new":
            raise OSError(28, "No space left on device")
        return rename(self, other)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="No space left"), whole_folder(target, marks="*"):
        pass
    assert listing(tmp_path) == {"target/old": "old"}
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_folder_can_be_read_as_any_folder_the_user_makes(tmp_path: Path) -> None:
    (tmp_path / "usual").mkdir()
    with whole_folder(tmp_path / "target"):
        pass
    assert (tmp_path / "target").stat().st_mode == (tmp_path / "usual").stat().st_mode


def fill(folder: Path) -> Path:
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")
    return folder


@pytest.mark.parametrize("kind", ["folder", "file", "link", "dead link"])
def test_what_ftml_did_not_write_is_not_replaced(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "target"
    if kind == "folder":
        fill(target)
    elif kind == "file":
        target.write_text("years of work")
    else:
        there = tmp_path / "elsewhere" if kind == "dead link" else fill(tmp_path / "w")
        target.symlink_to(there)
    before = listing(tmp_path)
    with pytest.raises(ValueError, match="target: ") as caught:
        ftml.save(target, small_model(), ridge.Config())
    assert "\n" not in str(caught.value)
    assert listing(tmp_path) == before
    assert target.is_symlink() == ("link" in kind)


def test_the_current_folder_is_not_replaced_by_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(fill(tmp_path / "project"))
    with pytest.raises(ValueError, match=r"no tree\.json, so ftml did not write it"):
        ftml.save(".", small_model(), ridge.Config())
    assert Path("thesis.tex").exists()


# Models


def small_model() -> ridge.Model:
    return ridge.Model(np.array([1.0, 2.0, 3.0]))


def test_saved_model_comes_back_with_its_config(tmp_path: Path) -> None:
    config = ridge.Config(alpha=0.1, seed=2**63 - 1)
    ftml.save(tmp_path / "model", small_model(), config)
    predictor = ftml.load(str(tmp_path / "model"))
    model, loaded = predictor.model, predictor.config
    assert type(model) is ridge.Model
    assert_same(model.theta, small_model().theta)
    assert loaded == config


def test_model_is_saved_as_json_and_safetensors(tmp_path: Path) -> None:
    ftml.save(tmp_path / "model", small_model(), ridge.Config())
    names = sorted(path.name for path in (tmp_path / "model").iterdir())
    assert names == ["arrays.safetensors", "tree.json"]
    about = json.loads((tmp_path / "model" / "tree.json").read_text())
    assert about["family"] == "ridge"
    assert about["config"]["alpha"] == ridge.Config().alpha


@pytest.mark.parametrize(
    "error", [OSError(28, "full"), SafetensorError("I/O error: full")]
)
def test_full_disk_is_an_os_error_and_leaves_the_older_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    target = tmp_path / "model"
    ftml.save(target, small_model(), ridge.Config())
    before = {path.name: path.read_bytes() for path in target.iterdir()}

    def full(*arguments: Any) -> None:
        raise error

    monkeypatch.setattr(saving, "save_file", full)
    with pytest.raises(OSError, match="full"):
        ftml.save(target, ridge.Model(np.zeros(3)), ridge.Config())
    assert {path.name: path.read_bytes() for path in target.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_disk_that_fills_while_arrays_are_written_is_an_os_error(
    tmp_path: Path,
) -> None:
    program = f"""
import pathlib, numpy, ftml.saving
try:
    ftml.saving.save_tree(pathlib.Path({str(tmp_path)!r}), numpy.zeros(10_000))
except OSError as error:
    raise SystemExit(0 if "arrays.safetensors: cannot be written" in str(error) else 1)
"""

    def limit() -> None:  # the nearest to a full disk that needs no disk of its own
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    run = subprocess.run(
        [sys.executable, "-B", "-c", program], preexec_fn=limit, check=False
    )
    assert run.returncode == 0


def test_checkpoint_is_not_a_model_and_the_error_says_so(tmp_path: Path) -> None:
    save_tree(tmp_path, {"n": 1})
    with pytest.raises(ValueError, match="holds a checkpoint, not a model"):
        ftml.load(tmp_path)


def test_model_of_a_family_that_is_gone_is_refused_by_name(tmp_path: Path) -> None:
    save_tree(tmp_path, {"theta": np.ones(2)}, family="rigde", config={})
    with pytest.raises(ValueError, match="unknown family 'rigde'; nearest: ridge"):
        ftml.load(tmp_path)


def test_family_of_a_saved_model_is_that_of_its_config(tmp_path: Path) -> None:
    @dataclasses.dataclass(frozen=True)
    class Shared:  # defined in this module, like a model that families share
        theta: np.ndarray

    ftml.save(tmp_path / "model", Shared(np.ones(3)), ridge.Config())
    assert type(ftml.load(tmp_path / "model").model) is ridge.Model


CHANGES: dict[str, Any] = {
    "no config": ("config: missing", lambda tree: tree.pop("config")),
    "no interface": ("interface: missing", lambda tree: tree.pop("interface")),
    "foreign part": ("code: unknown field", lambda tree: tree.update(code="1")),
    "family of a list": ("family: expected a name", lambda t: t.update(family=["x"])),
    "config of text": ("not a model", lambda tree: tree.update(config="x")),
    "config of a foreign field": ("config.", lambda t: t["config"].update(code=1)),
    "config of a wrong value": (
        "config.",
        lambda tree: tree["config"].update(alpha=-1),
    ),
    "interface of a list": ("not a model", lambda tree: tree.update(interface=[1])),
    "no field": ("theta: missing", lambda tree: tree.update(tree={"dict": []})),
    "foreign field": (
        "code: unknown field",
        lambda tree: tree["tree"]["dict"].append(["code", 1]),
    ),
    "a number for the fields": ("expected the fields", lambda t: t.update(tree=1)),
    "an unknown part": (
        "not a whole",
        lambda tree: tree.update(tree={"code": "0000"}),
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_missing_or_foreign_field_is_one_value_error(
    tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "model"
    ftml.save(folder, small_model(), ridge.Config())
    tree = json.loads((folder / saving.TREE).read_text())
    expected, change = CHANGES[name]
    change(tree)
    (folder / saving.TREE).write_text(json.dumps(tree))
    with pytest.raises(ValueError, match="model: not a ") as caught:
        ftml.load(folder)
    assert type(caught.value) is ValueError
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [saving.TREE, saving.ARRAYS])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_plain_file_is_not_read(
    tmp_path: Path, name: str, kind: str
) -> None:
    ftml.save(tmp_path / "model", small_model(), ridge.Config())
    path = tmp_path / "model" / name
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    with pytest.raises(ValueError, match=f"model: not a whole .*no file {name}"):
        ftml.load(tmp_path / "model")


def test_a_tree_that_is_nested_deeply_is_one_error(tmp_path: Path) -> None:
    ftml.save(tmp_path / "model", small_model(), ridge.Config())
    (tmp_path / "model" / saving.TREE).write_text('{"tree": ' + "[" * 10**5)
    with pytest.raises(ValueError, match="model: not a whole"):
        ftml.load(tmp_path / "model")
