"""Models of dynamic size, of two inputs or outputs, or that take no images: what the errors say."""

import os
import re
import shlex

import numpy as np
import openvino as ov
import pytest
from helpers import (
    NO_LOGITS_EITHER,
    NO_PROBABILITIES,
    PHOTOS,
    TRICKY_NAMES,
    channel_means,
    classify,
    fails_with_one_line,
    protobuf,
    run,
    save_model,
    save_with_info,
    scores,
)
from openvino import opset13 as ops


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
def test_a_dynamic_height_or_width_is_an_error_that_tells_what_to_do(
    tmp_path, shape, layout, stated, advised
):
    """`ovc` does not take an .xml file."""
    model = save_model(tmp_path / "dynamic.xml", channel_means, shape, layout=layout)
    line = fails_with_one_line("-m", model, "-i", PHOTOS[0])
    assert (
        line == f"[ ERROR ] Cannot use the model {model}: {dynamic_size(model, stated, advised)}\n"
    )


def dynamic_size(model, stated, advised):
    changed = f"{model.with_suffix('')}-changed.xml"
    return (
        f"its input {stated}: give it a height H and width W, in Python `import openvino as ov; "
        f"model = ov.Core().read_model({str(model)!r}); model.reshape({advised}); "
        f"ov.save_model(model, {changed!r}, compress_to_fp16=False)`, then give -m {shlex.quote(changed)}"
    )


def save_onnx(path, shape):
    """Saves a model whose scores are the means of the channels; -1 in `shape` is a size that is not known."""
    sizes = [
        protobuf((1, size) if size >= 0 else (2, f"size{axis}")) for axis, size in enumerate(shape)
    ]
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
    known, unknown = (
        save_onnx(tmp_path / f"{sizes.count(-1)}.onnx", sizes) for sizes in ((1, 3, 8, 8), shape)
    )
    assert scores("-m", known, "-i", picture) == [pytest.approx({0: 200, 1: 100, 2: 40}, abs=1e-3)]
    line = fails_with_one_line("-m", unknown, "-i", picture)
    sentence = dynamic_size(unknown, f"[N,C,H,W] is {stated}", advised)
    assert line == f"[ ERROR ] Cannot use the model {unknown}: {sentence}\n"


def follow_the_advice(path, picture, **sizes):
    """Does what the error message for the model in `path` says, word by word; returns the path that it names."""
    line = run("-m", path, "-i", picture).stderr
    code, words = re.fullmatch(
        r"\[ ERROR \] .*?`(import .*)`, then give -m (.*)\n", line, flags=re.S
    ).groups()
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
def test_the_advice_for_dynamic_sizes_leads_to_the_right_table(
    tmp_path, picture, shape, layout, expected
):
    """Of height 8 and width 6; the scores are the means of the channels."""
    axes = (1, 2) if layout == "NHWC" or (layout is None and shape[3] == 3) else (2, 3)
    model = save_model(
        tmp_path / "dynamic.xml", lambda image: channel_means(image, axes), shape, layout=layout
    )
    changed = follow_the_advice(model, picture, H=8, W=6)
    assert str(ov.Core().read_model(changed).input().partial_shape) == expected
    assert (
        scores("-m", changed, "-i", picture, picture)
        == [pytest.approx({0: 200, 1: 100, 2: 40}, abs=1e-3)] * 2
    )


@pytest.mark.parametrize(
    "shape", [(1, 1, -1, -1), (-1, 1, 8, -1), (-1, -1, -1, 1), (1, 8, -1, 1)], ids=str
)
def test_the_advice_for_a_gray_model(tmp_path, picture, shape):
    """0.114 * 200 + 0.587 * 100 + 0.299 * 40 = 93.46."""
    axes = (2, 3) if shape[1] == 1 else (1, 2)
    model = save_model(tmp_path / "gray.xml", lambda image: channel_means(image, axes), shape)
    changed = follow_the_advice(model, picture, H=8, W=6)
    assert scores("-m", changed, "-i", picture, stderr=NO_LOGITS_EITHER) == [{0: 93}]


@pytest.mark.parametrize(
    "shape", [(-1, -1, -1, -1), (1, 3, -1, -1), (-1, 3, 8, -1), (-1, -1, 8, 6)], ids=str
)
def test_the_advice_for_an_onnx_file(tmp_path, picture, shape):
    changed = follow_the_advice(save_onnx(tmp_path / "model.onnx", shape), picture, H=8, W=6)
    assert (
        scores("-m", changed, "-i", picture, picture)
        == [pytest.approx({0: 200, 1: 100, 2: 40}, abs=1e-3)] * 2
    )


def test_the_advice_for_a_relative_path_is_relative(tmp_path, picture):
    save_onnx(tmp_path / "net.onnx", (1, 3, -1, -1))
    line = fails_with_one_line("-m", "net.onnx", "-i", picture, cwd=tmp_path)
    assert "net-changed.xml" in line and str(tmp_path) not in line
    given = follow_the_advice(tmp_path / "net.onnx", picture, H=8, W=8)
    assert scores("-m", given, "-i", picture) == [pytest.approx({0: 200, 1: 100, 2: 40}, abs=1e-3)]


