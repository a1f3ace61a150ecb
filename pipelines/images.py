"""Stage `images`: labelled images become one array and three splits."""

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
from pipelines.blocks import ImagesBlock
from pipelines.pixels import class_folders, images
from pipelines.sources import fetch
from pipelines.stage import prepare_dataset
from pipelines.tables import draw_split, number

TEST_FRACTION = 0.2
EXTRACTOR_IMAGES = 12_000
"Largest number of images that the feature extractor is trained on."
SEEN = 60_000
"Approximate number of images, over all epochs, that it is trained on."
MOST_EPOCHS = 20


def prepare(block: ImagesBlock, folder: Path) -> None:
    """Write the images of a block into a folder.

    Each class has its share of every split. Raises ValueError for a source without
    images, and for a class too small to stand in every split or that only the test
    images hold. For the task generation a feature
    extractor is written beside them: LeNet-5, trained on the training images.
    """
    if misfits := block.misfits():
        raise ValueError(f"{block.source}: {'; '.join(misfits)}")
    X, labels = _read(block.source, block.sha256, block)
    shares = {"valid": block.valid_fraction}
    if block.test is None:
        shares["test"] = block.test_fraction or TEST_FRACTION
    else:
        X_test, labels_test = _read(block.test, block.test_sha256, block)
        if X_test.shape[1:] != X.shape[1:]:
            raise ValueError(
                f"{block.test}: images of shape {X_test.shape[1:]}, those of "
                f"{block.source} are {X.shape[1:]}"
            )
        if unseen := set(map(str, labels_test)) - set(map(str, labels)):
            raise ValueError(
                f"{block.test}: class {', '.join(sorted(unseen))} is not in "
                f"{block.source}"
            )
    y, classes = number(pd.Series(labels))
    if len(classes) < 2:
        raise ValueError(f"{block.source}: holds one class only, {classes[0]}")
    names = [f"class {name}" for name in classes]
    split = draw_split(y, names, shares=shares, seed=block.seed)
    data = Images(X, y, classes)
    if block.test is not None:
        of_class = {name: c for c, name in enumerate(classes)}
        y_test = np.array([of_class[str(label)] for label in labels_test], np.int64)
        data = data.join(Images(X_test, y_test, classes))
        split = np.concatenate([split, np.full(len(X_test), "test")])
    if block.binarize is not None:
        above = np.greater(data.X, block.binarize)
        data = replace(data, X=(255 * above).astype(np.uint8))
    kind.write(folder, data, split)
    if block.task == "generation":
        _write_feature_extractor(folder, data.rows(split == "train"), seed=block.seed)


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
    source: str, sha256: str | None, block: ImagesBlock
) -> tuple[np.ndarray, np.ndarray]:
    """Return the images of a source, uint8, and their labels (n,)."""
    is_idx = source.startswith("sklearn:") or any(
        "ubyte" in path.name for path in fetch(source, sha256)
    )
    if not is_idx:
        return class_folders(source, sha256, size=block.image_size)
    if block.image_size is not None:
        raise ValueError(f"{source}: image_size is for folders of images")
    return images(source, sha256)


if __name__ == "__main__":
    prepare_dataset(prepare)
