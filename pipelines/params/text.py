"""What params.yaml says of text, sequences, pairs and trees."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ftml.config import nearest
from pipelines.params.base import DatasetSchema, Fraction, Schema, Sha256

MADE_PAIRS = "made:numerals"
MADE_TREES = ("made:boolean", "made:arithmetic")


class TextSchema(Schema):
    """A source of text."""

    source: str
    "as that of a dataset"

    sha256: Sha256 | None = None
    "of the fetched bytes, as that of a dataset"

    column: str | None = None
    "column of a .csv, .parquet or .jsonl file that holds text; a row is a paragraph"


class WordSetsSchema(Schema):
    """Word lists that people rated, scored once, on the final fits."""

    source: str
    "files of `word word score` or `a b c d` lines, as gensim's package carries them"

    sha256: Sha256 | None = None
    "of the fetched bytes"


class CooccurrenceSchema(DatasetSchema):
    """A dataset of the kind Cooccurrence, made by the stage `cooccurrence`."""

    column: str | None = None
    "column of a .csv, .parquet or .jsonl file that holds text; a row is a paragraph"

    also: list[TextSchema] = []
    "further sources of text, read after the first"

    sentences: Literal["line", "paragraph", "stop"] = "line"
    """where a sentence ends: with its line, at a blank line, or at a full stop,
    question mark or exclamation mark (and a blank line). No pair of words crosses it"""

    valid_fraction: Fraction = 0.05
    "chance of a sentence to be held out for validation"

    test_fraction: Fraction = 0.05
    "chance of a sentence to be held out for the test"

    window: Annotated[int, Field(ge=1)] = 5
    "largest distance, in words, between two words that are counted together"

    weighting: Literal["harmonic", "dynamic", "flat"] = "harmonic"
    "weight of distance d: 1/d (GloVe), (window - d + 1)/window (word2vec), or 1"

    min_count: Annotated[int, Field(ge=1)] = 5
    "words that occur less often in the training sentences are dropped"

    max_size: Annotated[int, Field(ge=1)] | None = None
    "words that are kept at most, the most frequent ones"

    subsample: Annotated[float, Field(ge=0, lt=1)] = 0.0
    "share of the text above which a word is thinned, as word2vec does (1e-3); 0: none"

    passes: Annotated[int, Field(ge=0)] = 0
    """texts that are thinned and counted, for their mean; 0 weighs pairs by the chance
    that both words stay"""

    memory_mb: Annotated[int, Field(ge=64)] = 1024
    "memory that counting may use, in megabytes; what does not fit goes to disk"

    word_sets: WordSetsSchema | None = None
    "word lists to score the final fits on; without, held-out text alone is scored"

    def texts(self) -> list[TextSchema]:
        """Return all sources of text, this block's own first."""
        own = TextSchema(source=self.source, sha256=self.sha256, column=self.column)
        return [own, *self.also]

    def validation_errors(self) -> list[str]:
        """Return a line for each field that does not fit the others."""
        if self.passes and not self.subsample:
            return ["passes: only with subsample; without it all passes are the same"]
        return []


class SequencesSchema(DatasetSchema):
    """A dataset of the kind Sequences, made by the stage `sequences`.

    The source is a .ts file of time series, a table of texts with a label, or, for a
    language model, text.
    """

    task: str
    "what is learnt: the class of a sequence, or which word follows in a text"

    test: str | None = None
    "source of the test series, where they are apart"

    test_sha256: Sha256 | None = None
    "of the fetched bytes of `test`"

    test_fraction: Fraction | None = None
    "share of the sequences held out for the test, 0.2 by default"

    column: str | None = None
    "column of a table that holds the text"

    label: str | None = None
    "column of a table that holds the class"

    rows: dict[str, str] = {}
    "values that columns of a table must have: rows with others are left out"

    also: list[TextSchema] = []
    "further sources of text for a language model"

    sentences: Literal["line", "paragraph", "stop"] = "line"
    "where a sentence of a language model ends, as for cooccurrence"

    min_count: Annotated[int, Field(ge=1)] = 1
    "words that occur less often in the training texts become <unk>"

    max_size: Annotated[int, Field(ge=1)] | None = None
    "words that are kept at most, the most frequent ones"

    n_samples: Annotated[int, Field(ge=1)] | None = None
    "sequences that are drawn; all by default"

    def validation_errors(self) -> list[str]:
        """Return a line for each field that does not fit the others."""
        lines = []
        if self.test is not None and self.test_fraction is not None:
            lines.append("test_fraction: the test sequences are those of `test`")
        if self.test is None and self.test_sha256 is not None:
            lines.append("test_sha256: there is no `test`")
        if self.task == "language_model":
            wrong = [name for name in ("label", "rows", "test") if getattr(self, name)]
            lines += [f"{name}: not for a language model" for name in wrong]
        elif (self.column is None) != (self.label is None):
            lines.append("label: a table of texts needs both column and label")
        return lines


class PairsSchema(DatasetSchema):
    """A dataset of the kind Pairs, made by the stage `pairs`.

    The source is a .dict file, `word SYMBOL SYMBOL ...` in each line, a .tsv file with
    source and target in two columns, symbols apart by spaces, or made:numerals.
    """

    below: Annotated[int, Field(ge=2, le=1_000_000)] | None = None
    "the numbers of made:numerals are 0 to this, without it; 10,000 by default"

    stress: bool = False
    "keep the digits that mark the stress of a phoneme in a .dict file"

    test_fraction: Fraction = 0.2
    "share of the pairs held out for the test"

    n_samples: Annotated[int, Field(ge=1)] | None = None
    "pairs that are drawn; all by default"

    def validation_errors(self) -> list[str]:
        """Return a line for each field that does not fit the others."""
        made = self.source.startswith("made:")
        if made and self.source != MADE_PAIRS:
            known = nearest(self.source, [MADE_PAIRS])
            return [f"source: unknown {self.source!r}{known}"]
        lines = []
        if not made and self.below is not None:
            lines.append(f"below: for {MADE_PAIRS}")
        if made and self.sha256:
            lines.append("sha256: for files, not for data that are made")
        return lines


class TreesSchema(DatasetSchema):
    """A dataset of the kind Trees, made by the stage `trees`.

    The source is made:boolean, made:arithmetic, or a .tsv file with a class and a tree
    in each line, `( a ( b c ) )`.
    """

    test_fraction: Fraction = 0.2
    "share of the trees held out for the test"

    n_samples: Annotated[int, Field(ge=1)] | None = None
    "trees that are drawn: 4000 that are made by default, or all of a file"

    n_operators: Annotated[int, Field(ge=1)] | None = None
    "operators of a tree that is made, at most; 10 by default"

    def validation_errors(self) -> list[str]:
        """Return a line for each field that does not fit the others."""
        made = self.source.startswith("made:")
        if made and self.source not in MADE_TREES:
            known = nearest(self.source, MADE_TREES)
            return [f"source: unknown {self.source!r}{known}"]
        lines = []
        if not made and self.n_operators is not None:
            lines.append("n_operators: for trees that are made")
        if made and self.sha256:
            lines.append("sha256: for files, not for data that are made")
        return lines
