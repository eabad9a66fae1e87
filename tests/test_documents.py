"""The usage message, the log and the options that the three reference documents show."""

import re

import cv2
import numpy as np
import openvino as ov
import pytest
from helpers import (
    DATA,
    DIGITS,
    LENET,
    PHOTOS,
    error_line,
    run,
    save_model,
    tables,
    usage_error,
    warning_lines,
)
from openvino import opset13 as ops

# Document 001. After "image file(s)" come the kinds of input that the C++ sample takes, and the
# devices MYRIAD and HDDL, which no longer exist, have given way to those that do
OPTIONS = (
    "Options: -h, --help Show this help message and exit. "
    "-m MODEL, --model MODEL Required. Path to an .xml or .onnx file with a trained model. "
    "-i INPUT [INPUT ...], --input INPUT [INPUT ...] Required. Path to an image file(s)",
    "-d DEVICE, --device DEVICE Optional. Specify the target device to infer on; CPU, GPU, ",
    " is acceptable. The sample will look for a suitable plugin for device specified. "
    "Default value is CPU. -l ",
)
OUTPUT = """\
[ INFO ] Creating OpenVINO Runtime Core
[ INFO ] Reading the model: {model}
[ INFO ] Loading the model to the plugin
[ INFO ] Starting inference in asynchronous mode
[ INFO ] Image path: {first}
[ INFO ] Top 10 results:
[ INFO ] class_id probability
[ INFO ] --------------------
{first_rows}
[ INFO ]
[ INFO ] Image path: {second}
[ INFO ] Top 10 results:
[ INFO ] class_id probability
[ INFO ] --------------------
{second_rows}
[ INFO ]
[ INFO ] This sample is an API example. \
Use the dedicated `benchmark_app` tool for any performance measurements.
"""

# Document 000. "Loading model files:" and "Start inference" are as document 001 says them
VERBOSE_OUTPUT = """\
[ INFO ] OpenVINO Runtime version ......... {version}
[ INFO ] Build ........... {build}
[ INFO ]
[ INFO ] Parsing input parameters
[ INFO ] Files were added: 1
[ INFO ]     {image}
[ INFO ] Creating OpenVINO Runtime Core
[ INFO ] Reading the model: {model}
[ INFO ] model name: GoogleNet
[ INFO ]     inputs
[ INFO ]         input name: data
[ INFO ]         input type: f32
[ INFO ]         input shape: {{1, 3, 224, 224}}
[ INFO ]     outputs
[ INFO ]         output name: prob
[ INFO ]         output type: f32
[ INFO ]         output shape: {{1, 1000}}
[ INFO ] Read input images
[ INFO ] Set batch size 1
[ INFO ] model name: GoogleNet
[ INFO ]     inputs
[ INFO ]         input name: data
[ INFO ]         input type: u8
[ INFO ]         input shape: {{1, 224, 224, 3}}
[ INFO ]     outputs
[ INFO ]         output name: prob
[ INFO ]         output type: f32
[ INFO ]         output shape: {{1, 1000}}
[ INFO ] Loading the model to the plugin
[ INFO ] Loading model to the device CPU
[ INFO ] Create infer request
[ INFO ] Starting inference in asynchronous mode
[ INFO ] Completed 1 async request execution
[ INFO ] Image path: {image}
[ INFO ] Top 1 results:
[ INFO ] class_id probability
[ INFO ] --------------------
{row}
[ INFO ]
{completed}
[ INFO ] Completed async requests execution
"""


def printed_rows(rows):
    """As in document 001: `954      0.9707602`, `656      0.5120340`."""
    return "\n".join(f"[ INFO ] {class_id:<8} {value:.7f}" for class_id, value, _ in rows)


def on_one_line(help_text):
    """With `-m MODEL, --model MODEL` for what Python 3.13 prints as `-m, --model MODEL`."""
    heading = r"^  (-\w+), (--\w+) ([A-Z_]+(?: \[.*?\])?)(?=\s)"
    return " ".join(re.sub(heading, r"  \1 \3, \2 \3", help_text, flags=re.M).split())


@pytest.fixture(scope="module")
def help_text():
    done = run("-h")
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture(scope="module")
def googlenet(tmp_path_factory):
    """The softmax of 1000 sums of the channels' means, weighted by `WEIGHTS`."""

    def build(image):
        image.output(0).set_names({"data"})
        means = ops.reduce_mean(image, np.array([2, 3]), keep_dims=False)
        probabilities = ops.softmax(ops.matmul(means, WEIGHTS, False, False), 1)
        probabilities.output(0).set_names({"prob"})
        return probabilities

    path = tmp_path_factory.mktemp("models") / "GoogleNet.xml"
    return save_model(path, build, (1, 3, 224, 224))


