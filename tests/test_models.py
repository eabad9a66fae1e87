"""Models as people have them: channel order, mean, scale, logits, layouts, types, shapes, batches."""

import os
import re
import shlex
import shutil

import cv2
import numpy as np
import openvino as ov
import pytest
from helpers import (
    DATA,
    DIGITS,
    EFFICIENTNET,
    LENET,
    NO_LOGITS_EITHER,
    NO_PROBABILITIES,
    NOT_ADDING_UP,
    PHOTOS,
    TRICKY_NAMES,
    always,
    at_once,
    channel_means,
    classify,
    fails_with_one_line,
    protobuf,
    run,
    run_process,
    save_model,
    save_saved_model,
    save_with_info,
    scores,
    softmax_of_means,
    tables,
    top_ids,
    warnings,
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


def gathered(image):
    """The means of the channels by way of a Reshape and a Gather, as torch.export writes some of its graphs."""
    weights = np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)
    same = ops.convolution(image, weights, [1, 1], [0, 0], [0, 0], [1, 1])
    flat = ops.reshape(ops.reduce_mean(same, np.array([2, 3]), keep_dims=True), np.array([-1]), special_zero=False)
    return ops.reshape(ops.gather(flat, np.array([[0, 1, 2]]), np.array(0)), np.array([1, 3]), special_zero=False)


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
        ("u8", ("--reverse_input_channels", "--mean_values", "10,20,30", "--scale_values", "3"), (10, 27, 57)),
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
    model = save_model(tmp_path / "integer.xml", integer_means, element_type=getattr(ov.Type, element_type))
    [rows] = scores("-m", model, "-i", picture, *options)
    assert rows == pytest.approx(dict(enumerate(expected)), rel=1e-5, abs=1e-3)


@pytest.mark.parametrize("element_type", ["boolean", "i4", "nf4", "u1", "u2", "u3", "u4", "u6"])
def test_types_that_take_no_images(tmp_path, picture, element_type):
    model = save_model(tmp_path / "type.xml", integer_means, element_type=getattr(ov.Type, element_type))
    for options in ((), ("--mean_values", "100"), ("--softmax",)):
        line = fails_with_one_line("-m", model, "-i", picture, *options)
        assert (
            line == f"[ ERROR ] Cannot use the model {model}: types {element_type} in and f32 out are not supported\n"
        )


@pytest.mark.parametrize(
    "shape, layout, stated, advised",
    [
        ((1, 3, -1, -1), None, "[N,C,H,W] is [1,3,?,?]", "[1,3,H,W]"),
        ((1, -1, -1, 3), None, "[N,H,W,C] is [1,?,?,3]", "[1,H,W,3]"),
        ((1, 48, -1, 3), None, "[N,H,W,C] is [1,48,?,3]", "[1,48,W,3]"),
        ((1, 1, 28, -1), None, "[N,C,H,W] is [1,1,28,?]", "[1,1,28,W]"),
        ((-1, 8, -1, 3), None, "[N,H,W,C] is [?,8,?,3]", "[-1,8,W,3]"),
        ((1, 3, -1, 3), "NHWC", "[N,H,W,C] is [1,3,?,3]", "[1,3,W,3]"),
        ((1, 3, -1, 3), None, "[N,C,H,W] is [1,3,?,3]", "[1,3,H,3]"),
        ((1, -1, 8, 8), None, "[N,C,H,W] is [1,?,8,8]", "[1,3,8,8]"),
        ((-1, -1, -1, -1), None, "[N,C,H,W] is [?,?,?,?]", "[-1,3,H,W]"),
        ((-1, -1, -1, -1), "NHWC", "[N,H,W,C] is [?,?,?,?]", "[-1,H,W,3]"),
    ],
    ids=str,
)
def test_a_dynamic_height_or_width_is_an_error_that_tells_what_to_do(tmp_path, shape, layout, stated, advised):
    """`ovc` does not take an .xml file."""
    model = save_model(tmp_path / "dynamic.xml", channel_means, shape, layout=layout)
    line = fails_with_one_line("-m", model, "-i", PHOTOS[0])
    assert line == f"[ ERROR ] Cannot use the model {model}: {dynamic_size(model, stated, advised)}\n"


def dynamic_size(model, stated, advised):
    changed = f"{model.with_suffix('')}-changed.xml"
    return (
        f"its input {stated}: give it a height H and width W, in Python `import openvino as ov; "
        f"model = ov.Core().read_model({str(model)!r}); model.reshape({advised}); "
        f"ov.save_model(model, {changed!r}, compress_to_fp16=False)`, then give -m {shlex.quote(changed)}"
    )


