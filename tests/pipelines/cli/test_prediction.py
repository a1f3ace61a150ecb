"""`ftml predict` of image files, and what it says of a file that is no table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ftml.config import FamilyConfig
from ftml.core import family
from ftml.predictor import Interface, Predictor
from ftml.tasks._inputs import frame_of
from pipelines.cli import image_rows, prediction
from tests.test_predictor import raw_table, trained

NO_CATEGORY = "indicator, none of the known categories"


def of_images() -> Predictor:
    config: FamilyConfig = family("lenet").Config()
    return Predictor(None, config, Interface(takes_columns=False))


def signature_of(shape: tuple[int, ...]) -> dict[str, str]:
    frame = frame_of(np.zeros((1, *shape), np.uint8))
    return dict.fromkeys(frame.columns, "long")


def test_a_model_without_a_signature_says_the_columns_of_an_image(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = "the columns that it was trained with, for images pixel_<row>_<column>,"
    monkeypatch.setattr(prediction, "load_predictor", lambda _: (of_images(), {}))
    with pytest.raises(ValueError, match=r"expected one file \.csv,") as error:
        prediction.predictions("models:/a@champion", [Path("some.txt2")])
    said = str(error.value)
    assert f" with a row for each sample and {expected}" in said
    assert said.endswith("see docs/stages/images.md, Predict an image")
    assert "\n" not in said


def test_a_model_of_a_table_says_its_columns(tmp_path: Path) -> None:
    trained("ols", raw_table(), tmp_path)
    with pytest.raises(ValueError, match=r"the columns of the model: size, town$"):
        prediction.predictions(str(tmp_path / "model"), [tmp_path])


@pytest.mark.parametrize("name", ["out.xlsx", "out.parquet", "out.tsv", "out.csv.gz"])
def test_a_file_to_write_of_another_format_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: predictions are CSV; give a name"):
        prediction.check_output(Path(name), [Path("rows.csv")])


def test_a_file_to_predict_is_not_overwritten(tmp_path: Path) -> None:
    rows, link = tmp_path / "rows.csv", tmp_path / "link.csv"
    rows.write_text("a\n1\n")
    link.symlink_to(rows)
    for output in (rows, link):
        with pytest.raises(ValueError, match="is a file to predict; give another one"):
            prediction.check_output(output, [rows])
    for output in (tmp_path / "new.csv", Path("/dev/stdout"), tmp_path / "new"):
        prediction.check_output(output, [rows])


class Brightest:
    """Answers with the mean of the pixels of each image."""

    columns, model = (), None

    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"prediction": rows.mean(axis=1)})


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 3)])
def test_image_files_and_folders_are_predicted_with_their_names(
    shape: tuple[int, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    types = signature_of(shape)
    monkeypatch.setattr(prediction, "load_predictor", lambda _: (Brightest(), types))
    (folder := tmp_path / "new" / "deep").mkdir(parents=True)
    Image.new("RGB", (3, 2), (9, 9, 9)).save(folder / "b.png")
    Image.new("L", (30, 20), 200).save(tmp_path / "a.bmp")
    (tmp_path / "new" / "notes.md").write_text("no image")
    found = prediction.predictions("m", [tmp_path / "a.bmp", tmp_path / "new"])
    assert found["file"].tolist() == [
        str(tmp_path / "a.bmp"),
        str(folder / "b.png"),
    ]
    assert found["prediction"].tolist() == [200, 9]
    said = capsys.readouterr().err
    assert said == "images to predict: 1 of 2 images are resized to 2 x 3 pixels\n"
    for path, message in (("none.png", "no such file"), ("new/notes.md", "an image")):
        with pytest.raises(ValueError, match=message):
            prediction.predictions("m", [tmp_path / path])


def test_an_image_of_16_bits_is_not_scaled_by_a_guess(tmp_path: Path) -> None:
    deep = np.full((2, 3), 999, np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    with pytest.raises(ValueError, match=r"deep\.png: has more than 8 bits"):
        image_rows.read_images([tmp_path / "deep.png"], (2, 3))


ROWS = "".join(
    f"{'' if i % 2 else i},{['Ulm', 'Oslo', ''][i % 3]}\n" for i in range(12)
)


@pytest.mark.parametrize(
    ("missing", "size", "town"),
    [
        ({"size": 4.5, "town": "Ulm"}, "4.5", "Ulm"),
        ("indicator", "indicator, median {median}", NO_CATEGORY),
        ("median", "median {median}", "most_frequent {town}"),
    ],
)
def test_replaced_values_are_said_by_column_with_their_rows(
    missing: Any,
    size: str,
    town: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    raw = raw_table(missing=missing)
    trained("ols", raw, tmp_path)
    (tmp_path / "rows.csv").write_text(f"size,town\n{ROWS}")
    prediction.predictions(str(tmp_path / "model"), [tmp_path / "rows.csv"])
    frame = raw.frame()
    known = {"median": frame["size"].median(), "town": frame["town"].mode()[0]}
    said = [
        line.partition("column ")[2] for line in capsys.readouterr().err.split("\n")
    ]
    assert said == [
        "size: 6 missing values are replaced (rows 2, 4, 6, 8, 10, ...): "
        + size.format(**known),
        "town: 4 missing values are replaced (rows 3, 6, 9, 12): "
        + town.format(**known),
        "town: 4 rows have a category that no training row had (rows 2, 5, 8, 11)",
        "",
    ]
