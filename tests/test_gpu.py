"""The device GPU. Where there is none: .ci/gpu/run .venv/bin/python -m pytest tests/test_gpu.py"""

import cv2
import numpy as np
import openvino as ov
import pytest
from helpers import (
    DATA,
    DIGITS,
    EFFICIENTNET,
    LENET,
    channel_means,
    error_line,
    means_or_failure,
    run,
    save_model,
    save_model_with_twice,
    tables,
    values,
)
from openvino import opset13 as ops

pytestmark = pytest.mark.skipif(
    not any(device.startswith("GPU") for device in ov.Core().available_devices),
    reason="no GPU; .ci/gpu/run runs them",
)


def test_photos_are_classified_as_on_the_cpu():
    """In f32, and in f16, the GPU's default, whose softmax adds up to as much as 1.025."""
    photos = ("-m", EFFICIENTNET, "-i", DATA / "images", "-nt", "1000")
    on_cpu, on_gpu = values(*photos), values(*photos, "-d", "GPU")
    assert on_gpu == [pytest.approx(probabilities, abs=1e-3) for probabilities in on_cpu]
    done = run(*photos, "-d", "GPU")
    assert (done.returncode, done.stderr) == (0, "")
    best = [max(probabilities, key=probabilities.get) for probabilities in on_cpu]
    assert [rows[0][0] for _, rows in tables(done.stdout)] == best


@pytest.mark.parametrize(
    "device", ["GPU.0", "HETERO:GPU,CPU", "MULTI:GPU,CPU", "BATCH:GPU(2)", "AUTO:GPU,CPU"]
)
def test_tables_are_in_order_with_several_requests(device):
    done = run("-m", LENET, "-i", DIGITS, DIGITS, "-d", device, "-b", "1", "-nireq", "4")
    assert [rows[0][0] for _, rows in tables(done.stdout)] == [*range(10), *range(10)]


def test_the_preprocessing_runs_on_the_gpu(channel_model, picture):
    """R, G, B: 40, 100, 200; minus the mean 30, 80, 150; over the scale 1, 2, 3: a softmax."""
    options = "--reverse_input_channels --mean_values 10,20,50 --scale_values 30,40,50 --softmax"
    [found] = values("-m", channel_model, "-i", picture, *options.split(), "-d", "GPU")
    assert found == pytest.approx({0: 0.09003, 1: 0.24473, 2: 0.66524}, abs=1e-4)


def test_counters_throughput_and_cache(tmp_path):
    def run_with_cache():
        done = run(
            *("-m", LENET, "-i", DIGITS, "-d", "GPU", "-pc", "-ni", "2", "--cache_dir", tmp_path)
        )
        assert "] Throughput: " in done.stdout
        assert any("Convolution" in line for line in done.stdout.splitlines())
        assert [rows[0][0] for _, rows in tables(done.stdout)] == list(range(10))
        return {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}

    written = run_with_cache()
    assert written
    assert run_with_cache() == written


def test_a_failing_inference_is_an_error_line(tmp_path, picture):
    model = save_model(tmp_path / "fails.xml", means_or_failure)
    dark = tmp_path / "dark.png"
    cv2.imwrite(str(dark), np.full((8, 8, 3), 3, np.uint8))
    assert values("-m", model, "-i", dark, "-d", "GPU") == [{0: 4, 1: 4, 2: 4}]
    error_line("-m", model, "-i", *[picture] * 20, "-d", "GPU", "-b", "1", "-nireq", "4")


def test_an_extension_needs_the_cpu_beside_the_gpu(tmp_path, picture, custom_op_library):
    model = save_model_with_twice(tmp_path / "twice.xml", lambda x: ops.relu(channel_means(x)))
    options = ("-m", model, "-i", picture, "-l", custom_op_library, "-d")
    assert "Twice" in error_line(*options, "GPU")
    [found] = values(*options, "HETERO:GPU,CPU")
    assert found == pytest.approx({0: 400, 1: 200, 2: 80}, rel=1e-3)
