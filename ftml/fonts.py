"""Fonts for the texts of a figure: names of data in any script.

Matplotlib's own font has Latin, Greek and Cyrillic letters. A text with other
characters gets further fonts of `FALLBACK_FONTS`, if they are installed. What no
installed font has is drawn as boxes, with a warning for each character, so such
characters are written as `escape` does. Texts that need no further font are unchanged.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.text import Text

FALLBACK_FONTS = (
    # Chinese, Japanese, Korean: of Linux, Windows and macOS
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans CJK KR",
    "Noto Sans SC",
    "Noto Sans JP",
    "Noto Sans KR",
    "Source Han Sans SC",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "Droid Sans Fallback",
    "IPAGothic",
    "NanumGothic",
    "UnDotum",
    "Microsoft YaHei",
    "SimHei",
    "Yu Gothic",
    "MS Gothic",
    "Malgun Gothic",
    "PingFang SC",
    "Heiti SC",
    "Hiragino Sans",
    "Apple SD Gothic Neo",
    # other scripts
    "Noto Sans",
    "Noto Sans Arabic",
    "Noto Sans Hebrew",
    "Noto Sans Devanagari",
    "Noto Sans Bengali",
    "Noto Sans Tamil",
    "Noto Sans Thai",
    "Noto Sans Ethiopic",
    "Noto Sans Georgian",
    "Noto Sans Armenian",
    "Nirmala UI",
    "Leelawadee UI",
    "Segoe UI",
    "Arial Unicode MS",
    "FreeSans",
    "FreeSerif",
    # symbols and everything
    "Noto Sans Symbols",
    "Noto Sans Symbols 2",
    "Noto Emoji",
    "Segoe UI Symbol",
    "Symbola",
    "Unifont",
)
"Families that are tried in this order; none has colours, which Matplotlib cannot draw."


def use_installed_fonts(figure: Figure) -> str:
    """Give each text of a figure the installed fonts that have its characters; return
    the characters that none has, sorted.
    """
    missing: set[str] = set()
    for text in _texts(figure):
        missing |= set_fonts(text)
    return "".join(sorted(missing))


def set_fonts(text: Text) -> set[str]:
    """Give a text the installed fonts that have its characters; return the characters
    that none has.
    """
    from matplotlib.font_manager import findfont

    own = _characters(str(findfont(text.get_fontproperties())))
    missing = {each for each in text.get_text() if each != "\n"} - own
    families = []
    for family in installed_fonts() if missing else ():
        has = missing & _characters(str(findfont(family)))
        if has:
            families.append(family)
            missing = missing - has
    if families:
        text.set_fontfamily([*text.get_fontfamily(), *families])
    return missing


@cache
def installed_fonts() -> tuple[str, ...]:
    """Return the families of `FALLBACK_FONTS` that are installed."""
    from matplotlib.font_manager import fontManager

    installed = set(fontManager.get_font_names())
    return tuple(family for family in FALLBACK_FONTS if family in installed)


@cache
def _characters(path: str) -> frozenset[str]:
    """Return the characters that the font in a file has."""
    from matplotlib.font_manager import get_font

    return frozenset(map(chr, get_font(path).get_charmap()))


def replace_missing(figure: Figure, missing: Collection[str]) -> None:
    """Write these characters in all texts of a figure as `escape` does."""
    for axis in _axes_with_names(figure):
        labels = [label.get_text() for label in axis.get_majorticklabels()]
        if set(missing) & set("".join(labels)):
            places = axis.get_majorticklocs()
            axis.set_ticks(places, [escape(label, missing) for label in labels])
    for text in _texts(figure):
        if set(missing) & set(text.get_text()):
            text.set_text(escape(text.get_text(), missing))


def escape(text: str, missing: Collection[str]) -> str:
    r"""Return a text with the missing characters by their code: 東 is `\u6771`."""
    return "".join(
        each.encode("unicode_escape").decode() if each in missing else each
        for each in text
    )


@contextmanager
def without_glyph_warnings() -> Iterator[None]:
    """Provide a context in which Matplotlib does not warn of characters that no font
    has: where a text is only measured, or is not drawn by Matplotlib.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .*missing from font")
        yield


def _texts(figure: Figure) -> list[Text]:
    """Return all texts of a figure, with the labels of ticks that are names."""
    from matplotlib.text import Text

    labels = [
        label
        for axis in _axes_with_names(figure)
        for label in axis.get_majorticklabels()
    ]
    found: list[Any] = [*labels, *figure.findobj(Text)]
    return list(dict.fromkeys(found))


def _axes_with_names(figure: Figure) -> list[Axis]:
    """Return the axes (x, y or z) whose tick labels are given texts, not numbers."""
    from matplotlib.category import StrCategoryFormatter
    from matplotlib.ticker import FixedFormatter, FuncFormatter

    given = (FixedFormatter, FuncFormatter, StrCategoryFormatter)
    every = [
        getattr(axes, name)
        for axes in figure.get_axes()
        for name in ("xaxis", "yaxis", "zaxis")
        if hasattr(axes, name)
    ]
    return [each for each in every if isinstance(each.get_major_formatter(), given)]
