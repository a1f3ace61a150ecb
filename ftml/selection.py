"""Model selection: the configuration and the step that a table of runs is in favour of.

A table has a row for each report of each run:

- `trial`, the number of the configuration, the same for every set of left-out domains;
- `left_out`, the names of the domains left out of training, none for data without
domains; - `n`, the step; `error`, why the run failed, or None (the column may be
missing); - `valid_<metric>`, the score on held-out samples of the training domains; -
`out_<metric>/<domain>`, the score on all samples of each domain left out.

Every function takes such a table, the test domains (`left_out`), the names of all
`domains`, the metric and its mode, "min" or "max". All of them choose from the same
runs; a missing run is an error that names it. A score that is not a number is ignored.
Of equal scores `validation` chooses by the further metrics in `ties`, in their order:
accuracies are often equal where log losses are not. What is still equal is chosen in
the order of trial and step.

Source: Gulrajani and Lopez-Paz, In Search of Lost Domain Generalization (2021), section
3; the step is chosen together with the configuration.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ftml.tasks.domain_generalization import domain_key

NO_TIES: Mapping[str, str] = {}
"No further metric that compares equal scores."


@dataclass(frozen=True)
class Choice:
    """A configuration and the step at which its training is to stop."""

    trial: int
    n: int


def validation(
    runs: pd.DataFrame,
    *,
    left_out: Sequence[str],
    domains: Sequence[str],
    metric: str,
    mode: str,
    ties: Mapping[str, str] = NO_TIES,
) -> Choice:
    """Choose by the held-out samples of the training domains, without any use of the
    other domains.
    """
    rows = _runs_without(runs, left_out)
    others = {f"valid_{name}": of for name, of in ties.items()}
    return _best(rows, f"valid_{metric}", mode, ties=others)


def leave_one_domain_out(
    runs: pd.DataFrame,
    *,
    left_out: Sequence[str],
    domains: Sequence[str],
    metric: str,
    mode: str,
    ties: Mapping[str, str] = NO_TIES,
) -> Choice:
    """Choose by the mean score on each further domain when that domain is left out as
    well.

    Raises ValueError for a configuration without a run for each further domain, and if
    there is no further domain.
    """
    wanted = set(runs["trial"])
    columns = []
    for other in domains:
        if other in left_out:
            continue
        pair = (*left_out, other)
        rows = _runs_without(runs, pair)
        if missing := sorted(wanted.difference(rows["trial"])):
            raise ValueError(
                f"no run leaves out {' and '.join(pair)} in trial {missing[0]}; "
                "leave-one-domain-out selection needs every pair"
            )
        scores = rows.set_index(["trial", "n"])[f"out_{metric}/{domain_key(other)}"]
        columns.append(scores.rename(other))
    if not columns:
        raise ValueError("leave-one-domain-out selection needs a further domain")
    # At the steps that all of these runs have reached.
    mean = pd.concat(columns, axis=1).dropna().mean(axis=1)
    return _best(mean.rename(f"out_{metric}").reset_index(), f"out_{metric}", mode)


def oracle(
    runs: pd.DataFrame,
    *,
    left_out: Sequence[str],
    domains: Sequence[str],
    metric: str,
    mode: str,
    ties: Mapping[str, str] = NO_TIES,
) -> Choice:
    """Choose by the test domains themselves, at the last step of each run: an upper
    bound on what a selection can reach, not a method.
    """
    rows = _runs_without(runs, left_out)
    last = rows.sort_values("n").drop_duplicates("trial", keep="last")
    names = [f"out_{metric}/{domain_key(name)}" for name in left_out]
    mean = last[names].mean(axis=1, skipna=False)
    return _best(last.assign(**{f"out_{metric}": mean}), f"out_{metric}", mode)


SELECTIONS: Mapping[str, Callable[..., Choice]] = {
    "validation": validation,
    "leave_one_domain_out": leave_one_domain_out,
    "oracle": oracle,
}
"The selections by their names in params.yaml."


def _runs_without(runs: pd.DataFrame, left_out: Sequence[str]) -> pd.DataFrame:
    """Return the rows of runs that left out exactly these domains, in any order."""
    wanted = frozenset(left_out)
    rows = runs[[frozenset(each) == wanted for each in runs["left_out"]]]
    if rows.empty:
        what = f"leaves out {' and '.join(left_out)}" if wanted else "is in the table"
        raise ValueError(f"no run {what}")
    return rows


def _best(
    rows: pd.DataFrame, column: str, mode: str, *, ties: Mapping[str, str] = NO_TIES
) -> Choice:
    """Return the trial and step of the best finite value of a column; of equal values
    that with the best value of the first column in `ties`, and so on.
    """
    values = rows[column] if column in rows else pd.Series(math.nan, index=rows.index)
    finite = rows[values.map(math.isfinite).astype(bool)]
    if finite.empty:
        errors = sorted(set(rows["error"].dropna())) if "error" in rows else []
        reason = f": {errors[0]}" if errors else ""
        raise ValueError(f"no run reports a finite {column}{reason}")
    ordered = finite.sort_values(["trial", "n"], ignore_index=True)
    modes = {column: mode, **{name: of for name, of in ties.items() if name in rows}}
    costs = [_costs(ordered[name], of) for name, of in modes.items()]
    best = ordered.iloc[int(np.lexsort(costs[::-1])[0])]  # the last key is the first
    return Choice(int(best["trial"]), int(best["n"]))


def _costs(values: pd.Series, mode: str) -> np.ndarray:
    """Return values as costs, of which less is better; not a number is the worst."""
    costs = values.to_numpy(float) * (1 if mode == "min" else -1)
    return np.where(np.isnan(costs), math.inf, costs)
