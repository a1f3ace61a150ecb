"""Folders of images: what is read, what is converted, what is left out and said."""

from __future__ import annotations

import io
import os
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, TiffImagePlugin

from pipelines.datasets.image_decoding import decode
from pipelines.datasets.image_folders import Reading, class_folders, image_folders
from pipelines.datasets.notes import collect_notes


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def colours(height: int, width: int, *, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def save_four(top: Path) -> None:
    """Save a domain's two classes of one image each, of two domains."""
    for i, name in enumerate(["art/cat/1.png", "art/dog/1.png"]):
        save(top / name, colours(5, 7, seed=i))
        save(top / name.replace("art", "photo"), colours(5, 7, seed=i + 2))


def test_images_keep_their_colours_domain_and_class(tmp_path: Path) -> None:
    save_four(tmp_path)
    save(tmp_path / "photo/dog/2.PNG", colours(5, 7)[:, :, 0])  # grey
    (tmp_path / "photo/dog/.3.png").write_text("hidden")
    (tmp_path / "photo/.cache").mkdir()
    (tmp_path / ".DS_Store").touch()
    (tmp_path / "photo/notes.txt").touch()
    x, domain, label = image_folders(f"file:{tmp_path}")
    assert domain == ["art", "art", "photo", "photo", "photo"]
    assert label == ["cat", "dog", "cat", "dog", "dog"]
    for i in range(4):
        np.testing.assert_array_equal(x[i], colours(5, 7, seed=i))
    np.testing.assert_array_equal(x[4], np.repeat(colours(5, 7)[:, :, :1], 3, axis=2))


def test_pattern_chooses_classes_without_emptying_folders(tmp_path: Path) -> None:
    save_four(tmp_path)
    _, domain, label = image_folders(f"file:{tmp_path}/*/dog/*")
    assert (domain, label) == (["art", "photo"], ["dog", "dog"])


def test_images_are_resized_to_height_and_width(tmp_path: Path) -> None:
    save_four(tmp_path)
    steps = np.repeat(np.array([10, 30, 50, 70], np.uint8), 2)
    save(tmp_path / "art/cat/2.jpeg", np.full((20, 30, 3), 90, np.uint8))
    save(tmp_path / "art/cat/3.png", np.tile(steps[:, None, None], (1, 6, 3)))
    x, _, _ = image_folders(f"file:{tmp_path}", reading=Reading(size=(4, 3)))
    assert x.shape == (6, 4, 3, 3)
    assert (x[1] == 90).all()
    # Each row of four is a mean of rows around, of 10 to 70 by steps of 20, symmetric.
    assert (np.diff(x[2, :, 0, 0].astype(int)) > 0).all()
    np.testing.assert_array_equal(x[2, ::-1], 80 - x[2])


def test_images_of_different_sizes_need_a_size(tmp_path: Path) -> None:
    save_four(tmp_path)
    odd = save(tmp_path / "photo/dog/1.png", colours(5, 6))
    expected = f"1.png has 5 x 7 pixels, {odd} has 5 x 6; set image_size to resize them"
    with pytest.raises(ValueError, match=re.escape(expected)):
        image_folders(f"file:{tmp_path}")


@pytest.mark.parametrize("damage", ["text", "truncated", "empty", "broken"])
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_image_that_cannot_be_read_is_named(
    tmp_path: Path, damage: str, suffix: str
) -> None:
    save_four(tmp_path)
    path = save(tmp_path / f"photo/dog/bad{suffix}", colours(64, 64))
    whole = path.read_bytes()
    content = {
        "text": b"<html>",
        "truncated": whole[: len(whole) // 2],
        "empty": b"",
        "broken": whole[:20] + bytes(200),
    }
    path.write_bytes(content[damage])
    with pytest.raises(ValueError, match="cannot be read as an image") as caught:
        image_folders(f"file:{tmp_path}", reading=Reading(size=(8, 8)))
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("empty", ["sketch", "photo/fox", "photo/dog"])
def test_folder_without_an_image_is_named(tmp_path: Path, empty: str) -> None:
    save_four(tmp_path)
    (tmp_path / empty).mkdir(exist_ok=True)
    (tmp_path / empty / "readme.txt").touch()
    (tmp_path / empty / "1.png").unlink(missing_ok=True)
    with pytest.raises(ValueError, match=f"/{empty}: a folder without an image"):
        image_folders(f"file:{tmp_path}")


def test_folder_without_any_image_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ValueError, match=r"contains no image \(.png, .jpg, .jpeg, "):
        image_folders(f"file:{tmp_path}")


@pytest.mark.parametrize("stray", ["stray.png", "art/stray.png", "art/cat/a/stray.png"])
def test_image_in_another_place_is_named(tmp_path: Path, stray: str) -> None:
    save_four(tmp_path)
    path = save(tmp_path / stray, colours(5, 7))
    expected = f"{path}: expected a file domain/class/name below {tmp_path}"
    with pytest.raises(ValueError, match=re.escape(expected)):
        image_folders(f"file:{tmp_path}")


# What is read, and what is left out


def classes_of(top: Path) -> tuple[list[str], list[str]]:
    """Return the classes of the images of a folder, and what was said."""
    with collect_notes() as lines:
        _, labels = class_folders(f"file:{top}", reading=Reading(size=(2, 2)))
    return labels.tolist(), lines


def test_every_format_is_read_whatever_the_case_of_its_suffix(tmp_path: Path) -> None:
    suffixes = ["png", "JPG", "jpeg", "webp", "BMP", "tif", "Tiff", "gif"]
    for i, suffix in enumerate(suffixes):
        save(tmp_path / f"c{i % 2}/{i}.{suffix}", colours(4, 4))
    labels, lines = classes_of(tmp_path)
    assert labels == ["c0"] * 4 + ["c1"] * 4
    assert lines == [f"file:{tmp_path}: 8 images of 2 classes: c0 4, c1 4"]


def test_links_to_folders_and_files_are_followed(tmp_path: Path) -> None:
    for name in ("imgs/art/cat", "imgs/art/dog", "store/cat", "store/dog"):
        save(tmp_path / name / "1.png", colours(4, 4))
    (tmp_path / "imgs/photo").symlink_to(tmp_path / "store")
    (tmp_path / "imgs/art/dog/2.png").symlink_to(tmp_path / "store/dog/1.png")
    with collect_notes() as lines:
        _, domain, label = image_folders(f"file:{tmp_path}/imgs")
    assert domain == ["art", "art", "art", "photo", "photo"]
    assert label == ["cat", "dog", "dog", "cat", "dog"]
    counts = "art 3 (2 classes: cat 1, dog 2); photo 2 (2 classes: cat 1, dog 1)"
    assert lines == [f"file:{tmp_path}/imgs: 5 images of 2 domains: {counts}"]


@pytest.mark.parametrize("pattern", ["", "/*/*"])
def test_links_to_nothing_and_to_a_folder_around_them_are_named(
    tmp_path: Path, pattern: str
) -> None:
    for name in ("cat", "dog"):
        save(tmp_path / name / "1.png", colours(4, 4))
    (tmp_path / "cat/gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "dog/self.png").symlink_to(tmp_path / "dog/self.png")
    with collect_notes() as lines:
        class_folders(f"file:{tmp_path}{pattern}")
    named = f"{tmp_path}/cat/gone.png, {tmp_path}/dog/self.png"
    assert f"left out 2 links to nothing: {named}" in lines[0]
    (tmp_path / "dog/back").symlink_to(tmp_path)
    if not pattern:
        assert "left out 1 link to a containing folder: " in classes_of(tmp_path)[1][1]


def test_other_files_are_counted_and_those_of_systems_are_not(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        save(tmp_path / name / "1.png", colours(4, 4))
        (tmp_path / name / "Thumbs.db").touch()
        (tmp_path / name / ".DS_Store").touch()
        (tmp_path / "__MACOSX" / name).mkdir(parents=True)
    save(tmp_path / "__MACOSX/cat/1.png", colours(4, 4))
    assert len(classes_of(tmp_path)[1]) == 1
    for i in range(5):
        (tmp_path / f"cat/{i}.heic").touch()
    lines = classes_of(tmp_path)[1]
    named = ", ".join(f"{tmp_path}/cat/{i}.heic" for i in range(3))
    expected = f"left out 5 other files: {named} and 2 more"
    assert lines[0] == f"file:{tmp_path}: {expected}"


def test_the_one_folder_without_an_image_is_named_with_its_files(
    tmp_path: Path,
) -> None:
    save(tmp_path / "imgs/c0/1.png", colours(4, 4))
    (tmp_path / "imgs/c1").mkdir()
    (tmp_path / "imgs/c1/1.heic").touch()
    expected = (
        f"{tmp_path}/imgs/c1: a folder without an image "
        f"(1 other file: {tmp_path}/imgs/c1/1.heic)"
    )
    for place in ("", "/imgs"):  # the folder of the classes is found below the source
        with pytest.raises(ValueError, match=re.escape(expected)):
            class_folders(f"file:{tmp_path}{place}")


def test_folder_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_four(tmp_path)
    listed = os.listdir

    def listdir(folder: Path) -> list[str]:
        if folder == tmp_path / "photo":
            raise PermissionError(13, "Permission denied")
        return listed(folder)

    monkeypatch.setattr(os, "listdir", listdir)
    with pytest.raises(ValueError, match=r"/photo: cannot be read \(Permission"):
        image_folders(f"file:{tmp_path}")


def test_counts_of_many_classes_are_a_range(tmp_path: Path) -> None:
    for i in range(14):
        save(tmp_path / f"c{i:02}/1.png", colours(2, 2))
    save(tmp_path / "c07/2.png", colours(2, 2))
    expected = "15 images of 14 classes, from c13 1 to c07 2"
    assert classes_of(tmp_path)[1] == [f"file:{tmp_path}: {expected}"]


# What is converted


def content(image: Image.Image, suffix: str = "PNG", **options: Any) -> bytes:
    written = io.BytesIO()
    image.save(written, suffix, **options)
    return written.getvalue()


def decoded(raw: bytes, **options: Any) -> Any:
    return decode(Path("a.png"), raw, **{"size": None, "pixel_range": None, **options})


@pytest.mark.parametrize("suffix", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_to_eight(suffix: str) -> None:
    pixels = np.array([[0, 257, 32896, 65535]], np.uint16)
    found = decoded(content(Image.fromarray(pixels), suffix))
    np.testing.assert_array_equal(found.pixels[0, :, 0], [0, 1, 128, 255])
    assert (found.limits, found.values) == ((0, 65535), (0, 65535))
    found = decoded(content(Image.fromarray(pixels), suffix), pixel_range=(257, 514))
    np.testing.assert_array_equal(found.pixels[0, :, 2], [0, 0, 255, 255])


def test_twelve_bits_and_negatives_are_scaled_by_their_tags() -> None:
    negative = TiffImagePlugin.ImageFileDirectory_v2()
    negative[262] = 0
    image = Image.fromarray(np.array([[0, 257, 65535]], np.uint16))
    found = decoded(content(image, "TIFF", tiffinfo=negative))
    assert found.pixels[0, :, 0].tolist() == [255, 254, 0]
    # 12 bits: two values in three bytes; Pillow reads them and does not write them.
    raw = tiff_of_12_bits(bytes([0xFF, 0xF0, 0x10]))
    found = decoded(raw)
    assert found.pixels[0, :, 0].tolist() == [255, 1]
    assert (found.limits, found.values) == ((0, 4095), (16, 4095))


def tiff_of_12_bits(pixels: bytes) -> bytes:
    """Return a TIFF file with one row of two pixels."""
    entries = [(256, 2), (257, 1), (258, 12), (259, 1), (262, 1), (273, 8), (277, 1)]
    entries += [(278, 1), (279, len(pixels))]
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHIHH", tag, 3, 1, n, 0) for tag, n in entries)
    start = 8 + len(pixels) + len(pixels) % 2
    content = pixels + bytes(len(pixels) % 2)
    return b"II*\0" + struct.pack("<I", start) + content + directory + bytes(4)


@pytest.mark.parametrize("pixels", [np.float32([[0, 0.5]]), np.int32([[-2, 70000]])])
def test_thirty_two_bits_need_a_range(pixels: np.ndarray) -> None:
    raw = content(Image.fromarray(pixels), "TIFF")
    expected = (
        rf"a\.png: has pixels of 32 bits, {pixels[0, 0]:g} to .*; set pixel_range"
    )
    with pytest.raises(ValueError, match=expected):
        decoded(raw)
    limits = (float(pixels.min()), float(pixels.max()))
    found = decoded(raw, pixel_range=limits)
    assert found.pixels[0, :, 0].tolist() == [0, 255]


def test_pixels_that_are_not_finite_are_refused() -> None:
    raw = content(Image.fromarray(np.float32([[0, np.nan]])), "TIFF")
    with pytest.raises(ValueError, match="pixels that are not finite"):
        decoded(raw, pixel_range=(0, 1))


TURNED = {
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: x[::-1].swapaxes(0, 1),
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: lambda x: x[:, ::-1].swapaxes(0, 1),
}
"What turns the stored pixels upright, by EXIF orientation."


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("suffix", ["PNG", "TIFF"])
def test_images_are_turned_upright(orientation: int, suffix: str) -> None:
    stored, exif = colours(3, 4), Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    found = decoded(content(Image.fromarray(stored), suffix, exif=exif))
    np.testing.assert_array_equal(found.pixels, TURNED[orientation](stored))
    assert found.conversions == ("turned upright, as their EXIF orientation says",)


def palette() -> Image.Image:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    return image


@pytest.mark.parametrize(
    ("image", "options", "expected"),
    [
        (Image.new("RGBA", (2, 1), (90, 60, 30, 0)), {}, [255, 255, 255]),
        (Image.new("RGBA", (2, 1), (0, 0, 0, 127)), {}, [128, 128, 128]),
        (Image.new("LA", (2, 1), (7, 0)), {}, [255, 255, 255]),
        (palette(), {"transparency": 0}, [255, 255, 255]),
        (Image.new("L", (2, 1), 5), {"transparency": 5}, [255, 255, 255]),
        (Image.new("RGB", (2, 1)), {"transparency": (0, 0, 0)}, [255, 255, 255]),
        (
            Image.fromarray(np.full((1, 2), 700, np.uint16)),
            {"transparency": 700},
            [255, 255, 255],
        ),
    ],
)
def test_transparent_pixels_become_white(
    image: Image.Image, options: dict[str, Any], expected: list[int]
) -> None:
    found = decoded(content(image, **options))
    assert found.pixels[0, 0].tolist() == expected
    assert found.conversions == ("partly transparent: put on a white ground",)


@pytest.mark.parametrize(
    ("image", "suffix", "expected"),
    [
        (Image.new("RGBA", (1, 1), (90, 60, 30, 255)), "PNG", [90, 60, 30]),
        (palette(), "PNG", [10, 20, 30]),
        (Image.new("1", (1, 1), 1), "PNG", [255, 255, 255]),
        (Image.new("L", (1, 1), 9), "PNG", [9, 9, 9]),
    ],
)
def test_opaque_images_of_every_mode_keep_their_colours(
    image: Image.Image, suffix: str, expected: list[int]
) -> None:
    found = decoded(content(image, suffix))
    assert found.pixels[0, 0].tolist() == expected
    assert found.conversions == ()


def test_four_inks_become_three_colours_and_it_is_said() -> None:
    found = decoded(content(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"))
    assert found.pixels[0, 0].tolist() == [255, 0, 0]
    assert found.conversions[0].startswith("CMYK")


@pytest.mark.parametrize("suffix", ["GIF", "WEBP", "TIFF"])
def test_the_first_frame_of_several_is_read(suffix: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    options = {"save_all": True, "append_images": frames[1:]}
    found = decoded(content(frames[0], suffix, **options))
    assert found.pixels[0, 0, 0] > 250
    assert found.conversions[0].startswith("files with several frames")


@pytest.mark.parametrize("suffix", ["BMP", "GIF", "TIFF", "WEBP"])
def test_truncated_file_is_refused_by_its_name(suffix: str) -> None:
    raw = content(Image.fromarray(colours(32, 32)), suffix)
    with pytest.raises(ValueError, match=r"a\.png: cannot be read as an image"):
        decoded(raw[: len(raw) * 3 // 4])


def test_what_is_converted_is_counted(tmp_path: Path) -> None:
    save(tmp_path / "a/1.png", np.full((2, 2), 900, np.uint16))
    save(tmp_path / "a/2.png", np.zeros((2, 2, 4), np.uint8))
    save(tmp_path / "b/1.png", np.full((2, 2), 100, np.uint16))
    source = f"file:{tmp_path}"
    assert classes_of(tmp_path)[1][1:] == [
        f"{source}: 1 of 3 images are partly transparent: put on a white ground",
        f"{source}: 2 of 3 images have more than 8 bits: 0 to 65535 become 0 to 255; "
        "their values are 100 to 900; pixel_range sets other limits",
    ]
    with collect_notes() as lines:
        class_folders(source, reading=Reading(pixel_range=(200, 1000)))
    assert lines[-1].endswith("100 to 900; values outside, in 1 image, are clipped")
    (tmp_path / "a/1.png").unlink()
    save(tmp_path / "b/1.png", colours(2, 2))
    with collect_notes() as lines:
        class_folders(source, reading=Reading(pixel_range=(200, 1000)))
    assert lines[-1] == f"{source}: pixel_range has no effect: all images have 8 bits"
