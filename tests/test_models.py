"""Which models run, and which are one line of error: files, inputs, outputs and their types."""

import base64
import re
import zlib

import cv2
import numpy as np
import openvino as ov
import pytest
from helpers import (
    DIGITS,
    LENET,
    always,
    by_class,
    channel_means,
    error_line,
    run,
    save_model,
    save_model_with_twice,
    tables,
    values,
    warning_lines,
)
from openvino import opset13 as ops

COLOUR = by_class((200, 100, 40))  # the channels' means of the fixture `picture`


@pytest.fixture(scope="session")
def white(tmp_path_factory):
    path = tmp_path_factory.mktemp("white") / "white.png"
    cv2.imwrite(str(path), np.full((8, 8, 3), 255, np.uint8))
    return path


# Inputs


@pytest.mark.parametrize(
    "shape, axes, layout, element_type",
    [
        ((1, 3, 8, 8), (2, 3), None, np.float32),
        ((1, 8, 8, 3), (1, 2), None, np.float32),
        ((1, 3, 8, 3), (2, 3), None, np.float32),
        ((1, 3, 8, 3), (1, 2), "NHWC", np.float32),
        ((1, 3, 3, 8), (2, 3), "N...", np.float32),  # which does not say enough
        ((-1, 8, 8, 3), (1, 2), None, np.float16),
    ],
    ids=str,
)
def test_a_model_of_any_layout_type_and_batch_runs(
    tmp_path, picture, shape, axes, layout, element_type
):
    """The layout is the stated one or a guess: 3 channels tell where they are."""
    model = save_model(
        tmp_path / "model.xml",
        lambda image: channel_means(image, axes),
        shape,
        element_type,
        layout,
    )
    assert values("-m", model, "-i", picture, picture) == [COLOUR, COLOUR]


@pytest.mark.parametrize("shape, axes", [((1, 1, 8, 8), (2, 3)), ((1, 8, 8, 1), (1, 2))])
def test_a_model_of_one_channel_gets_grey(tmp_path, picture, shape, axes):
    """0.114 * 200 + 0.587 * 100 + 0.299 * 40 is 93.46."""
    model = save_model(
        tmp_path / "grey.xml",
        lambda image: ops.multiply(channel_means(image, axes), np.array([[1, 2]], np.float32)),
        shape,
    )
    assert values("-m", model, "-i", picture) == [{0: 93, 1: 186}]


@pytest.mark.parametrize(
    "shape, layout, advised",
    [
        ((-1, -1, -1, -1), None, [-1, 3, 224, 224]),
        ((1, -1, 8, 3), None, [-1, 224, 224, 3]),
        ((-1, -1, -1, -1), "NHWC", [-1, 224, 224, 3]),
    ],
    ids=str,
)
def test_a_model_without_a_fixed_image_size_runs_as_its_error_advises(
    tmp_path, picture, shape, layout, advised
):
    axes = (2, 3) if advised[1] == 3 else (1, 2)
    path = save_model(
        tmp_path / "dynamic.xml", lambda image: channel_means(image, axes), shape, layout=layout
    )
    line = error_line("-m", path, "-i", picture)
    [sizes] = re.findall(r"model\.reshape\(\[(.*?)\]\)", line)
    assert [int(size) for size in sizes.split(",")] == advised
    model = ov.Core().read_model(path)
    model.reshape(advised)
    ov.save_model(model, tmp_path / "changed.xml")
    assert values("-m", tmp_path / "changed.xml", "-i", picture, picture) == [COLOUR, COLOUR]


@pytest.mark.parametrize(
    "shape, build, named",
    [
        ((1, 3), ops.relu, "[1,3]"),
        ((1, 4, 8, 8), channel_means, "[1,4,8,8]"),
        ((1, 3, 8, 8), lambda image: [channel_means(image)] * 2, "1 and 2"),
    ],
    ids=["no-image", "4-channels", "2-outputs"],
)
def test_a_model_that_takes_no_images_or_has_two_outputs_is_an_error(
    tmp_path, picture, shape, build, named
):
    model = save_model(tmp_path / "model.xml", build, shape)
    assert named in error_line("-m", model, "-i", picture)


