"""What a model's outputs are taken for: shapes, types, softmax, class ids, and warnings."""

import re

import numpy as np
import openvino as ov
import pytest
from helpers import (
    NO_LOGITS_EITHER,
    NO_PROBABILITIES,
    NOT_ADDING_UP,
    always,
    at_once,
    channel_means,
    classify,
    fails_with_one_line,
    run,
    run_process,
    save_model,
    scores,
    softmax_of_means,
    tables,
    top_ids,
    warnings,
)
from openvino import opset13 as ops


@pytest.mark.parametrize("shape", [(0, 3), (0, 3, 1, 1), (0, 1, 1, 3)], ids=str)
def test_output_shapes_and_softmax_over_the_classes(tmp_path, picture, shape):
    """0 stands for the batch. Two images: a softmax over the wrong axis would show."""
    model = save_model(
        tmp_path / "shape.xml",
        lambda image: ops.reshape(
            ops.divide(channel_means(image), np.float32(64)), np.array(shape), special_zero=True
        ),
    )
    logits = np.array([200, 100, 40]) / 64
    assert (
        scores("-m", model, "-i", picture, picture)
        == [pytest.approx(dict(enumerate(logits)), abs=1e-5)] * 2
    )
    probabilities = np.exp(logits) / np.exp(logits).sum()
    for _, rows in classify(
        "-m", model, "-i", picture, picture, "--softmax", "--infer_precision", "f32"
    ):
        assert top_ids(rows) == [0, 1, 2]
        assert [row[1] for row in rows] == pytest.approx(probabilities, abs=1e-6)


@pytest.mark.parametrize("shape", [(1, 1, 100, 7), (1, 3, 2, 2), (1, 7, 1), (700,)], ids=str)
def test_other_output_shapes_are_refused_with_the_shape(tmp_path, picture, shape):
    width = np.prod(shape)
    model = save_model(
        tmp_path / "detector.xml",
        lambda image: ops.reshape(
            ops.matmul(channel_means(image), np.ones((3, width), np.float32), False, False),
            np.array(shape),
            False,
        ),
    )
    named = [f"[{','.join(map(str, shape))}]"]
    for options in ((), ("--softmax",)):
        fails_with_one_line("-m", model, "-i", picture, *options, naming=named)


def test_the_warning_about_logits_comes_once_and_not_for_probabilities(
    tmp_path, channel_model, picture
):
    # 200, 100, 40 over 256 are within 0..1, but add up to 1.33; over 340 they add up to 1
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
    ids=[
        "temperature",
        "one-for-each-class",
        "temperature-softmax",
        "340",
        "softmax/2",
        "softmax/0.5",
    ],
)
def test_a_model_that_ends_in_a_division_by_a_constant(
    tmp_path, picture, build, options, expected, warning
):
    """To build the preprocessing, OpenVINO replaces it by a multiplication, and frees its type."""
    model = save_model(tmp_path / "division.xml", build)
    for _ in range(6):
        [rows] = scores("-m", model, "-i", picture, *options, stderr=warning)
        assert rows == pytest.approx(dict(enumerate(expected)), abs=1e-5)


def test_a_division_at_the_end_in_several_processes(tmp_path, picture):
    """In each, something else lies where the type was."""
    model = save_model(tmp_path / "division.xml", over(channel_means, 64))
    runs = at_once(
        lambda _: run_process("-m", model, "-i", picture, "--infer_precision", "f32"), range(3)
    )
    for done in runs:
        assert done.returncode == 0, done.stderr
        assert re.fullmatch(NO_PROBABILITIES, done.stderr), done.stderr
        assert tables(done.stdout) == [
            (str(picture), [(0, 3.125, None), (1, 1.5625, None), (2, 0.625, None)])
        ]


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
        (
            [-0.25, 0.75, 0.5],
            "are not probabilities (-0.25 to 0.75): if they are logits, add --softmax",
        ),
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
    assert scores("-m", model, "-i", picture, stderr=warning) == [
        pytest.approx(dict(enumerate(expected)), abs=1e-7)
    ]


def test_integer_output(tmp_path, picture):
    def classified(element_type):
        path = tmp_path / f"{element_type.__name__}.xml"
        model = save_model(path, lambda image: ops.convert(channel_means(image), element_type))
        return run("-m", model, "-i", picture)

    for element_type in (np.int32, np.int64):
        done = classified(element_type)
        assert done.returncode == 0
        assert tables(done.stdout) == [
            (str(picture), [(0, 200, None), (1, 100, None), (2, 40, None)])
        ]
        assert warnings(done) == ["The model's outputs are not probabilities (40 to 200)"]
    done = classified(np.uint8)  # of 256
    assert tables(done.stdout) == [
        (str(picture), [(0, 0.78125, None), (1, 0.390625, None), (2, 0.15625, None)])
    ]
    assert warnings(done) == ["The model's outputs do not add up to 1 (1.32812 to 1.32812)"]


