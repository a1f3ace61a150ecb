"""The checks of params.yaml that earlier processes have passed, so that a stage need
not import all families to check the configurations of all studies.

The configuration of a study is checked by the class `Config` of its family, in whose
module the mathematics is located, too: checking all studies imports torch, scipy and
numba, which takes seconds. A study that has passed its check is remembered by a hash of
its section, in `data/.params.json` beside the params file, and so are the values of the
YAML file by the hash of its text. All of it holds for the code that has checked, of
which the file has the hash; of other code, nothing is remembered. A study with a
problem is not remembered and is checked each time, so that all problems of a file are
found at once, whatever earlier processes have found. That an input file exists is
checked each time.

Several processes may read and write the file at the same time, without a lock: each
reads it once and replaces it as a whole, and the last one wins. What is lost by that,
or with the file, is checked again. Where there is no folder `data` or it cannot be
written, nothing is remembered.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pydantic
import ruamel.yaml

import ftml
from pipelines.common.files import write_files
from pipelines.common.yaml_files import MAX_BYTES, read_yaml

FILE = Path("data/.params.json")
"The file, beside the params file. Git ignores it."


class PassedChecks:
    """What is known of the studies and the text of a params file, and what one reading
    of it adds.
    """

    def __init__(self, params: Path) -> None:
        self.file = params.parent / FILE
        self.earlier = _read(self.file)
        self.values: dict[str, Any] = {}
        self.studies: dict[str, list[str]] = {}

    def load(self, params: Path) -> Any:
        """Return the content of the params file, as `read_yaml` does, with its errors;
        values that JSON keeps are remembered.
        """
        text = _digest_of(params)
        if text and text in self.earlier["values"]:
            self.values = {text: self.earlier["values"][text]}
            return self.values[text]
        values = read_yaml(params)
        if text and text == _digest_of(params) and _is_kept(values):
            self.values = {text: values}
        return values

    def has(self, *study: object) -> bool:
        """Return whether a study has passed its check, and its input files exist."""
        files = self.earlier["studies"].get(_hash(study))
        if files is None or not all(Path(each).is_file() for each in files):
            return False
        self.studies[_hash(study)] = files
        return True

    def add(self, *study: object, files: Iterable[Path]) -> None:
        """Remember that a study has passed its check; `files` are its input files."""
        self.studies[_hash(study)] = [str(each) for each in files]

    def save(self) -> None:
        """Write the file, if this reading has added to it or left something out."""
        passed = {"values": self.values, "studies": self.studies}
        if passed == self.earlier or not self.file.parent.is_dir():
            return
        with suppress(OSError):
            text = json.dumps({"code": _code(), **passed})
            write_files(self.file.parent, {self.file.name: text})


def _read(file: Path) -> dict[str, Any]:
    """Return what a file remembers; nothing for other code and a damaged file."""
    nothing: dict[str, Any] = {"values": {}, "studies": {}}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content.pop("code") != _code():
            return nothing
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return nothing
    known = content.keys() == nothing.keys()
    whole = known and all(isinstance(each, dict) for each in content.values())
    return content if whole else nothing


def _digest_of(params: Path) -> str:
    """Return the hash of the text of a params file; "" for one that cannot be read."""
    with suppress(OSError):
        if params.is_file() and params.stat().st_size <= MAX_BYTES:
            return hashlib.sha256(params.read_bytes()).hexdigest()
    return ""


def _is_kept(values: Any) -> bool:
    """Return whether JSON keeps values as they are: not dates, nor keys that are no
    texts. Their representations are compared, since 1, 1.0 and true are equal.
    """
    try:
        return repr(json.loads(json.dumps(values))) == repr(values)
    except (TypeError, ValueError):
        return False


def _hash(study: tuple[object, ...]) -> str:
    """Return the hash of a study; 1, 1.0 and true differ."""
    return hashlib.sha256(repr(study).encode()).hexdigest()


@cache
def _code() -> str:
    """Return the hash of all code that checks a params file, and of what it runs on."""
    total = hashlib.sha256()
    versions = (sys.version, pydantic.VERSION, ruamel.yaml.__version__)
    total.update(repr(versions).encode())
    code = Path(__file__).parents[1]
    for folder in (Path(ftml.__file__).parent, code / "params", code / "common"):
        for path in sorted(folder.rglob("*.py")):
            total.update(f"{path.relative_to(folder).as_posix()}\0".encode())
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()
