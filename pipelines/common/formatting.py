"""How the report says numbers, names and times; the filters of its templates."""

from __future__ import annotations

import html
import math
import re
import textwrap
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup, escape


def number(value: float) -> str:
    """Return a number with four significant digits: 3054, 0.9777, 1.200e-07."""
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else str(value)
    if value == 0 or not 1e-4 <= abs(value) < 1e7:
        return f"{value:.3e}" if value else "0"
    return f"{value:.{max(0, 3 - math.floor(math.log10(abs(value))))}f}"


def spread(test: Mapping[str, Any]) -> str:
    """Return mean ± standard error, to two digits of it; the mean for one seed."""
    mean, error = test["mean"], test["standard_error"]
    return number(mean) if error is None else _to_error(mean, error)


def signed(difference: tuple[float, float]) -> str:
    """Return a difference and half of its interval, with its sign."""
    mean, half = difference
    return ("+" if mean > 0 else "") + _to_error(mean, half)


def _to_error(mean: float, error: float) -> str:
    if not (math.isfinite(mean) and error > 1e-8 * abs(mean) and 1e-5 < error < 1e7):
        return f"{number(mean)} ± {error:.2g}"
    decimals = max(0, 1 - math.floor(math.log10(error)))
    return f"{mean:.{decimals}f} ± {error:.{decimals}f}"


def duration(seconds: float) -> str:
    """Return seconds in the unit that people would use."""
    if seconds < 1:
        return f"{1000 * seconds:.3g} ms"
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def setting(value: Any) -> str:
    """Return a hyper-parameter's value, rounded for reading."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def counted(n: int, noun: str) -> str:
    """Return `1 study`, `2 studies`."""
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{n} {noun if n == 1 else plural}"


def breakable(name: str) -> Markup:
    """Return a name that HTML may break after its underscores."""
    return Markup(str(escape(name)).replace("_", "_<wbr>"))


def escape_markdown(text: Any) -> str:
    """Return text whose characters mean nothing to Markdown or HTML."""
    marked = re.sub(r"([\\`*\[\]|])", r"\\\1", str(text))
    return html.escape(marked, quote=False)


def parts(text: str) -> list[tuple[bool, str]]:
    """Return the parts of a docstring and whether each is a formula, which is indented;
    the lines of the others are joined.
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
    "number": number,
    "spread": spread,
    "signed": signed,
    "duration": duration,
    "setting": setting,
    "counted": counted,
    "breakable": breakable,
    "md": escape_markdown,
}
"By the name that the templates use."
