"""Models as people have them: channel order, mean, scale, logits, layouts, types, shapes, batches."""

import re

import cv2
import numpy as np
import openvino as ov
import pytest
from conftest import (
    DATA,
    EFFICIENTNET,
    NO_LOGITS_EITHER,
    NO_PROBABILITIES,
    NOT_ADDING_UP,
    PHOTOS,
    channel_means,
    classify,
    fails_with_one_line,
    run,
    run_process,
    save_model,
    scores,
    tables,
    top_ids,
)
from openvino import opset13 as ops
from openvino.preprocess import PrePostProcessor


@pytest.fixture(scope="module")
def bare_efficientnet(tmp_path_factory):
    """EfficientNet-Lite0 as a converter would deliver it: normalized RGB in, logits out.

    OpenVINO has folded the change of channels and the scale into the first convolution's weights: they are taken out
    of it again (128 is a power of two: nothing is rounded), and the subtraction of the mean and the softmax cut off.
    """
    model = ov.Core().read_model(EFFICIENTNET)
    operations = model.get_ordered_ops()
    first = next(operation for operation in operations if operation.get_type_name() == "Convolution")
    softmax = next(operation for operation in operations if operation.get_type_name() == "Softmax")
    folded = first.input_value(1).get_node().input_value(0).get_node().data.astype(np.float32)
    assert first.input_value(0).get_node().get_type_name() == "Subtract" and folded.shape == (32, 3, 3, 3)
    first.input(1).replace_source_output(ops.constant(folded[:, ::-1] * 128).output(0))
    image = ops.parameter([1, 3, 224, 224], np.float32, name="image")
    first.input(0).replace_source_output(image.output(0))
    path = tmp_path_factory.mktemp("bare") / "bare.xml"
    ov.save_model(ov.Model([softmax.input_value(0)], [image], "bare"), path, compress_to_fp16=False)
    return path


@pytest.mark.parametrize("mean, scale", [("127", "128"), ("127,127,127", "[128,128,128]")])
def test_bare_model_plus_options_equals_the_model_with_all_built_in(bare_efficientnet, mean, scale):
    common = ("-i", DATA / "images", "-nt", "1000", "--infer_precision", "f32")
    options = ("--reverse_input_channels", "--mean_values", mean, "--scale_values", scale, "--softmax")
    built_in = classify("-m", EFFICIENTNET, *common)
    bare = tables(run_process("-m", bare_efficientnet, *options, *common).stdout)
    assert len(bare) == len(PHOTOS)
    for (name, rows), (_, expected) in zip(bare, built_in):
        probabilities = {class_id: probability for class_id, probability, _ in rows}
        for class_id, probability, _ in expected:
            assert probabilities[class_id] == pytest.approx(probability, abs=1e-5), name


@pytest.mark.parametrize(
    "options, expected",
    [
        ((), (200, 100, 40)),
        (("--reverse_input_channels",), (40, 100, 200)),
        (("--mean_values", "10,20,30"), (190, 80, 10)),
        (("--scale_values", "2,4,5"), (100, 25, 8)),
        (("--mean_values", "100", "--scale_values", "4"), (25, 0, -15)),
        # reverse: 40, 100, 200; minus mean: 30, 80, 170; over scale: 15, 20, 34
        (("--scale_values", "2,4,5", "--reverse_input_channels", "--mean_values", "[10,20,30]"), (15, 20, 34)),
    ],
    ids=["none", "reverse", "mean", "scale", "one-number", "all-in-order"],
)
def test_reverse_then_mean_then_scale(channel_model, picture, options, expected):
    """Worked out by hand; the model's scores are the means of its input's channels."""
    assert scores("-m", channel_model, "-i", picture, *options) == [pytest.approx(dict(enumerate(expected)), abs=1e-4)]


@pytest.mark.parametrize(
    "option, value",
    [("--mean_values", "1,2"), ("--mean_values", "a"), ("--scale_values", "1,0,1"), ("--scale_values", "nan")],
)
def test_wrong_values_are_usage_errors(channel_model, picture, option, value):
    done = run("-m", channel_model, "-i", picture, option, value)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.search(rf"error: argument {option}: .*, not '{value}'\n", done.stderr)


@pytest.mark.parametrize(
    "shape, axes, layout, element_type",
    [
        ((1, 3, 8, 8), (2, 3), None, np.float32),
        ((1, 8, 8, 3), (1, 2), None, np.float32),
        ((-1, 3, 8, 8), (2, 3), None, np.float32),
        ((-1, 8, 8, 3), (1, 2), None, np.float32),
        ((1, 3, 8, 3), (1, 2), "NHWC", np.float32),  # by its shape it would be NCHW
        ((1, 3, 3, 8), (2, 3), "N...", np.float32),  # its layout does not say enough
        ((1, 3, 8, 8), (2, 3), None, np.float16),
        ((1, 3, 8, 8), (2, 3), None, np.uint8),
        ((2, 8, 8, 3), (1, 2), "NHWC", np.uint8),
    ],
    ids=str,
)
def test_layouts_types_and_batches(tmp_path, picture, shape, axes, layout, element_type):
    def means(image):
        return channel_means(ops.convert(image, np.float32), axes)

    model = save_model(tmp_path / "model.xml", means, shape, element_type, layout)
    expected = pytest.approx({0: 200, 1: 100, 2: 40}, abs=1e-3)
    for count in (1, 3):
        assert scores("-m", model, "-i", *[picture] * count) == [expected] * count


