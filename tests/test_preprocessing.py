"""What the options make of pixels and outputs: channels, mean, scale, softmax, sigmoid."""

import numpy as np
import openvino as ov
import pytest
from helpers import always, by_class, channel_means, error_line, run, save_model, values
from openvino import opset13 as ops

import classification_sample_async as sample


@pytest.mark.parametrize(
    "options, expected",
    [
        ("", (200, 100, 40)),
        ("--reverse_input_channels", (40, 100, 200)),
        ("--mean_values 10,20,30", (190, 80, 10)),
        ("--scale_values 2,4,5", (100, 25, 8)),
        ("--mean_values 100 --scale_values 4", (25, 0, -15)),
        # reversed 40, 100, 200; less the mean 30, 80, 170
        (
            "--scale_values 2,4,5 --mean_values 10,20,30 --reverse_input_channels",
            (15, 20, 34),
        ),
    ],
)
def test_channels_are_reversed_then_the_mean_subtracted_then_divided_by_the_scale(
    channel_model, picture, options, expected
):
    assert values("-m", channel_model, "-i", picture, *options.split()) == [by_class(expected)]


def gathered(image):
    """The channels' means by a Reshape and a Gather, as torch.export writes ConvNeXt and Swin."""
    weights = np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)
    same = ops.convolution(image, weights, [1, 1], [0, 0], [0, 0], [1, 1])
    means = ops.reduce_mean(same, np.array([2, 3]), keep_dims=True)
    flat = ops.reshape(means, np.array([-1]), special_zero=False)
    rows = ops.gather(flat, np.array([[0, 1, 2]]), np.array(0))
    return ops.reshape(rows, np.array([1, 3]), special_zero=False)


def test_reversed_channels_are_not_lost_in_a_graph_of_torch_export(tmp_path, picture):
    """OpenVINO 2026 loses PrePostProcessor's own reverse_channels() in it."""
    model = save_model(tmp_path / "gathered.xml", gathered)
    found = values("-m", model, "-i", picture, "--reverse_input_channels")
    assert found == [by_class((40, 100, 200))]


@pytest.mark.parametrize("layout, axes", [("NCHW", (2, 3)), ("NHWC", (1, 2))])
def test_build_preprocessing_computes_what_numpy_does(tmp_path, layout, axes):
    shape = (2, 3, 8, 8) if layout == "NCHW" else (2, 8, 8, 3)
    path = save_model(tmp_path / "model.xml", lambda image: channel_means(image, axes), shape)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
    mean, scale = np.array([40, 90, 20]), np.array([200, 50, -100])
    logits = ((pixels[..., ::-1].astype(float) - mean) / scale).mean(axis=(1, 2))
    expected = {
        None: logits,
        "softmax": np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True),
        "sigmoid": 1 / (1 + np.exp(-logits)),
    }
    for activation, rows in expected.items():
        model = sample.build_preprocessing(
            ov.Core().read_model(path), layout, True, mean, scale, activation
        )
        compiled_model = ov.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        assert compiled_model(pixels)[0] == pytest.approx(rows, abs=1e-4)


@pytest.mark.parametrize("sizes", [(0, 3), (0, 1, 1, 3)], ids=str)
def test_softmax_is_over_the_classes_and_not_the_images(tmp_path, picture, sizes):
    model = save_model(
        tmp_path / "logits.xml",
        lambda image: ops.reshape(
            ops.divide(channel_means(image), np.float32(64)), np.array(sizes), special_zero=True
        ),
    )
    powers = np.exp(np.array([200, 100, 40]) / 64)
    expected = by_class(powers / powers.sum(), abs=1e-6)
    assert values("-m", model, "-i", picture, picture, "--softmax") == [expected] * 2
    assert run("-m", model, "-i", picture, "--softmax").stderr == ""


@pytest.mark.parametrize(
    "logits, expected",
    [
        # 1 / (1 + exp(-3.1875)) is 0.9603612
        ([3.1875], (0.0396388, 0.9603612)),
        ([0, 3.1875, -3.1875], (0.5, 0.9603612, 0.0396388)),
    ],
    ids=["one-output", "several-classes"],
)
def test_sigmoid_is_of_each_logit_alone(tmp_path, picture, logits, expected):
    model = save_model(tmp_path / "logits.xml", always(logits))
    assert values("-m", model, "-i", picture, "--sigmoid") == [by_class(expected, abs=1e-6)]


@pytest.mark.parametrize("element_type, expected", [("u8", (200, 100, 40)), ("i8", (72, -28, -88))])
def test_an_integer_input_gets_the_pixels_or_as_i8_128_less_and_takes_no_mean(
    tmp_path, picture, element_type, expected
):
    model = save_model(
        tmp_path / "integer.xml",
        lambda image: channel_means(ops.convert(image, np.float32)),
        element_type=getattr(ov.Type, element_type),
    )
    assert values("-m", model, "-i", picture) == [by_class(expected)]
    reversed_channels = values("-m", model, "-i", picture, "--reverse_input_channels")
    assert reversed_channels == [by_class(expected[::-1])]
    for option in ("--mean_values", "--scale_values"):
        assert element_type in error_line("-m", model, "-i", picture, option, "2")


@pytest.mark.parametrize(
    "options, count",
    [
        ("--mean_values 0.485,0.456,0.406", 1),
        ("--scale_values 0.229,0.224,0.225", 1),
        ("--mean_values 0 --scale_values -1", 0),
        ("--mean_values 123.675,116.28,0.5", 0),
    ],
)
def test_mean_and_scale_for_pixels_in_0_to_1_are_a_warning(channel_model, picture, options, count):
    done = run("-m", channel_model, "-i", picture, "--softmax", *options.split())
    assert done.returncode == 0
    assert done.stderr.count("0..255") == done.stderr.count("\n") == count
