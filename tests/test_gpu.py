"""The device GPU. .ci/gpu/README.md says what it is on a machine without one.

.ci/gpu/run python -m pytest tests/test_gpu.py
"""

import re
from pathlib import Path

import cv2
import numpy as np
import openvino as ov
import pytest
from helpers import (
    DATA,
    DIGITS,
    EFFICIENTNET,
    LENET,
    PHOTOS,
    channel_means,
    channel_means_or_failure,
    classify,
    run,
    run_process,
    save_model,
    save_model_with_twice,
    softmax_of_means,
    tables,
    top_ids,
)
from openvino import opset13 as ops

pytestmark = pytest.mark.skipif(
    not any(device.startswith("GPU") for device in ov.Core().available_devices),
    reason="no GPU; .ci/gpu/run runs them",
)

ON_GPU_IN_F32 = ("-d", "GPU", "--infer_precision", "f32")


def softmax(logits):
    exponentials = np.exp(logits)
    return exponentials / exponentials.sum()


def expected_shares(photo):
    return softmax(cv2.resize(cv2.imread(str(photo)), (8, 8)).mean(axis=(0, 1)) / 64)


def by_class(rows):
    """The probabilities of a table in the order of the class ids, all of which it has."""
    return [probability for _, probability, _ in sorted(rows)]


# Classes and probabilities


@pytest.mark.parametrize(
    "device", ["GPU", "GPU.0", "HETERO:GPU,CPU", "MULTI:GPU,CPU", "BATCH:GPU(2)", "AUTO:GPU,CPU"]
)
def test_digits(device):
    results = classify("-m", LENET, "-i", DIGITS, "-d", device)
    assert [name for name, _ in results] == [f"{DIGITS}[{index}]" for index in range(10)]
    assert [top_ids(rows)[0] for _, rows in results] == list(range(10))


def test_the_tables_are_in_order_with_several_requests():
    results = classify("-m", LENET, "-i", *[DIGITS] * 4, "-d", "GPU", "-b", "1", "-nireq", "4")
    assert [top_ids(rows)[0] for _, rows in results] == list(range(10)) * 4


@pytest.fixture(scope="module")
def photos_on_cpu():
    return classify(
        "-m", EFFICIENTNET, "-i", DATA / "images", "-nt", "1000", "--infer_precision", "f32"
    )


def test_photos_in_f32_equal_those_on_the_cpu(photos_on_cpu):
    results = classify("-m", EFFICIENTNET, "-i", DATA / "images", "-nt", "1000", *ON_GPU_IN_F32)
    assert [name for name, _ in results] == list(map(str, PHOTOS))
    for (_, rows), (name, expected) in zip(results, photos_on_cpu):
        assert by_class(rows) == pytest.approx(by_class(expected), abs=1e-3), name


def test_photos_in_f16_which_is_the_default(photos_on_cpu):
    """A softmax in f16 adds up to as much as 1.025: no reason for a warning."""
    results = classify("-m", EFFICIENTNET, "-i", DATA / "images", "-d", "GPU", stderr="")
    assert [(name, top_ids(rows)[0]) for name, rows in results] == [
        (name, top_ids(rows)[0]) for name, rows in photos_on_cpu
    ]


# What the sample builds into a model


def test_rgb_mean_scale_and_softmax(tmp_path, picture):
    """R, G, B: 40, 100, 200; minus the mean 30, 80, 150; over the scale 1, 2, 3."""
    model = save_model(tmp_path / "logits.xml", channel_means)
    options = (
        "--reverse_input_channels",
        "--mean_values",
        "10,20,50",
        "--scale_values",
        "30,40,50",
        "--softmax",
    )
    results = classify("-m", model, "-i", picture, picture, *options, *ON_GPU_IN_F32)
    assert [by_class(rows) for _, rows in results] == [
        pytest.approx([0.09003, 0.24473, 0.66524], abs=1e-4)
    ] * 2


def test_nhwc(tmp_path):
    model = save_model(
        tmp_path / "nhwc.xml",
        lambda image: softmax_of_means(image, axes=(1, 2)),
        shape=(1, 8, 8, 3),
    )
    for photo, (_, rows) in zip(
        PHOTOS, classify("-m", model, "-i", *PHOTOS, *ON_GPU_IN_F32), strict=True
    ):
        assert by_class(rows) == pytest.approx(expected_shares(photo), abs=1e-4)


def test_one_channel_is_grayscale(tmp_path, picture):
    """0.114 * 200 + 0.587 * 100 + 0.299 * 40 = 93.46, in u8 93: its part of 255, and the rest."""

    def build(image):
        part = ops.divide(channel_means(image), np.float32(255))
        return ops.concat([part, ops.subtract(np.float32(1), part)], 1)

    model = save_model(tmp_path / "gray.xml", build, shape=(1, 1, 8, 8))
    [(_, rows)] = classify("-m", model, "-i", picture, *ON_GPU_IN_F32)
    assert by_class(rows) == pytest.approx([93 / 255, 162 / 255], abs=1e-5)


