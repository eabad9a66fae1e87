"""Batches: models that take none, which dimension is the batch, rows that are no image's."""

import re

import cv2
import numpy as np
import openvino as ov
import pytest
from helpers import (
    NO_PROBABILITIES,
    PHOTOS,
    always,
    channel_means,
    classify,
    fails_with_one_line,
    own_batch_raises,
    own_batch_stays,
    run,
    save_model,
    scores,
    tables,
)
from openvino import opset13 as ops


@pytest.mark.parametrize("build", [own_batch_raises, own_batch_stays])
def test_a_model_that_cannot_be_batched_runs_with_batch_1(tmp_path, build):
    model = save_model(tmp_path / "fixed.xml", build)
    loaded = ov.Core().read_model(model)
    ov.layout_helpers.set_layout(loaded.input(), ov.Layout("NCHW"))
    if build is own_batch_raises:
        with pytest.raises(RuntimeError):
            ov.set_batch(loaded, 5)
    else:
        ov.set_batch(loaded, 5)
        assert loaded.output().partial_shape == ov.PartialShape([1, 15])
    warning = re.escape(
        "[ WARNING ] The model does not take the batch size 5; it runs with batch size 1. "
        "README.md, under 'Change a model', shows how to make the batch dynamic\n"
    )
    results = classify(
        "-m", model, "-i", *PHOTOS, "--infer_precision", "f32", stderr=warning + NO_PROBABILITIES
    )
    assert [name for name, _ in results] == list(map(str, PHOTOS))
    for photo, (_, rows) in zip(PHOTOS, results):
        expected = cv2.resize(cv2.imread(str(photo)), (8, 8)).mean(axis=(0, 1))
        assert {row[0]: row[1] for row in rows} == pytest.approx(
            dict(enumerate(expected)), abs=1e-3
        )


@pytest.mark.parametrize("count", [1, 3, 4])
@pytest.mark.parametrize(
    "batch, options",
    [(-1, ()), (-1, ("-b", "3")), (-1, ("--softmax",)), (1, ()), (3, ()), (3, ("--softmax",))],
    ids=str,
)
def test_classes_before_images_are_an_error(tmp_path, picture, batch, options, count):
    """Three images make [3,3] of it."""
    transposed = save_model(
        tmp_path / "transposed.xml",
        lambda image: ops.transpose(channel_means(image), np.array([1, 0])),
        (batch, 3, 8, 8),
    )
    named = [f"Cannot use the model {transposed}: the first dimension of its output "]
    fails_with_one_line("-m", transposed, "-i", *[picture] * count, *options, naming=named)


PROBE = 99_991  # the batch size with which the script tells classes and images apart


@pytest.mark.parametrize("classes", [2, 3, PROBE - 1, PROBE + 1])
def test_any_number_of_classes_is_none_of_images(tmp_path, picture, classes):
    model = save_model(tmp_path / "classes.xml", always([0] * (classes - 1) + [1]))
    results = classify("-m", model, "-i", *[picture] * 3)
    assert [rows[0] for _, rows in results] == [(classes - 1, 1.0, None)] * 3


@pytest.mark.parametrize(
    "layout, is_error", [("CN", True), ("NC", False), ("N...", False), ("?C", False)]
)
def test_the_layout_of_the_output(tmp_path, channel_model, picture, layout, is_error):
    model = ov.Core().read_model(channel_model)
    ov.layout_helpers.set_layout(model.output(), ov.Layout(layout))
    ov.save_model(model, tmp_path / "layout.xml")
    arguments = ("-m", tmp_path / "layout.xml", "-i", picture)
    if is_error:
        fails_with_one_line(
            *arguments, naming=["the first dimension of its output [1,3] is not the batch"]
        )
    else:
        assert scores(*arguments) == [pytest.approx({0: 200, 1: 100, 2: 40}, abs=1e-3)]


def shares(image):
    """The channels' shares of the brightness: probabilities, but NaN for a black image."""
    means = channel_means(image)
    return ops.divide(means, ops.reduce_sum(means, np.array([1]), keep_dims=True))


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0, 0, 0, 1), (1, 1, 0)], ids=str)
def test_outputs_for_what_is_no_image_are_not_judged(tmp_path, picture, order):
    """Neither those of a file that could not be read nor of the rows that fill the last batch."""
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    model = save_model(tmp_path / "shares.xml", shares, (3, 3, 8, 8))
    done = run("-m", model, "-i", *[(picture, broken)[index] for index in order], "-b", "3")
    assert done.returncode == 1
    assert done.stderr == f"[ WARNING ] {broken}: cannot be decoded as an image\n" * order.count(1)
    assert [{row[0]: row[1] for row in rows} for _, rows in tables(done.stdout)] == [
        pytest.approx({0: 200 / 340, 1: 100 / 340, 2: 40 / 340}, abs=1e-3)
    ] * order.count(0)


def test_the_warning_is_about_the_first_batch_that_needs_one(tmp_path, channel_model, picture):
    """Over 340 the picture's channels add up to 1, of the half as bright one to 0.5, white 2.25."""
    half, white = tmp_path / "half.png", tmp_path / "white.png"
    cv2.imwrite(str(half), cv2.imread(str(picture)) // 2)
    cv2.imwrite(str(white), np.full((8, 8, 3), 255, np.uint8))
    options = (
        "-m",
        channel_model,
        "--scale_values",
        "340",
        "--infer_precision",
        "f32",
        "-b",
        "2",
        "-i",
    )
    done = run(*options, picture, picture, half, picture, white, white)
    assert (done.returncode, done.stderr) == (
        0,
        "[ WARNING ] The model's outputs do not add up to 1 (0.5 to 1)\n",
    )
    assert len(tables(done.stdout)) == 6
