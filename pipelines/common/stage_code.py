"""The files of code that can change the output of each stage, and their digests.

A stage of dvc.yaml depends on one file, `data/.sources/code/<stage>`, in place of some
25 files and folders of code: `dvc.lock` has the dependencies of all stages, and DVC
reads and writes the whole of it for each stage that it runs. The stage `sources`, which
itself depends on all code, writes these files: a line with digest and path for each
file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
"The folder that has the packages ftml and pipelines."

PREPARES = (
    "ftml/__init__.py",
    "ftml/compiled.py",
    "ftml/config.py",
    "ftml/core.py",
    "ftml/data",
    "ftml/distributions.py",
    "ftml/evidence.py",
    "ftml/folders.py",
    "ftml/memory.py",
    "ftml/predictor.py",
    "ftml/saving.py",
    "ftml/tasks/__init__.py",
    "pipelines/__init__.py",
    "pipelines/cluster",
    "pipelines/common",
    "pipelines/datasets",
    "pipelines/params",
)
"What each stage that prepares data imports: no family, so changing one reruns none."
AUTOENCODERS = (
    "ftml/families/neural",
    "ftml/fonts.py",
    "ftml/nn",
    "ftml/optim",
    "ftml/plots.py",
    "ftml/training",
)
RESULTS = (
    "ftml",
    "pipelines/__init__.py",
    "pipelines/common",
    "pipelines/params",
    "pipelines/study",
    "pipelines/tracking",
)

PREPARING = tuple(
    sorted(path.stem for path in (ROOT / "pipelines/params/kinds").glob("[!_]*.py"))
)
"""The stages that prepare data: each data kind has a module of the name of its stage.
They are listed without an import, which would take the stage `sources` seconds.
"""

CODE: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(PREPARING, PREPARES),
    "images": (*PREPARES, *AUTOENCODERS),
    "experiment": (
        *RESULTS,
        "pipelines/cluster",
        "pipelines/tuning",
        "pipelines/stages/reuse.py",
        "pipelines/stages/run_study.py",
        "pipelines/stages/compare.py",
    ),
    "claims": (*RESULTS, "pipelines/cluster"),
    "report": (*RESULTS, "pipelines/report"),
}
"""The files and folders on which each stage depends, beside its own module in
`pipelines/stages`. `tests/test_dvc_dependencies.py` computes what each imports.
"""


def digests() -> dict[str, str]:
    """Return the content of the file of each stage, by the name of the stage."""
    files = {stage: files_of_stage(stage) for stage in CODE}
    lines = {
        path: f"{_digest(path)} {path.relative_to(ROOT).as_posix()}\n"
        for path in set().union(*files.values())
    }
    return {
        stage: "".join(lines[path] for path in sorted(paths))
        for stage, paths in files.items()
    }


def files_of_stage(stage: str) -> set[Path]:
    """Return the files of code on which a stage depends."""
    places = (*CODE[stage], f"pipelines/stages/{stage}.py")
    return {path for place in places for path in _files(ROOT / place)}


def _files(path: Path) -> Iterator[Path]:
    """Yield a file, or the files of a folder at any depth but compiled ones."""
    if path.is_file():
        yield path
    else:
        for each in path.iterdir():
            if each.name != "__pycache__":
                yield from _files(each)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
