"""Where checkpoints are kept; `test_tune.py` and `test_long.py` go on from there."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.cluster import storage
from pipelines.cluster.storage import StorageError
from pipelines.common.locks import LockHeldError


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(storage.STORAGE, str(tmp_path / "shared/"))
    return tmp_path / "shared"


def test_without_a_storage_nothing_is_kept_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(storage.STORAGE, raising=False)
    storage.check()
    assert storage.study_folder("digits", "erm", "abc") == ""


def test_a_folder_is_made_and_the_place_of_a_study_is_that_of_its_key(
    shared: Path,
) -> None:
    storage.check()
    assert list(shared.iterdir()) == []
    assert storage.dataset_folder("digits") == f"{shared}/digits"
    place = storage.study_folder("digits", "erm", "0123456789abcdef0123")
    assert place == f"{shared}/digits/erm.0123456789abcdef"
    assert place != storage.study_folder("digits", "erm", "1123456789abcdef0123")


def test_what_is_kept_is_brought_back_where_it_is_lost_and_removed(
    shared: Path, tmp_path: Path
) -> None:
    place = storage.study_folder("digits", "erm", "abc")
    file = tmp_path / "record.jsonl"
    storage.download(file, place)
    assert not file.exists()
    for content in ("one", "one two"):
        file.write_text(content)
        storage.upload(file, place)
    file.write_text("newer")
    storage.download(file, place)
    assert file.read_text() == "newer"
    file.unlink()
    storage.download(file, place)
    assert file.read_text() == "one two"
    storage.remove(place)
    storage.remove(place)
    assert not Path(place).exists()


def test_an_address_is_that_of_the_storage() -> None:
    assert storage.uri_of("s3://b/x", "b/x/ray/c1") == "s3://b/x/ray/c1"
    assert storage.uri_of("/mnt/x", "/mnt/x/ray/c1") == "/mnt/x/ray/c1"


@pytest.mark.parametrize(
    ("root", "said"),
    [
        ("checkpoints", "expected s3://bucket/prefix or the absolute path"),
        ("s3://key:hunter2@bucket/x", "AWS_SECRET_ACCESS_KEY"),
        ("s3://bucket/x?endpoint_override=http://hunter2", "AWS_ENDPOINT_URL"),
        ("s4://bucket/x", "FTML_STORAGE=s4://bucket/x: cannot be written"),
        ("{file}/x", "file/x: cannot be written"),
    ],
)
def test_a_storage_that_cannot_be_used_is_one_error(
    root: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(storage.STORAGE, root.format(file=tmp_path / "file"))
    with pytest.raises(StorageError, match=said) as caught:
        storage.check()
    assert "hunter2" not in str(caught.value)


def test_one_driver_at_a_time_works_on_a_dataset_in_a_shared_folder(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        storage.dataset_lock("digits"),
        pytest.raises(LockHeldError, match=r"work on the dataset digits in FTML_STOR"),
        storage.dataset_lock("digits"),
    ):
        pass
    monkeypatch.setenv(storage.STORAGE, "s3://bucket/prefix")  # no locks there
    with storage.dataset_lock("digits"), storage.dataset_lock("digits"):
        pass