def test_a_model_with_two_inputs_is_an_error(tmp_path, picture):
    left, right = (ops.parameter([1, 3, 8, 8], np.float32) for _ in range(2))
    model = ov.Model([channel_means(ops.add(left, right))], [left, right])
    ov.save_model(model, tmp_path / "two.xml")
    assert "2 and 1" in error_line("-m", tmp_path / "two.xml", "-i", picture)


# Files


def test_an_onnx_file_runs():
    done = run("-m", LENET, "-i", DIGITS)
    assert [rows[0][0] for _, rows in tables(done.stdout)] == list(range(10))


def test_a_folder_with_one_xml_file_is_that_model(tmp_path, picture):
    save_model(tmp_path / "net.xml", channel_means)
    (tmp_path / "metadata.yaml").write_text("task: classify\n")
    assert values("-m", tmp_path, "-i", picture) == [COLOUR]


def test_a_folder_with_no_model_or_two_is_an_error(tmp_path, picture):
    assert str(tmp_path) in error_line("-m", tmp_path, "-i", picture)
    for name in ("a.xml", "b.xml"):
        save_model(tmp_path / name, channel_means)
    assert str(tmp_path) in error_line("-m", tmp_path, "-i", picture)


# saved_model.pb of TensorFlow: the means of an image [1,8,8,3] over the axes 1 and 2. The function
# save_saved_model of tests/helpers.py in commit 1faa22e wrote it
SAVED_MODEL = zlib.decompress(
    base64.b64decode(
        "eNplTztvwjAQjp1YsY4BdKKLKzowdMgSVhg6wIzUgb2y8AGRTIJi8+h/6tJ/iDFBQmL4dHfS9zrJ8J9DPhaO2hPh"
        "H4MvENVebwl731avaddYQ23RA2H874GQT1jxDsLtdDhwNkAuWYDskMIUMn0hh2LR1M4/C9NiBOKk7ZFwOEeZYhYE"
        "fCxZkiQ8AEoQe9K1w2wZhrr3UNGuyIGtYjhAtqrMJfqdoX/rXdXbH0MbfbQeDXw+HhhBHpfZZMDUS1H8eKS9QR6X"
        "yJMdL1XKU+2admObc9mllIeWTLX2V3iTQzY="
    )
)


def test_the_folder_of_a_saved_model_runs(tmp_path, picture):
    (tmp_path / "saved_model.pb").write_bytes(SAVED_MODEL)
    assert values("-m", tmp_path, "-i", picture) == [COLOUR]


def test_a_file_to_convert_first_is_an_error_that_names_the_readme(tmp_path, picture):
    for path in (tmp_path / "net.keras", tmp_path / "net.pt"):
        path.write_bytes(b"PK\x03\x04")
        line = error_line("-m", path, "-i", picture)
        assert str(path) in line and "README" in line


def save_text(path):
    path.write_text("no model\n")


def save_without_weights(path):
    weights = np.ones((3, 3), np.float32)
    save_model(path, lambda image: ops.matmul(channel_means(image), weights, False, False))
    path.with_suffix(".bin").unlink()


def save_unknown_operation(path):
    save_model_with_twice(path, lambda image: ops.relu(channel_means(image)))


@pytest.mark.parametrize(
    "save, named",
    [(save_text, "model.xml"), (save_without_weights, "bin"), (save_unknown_operation, "Twice")],
)
def test_a_model_that_openvino_cannot_read_is_one_line_without_its_source(
    tmp_path, picture, save, named
):
    save(tmp_path / "model.xml")
    line = error_line("-m", tmp_path / "model.xml", "-i", picture)
    assert named in line
    assert "Exception from" not in line and "Check '" not in line and ".cpp" not in line


