"""Folders that are registries: package/chapter/module."""

from __future__ import annotations

import functools
import importlib
import pkgutil


@functools.cache
def chapter_by_name(package: str) -> dict[str, str]:
    """Return the chapter of each module below a package, by the module's name, sorted.

    Nothing but the package is imported. A module whose name begins with `_` is shared
    code of its chapter and left out. Raises ValueError when two chapters hold a module
    of one name.
    """
    paths = importlib.import_module(package).__path__
    found: dict[str, str] = {}
    for chapter in pkgutil.iter_modules(paths):
        folders = [f"{path}/{chapter.name}" for path in paths]
        for module in pkgutil.iter_modules(folders):
            if module.name.startswith("_"):
                continue
            if module.name in found:
                raise ValueError(
                    f"{package} has {module.name} in two chapters: "
                    f"{found[module.name]} and {chapter.name}"
                )
            found[module.name] = chapter.name
    return dict(sorted(found.items()))
