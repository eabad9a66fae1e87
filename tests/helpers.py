"""What the tests share: runs of the sample, its tables, small real models."""

import io
import os
import re
import struct
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

import numpy as np
import openvino as ov
from openvino import opset13 as ops
from pytest import approx

import classification_sample_async as sample

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "classification_sample_async.py"
DATA = ROOT / "data"
EFFICIENTNET = DATA / "efficientnet-lite0.xml"
LENET = DATA / "lenet.onnx"
DIGITS = DATA / "digits.ubyte"
PHOTOS = sorted((DATA / "images").iterdir())
COLUMNS = {"COLUMNS": "80"}  # argparse breaks its lines there


def run(*args):
    """Runs `main` in this process, which saves the imports."""
    args = list(map(os.fspath, args))
    with (
        mock.patch.object(sys, "argv", [str(SCRIPT), *args]),
        mock.patch.dict(os.environ, COLUMNS),
        redirect_stdout(io.StringIO()) as stdout,
        redirect_stderr(io.StringIO()) as stderr,
    ):
        try:
            status = sample.main(args)
        except SystemExit as exit:
            status = exit.code
    return subprocess.CompletedProcess(args, status, stdout.getvalue(), stderr.getvalue())


def run_process(*args, prefix=(), timeout=60, cwd=ROOT, env=()):
    """Runs the script as a user does, by the command `prefix` if there is one."""
    return run_python(SCRIPT, *args, prefix=prefix, timeout=timeout, cwd=cwd, env=env)


def run_python(*args, prefix=(), timeout=60, cwd=ROOT, env=()):
    """Runs Python with `args`; its output comes as text in which any byte survives."""
    return subprocess.run(
        [*prefix, sys.executable, *map(os.fspath, args)],
        capture_output=True, encoding="utf-8", errors="surrogateescape",
        timeout=timeout, cwd=cwd, env={**os.environ, **COLUMNS, **dict(env)},
    )  # fmt: skip


def tables(stdout):
    """Returns [(image path, [(class id, value, label)])] in the order of the output."""
    found = []
    for line in stdout.split("\n"):
        if line.startswith("[ INFO ] Image path: "):
            found.append((line.removeprefix("[ INFO ] Image path: "), []))
        elif row := re.fullmatch(r"\[ INFO \] (\d+) +(-?[\d.]+|-?inf|nan)(?: +(\S.*))?", line):
            found[-1][1].append((int(row[1]), float(row[2]), row[3]))
    return found


def values(*args):
    """Runs the sample in f32, which must succeed; returns {class id: value} for each image."""
    done = run(*args, "--infer_precision", "f32")
    assert done.returncode == 0, done.stderr
    return [{class_id: value for class_id, value, _ in rows} for _, rows in tables(done.stdout)]


def by_class(numbers, abs=1e-3):
    """What one image's `values` are about equal to: `numbers` in the order of the classes."""
    return approx(dict(enumerate(numbers)), abs=abs)


def error_line(*args):
    """Runs the sample, which must fail with no table and one `[ ERROR ]` line; returns that."""
    done = run(*args)
    assert (done.returncode, tables(done.stdout)) == (1, [])
    [line] = [ln for ln in done.stderr.splitlines() if not ln.startswith("[ WARNING ] ")]
    assert line.startswith("[ ERROR ] ")
    return line


def usage_error(*args):
    """Runs the sample, which must fail with a usage error before any work; returns that line."""
    done = run(*args)
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr.splitlines()[-1]


def warning_lines(done):
    """Returns the `[ WARNING ]` lines; there must be nothing else on standard error."""
    lines = done.stderr.splitlines()
    assert all(line.startswith("[ WARNING ] ") for line in lines), done.stderr
    return lines


def save_model(path, build, shape=(1, 3, 8, 8), element_type=np.float32, layout=None, **info):
    """Saves the model that `build` makes of its one input, with `info` as its model_info."""
    image = ops.parameter(list(shape), element_type, name="image")
    image.output(0).set_names({"image"})
    outputs = build(image)
    model = ov.Model(outputs if isinstance(outputs, list) else [outputs], [image], path.stem)
    if layout:
        ov.layout_helpers.set_layout(model.input(), ov.Layout(layout))
    for name, value in info.items():
        model.set_rt_info(value, ["model_info", name])
    ov.save_model(model, path, compress_to_fp16=False)
    return path


def channel_means(image, axes=(2, 3)):
    """Scores the means of the channels: B, G and R, for a model that gets BGR."""
    return ops.reduce_mean(image, np.array(axes), keep_dims=False)


def softmax_of_means(image, axes=(2, 3)):
    """The softmax of the channels' means over 64."""
    return ops.softmax(ops.divide(channel_means(image, axes), np.float32(64)), 1)


def always(outputs, element_type=np.float32):
    """What `save_model` builds a model of that has the same `outputs` for every image."""

    def build(image):
        zeros = ops.multiply(
            ops.reduce_mean(image, np.array([1, 2, 3]), keep_dims=False), np.float32(0)
        )
        rows = ops.add(ops.unsqueeze(zeros, np.array(1)), np.array([outputs], np.float32))
        return ops.convert(rows, element_type)

    return build


def means_or_failure(image):
    """The channels' means; inference fails unless the brightest value of the image is 3."""
    brightest = ops.convert(ops.reduce_max(image, np.array([0, 1, 2, 3])), np.int64)
    rows = ops.broadcast(np.float32(1), ops.reshape(brightest, np.array([1]), False))
    return ops.add(channel_means(image), ops.reshape(rows, np.array([1, 3]), False))


def save_model_with_twice(path, build):
    """Saves a model with the operation of custom_op.cpp in place of the one ReLU."""
    text = save_model(path, build).read_text()
    relu, twice = 'type="ReLU" version="opset1"', 'type="Twice" version="extension"'
    assert text.count(relu) == 1
    path.write_text(text.replace(relu, twice))
    return path


def idx(magic, *sizes, data=b""):
    """Returns the content of an IDX file."""
    return struct.pack(f">{1 + len(sizes)}I", magic, *sizes) + data
