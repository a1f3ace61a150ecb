"""The model of every word embedding: two vectors per word, and queries on them.

Axes: V words, d dimensions.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ftml.saving import whole_folder

NOTHING = np.zeros(0, np.float32)
PROJECTOR = "projector_config.pbtxt"


@dataclass(frozen=True)
class Vectors:
    words: tuple[str, ...]
    X: np.ndarray
    "(V, d) float32: the vectors of the words"
    Z: np.ndarray
    "(V, d) float32: their vectors as neighbours of another word"
    bias: np.ndarray = field(default_factory=lambda: NOTHING)
    "(V,): added to the score of a neighbour; (0,) for none"
    summed: bool = False
    "whether a word is embedded as x + z rather than x"
    spectrum: np.ndarray = field(default_factory=lambda: NOTHING)
    "(d,): the singular values, where the vectors come from a decomposition; else (0,)"

    def pair_score(self, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
        """Return x_i'z_j + bias_j, (n,), for word ids rows (n,) and cols (n,)."""
        score: np.ndarray = np.einsum("nd,nd->n", self.X[rows], self.Z[cols])
        return score + self.bias[cols] if len(self.bias) else score

    def table(self) -> np.ndarray:
        """Return the vector of every word, (V, d)."""
        return self.X + self.Z if self.summed else self.X

    def embed(self, words: Sequence[str]) -> np.ndarray:
        """Return the vector of each word, (n, d); ValueError names an unknown one."""
        number = {word: i for i, word in enumerate(self.words)}
        for word in words:
            if word not in number:
                (near,) = difflib.get_close_matches(word, self.words, n=1, cutoff=0.0)
                raise ValueError(f"unknown word {word!r}; nearest: {near}")
        return self.table()[[number[word] for word in words]]

    def nearest(self, word: str, n: int = 10) -> list[tuple[str, float]]:
        """Return the n other words of largest cosine to a word, and the cosine."""
        return self._nearest_to(self.embed([word])[0], n=n, without={word})

    def analogy(self, a: str, b: str, c: str, n: int = 10) -> list[tuple[str, float]]:
        """Return the n words that are to c as b is to a, by cosine to b - a + c.

        The three vectors have length 1 first, and are left out (Mikolov et al., 2013).
        """
        A = unit(self.embed([a, b, c]))
        return self._nearest_to(A[1] - A[0] + A[2], n=n, without={a, b, c})

    def _nearest_to(
        self, vector: np.ndarray, *, n: int, without: set[str]
    ) -> list[tuple[str, float]]:
        cosine = unit(self.table()) @ unit(vector[None])[0]
        order = np.argsort(-cosine, kind="stable")[: n + len(without)]
        found = [(self.words[i], float(cosine[i])) for i in order]
        return [pair for pair in found if pair[0] not in without][:n]

    def write_word2vec(self, path: Path) -> None:
        """Write the vectors in word2vec's text format, which gensim loads."""
        table = self.table()
        lines = [f"{len(table)} {table.shape[1]}", *_lines(self.words, table, " ")]
        beside = path.with_name(f".{path.name}")
        beside.write_text("\n".join(lines) + "\n")
        beside.rename(path)

    def write_projector(self, folder: Path) -> None:
        """Write a folder that TensorBoard's projector shows: `tensorboard --logdir`."""
        with whole_folder(folder, marks=[PROJECTOR]) as beside:
            lines = [
                line.partition("\t")[2]
                for line in _lines(self.words, self.table(), "\t")
            ]
            (beside / "vectors.tsv").write_text("\n".join(lines) + "\n")
            (beside / "metadata.tsv").write_text("\n".join(self.words) + "\n")
            (beside / PROJECTOR).write_text(
                'embeddings {\n  tensor_name: "words"\n  tensor_path: "vectors.tsv"\n'
                '  metadata_path: "metadata.tsv"\n}\n'
            )


def _lines(words: Sequence[str], table: np.ndarray, gap: str) -> list[str]:
    """Return one line per word; nine digits distinguish any two float32 numbers."""
    return [
        gap.join([word, *(f"{value:.9g}" for value in row)])
        for word, row in zip(words, table.tolist(), strict=True)
    ]


def unit(vectors: np.ndarray) -> np.ndarray:
    """Return the rows scaled to length 1; a row of zeros is unchanged."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 0, length, 1.0)