@pytest.mark.parametrize("shape", [(1, 4, -1, -1), (1, 4, 8, 8), (-1, -1, 8, 4)], ids=str)
def test_four_channels_are_an_error_that_is_none_of_the_size(tmp_path, picture, shape):
    layout = "NHWC" if shape[3] == 4 else "NCHW"
    model = save_model(tmp_path / "four.xml", channel_means, shape, layout=layout)
    stated = f"[{','.join(layout)}] is [{','.join('?' if size < 0 else str(size) for size in shape)}]"
    line = fails_with_one_line("-m", model, "-i", picture)
    sentence = f"only 1 or 3 channels are supported, its input {stated}"
    assert line == f"[ ERROR ] Cannot use the model {model}: {sentence}\n"


def save_onnx(path, shape):
    """Saves a model whose scores are the means of the channels; -1 in `shape` is a size that is not known."""
    sizes = [protobuf((1, size) if size >= 0 else (2, f"size{axis}")) for axis, size in enumerate(shape)]
    image_type = protobuf((1, protobuf((1, 1), (2, protobuf(*[(1, size) for size in sizes])))))
    result_type = protobuf((1, protobuf((1, 1))))
    graph = [
        (1, protobuf((1, "image"), (2, "means"), (4, "GlobalAveragePool"))),
        (2, "means"),
        (11, protobuf((1, "image"), (2, image_type))),
        (12, protobuf((1, "means"), (2, result_type))),
    ]
    path.write_bytes(protobuf((1, 8), (7, protobuf(*graph)), (8, protobuf((2, 13)))))
    return path


@pytest.mark.parametrize(
    "shape, stated, advised",
    [
        ((1, 3, -1, -1), "[1,3,?,?]", "[1,3,H,W]"),
        ((1, 3, 8, -1), "[1,3,8,?]", "[1,3,8,W]"),
        ((-1, 3, -1, -1), "[?,3,?,?]", "[-1,3,H,W]"),
    ],
)
def test_a_dynamic_height_or_width_of_an_onnx_file(tmp_path, picture, shape, stated, advised):
    known, unknown = (save_onnx(tmp_path / f"{sizes.count(-1)}.onnx", sizes) for sizes in ((1, 3, 8, 8), shape))
    assert scores("-m", known, "-i", picture) == [pytest.approx({0: 200, 1: 100, 2: 40}, abs=1e-3)]
    line = fails_with_one_line("-m", unknown, "-i", picture)
    sentence = dynamic_size(unknown, f"[N,C,H,W] is {stated}", advised)
    assert line == f"[ ERROR ] Cannot use the model {unknown}: {sentence}\n"


def follow_the_advice(path, picture, **sizes):
    """Does what the error message for the model in `path` says, word by word; returns the path that it names."""
    line = run("-m", path, "-i", picture).stderr
    code, words = re.fullmatch(r"\[ ERROR \] .*?`(import .*)`, then give -m (.*)\n", line, flags=re.S).groups()
    exec(code, sizes)
    [changed] = shlex.split(words)
    return changed


@pytest.mark.parametrize(
    "shape, layout, expected",
    [
        ((-1, -1, -1, -1), None, "[?,3,8,6]"),  # as Hugging Face's exporter leaves it
        ((-1, 3, -1, -1), None, "[?,3,8,6]"),
        ((1, 3, 8, -1), None, "[1,3,8,6]"),
        ((1, 3, -1, 6), None, "[1,3,8,6]"),
        ((-1, -1, 8, 6), None, "[?,3,8,6]"),
        ((-1, -1, -1, -1), "NCHW", "[?,3,8,6]"),
        ((-1, -1, -1, 3), "NCHW", "[?,3,8,3]"),
        ((-1, -1, -1, 3), None, "[?,8,6,3]"),
        ((1, 8, -1, 3), None, "[1,8,6,3]"),
        ((-1, -1, 6, 3), None, "[?,8,6,3]"),
        ((-1, -1, -1, -1), "NHWC", "[?,8,6,3]"),
        ((-1, 3, -1, -1), "NHWC", "[?,3,6,3]"),
        ((1, -1, 6, -1), "NHWC", "[1,8,6,3]"),
    ],
    ids=str,
)
def test_the_advice_for_dynamic_sizes_leads_to_the_right_table(tmp_path, picture, shape, layout, expected):
    """Of height 8 and width 6; the scores are the means of the channels."""
    axes = (1, 2) if layout == "NHWC" or (layout is None and shape[3] == 3) else (2, 3)
    model = save_model(tmp_path / "dynamic.xml", lambda image: channel_means(image, axes), shape, layout=layout)
    changed = follow_the_advice(model, picture, H=8, W=6)
    assert str(ov.Core().read_model(changed).input().partial_shape) == expected
    assert scores("-m", changed, "-i", picture, picture) == [pytest.approx({0: 200, 1: 100, 2: 40}, abs=1e-3)] * 2


