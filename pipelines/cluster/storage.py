"""Shared storage: where checkpoints and copies of records are kept outside the project.

With FTML_STORAGE set to `s3://bucket/prefix` or to a folder that all nodes can read and
write, all checkpoints are written there, with copies of the records of searches. A
driver in another clone of the project then resumes from them. One driver at a time may
work on a dataset: a lock in the folder holds that, and a bucket has no locks, so there
the people who share it have to agree. Credentials and AWS_ENDPOINT_URL are read on each
node and never sent to another one.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyarrow import ArrowException
from pyarrow.fs import FileSystem, FileType

from pipelines.common.locks import lock_file

STORAGE = "FTML_STORAGE"
"Environment variable: the shared storage."


class StorageError(ValueError):
    """The shared storage cannot be used."""


def check() -> None:
    """Raise StorageError when FTML_STORAGE is set and cannot be written and read."""
    root = _root()
    if not root:
        return
    try:
        files, path = FileSystem.from_uri(root)
        files.create_dir(path)
        probe = f"{path}/ftml-probe-{uuid.uuid4().hex}"
        with files.open_output_stream(probe) as out:
            out.write(b"ftml")
        with files.open_input_stream(probe) as written:
            written.readall()
        files.delete_file(probe)
    except (OSError, ArrowException) as error:
        raise StorageError(f"{STORAGE}={root}: cannot be written: {error}") from None


@contextmanager
def dataset_lock(dataset: str) -> Iterator[None]:
    """Hold the lock of a dataset in the shared storage if it is a folder: one driver at
    a time, of all clones of the project. Raises LockHeldError.
    """
    root = _root()
    if not root or "://" in root:
        yield
        return
    path = Path(root) / f".{dataset}.lock"
    purpose = f"work on the dataset {dataset} in {STORAGE}={root}"
    with lock_file(path, purpose=purpose):
        yield


def _root() -> str:
    root = os.environ.get(STORAGE, "").rstrip("/")
    if "@" in root or "?" in root:
        raise StorageError(
            f"{STORAGE}: expected s3://bucket/prefix alone; keys and endpoint are set "
            "by AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_ENDPOINT_URL"
        )
    if root and "://" not in root and not Path(root).is_absolute():
        raise StorageError(
            f"{STORAGE}: expected s3://bucket/prefix or the absolute path of a folder "
            f"that all nodes can read, got {root}"
        )
    return root


def dataset_folder(dataset: str) -> str:
    """Return the storage folder of a dataset, the same for every clone of the project;
    empty where no storage is set.
    """
    root = _root()
    return f"{root}/{dataset}" if root else ""


def study_folder(dataset: str, study: str, key: str) -> str:
    """Return the storage folder of the records of a study with a key; empty where no
    storage is set.
    """
    parent = dataset_folder(dataset)
    return f"{parent}/{study}.{key[:16]}" if parent else ""


def remove(folder: str) -> None:
    """Remove a folder of the storage, if it exists."""
    files, path = FileSystem.from_uri(folder)
    if files.get_file_info(path).type != FileType.NotFound:
        files.delete_dir(path)


def uri_of(folder: str, path: str) -> str:
    """Return the URI of a path, as Ray writes it, that is located in a folder."""
    scheme, separator, _ = folder.partition("://")
    return f"{scheme}://{path}" if separator else path


def upload(file: Path, folder: str) -> None:
    """Copy a file into a folder of the storage; it is replaced as a whole."""
    files, path = FileSystem.from_uri(folder)
    files.create_dir(path)
    with files.open_output_stream(f"{path}/.{file.name}") as out:
        out.write(file.read_bytes())
    files.move(f"{path}/.{file.name}", f"{path}/{file.name}")


def download(file: Path, folder: str) -> None:
    """Copy a file from a folder of the storage, if it exists there and not here."""
    files, path = FileSystem.from_uri(folder)
    stored = f"{path}/{file.name}"
    if not file.exists() and files.get_file_info(stored).type == FileType.File:
        with files.open_input_stream(stored) as stream:
            file.write_bytes(stream.readall())
