"""What the script sees in a graph: TopK at its end, 16 bits, values over a batch, a resize."""

import cv2
import numpy as np
import openvino as ov
import pytest
from helpers import (
    DIGITS,
    EFFICIENTNET,
    LENET,
    NO_PROBABILITIES,
    PHOTOS,
    channel_means,
    classify,
    fails_with_one_line,
    run,
    save_model,
    save_saved_model,
    scores,
    softmax_of_means,
    tables,
    warnings,
)
from onnx_files import POOLED, integer_attribute, save_onnx
from openvino import opset13 as ops

import classification_sample_async as sample

# TopK at the end

ONE = np.float32(1)
ABOUT_TOPK = (
    "its output comes from TopK or ArgMax: class ids or sorted values, "
    "not a probability for each class"
)


def top(image, count=2, of=softmax_of_means, mode="max"):
    return ops.topk(of(image), np.int64(count), 1, mode, "value", index_element_type="i32")


def values(image):
    return top(image).output(0)


def ids(image):
    return top(image).output(1)


def second_to_first(image):
    return ops.gather(values(image), np.array([1, 0]), np.int64(1))


def argmax(image):
    return ops.squeeze(top(image, 1).output(1), np.array([1]))


def as_images(output):
    return ops.reshape(output, np.array([0, 0, 1, 1]), special_zero=True)


# Of models whose outputs [N,C] are sorted values, or class ids
SORTED = {
    "values": values,
    "ids": ids,
    "all": lambda image: top(image, 3).output(0),
    "smallest": lambda image: top(image, 2, mode="min").output(0),
    "one": lambda image: top(image, 1).output(0),
    "one-id": lambda image: top(image, 1).output(1),
    "convert": lambda image: ops.convert(ids(image), np.float32),
    "convert-twice": lambda image: ops.convert(ops.convert(ids(image), np.int64), np.float32),
    "reshape": lambda image: as_images(values(image)),
    "squeeze": lambda image: ops.squeeze(as_images(values(image)), np.array([2, 3])),
    "unsqueeze": lambda image: ops.unsqueeze(values(image), np.array([2, 3])),
    "transpose": lambda image: ops.transpose(as_images(values(image)), np.array([0, 2, 3, 1])),
    "softmax": lambda image: ops.softmax(top(image, 3, of=channel_means).output(0), 1),
    "gather": second_to_first,
    "slice": lambda image: ops.slice(values(image), [0], [1], [1], [1]),
    "multiply": lambda image: ops.multiply(values(image), np.float32(100)),
    "divide-and-add": lambda image: ops.add(ops.divide(values(image), ONE), ONE),
    "concat": lambda image: ops.concat([values(image), ops.convert(ids(image), np.float32)], 1),
    "argmax": lambda image: ops.unsqueeze(argmax(image), np.array([1])),
    "behind-another": lambda image: top(image, 1, of=values).output(0),
}  # fmt: skip


@pytest.mark.parametrize("build", SORTED.values(), ids=SORTED)
def test_sorted_values_and_class_ids_are_refused(tmp_path, picture, build):
    """A table of them would name class 0 as the best of every image, or the id as a probability."""
    model = save_model(tmp_path / "top.xml", build)
    for options in ((), ("--softmax",), ("-b", "2")):
        line = fails_with_one_line("-m", model, "-i", picture, *options)
        assert line == f"[ ERROR ] Cannot use the model {model}: {ABOUT_TOPK}\n"


@pytest.mark.parametrize(
    "build",
    [
        lambda image: ops.multiply(np.float32(100), values(image)),
        lambda image: ops.concat([np.zeros((1, 1), np.float32), values(image)], 1),
        lambda image: ops.gather(np.array([5, 6, 7], np.float32), ids(image), np.int64(0)),
    ],
    ids=["multiply", "concat", "gather-of-label-numbers"],
)
def test_sorted_values_behind_a_constant(tmp_path, picture, build):
    """ONNX's Mul has its operands in any order."""
    model = save_model(tmp_path / "top.xml", build)
    fails_with_one_line("-m", model, "-i", picture, naming=[ABOUT_TOPK])


@pytest.mark.parametrize(
    "build",
    [
        lambda image: [values(image), ids(image)],
        lambda image: [ids(image), values(image)],
        lambda image: [softmax_of_means(image).output(0), ids(image)],
        lambda image: [ids(image), channel_means(image).output(0)],
    ],
    ids=["values-and-ids", "ids-and-values", "probabilities-and-ids", "ids-and-logits"],
)
def test_two_outputs_with_a_topk(tmp_path, picture, build):
    """Never the advice to keep one output: the first may be the ids."""
    model = save_model(tmp_path / "top.xml", build)
    line = fails_with_one_line("-m", model, "-i", picture, naming=[ABOUT_TOPK])
    assert "keep" not in line and "README" not in line
    two = save_model(tmp_path / "two.xml", lambda image: [channel_means(image)] * 2)
    fails_with_one_line("-m", two, "-i", picture, naming=["not 1 and 2", "to keep one output"])


