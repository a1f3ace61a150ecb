"""The studies of a dataset compared: one table, as Parquet, Markdown and LaTeX, and a
figure.

Everything is computed from what `pipelines.study.results` wrote of each study.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from scipy.stats import t as student_t

from pipelines.common import figures, formatting
from pipelines.params.read import Study

ENOUGH_SEEDS = 5
"With fewer seeds a difference between two studies is not tested."

FOLDER, TABLE = "comparison", "table.parquet"


@dataclass(frozen=True)
class Difference:
    """A mean difference over pairs, and half of its 95 % t interval."""

    mean: float
    half: float

    @property
    def text(self) -> str:
        return formatting.signed((self.mean, self.half))

    @property
    def shown(self) -> bool:
        """Whether the interval leaves zero out."""
        return abs(self.mean) > self.half

    @property
    def verdict(self) -> str:
        """What may be said of it."""
        if not self.shown:
            return "no difference shown"
        return "higher" if self.mean > 0 else "lower"


def paired_difference(
    ours: Mapping[str, Any], theirs: Mapping[str, Any], *, selection: str | None = None
) -> Difference | None:
    """Return the difference of two studies in their test metric, paired by seed.

    `ours` and `theirs` are the content of metrics.json; `selection` is the studies'
    own by default. None where fewer than `ENOUGH_SEEDS` seeds are common to both, for
    a value that is not a number, for a selection that one of them does not have, and
    where they were tested on different domains.
    """
    tests = [_test(each, selection) for each in (ours, theirs)]
    if None in tests or parts_of(ours) != parts_of(theirs):
        return None
    metric = ours["metric"]
    mine, other = (
        dict(zip(each["seeds"], test[metric]["values"], strict=True))
        for each, test in zip((ours, theirs), tests, strict=True)
        if test is not None
    )
    pairs = [mine[seed] - other[seed] for seed in mine if seed in other]
    if len(pairs) < ENOUGH_SEEDS or not all(map(math.isfinite, pairs)):
        return None
    quantile = float(student_t.ppf(0.975, len(pairs) - 1))
    error = statistics.stdev(pairs) / len(pairs) ** 0.5
    return Difference(statistics.fmean(pairs), quantile * error)


def _test(measured: Mapping[str, Any], selection: str | None) -> Mapping | None:
    if selection in (None, measured["selection"]):
        found: Mapping[str, Any] = measured["test"]
        return found
    return measured["tests"].get(selection)


def parts_of(measured: Mapping[str, Any]) -> list[str]:
    """Return the domains that a study was tested on, as its metrics name them."""
    start = f"{measured['metric']}/"
    return [k.removeprefix(start) for k in measured["test"] if k.startswith(start)]


def no_champion(studies: Sequence[Study]) -> str | None:
    """Return why none of these studies can be called the best; None where one can."""
    if len({tuple(study.test_domains) for study in studies}) > 1:
        return "test on other domains"
    if len({study.section.cv for study in studies}) > 1:
        return "are validated on other folds: give all the same cv"
    return None


def compare(studies: Sequence[Mapping[str, Any]], *, baseline: str) -> pd.DataFrame:
    """Return a row for each study and each of its selections.

    `studies` are the contents of their metrics.json. `mean`, `standard_error` and
    `seeds` are of the test metric; `<metric>/<domain>` with its `_standard_error` of
    single domains, where there are any; `worst_domain` and `worst` of the one with the
    worst mean. `difference` is that to the study `baseline` under the same selection,
    with its 95 % interval from `low` to `high`; they are missing where there are fewer
    than five common seeds.
    """
    (theirs,) = (each for each in studies if each["study"] == baseline)
    rows = [
        _row(measured, theirs, selection)
        for measured in studies
        for selection in (measured["selection"], *measured["tests"])
    ]
    return pd.DataFrame(rows)


def _row(
    measured: Mapping[str, Any], theirs: Mapping[str, Any], selection: str
) -> dict[str, Any]:
    test, metric = _test(measured, selection) or {}, measured["metric"]
    row: dict[str, Any] = {
        "study": measured["study"],
        "family": measured["family"],
        "selection": selection,
        "metric": metric,
        "seeds": len(measured["seeds"]),
        "mean": test[metric]["mean"],
        "standard_error": test[metric]["standard_error"],
    }
    parts = parts_of(measured)
    for name in (f"{metric}/{part}" for part in parts):
        row[name] = test[name]["mean"]
        row[f"{name}_standard_error"] = test[name]["standard_error"]
    if parts:
        worst = min if measured["mode"] == "max" else max
        row["worst_domain"] = worst(parts, key=lambda part: row[f"{metric}/{part}"])
        row["worst"] = row[f"{metric}/{row['worst_domain']}"]
    difference = None
    if measured["study"] != theirs["study"]:
        difference = paired_difference(measured, theirs, selection=selection)
    mean, half = (difference.mean, difference.half) if difference else (math.nan,) * 2
    return row | {
        "baseline": theirs["study"],
        "difference": mean,
        "low": mean - half,
        "high": mean + half,
        "verdict": difference.verdict if difference else None,
    }


def spoken(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table as it is read: numbers with their errors, as text."""
    metric, baseline = table["metric"].iloc[0], table["baseline"].iloc[0]
    columns = {"study": table["study"]}
    if table["selection"].nunique() > 1:
        columns["selection"] = table["selection"].str.replace("_", " ")
    columns[f"test {metric}"] = _spreads(table, "mean", "standard_error")
    for part in domains_of(table):
        name = f"{metric}/{part}"
        columns[part] = _spreads(table, name, f"{name}_standard_error")
    if "worst" in table:
        columns["worst"] = table["worst"].map(formatting.number)
    if table["verdict"].notna().any():
        columns[f"minus {baseline}"] = pd.Series(
            [
                formatting.signed((row["difference"], row["high"] - row["difference"]))
                if isinstance(row["verdict"], str)
                else ""
                for _, row in table.iterrows()
            ],
            index=table.index,
        )
        columns["finding"] = table["verdict"].fillna("")
    return pd.DataFrame(columns)


