"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path


def write_files(folder: Path, content: Mapping[str, str]) -> None:
    """Write these files into a folder, all of them or none; other files stay."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new.", dir=folder) as beside:
        for name, text in content.items():
            (Path(beside) / name).write_text(text, encoding="utf-8")
        for name in content:
            os.replace(Path(beside) / name, folder / name)
