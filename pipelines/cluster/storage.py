"""Where checkpoints of what is in flight are kept, when not in the project's folder.

With FTML_STORAGE set, to `s3://bucket/prefix` or a folder that all nodes see, all
checkpoints are written there, with copies of the records of searches, so that a driver
in another copy of the project goes on from there; one at a time works on a dataset.
Credentials and AWS_ENDPOINT_URL are each node's own: none is sent along.
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from pyarrow import ArrowException
from pyarrow.fs import FileSystem, FileType

STORAGE = "FTML_STORAGE"


class StorageError(ValueError):
    """Nothing can be written to the storage."""


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


def _root() -> str:
    root = os.environ.get(STORAGE, "").rstrip("/")
    if "@" in root or "?" in root:
        raise StorageError(
            f"{STORAGE}: expected s3://bucket/prefix alone; keys and endpoint stand in "
            "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_ENDPOINT_URL"
        )
    if root and "://" not in root and not Path(root).is_absolute():
        raise StorageError(
            f"{STORAGE}: expected s3://bucket/prefix or the whole path of a folder "
            f"that all nodes see, came {root}"
        )
    return root


def of_dataset(dataset: str) -> str:
    """Return the folder of what is in flight on a dataset; "" where none is set.

    It is the same for every copy of the project.
    """
    root = _root()
    return f"{root}/{dataset}" if root else ""


def of_study(dataset: str, study: str, key: str) -> str:
    """Return the folder, within that, of the records of a study with a key."""
    whole = of_dataset(dataset)
    return f"{whole}/{study}.{key[:16]}" if whole else ""


def remove(folder: str) -> None:
    """Remove a folder of the storage, which need not be there."""
    files, path = FileSystem.from_uri(folder)
    if files.get_file_info(path).type != FileType.NotFound:
        files.delete_dir(path)


def address(folder: str, path: str) -> str:
    """Return the address of a path, as Ray writes it, in the storage of a folder."""
    scheme, separator, _ = folder.partition("://")
    return f"{scheme}://{path}" if separator else path


def keep(file: Path, folder: str) -> None:
    """Copy a file into a folder of the storage, whole or not at all."""
    files, path = FileSystem.from_uri(folder)
    files.create_dir(path)
    with files.open_output_stream(f"{path}/.{file.name}") as out:
        out.write(file.read_bytes())
    files.move(f"{path}/.{file.name}", f"{path}/{file.name}")


def download(file: Path, folder: str) -> None:
    """Copy a file out of a folder of the storage, if it is there and not here."""
    files, path = FileSystem.from_uri(folder)
    kept = f"{path}/{file.name}"
    if not file.exists() and files.get_file_info(kept).type == FileType.File:
        with files.open_input_stream(kept) as stream:
            file.write_bytes(stream.readall())