AXIS_1 = integer_attribute("axis", 1)


@pytest.mark.parametrize(
    "end",
    [
        [("TopK", ["means", "two"], ["values", "ids"], AXIS_1)],
        [("TopK", ["means", "two"], ["v", "i"], AXIS_1), ("Identity", ["v"], ["values"])],
        [("TopK", ["means", "two"], ["v", "i"], AXIS_1), ("Dropout", ["v"], ["values"])],
        [("ArgMax", ["means"], ["id"], AXIS_1)],
        [("ArgMax", ["means"], ["i"], AXIS_1), ("Cast", ["i"], ["id"], integer_attribute("to", 1))],
        [("ArgMin", ["means"], ["id"], AXIS_1, integer_attribute("keepdims", 0))],
        [("Hardmax", ["means"], ["chosen"], AXIS_1)],
    ],
    ids=["TopK", "Identity", "Dropout", "ArgMax", "Cast", "ArgMin", "Hardmax"],
)
def test_onnx_files_that_end_in_topk_or_argmax(tmp_path, picture, end):
    model = save_onnx(tmp_path / "top.onnx", [*POOLED, *end], {"two": np.array([2])})
    line = fails_with_one_line("-m", model, "-i", picture)
    assert line == f"[ ERROR ] Cannot use the model {model}: {ABOUT_TOPK}\n"


def largest_two(image):
    """The logits, with 0 in place of all but the two largest: a class each, in their order."""
    means = channel_means(image)
    second = ops.slice(top(image, 2, channel_means).output(0), [1], [2], [1], [1])
    return ops.select(ops.greater_equal(means, second), means, np.float32(0))


def best_channel_first(image):
    """A TopK before the last layer."""
    mixed = ops.matmul(
        top(image, 3, channel_means).output(0), np.eye(3, dtype=np.float32), False, False
    )
    return ops.add(mixed, np.float32(1))  # fmt: skip


NOT_SORTED = {
    "mask": (largest_two, {0: 200, 1: 100, 2: 0}),
    "before-a-layer": (best_channel_first, {0: 201, 1: 101, 2: 41}),
    "largest": (
        lambda image: ops.reduce_max(channel_means(image), np.array([1]), keep_dims=True),
        {0: 200},
    ),
    "of-a-sum": (
        lambda image: ops.multiply(
            channel_means(image), ops.reduce_sum(top(image, 3).output(0), np.array([1]), True)
        ),
        {0: 200, 1: 100, 2: 40},
    ),
}


@pytest.mark.parametrize("build, expected", NOT_SORTED.values(), ids=NOT_SORTED)
def test_a_topk_or_maximum_elsewhere_is_no_reason(tmp_path, picture, build, expected):
    model = save_model(tmp_path / "model.xml", build)
    [rows] = scores("-m", model, "-i", picture, stderr=f"({NO_PROBABILITIES})|.*not prob.*\n")
    assert rows == pytest.approx(expected, abs=1e-3)


def test_the_models_of_data_end_in_no_topk(tmp_path):
    for path in (EFFICIENTNET, LENET, save_saved_model(tmp_path / "saved")):
        model = ov.Core().read_model(path)
        assert not sample.ends_in_topk(model)
        assert not sample.reduces_over_batch(model)
        assert not sample.resizes_images(model)


# Quantization in 16 bits


def quantized(levels, low, high):
    """The means of the channels, each pixel less 128 and quantized to `levels` in low..high."""

    def build(image):
        limits = [np.array(limit, np.float32) for limit in (low, high)]
        shifted = ops.subtract(image, np.float32(128))
        return channel_means(ops.fake_quantize(shifted, *limits, *limits, levels))

    return build


def as_numpy_quantizes(pixels, levels, low, high):
    step = (high - low) / (levels - 1)
    clamped = np.clip(pixels.astype(np.float64) - 128, low, high)
    return (np.round((clamped - low) / step) * step + low).mean(axis=(0, 1))


