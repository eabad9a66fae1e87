"""What --antialias and --center_crop make of an image: Pillow 13's and torchvision's pixels.

Those are in resize_data.json, which make_resize_data.py made.
"""

import json
from fractions import Fraction

import cv2
import numpy as np
import pytest
from helpers import save_model, values
from make_resize_data import DATA, FILTERS, pattern
from openvino import opset13 as ops

import classification_sample_async as sample

*RESIZED, WITHOUT_CROP, CROPPED = json.loads(DATA.read_text(encoding="utf-8"))


def pillows_pixels(case, name, width=5, height=5):
    """Returns what Pillow made of `pattern` in this case."""
    pixels = np.frombuffer(bytes.fromhex(case[name]), np.uint8)
    return pixels.reshape(height, width, *case["shape"][2:])


def levels_off(found, expected):
    assert found.shape == expected.shape
    return np.abs(found.astype(int) - expected).max()


@pytest.mark.parametrize("case", RESIZED, ids=lambda case: str(list(case.values())[:3]))
def test_resize_gives_pillows_pixels(case):
    """The wrong order of rows and columns is up to 12 levels off."""
    image = pattern(*case["shape"])
    for name in FILTERS:
        found = sample.resize(image, *case["size"], cubic=name == "bicubic", box=case["box"])
        assert found.dtype == np.uint8
        assert levels_off(found, pillows_pixels(case, name, *case["size"])) <= 1


@pytest.mark.parametrize(
    "image_size, model_size, ratio, resized_to, left_top",
    [  # all sizes are width and height
        # 256 * 640 / 480 is 341 1/3; (341 - 224) / 2 is 58.5, which Python rounds to 58
        ((640, 480), (224, 224), "0.875", (341, 256), (58, 16)),
        ((480, 640), (224, 224), "0.875", (256, 341), (16, 58)),
        ((640, 480), (224, 224), "224/232", (309, 232), (42, 4)),  # 309 1/3; 42.5
        ((640, 480), (224, 224), "1", (298, 224), (37, 0)),  # 298 2/3
        ((100, 100), (224, 224), "0.7", (320, 320), (48, 48)),  # grows; 224 / 0.7 is no 319.99
        # A wide and a high model: 192 / 0.875 is 219.4; 219 * 480 / 640 is 164 1/4
        ((640, 480), (192, 48), "0.875", (219, 164), (14, 58)),  # 13.5
        ((640, 480), (48, 192), "0.875", (292, 219), (122, 14)),
    ],
    ids=str,
)
def test_center_box_is_what_resize_and_center_crop_keep(
    image_size, model_size, ratio, resized_to, left_top
):
    image = np.empty((*image_size[::-1], 3), np.uint8)
    scales = np.divide(image_size, resized_to)
    expected = [*(left_top * scales), *(np.add(left_top, model_size) * scales)]
    found = sample.center_box(image, *model_size, Fraction(ratio))
    assert found == pytest.approx(expected, abs=1e-9)


@pytest.fixture(scope="module")
def pixels_given_to_the_model(tmp_path_factory):
    """Returns a function that runs the sample on `pattern(12, 16)`: 5x5 pixels of 3 channels."""
    folder = tmp_path_factory.mktemp("pixels")
    cv2.imwrite(str(folder / "pattern.png"), pattern(12, 16))
    model = save_model(
        folder / "pixels.xml",
        lambda image: ops.reshape(image, np.array([0, -1]), special_zero=True),
        (1, 3, 5, 5),
    )

    def run_with(*options):
        arguments = ("-m", model, "-i", folder / "pattern.png", "-nt", "75", *options)
        [found] = values(*arguments)
        return np.array([found[number] for number in range(75)]).reshape(3, 5, 5)

    return run_with


CROP = ("--center_crop", "5/6")  # of 16x12 the 10x10 pixels from (4, 0): (2, 0) of 8x6


@pytest.mark.parametrize(
    "options, expected",
    [
        ((), cv2.resize(pattern(12, 16), (5, 5))),
        (CROP, cv2.resize(pattern(12, 16)[0:10, 4:14], (5, 5))),
        (("--antialias",), pillows_pixels(WITHOUT_CROP, "bilinear")),
        (("--antialias", "bicubic"), pillows_pixels(WITHOUT_CROP, "bicubic")),
        (("--antialias", *CROP), pillows_pixels(CROPPED, "bilinear")),
        (("--antialias", "bicubic", *CROP), pillows_pixels(CROPPED, "bicubic")),
    ],
    ids=lambda value: " ".join(value) or "none" if isinstance(value, tuple) else "",
)
def test_the_model_gets_the_pixels_that_the_options_say(
    pixels_given_to_the_model, options, expected
):
    found = pixels_given_to_the_model(*options)
    tolerance = 1 if "--antialias" in options else 0
    for channel in found:
        assert levels_off(channel, expected) <= tolerance


def test_a_crop_of_less_than_a_pixel_is_one_pixel(tmp_path):
    """Of 40x5 it is the 1x0.5 pixels from (19.5, 2)."""
    cv2.imwrite(str(tmp_path / "wide.png"), pattern(5, 40))
    model = save_model(
        tmp_path / "pixels.xml",
        lambda image: ops.reshape(image, np.array([0, -1]), special_zero=True),
        (1, 1, 1, 2),
    )
    found = values("-m", model, "-i", tmp_path / "wide.png", "--center_crop", "1/10")
    assert found == [{0: pattern(5, 40)[2, 20], 1: pattern(5, 40)[2, 20]}]
