"""Links to local files, by which DVC sees that a `file:` source or an input file of a
study has changed.

A stage of dvc.yaml can name only dependencies that follow from the name of its dataset.
So the stage `sources` makes links at such names, and DVC hashes what they point to:

- `data/.sources/files/<dataset>/`: a link to each source that is one file;
- `data/.sources/folders/<dataset>/<number>`: a link to a folder, for a source that is a
  folder, or a pattern in it. DVC follows a link that is itself a dependency, so it sees
  new files too;
- `data/.sources/names/<dataset>`: the names of its sources; not a link. This folder is
  the output of the stage, by which DVC runs it before the others. The links are no
  output: DVC cannot hash a link to a file that was deleted, and only the stages of its
  dataset shall fail;
- `data/.sources/studies/<dataset>/`: a link to each input file of a study;
- `data/.sources/datasets/<dataset>` and `data/.sources/experiments/<dataset>`: the
  sections of a dataset in params.yaml; not links. Stages depend on these files in place
  of parameters, for each of which DVC would parse params.yaml again;
- `data/.sources/code/<stage>`: the digests of the code of a stage; no links.

A folder without links holds an empty file, since DVC warns of empty folders; it warns
of an empty file, too, if that is itself a dependency or an output.

Links at other names than these are not followed into folders. So the files of a pattern
in the project folder itself, which contains everything, and of sources beyond the last
number are linked one by one, and `data/.sources/names/.always` is a link to dvc.lock:
the hash of an output that contains dvc.lock never equals the one in dvc.lock, so that
`dvc repro` makes the links again each time.

Who writes. The stage `sources`, and the stage `experiment` the links of its studies.
DVC hashes dependencies after a stage has run. Nothing writes through a link.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from glob import glob, has_magic
from pathlib import Path

from pipelines.common.files import check_target, remove_folder, write_files
from pipelines.common.project import project_folder

SCHEME = "file:"
LINKS = Path("data/.sources")
FILES, FOLDERS, NAMES = LINKS / "files", LINKS / "folders", LINKS / "names"
STUDIES = LINKS / "studies"
DATASETS, EXPERIMENTS = LINKS / "datasets", LINKS / "experiments"
CODE = LINKS / "code"
ALWAYS = NAMES / ".always"
LOCK = Path("dvc.lock")

N_FOLDERS = 2
"Folders that DVC watches as a whole, for each dataset; dvc.yaml names them."


def sources_in(section: object) -> Iterator[str]:
    """Yield the path or pattern of every `file:` source in a section of params.yaml, at
    any depth.
    """
    if isinstance(section, str) and section.startswith(SCHEME):
        yield section.removeprefix(SCHEME)
    elif isinstance(section, Mapping):
        for value in section.values():
            yield from sources_in(value)
    elif isinstance(section, list):
        for value in section:
            yield from sources_in(value)


def inputs_in(studies: object) -> Iterator[str]:
    """Yield the values in the configurations of studies that name files.

    Values that are not read as files may be among them.
    """
    for study in studies.values() if isinstance(studies, Mapping) else ():
        config = study.get("config") if isinstance(study, Mapping) else None
        for value in config.values() if isinstance(config, Mapping) else ():
            if isinstance(value, str) and (project_folder() / value).is_file():
                yield value


def link_datasets(sections: Mapping[str, object]) -> None:
    """Make the links of all datasets, given their sections by name."""
    for folder in (FILES, FOLDERS, NAMES):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    if not sections:
        _fill(NAMES)
    complete = [
        _link_dataset(name, list(dict.fromkeys(sources_in(section))))
        for name, section in sections.items()
    ]
    if not all(complete):
        _link(ALWAYS, LOCK)


def write_sections(folder: Path, sections: Mapping[str, object]) -> None:
    """Write sections of params.yaml into a folder, each by the name of its dataset."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, section in sections.items():
        write_section(folder / name, section)
    _fill(folder)


def write_section(path: Path, section: object) -> None:
    """Write a section of params.yaml as JSON, for DVC to hash. Values that are not in
    JSON become texts; keys that are not in JSON are wrong, and are left out.
    """
    text = json.dumps(section, indent=1, default=str, skipkeys=True)
    path.write_text(f"{text}\n", encoding="utf-8")


