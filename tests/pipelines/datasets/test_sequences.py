"""The stages `sequences`, `pairs` and `trees`: what they read, split and refuse."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from ftml.data import Splits
from ftml.data import pairs as pairs_kind
from ftml.data import sequences as sequences_kind
from ftml.data import trees as trees_kind
from ftml.data.text_preparation import TextPreparation
from pipelines.datasets import pairs, sequences, trees
from pipelines.datasets.notes import collect_notes
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
        # Surrogates stand for bytes that are not UTF-8.
        (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
        schema, write, load = KINDS[stage]
        (tmp_path / "out").mkdir(exist_ok=True)
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
        *(
            ("sequences", "a.ts", text, {"task": "classification"}, message)
            for text, message in (
                ("1:a\n?,2:a\n1,NaN:a\n", "finite in 2 lines (2, 3); fill"),
                ("1:a\ninf:b\n", "a.ts: values are missing or not finite in line 2;"),
                ("1:a\n2:\n", "a.ts: no label in line 2; fill it in, or set missing"),
                ("@data\n1,2,3\n", "line 2 has no label: expected it after the last"),
                ("1:a\n1,2:3,4\n", "line 2 has no label: expected it after the last"),
                ("@classLabel false\n1:a\n", "line 1: @classLabel false: series need"),
                ("1:2:a\n\n1:b\n", "a.ts: line 3 has 1 channel, line 1 has 2"),
                ("1:a\n\udce9:a\n", "a.ts: line 2 is not UTF-8 (byte 0xe9): set the"),
            )
        ),
        *(
            (
                "sequences",
                name,
                text,
                {"task": "classification", "column": "text", "label": "y", **fields},
                message,
            )
            for name, text, fields, message in (
                ("a.csv", "text,y\na,1\nb,\n", {}, "column 'y' has no value in line 3"),
                (
                    "a.csv",
                    "text,y\na,1\n ,2\n,3\n",
                    {},
                    "'text' has no value in 2 lines",
                ),
                ("a.csv", "text,y\na,1\n", {"label": "text"}, "text is the column of"),
                ("a.csv", "text,y\n.,1\n", {}, "no text is left"),
                (
                    "a.csv",
                    "text,y\na,1\n",
                    {"rows": {"y": "2"}},
                    "rows: column 'y' has",
                ),
                ("a.csv", "text,y\n\udce9,1\n", {}, "line 2 is not UTF-8 (byte 0xe9)"),
                ("a.parquet", "text", {}, "not a table ("),
                ("a.xls", "text", {}, "expected a file .csv, .csv.gz"),
            )
        ),
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
        ("pairs", "a.tsv", "a\tb\n\nc\n\td\n", {}, "target in 2 lines (3, 4); fill"),
        ("pairs", "a.tsv", "a\tb\nc\td\tCC", {}, "a.tsv: line 2 has 3 columns, exp"),
        (
            "pairs",
            "a.tsv",
            "a\tb",
            {"columns": [1, 3]},
            "line 1 has 2 columns, columns",
        ),
        ("pairs", "a.dict", "a B", {"columns": [1, 2]}, "columns are for .tsv files"),
        ("pairs", "a.tsv", "a\tb\n\udce9\tc", {}, "a.tsv: line 2 is not UTF-8 (byte"),
        (
            "pairs",
            "a.dict",
            "a B\nb # no",
            {},
            "a.dict: no source or no target in line",
        ),
        ("trees", "a.tsv", "\t( a b )\nyes\t", {}, "no class or no tree in 2 lines"),
        ("trees", "a.tsv", "yes\t\udce9", {}, "a.tsv: line 1 is not UTF-8"),
        ("trees", "a.tsv", "yes ( a b )", {}, "line 1: expected class, tab, tree"),
        ("trees", "a.tsv", "yes\t( a ( b )", {}, "line 1: tree 0: 1 brackets are not"),
        ("trees", "a.tsv", "y\ta\n\nn\ta )", {}, "a.tsv: line 3: tree 0: a bracket is"),
        ("trees", "a.tsv", "\n", {}, "a.tsv: holds no tree"),
        ("trees", "a.tsv", "y\ta\tb", {}, "a.tsv: line 1: expected class, tab, tree"),
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


def test_pairs_keep_all_that_a_line_says(prepared: Prepare) -> None:
    lines = "\ufeff" + "".join(
        f"a\u2028{'b ' * n}\tx\t{'y ' * (n + 1)}\n" for n in range(10)
    )
    with collect_notes() as said:
        data = whole(
            prepared(
                "pairs", "a.tsv", lines + "a\tx\t\n", columns=[1, 3], missing="drop"
            )
        )
    assert data.source_symbols == ("a", "b")
    assert data.target_symbols == ("y",)
    assert data.preparation == TextPreparation("spaces")
    assert len(said) == 1
    assert said[0].endswith("a.tsv: no source or no target in line 11: left out")


def test_pairs_whose_source_occurs_again_are_counted(prepared: Prepare) -> None:
    lines = "".join(f"{n}\tx\r" for n in range(10))
    with collect_notes() as said:
        prepared("pairs", "a.tsv", lines + "0\tx\t\r1\ty", read={"encoding": "cp1252"})
    expected = (
        "left out 2 pairs whose source occurs before, 1 of them with another target"
    )
    assert [line.partition(": ")[2] for line in said] == [expected]


def test_series_that_are_not_whole_can_be_left_out(prepared: Prepare) -> None:
    gaps = "1,?:1,1:one\n1:1:\n"
    with collect_notes() as said:
        splits = prepared(
            "sequences", "a.ts", SERIES + gaps, task="classification", missing="drop"
        )
    assert len(whole(splits)) == 20
    assert splits.train.preparation is None
    assert [line.rpartition("a.ts: ")[2] for line in said] == [
        "no label in line 23: left out",
        "values are missing or not finite in line 22: left out",
    ]


@pytest.mark.parametrize(
    ("suffix", "place"),
    [("csv", "line 26"), ("parquet", "row 25"), ("jsonl", "line 25")],
)
def test_labelled_texts_that_are_left_out_are_counted(
    prepared: Prepare, tmp_path: Path, suffix: str, place: str
) -> None:
    texts = [(f"film {i}", "ab"[i % 2]) for i in range(20)]
    texts += [("good", "a"), ("good", "b"), ("bad", "a"), ("None", "b"), ("", "a")]
    data = pd.DataFrame([*texts, ("...", "b")], columns=["text", "y"])
    file = tmp_path / f"b.{suffix}"
    {
        "csv": partial(data.to_csv, index=False),
        "parquet": data.to_parquet,
        "jsonl": partial(data.to_json, orient="records", lines=True),
    }[suffix](file)
    content = file.read_bytes().decode("utf-8", "surrogateescape")
    fields = {"task": "classification", "column": "text", "label": "y"}
    with collect_notes() as said:
        splits = prepared("sequences", file.name, content, missing="drop", **fields)
    found = whole(splits)
    assert len(found) == 23
    assert "none" in found.X.texts()
    assert found.preparation == TextPreparation("words", lower=True)
    again = found.preparation.prepare(["Film 7, None"], where="column sequence")
    assert again[0].startswith("film ")
    assert [line.rpartition(f"b.{suffix}: ")[2] for line in said] == [
        f"column 'text' has no value in {place}: left out",
        "left out 1 row whose text occurs before, 1 of them with another label",
        "left out 1 text without a word",
    ]


def test_a_label_that_is_read_as_missing_can_be_kept(prepared: Prepare) -> None:
    rows = "".join(f"film {i},{'NA' if i % 2 else 'b'}\n" for i in range(20))
    fields = {"task": "classification", "column": "text", "label": "y"}
    with pytest.raises(ValueError, match=r"read: \{keep_na: true\} keeps such texts"):
        prepared("sequences", "a.csv", "text,y\n" + rows, **fields)
    fields["read"] = {"keep_na": True}
    splits = prepared("sequences", "a.csv", "text,y\n" + rows, **fields)
    assert splits.train.classes == ("NA", "b")


def test_a_language_model_reads_other_encodings_and_counts_rows_without_text(
    prepared: Prepare,
) -> None:
    rows = "\ufefftext\n" + "".join(f"the cat {'x' * i}\n" for i in range(1, 20))
    options = {"task": "language_model", "column": "text"}
    with collect_notes() as said:
        data = whole(prepared("sequences", "a.csv", rows + '""\n' * 3, **options))
    assert len(data) == 19
    assert data.preparation == TextPreparation("english_words", lower=True)
    assert len(said) == 1
    assert said[0].endswith("a.csv: column 'text' is empty in 3 rows")


@pytest.mark.parametrize("schema", [PairsSchema, TreesSchema])
def test_keys_for_files_are_not_for_generated_data(schema: Any) -> None:
    source = "made:numerals" if schema is PairsSchema else "made:boolean"
    section = schema(source=source, missing="drop", read={"encoding": "latin-1"})
    assert section.validation_errors() == [
        "read: for files, not for generated data",
        "missing: for files, not for generated data",
    ]
    with pytest.raises(ValidationError, match="unknown encoding 'latin-x'"):
        schema(source="file:a", read={"encoding": "latin-x"})
