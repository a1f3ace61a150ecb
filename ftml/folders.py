"""Folders that are registries: package/chapter/module, each with a docstring that
cites its source.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
from types import ModuleType


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


def module_named(package: str, name: str, *, what: str) -> ModuleType:
    """Return the module of that name, imported.

    Raises ValueError for a name that no chapter holds; the message gives the nearest
    name.
    """
    known = chapter_by_name(package)
    if name not in known:
        from ftml.config import nearest

        raise ValueError(f"unknown {what} {name!r}{nearest(name, known)}")
    return importlib.import_module(f"{package}.{known[name]}.{name}")


def statement_and_source(module: ModuleType) -> tuple[str, str]:
    """Return the docstring of a module up to `Source:`, and the source in one line;
    both are empty if there is none.
    """
    statement, _, source = (inspect.getdoc(module) or "").partition("Source:")
    return statement.strip(), " ".join(source.split())
