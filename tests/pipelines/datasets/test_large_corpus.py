"""How the parts of the larger corpus are read, on small files of each form."""

from __future__ import annotations

import gzip
import struct
import zlib

import pytest

from pipelines.datasets import large_corpus
from pipelines.datasets.large_corpus import (
    Part,
    assemble,
    glosses,
    json_lines,
    plain,
    r_strings,
    sword,
    wrapped_html,
)


def test_pages_lose_their_tags_and_keep_their_blocks_apart(tmp_path):
    page = "<head><title>no</title></head><p>The <b>king</b> &amp; I</p><li>two</li>"
    (tmp_path / "a.html").write_text(page + "<script>var no;</script>")
    assert wrapped_html(tmp_path / "a.html").split("\n\n") == [
        " ",
        "The king & I",
        "",
        "two",
        " ",
    ]


def test_glosses_are_what_stands_behind_the_bar(tmp_path):
    (tmp_path / "data.noun").write_text("  licence\n001 n king | a male sovereign\n")
    assert glosses(tmp_path / "data.noun") == " a male sovereign"


def test_blocks_of_a_sword_module_are_found_by_the_index_beside_it(tmp_path):
    texts = ["In the <i>beginning</i>\0", "God created"]
    blocks = [zlib.compress(text.encode()) for text in texts]
    (tmp_path / "ot.bzz").write_bytes(b"".join(blocks))
    index = [(0, len(blocks[0]), 0), (0, 0, 0), (len(blocks[0]), len(blocks[1]), 0)]
    (tmp_path / "ot.bzs").write_bytes(b"".join(struct.pack("<III", *i) for i in index))
    found = sword(tmp_path / "ot.bzz").replace("\0", " ")
    assert found.split() == ["In", "the", "beginning", "God", "created"]


def test_strings_of_an_r_database_come_in_order(tmp_path):
    def string(text: str) -> bytes:
        return b"\0\4\0\x09" + len(text).to_bytes(4, "big") + text.encode()

    lines = ["It is a truth", "", "universally acknowledged"]
    block = zlib.compress(b"head" + b"".join(string(line) for line in lines))
    (tmp_path / "a.rdb").write_bytes(b"\0\0\0\1" + block + b"\0\0\0\1" + block)
    assert r_strings(tmp_path / "a.rdb") == "\n".join(lines + lines)


def test_the_corpus_is_written_whole_with_its_counts_and_licences(
    tmp_path, monkeypatch, capsys
):
    (tmp_path / "a.txt").write_text("The king.\0 The queen reigns.")
    (tmp_path / "b.gz").write_bytes(gzip.compress(b"Three more words\n"))
    (tmp_path / "c.jsonl").write_text('{"text": "And the\u2028last"}\n\n')
    parts = (
        Part(f"file:{tmp_path}/[ab].*", "free", plain),
        Part(f"file:{tmp_path}/c.jsonl", "none", json_lines),
    )
    monkeypatch.setattr(large_corpus, "PARTS", parts)
    target = tmp_path / "corpora" / "large.txt.gz"
    assemble(target)
    text = gzip.decompress(target.read_bytes()).decode()
    expected = "The king. The queen reigns. Three more words And the last"
    assert " ".join(text.split()) == expected
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed] == ["8", "3", "11"]
    assert printed[0].split()[2] == "free"
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_a_part_that_cannot_be_fetched_leaves_nothing(tmp_path, monkeypatch):
    parts = (Part(f"file:{tmp_path}/none.txt", "free", plain),)
    monkeypatch.setattr(large_corpus, "PARTS", parts)
    with pytest.raises(ValueError, match=r"none\.txt: no such file"):
        assemble(tmp_path / "large.txt.gz")
    assert list(tmp_path.iterdir()) == []
