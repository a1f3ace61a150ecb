"""Stage `domains`: rotated images, folders of images, a table with a column that names
the domain, or generated data.

With `rotate`, each image is in one domain only, as in DomainBed's rotated MNIST;
otherwise a test domain would contain the same images as the training domains. The
samples are split within each domain and class.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ftml.data import domains
from ftml.data.domains import Domains, RawDomains
from ftml.data.pitfalls import pitfalls
from ftml.data.sprites import sprites
from pipelines.cluster.parallel_map import map_chunks
from pipelines.datasets.columns import (
    choose_columns,
    drop_rows_without,
    encode_columns,
    preprocessing_of,
    read_columns,
)
from pipelines.datasets.image_files import images
from pipelines.datasets.image_folders import Reading, image_folders
from pipelines.datasets.similar import columns_of_text, note_similar
from pipelines.datasets.splits import draw_split, encode_labels
from pipelines.datasets.table_rows import check_finite
from pipelines.params.arrays import DomainsSchema
from pipelines.params.read import domain_name


def prepare(section: DomainsSchema, folder: Path) -> None:
    """Write the domains that a section describes, and `summary.json`, into a folder.

    `summary.json` counts the samples. Raises ValueError for fewer than two domains, for
    a domain with one class only, and for a class with too few samples to be split.
    """
    if validation_errors := section.validation_errors():
        raise ValueError(f"{section.source}: {'; '.join(validation_errors)}")
    data = FORMS[section.form](section)
    if len(data.domain_names) < 2:
        raise ValueError(
            f"{section.source}: expected at least two domains, got {data.domain_names}"
        )
    for s, name in enumerate(data.domain_names):
        if len(present := np.unique(data.y[data.domain == s])) < 2:
            only = data.class_names[present[0]]
            raise ValueError(
                f"{section.source}: domain {name} has one class only, {only!r}; leave "
                "out its rows, or join the domain with another one"
            )
    k = len(data.class_names)
    names = [
        f"class {c} of domain {s}" for s in data.domain_names for c in data.class_names
    ]
    fractions = {"valid": section.valid_fraction}
    split = draw_split(
        data.domain * k + data.y, names, fractions=fractions, seed=section.seed
    )
    domains.write(folder, data, split)
    summary = json.dumps(summarize(data, split), indent=2)
    (folder / "summary.json").write_text(summary + "\n")


def summarize(data: Domains, split: np.ndarray) -> dict[str, dict[str, dict[str, int]]]:
    """Return the number of samples of each domain, split and class."""
    return {
        name: {
            part: {
                called: int(
                    ((data.domain == s) & (split == part) & (data.y == c)).sum()
                )
                for c, called in enumerate(data.class_names)
            }
            for part in ("train", "valid")
        }
        for s, name in enumerate(data.domain_names)
    }


def _from_rotated(section: DomainsSchema) -> Domains:
    """Return the images, each assigned to one of the angles and rotated by it."""
    angles = section.rotate or []
    names = tuple(domain_name(angle) for angle in angles)
    if len(set(names)) < len(names):
        raise ValueError(f"rotate: expected different angles, got {', '.join(names)}")
    pixels, labels = images(section.source, section.sha256)
    y, classes = encode_labels(pd.Series(labels))
    domain = assign_domains(y, len(angles), seed=section.seed)
    order = np.argsort(domain, kind="stable")
    chunks = _chunks(pixels[order], domain[order], angles)
    few = len(order) <= CHUNK
    rotated = map_chunks(_rotate_chunk, chunks, count=1 if few else len(chunks))
    x = np.concatenate(list(rotated))
    return Domains(x, y[order], domain[order], names, classes)


CHUNK = 4096
"Largest number of images that one task rotates."


def _chunks(
    pixels: np.ndarray, domain: np.ndarray, angles: Sequence[float]
) -> list[tuple[np.ndarray, float]]:
    """Return the images, sorted by domain, as chunks of one angle, with the angle."""
    return [
        (of_angle[start : start + CHUNK], angle)
        for s, angle in enumerate(angles)
        for of_angle in [pixels[domain == s]]
        for start in range(0, len(of_angle), CHUNK)
    ]


def _rotate_chunk(chunk: tuple[np.ndarray, float]) -> np.ndarray:
    return rotate(*chunk)


def assign_domains(y: np.ndarray, n_domains: int, *, seed: int) -> np.ndarray:
    """Return a random domain (n,) for each label.

    The sizes of the domains, and of each class in them, differ by at most 1.
    """
    order = np.random.default_rng(seed).permutation(len(y))
    order = order[np.argsort(y[order], kind="stable")]
    domain = np.empty(len(y), np.int64)
    domain[order] = np.arange(len(y)) % n_domains
    return domain


def rotate(pixels: np.ndarray, angle: float) -> np.ndarray:
    """Return images (n, H, W) uint8 rotated counter-clockwise by an angle in degrees.

    Pixels are interpolated linearly; those from outside the image are black.
    """
    from scipy import ndimage

    rotated = ndimage.rotate(
        pixels.astype(np.float32), angle, axes=(2, 1), reshape=False, order=1
    )
    return np.rint(rotated).clip(0, 255).astype(np.uint8)


def _from_folders(section: DomainsSchema) -> Domains:
    """Return the images, sorted by domain."""
    reading = Reading(section.image_size, section.pixel_range)
    x, in_domain, of_class = image_folders(
        section.source, section.sha256, reading=reading
    )
    y, classes = encode_labels(pd.Series(of_class))
    domain, names = encode_labels(pd.Series(in_domain))
    named = {"the domains": pd.Series(in_domain), "the classes": pd.Series(of_class)}
    note_similar(section.source, named, noun="image")
    order = np.argsort(domain, kind="stable")
    return Domains(x[order], y[order], domain[order], names, classes)


def _from_table(section: DomainsSchema) -> Domains:
    """Return the rows of the table, sorted by domain."""
    column = str(section.domain)  # `validation_errors` requires it
    others = [column, section.label]
    data = read_columns(section, others=others)
    preprocessing = preprocessing_of(data, section)
    features = choose_columns(data, section, others=others)
    data = drop_rows_without(data[[*features.columns, *others]], others, section)
    check_finite(data, others, source=section.source)
    X, columns = encode_columns(data[features.columns], section)
    note_similar(section.source, columns_of_text(data))
    y, classes = _read_label(data[section.label], above=section.label_above)
    if len(np.unique(y)) == 1:
        raise ValueError(
            f"{section.source}: column {section.label} has the class "
            f"{classes[y[0]]!r} in all rows, so there is nothing to predict"
        )
    domain, _ = encode_labels(data[column])
    values = pd.Index(np.unique(data[column])).tolist()  # of dates: Timestamps
    names = tuple(domain_name(value) for value in values)
    order = np.argsort(domain, kind="stable")
    return RawDomains(
        X[order],
        y[order],
        domain[order],
        names,
        classes,
        tuple(each.name for each in columns),
        columns=columns,
        preprocessing=preprocessing,
    )


def _read_label(
    labels: pd.Series, *, above: float | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    if above is None:
        return encode_labels(labels)
    if not pd.api.types.is_numeric_dtype(labels):
        raise ValueError(f"label_above needs a number, {labels.name} is {labels.dtype}")
    border = domain_name(above)
    names = (f"{labels.name} <= {border}", f"{labels.name} > {border}")
    return (labels > above).to_numpy(np.int64), names


def _pitfalls(section: DomainsSchema) -> Domains:
    return pitfalls(n_per_domain=section.n_per_domain)


def _sprites(section: DomainsSchema) -> Domains:
    return sprites(
        n_domains=section.n_domains,
        n_per_domain=section.n_per_domain,
        image_size=section.image_size or (16, 16),
        colour_agreement=section.colour_agreement,
        test_colour_agreement=section.test_colour_agreement,
        seed=section.seed,
    )


FORMS: dict[str, Callable[[DomainsSchema], Domains]] = {
    "rotated images": _from_rotated,
    "folders of images": _from_folders,
    "a table": _from_table,
    "made:pitfalls": _pitfalls,
    "made:sprites": _sprites,
}
"The function that reads or generates the data of a section, by its form."
