"""The data kind Domains: labelled samples from several domains.

Axes: n samples, d features, H x W pixels, S domains. Images are grey, (n, H, W), or in
colour, (n, H, W, 3), with the channels red, green and blue last in memory and on disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
import pyarrow as pa

from ftml.config import nearest
from ftml.data import parquet, preprocessing
from ftml.data.checks import as_float64, as_indices, check_finite, check_joins
from ftml.data.columns import Column, decode, encode, numbers
from ftml.data.pixels import as_bytes, as_pixels, check_images
from ftml.data.preprocessing import Preprocessing, Preprocessor
from ftml.data.splits import Splits

FILE = "domains.parquet"


@dataclass(frozen=True)
class Domains:
    """Samples sorted by domain, so that each domain is one slice.

    x: (n, d) float64 features, NaN where a value is missing, or uint8 images, (n, H, W)
    or (n, H, W, 3). y: (n,) int64 indices into `class_names`. domain: (n,) int64
    indices into `domain_names`, never decreasing. Numbers of other types are converted
    where that is exact (`ftml.data.checks`). Raises ValueError for invalid shapes or
    values and for a name that occurs twice, TypeError for values that are not numbers.
    """

    x: np.ndarray
    y: np.ndarray
    domain: np.ndarray
    domain_names: tuple[str, ...]
    class_names: tuple[str, ...]
    feature_names: tuple[str, ...] = ()
    preprocessor: Preprocessor | None = None
    "what has turned the columns of raw domains into these features"

    def __post_init__(self) -> None:
        self._convert()
        n = len(self.x)
        if self.y.shape != (n,) or self.domain.shape != (n,):
            raise ValueError(
                f"expected y and domain of shape ({n},), got {self.y.shape} "
                f"and {self.domain.shape}"
            )
        if self.is_images:
            check_images(self.x)
        else:
            if self.x.ndim != 2:
                raise ValueError(f"expected features (n, d), got shape {self.x.shape}")
            if not self.x.shape[1]:
                raise ValueError("x has 0 columns, domains need 1 or more")
            if self.feature_names and len(self.feature_names) != self.x.shape[1]:
                raise ValueError(
                    f"x has {self.x.shape[1]} columns, "
                    f"feature_names {len(self.feature_names)}"
                )
            check_finite(self.x, "x", names=self.feature_names, missing=True)
        if (self.domain[1:] < self.domain[:-1]).any():
            raise ValueError("domain must never fall: sort the rows by domain")

    def _convert(self) -> None:
        """Replace the arrays by those of the documented types."""
        y = as_indices(self.y, self.class_names, what="y", of="class_names")
        object.__setattr__(self, "y", y)
        domain = as_indices(
            self.domain, self.domain_names, what="domain", of="domain_names"
        )
        object.__setattr__(self, "domain", domain)
        if not (isinstance(self.x, np.ndarray) and self.is_images):
            object.__setattr__(self, "x", as_float64(self.x, "x"))

    def __len__(self) -> int:
        return len(self.y)

    @property
    def is_images(self) -> bool:
        return self.x.dtype == np.uint8

    @property
    def offsets(self) -> np.ndarray:
        """(S + 1,): domain s holds the rows offsets[s] to offsets[s + 1]."""
        return np.searchsorted(self.domain, np.arange(len(self.domain_names) + 1))

    def rows(self, index: np.ndarray) -> Self:
        """Return the samples of a boolean mask or of an index that never decreases."""
        return replace(
            self, x=self.x[index], y=self.y[index], domain=self.domain[index]
        )

    def only(self, names: Sequence[str]) -> Self:
        """Return the samples of these domains, renumbered in their order."""
        keep = [s for s, name in enumerate(self.domain_names) if name in set(names)]
        part = self.rows(np.isin(self.domain, keep))
        return replace(
            part,
            domain=np.searchsorted(keep, part.domain).astype(np.int64),
            domain_names=tuple(self.domain_names[s] for s in keep),
        )

    def join(self, other: Self) -> Self:
        """Return the samples of both; within a domain those of this object are
        first. Raises ValueError for other domains, classes or columns.
        """
        check_joins(self, other, without=["preprocessor"])
        domain = np.concatenate([self.domain, other.domain])
        order = np.argsort(domain, kind="stable")
        return replace(
            self,
            x=np.concatenate([self.x, other.x])[order],
            y=np.concatenate([self.y, other.y])[order],
            domain=domain[order],
        )


@dataclass(frozen=True)
class RawDomains(Domains):
    """Samples from several domains with the columns of a table, not features yet.

    x: (n, c) the codes of `columns` (`ftml.data.columns`), NaN where a value is
    missing; `feature_names` are the names of the columns. `preprocessing` says how they
    become features: `fit` learns it from these rows, and `transform` applies it.
    """

    columns: tuple[Column, ...] = ()
    preprocessing: Preprocessing = field(default_factory=Preprocessing)

    def fit(self) -> Preprocessor:
        """Return what these rows say about their columns."""
        return preprocessing.fit(self.x, self.columns, self.preprocessing)

    def transform(self, preprocessor: Preprocessor) -> Domains:
        """Return the rows with features in place of columns."""
        kept = {f.name: getattr(self, f.name) for f in fields(Domains)}
        kept["x"] = preprocessor.transform(self.x)
        kept["feature_names"] = preprocessor.feature_names
        return Domains(**{**kept, "preprocessor": preprocessor})

    def frame(self) -> pd.DataFrame:
        """Return the columns as a frame, without domain and label."""
        return decode(self.x, self.columns)


def write(folder: Path, data: Domains, split: np.ndarray) -> None:
    """Write `domains.parquet`; `split` (n,) is train or valid for each sample."""
    parquet.check_names(("domain", "split", "label", *data.feature_names))
    names = np.asarray(data.domain_names)
    columns: dict[str, object] = {
        "domain": pa.array(names[data.domain]).dictionary_encode()
    }
    columns |= {"split": split.astype(str), "label": data.y}
    about: dict[str, object] = {
        "kind": "Domains",
        "domains": data.domain_names,
        "classes": data.class_names,
        "image_shape": data.x.shape[1:] if data.is_images else None,
    }
    if data.is_images:
        columns["image"] = as_bytes(data.x)
    else:
        raw = data if isinstance(data, RawDomains) else _as_numbers(data)
        about["columns"] = [column.to_json() for column in raw.columns]
        about["preprocessing"] = raw.preprocessing.model_dump(mode="json")
        frame = pa.Table.from_pandas(raw.frame(), preserve_index=False)
        columns |= dict(zip(frame.column_names, frame.columns, strict=True))
    parquet.write(folder / FILE, pa.table(columns), about)


def read(folder: Path) -> tuple[Domains, np.ndarray]:
    """Return all samples of a prepared dataset, with the columns of a table, and the
    split (n,) of each.
    """
    table, about = parquet.read(
        folder / FILE, kind="Domains", columns=["domain", "split", "label"]
    )
    number = {name: s for s, name in enumerate(about["domains"])}
    labels = {
        "y": table["label"].to_numpy(),
        "domain": np.array(
            [number[name] for name in table["domain"].to_pylist()], np.int64
        ),
        "domain_names": tuple(about["domains"]),
        "class_names": tuple(about["classes"]),
    }
    split = np.asarray(table["split"].to_pylist())
    if about["image_shape"]:
        parquet.require(folder / FILE, table, ["image"])
        x = as_pixels(table["image"]).reshape(-1, *about["image_shape"])
        return Domains(x=x, **labels), split
    raw_columns = tuple(Column.from_json(each) for each in about["columns"])
    names = tuple(column.name for column in raw_columns)
    parquet.require(folder / FILE, table, names)
    data = RawDomains(
        x=encode(table.select(names).to_pandas(), raw_columns),
        **labels,
        feature_names=names,
        columns=raw_columns,
        preprocessing=Preprocessing.model_validate(about["preprocessing"]),
    )
    return data, split


def _as_numbers(data: Domains) -> RawDomains:
    """Return domains with their features as columns of numbers, of which a missing one
    becomes the median.
    """
    kept = {f.name: getattr(data, f.name) for f in fields(Domains)}
    median = Preprocessing(missing="median")
    columns = numbers(data.feature_names)
    return RawDomains(**kept, columns=columns, preprocessing=median)


def load(folder: Path, *, test_domains: Sequence[str]) -> Splits[Domains]:
    """Return the splits of a prepared dataset that leave out `test_domains`, with
    features that are learnt from the training split.
    """
    data, split = read(folder)
    return leave_out(data, split, test_domains, where=folder.name).prepared()


def leave_out(
    data: Domains, split: np.ndarray, test_domains: Sequence[str], *, where: str
) -> Splits[Domains]:
    """Return the splits of all samples, (n,) train or valid, that leave domains out.

    Training and validation data are those samples of the other domains; the test data
    are all samples of the test domains, whatever their split. `where` names the data in
    errors. Raises ValueError for a test domain that the data do not have, if no domain
    would be left to train on, and for a class that only test domains have, which no
    model could learn.
    """
    for name in test_domains:
        if name not in data.domain_names:
            known = nearest(name, data.domain_names)
            raise ValueError(f"test domain {name!r} is not in {where}{known}")
    train_domains = [
        name for name in data.domain_names if name not in set(test_domains)
    ]
    if not train_domains:
        raise ValueError(f"test_domains holds every domain of {where}")
    train, valid = (
        data.rows(split == s).only(train_domains) for s in ("train", "valid")
    )
    test = data.only(test_domains)
    learnt = np.union1d(train.y, valid.y)
    if unseen := [data.class_names[c] for c in np.setdiff1d(test.y, learnt)]:
        raise ValueError(
            f"{where}: only the test domains {', '.join(test_domains)} have samples of "
            f"{', '.join(unseen)}; the other domains must have samples of every class"
        )
    return Splits(train, valid, test)


def small(task: str) -> Splits[Domains]:
    """Return small splits for tests of a task: three training domains and a test
    domain, each with two classes on a circle that is rotated from domain to domain.
    """
    rng = np.random.default_rng(3)

    def rotated(names: tuple[str, ...], each: int, first: float) -> Domains:
        domain = np.repeat(np.arange(len(names)), each)
        y = np.tile(np.arange(2), len(names) * each // 2)
        angle = first + 0.4 * domain + np.pi * y
        x = np.column_stack([np.cos(angle), np.sin(angle)])
        x += 0.2 * rng.normal(size=x.shape)
        return Domains(x, y, domain, names, ("even", "odd"), ("u", "v"))

    three = ("zero", "one", "two")
    return Splits(
        rotated(three, 16, 0.0), rotated(three, 8, 0.0), rotated(("three",), 12, 1.2)
    )