def test_a_graph_that_keeps_its_own_batch(tmp_path):
    model = save_model(
        tmp_path / "fixed.xml",
        lambda image: ops.reshape(softmax_of_means(image), np.array([1, 3]), special_zero=False),
    )
    warning = re.escape(
        "[ WARNING ] The model does not take the batch size 5; it runs with batch size 1. "
        "README.md, under 'Change a model', shows how to make the batch dynamic\n"
    )
    results = classify("-m", model, "-i", *PHOTOS, *ON_GPU_IN_F32, stderr=warning)
    for photo, (name, rows) in zip(PHOTOS, results, strict=True):
        assert name == str(photo)
        assert by_class(rows) == pytest.approx(expected_shares(photo), abs=1e-4)


# Reports and cache


def test_performance_counters_and_throughput():
    done = run("-m", LENET, "-i", DIGITS, "-d", "GPU", "-pc", "-ni", "3")
    assert (done.returncode, done.stderr) == (0, "")
    assert [top_ids(rows)[0] for _, rows in tables(done.stdout)] == list(range(10))
    lines = done.stdout.splitlines()
    start = lines.index("[ INFO ] Performance counters:") + 1
    total = next(i for i, line in enumerate(lines) if line.startswith("[ INFO ] Total time: "))
    header, *layers = [line.removeprefix("[ INFO ] ").split() for line in lines[start:total]]
    assert header == ["name", "layer_type", "exec_type", "status", "real_time_us"]
    executed = [layer for layer in layers if "EXECUTED" in layer]
    assert any("Convolution" in layer for layer in executed)
    assert lines[total] == f"[ INFO ] Total time: {sum(int(layer[-1]) for layer in layers)} us"
    assert len(re.findall(r"^\[ INFO \] Throughput: \d+\.\d\d FPS$", done.stdout, flags=re.M)) == 1


def test_the_model_cache(tmp_path):
    folder = tmp_path / "made" / "cache"

    def tables_and_files():
        results = classify("-m", LENET, "-i", DIGITS, "-d", "GPU", "--cache_dir", folder)
        return results, {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}

    first, written = tables_and_files()
    assert [top_ids(rows)[0] for _, rows in first] == list(range(10))
    assert {".blob", ".cl_cache"} & {Path(name).suffix for name in written}
    assert tables_and_files() == (
        first,
        written,
    )  # what is there is used: nothing is compiled and written again


# Errors, in a process of its own each: a hang or a crash fails the test and no other


def test_failure_inside_inference(tmp_path):
    model = save_model(
        tmp_path / "fails.xml", lambda image: ops.softmax(channel_means_or_failure(image), 1)
    )
    dark, bright = tmp_path / "dark.png", tmp_path / "bright.png"
    cv2.imwrite(str(dark), np.full((8, 8, 3), 3, np.uint8))
    cv2.imwrite(str(bright), np.full((8, 8, 3), 200, np.uint8))
    [(_, rows)] = classify("-m", model, "-i", dark, "-d", "GPU")
    assert by_class(rows) == pytest.approx([1 / 3] * 3, abs=1e-3)
    for images in ([bright], [bright] * 20, [dark] * 10 + [bright] * 10):
        done = run_process("-m", model, "-i", *images, "-d", "GPU", "-b", "1", "-nireq", "4")
        assert (done.returncode, len(tables(done.stdout)) in range(images.count(dark) + 1)) == (
            1,
            True,
        )
        assert re.fullmatch(r"\[ ERROR \] Inference failed: [^\n]+\n", done.stderr), done.stderr


def test_a_custom_operation(tmp_path, custom_op_library):
    """Extensions compute on the CPU: the GPU refuses them, HETERO gives them to the CPU."""
    model = save_model_with_twice(
        tmp_path / "twice.xml",
        lambda image: ops.softmax(ops.divide(ops.relu(channel_means(image)), np.float32(128)), 1),
    )
    common = (
        "-m",
        model,
        "-i",
        PHOTOS[0],
        "-l",
        custom_op_library,
        "--infer_precision",
        "f32",
        "-d",
    )

    done = run_process(*common, "GPU")
    assert (done.returncode, tables(done.stdout)) == (1, [])
    devices = ", ".join(ov.Core().available_devices)
    available = f"(available target devices: {devices})"
    error = f"[ ERROR ] Cannot load the model to the device 'GPU' {available}: "
    assert re.fullmatch(re.escape(error) + r"[^\n]*Twice[^\n]*\n", done.stderr), done.stderr

    done = run_process(*common, "HETERO:GPU,CPU")
    assert (done.returncode, done.stderr) == (0, "")
    [(_, rows)] = tables(done.stdout)
    assert by_class(rows) == pytest.approx(expected_shares(PHOTOS[0]), abs=1e-4)