@pytest.mark.parametrize("shape, axes", [((1, 1, 8, 8), (2, 3)), ((1, 8, 8, 1), (1, 2))])
def test_one_channel_is_grayscale(tmp_path, picture, shape, axes):
    """0.114 * 200 + 0.587 * 100 + 0.299 * 40 = 93.46."""
    model = save_model(tmp_path / "gray.xml", lambda image: channel_means(image, axes), shape)
    for options, expected in ((), 93), (("--mean_values", "3", "--scale_values", "9"), 10):
        assert scores("-m", model, "-i", picture, *options, stderr=NO_LOGITS_EITHER) == [{0: expected}]
    line = fails_with_one_line("-m", model, "-i", picture, "--mean_values", "1,2,3")
    assert re.fullmatch(rf"\[ ERROR \] Cannot use the model {re.escape(str(model))}: .*channels.*mean.*\n", line)


def test_a_model_with_a_preprocessing_section_inside(tmp_path, channel_model, picture):
    ppp = PrePostProcessor(ov.Core().read_model(channel_model))
    ppp.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    ppp.input().preprocess().convert_element_type(ov.Type.f32).reverse_channels().mean(1.0)
    ppp.input().model().set_layout(ov.Layout("NCHW"))
    ov.save_model(ppp.build(), tmp_path / "inside.xml")
    expected = pytest.approx({0: 39, 1: 99, 2: 199}, abs=1e-3)
    assert scores("-m", tmp_path / "inside.xml", "-i", picture, picture) == [expected, expected]


@pytest.mark.parametrize("shape", [(1, 3, -1, -1), (-1, 8, -1, 3)], ids=str)
def test_dynamic_height_or_width_is_an_error_that_tells_what_to_do(tmp_path, picture, shape):
    model = save_model(tmp_path / "dynamic.xml", lambda image: ops.reduce_mean(image, np.array([2, 3])), shape)
    line = fails_with_one_line("-m", model, "-i", picture)
    assert re.fullmatch(r"\[ ERROR \] .*height and width.*`ovc .* --input .*`\n", line)


def own_batch_raises(image):
    return ops.reshape(channel_means(image), np.array([1, 3]), special_zero=False)


def own_batch_stays(image):
    return ops.reshape(channel_means(image), np.array([1, -1]), special_zero=False)


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
    warning = re.escape("[ WARNING ] The model does not take the batch size 5, it runs with batch size 1\n")
    results = classify("-m", model, "-i", *PHOTOS, "--infer_precision", "f32", stderr=warning + NO_PROBABILITIES)
    assert [name for name, _ in results] == list(map(str, PHOTOS))
    for photo, (_, rows) in zip(PHOTOS, results):
        expected = cv2.resize(cv2.imread(str(photo)), (8, 8)).mean(axis=(0, 1))
        assert {row[0]: row[1] for row in rows} == pytest.approx(dict(enumerate(expected)), abs=1e-3)


@pytest.mark.parametrize("shape", [(0, 3), (0, 3, 1, 1), (0, 1, 1, 3)], ids=str)
def test_output_shapes_and_softmax_over_the_classes(tmp_path, picture, shape):
    """0 stands for the batch. Two images: a softmax over the wrong axis would show."""
    model = save_model(
        tmp_path / "shape.xml",
        lambda image: ops.reshape(ops.divide(channel_means(image), np.float32(64)), np.array(shape), special_zero=True),
    )
    logits = np.array([200, 100, 40]) / 64
    assert scores("-m", model, "-i", picture, picture) == [pytest.approx(dict(enumerate(logits)), abs=1e-5)] * 2
    probabilities = np.exp(logits) / np.exp(logits).sum()
    for _, rows in classify("-m", model, "-i", picture, picture, "--softmax", "--infer_precision", "f32"):
        assert top_ids(rows) == [0, 1, 2]
        assert [row[1] for row in rows] == pytest.approx(probabilities, abs=1e-6)


@pytest.mark.parametrize("shape", [(1, 1, 100, 7), (1, 3, 2, 2), (1, 7, 1), (700,)], ids=str)
def test_other_output_shapes_are_refused_with_the_shape(tmp_path, picture, shape):
    width = np.prod(shape)
    model = save_model(
        tmp_path / "detector.xml",
        lambda image: ops.reshape(
            ops.matmul(channel_means(image), np.ones((3, width), np.float32), False, False), np.array(shape), False
        ),
    )
    named = [f"[{','.join(map(str, shape))}]"]
    for options in ((), ("--softmax",)):
        fails_with_one_line("-m", model, "-i", picture, *options, naming=named)


def test_the_warning_about_logits_comes_once_and_not_for_probabilities(tmp_path, channel_model, picture):
    # 200 + 100 + 40 over 256 is within 0..1 in each class, but adds up to 1.33; over 340 it adds up to 1
    options = [(), ("--scale_values", "256"), ("--softmax",), ("--scale_values", "340")]
    images = ["-i", *[picture] * 30, "-b", "2"]
    runs = [run("-m", channel_model, *images, *chosen) for chosen in options]
    assert [len(tables(done.stdout)) for done in runs] == [30] * 4
    for done, warning in zip(runs, (NO_PROBABILITIES, NOT_ADDING_UP, "", "")):
        assert re.fullmatch(warning, done.stderr), done.stderr


def test_infer_precision(channel_model, picture):
    """Means of 200, 100 and 40 with a scale that bf16, of 8 bits, has to round: 200 / 255 = 0.7843137."""
    options = ("-m", channel_model, "-i", picture, "--scale_values", "255", "--infer_precision")
    [(_, rows)] = classify(*options, "f32", stderr=NOT_ADDING_UP)
    assert [row[1] for row in rows] == pytest.approx([200 / 255, 100 / 255, 40 / 255], abs=2e-7)
    done = run(*options, "f7")
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: argument --infer_precision: invalid choice: 'f7'" in done.stderr