@pytest.mark.parametrize("shape", [(1, 1, -1, -1), (-1, 1, 8, -1), (-1, -1, -1, 1), (1, 8, -1, 1)], ids=str)
def test_the_advice_for_a_gray_model(tmp_path, picture, shape):
    """0.114 * 200 + 0.587 * 100 + 0.299 * 40 = 93.46."""
    axes = (2, 3) if shape[1] == 1 else (1, 2)
    model = save_model(tmp_path / "gray.xml", lambda image: channel_means(image, axes), shape)
    changed = follow_the_advice(model, picture, H=8, W=6)
    assert scores("-m", changed, "-i", picture, stderr=NO_LOGITS_EITHER) == [{0: 93}]


@pytest.mark.parametrize("shape", [(-1, -1, -1, -1), (1, 3, -1, -1), (-1, 3, 8, -1), (-1, -1, 8, 6)], ids=str)
def test_the_advice_for_an_onnx_file(tmp_path, picture, shape):
    changed = follow_the_advice(save_onnx(tmp_path / "model.onnx", shape), picture, H=8, W=6)
    assert scores("-m", changed, "-i", picture, picture) == [pytest.approx({0: 200, 1: 100, 2: 40}, abs=1e-3)] * 2


@pytest.mark.parametrize(
    "name, suffix",
    [*((name, ".xml") for name in TRICKY_NAMES), ("""both ' and " """, ".onnx"), ("v1.0.final", ".onnx")],
)
def test_the_advice_names_paths_as_python_and_the_shell_need_them(tmp_path, picture, name, suffix):
    path = tmp_path / "a folder's" / (name + suffix)
    path.parent.mkdir()
    if suffix == ".xml":
        save_model(path, channel_means, (-1, -1, -1, -1))
    else:
        save_onnx(path, (-1, -1, -1, -1))
    changed = follow_the_advice(path, picture, H=8, W=6)
    assert scores("-m", changed, "-i", picture) == [pytest.approx({0: 200, 1: 100, 2: 40}, abs=1e-3)]


def test_the_advice_for_two_outputs_and_then_that_for_dynamic_sizes(tmp_path, picture):
    model = save_two_outputs(tmp_path / "two outputs.xml", shape=(-1, -1, -1, -1))
    changed = follow_the_advice(follow_the_advice(model, picture), picture, H=8, W=6)
    assert scores("-m", changed, "-i", picture) == [pytest.approx({0: 200, 1: 100, 2: 40}, abs=1e-3)]


def test_the_advice_for_two_outputs_keeps_what_the_model_says_of_itself(tmp_path, picture):
    """Else its mean would not be subtracted any more, without a word."""
    two = save_two_outputs(tmp_path / "two.xml")
    model = save_with_info(tmp_path / "info.xml", two, mean_values="100 50 10", labels="blue green red")
    [(_, rows)] = classify(
        "-m", follow_the_advice(model, picture), "-i", picture, "--infer_precision", "f32", stderr=NO_PROBABILITIES
    )
    assert rows == [(0, 100, "blue"), (1, 50, "green"), (2, 30, "red")]


@pytest.mark.parametrize(
    "shape, named",
    [
        ((1, 3, 0, 8), "an input of shape [1,3,0,8]"),
        ((1, 3, 8, 0), "an input of shape [1,3,8,0]"),
        ((1, 8, 0, 3), "an input of shape [1,8,0,3]"),
        ((1, 0, 8, 8), "its output shape [1,0]"),
        ((0, 3, 8, 8), "its output shape [0,3]"),
    ],
)
def test_a_size_of_0_is_an_error(tmp_path, picture, shape, named):
    model = save_model(tmp_path / "zero.xml", channel_means, shape)
    fails_with_one_line("-m", model, "-i", picture, naming=[f"Cannot use the model {model}: {named}"])


def test_no_classes_are_an_error(tmp_path, picture):
    model = save_model(
        tmp_path / "none.xml", lambda image: ops.slice(channel_means(image), *np.array([[0], [0], [1], [1]]))
    )
    for options in ((), ("--softmax",)):
        fails_with_one_line("-m", model, "-i", picture, *options, naming=[model, "its output shape [1,0]"])


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


@pytest.mark.parametrize("classes", [2, 3, 996, 997, 998])
def test_any_number_of_classes_is_none_of_images(tmp_path, picture, classes):
    """997 is the batch size with which the script tells the two."""
    model = save_model(tmp_path / "classes.xml", always([0] * (classes - 1) + [1]))
    results = classify("-m", model, "-i", *[picture] * 3)
    assert [rows[0] for _, rows in results] == [(classes - 1, 1.0, None)] * 3


