"""The batch size: from the image count or -b, and the one that a model insists on."""

import re

import numpy as np
import openvino as ov
import pytest
from helpers import by_class, channel_means, error_line, idx, run, save_model, tables
from openvino import opset13 as ops

import classification_sample_async as sample


@pytest.fixture
def run_on_greys(tmp_path):
    """Returns a function that runs the sample on that many images of 10, 20, 30 and so on.

    It checks that the table of each has its value for all three classes.
    """

    def run_on(model, count, *options):
        pixels = b"".join(bytes([10 * number]) * 64 for number in range(1, count + 1))
        (tmp_path / "greys.ubyte").write_bytes(idx(0x803, count, 8, 8, data=pixels))
        arguments = ("-m", model, "-i", tmp_path / "greys.ubyte", "--infer_precision", "f32")
        done = run(*arguments, *options)
        assert done.returncode == 0, done.stderr
        found = [dict(row[:2] for row in rows) for _, rows in tables(done.stdout)]
        assert found == [by_class([10 * number] * 3) for number in range(1, count + 1)]
        return done

    return run_on


def batch_warnings(done):
    return [line for line in done.stderr.splitlines() if "batch" in line]


@pytest.mark.parametrize(
    "count, options, size, runs",
    [
        (1, (), 1, 1),
        (8, (), 8, 1),
        (9, (), 5, 2),  # 5 and 4
        (5, ("-b", "2"), 2, 3),
        (2, ("-b", "5"), 5, 1),
    ],
    ids=str,
)
def test_the_batch_size_is_that_of_the_image_count_or_b(
    channel_model, run_on_greys, count, options, size, runs
):
    done = run_on_greys(channel_model, count, *options, "-v")
    assert f"[ INFO ] Set batch size {size}\n" in done.stdout
    assert done.stdout.count("async request execution\n") == runs
    assert batch_warnings(done) == []


@pytest.mark.parametrize("shape", [(4, 3, 8, 8), (-1, 3, 8, 8)], ids=["4", "dynamic"])
def test_a_model_that_takes_any_batch_gets_the_wanted_one(tmp_path, run_on_greys, shape):
    model = save_model(tmp_path / "model.xml", channel_means, shape)
    done = run_on_greys(model, 3, "-v")
    assert "[ INFO ] Set batch size 3\n" in done.stdout
    assert batch_warnings(done) == []


def means_reshaped_to(*sizes):
    """The channels' means, by a Reshape that was exported for one batch size."""
    return lambda image: ops.reshape(channel_means(image), np.array(sizes), special_zero=False)


@pytest.mark.parametrize(
    "own, sizes, count, options, used",
    [
        (1, (1, 3), 3, (), 1),
        (1, (1, -1), 3, (), 1),  # the Reshape makes [1,9] of three images
        (4, (4, 3), 3, (), 4),
        (4, (4, -1), 5, ("-b", "2"), 4),
        (-1, (1, -1), 3, (), 1),
    ],
    ids=str,
)
def test_a_model_that_insists_on_its_batch_runs_with_it_after_a_warning(
    tmp_path, run_on_greys, own, sizes, count, options, used
):
    model = save_model(tmp_path / "fixed.xml", means_reshaped_to(*sizes), (own, 3, 8, 8))
    done = run_on_greys(model, count, *options)
    wanted = int(options[1]) if options else count
    [warning] = batch_warnings(done)
    assert re.findall(r"\d+", warning) == [str(wanted), str(used)]


def test_an_output_of_classes_before_images_is_an_error(tmp_path, picture):
    model = save_model(
        tmp_path / "transposed.xml",
        lambda image: ops.transpose(channel_means(image), np.array([1, 0])),
    )
    line = error_line("-m", model, "-i", picture, picture)
    assert "[3,1]" in line and "batch" in line


@pytest.mark.parametrize(
    "own, sizes, expected",
    [(1, (-1, 3), 6), (2, (2, 3), 2), (2, (1, -1), ValueError)],
    ids=str,
)
def test_apply_batch_size_returns_the_size_that_the_model_has(tmp_path, own, sizes, expected):
    path = save_model(
        tmp_path / "model.xml", means_reshaped_to(*sizes), (own, 3, 8, 8), layout="NCHW"
    )
    model = ov.Core().read_model(path)
    if expected is ValueError:
        with pytest.raises(ValueError, match=re.escape("[1,6]")):
            sample.apply_batch_size(model, 6)
    else:
        assert sample.apply_batch_size(model, 6) == expected
        assert list(model.input().shape) == [expected, 3, 8, 8]