WEIGHTS = (np.random.default_rng(0).random((3, 1000)) / 20).astype(np.float32)


def expected_probabilities(photo):
    """What the model "googlenet" makes of a photo, computed with numpy."""
    means = cv2.resize(cv2.imread(str(photo)), (224, 224)).mean(axis=(0, 1))
    exponentials = np.exp(means @ WEIGHTS)
    return exponentials / exponentials.sum()


def test_the_help_is_that_of_document_001(help_text):
    assert help_text.startswith(
        "usage: classification_sample_async.py [-h] -m MODEL -i INPUT [INPUT ...]\n"
        "                                      [-d DEVICE]"
    )
    for text in OPTIONS:
        assert text in on_one_line(help_text)


def test_the_help_has_the_options_of_document_002(help_text):
    options = [
        "-l CPU_EXTENSION, --cpu_extension CPU_EXTENSION",
        "-pp PLUGIN_DIR, --plugin_dir PLUGIN_DIR", "--labels LABELS",
        "-nt NUMBER_TOP, --number_top NUMBER_TOP",
        "-ni NUMBER_ITER, --number_iter NUMBER_ITER", "-pc, --perf_counts",
        "-nireq NUMBER_INFER_REQUESTS, --number_infer_requests NUMBER_INFER_REQUESTS",
    ]  # fmt: skip
    for option in options:
        assert f" {option} Optional. " in on_one_line(help_text)


def test_the_help_names_the_versions_and_the_devices_as_in_document_000(help_text):
    build = ov.get_version()
    assert f"\nOpenVINO Runtime version ......... {build.split('-')[0]}\n" in help_text
    assert f"\nBuild ........... {build}\n" in help_text
    devices = ", ".join(ov.Core().available_devices)
    assert help_text.endswith(f"\nAvailable target devices: {devices}\n")


def test_without_arguments_the_help_and_an_error_are_printed(help_text):
    done = run()
    assert (done.returncode, done.stdout) == (2, "")
    assert help_text in done.stderr
    assert re.search("error: .*-m.*-i", done.stderr.splitlines()[-1])


def test_the_output_for_two_images_is_that_of_document_001(googlenet):
    first, second = PHOTOS[0], PHOTOS[3]
    done = run("-m", googlenet, "-i", first, second, "--infer_precision", "f32")
    assert (done.returncode, done.stderr) == (0, "")
    [(_, first_rows), (_, second_rows)] = tables(done.stdout)
    assert done.stdout == OUTPUT.format(
        model=googlenet, first=first, first_rows=printed_rows(first_rows),
        second=second, second_rows=printed_rows(second_rows),
    )  # fmt: skip

    for photo, rows in ((first, first_rows), (second, second_rows)):
        expected = expected_probabilities(photo)
        assert [row[0] for row in rows] == np.argsort(-expected)[:10].tolist()
        assert [row[1] for row in rows] == pytest.approx(np.sort(expected)[:-11:-1], rel=1e-3)


def test_verbose_adds_the_lines_of_document_000(googlenet):
    done = run("-m", googlenet, "-i", PHOTOS[0], "-nt", "1", "-ni", "10", "-v")
    assert (done.returncode, done.stderr) == (0, "")
    [(_, rows)] = tables(done.stdout)
    build = ov.get_version()
    completed = [f"[ INFO ] Completed {number} async request execution" for number in range(2, 11)]
    expected = VERBOSE_OUTPUT.format(
        version=build.split("-")[0], build=build, image=PHOTOS[0], model=googlenet,
        row=printed_rows(rows), completed="\n".join(completed),
    )  # fmt: skip
    assert done.stdout.startswith(expected)
    assert done.stdout.count("\n") == expected.count("\n") + 2


def test_verbose_adds_the_traceback_of_an_error(tmp_path):
    (tmp_path / "text.xml").write_text("no model")
    arguments = ("-m", tmp_path / "text.xml", "-i", PHOTOS[0])
    assert "Traceback" not in run(*arguments).stderr
    done = run(*arguments, "-v")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("[ ERROR ] ")


