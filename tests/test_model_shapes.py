"""Models of dynamic size, of two inputs or outputs, or that take no images: what the errors say.

And what README's section "Change a model" makes of them.
"""

import numpy as np
import openvino as ov
import pytest
from helpers import (
    FREE_THE_BATCH,
    GIVE_A_SIZE,
    KEEP_ONE_OUTPUT,
    NO_LOGITS_EITHER,
    NO_PROBABILITIES,
    PHOTOS,
    change_model,
    channel_means,
    classify,
    fails_with_one_line,
    own_batch_raises,
    own_batch_stays,
    protobuf,
    python_programs,
    readme_section,
    save_model,
    save_with_info,
    scores,
)
from openvino import opset13 as ops

import classification_sample_async as sample

PICTURE_MEANS = pytest.approx({0: 200, 1: 100, 2: 40}, abs=1e-3)


def test_the_readme_has_the_section_that_the_messages_name():
    assert sample.CHANGE_A_MODEL == "README.md, under 'Change a model', shows how"
    assert len(python_programs(readme_section("### Change a model"))) == 3


@pytest.mark.parametrize(
    "shape, layout, stated",
    [
        ((1, 3, -1, -1), None, "[N,C,H,W] is [1,3,?,?]"),
        ((1, 48, -1, 3), None, "[N,H,W,C] is [1,48,?,3]"),
        ((1, 3, -1, 3), "NHWC", "[N,H,W,C] is [1,3,?,3]"),
        ((1, 3, -1, 3), None, "[N,C,H,W] is [1,3,?,3]"),
        ((1, -1, 8, 8), None, "[N,C,H,W] is [1,?,8,8]"),
        ((-1, -1, -1, -1), None, "[N,C,H,W] is [?,?,?,?]"),
    ],
    ids=str,
)
def test_a_dynamic_size_is_an_error(tmp_path, shape, layout, stated):
    model = save_model(tmp_path / "dynamic.xml", channel_means, shape, layout=layout)
    line = fails_with_one_line("-m", model, "-i", PHOTOS[0])
    assert line == no_fixed_size(model, stated)


def no_fixed_size(model, stated):
    return (
        f"[ ERROR ] Cannot use the model {model}: its input {stated}, of no fixed size. "
        "README.md, under 'Change a model', shows how to give it one\n"
    )


def save_onnx(path, shape):
    """Saves a model whose scores are the means of the channels; -1 in `shape` is not known."""
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


def test_a_dynamic_size_of_an_onnx_file_is_an_error(tmp_path, picture):
    known = save_onnx(tmp_path / "known.onnx", (1, 3, 8, 8))
    assert scores("-m", known, "-i", picture) == [PICTURE_MEANS]
    unknown = save_onnx(tmp_path / "unknown.onnx", (-1, 3, 8, -1))
    line = fails_with_one_line("-m", unknown, "-i", picture)
    assert line == no_fixed_size(unknown, "[N,C,H,W] is [?,3,8,?]")


def give_size(model, sizes, **options):
    return change_model(model, GIVE_A_SIZE, {"[-1, 3, 224, 224]": str(sizes)}, **options)


@pytest.mark.parametrize(
    "shape, layout, sizes",
    [
        ((-1, -1, -1, -1), None, [-1, 3, 8, 6]),  # as Hugging Face's exporter leaves it
        ((1, 3, 8, -1), None, [-1, 3, 8, 6]),
        ((-1, -1, -1, 3), None, [-1, 8, 6, 3]),
        ((1, 8, -1, 3), None, [-1, 8, 6, 3]),
        ((-1, -1, -1, -1), "NHWC", [-1, 8, 6, 3]),
    ],
    ids=str,
)
def test_a_size_is_given(tmp_path, picture, shape, layout, sizes):
    axes = (2, 3) if sizes[1] == 3 else (1, 2)
    model = save_model(
        tmp_path / "dynamic.xml", lambda image: channel_means(image, axes), shape, layout=layout
    )
    assert scores("-m", give_size(model, sizes), "-i", picture, picture) == [PICTURE_MEANS] * 2


@pytest.mark.parametrize("shape", [(-1, -1, -1, -1), (1, 3, -1, -1)], ids=str)
def test_an_onnx_file_is_given_a_size(tmp_path, picture, shape):
    changed = give_size(save_onnx(tmp_path / "model.onnx", shape), [-1, 3, 8, 6])
    assert scores("-m", changed, "-i", picture, picture) == [PICTURE_MEANS] * 2


