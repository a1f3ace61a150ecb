"""Stages that map over Ray tasks write the same bytes as with threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ftml.data.sharding import ParallelMap
from ftml.evidence import Budget
from pipelines.cluster import parallel_map
from pipelines.datasets import domains, image_folders, images
from pipelines.params.arrays import DomainsSchema, ImagesSchema

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("local_cluster")]


@pytest.fixture
def by_tasks(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[int]]:
    """Return a function that switches the executor to Ray tasks from then on, and
    returns the list of the requested numbers of workers.
    """
    asked: list[int] = []

    @contextmanager
    def on_ray(*, max_workers: int) -> Iterator[tuple[ParallelMap, int]]:
        asked.append(max_workers)
        yield parallel_map.map_over_ray_tasks, 1

    def begin() -> list[int]:
        monkeypatch.setattr(parallel_map, "executor", on_ray)
        return asked

    return begin


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Return folders `domain/class/name.png` with 2 x 2 x 40 images."""
    rng = np.random.default_rng(0)
    for domain in ("art", "photo"):
        for label in ("cat", "dog"):
            folder = tmp_path / "pictures" / domain / label
            folder.mkdir(parents=True)
            for i in range(40):
                image = rng.integers(0, 256, (9, 7, 3), dtype=np.uint8)
                Image.fromarray(image).save(folder / f"{i:02}.png")
    return tmp_path / "pictures"


def made(prepare: Callable[[Any, Path], None], block: Any, folder: Path) -> dict:
    """Return the bytes of each file that a stage writes."""
    folder.mkdir()
    prepare(block, folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_images_of_folders_are_the_same(
    pictures: Path, tmp_path: Path, by_tasks: Callable[[], list[int]]
) -> None:
    with_domains = DomainsSchema(source=f"file:{pictures}", image_size=(8, 8))
    of_classes = ImagesSchema(source=f"file:{pictures}/art", image_size=(8, 8))
    stages = ((domains.prepare, with_domains), (images.prepare, of_classes))
    here = [made(*each, tmp_path / f"here{i}") for i, each in enumerate(stages)]
    asked = by_tasks()
    there = [made(*each, tmp_path / f"there{i}") for i, each in enumerate(stages)]
    assert there == here
    assert asked == [3, 2], "160 and 80 files in chunks of 64"


def test_turned_images_are_the_same(
    tmp_path: Path,
    by_tasks: Callable[[], list[int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    block = DomainsSchema(source="sklearn:digits", rotate=[0, 30, 75])
    here = made(domains.prepare, block, tmp_path / "here")
    monkeypatch.setattr(domains, "CHUNK", 100)
    asked = by_tasks()
    assert made(domains.prepare, block, tmp_path / "there") == here
    assert asked == [18], "599 images an angle, in pieces of 100"


def test_what_is_one_piece_starts_nothing(
    tmp_path: Path, by_tasks: Callable[[], list[int]]
) -> None:
    asked = by_tasks()
    block = DomainsSchema(source="sklearn:digits", rotate=[0, 30])
    made(domains.prepare, block, tmp_path / "few")
    assert asked == []


def test_an_error_of_a_task_is_the_error_that_it_is_here(
    pictures: Path, by_tasks: Callable[[], list[int]]
) -> None:
    (pictures / "photo/dog/39.png").write_bytes(b"no image")
    by_tasks()
    with pytest.raises(ValueError, match=r"39\.png: cannot be read") as caught:
        image_folders.image_folders(
            f"file:{pictures}", reading=image_folders.Reading(size=(8, 8))
        )
    assert str(caught.value).count("\n") == 0


def test_what_claims_draw_by_tasks_is_what_they_draw_here() -> None:
    def normal(rng: np.random.Generator, n: int) -> np.ndarray:
        return rng.normal(size=(n, 2))

    here = Budget(factor=3).draw(normal, seed=4, n=50)
    on_ray = Budget(factor=3, map_function=parallel_map.map_over_ray_tasks)
    np.testing.assert_array_equal(on_ray.draw(normal, seed=4, n=50), here)
