"""The stages `sequences`, `pairs` and `trees`: what they read, split and refuse."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ftml.data import Splits
from ftml.data import pairs as pairs_kind
from ftml.data import sequences as sequences_kind
from ftml.data import trees as trees_kind
from pipelines.datasets import pairs, sequences, trees
from pipelines.params.text import PairsSchema, SequencesSchema, TreesSchema

KINDS: dict[str, tuple[Any, Any, Any]] = {
    "sequences": (SequencesSchema, sequences.prepare, sequences_kind.load),
    "pairs": (PairsSchema, pairs.prepare, pairs_kind.load),
    "trees": (TreesSchema, trees.prepare, trees_kind.load),
}
Prepare = Callable[..., Splits[Any]]


@pytest.fixture
def prepared(tmp_path: Path) -> Prepare:
    """Return what writes text to a file and gives the dataset that a stage makes."""

    def prepare(stage: str, name: str, text: str, **fields: Any) -> Splits[Any]:
        (tmp_path / name).write_text(text)
        schema, write, load = KINDS[stage]
        (tmp_path / "out").mkdir()
        write(schema(source=f"file:{tmp_path / name}", **fields), tmp_path / "out")
        splits: Splits[Any] = load(tmp_path / "out")
        return splits

    return prepare


def whole(splits: Splits[Any]) -> Any:
    return splits.train.join(splits.valid).join(splits.test)


SERIES = "@data\n" + "".join(
    f"{i},{i + 1}:{-i},{-i}:{'one' if i % 2 else 'two'}\n" for i in range(20)
)


def test_time_series_are_split_in_each_class(prepared: Prepare) -> None:
    splits = prepared("sequences", "a.ts", SERIES, task="classification")
    for part, count in (("train", 6), ("valid", 2), ("test", 2)):
        assert np.bincount(getattr(splits, part).y).tolist() == [count, count]
    data = whole(splits)
    assert data.classes == ("one", "two")
    for i in range(20):
        ((first, minus), (second, _)) = data.X[i].tolist()
        assert (second, minus) == (first + 1, -first)
        assert data.y[i] == (first + 1) % 2


def test_test_series_that_stand_apart_are_the_test_split(
    prepared: Prepare, tmp_path: Path
) -> None:
    (tmp_path / "b.ts").write_text("7:8:two\n9,9:9,9:one\n")
    options = {"task": "classification", "test": f"file:{tmp_path}/b.ts"}
    splits = prepared("sequences", "a.ts", SERIES, **options)
    assert splits.test.y.tolist() == [1, 0]
    assert splits.test.X[0].tolist() == [[7.0, 8.0]]
    assert (len(splits.train), len(splits.valid)) == (16, 4)


TEXTS = "text,label,kind\n" + "".join(
    f'"{"Good" if i % 2 else "bad"} film, it\'s number {i}!",{i % 2},a\n'
    for i in range(20)
)


def test_texts_become_the_words_of_the_training_texts(prepared: Prepare) -> None:
    more = TEXTS + "good film twice,1,b\nbad film,0,b\n"
    splits = prepared(
        "sequences",
        "a.csv",
        more + TEXTS.partition("\n")[2],
        task="classification",
        column="text",
        label="label",
        rows={"kind": "a"},
        min_count=2,
    )
    data = whole(splits)
    assert len(data) == 20  # none twice, and none of the kind b
    assert data.vocabulary[0] == "<unk>"
    assert set(data.vocabulary[1:]) == {"good", "bad", "film", "it's", "number", "!"}
    for text, y in zip(data.X.texts(), data.y, strict=True):
        assert text == f"{'good' if y else 'bad'} film it's number <unk> !"


def test_sentences_are_those_of_the_text(prepared: Prepare) -> None:
    lines = "\n".join(
        f"the {'cat' if i % 3 else 'dog'} sat {'x' * i}" for i in range(30)
    )
    options = {"task": "language_model", "min_count": 3, "n_samples": 20}
    splits = prepared("sequences", "a.txt", lines, **options)
    data = whole(splits)
    assert (len(data), data.classes) == (20, ())
    assert set(data.X.texts()) <= {
        f"the {each} sat{end}" for each in ("cat", "dog") for end in ("", " <unk>")
    }


DICTIONARY = "a AH0\nab AE1 B # a remark\nab(2) EY1 B\n" + "".join(
    f"a{'b' * n} AH0{' B' * n}\n" for n in range(2, 20)
)


@pytest.mark.parametrize(("stress", "first"), [(False, "AE B"), (True, "AE1 B")])
def test_the_first_pronunciation_of_a_word_is_kept(
    prepared: Prepare, stress: bool, first: str
) -> None:
    data = whole(prepared("pairs", "a.dict", DICTIONARY, stress=stress))
    said = dict(zip(data.X.texts(), data.Y.texts(), strict=True))
    assert len(said) == 20
    assert said["a b"] == first


def test_columns_are_pairs_of_symbols(prepared: Prepare) -> None:
    lines = "".join(f"a {'b ' * n}\tone {'two ' * n}\n" for n in range(10))
    data = whole(prepared("pairs", "a.tsv", lines))
    assert data.target_symbols == ("one", "two")
    np.testing.assert_array_equal(data.X.lengths, data.Y.lengths)


def test_trees_are_read_with_their_classes(prepared: Prepare) -> None:
    lines = "".join(f"{'no' if i % 2 else 'yes'}\t( a ( b c ) )\n" for i in range(20))
    splits = prepared("trees", "a.tsv", lines)
    assert splits.train.classes == ("no", "yes")
    assert set(whole(splits).X.texts()) == {"( a ( b c ) )"}


@pytest.mark.parametrize(
    ("stage", "name", "text", "fields", "message"),
    [
        (
            "sequences",
            "a.ts",
            "1,2:3:one",
            {"task": "classification"},
            "line 1 is not a",
        ),
        ("sequences", "a.ts", "@data", {"task": "classification"}, "holds no series"),
        ("sequences", "a.csv", "1", {"task": "classification"}, "expected .ts files"),
        ("sequences", "a.txt", "x", {"task": "language_model"}, "no sentence of two"),
        (
            "sequences",
            "a.csv",
            TEXTS,
            {"task": "classification", "column": "text"},
            "label: a table of texts needs both column and label",
        ),
        (
            "sequences",
            "a.csv",
            TEXTS,
            {"task": "classification", "column": "txt", "label": "label"},
            "no column 'txt'; nearest: text",
        ),
        (
            "sequences",
            "a.txt",
            "x",
            {"task": "language_model", "label": "y"},
            "label: not for a language model",
        ),
        ("pairs", "a.tsv", "a b", {}, "a.tsv: no source or no target in line 1; fill"),
        ("pairs", "a.txt", "a b", {}, "expected a .dict or .tsv file"),
        ("pairs", "a.tsv", "", {}, "holds no pair"),
        ("pairs", "a.tsv", "a\tb", {"below": 9}, "below: for made:numerals"),
        ("trees", "a.tsv", "yes ( a b )", {}, "line 1: expected class, tab, tree"),
        ("trees", "a.tsv", "yes\t( a ( b )", {}, "tree 0: 1 brackets are not closed"),
    ],
)
def test_what_cannot_be_read_is_refused(
    prepared: Prepare, stage: str, name: str, text: str, fields: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        prepared(stage, name, text, **fields)


@pytest.mark.parametrize(
    ("stage", "source"), [("pairs", "made:numbers"), ("trees", "made:bool")]
)
def test_unknown_made_data_name_the_known(
    stage: str, source: str, tmp_path: Path
) -> None:
    schema, prepare, _ = KINDS[stage]
    with pytest.raises(ValueError, match=r"unknown 'made:.*'; (nearest|known): made:"):
        prepare(schema(source=source), tmp_path)