@pytest.mark.parametrize("number_top, rows", [("1", 1), ("3", 3), ("99", 10)])
def test_number_top_is_the_number_of_rows(number_top, rows):
    done = run("-m", LENET, "-i", DIGITS, "-nt", number_top)
    assert [len(table) for _, table in tables(done.stdout)] == [rows] * 10
    assert done.stdout.count(f"[ INFO ] Top {rows} results:\n") == 10


@pytest.mark.parametrize("device, requests", [("CPU", "1"), ("CPU", "3"), ("HETERO:CPU", "2")])
def test_the_command_of_document_002_prints_tables_once_and_then_the_throughput(device, requests):
    options = ("-nt", "1", "-d", device, "-nireq", requests, "-ni", "5", "-b", "3")
    done = run("-m", LENET, "-i", DIGITS, *options)
    assert (done.returncode, done.stderr) == (0, "")
    digits = [(name, rows[0][0]) for name, rows in tables(done.stdout)]
    assert digits == [(f"{DIGITS}[{digit}]", digit) for digit in range(10)]
    *_, throughput, closing_line = done.stdout.splitlines()
    assert float(re.fullmatch(r"\[ INFO \] Throughput: (\d+\.\d\d) FPS", throughput)[1]) > 0
    assert closing_line == OUTPUT.splitlines()[-1]


def test_perf_counts_is_a_table_of_the_layers():
    done = run("-m", LENET, "-i", DIGITS, "-pc", "--infer_precision", "f32")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.removeprefix("[ INFO ] ") for line in done.stdout.splitlines()]
    start = lines.index("Performance counters:") + 1
    end = next(i for i, line in enumerate(lines) if line.startswith("Total time: "))
    header, *rows = [re.split(r"\s{2,}", line) for line in lines[start:end]]
    assert header == ["name", "layer_type", "exec_type", "status", "real_time_us"]
    executed = [row[1] for row in rows if row[3] == "EXECUTED"]
    assert (executed.count("Convolution"), executed.count("FullyConnected")) == (2, 2)
    assert lines[end] == f"Total time: {sum(int(row[4]) for row in rows)} us"


@pytest.mark.parametrize(
    "option, value",
    [
        ("--model", "no-such-file.xml"), ("--input", "no-such-file.png"),
        ("--labels", "no-such-file.txt"), ("--number_top", "0"), ("--number_top", "-1"),
        ("--number_top", "ten"), ("--number_iter", "0"), ("--number_infer_requests", "1.5"),
        ("--batch_size", "0"), ("--center_crop", "0"), ("--center_crop", "1.01"),
        ("--center_crop", "nan"), ("--mean_values", "1,2"), ("--mean_values", "1,2,nan"),
        ("--scale_values", "1,0,1"), ("--antialias", "nearest"), ("--infer_precision", "f8"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_a_usage_error_before_any_work(option, value):
    given = {"--model": LENET, "--input": DIGITS, option: value}
    line = usage_error(*[f"{name}={value}" for name, value in given.items()])
    assert option in line
    assert f"'{value}'" in line


def test_softmax_and_sigmoid_exclude_each_other():
    line = usage_error("-m", LENET, "-i", DIGITS, "--softmax", "--sigmoid")
    assert "--softmax" in line
    assert "--sigmoid" in line


@pytest.mark.parametrize("option", ["--soft", "--mean=127", "--verb", "-cache_dir"])
def test_no_option_may_be_abbreviated(option):
    assert option in usage_error("-m", LENET, "-i", DIGITS, option)


def test_tables_come_in_the_order_of_the_input_option(softmax_model):
    images = [PHOTOS[3], DATA / "images", PHOTOS[1], DIGITS, PHOTOS[1]]
    options = ("-b", "2", "-nireq", "3", "-nt", "1")
    done = run("-m", softmax_model, "-i", *images, *options, "-i", PHOTOS[0])
    assert (done.returncode, done.stderr) == (0, "")
    digits = [f"{DIGITS}[{number}]" for number in range(10)]
    expected = [PHOTOS[3], *PHOTOS, PHOTOS[1], *digits, PHOTOS[1], PHOTOS[0]]
    assert [name for name, _ in tables(done.stdout)] == list(map(str, expected))


def test_only_information_goes_to_standard_output(tmp_path, softmax_model, picture):
    broken = tmp_path / "broken.png"
    broken.touch()
    done = run("-m", softmax_model, "-i", broken, picture)
    assert done.returncode == 1
    assert all(line.startswith("[ INFO ]") for line in done.stdout.splitlines())
    [warning] = warning_lines(done)
    assert str(broken) in warning
    assert "unknown" in error_line("-m", softmax_model, "-i", picture, "-d", "unknown")