@pytest.mark.parametrize(
    "shape, sizes", [((1, 1, -1, -1), [-1, 1, 8, 6]), ((-1, -1, -1, 1), [-1, 8, 6, 1])], ids=str
)
def test_a_gray_model_is_given_a_size(tmp_path, picture, shape, sizes):
    """0.114 * 200 + 0.587 * 100 + 0.299 * 40 = 93.46."""
    axes = (2, 3) if sizes[1] == 1 else (1, 2)
    model = save_model(tmp_path / "gray.xml", lambda image: channel_means(image, axes), shape)
    changed = give_size(model, sizes)
    assert scores("-m", changed, "-i", picture, stderr=NO_LOGITS_EITHER) == [{0: 93}]


def save_two_inputs(path):
    left, right = (ops.parameter([1, 3, 8, 8], np.float32, name=name) for name in ("left", "right"))
    ov.save_model(ov.Model([channel_means(ops.add(left, right))], [left, right]), path)
    return path


def save_two_outputs(path, names=("means", "negated"), shape=(1, 3, 8, 8)):
    """The first output has the means of the channels, the second one their negatives."""
    image = ops.parameter(list(shape), np.float32, name="image")
    model = ov.Model([channel_means(image), channel_means(ops.negative(image))], [image], "two")
    for output, name in zip(model.outputs, names):
        output.set_names({name} if name else set())
    ov.save_model(model, path, compress_to_fp16=False)
    return path


def test_two_inputs_are_an_error(tmp_path):
    named = ["Models with only 1 input and output are supported, not 2 and 1"]
    fails_with_one_line(
        "-m", save_two_inputs(tmp_path / "inputs.xml"), "-i", PHOTOS[0], naming=named
    )


@pytest.mark.parametrize("names", [("means", "negated"), ("logits:0", ""), ("", "")], ids=str)
def test_two_outputs_are_an_error_that_names_them(tmp_path, picture, names):
    model = save_two_outputs(tmp_path / "two.xml", names=names)
    listed = ", ".join(name or "NONE" for name in names)
    assert fails_with_one_line("-m", model, "-i", picture) == (
        f"[ ERROR ] Cannot use the model {model}: Models with only 1 input and output are "
        f"supported, not 1 and 2 ({listed}). "
        "README.md, under 'Change a model', shows how to keep one output\n"
    )


@pytest.mark.parametrize("kept, sign", [(0, 1), (1, -1)])
def test_one_output_is_kept(tmp_path, picture, kept, sign):
    model = save_two_outputs(tmp_path / "two outputs.xml")
    changed = change_model(model, KEEP_ONE_OUTPUT, {"kept = 0": f"kept = {kept}"})
    expected = {0: sign * 200, 1: sign * 100, 2: sign * 40}
    assert scores("-m", changed, "-i", picture) == [pytest.approx(expected, abs=1e-3)]


def test_one_output_is_kept_and_then_a_size_given(tmp_path, picture):
    model = save_two_outputs(tmp_path / "two.xml", shape=(-1, -1, -1, -1))
    changed = change_model(model, KEEP_ONE_OUTPUT)
    again = give_size(changed, [-1, 3, 8, 6], changed="again.xml")
    assert scores("-m", again, "-i", picture) == [PICTURE_MEANS]


def test_what_the_model_says_of_itself_is_kept(tmp_path, picture):
    """Else its mean would not be subtracted any more, without a word."""
    two = save_two_outputs(tmp_path / "two.xml")
    info = {"mean_values": "100 50 10", "labels": "blue green red"}
    model = save_with_info(tmp_path / "info.xml", two, **info)
    changed = change_model(model, KEEP_ONE_OUTPUT)
    f32 = ("--infer_precision", "f32")
    [(_, rows)] = classify("-m", changed, "-i", picture, *f32, stderr=NO_PROBABILITIES)
    assert rows == [(0, 100, "blue"), (1, 50, "green"), (2, 30, "red")]


def with_a_bias(image):
    """The Reshape that gives a bias its axes has nothing to do with the batch."""
    bias = ops.reshape(np.array([1, 2, 3], np.float32), np.array([1, 3, 1, 1]), False)
    return own_batch_raises(ops.add(image, bias))


@pytest.mark.parametrize(
    "build, added",
    [(own_batch_raises, (0, 0, 0)), (own_batch_stays, (0, 0, 0)), (with_a_bias, (1, 2, 3))],
)
def test_the_batch_is_made_dynamic(tmp_path, picture, noise, build, added):
    """Two pictures in one batch, without a warning about it."""
    model = save_model(tmp_path / "fixed.xml", build)
    changed = change_model(model, FREE_THE_BATCH)
    one_at_a_time = [scores("-m", model, "-i", path)[0] for path in (picture, noise[60, 40])]
    assert one_at_a_time[0] == pytest.approx(dict(enumerate(np.add((200, 100, 40), added))))
    assert scores("-m", changed, "-i", picture, noise[60, 40]) == one_at_a_time


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
