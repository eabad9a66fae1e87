"""`-l` with a real extension library: custom_op.cpp, compiled against the openvino wheel."""

import re
import signal
import subprocess

import cv2
import numpy as np
import pytest
from helpers import (
    COMPILER,
    DIGITS,
    LENET,
    PHOTOS,
    at_once,
    channel_means,
    classify,
    fails_with_one_line,
    run_process,
    save_model_with_twice,
    tables,
    top_ids,
)
from openvino import opset13 as ops


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """softmax(Twice(mean of each channel) / 64); Twice stands in the IR in place of a ReLU."""
    return save_model_with_twice(
        tmp_path_factory.mktemp("custom") / "twice.xml",
        lambda image: ops.softmax(ops.divide(ops.relu(channel_means(image)), np.float32(64)), 1),
    )


def test_with_the_library_the_operation_is_computed(custom_op_library, model):
    results = classify(
        "-m", model, "-i", *PHOTOS, "-l", custom_op_library, "--infer_precision", "f32"
    )
    for photo, (_, rows) in zip(PHOTOS, results):
        scores = 2 * cv2.resize(cv2.imread(str(photo)), (8, 8)).mean(axis=(0, 1)) / 64
        expected = np.exp(scores) / np.exp(scores).sum()
        assert {row[0]: row[1] for row in rows} == pytest.approx(
            dict(enumerate(expected)), abs=1e-5
        )


def test_a_library_in_the_current_folder(custom_op_library, model):
    [(_, rows)] = classify(
        "-m", model, "-i", PHOTOS[0], "-l", custom_op_library.name, cwd=custom_op_library.parent
    )
    assert sorted(top_ids(rows)) == [0, 1, 2]


def test_errors_with_the_library_are_clean_ends(custom_op_library, model):
    """The model is made of the library's code: a core freed before it takes the library with it."""
    no_classifier = save_model_with_twice(model.with_name("no_classifier.xml"), ops.relu)
    runs = [
        (["-m", model, "-d", "HETERO:CPU"], 0, r""),
        (
            ["-m", model, "-d", "FOO"],
            1,
            r"\[ ERROR \] Cannot load the model to the device 'FOO' "
            r"\(available target devices: .*\bCPU\b.*\): .*\n",
        ),
        (
            ["-m", no_classifier],
            1,
            r"\[ ERROR \] Cannot use .*: its output shape \[1,3,8,8\] is not "
            r"\[N,C\], \[N,C,1,1\] or \[N,1,1,C\]\n",
        ),
        (
            ["-m", model, "--mean_values", "1,2,3", "-b", "2000000000"],
            1,
            r"\[ ERROR \] Cannot read images in batches of .*\n",
        ),
    ]

    def run_with_library(case):
        return run_process(*case[0], "-i", PHOTOS[0], "-l", custom_op_library, timeout=20)

    for (args, status, printed), done in zip(runs, at_once(run_with_library, runs)):
        assert (done.returncode, len(tables(done.stdout))) == (status, 1 - status), (
            args,
            done.stderr,
        )
        assert re.fullmatch(printed, done.stderr), (args, done.stderr)


def test_without_the_library_the_error_names_the_operation(model):
    line = fails_with_one_line("-m", model, "-i", PHOTOS[0])
    assert line.startswith(f"[ ERROR ] Cannot read the model {model}: ")
    assert "Twice" in line


def test_an_unknown_operation_in_onnx(tmp_path):
    """LeNet with another name, of the same length, in the field op_type (number 4) of its Relu."""
    content = LENET.read_bytes()
    assert content.count(b'"\x04Relu') == 1
    path = tmp_path / "unknown.onnx"
    path.write_bytes(content.replace(b'"\x04Relu', b'"\x04Mine'))
    line = fails_with_one_line("-m", path, "-i", DIGITS)
    assert line.startswith(f"[ ERROR ] Cannot read the model {path}: ")
    assert "Mine" in line


def test_a_file_that_is_no_library(model):
    line = fails_with_one_line("-m", model, "-i", PHOTOS[0], "-l", PHOTOS[0])
    assert line.startswith(f"[ ERROR ] Cannot load the extension {PHOTOS[0]}: ")


def test_a_library_that_dies_is_heard(tmp_path):
    """Standard error is left alone: only what a library prints before it aborts tells why."""
    if COMPILER is None:
        pytest.skip("no C++ compiler")
    source, dying = tmp_path / "dying.cpp", tmp_path / "libdying.so"
    source.write_text(
        "#include <cstdio>\n#include <cstdlib>\n"
        'static int loaded = (std::fputs("device lost\\n", stderr), std::abort(), 0);\n'
    )
    subprocess.run([COMPILER, "-shared", "-fPIC", source, "-o", dying], check=True)
    done = run_process("-m", LENET, "-i", DIGITS, "-l", dying)
    assert (done.returncode, done.stderr) == (-signal.SIGABRT, "device lost\n")
