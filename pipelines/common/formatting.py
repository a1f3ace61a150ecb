"""Numbers, names and durations as text; the filters of the report's templates."""

from __future__ import annotations

import html
import math
import re
import textwrap
from collections.abc import Iterable

from markupsafe import Markup, escape


def format_number(value: float) -> str:
    """Return a number with four significant digits: 3054, 0.9777, 1.200e-07."""
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else str(value)
    if value == 0 or not 1e-4 <= abs(value) < 1e7:
        return f"{value:.3e}" if value else "0"
    return f"{value:.{max(0, 3 - math.floor(math.log10(abs(value))))}f}"


def format_mean_and_error(mean: float, error: float | None) -> str:
    """Return `mean ± error` with two digits of the error.

    `error` is a standard error, or half the width of an interval. None is an
    unknown error, as with one seed; the mean is then formatted alone.
    """
    if error is None:
        return format_number(mean)
    if not (math.isfinite(mean) and error > 1e-8 * abs(mean) and 1e-5 < error < 1e7):
        return f"{format_number(mean)} ± {error:.2g}"
    decimals = max(0, 1 - math.floor(math.log10(error)))
    return f"{mean:.{decimals}f} ± {error:.{decimals}f}"


def format_difference(mean: float, half_width: float) -> str:
    """Return a difference with its sign and half the width of its interval."""
    return ("+" if mean > 0 else "") + format_mean_and_error(mean, half_width)


def duration(seconds: float) -> str:
    """Return a duration in milliseconds, seconds, minutes or hours."""
    if seconds < 1:
        return f"{1000 * seconds:.3g} ms"
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def setting(value: object) -> str:
    """Return the value of a hyper-parameter; floats have four significant digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def counted(n: int, noun: str) -> str:
    """Return `1 study`, `2 studies`."""
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    plural = noun + "es" if noun.endswith("s") else plural
    return f"{n} {noun if n == 1 else plural}"


def shorten(items: Iterable[object], most: int = 12, *, separator: str = ", ") -> str:
    """Return items as one text; of more than `most` only the first, and how many more
    there are: `a, b and 10 more`.
    """
    known = list(items)
    more = f" and {len(known) - most} more" if len(known) > most else ""
    return separator.join(map(str, known[:most])) + more


def breakable(name: str) -> Markup:
    """Return a name in HTML that a browser may break after each underscore."""
    return Markup(str(escape(name)).replace("_", "_<wbr>"))


def escape_markdown(text: object) -> str:
    """Return text with the special characters of Markdown and HTML escaped."""
    marked = re.sub(r"([\\`*\[\]|])", r"\\\1", str(text))
    return html.escape(marked, quote=False)


def parts(text: str) -> list[tuple[bool, str]]:
    """Return the paragraphs of a docstring, each with whether it is a formula.

    Indented paragraphs are formulas and keep their lines; the lines of every other
    paragraph are joined.
    """
    apart = re.sub(r"(?m)(^\S.*\n)(?=    )", r"\1\n", text)
    apart = re.sub(r"(?m)(^    .*\n)(?=\S)", r"\1\n", apart)
    return [
        (True, textwrap.dedent(part).rstrip())
        if part.startswith("    ")
        else (False, " ".join(part.split()))
        for part in re.split(r"\n\n(?=\S)|(?<=\n)\n(?=    )", apart)
        if part.strip()
    ]


FILTERS = {
    "parts": parts,
    "format_number": format_number,
    "duration": duration,
    "setting": setting,
    "counted": counted,
    "breakable": breakable,
    "md": escape_markdown,
}
"Filters of the templates, by the name that a template calls."