@pytest.mark.parametrize(
    "name, suffix",
    [
        *((name, ".xml") for name in TRICKY_NAMES),
        ("""both ' and " """, ".onnx"),
        ("v1.0.final", ".onnx"),
    ],
)
def test_the_advice_names_paths_as_python_and_the_shell_need_them(tmp_path, picture, name, suffix):
    path = tmp_path / "a folder's" / (name + suffix)
    path.parent.mkdir()
    if suffix == ".xml":
        save_model(path, channel_means, (-1, -1, -1, -1))
    else:
        save_onnx(path, (-1, -1, -1, -1))
    changed = follow_the_advice(path, picture, H=8, W=6)
    assert scores("-m", changed, "-i", picture) == [
        pytest.approx({0: 200, 1: 100, 2: 40}, abs=1e-3)
    ]


def test_models_with_two_inputs_or_outputs(tmp_path):
    left, right = (ops.parameter([1, 3, 8, 8], np.float32, name=name) for name in ("left", "right"))
    ov.save_model(
        ov.Model([channel_means(ops.add(left, right))], [left, right]), tmp_path / "inputs.xml"
    )
    outputs = save_two_outputs(tmp_path / "outputs.xml")
    sentence = "Models with only 1 input and output are supported"
    fails_with_one_line(
        "-m", tmp_path / "inputs.xml", "-i", PHOTOS[0], naming=[sentence, "not 2 and 1"]
    )
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


def test_the_advice_for_two_outputs_and_then_that_for_dynamic_sizes(tmp_path, picture):
    model = save_two_outputs(tmp_path / "two outputs.xml", shape=(-1, -1, -1, -1))
    changed = follow_the_advice(follow_the_advice(model, picture), picture, H=8, W=6)
    assert scores("-m", changed, "-i", picture) == [
        pytest.approx({0: 200, 1: 100, 2: 40}, abs=1e-3)
    ]


def test_the_advice_for_two_outputs_keeps_what_the_model_says_of_itself(tmp_path, picture):
    """Else its mean would not be subtracted any more, without a word."""
    two = save_two_outputs(tmp_path / "two.xml")
    model = save_with_info(
        tmp_path / "info.xml", two, mean_values="100 50 10", labels="blue green red"
    )
    [(_, rows)] = classify(
        "-m",
        follow_the_advice(model, picture),
        "-i",
        picture,
        "--infer_precision",
        "f32",
        stderr=NO_PROBABILITIES,
    )
    assert rows == [(0, 100, "blue"), (1, 50, "green"), (2, 30, "red")]


@pytest.mark.parametrize("shape", [(1, 4, -1, -1), (1, 4, 8, 8), (-1, -1, 8, 4)], ids=str)
def test_four_channels_are_an_error_that_is_none_of_the_size(tmp_path, picture, shape):
    layout = "NHWC" if shape[3] == 4 else "NCHW"
    model = save_model(tmp_path / "four.xml", channel_means, shape, layout=layout)
    stated = (
        f"[{','.join(layout)}] is [{','.join('?' if size < 0 else str(size) for size in shape)}]"
    )
    line = fails_with_one_line("-m", model, "-i", picture)
    sentence = f"only 1 or 3 channels are supported, its input {stated}"
    assert line == f"[ ERROR ] Cannot use the model {model}: {sentence}\n"


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
    model = save_model(
        tmp_path / "model.xml", lambda image: ops.reshape(image, np.array([1, -1]), False), shape
    )
    fails_with_one_line("-m", model, "-i", PHOTOS[0], naming=[named])


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
    fails_with_one_line(
        "-m", model, "-i", picture, naming=[f"Cannot use the model {model}: {named}"]
    )


def test_no_classes_are_an_error(tmp_path, picture):
    model = save_model(
        tmp_path / "none.xml",
        lambda image: ops.slice(channel_means(image), *np.array([[0], [0], [1], [1]])),
    )
    for options in ((), ("--softmax",)):
        fails_with_one_line(
            "-m", model, "-i", picture, *options, naming=[model, "its output shape [1,0]"]
        )


def test_a_model_with_state_is_an_error(tmp_path, picture):
    """It adds each image to those before: the result would depend on their order."""
    image = ops.parameter([1, 3, 8, 8], np.float32, name="image")
    before = ops.read_value(ops.constant(np.zeros((1, 3), np.float32)), "sum", np.float32, [1, 3])
    total = ops.add(before, channel_means(image))
    model = ov.Model([ops.result(total)], [ops.assign(total, "sum")], [image], "state")
    ov.save_model(model, tmp_path / "state.xml")
    fails_with_one_line(
        "-m", tmp_path / "state.xml", "-i", picture, naming=[tmp_path, "state", "ReadValue"]
    )
