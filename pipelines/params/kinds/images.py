"""The record of the data kind Images."""

from __future__ import annotations

from ftml.data import images
from pipelines.params.arrays import ImagesSchema
from pipelines.params.data_kind import DataKind

KIND = DataKind("images", images.Images, ImagesSchema, images.load, images.small)