@pytest.mark.parametrize("low, high", [(0, 100), (-50, 20), (0, 30.5), (-128, 127)], ids=str)
@pytest.mark.parametrize("levels", [256, 255, 16, 65536, 65535, 1024])
@pytest.mark.parametrize("batch", [1, -1])
def test_quantization_keeps_its_clamp(tmp_path, noise, levels, low, high, batch):
    """Of 65,536 levels OpenVINO drops it, and with it a clamp at 0, which stands for a ReLU."""
    model = save_model(tmp_path / "q.xml", quantized(levels, low, high), (batch, 3, 8, 8))
    images = [noise[60, 40], noise[40, 60]]
    found = scores("-m", model, "-i", *images)
    for image, rows in zip(images, found):
        pixels = cv2.resize(cv2.imread(str(image)), (8, 8))
        expected = as_numpy_quantizes(pixels, levels, low, high)
        assert rows == pytest.approx(dict(enumerate(expected)), abs=0.01 if levels > 256 else 0.5)
        unclamped = as_numpy_quantizes(pixels, levels, -128, 127)
        assert low == -128 or np.abs(unclamped - expected).max() > 5, "or else it tells nothing"


def test_quantization_of_each_channel_keeps_its_clamp(tmp_path, noise):
    low, high = np.array([-10, -90, 0]), np.array([50, -20, 100])
    limits = (low.reshape(1, 3, 1, 1), high.reshape(1, 3, 1, 1))
    model = save_model(tmp_path / "q.xml", quantized(65536, *limits))
    [rows] = scores("-m", model, "-i", noise[60, 40])
    pixels = cv2.resize(cv2.imread(str(noise[60, 40])), (8, 8))
    expected = as_numpy_quantizes(pixels, 65536, low, high)
    assert rows == pytest.approx(dict(enumerate(expected)), abs=0.01)


WEIGHTS = np.random.default_rng(5).normal(0, 0.02, (192, 32)).astype(np.float32)
LAST_WEIGHTS = np.random.default_rng(6).normal(0, 0.5, (32, 10)).astype(np.float32)


def softmax_behind_relu(image):
    """As quantize_static makes of layer and ReLU: the clamp of the quantization is the ReLU."""
    rows = ops.reshape(ops.subtract(image, np.float32(128)), np.array([0, 192]), special_zero=True)
    limits = [np.float32(0), np.float32(30)] * 2
    hidden = ops.fake_quantize(ops.matmul(rows, WEIGHTS, False, False), *limits, 65536)
    return ops.softmax(ops.matmul(hidden, LAST_WEIGHTS, False, False), 1)


def test_a_relu_within_16_bits_decides_the_class(tmp_path):
    """Of 20 images, against numpy; without the ReLU most would be of another class."""
    rng = np.random.default_rng(7)
    pixels = [rng.integers(0, 256, (8, 8, 3), np.uint8) for _ in range(20)]
    for number, image in enumerate(pixels):
        cv2.imwrite(str(tmp_path / f"{number:02}.png"), image)
    hidden = np.stack([image.transpose(2, 0, 1).ravel() - 128.0 for image in pixels]) @ WEIGHTS
    logits = np.clip(hidden, 0, 30) @ LAST_WEIGHTS
    expected = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected /= expected.sum(axis=1, keepdims=True)
    assert ((hidden @ LAST_WEIGHTS).argmax(axis=1) != logits.argmax(axis=1)).sum() >= 10

    model = save_model(tmp_path / "relu.xml", softmax_behind_relu, (-1, 3, 8, 8))
    found = classify("-m", model, "-i", tmp_path, "--infer_precision", "f32")
    assert len(found) == 20
    for (_, rows), probabilities in zip(found, expected):
        assert [row[1] for row in sorted(rows)] == pytest.approx(list(probabilities), abs=2e-3)


@pytest.mark.parametrize("levels, changed", [(256, 0), (255, 0), (2, 0), (257, 1), (65536, 1)])
def test_only_more_than_8_bits_get_a_clamp(tmp_path, levels, changed):
    """The CPU's 8-bit layers are recognised by what stands in front of a FakeQuantize."""
    path = save_model(tmp_path / "q.xml", quantized(levels, 0, 100))
    model = ov.Core().read_model(path)
    before = sorted(operation.get_type_name() for operation in model.get_ops())
    sample.keep_16_bit_clamps(model)
    after = sorted(operation.get_type_name() for operation in model.get_ops())
    assert after == sorted([*before, "Maximum", "Minimum"] if changed else before)


# Values over the batch

ABOUT_BATCH = (
    "The model computes a value over its whole batch, so that an image's probabilities "
    "depend on the others: -b 1 infers each alone"
)


