"""Checkpoints and models on disk: JSON for the structure, safetensors for the arrays.

Nothing is pickled, so that loading a file never runs code.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from ftml.config import FamilyConfig, problems, read_config
from ftml.core import family
from ftml.predictor import Interface, Predictor

TREE, ARRAYS = "tree.json", "arrays.safetensors"


@contextmanager
def whole_folder(target: Path, *, marks: Collection[str] = ()) -> Iterator[Path]:
    """Provide an empty temporary folder that replaces `target` when the block succeeds.

    If the block raises an error (a full disk, for example), `target` is unchanged and
    the temporary folder is removed. marks: patterns of names of which a folder that may
    be replaced holds one; without them it must be absent or empty. Raises ValueError
    for another folder, for a file and for a link.
    """
    check_replaceable(target, marks)
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    new, old = beside / "new", beside / "old"
    try:
        new.mkdir()
        yield new
        if target.exists():
            target.rename(old)
        try:
            new.rename(target)
        except OSError:
            if old.exists():
                old.rename(target)
            raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def check_replaceable(target: Path, marks: Collection[str]) -> None:
    """Raise ValueError for a link, a file, and a folder that holds something and no
    entry whose name matches one of the patterns.
    """
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        what = "a link" if target.is_symlink() else "a file"
        raise ValueError(f"{target}: expected a folder to replace, got {what}")
    if not target.is_dir() or next(target.iterdir(), None) is None:
        return
    if not any(next(target.glob(mark), None) for mark in marks):
        lacks = f"has no {' or '.join(marks)}" if marks else "is not empty"
        raise ValueError(
            f"{target}: {lacks}, so ftml did not write it and does not replace it; "
            "choose another folder, or remove it"
        )


def save_tree(folder: Path, tree: Any, **about: Any) -> None:
    """Write a tree of dicts, lists, tuples, JSON values, arrays and tensors into a
    folder.

    `about` is JSON that is saved with the tree. A named tuple is loaded as a plain
    tuple. Raises TypeError for any other value in the tree, and OSError for a full
    disk.
    """
    arrays: dict[str, np.ndarray] = {}
    encoded = _encode(tree, arrays)
    text = json.dumps({**about, "tree": encoded}, indent=1, sort_keys=True)
    try:
        save_file(arrays, folder / ARRAYS)
    except SafetensorError as error:
        raise OSError(f"{folder / ARRAYS}: cannot be written ({error})") from None
    (folder / TREE).write_text(text + "\n")


def load_tree(folder: Path) -> tuple[Any, dict[str, Any]]:
    """Return the tree and the JSON that was saved with it; tensors are loaded on the
    CPU.

    Raises ValueError that names the folder when a file is missing, damaged, or no plain
    file (a pipe or a device could be read without end).
    """
    for name in (TREE, ARRAYS):
        if not (folder / name).is_file():
            raise ValueError(
                f"{folder}: not a whole checkpoint or model (no file {name})"
            )
    try:
        about = json.loads((folder / TREE).read_text())
        arrays = load_file(folder / ARRAYS)
        return _decode(about.pop("tree"), arrays), about
    except Exception as error:
        raise ValueError(
            f"{folder}: not a whole checkpoint or model ({_one_line(error)})"
        ) from None


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def save(
    folder: Path | str,
    model: Any,
    config: FamilyConfig,
    interface: Interface | None = None,
) -> None:
    """Write a model completely or not at all: its family, its config, its fields, and
    what is between the rows of a user and it.
    """
    # The module of the config is the family; the class Model may be in a shared module.
    module = type(config).__module__
    fields = {
        field.name: getattr(model, field.name) for field in dataclasses.fields(model)
    }
    with whole_folder(Path(folder), marks=[TREE]) as beside:
        save_tree(
            beside,
            fields,
            family=module.split(".")[-1],
            config=config.model_dump(mode="json"),
            interface=(interface or Interface()).to_json(),
        )


def load(folder: Path | str) -> Predictor:
    """Return the model that `save` wrote, with its config and its interface.

    Raises ValueError that names the folder when it does not hold a complete model: when
    a field is missing, unknown or has a wrong value.
    """
    fields, about = load_tree(Path(folder))
    if "family" not in about:
        raise ValueError(f"{folder}: holds a checkpoint, not a model")
    try:
        return _predictor(fields, about)
    except ValidationError as error:
        known = family(about["family"]).Config.model_fields
        lines = problems(error, where="config", known=known)
        raise ValueError(f"{folder}: not a model ({'; '.join(lines)})") from None
    except Exception as error:
        reason = error if isinstance(error, ValueError) else _one_line(error)
        raise ValueError(f"{folder}: not a model ({reason})") from None


def _predictor(fields: Any, about: dict[str, Any]) -> Predictor:
    """Return the model of a tree and the JSON that was saved with it."""
    if not isinstance(about["family"], str):
        raise ValueError(f"family: expected a name, got {about['family']!r:.60}")
    kind = family(about["family"])
    _check_fields(about, ("family", "config", "interface"))
    if not isinstance(fields, dict):
        raise ValueError(f"tree: expected the fields of a model, got {fields!r:.60}")
    known = dataclasses.fields(kind.Model)
    needed = [
        each.name
        for each in known
        if each.default is each.default_factory is dataclasses.MISSING
    ]
    _check_fields(fields, needed, [each.name for each in known])
    return Predictor(
        kind.Model(**fields),
        read_config(kind.Config, about["config"]),
        Interface.from_json(about["interface"]),
    )


def _check_fields(
    given: Collection[Any], needed: Sequence[str], known: Sequence[str] | None = None
) -> None:
    """Raise ValueError for a field that is missing, or none of the known ones."""
    if missing := [name for name in needed if name not in given]:
        raise ValueError(f"{missing[0]}: missing")
    if foreign := [name for name in given if name not in (known or needed)]:
        raise ValueError(f"{str(foreign[0])[:60]}: unknown field")


def _encode(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic) and _is_numeric(value.dtype):
        return value.item()
    if isinstance(value, dict):
        pairs = [
            [_encode(key, arrays), _encode(each, arrays)] for key, each in value.items()
        ]
        return {"dict": pairs}
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_encode(each, arrays) for each in value]}
    name = f"{len(arrays):04d}"
    if isinstance(value, np.ndarray) and _is_numeric(value.dtype):
        # ascontiguousarray turns 0-d arrays into 1-d ones
        arrays[name] = np.asarray(value, order="C")
        return {"array": name}
    if type(value).__module__ == "torch" and hasattr(value, "detach"):
        arrays[name] = np.asarray(value.detach().cpu().numpy(), order="C")
        return {"tensor": name}
    dtype = f" of dtype {value.dtype}" if hasattr(value, "dtype") else ""
    raise TypeError(
        f"cannot save a {type(value).__module__}.{type(value).__name__}{dtype}"
    )


def _is_numeric(dtype: np.dtype) -> bool:
    return dtype.kind in "biuf" and dtype.itemsize <= 8


def _decode(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "dict":
        return {_decode(key, arrays): _decode(each, arrays) for key, each in content}
    if kind in ("list", "tuple"):
        items = [_decode(each, arrays) for each in content]
        return items if kind == "list" else tuple(items)
    if kind == "array":
        return arrays[content]
    if kind != "tensor":
        raise ValueError(f"unknown part {kind!r:.60}")
    import torch

    return torch.from_numpy(arrays[content])