def test_rounded_probabilities_of_many_classes_in_8_bits_are_no_warning(tmp_path, picture):
    """A uniform softmax of 150 classes is 1.7 in 1/256: TFLite rounds to 2; the sum is 1.17."""
    model = save_model(tmp_path / "uniform.xml", always([2] * 150, ov.Type.u8))
    assert scores("-m", model, "-i", picture, stderr="") == [dict.fromkeys(range(10), 0.0078125)]


def class_id(element_type, shape=(0, 1)):
    """What `save_model` builds a model of that returns a class id; 0 in `shape` is the batch.

    By a comparison, where most have a TopK, which test_graphs.py is about.
    """

    def build(image):
        means = channel_means(image)
        first, second, _ = ops.split(means, np.array(1), 3).outputs()
        is_second = ops.greater(second, first)
        return ops.convert(ops.reshape(is_second, np.array(shape), special_zero=True), element_type)

    return build


@pytest.mark.parametrize("shape, batch", [((0, 1), 1), ((0, 1, 1, 1), -1)], ids=str)
@pytest.mark.parametrize("element_type", ["i16", "i32", "i64", "u16", "u32", "u64"])
def test_a_class_id_is_no_probability(tmp_path, picture, element_type, shape, batch):
    """Its only class would be 0, with the id as the probability."""
    model = save_model(tmp_path / "id.xml", class_id(element_type, shape), (batch, 3, 8, 8))
    sentence = (
        f"one value for an image ({element_type}) is a class id (ArgMax), or 1 after softmax: "
        "no probability"
    )
    line = fails_with_one_line("-m", model, "-i", picture)
    assert line == f"[ ERROR ] Cannot use the model {model}: {sentence}\n"
    fails_with_one_line(
        "-m", model, "-i", picture, "--softmax", naming=[f"Cannot use the model {model}: softmax "]
    )


def of_unknown_width(build):
    """As `x.view(x.size(0), -1)` of PyTorch becomes: the batch shows how many classes there are."""

    def build_and_reshape(image):
        batch = ops.gather(ops.shape_of(image), np.array([0]), np.array(0))
        return ops.reshape(
            build(image), ops.concat([batch, ops.constant(np.array([-1]))], 0), special_zero=False
        )

    return build_and_reshape


def test_one_value_is_refused_where_the_number_of_classes_shows_late(tmp_path, picture):
    """A class id, and the softmax of one value, which is always 1; three classes are right."""
    models = {"argmax": class_id("i64"), "sigmoid": always([0.25]), "three": channel_means}
    for name, build in models.items():
        models[name] = save_model(tmp_path / f"{name}.xml", of_unknown_width(build), (-1, 3, 8, 8))
        assert str(ov.Core().read_model(models[name]).output().partial_shape) == "[?,?]"
    assert scores("-m", models["three"], "-i", picture) == [
        pytest.approx({0: 200, 1: 100, 2: 40}, abs=1e-3)
    ]
    assert scores("-m", models["sigmoid"], "-i", picture, stderr="") == [{0: 0.25}]
    fails_with_one_line(
        "-m", models["argmax"], "-i", picture, naming=[models["argmax"], "class id"]
    )
    fails_with_one_line(
        "-m", models["sigmoid"], "-i", picture, "--softmax", naming=[models["sigmoid"], "softmax"]
    )


@pytest.mark.parametrize("shape", [(0, 1), (0, 1, 1, 1)], ids=str)
@pytest.mark.parametrize(
    "element_type, output, expected",
    [
        ("u8", 64, 0.25),
        ("u8", 255, 255 / 256),
        ("i8", -64, 0.25),
        ("i8", 127, 255 / 256),
        ("f32", 0.25, 0.25),
    ],
    ids=str,
)
def test_one_value_in_8_bits_is_a_quantised_sigmoid(
    tmp_path, picture, element_type, output, expected, shape
):
    def build(image):
        value = always([output], getattr(ov.Type, element_type))(image)
        return ops.reshape(value, np.array(shape), special_zero=True)

    model = save_model(tmp_path / "sigmoid.xml", build)
    assert (
        scores("-m", model, "-i", picture, picture, stderr="")
        == [{0: pytest.approx(expected, abs=1e-7)}] * 2
    )


@pytest.mark.parametrize(
    "outputs, element_type",
    [
        ([1, 2, 3], "u8"),
        ([1, 2, 3], "i8"),
        ([1, 2, 3], "i32"),
        ([1, 2, 3], "i64"),
        ([0.5], "f32"),
        ([1], "u8"),
    ],
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


def test_infer_precision(channel_model, picture):
    """Means of 200, 100 and 40 with a scale that bf16 has to round: 200 / 255 = 0.7843137."""
    options = ("-m", channel_model, "-i", picture, "--scale_values", "255", "--infer_precision")
    [(_, rows)] = classify(*options, "f32", stderr=NOT_ADDING_UP)
    assert [row[1] for row in rows] == pytest.approx([200 / 255, 100 / 255, 40 / 255], abs=2e-7)
    done = run(*options, "f7")
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: argument --infer_precision: invalid choice: 'f7'" in done.stderr
