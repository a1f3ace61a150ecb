"""What is available, from the files of the operating system, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftml import memory


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "GROUP", tmp_path)
    return tmp_path


def write_group(folder: Path, limit: str) -> None:
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text("3000\n")
    (folder / "memory.stat").write_text("anon 1000\ninactive_file 500\n")


def test_nothing_is_known_or_refused_without_the_files(files: Path) -> None:
    assert memory.available() is None
    memory.check_fits(2**60, what="it", instead="do not")


def test_the_smaller_of_machine_and_control_group_is_available(files: Path) -> None:
    (files / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:      8 kB\n")
    assert memory.available() == 8192
    write_group(files, "4096")
    assert memory.available() == 4096 - 3000 + 500
    write_group(files, "max")
    assert memory.available() == 8192


def test_what_does_not_fit_is_refused_with_its_size(files: Path) -> None:
    (files / "meminfo").write_text(f"MemAvailable: {2**20} kB\n")
    memory.check_fits(2**30, what="K", instead="take less")
    with pytest.raises(
        ValueError, match=r"K takes 1\.5 GiB, 1\.0 GiB are available; t"
    ):
        memory.check_fits(3 * 2**29, what="K", instead="take less")
