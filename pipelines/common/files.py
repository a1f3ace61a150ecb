"""Files that are written as a whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path


def write_files(folder: Path, content: Mapping[str, str]) -> None:
    """Write text files into a folder, by name; its other files are unchanged.

    The files are written to a temporary directory in the folder and then renamed, so
    that each file is replaced as a whole, and none when writing fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new.", dir=folder) as temporary:
        for name, text in content.items():
            (Path(temporary) / name).write_text(text, encoding="utf-8")
        for name in content:
            os.replace(Path(temporary) / name, folder / name)
