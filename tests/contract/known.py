"""The defects that the sizes of `tests.contract.sizes` show and that are not fixed yet.

`known_of(kind)` maps (size, check) to the cause. The contract test fails for a defect
that is not here, and for one that is here and gone, so that the tables only shrink. The
name of a size is here without its data kind; ANY stands for some sizes or all.
"""

from __future__ import annotations

from ftml.core import Family
from tests.contract.sizes import sizes_of

Defects = dict[tuple[str, str], str]

TRAINS = "trains_or_refuses_clearly"
MATTER = "inputs_matter"
SCORES = "scores_are_finite"
SUMS = "probabilities_sum_to_one"
UNIT = "a_unit_changes_no_answer"
PERMUTED = "permuted_rows_have_permuted_answers"
CHUNKS = "chunks_have_the_answers_of_the_whole"
RECONSTRUCTS = "a_whole_fit_reconstructs_better_than_the_mean"

ANY = "any size"

_ONE_CLASS = "the task gives labels of one class to scikit-learn's log_loss"
_PROBE = "the task trains its probe although the split has one class"
_INT32 = "torch refuses labels that are not int64; the data kind does not convert them"
_RADIUS = "the score divides by the radius of a class with one row, 0"
_RANGE = "scikit-learn's trees ignore a column whose range is below 1e-7"
_PLACE = "the noise of a bound depends on the place of the row in its chunk"
_VARIANCE = "directions of small raw variance are dropped"

OF_TASK: dict[str, Defects] = {
    "classification": {
        ("1 class", SCORES): _ONE_CLASS,
        ("texts of 1 class", SCORES): _ONE_CLASS,
    },
    "domain_generalization": {
        ("1 class", SCORES): _ONE_CLASS,
        ("labels of int32", TRAINS): _INT32,
    },
    "regression": {
        ("1 row to score", SCORES): "R^2 is not defined for one row, and becomes NaN"
    },
    "representation": {
        ("1 row to score", SCORES): _PROBE,
        ("1 image to score", SCORES): _PROBE,
        ("1 class to score", SCORES): _PROBE,
        ("30 classes", SCORES): "with one row of each class none is left to test",
    },
}
"Defects of a task, which all its families show."

KNOWN: dict[str, Defects] = {
    "adaboost": {
        ("a column x 1e-8", MATTER): _RANGE,
        ("a column x 1e-8", UNIT): _RANGE,
    },
    "decision_tree": {
        ("a column x 1e-8", MATTER): _RANGE,
        ("a column x 1e-8", UNIT): _RANGE,
    },
    "deep_latent_gaussian": {
        (ANY, PERMUTED): _PLACE,
        (ANY, CHUNKS): _PLACE,
        ("30 classes", SCORES): _RADIUS,
    },
    "deep_linear": {
        ("a column x 1e-8", MATTER): _VARIANCE,
        ("a column x 1e8", MATTER): _VARIANCE,
    },
    "gan": {("30 classes", SCORES): _RADIUS},
    "inception": {("labels of int32", TRAINS): _INT32},
    "lenet": {
        ("15 x 15 pixels", MATTER): "pooling drops the last row and column",
        ("labels of int32", TRAINS): _INT32,
    },
    "locally_connected": {("labels of int32", TRAINS): _INT32},
    "made": {
        (ANY, "earlier_columns_matter_to_the_last"): "more inputs than units of a layer"
    },
    "maxout": {("labels of int32", TRAINS): _INT32},
    "linear_autoencoder": {
        ("1 input", RECONSTRUCTS): "its 16 codes are more than the columns"
    },
    "mixture_density": {
        ("constant target", SUMS): "a constant is recognised by a deviation of 0"
    },
    "mlp": {("labels of int32", TRAINS): _INT32},
    "multi_task": {("labels of int32", TRAINS): _INT32},
    "nmf": {("whole numbers as uint8", UNIT): "squares of uint8 wrap in its objective"},
    "ols": {
        (
            "one-hot columns",
            "predictions_lie_near_the_targets",
        ): "exactly collinear columns are taken for full rank"
    },
    "one_hidden_layer": {("labels of int32", TRAINS): _INT32},
    "one_vs_one": {
        ("1 class", check): "it trains without a pair of classes, and cannot predict"
        for check in ("answers_are_finite", SCORES, MATTER, PERMUTED, CHUNKS, SUMS)
    },
    "random_forest": {
        ("a column x 1e-8", MATTER): _RANGE,
        ("a column x 1e-8", UNIT): _RANGE,
    },
    "recursive_net": {
        (size, TRAINS): "no weight of an inner node has a gradient in a batch of leaves"
        for size in ("trees of one leaf", "a batch of one-leaf trees", "30 classes")
    },
    "soft_weight_sharing": {("labels of int32", TRAINS): _INT32},
    "tied_autoencoder": {
        ("1 input", RECONSTRUCTS): "its 16 codes are more than the columns"
    },
    "vae": {
        (ANY, PERMUTED): _PLACE,
        (ANY, CHUNKS): _PLACE,
        ("30 classes", SCORES): _RADIUS,
    },
}


def known_of(kind: Family) -> Defects:
    """Return the known defects of a family and of its task."""
    titles = {title_of(size.name) for size in sizes_of(kind)}
    shared = {
        (size, check): cause
        for (size, check), cause in OF_TASK.get(kind.task, {}).items()
        # A family of two classes refuses any other number of them.
        if size in titles and not (kind.n_classes and "class" in size)
    }
    return shared | KNOWN.get(kind.name, {})


def new_and_gone(
    kind: Family, found: dict[tuple[str, str], str]
) -> tuple[dict[tuple[str, str], str], set[tuple[str, str]]]:
    """Return which defects are not known, and which known ones are not found."""
    known, seen, new = known_of(kind), set(), {}
    for (size, check), outcome in found.items():
        keys = {(title_of(size), check), (ANY, check)} & known.keys()
        seen |= keys
        if not keys:
            new[size, check] = outcome
    return new, known.keys() - seen


def title_of(name: str) -> str:
    """Return the name of a size without its data kind."""
    return name.split(": ")[-1]