# Outputs


@pytest.mark.parametrize("sizes", [(0, 3, 1, 1), (0, 1, 1, 3)], ids=str)
def test_an_output_may_have_two_axes_of_length_1(tmp_path, picture, white, sizes):
    model = save_model(
        tmp_path / "model.xml",
        lambda image: ops.reshape(channel_means(image), np.array(sizes), special_zero=True),
    )
    assert values("-m", model, "-i", picture, white) == [COLOUR, by_class((255, 255, 255))]


def class_id(image):
    ids = ops.topk(channel_means(image), np.int64(1), 1, "max", "value", index_element_type="i64")
    return ids.output(1)


def detections(image):
    return ops.broadcast(ops.reduce_mean(image, np.array([0, 1, 2, 3])), np.array([1, 100, 6]))


def channels_that_are_not_black(image):
    """Scores as many classes as only the image tells."""
    found = ops.non_zero(ops.reduce_mean(image, np.array([0, 2, 3]), keep_dims=False))
    return ops.gather(channel_means(image), ops.squeeze(found, np.array(0)), np.int64(1))


@pytest.mark.parametrize(
    "build, named",
    [
        (class_id, "i64 [1,1]"),
        (detections, "[1,100,6]"),
        (channels_that_are_not_black, "number of classes"),
    ],
)
def test_an_output_that_is_no_value_per_class_is_an_error(tmp_path, picture, build, named):
    model = save_model(tmp_path / "model.xml", build)
    assert named in error_line("-m", model, "-i", picture)


@pytest.mark.parametrize("sizes", [(0, 1), (0, 1, 1, 1)], ids=str)
def test_a_single_output_is_the_probability_of_class_1(tmp_path, picture, sizes):
    model = save_model(
        tmp_path / "binary.xml",
        lambda image: ops.reshape(always([0.3])(image), np.array(sizes), special_zero=True),
    )
    assert values("-m", model, "-i", picture, picture) == [by_class((0.7, 0.3))] * 2
    assert "--sigmoid" in error_line("-m", model, "-i", picture, "--softmax")


@pytest.mark.parametrize(
    "element_type, outputs, expected",
    [
        ("u8", [0, 64, 255], [0, 0.25, 255 / 256]),
        ("i8", [-128, -64, 127], [0, 0.25, 255 / 256]),
        ("f16", [0, 0.25, 1], [0, 0.25, 1]),
    ],
)
def test_outputs_are_floats_or_tensorflow_lites_8_bits(
    tmp_path, picture, element_type, outputs, expected
):
    model = save_model(tmp_path / "model.xml", always(outputs, getattr(ov.Type, element_type)))
    assert values("-m", model, "-i", picture) == [by_class(expected, abs=1e-6)]
    assert warning_lines(run("-m", model, "-i", picture)) == []


@pytest.mark.parametrize(
    "outputs, is_warning",
    [
        ([-0.25, 0.75], True),
        ([1.5, 0], True),
        ([0.5, np.nan], True),
        ([1.025, 0.9], False),  # a softmax in f16 reaches that
    ],
    ids=str,
)
def test_outputs_that_are_no_probabilities_are_a_warning_that_names_the_options(
    tmp_path, picture, outputs, is_warning
):
    model = save_model(tmp_path / "model.xml", always(outputs))
    lines = warning_lines(run("-m", model, "-i", picture))
    assert len(lines) == is_warning
    assert all("--softmax" in line and "--sigmoid" in line for line in lines)


def test_the_warning_about_outputs_comes_once_with_the_first_batch_that_needs_it(
    channel_model, picture, white
):
    """Over 200, the picture's outputs are at most 1, and those of a white image 1.275."""
    images = [picture, picture, white, picture, white]
    done = run("-m", channel_model, "-i", *images, "-b", "1", "--scale_values", "200")
    assert len(tables(done.stdout)) == 5
    [line] = warning_lines(done)
    assert "1.275" in line
