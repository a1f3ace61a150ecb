"""Counting in little memory, in any number of shards: the same table."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from ftml.data import encoding, parquet, sharding
from ftml.data.counting import count_pairs
from ftml.data.encoding import Encoding, encode_corpus
from ftml.data.sharding import Counting, count_split, threads, write_pairs

HOW = Counting(window=4, weighting="harmonic")


def encoded(folder: Path, *, lines: int, group: int, V: int = 300) -> Path:
    """Write a corpus of random lines of 12 words; return its ids."""
    rng = np.random.default_rng(0)
    p = 1 / np.arange(1, V + 1)
    names = np.array([chr(97 + n // 26) + chr(97 + n % 26) for n in range(V)])
    drawn = names[rng.choice(V, (lines, 12), p=p / p.sum())]
    text = "\n".join(" ".join(line) for line in drawn).encode()
    folder.mkdir(exist_ok=True)
    encode_corpus([(Path("t"), [text])], folder, how=Encoding(), about={}, group=group)
    return folder / encoding.IDS


def counts_of(ids: Path) -> np.ndarray:
    table, _ = parquet.read(ids.with_name("vocabulary.parquet"), kind="Vocabulary")
    return table["train_count"].to_numpy()


def table_of(
    ids: Path, folder: Path, *, memory: int, how=HOW, split="train", **options
):
    folder.mkdir()
    total, tables = count_split(
        ids, split, folder, counts=counts_of(ids), how=how, memory=memory, **options
    )
    return total, pa.concat_tables(list(tables)).combine_chunks()


def test_any_memory_and_any_number_of_threads_give_the_same_table(tmp_path):
    ids = encoded(tmp_path / "c", lines=3000, group=1000)
    assert sum(g.split == "train" for g in encoding.groups(ids)) > 20
    total, expected = table_of(ids, tmp_path / "whole", memory=1 << 30)
    words = tuple(str(n) for n in range(len(counts_of(ids))))
    parts = [g.number for g in encoding.groups(ids) if g.split == "train"]
    sentences = encoding.chain([encoding.read_group(ids, n) for n in parts])
    direct = count_pairs(sentences, words, window=4, weighting="harmonic")
    assert np.array_equal(expected["weight"].to_numpy(), direct.weight)
    assert np.array_equal(expected["col"].to_numpy(), direct.col)
    assert total == pytest.approx(direct.weight.sum(), rel=1e-12)
    with threads(3) as parallel_map:
        spilled = table_of(
            ids, tmp_path / "s", memory=1 << 16, workers=3, parallel_map=parallel_map
        )
    assert len(list((tmp_path / "s").iterdir())) > 20  # runs on disk
    assert spilled[0] == total
    assert spilled[1].equals(expected)


@pytest.mark.parametrize("passes", [0, 2])
def test_subsampled_counts_do_not_depend_on_the_shards_either(tmp_path, passes):
    ids = encoded(tmp_path / "c", lines=2000, group=1000)
    how = Counting(3, "dynamic", subsample=0.01, passes=passes, seed=4)
    whole, shards = (
        table_of(ids, tmp_path / str(memory), memory=memory, how=how)[1]
        for memory in (1 << 30, 1 << 16)
    )
    assert shards.equals(whole)
    plain = table_of(ids, tmp_path / "p", memory=1 << 30, how=Counting(3, "dynamic"))[1]
    assert 0.05 < np.sum(whole["weight"]) / np.sum(plain["weight"]) < 0.9


def test_a_corpus_of_four_times_the_memory_is_counted_within_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sharding, "GROUP", 1 << 12)
    ids = encoded(tmp_path / "c", lines=92_000, group=1 << 12, V=100)
    table_of(ids, tmp_path / "warm", memory=1 << 30, split="valid")  # compiled now
    size, memory = sum(4 * g.size for g in encoding.groups(ids)), 1 << 20
    assert size > 4 * memory
    (tmp_path / "runs").mkdir()
    arrow = pa.default_memory_pool()
    before = arrow.bytes_allocated()
    tracemalloc.start()  # sees what numpy allocates
    try:
        _, tables = count_split(
            ids,
            "train",
            tmp_path / "runs",
            counts=counts_of(ids),
            how=HOW,
            memory=memory,
        )
        of_arrow = max(arrow.bytes_allocated() - before for _ in tables)
        of_numpy = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert of_numpy + of_arrow < memory, f"{of_numpy} + {of_arrow} bytes at the peak"


def test_bytes_of_the_file_depend_on_the_counts_alone(tmp_path):
    ids = encoded(tmp_path / "c", lines=2000, group=1000)
    written = []
    for memory in (1 << 30, 1 << 16):
        folder = tmp_path / str(memory)
        folder.mkdir()
        total, tables = count_split(
            ids, "test", folder, counts=counts_of(ids), how=HOW, memory=memory
        )
        path = folder / "test.parquet"
        m = write_pairs(path, tables, {"total": total})
        assert len(parquet.read(path, kind="Cooccurrence")[0]) == m
        written.append(path.read_bytes())
    assert written[0] == written[1]