def write_code(digests: Mapping[str, str]) -> set[str]:
    """Write the digests of the code of each stage, by its name; return the paths of the
    files of code that differ from what was written before.
    """
    changed: set[str] = set()
    for stage, text in digests.items():
        if (CODE / stage).is_file():
            before = (CODE / stage).read_text(encoding="utf-8").splitlines()
            different = {*before} ^ {*text.splitlines()}
            changed |= {line.partition(" ")[2] for line in different}
    shutil.rmtree(CODE, ignore_errors=True)
    write_files(CODE, digests)
    return changed


def _link_dataset(name: str, places: Sequence[str]) -> bool:
    """Make the links of a dataset; return whether DVC sees new files of each source."""
    files, folders = FILES / name, FOLDERS / name
    check_target(files, root=FILES, marks=["*"])
    check_target(folders, root=FOLDERS, marks=["*"])
    files.mkdir(parents=True)
    folders.mkdir(parents=True)
    listed = "".join(f"{SCHEME}{place}\n" for place in places)
    (NAMES / name).write_text(listed or "no local files\n")
    found: list[Path] = []
    complete = True
    for place in places:
        provide(place)
        folder = watched_folder(place)
        if folder is None:
            _link(files / name_of(place), Path(place))
        elif folder in found:
            continue
        elif len(found) < N_FOLDERS and not _contains_project(folder):
            found.append(folder)
            _link(folders / str(len(found)), folder)
        else:
            complete = False
            for path in files_of(place):
                _link(files / name_of(path), Path(path))
    for number in range(len(found) + 1, N_FOLDERS + 1):
        (folders / str(number)).mkdir()
        _fill(folders / str(number))
    _fill(files)
    return complete


def link_studies(dataset: str, paths: Iterable[str]) -> None:
    """Make the links of the input files of the studies of a dataset."""
    folder = STUDIES / dataset
    remove_folder(folder, root=STUDIES, marks=["*"])
    folder.mkdir(parents=True)
    for path in dict.fromkeys(paths):
        provide(path)
        _link(folder / name_of(path), Path(path))
    _fill(folder)


def watched_folder(place: str) -> Path | None:
    """Return the folder of a source that is a folder or a pattern; None for a file."""
    if Path(place).is_dir():
        return Path(os.path.normpath(place))
    if Path(place).is_file() or not has_magic(place):
        return None
    parts = Path(place).parts
    first = next(i for i, part in enumerate(parts) if has_magic(part))
    return Path(os.path.normpath(Path(*parts[:first])))


def _contains_project(folder: Path) -> bool:
    return Path.cwd().is_relative_to(folder.resolve())


def files_of(place: str) -> list[str]:
    """Return the files of a path or pattern; those of a folder at any depth."""
    if Path(place).is_dir():
        found = [
            os.path.join(root, name)
            for root, _, names in os.walk(place, followlinks=True)
            for name in names
        ]
    else:
        found = [place] if Path(place).is_file() else glob(place)
    return sorted(path for path in found if Path(path).is_file())


def name_of(path: str) -> Path:
    """Return the name of the link to a file: its path, so that a message that names
    the link names the file. Different paths have different names.
    """
    parts = Path(os.path.normpath(path)).parts
    if os.path.isabs(path):
        return Path("absolute", *parts[1:])
    above = sum(part == os.pardir for part in parts)
    return Path(f"above{above}" if above else "project", *parts[above:])


def provide(place: str, *, copy: Path | None = None) -> None:
    """Link the files of a relative path or pattern that are in the project folder and
    not in a copy of it, since git does not track them.

    By default the copy is the current folder, if DVC has made it for an experiment.
    """
    project = project_folder()
    copy = copy or Path.cwd()
    if project == copy or os.path.isabs(place):
        return
    for path in files_of(str(project / place)):
        relative = os.path.relpath(path, project)
        if not os.path.lexists(copy / relative):
            _link(copy / relative, Path(path))


def _fill(folder: Path) -> None:
    if not any(folder.iterdir()):
        (folder / "none").touch()


def _link(link: Path, target: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(target.absolute())
