"""The stage that counts, on small files."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from ftml.data import cooccurrence, encoding, parquet
from ftml.data.counting import count_pairs
from pipelines.datasets import cooccurrence as stage_module
from pipelines.datasets.cooccurrence import prepare
from pipelines.datasets.notes import collect_notes
from pipelines.params.text import CooccurrenceSchema
from tests.conftest import stage

LINES = [
    "The king loves the queen.",
    "The queen, the KING!",
    "Exeunt",
    "Blood and love",
] * 10


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def text(tmp_path: Path) -> Path:
    folder = tmp_path / "text"
    folder.mkdir()
    (folder / "b.txt").write_text("\n".join(LINES[:20]))
    (folder / "a.txt").write_text("\n".join(LINES[20:]) + "\n")
    return folder


def section_of(text: Path, **changed) -> CooccurrenceSchema:
    values = {"source": f"file:{text}/*.txt", "min_count": 2, "window": 2}
    values |= {"valid_fraction": 0.2, "test_fraction": 0.2}
    return CooccurrenceSchema.model_validate({**values, **changed})


def prepared(section: CooccurrenceSchema, folder: Path) -> Path:
    folder.mkdir()
    prepare(section, folder)
    return folder


def sentences_of(folder: Path) -> dict[str, encoding.Sentences]:
    ids, found = folder / encoding.IDS, {}
    for split in parquet.SPLITS:
        numbers = [g.number for g in encoding.groups(ids) if g.split == split]
        found[split] = encoding.chain([encoding.read_group(ids, n) for n in numbers])
    return found


def test_splits_hold_every_sentence_once_and_nothing_of_one_word(text, tmp_path):
    folder = prepared(section_of(text, min_count=1), tmp_path / "data")
    words = cooccurrence.load(folder).train.words
    every = [
        " ".join(words[i] for i in each.ids[a:b])
        for each in sentences_of(folder).values()
        for a, b in zip(each.offsets[:-1], each.offsets[1:], strict=True)
    ]
    expected = ["the king loves the queen", "the queen the king", "blood and love"] * 10
    assert sorted(every) == sorted(expected)
    assert all(len(each) >= 2 for each in sentences_of(folder).values())


def test_counts_are_those_of_the_sentences_that_stand_beside_them(text, tmp_path):
    folder = prepared(section_of(text, weighting="dynamic"), tmp_path / "data")
    splits = cooccurrence.load(folder)
    for name, sentences in sentences_of(folder).items():
        part = getattr(splits, name)
        again = count_pairs(sentences, part.words, window=2, weighting="dynamic")
        for field in ("counts", "row", "col", "weight"):
            assert np.array_equal(getattr(part, field), getattr(again, field))


def test_vocabulary_is_that_of_the_training_sentences_alone(text, tmp_path):
    rare = text / "c.txt"
    rare.write_text("\n".join(f"rare{chr(97 + n)} king" for n in range(20)))
    splits = cooccurrence.load(
        prepared(section_of(text, min_count=1), tmp_path / "data")
    )
    assert (splits.train.counts >= 1).all()
    assert (np.diff(splits.train.counts) <= 0).all()
    # Of 50 sentences some are held out, and some of those hold a rare word.
    assert len(splits.train.words) < 7 + 20
    kept = cooccurrence.load(prepared(section_of(text, max_size=3), tmp_path / "few"))
    assert kept.train.words == splits.train.words[:3]


def test_the_same_seed_writes_the_same_bytes_and_another_seed_other_splits(
    text, tmp_path
):
    first, again, other = (
        prepared(section_of(text, seed=seed), tmp_path / name)
        for seed, name in ((0, "first"), (0, "again"), (1, "other"))
    )
    names = sorted(path.name for path in first.iterdir())
    expected = ["ids", "test", "train", "valid", "vocabulary"]
    assert names == [f"{name}.parquet" for name in expected]
    for name in names:
        assert (first / name).read_bytes() == (again / name).read_bytes()
    assert (first / "ids.parquet").read_bytes() != (other / "ids.parquet").read_bytes()


def test_files_say_how_they_were_counted(text, tmp_path):
    folder = prepared(section_of(text, seed=3), tmp_path / "data")
    _, about = parquet.read(folder / "train.parquet", kind="Cooccurrence")
    assert about.pop("total_weight") == pytest.approx(
        cooccurrence.load(folder).train.weight.sum()
    )
    assert len(about.pop("corpus")) == len(about.pop("vocabulary")) == 64
    assert about == {
        "kind": "Cooccurrence",
        "sentences": "line",
        "window": 2,
        "weighting": "harmonic",
        "subsample": 0.0,
        "passes": 0,
        "min_count": 2,
        "max_size": None,
        "valid_fraction": 0.2,
        "test_fraction": 0.2,
        "seed": 3,
        "counting_seed": 3,
    }


def test_rows_without_text_are_counted_whether_the_text_is_read_or_reused(tmp_path):
    rows = "".join(f'{{"text": "{line}"}}\n\n' for line in LINES)
    file = tmp_path / "a.jsonl"
    file.write_bytes((rows + '{"text": null}\n').encode("utf-16"))
    options = {
        "source": f"file:{file}",
        "column": "text",
        "read": {"encoding": "utf-16"},
    }
    section = section_of(file, **options)
    for name in ("first", "again"):
        with collect_notes() as said:
            prepared(section, tmp_path / name)
        expected = f"file:{file}: a.jsonl: column 'text' is empty in 1 row"
        assert said == [expected]


def test_the_encoding_of_a_text_is_part_of_what_is_reused(tmp_path, capsys):
    file = tmp_path / "a.txt"
    file.write_text("\n".join(LINES))
    prepared(section_of(file, source=f"file:{file}"), tmp_path / "utf-8")
    other = {"source": f"file:{file}", "read": {"encoding": "latin-1"}}
    prepared(section_of(file, **other), tmp_path / "latin-1")
    assert "reused" not in capsys.readouterr().out


def test_another_window_does_not_read_the_text_again(text, tmp_path, capsys):
    first = prepared(section_of(text), tmp_path / "first")
    assert capsys.readouterr().out == ""
    other = prepared(section_of(text, window=1, subsample=0.01), tmp_path / "other")
    assert capsys.readouterr().out == "corpus: reused\n"
    for name in ("ids.parquet", "vocabulary.parquet"):
        assert (first / name).read_bytes() == (other / name).read_bytes()
    prepared(section_of(text, sentences="stop"), tmp_path / "stop")
    (text / "a.txt").write_text("The king and the queen\n" * 9)
    prepared(section_of(text), tmp_path / "changed")
    assert capsys.readouterr().out == ""


def test_further_sources_and_columns_are_read_after_the_first(text, tmp_path):
    table = tmp_path / "more.csv"
    table.write_text('n,text\n1,"king of kings,\nmy king"\n' * 20)
    also = [{"source": f"file:{table}", "column": "text"}]
    splits = cooccurrence.load(prepared(section_of(text, also=also), tmp_path / "data"))
    assert {"of", "kings", "my"} < set(splits.train.words)
    alone = section_of(text, source=f"file:{table}", column="text")
    assert (
        cooccurrence.load(prepared(alone, tmp_path / "alone")).train.words[0] == "king"
    )


def test_word_lists_go_with_the_test_split_alone(text, tmp_path):
    (tmp_path / "lists.tsv").write_text("# rated\nking\tQueen\t8.5\n")
    (tmp_path / "questions.txt").write_text(": royal\nking queen lord lady\n")
    sets = {"source": f"file:{tmp_path}/*s.t*"}
    splits = cooccurrence.load(
        prepared(section_of(text, word_sets=sets), tmp_path / "data")
    )
    assert splits.test.word_sets.similarities == (("lists", "king", "queen", 8.5),)
    assert splits.test.word_sets.analogies == (
        ("royal", "king", "queen", "lord", "lady"),
    )
    assert splits.train.word_sets is splits.valid.word_sets is None
    assert splits.for_final_fit().train.word_sets is None


def test_text_that_is_not_utf8_is_an_error_with_its_file_and_line(text, tmp_path):
    (text / "a.txt").write_bytes("two words\nthe caf\xe9\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"a\.txt: line 2 is not UTF-8 \(byte 0xe9\)"):
        prepared(section_of(text), tmp_path / "data")
    assert not list((tmp_path / "cache").rglob("*.parquet"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no sentence of two words or more"),
        (" \n", "no sentence of two words or more"),
        ("one\nword\n", "no sentence of two words or more"),
    ],
)
def test_a_file_without_a_sentence_is_an_error_with_its_name(
    text, tmp_path, content, message
):
    (text / "b.txt").write_text(content)
    with pytest.raises(ValueError, match=rf"b\.txt: {message}"):
        prepared(section_of(text), tmp_path / "data")


def test_a_min_count_that_no_word_reaches_is_an_error(text, tmp_path):
    with pytest.raises(
        ValueError, match="no word occurs min_count = 99 times in the training"
    ):
        prepared(section_of(text, min_count=99), tmp_path / "data")


def test_a_split_without_pairs_is_an_error(text, tmp_path):
    with pytest.raises(ValueError, match=r"the valid split has no pair of words"):
        prepared(section_of(text, valid_fraction=0.0001), tmp_path / "data")


def test_fractions_that_leave_nothing_to_train_on_are_an_error(text, tmp_path):
    with pytest.raises(
        ValueError, match=r"valid_fraction 0\.6 and test_fraction 0\.5 leave"
    ):
        prepared(
            section_of(text, valid_fraction=0.6, test_fraction=0.5), tmp_path / "data"
        )


@pytest.mark.parametrize("bad", [{"window": 0}, {"memory_mb": 1}, {"subsample": 1.0}])
def test_a_window_memory_or_threshold_out_of_range_is_refused(text, bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        section_of(text, **bad)


def test_passes_without_a_threshold_are_a_validation_error(text):
    assert section_of(text).validation_errors() == []
    (line,) = section_of(text, passes=2).validation_errors()
    assert line.startswith("passes: requires subsample")


def test_a_source_that_does_not_match_its_hash_is_an_error(text, tmp_path):
    with pytest.raises(ValueError, match=r"expected sha256 0{64}, got"):
        prepared(section_of(text, sha256="0" * 64), tmp_path / "data")


PARAMS = """
datasets:
  cooccurrence:
    corpus: {{source: "file:{text}", min_count: 2, memory_mb: 64, subsample: 0.01}}
