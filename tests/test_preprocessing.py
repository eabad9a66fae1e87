"""What an image goes through on its way to the model: layouts, channels, mean, scale, types."""

import re

import numpy as np
import openvino as ov
import pytest
from helpers import (
    DATA,
    EFFICIENTNET,
    NO_LOGITS_EITHER,
    PHOTOS,
    channel_means,
    classify,
    fails_with_one_line,
    run_process,
    save_model,
    scores,
    tables,
)
from openvino import opset13 as ops
from openvino.preprocess import PrePostProcessor


@pytest.fixture(scope="module")
def bare_efficientnet(tmp_path_factory):
    """EfficientNet-Lite0 as a converter would deliver it: normalized RGB in, logits out.

    OpenVINO has folded the change of channels and the scale into the first convolution's weights:
    they are taken out of it again (128 is a power of two: nothing is rounded), and the subtraction
    of the mean and the softmax cut off.
    """
    model = ov.Core().read_model(EFFICIENTNET)
    operations = model.get_ordered_ops()
    first = next(
        operation for operation in operations if operation.get_type_name() == "Convolution"
    )
    softmax = next(operation for operation in operations if operation.get_type_name() == "Softmax")
    folded = first.input_value(1).get_node().input_value(0).get_node().data.astype(np.float32)
    assert first.input_value(0).get_node().get_type_name() == "Subtract" and folded.shape == (
        32,
        3,
        3,
        3,
    )
    first.input(1).replace_source_output(ops.constant(folded[:, ::-1] * 128).output(0))
    image = ops.parameter([1, 3, 224, 224], np.float32, name="image")
    first.input(0).replace_source_output(image.output(0))
    path = tmp_path_factory.mktemp("bare") / "bare.xml"
    ov.save_model(ov.Model([softmax.input_value(0)], [image], "bare"), path, compress_to_fp16=False)
    return path


@pytest.mark.parametrize("mean, scale", [("127", "128"), ("127,127,127", "[128,128,128]")])
def test_bare_model_plus_options_equals_the_model_with_all_built_in(bare_efficientnet, mean, scale):
    common = ("-i", DATA / "images", "-nt", "1000", "--infer_precision", "f32")
    options = (
        "--reverse_input_channels",
        "--mean_values",
        mean,
        "--scale_values",
        scale,
        "--softmax",
    )
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
        (
            ("--scale_values", "2,4,5", "--reverse_input_channels", "--mean_values", "[10,20,30]"),
            (15, 20, 34),
        ),
    ],
    ids=["none", "reverse", "mean", "scale", "one-number", "all-in-order"],
)
def test_reverse_then_mean_then_scale(channel_model, picture, options, expected):
    """Worked out by hand; the model's scores are the means of its input's channels."""
    assert scores("-m", channel_model, "-i", picture, *options) == [
        pytest.approx(dict(enumerate(expected)), abs=1e-4)
    ]


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


@pytest.mark.parametrize("layout", ["[NCHW,A,B,D]", "[N,NOTCHW,H,W]", "[N,C,H,WWW]"])
def test_a_layout_that_has_the_letters_only_within_words_does_not_count(
    tmp_path, channel_model, picture, layout
):
    model = ov.Core().read_model(channel_model)
    ov.layout_helpers.set_layout(model.input(), ov.Layout(layout))
    ov.save_model(model, tmp_path / "layout.xml")
    assert scores("-m", tmp_path / "layout.xml", "-i", picture) == [
        pytest.approx({0: 200, 1: 100, 2: 40}, abs=1e-3)
    ]


@pytest.mark.parametrize("shape, axes", [((1, 1, 8, 8), (2, 3)), ((1, 8, 8, 1), (1, 2))])
def test_one_channel_is_grayscale(tmp_path, picture, shape, axes):
    """0.114 * 200 + 0.587 * 100 + 0.299 * 40 = 93.46."""
    model = save_model(tmp_path / "gray.xml", lambda image: channel_means(image, axes), shape)
    for options, expected in ((), 93), (("--mean_values", "3", "--scale_values", "9"), 10):
        assert scores("-m", model, "-i", picture, *options, stderr=NO_LOGITS_EITHER) == [
            {0: expected}
        ]
    line = fails_with_one_line("-m", model, "-i", picture, "--mean_values", "1,2,3")
    assert re.fullmatch(
        rf"\[ ERROR \] Cannot use the model {re.escape(str(model))}: .*channels.*mean.*\n", line
    )


