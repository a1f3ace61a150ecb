"""What `ftml predict` says of a file that is no table."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftml.config import FamilyConfig
from ftml.core import family
from ftml.data import Images, Splits, images
from ftml.predictor import Interface, Predictor
from ftml.tasks import task
from pipelines.cli import prediction
from tests.test_predictor import raw_table, trained


def of_images() -> Predictor:
    config: FamilyConfig = family("lenet").Config()
    return Predictor(None, config, Interface(takes_columns=False))


def signature(data: Splits[Images]) -> dict[str, str]:
    frame = task("classification").example(data.train)
    return dict.fromkeys(frame.columns, "long")


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        (signature(images.small("classification")), "the columns pixel_0_0 to "),
        ({}, "the columns that it was trained with, for images pixel_<row>_<column>,"),
    ],
)
def test_a_model_of_images_says_the_columns_of_an_image(
    types: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prediction, "load_predictor", lambda _: (of_images(), types))
    with pytest.raises(ValueError, match=r"expected a file \.csv,") as error:
        prediction.predictions("models:/a@champion", Path("some.png"))
    said = str(error.value)
    assert f" with a row for each sample and {expected}" in said
    assert said.endswith("see docs/stages/images.md, Predict an image")
    assert "\n" not in said


def test_a_model_of_a_table_says_its_columns(tmp_path: Path) -> None:
    trained("ols", raw_table(), tmp_path)
    with pytest.raises(ValueError, match=r"the columns of the model: size, town$"):
        prediction.predictions(str(tmp_path / "model"), tmp_path)