def normalized_over_batch(image):
    """BatchNormalization in training mode: mean and variance of each channel over all images."""
    axes = np.array([0, 2, 3])
    centered = ops.subtract(image, ops.reduce_mean(image, axes, keep_dims=True))
    variance = ops.reduce_mean(ops.multiply(centered, centered), axes, keep_dims=True)
    return channel_means(ops.divide(centered, ops.sqrt(ops.add(variance, np.float32(1)))))


def in_dynamic_range(image):
    """DynamicQuantizeLinear: one range of all the values there are."""
    axes = np.array([0, 1, 2, 3])
    low, high = ops.reduce_min(image, axes), ops.reduce_max(image, axes)
    step = ops.divide(ops.subtract(high, low), np.float32(255))
    whole = ops.round(ops.divide(ops.subtract(image, low), step), "half_to_even")
    return channel_means(ops.add(ops.multiply(whole, step), low))


def over_its_own(image, axes, kind=ops.reduce_mean):
    return channel_means(ops.subtract(image, kind(image, np.array(axes), keep_dims=True)))


REDUCING = {
    "mean-0-2-3": normalized_over_batch,
    "range-of-all": in_dynamic_range,
    "sum-0": lambda image: over_its_own(image, [0], ops.reduce_sum),
    "max-negative-axis": lambda image: over_its_own(image, [-4, -1], ops.reduce_max),
    "l2-of-logits": lambda image: ops.divide(
        channel_means(image), ops.reduce_l2(channel_means(image), np.array([0]), keep_dims=True)
    ),
}
NOT_REDUCING = {
    "means": channel_means,
    "softmax": softmax_of_means,
    "instance": lambda image: over_its_own(image, [2, 3]),
    "layer": lambda image: over_its_own(image, [1, 2, 3]),
    "l2": lambda image: ops.divide(
        channel_means(image), ops.reduce_l2(channel_means(image), np.array([1]), keep_dims=True)
    ),
    "of-its-shape": lambda image: ops.multiply(
        channel_means(image),
        ops.convert(ops.reduce_prod(ops.shape_of(image), np.array([0])), np.float32),
    ),
    "of-a-constant": lambda image: ops.add(
        channel_means(image),
        ops.reduce_mean(np.ones((5, 3), np.float32), np.array([0]), keep_dims=True),
    ),
}  # fmt: skip
CASES = [(name, build, True) for name, build in REDUCING.items()]
CASES += [(name, build, False) for name, build in NOT_REDUCING.items()]


@pytest.mark.parametrize("shape", [(-1, 3, 8, 8)], ids=str)
@pytest.mark.parametrize("name, build, expected", CASES, ids=[name for name, *_ in CASES])
def test_a_value_over_the_batch_is_a_warning(tmp_path, picture, name, build, expected, shape):
    """Where there is a batch: not for one image, nor with -b 1."""
    model = save_model(tmp_path / "model.xml", build, shape)
    runs = [(3, ()), (1, ("-b", "2")), (1, ()), (3, ("-b", "1"))]
    for number, (count, options) in enumerate(runs):
        done = run("-m", model, "-i", *[picture] * count, *options)
        assert done.returncode == 0, done.stderr
        assert warnings(done).count(ABOUT_BATCH) == (expected and number < 2)