@pytest.mark.parametrize("layout, is_error", [("CN", True), ("NC", False), ("N...", False), ("?C", False)])
def test_the_layout_of_the_output(tmp_path, channel_model, picture, layout, is_error):
    model = ov.Core().read_model(channel_model)
    ov.layout_helpers.set_layout(model.output(), ov.Layout(layout))
    ov.save_model(model, tmp_path / "layout.xml")
    arguments = ("-m", tmp_path / "layout.xml", "-i", picture)
    if is_error:
        fails_with_one_line(*arguments, naming=["the first dimension of its output [1,3] is not the batch"])
    else:
        assert scores(*arguments) == [pytest.approx({0: 200, 1: 100, 2: 40}, abs=1e-3)]


@pytest.mark.parametrize("layout", ["[NCHW,A,B,D]", "[N,NOTCHW,H,W]", "[N,C,H,WWW]"])
def test_a_layout_that_has_the_letters_only_within_words_does_not_count(tmp_path, channel_model, picture, layout):
    model = ov.Core().read_model(channel_model)
    ov.layout_helpers.set_layout(model.input(), ov.Layout(layout))
    ov.save_model(model, tmp_path / "layout.xml")
    assert scores("-m", tmp_path / "layout.xml", "-i", picture) == [pytest.approx({0: 200, 1: 100, 2: 40}, abs=1e-3)]


def test_a_model_with_state_is_an_error(tmp_path, picture):
    """It adds each image to those before: the result would depend on their order."""
    image = ops.parameter([1, 3, 8, 8], np.float32, name="image")
    before = ops.read_value(ops.constant(np.zeros((1, 3), np.float32)), "sum", np.float32, [1, 3])
    total = ops.add(before, channel_means(image))
    model = ov.Model([ops.result(total)], [ops.assign(total, "sum")], [image], "state")
    ov.save_model(model, tmp_path / "state.xml")
    fails_with_one_line("-m", tmp_path / "state.xml", "-i", picture, naming=[tmp_path, "state", "ReadValue"])


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
    warning = re.escape(
        "[ WARNING ] The model does not take the batch size 5; it runs with batch size 1. "
        "README.md shows how to convert one with a dynamic batch\n"
    )
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


def over(build, divisor):
    """A model whose last operation is a division by a constant, as of logits by a temperature."""
    return lambda image: ops.divide(build(image), np.array(divisor, np.float32))


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum()


@pytest.mark.parametrize(
    "build, options, expected, warning",
    [
        (over(channel_means, 64), (), (3.125, 1.5625, 0.625), NO_PROBABILITIES),
        (over(channel_means, [[16, 8, 4]]), (), (12.5, 12.5, 10), NO_PROBABILITIES),
        (over(channel_means, 64), ("--softmax",), softmax([3.125, 1.5625, 0.625]), ""),
        (over(channel_means, 340), (), (200 / 340, 100 / 340, 40 / 340), ""),
        (over(softmax_of_means, 2), (), softmax([3.125, 1.5625, 0.625]) / 2, NOT_ADDING_UP),
        (over(softmax_of_means, 0.5), (), softmax([3.125, 1.5625, 0.625]) * 2, NO_PROBABILITIES),
    ],
    ids=["temperature", "one-for-each-class", "temperature-softmax", "340", "softmax/2", "softmax/0.5"],
)
def test_a_model_that_ends_in_a_division_by_a_constant(tmp_path, picture, build, options, expected, warning):
    """OpenVINO puts a multiplication in its place when it builds the preprocessing, and frees it with its type."""
    model = save_model(tmp_path / "division.xml", build)
    for _ in range(6):
        [rows] = scores("-m", model, "-i", picture, *options, stderr=warning)
        assert rows == pytest.approx(dict(enumerate(expected)), abs=1e-5)


def test_a_division_at_the_end_in_several_processes(tmp_path, picture):
    """In each, something else lies where the type was."""
    model = save_model(tmp_path / "division.xml", over(channel_means, 64))
    runs = at_once(lambda _: run_process("-m", model, "-i", picture, "--infer_precision", "f32"), range(3))
    for done in runs:
        assert done.returncode == 0, done.stderr
        assert re.fullmatch(NO_PROBABILITIES, done.stderr), done.stderr
        assert tables(done.stdout) == [(str(picture), [(0, 3.125, None), (1, 1.5625, None), (2, 0.625, None)])]