def domains_of(table: pd.DataFrame) -> list[str]:
    """Return the names of the single domains of a table."""
    names = [name.partition("/")[2] for name in map(str, table.columns)]
    return [name for name in names if name and not name.endswith("_standard_error")]


def _spreads(table: pd.DataFrame, mean: str, error: str) -> pd.Series:
    texts = [
        ""
        if pd.isna(m)
        else formatting.spread({"mean": m, "standard_error": None if pd.isna(e) else e})
        for m, e in zip(table[mean], table[error], strict=True)
    ]
    return pd.Series(texts, index=table.index)


def markdown(table: pd.DataFrame) -> str:
    """Return a frame of text as a table of Markdown."""
    rows = [list(table.columns), ["---"] * len(table.columns), *table.to_numpy()]
    return "".join(
        f"| {' | '.join(map(formatting.escape_markdown, row))} |\n" for row in rows
    )


def latex(table: pd.DataFrame) -> str:
    """Return a frame of text as a table of LaTeX, which needs the package booktabs."""
    return table.to_latex(index=False, escape=True)


def shared_curves(
    studies: Sequence[Mapping[str, Any]], trials: Mapping[str, pd.DataFrame]
) -> dict[str, dict[str, pd.Series]]:
    """Return each training metric that two studies or more have at several steps: for
    each of these its values by step, of the chosen trial.

    `studies` and `trials` hold the metrics.json and trials.parquet of each study.
    """
    found: dict[str, dict[str, pd.Series]] = {}
    for study in studies:
        rows, choice = trials[study["study"]], study["chosen"][0]
        chosen = rows["trial"] == choice["trial"]
        chosen &= rows["left_out"].map(tuple) == tuple(choice["left_out"])
        of_trial = rows[chosen].set_index("n")
        for name in of_trial:
            curve = of_trial[name].dropna()
            if str(name).startswith("train_") and len(curve) > 1:
                found.setdefault(str(name), {})[study["study"]] = curve
    return {name: curves for name, curves in found.items() if len(curves) > 1}


def write(
    folder: Path,
    studies: Sequence[Mapping[str, Any]],
    trials: Mapping[str, pd.DataFrame],
    table: pd.DataFrame,
) -> None:
    """Write the table and its figures into an empty folder.

    `studies` and `trials` hold the metrics.json and trials.parquet of each study.
    """
    metric, mode = studies[0]["metric"], studies[0]["mode"]
    table.to_parquet(folder / TABLE, index=False)
    (folder / "table.md").write_text(markdown(spoken(table)))
    (folder / "table.tex").write_text(latex(spoken(table)))
    domains = domains_of(table)
    if len(domains) > 1:
        figure = figures.domains_figure(table, domains, metric=metric, mode=mode)
    else:
        pairs = [(each["study"], each["test"][metric]) for each in studies]
        figure = figures.comparison_figure(pairs, metric=metric, mode=mode)
    drawn = {"figure": figure} | {
        f"curves_{name}": figures.shared_curves_figure(name, curves)
        for name, curves in shared_curves(studies, trials).items()
    }
    for name, each in drawn.items():
        figures.write_png(folder / f"{name}.png", each)
