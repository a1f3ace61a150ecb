"""The comparison of all studies of a dataset: a table as Parquet, Markdown and LaTeX,
and figures.

Everything is computed from the metrics.json and trials.parquet of the studies.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipelines.common import figures, formatting
from pipelines.params.read import Study
from pipelines.study.metrics import StudyMetrics

MIN_SEEDS = 5
"With fewer common seeds, the difference between two studies is not tested."

FOLDER, TABLE = "comparison", "table.parquet"


@dataclass(frozen=True)
class Difference:
    """A mean difference over pairs of seeds, with its 95 % t interval."""

    mean: float
    half_width: float
    "half the width of the interval"

    @property
    def text(self) -> str:
        return formatting.format_difference(self.mean, self.half_width)

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval excludes zero."""
        return abs(self.mean) > self.half_width

    @property
    def verdict(self) -> str:
        """The conclusion from the interval: higher, lower or no difference shown."""
        if not self.excludes_zero:
            return "no difference shown"
        return "higher" if self.mean > 0 else "lower"


def paired_difference(
    ours: StudyMetrics, theirs: StudyMetrics, *, selection: str | None = None
) -> Difference | None:
    """Return `ours` minus `theirs` in the test metric, paired by seed.

    `selection` is each study's own by default. The difference is None if the studies
    have fewer than `MIN_SEEDS` seeds in common, if a value is not finite, if one study
    lacks the selection, if the studies have different test domains, or if the pairs do
    not vary: the seeds of two deterministic fits say nothing about chance.
    """
    from scipy.stats import t as student_t

    test, their_test = (each.test_under(selection) for each in (ours, theirs))
    if test is None or their_test is None:
        return None
    if tested_domains(ours) != tested_domains(theirs):
        return None
    values = dict(zip(ours.seeds, test[ours.metric].values, strict=True))
    their_values = dict(zip(theirs.seeds, their_test[ours.metric].values, strict=True))
    pairs = [
        values[seed] - their_values[seed] for seed in values if seed in their_values
    ]
    if len(pairs) < MIN_SEEDS or not all(map(math.isfinite, pairs)):
        return None
    if len(set(values.values())) == len(set(their_values.values())) == 1:
        return None
    quantile = float(student_t.ppf(0.975, len(pairs) - 1))
    error = statistics.stdev(pairs) / len(pairs) ** 0.5
    return Difference(statistics.fmean(pairs), quantile * error)


def tested_domains(metrics: StudyMetrics) -> list[str]:
    """Return the names of the test domains that have metrics of their own."""
    start = f"{metrics.metric}/"
    return [name.removeprefix(start) for name in metrics.test if name.startswith(start)]


def reason_for_no_champion(studies: Sequence[Study]) -> str | None:
    """Return why no study of a dataset can be called the best, as the end of a sentence
    that begins "the studies"; None where one can.
    """
    if len({tuple(study.test_domains) for study in studies}) > 1:
        return "test on other domains"
    if len({study.section.cv for study in studies}) > 1:
        return "are validated on other folds: give all the same cv"
    return None


def compare(studies: Sequence[StudyMetrics], *, baseline: str) -> pd.DataFrame:
    """Return a table with one row for each study and each of its model selections.

    `mean`, `standard_error` and `seeds` are of the test metric. If there are several
    test domains, `<metric>/<domain>` and `<metric>/<domain>_standard_error` are those
    of each domain, and `worst_domain` and `worst` name the domain with the worst mean
    and its mean. `difference` is the difference to the study `baseline` under the same
    selection, with its 95 % interval from `low` to `high`; the three are NaN where
    `paired_difference` returns None.
    """
    (reference,) = (each for each in studies if each.study == baseline)
    rows = [
        _row(metrics, reference, selection)
        for metrics in studies
        for selection in (metrics.selection, *metrics.tests)
    ]
    return pd.DataFrame(rows)


def _row(
    metrics: StudyMetrics, baseline: StudyMetrics, selection: str
) -> dict[str, object]:
    test, metric = metrics.test_under(selection) or {}, metrics.metric
    row: dict[str, object] = {
        "study": metrics.study,
        "family": metrics.family,
        "selection": selection,
        "metric": metric,
        "seeds": len(metrics.seeds),
        "mean": test[metric].mean,
        "standard_error": test[metric].standard_error,
    }
    domains = tested_domains(metrics)
    means = {domain: test[f"{metric}/{domain}"].mean for domain in domains}
    for domain in domains:
        name = f"{metric}/{domain}"
        row[name] = means[domain]
        row[f"{name}_standard_error"] = test[name].standard_error
    if domains:
        worst = min if metrics.mode == "max" else max
        worst_domain = worst(domains, key=means.__getitem__)
        row |= {"worst_domain": worst_domain, "worst": means[worst_domain]}
    difference = None
    if metrics.study != baseline.study:
        difference = paired_difference(metrics, baseline, selection=selection)
    mean, half_width = math.nan, math.nan
    if difference:
        mean, half_width = difference.mean, difference.half_width
    return row | {
        "baseline": baseline.study,
        "difference": mean,
        "low": mean - half_width,
        "high": mean + half_width,
        "verdict": difference.verdict if difference else None,
    }


