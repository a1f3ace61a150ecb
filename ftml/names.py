"""Keys and file names made from a user's values, such as the names of domains.

`name_part` is injective: two values never share a key or a file. A value of letters and
digits of any language, `_`, `.`, `-` and spaces stays as it is, which is what MLflow
allows in the name of a metric. Every other character becomes `-uXXXX`, its code point
in hexadecimal digits (`-UXXXXXXXX` above FFFF), so that `A+` is `A-u002b`. A value that
could be read as such a code has its hyphen escaped in the same way. A long value is cut
and ends with a part of its SHA-256 digest.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

MAX_BYTES = 200
"Longest part in UTF-8, so that `valid_<metric>/<part>` and `<figure>_<part>.png` fit."

_CODE = "u[0-9a-f]{4}|U00(?:0[0-9a-f]|10)[0-9a-f]{4}"
_DIGEST = "h[0-9a-f]{16}$"
# A hyphen of the value itself is escaped where a code or a digest could begin.
_ESCAPED = re.compile(rf"[^\w.\- ]|-(?={_CODE}|{_DIGEST}|u$)")
_ONLY_DOTS = re.compile(r"\.{1,2}")


def name_part(value: str) -> str:
    """Return a value as a part of a metric's key or of a file's name, injectively."""
    escaped = _ESCAPED.sub(_code, value)
    if not escaped:
        return "-u"
    if _ONLY_DOTS.fullmatch(escaped):  # a path would resolve it
        return re.sub(r"\.", _code, escaped)
    return escaped if len(escaped.encode()) <= MAX_BYTES else _cut(escaped, value)


def joined_part(values: Sequence[str]) -> str:
    """Return several values as one part, with commas between them, injectively."""
    joined = ",".join(map(name_part, values))  # a comma of a value is escaped
    return joined if len(joined.encode()) <= MAX_BYTES else _cut(joined, joined)


def original(text: str) -> str:
    """Return a text with the values that `name_part` escaped, to be read by a person;
    what was cut from a long value is not restored.
    """
    return re.sub(rf"-(?:{_CODE})", lambda code: chr(int(code[0][2:], 16)), text)


def _cut(text: str, value: str) -> str:
    """Return the beginning of a text, and a part of the digest of a value."""
    digest = hashlib.sha256(value.encode(errors="surrogatepass")).hexdigest()[:16]
    return text.encode()[: MAX_BYTES - 18].decode(errors="ignore") + f"-h{digest}"


def _code(found: re.Match[str]) -> str:
    point = ord(found[0])
    return f"-u{point:04x}" if point < 0x10000 else f"-U{point:08x}"
