"""Reads time series from .ts files.

A line of data is the channels and then the label, separated by colons; the values of a
channel are separated by commas. Lines that begin with # or @ are not data.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ftml.data.text import read_lines
from pipelines.common.formatting import counted
from pipelines.datasets.folders import shown
from pipelines.datasets.missing import refuse_or_note
from pipelines.datasets.sources import fetch

MISSING = "?"
"What marks a missing value in a .ts file; NaN is read as one, too."

Series = tuple[np.ndarray, str]
"The values (T, d) float64 of a time series, and its label."


def read_series(
    source: str, sha256: str | None, *, encoding: str, drop: bool
) -> tuple[list[np.ndarray], list[str]]:
    """Return the series of .ts files, (T, d) float64 each, and their labels.

    drop: whether series without a label or with a missing value are left out and
    counted. Raises ValueError that names the file and the line otherwise, for lines
    that are no series, and for series with different numbers of channels.
    """
    found: list[Series] = []
    for path in fetch(source, sha256):
        if path.suffix != ".ts":
            raise ValueError(f"{source}: expected .ts files, got {path.name}")
        lines = read_lines(path, encoding=encoding)
        found += _series_of(path, lines, source=source, drop=drop)
    if not found:
        raise ValueError(f"{source}: holds no series")
    series, labels = zip(*found, strict=True)
    return list(series), list(labels)


def _series_of(
    path: Path, lines: Sequence[str], *, source: str, drop: bool
) -> list[Series]:
    found: dict[int, Series] = {}
    for i, line in enumerate(lines, start=1):
        if re.match(r"@classlabel\s+false\s*$", line, re.IGNORECASE):
            raise ValueError(f"{path}: line {i}: {line.strip()}: series need a label")
        if line.strip() and line[0] not in "#@":
            found[i] = _series_in(f"{path}: line {i}", line)
    _check_channels(path, found)
    unlabelled = [i for i, (_, label) in found.items() if not label]
    name = shown(path, source)
    refuse_or_note(f"{name}: no label", unlabelled, drop=drop)
    gaps = [i for i, (x, _) in found.items() if not np.isfinite(x).all()]
    refuse_or_note(f"{name}: values are missing or not finite", gaps, drop=drop)
    left_out = {*unlabelled, *gaps}
    return [each for i, each in found.items() if i not in left_out]


def _series_in(where: str, line: str) -> Series:
    """Return the series of a line; a missing value is NaN, a missing label is empty."""
    *channels, label = line.split(":")
    if not channels or "," in label:
        raise ValueError(
            f"{where} has no label: expected it after the last colon, got "
            f"{label.strip()[:20]!r}"
        )
    try:
        columns = [_numbers(channel) for channel in channels]
        return np.column_stack(columns), label.strip()
    except ValueError as error:
        raise ValueError(f"{where} is not a time series ({error})") from None


def _numbers(channel: str) -> np.ndarray:
    values = [each.strip() for each in channel.split(",")]
    return np.array(["nan" if each == MISSING else each for each in values], np.float64)


def _check_channels(path: Path, found: dict[int, Series]) -> None:
    channels = {i: x.shape[1] for i, (x, _) in found.items()}
    for i, d in channels.items():
        first = next(iter(channels))
        if d != channels[first]:
            raise ValueError(
                f"{path}: line {i} has {counted(d, 'channel')}, line {first} has "
                f"{channels[first]}"
            )