@pytest.mark.parametrize(
    "outputs, warning",
    [
        ([0.5, 0.25], "do not add up to 1 (0.75 to 0.75)"),
        ([0.9, 0.8, 0.7], "do not add up to 1 (2.4 to 2.4)"),
        ([0.5, 0.38], "do not add up to 1 (0.88 to 0.88)"),
        ([0.5, 0.62], "do not add up to 1 (1.12 to 1.12)"),
        ([0.5, 0.42], None),
        ([0.5, 0.58], None),
        ([-1, 3], "are not probabilities (-1 to 3): if they are logits, add --softmax"),
        ([1.5, 0], "are not probabilities (0 to 1.5): if they are logits, add --softmax"),
        ([-0.25, 0.75, 0.5], "are not probabilities (-0.25 to 0.75): if they are logits, add --softmax"),
        ([5], "are not probabilities (5 to 5)"),
        ([0.3], None),
        ([0.5, np.nan], "contain NaN: check mean and scale values, or try --infer_precision f32"),
    ],
    ids=str,
)
def test_what_the_warning_about_outputs_says(tmp_path, picture, outputs, warning):
    model = save_model(tmp_path / "outputs.xml", always(outputs))
    stderr = re.escape(f"[ WARNING ] The model's outputs {warning}\n") if warning else ""
    [(_, rows)] = classify("-m", model, "-i", picture, "--infer_precision", "f32", stderr=stderr)
    printed = [score for _, score, _ in sorted(rows)]
    assert printed == pytest.approx(outputs, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize(
    "element_type, outputs, expected, warning",
    [
        ("u8", [0, 64, 192], [0, 0.25, 0.75], ""),
        ("u8", [255, 0, 1], [255 / 256, 0, 1 / 256], ""),
        ("u8", [128, 128, 64], [0.5, 0.5, 0.25], NOT_ADDING_UP),
        ("i8", [-128, -64, 64], [0, 0.25, 0.75], ""),
        ("i8", [127, -128, -127], [255 / 256, 0, 1 / 256], ""),
        ("i8", [0, 64, 127], [0.5, 0.75, 255 / 256], NOT_ADDING_UP),
        ("i16", [-5, 0, 300], [-5, 0, 300], NO_LOGITS_EITHER),
        ("u16", [7, 0, 300], [7, 0, 300], NO_LOGITS_EITHER),
        ("i32", [-5, 0, 70000], [-5, 0, 70000], NO_LOGITS_EITHER),
        ("i64", [-5, 0, 70000], [-5, 0, 70000], NO_LOGITS_EITHER),
        ("i32", [0, 1, 0], [0, 1, 0], ""),
        ("f16", [-5, 0, 300], [-5, 0, 300], NO_PROBABILITIES),
        ("f64", [0.25, 0.25, 0.5], [0.25, 0.25, 0.5], ""),
    ],
    ids=str,
)
def test_output_types(tmp_path, picture, element_type, outputs, expected, warning):
    model = save_model(tmp_path / "type.xml", always(outputs, getattr(ov.Type, element_type)))
    assert scores("-m", model, "-i", picture, stderr=warning) == [pytest.approx(dict(enumerate(expected)), abs=1e-7)]


def test_rounded_probabilities_of_many_classes_in_8_bits_are_no_warning(tmp_path, picture):
    """A uniform softmax of 150 classes is 1.7 in 1/256: TFLite rounds each to 2, and they add up to 1.17."""
    model = save_model(tmp_path / "uniform.xml", always([2] * 150, ov.Type.u8))
    assert scores("-m", model, "-i", picture, stderr="") == [dict.fromkeys(range(10), 0.0078125)]


def class_id(element_type, shape=(0, 1)):
    """What `save_model` builds a model of that returns the class and no probabilities; 0 stands for the batch."""

    def build(image):
        best = ops.topk(channel_means(image), np.array(1), 1, "max", "none", index_element_type="i32").output(1)
        return ops.convert(ops.reshape(best, np.array(shape), special_zero=True), element_type)

    return build


@pytest.mark.parametrize("shape, batch", [((0, 1), 1), ((0, 1, 1, 1), -1)], ids=str)
@pytest.mark.parametrize("element_type", ["i16", "i32", "i64", "u16", "u32", "u64"])
def test_a_class_id_is_no_probability(tmp_path, picture, element_type, shape, batch):
    """Its only class would be 0, with the id as the probability."""
    model = save_model(tmp_path / "argmax.xml", class_id(element_type, shape), (batch, 3, 8, 8))
    sentence = f"one value for an image ({element_type}) is a class id (ArgMax), or 1 after softmax: no probability"
    line = fails_with_one_line("-m", model, "-i", picture)
    assert line == f"[ ERROR ] Cannot use the model {model}: {sentence}\n"
    fails_with_one_line("-m", model, "-i", picture, "--softmax", naming=[f"Cannot use the model {model}: softmax "])


def of_unknown_width(build):
    """As `x.view(x.size(0), -1)` of PyTorch becomes: how many classes there are shows once the batch is set."""

    def build_and_reshape(image):
        batch = ops.gather(ops.shape_of(image), np.array([0]), np.array(0))
        return ops.reshape(build(image), ops.concat([batch, ops.constant(np.array([-1]))], 0), special_zero=False)

    return build_and_reshape


def test_one_value_is_refused_where_the_number_of_classes_shows_late(tmp_path, picture):
    """A class id, and the softmax of a single value, which is 1 whatever it is; three classes are right."""
    models = {"argmax": class_id("i64"), "sigmoid": always([0.25]), "three": channel_means}
    for name, build in models.items():
        models[name] = save_model(tmp_path / f"{name}.xml", of_unknown_width(build), (-1, 3, 8, 8))
        assert str(ov.Core().read_model(models[name]).output().partial_shape) == "[?,?]"
    assert scores("-m", models["three"], "-i", picture) == [pytest.approx({0: 200, 1: 100, 2: 40}, abs=1e-3)]
    assert scores("-m", models["sigmoid"], "-i", picture, stderr="") == [{0: 0.25}]
    fails_with_one_line("-m", models["argmax"], "-i", picture, naming=[models["argmax"], "class id"])
    fails_with_one_line("-m", models["sigmoid"], "-i", picture, "--softmax", naming=[models["sigmoid"], "softmax"])


@pytest.mark.parametrize("shape", [(0, 1), (0, 1, 1, 1)], ids=str)
@pytest.mark.parametrize(
    "element_type, output, expected",
    [("u8", 64, 0.25), ("u8", 255, 255 / 256), ("i8", -64, 0.25), ("i8", 127, 255 / 256), ("f32", 0.25, 0.25)],
    ids=str,
)
def test_one_value_in_8_bits_is_a_quantised_sigmoid(tmp_path, picture, element_type, output, expected, shape):
    def build(image):
        value = always([output], getattr(ov.Type, element_type))(image)
        return ops.reshape(value, np.array(shape), special_zero=True)

    model = save_model(tmp_path / "sigmoid.xml", build)
    assert scores("-m", model, "-i", picture, picture, stderr="") == [{0: pytest.approx(expected, abs=1e-7)}] * 2


@pytest.mark.parametrize(
    "outputs, element_type",
    [([1, 2, 3], "u8"), ([1, 2, 3], "i8"), ([1, 2, 3], "i32"), ([1, 2, 3], "i64"), ([0.5], "f32"), ([1], "u8")],
)
def test_softmax_needs_classes_in_floating_point(tmp_path, picture, outputs, element_type):
    model = save_model(tmp_path / "type.xml", always(outputs, getattr(ov.Type, element_type)))
    named = [f"Cannot use the model {model}: softmax ", f"{element_type} [1,{len(outputs)}]"]
    fails_with_one_line("-m", model, "-i", picture, "--softmax", naming=named)


def test_an_output_of_one_bit_does_not_crash(tmp_path, picture):
    model = save_model(tmp_path / "bit.xml", always([0, 1, 0], ov.Type.u1))
    done = run_process("-m", model, "-i", picture)
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr


def shares(image):
    """The channels' shares of the brightness: probabilities, but NaN for a black image."""
    means = channel_means(image)
    return ops.divide(means, ops.reduce_sum(means, np.array([1]), keep_dims=True))


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0, 0, 0, 1), (1, 1, 0)], ids=str)
def test_outputs_for_what_is_no_image_are_not_judged(tmp_path, picture, order):
    """Neither those of a file that could not be read nor those of the rows that fill the last batch."""
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
    """Over 340 the picture's channels add up to 1, those of the half as bright one to 0.5, of white to 2.25."""
    half, white = tmp_path / "half.png", tmp_path / "white.png"
    cv2.imwrite(str(half), cv2.imread(str(picture)) // 2)
    cv2.imwrite(str(white), np.full((8, 8, 3), 255, np.uint8))
    options = ("-m", channel_model, "--scale_values", "340", "--infer_precision", "f32", "-b", "2", "-i")
    done = run(*options, picture, picture, half, picture, white, white)
    assert (done.returncode, done.stderr) == (0, "[ WARNING ] The model's outputs do not add up to 1 (0.5 to 1)\n")
    assert len(tables(done.stdout)) == 6


def test_infer_precision(channel_model, picture):
    """Means of 200, 100 and 40 with a scale that bf16, of 8 bits, has to round: 200 / 255 = 0.7843137."""
    options = ("-m", channel_model, "-i", picture, "--scale_values", "255", "--infer_precision")
    [(_, rows)] = classify(*options, "f32", stderr=NOT_ADDING_UP)
    assert [row[1] for row in rows] == pytest.approx([200 / 255, 100 / 255, 40 / 255], abs=2e-7)
    done = run(*options, "f7")
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: argument --infer_precision: invalid choice: 'f7'" in done.stderr


def test_a_model_whose_name_is_not_utf8_is_read_or_an_error(tmp_path):
    model = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.onnx")
    shutil.copy(LENET, model)
    done = run_process("-m", model, "-i", DIGITS)
    if done.returncode == 0:
        assert [top_ids(rows)[0] for _, rows in tables(done.stdout)] == list(range(10))
    else:
        assert done.stderr.startswith(f"[ ERROR ] Cannot read the model {model}: ") and done.stderr.count("\n") == 1


def test_models_with_two_inputs_or_outputs(tmp_path):
    left, right = (ops.parameter([1, 3, 8, 8], np.float32, name=name) for name in ("left", "right"))
    ov.save_model(ov.Model([channel_means(ops.add(left, right))], [left, right]), tmp_path / "inputs.xml")
    outputs = save_two_outputs(tmp_path / "outputs.xml")
    sentence = "Models with only 1 input and output are supported"
    fails_with_one_line("-m", tmp_path / "inputs.xml", "-i", PHOTOS[0], naming=[sentence, "not 2 and 1"])
    fails_with_one_line("-m", outputs, "-i", PHOTOS[0], naming=[sentence, "not 1 and 2"])


def save_two_outputs(path, names=("means", "negated"), shape=(1, 3, 8, 8)):
    """The first output has the means of the channels, the second one their negatives."""
    image = ops.parameter(list(shape), np.float32, name="image")
    model = ov.Model([channel_means(image), channel_means(ops.negative(image))], [image], "two")
    for output, name in zip(model.outputs, names):
        output.set_names({name} if name else set())
    ov.save_model(model, path, compress_to_fp16=False)
    return path


@pytest.mark.parametrize("names", [("means", "negated"), ("logits:0", ""), ("", "")], ids=str)
def test_two_outputs_are_named(tmp_path, picture, names):
    model = save_two_outputs(tmp_path / "two.xml", names=names)
    listed = ", ".join(name or "NONE" for name in names)
    fails_with_one_line("-m", model, "-i", picture, naming=[f"not 1 and 2 ({listed})"])


@pytest.mark.parametrize("is_in_a_folder", [False, True], ids=["file", "folder"])
def test_the_advice_about_two_outputs_works_when_followed(tmp_path, picture, is_in_a_folder):
    """Given the file, and given the folder that it is in."""
    model = save_two_outputs(tmp_path / "two outputs.xml")
    given = follow_the_advice(tmp_path if is_in_a_folder else model, picture)
    assert os.path.dirname(given) == str(tmp_path) and given != str(model)
    assert scores("-m", given, "-i", picture) == [pytest.approx({0: 200, 1: 100, 2: 40}, abs=1e-3)]


def test_the_advice_for_a_relative_path_is_relative(tmp_path, picture):
    save_onnx(tmp_path / "net.onnx", (1, 3, -1, -1))
    line = fails_with_one_line("-m", "net.onnx", "-i", picture, cwd=tmp_path)
    assert "net-changed.xml" in line and str(tmp_path) not in line
    given = follow_the_advice(tmp_path / "net.onnx", picture, H=8, W=8)
    assert scores("-m", given, "-i", picture) == [pytest.approx({0: 200, 1: 100, 2: 40}, abs=1e-3)]


@pytest.mark.parametrize("ending", ["", "/", "/."])
def test_a_folder_with_one_model_is_that_model(tmp_path, picture, ending):
    """As Ultralytics and Optimum write it; macOS puts `._net.xml` beside it."""
    folder = tmp_path / "net_openvino_model"
    folder.mkdir()
    save_model(folder / "net.xml", channel_means)
    (folder / "net.labels").write_text("blue\ngreen\nred\n")
    (folder / "._net.xml").write_bytes(b"\x00\x05\x16\x07")
    (folder / "metadata.yaml").write_text("task: classify\n")
    (tmp_path / "net_openvino_model.labels").write_text("of\nanother\nmodel\n")
    done = run("-m", f"{folder}{ending}", "-i", picture, "--softmax")
    assert (done.returncode, done.stderr) == (0, "")
    [(_, rows)] = tables(done.stdout)
    assert {row[0]: row[2] for row in rows} == {0: "blue", 1: "green", 2: "red"}
    assert f"Reading the model: {folder}{ending.rstrip('/')}/net.xml\n" in done.stdout.replace("//", "/")


def test_the_current_folder_may_be_the_model(tmp_path, picture):
    save_model(tmp_path / "net.xml", channel_means)
    expected = [pytest.approx({0: 200, 1: 100, 2: 40}, abs=1e-3)]
    assert scores("-m", ".", "-i", picture, cwd=tmp_path) == expected


@pytest.mark.parametrize(
    "names, named",
    [
        (["b.xml", "a.xml", "._a.xml"], "not a.xml, b.xml"),
        (["FP16.xml", "FP32.xml", "int8.xml"], "not FP16.xml, FP32.xml, int8.xml"),
        (["net.onnx", "net.bin"], "not neither"),
        (["._net.xml"], "not neither"),
        ([], "not neither"),
    ],
    ids=["two", "three", "others", "hidden", "empty"],
)
def test_a_folder_with_several_models_or_none(tmp_path, picture, names, named):
    for name in names:
        (tmp_path / name).touch()
    line = fails_with_one_line("-m", tmp_path, "-i", picture)
    wanted = "it has to hold one .xml file or a saved_model.pb"
    assert line == f"[ ERROR ] Cannot read the model {tmp_path}: {wanted}, {named}\n"


def folder_to_give(line, path):
    """What the error `line` about TensorFlow's model file in `path` says to give -m."""
    prefix = f"[ ERROR ] Cannot read the model {path}: give the SavedModel's folder: "
    assert line.startswith(prefix)
    option, folder = shlex.split(line.removeprefix(prefix))
    assert option == "-m"
    return folder


@pytest.mark.parametrize("name", [*TRICKY_NAMES[:4], "plain"])
def test_the_file_in_a_saved_model_says_what_folder_to_give(tmp_path, picture, name):
    folder = save_saved_model(tmp_path / name)
    path = folder / "saved_model.pb"
    assert folder_to_give(fails_with_one_line("-m", path, "-i", picture), path) == str(folder)
    assert scores("-m", folder, "-i", picture) == [pytest.approx({0: 200, 1: 100, 2: 40}, abs=1e-3)]


@pytest.mark.parametrize(
    "path, folder", [("saved_model.pb", "."), ("./saved_model.pb", "."), ("../net/saved_model.pb", "../net")]
)
def test_the_file_in_a_saved_model_by_relative_path(tmp_path, picture, monkeypatch, capfd, path, folder):
    """OpenVINO would print nine lines before ours if it were given the file."""
    monkeypatch.chdir(save_saved_model(tmp_path / "net"))
    assert folder_to_give(fails_with_one_line("-m", path, "-i", picture), path) == folder
    assert capfd.readouterr().err == ""
    assert scores("-m", folder, "-i", picture) == [pytest.approx({0: 200, 1: 100, 2: 40}, abs=1e-3)]


@pytest.mark.parametrize(
    "name, content",
    [("net.keras", b"PK\x03\x04"), ("net.h5", b"\x89HDF\r\n\x1a\n"), ("n e t.Keras", b""), ("net.pt", b"PK\x03\x04")],
)
def test_a_file_of_another_framework_is_to_be_exported(tmp_path, picture, capfd, name, content):
    """Nothing of OpenVINO's stands before it."""
    (tmp_path / name).write_bytes(content)
    line = fails_with_one_line("-m", tmp_path / name, "-i", picture)
    assert capfd.readouterr().err == ""
    advice = "give what Keras' export or torch.onnx.export makes"
    assert line == f"[ ERROR ] Cannot read the model {tmp_path / name}: {advice}\n"


@pytest.mark.parametrize(
    "shape, named",
    [
        ((1, 3), "[1,3]"),
        ((3, 8, 8), "[3,8,8]"),
        ((1, 3, 1, 8, 8), "[1,3,1,8,8]"),
        ((1, 4, 8, 8), "only 1 or 3 channels are supported, its input [N,C,H,W] is [1,4,8,8]"),
        ((1, 8, 8, 4), "only 1 or 3 channels are supported, its input [N,C,H,W] is [1,8,8,4]"),
    ],
    ids=str,
)
def test_inputs_that_are_no_images(tmp_path, shape, named):
    model = save_model(tmp_path / "model.xml", lambda image: ops.reshape(image, np.array([1, -1]), False), shape)
    fails_with_one_line("-m", model, "-i", PHOTOS[0], naming=[named])


def test_integer_output(tmp_path, picture):
    def classified(element_type):
        path = tmp_path / f"{element_type.__name__}.xml"
        model = save_model(path, lambda image: ops.convert(channel_means(image), element_type))
        return run("-m", model, "-i", picture)

    for element_type in (np.int32, np.int64):
        done = classified(element_type)
        assert done.returncode == 0
        assert tables(done.stdout) == [(str(picture), [(0, 200, None), (1, 100, None), (2, 40, None)])]
        assert warnings(done) == ["The model's outputs are not probabilities (40 to 200)"]
    done = classified(np.uint8)  # of 256
    assert tables(done.stdout) == [(str(picture), [(0, 0.78125, None), (1, 0.390625, None), (2, 0.15625, None)])]
    assert warnings(done) == ["The model's outputs do not add up to 1 (1.32812 to 1.32812)"]


def test_the_current_folder_is_no_model(tmp_path, picture):
    line = fails_with_one_line("-m", ".", "-i", picture, cwd=tmp_path)
    assert line.startswith("[ ERROR ] Cannot read the model .: ")
