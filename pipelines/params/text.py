"""Schemas of the sections of text, sequences, pairs and trees in params.yaml."""

from __future__ import annotations

import codecs
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from ftml.config import nearest
from ftml.data.reading import ReadOptions
from pipelines.params.base import MAX_SAMPLES, DatasetSchema, Fraction, Schema, Sha256

MADE_PAIRS = "made:numerals"
MADE_TREES = ("made:boolean", "made:arithmetic")
Missing = Literal["error", "drop"]


def _known_encoding(name: str) -> str:
    try:
        codecs.lookup(name)
    except LookupError:
        raise ValueError(f"unknown encoding {name!r}") from None
    return name


class ReadTextSchema(Schema):
    """How files of text are read."""

    encoding: Annotated[str, AfterValidator(_known_encoding)] = "utf-8"
    "encoding of the files, such as latin-1, cp1252 or utf-16"


class TextSchema(Schema):
    """A source of text."""

    source: str
    "where the text comes from, as in a dataset"

    sha256: Sha256 | None = None
    "SHA-256 hash that the files must have, as in a dataset"

    column: str | None = None
    """column of a .csv, .parquet or .jsonl file that contains the text; each row is one
    paragraph"""

    read: ReadTextSchema = ReadTextSchema()
    "how the files are read"


class WordSetsSchema(Schema):
    """Word lists rated by people. Only the final fits are evaluated on them."""

    source: str
    """files with lines `word word score` or `a b c d`, such as those in the gensim
    package"""

    sha256: Sha256 | None = None
    "SHA-256 hash that the files must have"


class CooccurrenceSchema(DatasetSchema):
    """A dataset of the kind Cooccurrence, prepared by the stage `cooccurrence`."""

    column: str | None = None
    """column of a .csv, .parquet or .jsonl file that contains the text; each row is one
    paragraph"""

    read: ReadTextSchema = ReadTextSchema()
    "how the files are read: `read: {encoding: latin-1}`"

    also: list[TextSchema] = []
    "more sources of text, read after `source`"

    sentences: Literal["line", "paragraph", "stop"] = "line"
    """where a sentence ends: at the end of a line, at a blank line, or at a full stop,
    question mark, exclamation mark or blank line. Words of different sentences are not
    counted as a pair"""

    valid_fraction: Fraction = 0.05
    "probability that a sentence is in the validation split"

    test_fraction: Fraction = 0.05
    "probability that a sentence is in the test split"

    window: Annotated[int, Field(ge=1, le=1000)] = 5
    "largest distance between two words of a pair, in words"

    weighting: Literal["harmonic", "dynamic", "flat"] = "harmonic"
    """weight of a pair at distance d: 1/d (harmonic, as GloVe), (window - d + 1)/window
    (dynamic, as word2vec), or 1 (flat)"""

    min_count: Annotated[int, Field(ge=1)] = 5
    "words that occur less often than this in the training sentences are dropped"

    max_size: Annotated[int, Field(ge=1)] | None = None
    "largest size of the vocabulary; the most frequent words are kept. By default all"

    subsample: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """subsampling threshold of word2vec (there 1e-3): words whose fraction of the text
    is larger are randomly left out. 0 means no subsampling"""

    passes: Annotated[int, Field(ge=0, le=1000)] = 0
    """number of random subsamples of the text whose counts are averaged; with 0, each
    pair is weighted by the probability that both words are kept"""

    memory_mb: Annotated[int, Field(ge=64)] = 1024
    "memory for counting, in megabytes; what does not fit is written to disk"

    word_sets: WordSetsSchema | None = None
    "word lists to evaluate the final fits on; by default only held-out text is used"

    def texts(self) -> list[TextSchema]:
        """Return all sources of text, the source of this section first."""
        own = TextSchema(
            source=self.source, sha256=self.sha256, column=self.column, read=self.read
        )
        return [own, *self.also]

    def validation_errors(self) -> list[str]:
        """Return a message for each field that contradicts another."""
        if self.passes and not self.subsample:
            return ["passes: requires subsample; without it all passes are equal"]
        return []