@pytest.mark.parametrize("build", [normalized_over_batch, in_dynamic_range])
def test_the_warning_about_the_batch_is_true(tmp_path, noise, build):
    """An image's scores differ beside others from those that it has alone, with -b 1."""
    model = save_model(tmp_path / "model.xml", build, (-1, 3, 8, 8))
    dark = tmp_path / "dark.png"
    cv2.imwrite(str(dark), (cv2.imread(str(noise[60, 40])) // 9).astype(np.uint8))
    images = [dark, noise[40, 60]]
    together = [rows for _, rows in tables(run("-m", model, "-i", *images).stdout)]
    alone = [tables(run("-m", model, "-i", image).stdout)[0][1] for image in images]
    one_by_one = [rows for _, rows in tables(run("-m", model, "-i", *images, "-b", "1").stdout)]
    assert one_by_one == alone != together


def test_the_models_of_data_get_no_warning_about_the_batch():
    for model, images in ((EFFICIENTNET, PHOTOS), (LENET, [DIGITS])):
        assert classify("-m", model, "-i", *images)


# What only shows when the model runs


def of_classes_that_occur(image):
    """Only the channels that are not zero."""
    occurring = ops.non_zero(ops.reduce_mean(image, np.array([0, 2, 3]), keep_dims=False))
    return ops.gather(channel_means(image), ops.squeeze(occurring, np.array(0)), np.int64(1))


def as_many_as_the_first_pixel(image):
    """The sum of rows [N,1] and as many zeros as the first pixel says, or one: [N,?]."""
    flat = ops.reshape(image, np.array([-1]), special_zero=False)
    count = ops.convert(ops.gather(flat, np.array([0]), np.int64(0)), np.int64)
    zeros = ops.broadcast(np.float32(0), count)
    return ops.add(ops.reduce_sum(channel_means(image), np.array([1]), True), zeros)


@pytest.mark.parametrize("batch", [1, -1, 4])
@pytest.mark.parametrize("build", [of_classes_that_occur, as_many_as_the_first_pixel])
def test_a_class_count_known_at_run_time_is_refused_in_words(tmp_path, picture, build, batch):
    model = save_model(tmp_path / "late.xml", build, (batch, 3, 8, 8))
    for options in ((), ("--softmax",), ("-b", "4")):
        line = fails_with_one_line("-m", model, "-i", picture, *options)
        start = f"[ ERROR ] Cannot use the model {model}: the number of classes in its output ["
        assert line.startswith(start) and line.endswith("] is not known before it runs\n")


def resized(image, layout="NCHW", to=(4, 4)):
    """Resizes images itself, as torchvision's transforms do that are exported with a model."""
    axes = [layout.index("H"), layout.index("W")]
    smaller = ops.interpolate(image, np.array(to), "linear_onnx", "sizes", axes=np.array(axes))
    return channel_means(smaller, tuple(axes))


def features_resized(image, axes=(2, 3)):
    """Upsampling of 16 features within the model, as in a pyramid."""
    weights = np.ones((16, 3, 1, 1), np.float32)
    features = ops.convolution(image, weights, [1, 1], [0, 0], [0, 0], [1, 1])
    larger = ops.interpolate(features, np.array([9, 9]), "nearest", "sizes", axes=np.array(axes))
    return channel_means(larger)


RESIZES = "; but it resizes images itself, and images stretched before that may change class"


@pytest.mark.parametrize(
    "build, shape, layout, text",
    [
        (resized, (1, 3, -1, -1), "NCHW", RESIZES),
        (resized, (-1, 3, -1, -1), "NCHW", RESIZES),
        (resized, (1, 1, -1, -1), "NCHW", RESIZES),
        (lambda image: resized(image, "NHWC"), (1, -1, -1, 3), "NHWC", RESIZES),
        (lambda image: resized(image, "NHWC"), (1, 48, -1, 3), "NHWC", RESIZES),
        (features_resized, (1, 3, -1, -1), "NCHW", ""),
        (channel_means, (1, 3, -1, -1), "NCHW", ""),
        (lambda image: channel_means(image, (1, 2)), (1, -1, -1, 3), "NHWC", ""),
    ],
    ids=["nchw", "any-batch", "gray", "nhwc", "height", "features", "no-resize", "nhwc-no-resize"],
)  # fmt: skip
def test_a_graph_that_resizes_images_itself(tmp_path, picture, build, shape, layout, text):
    """The advice to give it a size stretches images before its own resize: the error says so."""
    model = save_model(tmp_path / "resizes.xml", build, shape)
    line = fails_with_one_line("-m", model, "-i", picture)
    stated = f"[{','.join(layout)}] is {ov.PartialShape(list(shape))}"
    assert line == (
        f"[ ERROR ] Cannot use the model {model}: its input {stated}, of no fixed size. "
        f"README.md, under 'Change a model', shows how to give it one{text}\n"
    )


def test_features_of_one_pixel_are_no_image(tmp_path, picture):
    """As the global branch of ASPP and PSPNet, averaged and then upsampled."""

    def build(image):
        weights = np.ones((16, 3, 1, 1), np.float32)
        features = ops.convolution(image, weights, [1, 1], [0, 0], [0, 0], [1, 1])
        pixel = ops.reduce_mean(features, np.array([2, 3]), keep_dims=True)
        axes = np.array([2, 3])
        return channel_means(
            ops.interpolate(pixel, np.array([4, 4]), "nearest", "sizes", axes=axes)
        )

    model = save_model(tmp_path / "global.xml", build, (1, 3, -1, -1))
    assert RESIZES not in fails_with_one_line("-m", model, "-i", picture)


def test_a_model_without_input_is_refused_as_one_of_two(tmp_path, picture):
    model = ov.Model([ops.constant(np.ones((1, 3), np.float32))], [], "constant")
    ov.save_model(model, tmp_path / "constant.xml")
    fails_with_one_line("-m", tmp_path / "constant.xml", "-i", picture, naming=["not 0 and 1"])
