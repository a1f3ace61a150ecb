"""Stage `images`: writes labelled images as one array with three splits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from ftml import saving
from ftml.core import fit
from ftml.data import Splits
from ftml.data import images as kind
from ftml.data.images import Images
from pipelines.datasets.image_files import images
from pipelines.datasets.image_folders import Reading, class_folders
from pipelines.datasets.separate_test import refuse_same_files
from pipelines.datasets.similar import note_similar
from pipelines.datasets.sources import fetch
from pipelines.datasets.splits import draw_split, encode_labels, refuse_one_class
from pipelines.params.arrays import ImagesSchema

TEST_FRACTION = 0.2
EXTRACTOR_IMAGES = 12_000
"Largest number of images that the feature extractor is trained on."
SEEN = 60_000
"Approximate number of images, over all epochs, that it is trained on."
MOST_EPOCHS = 20


def prepare(section: ImagesSchema, folder: Path) -> None:
    """Write the images that a section describes into a folder.

    The splits are stratified by class. Raises ValueError for a source without images,
    for a class with too few images for every split to get one, and for a class that
    only the test images have. For the task generation, a feature extractor is written
    next to the images: LeNet-5, trained on the training images.
    """
    if validation_errors := section.validation_errors():
        raise ValueError(f"{section.source}: {'; '.join(validation_errors)}")
    X, labels = _read(section.source, section.sha256, section)
    fractions = {"valid": section.valid_fraction}
    if section.test is None:
        fractions["test"] = section.test_fraction or TEST_FRACTION
    else:
        refuse_same_files(section)
        X_test, labels_test = _read(section.test, section.test_sha256, section)
        if X_test.shape[1:] != X.shape[1:]:
            raise ValueError(
                f"{section.test}: images of shape {X_test.shape[1:]}, those of "
                f"{section.source} are {X.shape[1:]}"
            )
        if unseen := set(map(str, labels_test)) - set(map(str, labels)):
            raise ValueError(
                f"{section.test}: class {', '.join(sorted(unseen))} is not in "
                f"{section.source}"
            )
    y, classes = encode_labels(pd.Series(labels))
    refuse_one_class(section.source, classes, what="images")
    note_similar(section.source, {"the classes": pd.Series(labels)}, noun="image")
    names = [f"class {name}" for name in classes]
    split = draw_split(y, names, fractions=fractions, seed=section.seed)
    data = Images(X, y, classes)
    if section.test is not None:
        of_class = {name: c for c, name in enumerate(classes)}
        y_test = np.array([of_class[str(label)] for label in labels_test], np.int64)
        data = data.join(Images(X_test, y_test, classes))
        split = np.concatenate([split, np.full(len(X_test), "test")])
    if section.binarize is not None:
        above = np.greater(data.X, section.binarize)
        data = replace(data, X=(255 * above).astype(np.uint8))
    kind.write(folder, data, split)
    if section.task == "generation":
        _write_feature_extractor(folder, data.rows(split == "train"), seed=section.seed)


def _write_feature_extractor(folder: Path, images: Images, *, seed: int) -> None:
    """Train the network whose features are to compare images, and write it.

    Where only some of the images are taken, these are drawn by the seed.
    """
    import torch  # only here

    from ftml.families.neural import lenet

    order = np.random.default_rng(seed).permutation(len(images))[:EXTRACTOR_IMAGES]
    n_epochs = max(1, min(MOST_EPOCHS, SEEN // len(order)))
    config = lenet.Config(seed=seed, n_epochs=n_epochs, schedule="cosine")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # or its weights, and so the data, depend on the machine
    try:
        trained = fit(config, Splits(images.rows(np.sort(order)))).model
    finally:
        torch.set_num_threads(threads)
    saving.save(folder / kind.FEATURE_EXTRACTOR, trained, config)


def _read(
    source: str, sha256: str | None, section: ImagesSchema
) -> tuple[np.ndarray, np.ndarray]:
    """Return the images of a source, uint8, and their labels (n,)."""
    is_idx = source.startswith("sklearn:") or any(
        "ubyte" in path.name for path in fetch(source, sha256)
    )
    if not is_idx:
        reading = Reading(section.image_size, section.pixel_range)
        return class_folders(source, sha256, reading=reading)
    for key in ("image_size", "pixel_range"):
        if getattr(section, key) is not None:
            raise ValueError(f"{source}: {key} is for folders of images")
    return images(source, sha256)