experiments: {{}}
"""


def long_text(folder: Path, *, lines: int) -> Path:
    """Write lines of twenty words by Zipf's law."""
    rng, letters = np.random.default_rng(0), "etaoinshrdlu"
    names = np.array([a + b + c for a in letters for b in letters for c in letters])
    p = 1 / np.arange(1, len(names) + 1)
    drawn = names[rng.choice(len(names), (lines, 20), p=p / p.sum())]
    path = folder / "long.txt"
    path.write_text("\n".join(" ".join(line) for line in drawn))
    return path


@pytest.mark.slow
def test_a_stage_that_is_killed_while_it_merges_gives_the_same_table_again(tmp_path):
    text = long_text(tmp_path, lines=60_000)
    (tmp_path / "params.yaml").write_text(PARAMS.format(text=text))
    data = tmp_path / "data"
    process = stage(tmp_path, "pipelines.stages.cooccurrence", "corpus")
    while process.poll() is None:
        # The merge of the training split has begun when its table is there.
        if list(data.glob(".corpus.*/new/train.parquet")):
            os.kill(process.pid, signal.SIGKILL)
            break
        time.sleep(0.005)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (data / "corpus").exists()
    printed, _ = stage(
        tmp_path, "pipelines.stages.cooccurrence", "corpus"
    ).communicate()
    assert printed == "corpus: reused\n"
    left = {path.name for path in data.iterdir()}
    assert left == {"corpus", ".params.json"}, "no working directory remains"
    fields = {"source": f"file:{text}", "min_count": 2, "subsample": 0.01}
    whole = prepared(CooccurrenceSchema.model_validate(fields), tmp_path / "whole")
    for path in whole.iterdir():
        assert path.read_bytes() == (data / "corpus" / path.name).read_bytes()


@pytest.mark.slow
def test_ray_tasks_give_the_same_bytes(text, tmp_path, monkeypatch, local_cluster):
    from pipelines.cluster.parallel_map import map_over_ray_tasks

    here = prepared(section_of(text, passes=2, subsample=0.1), tmp_path / "here")

    @contextmanager
    def on_ray(*, max_workers):
        yield map_over_ray_tasks, 1

    monkeypatch.setattr(stage_module, "executor", on_ray)
    there = prepared(section_of(text, passes=2, subsample=0.1), tmp_path / "there")
    for path in here.iterdir():
        assert path.read_bytes() == (there / path.name).read_bytes()