def display_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table of `compare` with display names and formatted numbers."""
    metric, baseline = table["metric"].iloc[0], table["baseline"].iloc[0]
    columns = {"study": table["study"]}
    if table["selection"].nunique() > 1:
        columns["selection"] = table["selection"].str.replace("_", " ")
    columns[f"test {metric}"] = _format_estimates(table, "mean", "standard_error")
    for domain in domains_of_table(table):
        name = f"{metric}/{domain}"
        columns[domain] = _format_estimates(table, name, f"{name}_standard_error")
    if "worst" in table:
        columns["worst"] = table["worst"].map(formatting.format_number)
    if table["verdict"].notna().any():
        columns[f"minus {baseline}"] = pd.Series(
            [
                formatting.format_difference(
                    row["difference"], row["high"] - row["difference"]
                )
                if isinstance(row["verdict"], str)
                else ""
                for _, row in table.iterrows()
            ],
            index=table.index,
        )
        columns["finding"] = table["verdict"].fillna("")
    return pd.DataFrame(columns)


def domains_of_table(table: pd.DataFrame) -> list[str]:
    """Return the names of the test domains with columns in a table of `compare`."""
    names = [name.partition("/")[2] for name in map(str, table.columns)]
    return [name for name in names if name and not name.endswith("_standard_error")]


def _format_estimates(table: pd.DataFrame, mean: str, error: str) -> pd.Series:
    texts = [
        ""
        if pd.isna(m)
        else formatting.format_mean_and_error(m, None if pd.isna(e) else e)
        for m, e in zip(table[mean], table[error], strict=True)
    ]
    return pd.Series(texts, index=table.index)


def markdown(table: pd.DataFrame) -> str:
    """Return a table of text in Markdown."""
    rows = [list(table.columns), ["---"] * len(table.columns), *table.to_numpy()]
    return "".join(
        f"| {' | '.join(map(formatting.escape_markdown, row))} |\n" for row in rows
    )


def latex(table: pd.DataFrame) -> str:
    """Return a table of text in LaTeX, for a document that loads booktabs."""
    return table.to_latex(index=False, escape=True)


def common_training_curves(
    studies: Sequence[StudyMetrics], trials: Mapping[str, pd.DataFrame]
) -> dict[str, dict[str, pd.Series]]:
    """Return the training curves that several studies have in common.

    The result maps each training metric that at least two studies report at several
    steps to the curve of each of these studies: the values of its chosen trial, indexed
    by step. `trials` holds the trials.parquet of each study by the name of the study.
    """
    found: dict[str, dict[str, pd.Series]] = {}
    for study in studies:
        rows, choice = trials[study.study], study.chosen[0]
        chosen = rows["trial"] == choice.trial
        chosen &= rows["left_out"].map(tuple) == tuple(choice.left_out)
        of_trial = rows[chosen].set_index("n")
        for name in of_trial:
            curve = of_trial[name].dropna()
            if str(name).startswith("train_") and len(curve) > 1:
                found.setdefault(str(name), {})[study.study] = curve
    return {name: curves for name, curves in found.items() if len(curves) > 1}


def write(
    folder: Path,
    studies: Sequence[StudyMetrics],
    trials: Mapping[str, pd.DataFrame],
    table: pd.DataFrame,
) -> None:
    """Write a table of `compare` and its figures into an empty folder.

    `trials` holds the trials.parquet of each study by the name of the study.
    """
    metric, mode = studies[0].metric, studies[0].mode
    table.to_parquet(folder / TABLE, index=False)
    (folder / "table.md").write_text(markdown(display_table(table)))
    (folder / "table.tex").write_text(latex(display_table(table)))
    domains = domains_of_table(table)
    if len(domains) > 1:
        figure = figures.domains_figure(table, domains, metric=metric, mode=mode)
    else:
        scores = [(each.study, each.test_score) for each in studies]
        figure = figures.comparison_figure(scores, metric=metric, mode=mode)
    written = {"figure": figure} | {
        f"curves_{name}": figures.training_curves_figure(name, curves)
        for name, curves in common_training_curves(studies, trials).items()
    }
    figures.write_pngs({folder / f"{k}.png": each for k, each in written.items()})
