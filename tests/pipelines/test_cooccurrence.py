"""The stage that counts, on small files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ftml.data import cooccurrence, parquet
from ftml.data.counting import count_pairs, encode
from pipelines.cooccurrence import draw_splits, prepare, read_sentences
from pipelines.params import CooccurrenceBlock

LINES = [
    "The king loves the queen.",
    "The queen, the KING!",
    "Exeunt",
    "Blood and love",
] * 10


@pytest.fixture
def text(tmp_path: Path) -> Path:
    folder = tmp_path / "text"
    folder.mkdir()
    (folder / "b.txt").write_text("\n".join(LINES[:20]))
    (folder / "a.txt").write_text("\n".join(LINES[20:]) + "\n")
    return folder


def block(text: Path, **changed) -> CooccurrenceBlock:
    values = {"source": f"file:{text}/*.txt", "min_count": 2, "window": 2}
    values |= {"valid_fraction": 0.2, "test_fraction": 0.2}
    return CooccurrenceBlock.model_validate({**values, **changed})


def prepared(block: CooccurrenceBlock, folder: Path) -> Path:
    folder.mkdir()
    prepare(block, folder)
    return folder


def sentences_of(folder: Path, words: tuple[str, ...]) -> dict[str, list[list[str]]]:
    table, _ = parquet.read(
        folder / "ids.parquet", kind="Sentences", columns=["split", "ids"]
    )
    found: dict[str, list[list[str]]] = {name: [] for name in parquet.SPLITS}
    for split, ids in zip(
        table["split"].to_pylist(), table["ids"].to_pylist(), strict=True
    ):
        found[split].append([words[i] for i in ids])
    return found


def test_splits_hold_every_sentence_once_and_nothing_of_one_word(text, tmp_path):
    folder = prepared(block(text), tmp_path / "data")
    words = cooccurrence.load(folder).train.words
    found = sentences_of(folder, words)
    assert {name: len(each) for name, each in found.items()} == {
        "train": 18,
        "valid": 6,
        "test": 6,
    }
    every = sorted(" ".join(s) for each in found.values() for s in each)
    expected = ["the king loves the queen", "the queen the king", "blood and love"] * 10
    assert every == sorted(expected)


def test_counts_are_those_of_the_sentences_that_stand_beside_them(text, tmp_path):
    folder = prepared(block(text, weighting="dynamic"), tmp_path / "data")
    splits = cooccurrence.load(folder)
    found = sentences_of(folder, splits.train.words)
    for name in parquet.SPLITS:
        part = getattr(splits, name)
        sentences = encode(found[name], part.words)
        again = count_pairs(sentences, part.words, window=2, weighting="dynamic")
        for field in ("counts", "row", "col", "weight"):
            assert np.array_equal(getattr(part, field), getattr(again, field))


def test_vocabulary_is_that_of_the_training_sentences_alone(text, tmp_path):
    rare = text / "c.txt"
    rare.write_text("\n".join(f"rare{chr(97 + n)} king" for n in range(20)))
    splits = cooccurrence.load(prepared(block(text, min_count=1), tmp_path / "data"))
    assert (splits.train.counts >= 1).all()
    assert (np.diff(splits.train.counts) <= 0).all()
    # 50 sentences: 20 are held out, and some of them hold a rare word.
    assert len(splits.train.words) < 7 + 20


def test_the_same_seed_writes_the_same_bytes_and_another_seed_other_splits(
    text, tmp_path
):
    first, again, other = (
        prepared(block(text, seed=seed), tmp_path / name)
        for seed, name in ((0, "first"), (0, "again"), (1, "other"))
    )
    names = sorted(path.name for path in first.iterdir())
    expected = ["ids", "test", "train", "valid", "vocabulary"]
    assert names == [f"{name}.parquet" for name in expected]
    for name in names:
        assert (first / name).read_bytes() == (again / name).read_bytes()
    assert (first / "ids.parquet").read_bytes() != (other / "ids.parquet").read_bytes()


def test_files_say_how_they_were_counted(text, tmp_path):
    folder = prepared(block(text, seed=3), tmp_path / "data")
    _, about = parquet.read(folder / "train.parquet", kind="Cooccurrence")
    assert about == {
        "kind": "Cooccurrence",
        "window": 2,
        "weighting": "harmonic",
        "min_count": 2,
        "valid_fraction": 0.2,
        "test_fraction": 0.2,
        "seed": 3,
    }


def test_splits_of_a_draw_are_disjoint_and_whole():
    part = draw_splits(101, valid_fraction=0.1, test_fraction=0.2, seed=5)
    assert {name: len(rows) for name, rows in part.items()} == {
        "valid": 10,
        "test": 20,
        "train": 71,
    }
    assert sorted(np.concatenate(list(part.values()))) == list(range(101))


def test_text_that_is_not_utf8_is_an_error_with_its_file_and_line(text):
    bad = text / "a.txt"
    bad.write_bytes("two words\nthe caf\xe9\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"a\.txt: line 2 is not UTF-8 \(byte 0xe9\)"):
        read_sentences(bad)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("one\nword\n", "has no line with two words"),
    ],
)
def test_a_file_without_a_sentence_is_an_error_with_its_name(
    text, tmp_path, content, message
):
    (text / "b.txt").write_text(content)
    with pytest.raises(ValueError, match=rf"b\.txt: {message}"):
        prepared(block(text), tmp_path / "data")


def test_a_min_count_that_no_word_reaches_is_an_error(text, tmp_path):
    with pytest.raises(
        ValueError, match="no word occurs min_count = 99 times in the 18"
    ):
        prepared(block(text, min_count=99), tmp_path / "data")


def test_a_split_without_pairs_is_an_error(text, tmp_path):
    with pytest.raises(
        ValueError, match=r"the valid split has no pair .*\(0 of 30 sent"
    ):
        prepared(block(text, valid_fraction=0.01), tmp_path / "data")


def test_fractions_that_leave_nothing_to_train_on_are_an_error(text, tmp_path):
    with pytest.raises(
        ValueError, match=r"valid_fraction 0\.6 and test_fraction 0\.5 leave"
    ):
        prepared(block(text, valid_fraction=0.6, test_fraction=0.5), tmp_path / "data")


def test_a_source_that_does_not_match_its_hash_is_an_error(text, tmp_path):
    with pytest.raises(ValueError, match=r"expected sha256 0{64}, came"):
        prepared(block(text, sha256="0" * 64), tmp_path / "data")