class SequencesSchema(DatasetSchema):
    """A dataset of the kind Sequences, prepared by the stage `sequences`.

    The source is a .ts file of time series, a table of labelled texts, or text for a
    language model.
    """

    task: str
    "what is learnt: the class of a sequence, or which word follows in a text"

    test: str | None = None
    """source of the test series if they are separate; by default the test split is
    taken from `source`"""

    test_sha256: Sha256 | None = None
    "SHA-256 hash that the files of `test` must have"

    test_fraction: Fraction | None = None
    "fraction of the sequences in the test split, between 0 and 1; 0.2 by default"

    column: str | None = None
    "column of a table that contains the text"

    label: str | None = None
    "column of a table that contains the class"

    rows: dict[str, str] = {}
    "filter of a table: only rows with these values are read, by column"

    read: ReadOptions = ReadOptions()
    """how the file of a table is read; by default what is safe is detected. For time
    series and plain text only `encoding`"""

    missing: Missing = "error"
    """what is done with rows of a table without a text or a label, and with time series
    without a label or with missing values: error, or drop, which leaves them out and
    counts them"""

    also: list[TextSchema] = []
    "more sources of text for a language model, read after `source`"

    sentences: Literal["line", "paragraph", "stop"] = "line"
    """for a language model: where a sentence ends: at the end of a line, at a blank
    line, or at a full stop, question mark, exclamation mark or blank line"""

    min_count: Annotated[int, Field(ge=1)] = 1
    "words that occur less often than this in the training texts become <unk>"

    max_size: Annotated[int, Field(ge=1)] | None = None
    "largest size of the vocabulary; the most frequent words are kept. By default all"

    n_samples: Annotated[int, Field(ge=1, le=MAX_SAMPLES)] | None = None
    "number of sequences, chosen at random; by default all"

    def validation_errors(self) -> list[str]:
        """Return a message for each field that contradicts another."""
        lines = []
        if self.label is None and self.read != ReadOptions(encoding=self.read.encoding):
            lines.append("read: only encoding is for time series and plain text")
        if self.test is not None and self.test_fraction is not None:
            lines.append("test_fraction: the test sequences are those of `test`")
        if self.test is None and self.test_sha256 is not None:
            lines.append("test_sha256: there is no `test`")
        if self.task == "language_model":
            wrong = [name for name in ("label", "rows", "test") if getattr(self, name)]
            lines += [f"{name}: not for a language model" for name in wrong]
        elif (self.column is None) != (self.label is None):
            lines.append("label: a table of texts needs both column and label")
        elif self.column is not None and self.column == self.label:
            lines.append(f"label: {self.label} is the column of the text")
        return lines


Column = Annotated[int, Field(ge=1)]


class PairsSchema(DatasetSchema):
    """A dataset of the kind Pairs, prepared by the stage `pairs`.

    The source is a .dict file with lines `word SYMBOL SYMBOL ...`, a .tsv file whose
    two columns are source and target, with symbols separated by spaces, or
    made:numerals.
    """

    below: Annotated[int, Field(ge=2, le=1_000_000)] | None = None
    "made:numerals has the numbers from 0 to `below` - 1; 10,000 by default"

    stress: bool = False
    "whether to keep the digits that mark the stress of a phoneme in a .dict file"

    columns: Annotated[tuple[Column, Column], Field(strict=False)] | None = None
    """numbers of the columns of a .tsv file with the source and the target, from 1; by
    default the file must have no other columns"""

    read: ReadTextSchema = ReadTextSchema()
    "how the files are read: `read: {encoding: latin-1}`"

    missing: Missing = "error"
    """what is done with lines without a source or a target: error, or drop, which
    leaves them out and counts them"""

    test_fraction: Fraction = 0.2
    "fraction of the pairs in the test split, between 0 and 1"

    n_samples: Annotated[int, Field(ge=1, le=MAX_SAMPLES)] | None = None
    "number of pairs, chosen at random; by default all"

    def validation_errors(self) -> list[str]:
        """Return a message for each field that contradicts another."""
        made = self.source.startswith("made:")
        if made and self.source != MADE_PAIRS:
            known = nearest(self.source, [MADE_PAIRS])
            return [f"source: unknown {self.source!r}{known}"]
        lines = []
        if not made and self.below is not None:
            lines.append(f"below: for {MADE_PAIRS}")
        return lines + (_for_files(self) if made else [])


class TreesSchema(DatasetSchema):
    """A dataset of the kind Trees, prepared by the stage `trees`.

    The source is made:boolean, made:arithmetic, or a .tsv file with a class and a tree,
    such as `( a ( b c ) )`, in each line.
    """

    test_fraction: Fraction = 0.2
    "fraction of the trees in the test split, between 0 and 1"

    n_samples: Annotated[int, Field(ge=1, le=MAX_SAMPLES)] | None = None
    "number of trees, chosen at random; by default 4000 generated ones or all of a file"

    n_operators: Annotated[int, Field(ge=1, le=100)] | None = None
    "largest number of operators in a generated tree; 10 by default"

    read: ReadTextSchema = ReadTextSchema()
    "how the files are read: `read: {encoding: latin-1}`"

    missing: Missing = "error"
    """what is done with lines without a class or a tree: error, or drop, which leaves
    them out and counts them"""

    def validation_errors(self) -> list[str]:
        """Return a message for each field that contradicts another."""
        made = self.source.startswith("made:")
        if made and self.source not in MADE_TREES:
            known = nearest(self.source, MADE_TREES)
            return [f"source: unknown {self.source!r}{known}"]
        lines = []
        if not made and self.n_operators is not None:
            lines.append("n_operators: for generated trees")
        return lines + (_for_files(self) if made else [])


def _for_files(section: Schema) -> list[str]:
    """Return a message for each field that is for files and is not the default."""
    fields = ("sha256", "columns", "read", "missing")
    return [
        f"{name}: for files, not for generated data"
        for name in fields
        if name in type(section).model_fields
        and getattr(section, name) != type(section).model_fields[name].default
    ]