def gathered(image):
    """The means of the channels by a Reshape and a Gather, as torch.export writes some graphs."""
    weights = np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)
    same = ops.convolution(image, weights, [1, 1], [0, 0], [0, 0], [1, 1])
    flat = ops.reshape(
        ops.reduce_mean(same, np.array([2, 3]), keep_dims=True), np.array([-1]), special_zero=False
    )
    return ops.reshape(
        ops.gather(flat, np.array([[0, 1, 2]]), np.array(0)), np.array([1, 3]), special_zero=False
    )


@pytest.mark.parametrize("build", [channel_means, gathered])
def test_reversed_channels_are_not_lost(tmp_path, picture, build):
    """OpenVINO 2026 fuses PrePostProcessor's own reverse_channels away in the second."""
    model = save_model(tmp_path / "model.xml", build)
    for options, expected in ((), (200, 100, 40)), (("--reverse_input_channels",), (40, 100, 200)):
        found = scores("-m", model, "-i", picture, *options)
        assert found == [pytest.approx(dict(enumerate(expected)), abs=1e-3)]


def test_a_model_with_a_preprocessing_section_inside(tmp_path, channel_model, picture):
    ppp = PrePostProcessor(ov.Core().read_model(channel_model))
    ppp.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    ppp.input().preprocess().convert_element_type(ov.Type.f32).reverse_channels().mean(1.0)
    ppp.input().model().set_layout(ov.Layout("NCHW"))
    ov.save_model(ppp.build(), tmp_path / "inside.xml")
    expected = pytest.approx({0: 39, 1: 99, 2: 199}, abs=1e-3)
    assert scores("-m", tmp_path / "inside.xml", "-i", picture, picture) == [expected, expected]


def integer_means(image):
    """For a model with an integer input: the means of its channels."""
    return channel_means(ops.convert(image, np.float32))


@pytest.mark.parametrize(
    "element_type, options, expected",
    [
        ("i8", (), (72, -28, -88)),
        ("i8", ("--reverse_input_channels",), (-88, -28, 72)),
        ("i8", ("--mean_values", "128"), (72, -28, -88)),
        ("i8", ("--mean_values", "0"), (127, 100, 40)),
        ("i8", ("--mean_values", "100,100,200", "--scale_values", "0.5"), (127, 0, -128)),
        ("i8", ("--scale_values", "2"), (100, 50, 20)),
        ("u8", ("--mean_values", "10,20,30"), (190, 80, 10)),
        ("u8", ("--mean_values", "100"), (100, 0, 0)),
        ("u8", ("--scale_values", "0.5"), (255, 200, 80)),
        ("u8", ("--scale_values", "3"), (67, 33, 13)),  # 66.7, 33.3, 13.3
        # reverse: 40, 100, 200; minus mean: 30, 80, 170; over scale: 10, 26.7, 56.7
        (
            "u8",
            ("--reverse_input_channels", "--mean_values", "10,20,30", "--scale_values", "3"),
            (10, 27, 57),
        ),
        ("u16", ("--mean_values", "100", "--scale_values", "0.001"), (65535, 0, 0)),
        ("i16", ("--mean_values", "100", "--scale_values", "0.001"), (32767, 0, -32768)),
        ("i32", ("--mean_values", "100", "--scale_values", "0.001"), (100000, 0, -60000)),
        ("u32", ("--mean_values", "100"), (100, 0, 0)),
        ("i64", ("--mean_values", "100"), (100, 0, -60)),
        ("u64", ("--mean_values", "100"), (100, 0, 0)),
        ("i32", ("--scale_values", "1e-9"), (2**31, 2**31, 2**31)),  # 2**31 - 1 in f32
    ],
    ids=str,
)
def test_integer_inputs(tmp_path, picture, element_type, options, expected):
    """What the mean and the scale make is rounded and clamped to the type."""
    model = save_model(
        tmp_path / "integer.xml", integer_means, element_type=getattr(ov.Type, element_type)
    )
    [rows] = scores("-m", model, "-i", picture, *options)
    assert rows == pytest.approx(dict(enumerate(expected)), rel=1e-5, abs=1e-3)


@pytest.mark.parametrize("element_type", ["boolean", "i4", "nf4", "u1", "u2", "u3", "u4", "u6"])
def test_types_that_take_no_images(tmp_path, picture, element_type):
    model = save_model(
        tmp_path / "type.xml", integer_means, element_type=getattr(ov.Type, element_type)
    )
    for options in ((), ("--mean_values", "100"), ("--softmax",)):
        line = fails_with_one_line("-m", model, "-i", picture, *options)
        sentence = f"types {element_type} in and f32 out are not supported"
        assert line == f"[ ERROR ] Cannot use the model {model}: {sentence}\n"
