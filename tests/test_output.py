"""The log, the usage message and the exit status, as the official samples document them."""

import os
import re

import numpy as np
import openvino as ov
import pytest
from helpers import (
    DATA,
    DIGITS,
    EFFICIENTNET,
    LENET,
    PHOTOS,
    ROOT,
    always,
    as_before_python_3_13,
    channel_means,
    classify,
    fails_with_one_line,
    run,
    run_process,
    save_model,
    scores,
    tables,
    top_ids,
    warnings,
)
from openvino import opset13 as ops

import classification_sample_async as sample

# What the documentation of the official Python sample of 2022 shows, up to the second table.
DOCUMENTED = """\
[ INFO ] Creating OpenVINO Runtime Core
[ INFO ] Reading the model: C:/test_data/models/alexnet.xml
[ INFO ] Loading the model to the plugin
[ INFO ] Starting inference in asynchronous mode
[ INFO ] Image path: /test_data/images/banana.jpg
[ INFO ] Top 10 results:
[ INFO ] class_id probability
[ INFO ] --------------------
[ INFO ] 954      0.9707602
[ INFO ] 666      0.0216788
[ INFO ] 659      0.0032558
[ INFO ] 435      0.0008082
[ INFO ] 809      0.0004359
[ INFO ] 502      0.0003860
[ INFO ] 618      0.0002867
[ INFO ] 910      0.0002866
[ INFO ] 951      0.0002410
[ INFO ] 961      0.0002193
[ INFO ]
[ INFO ] Image path: /test_data/images/car.bmp
[ INFO ] Top 10 results:
[ INFO ] class_id probability
[ INFO ] --------------------
[ INFO ] 656      0.5120340
[ INFO ] 874      0.1142275
[ INFO ] 654      0.0697167
[ INFO ] 436      0.0615163
[ INFO ] 581      0.0552262
[ INFO ] 705      0.0304179
[ INFO ] 675      0.0151660
[ INFO ] 734      0.0151582
[ INFO ] 627      0.0148493
[ INFO ] 757      0.0120964
[ INFO ]
[ INFO ] This sample is an API example. \
Use the dedicated `benchmark_app` tool for any performance measurements.
"""

# The output that the documentation of the official C++ sample of 2022 shows, up to the results.
DOCUMENTED_CPP = """\
[ INFO ] OpenVINO Runtime version ......... <version>
[ INFO ] Build ........... <build>
[ INFO ]
[ INFO ] Parsing input parameters
[ INFO ] Files were added: 1
[ INFO ]     /images/dog.bmp
[ INFO ] Loading model files:
[ INFO ] /models/googlenet-v1.xml
[ INFO ] model name: GoogleNet
[ INFO ]     inputs
[ INFO ]         input name: data
[ INFO ]         input type: f32
[ INFO ]         input shape: {1, 3, 224, 224}
[ INFO ]     outputs
[ INFO ]         output name: prob
[ INFO ]         output type: f32
[ INFO ]         output shape: {1, 1000}
[ INFO ] Read input images
[ INFO ] Set batch size 1
[ INFO ] model name: GoogleNet
[ INFO ]     inputs
[ INFO ]         input name: data
[ INFO ]         input type: u8
[ INFO ]         input shape: {1, 224, 224, 3}
[ INFO ]     outputs
[ INFO ]         output name: prob
[ INFO ]         output type: f32
[ INFO ]         output shape: {1, 1000}
[ INFO ] Loading model to the device GPU
[ INFO ] Create infer request
[ INFO ] Start inference (asynchronous executions)
[ INFO ] Completed 1 async request execution
[ INFO ] Completed 2 async request execution
[ INFO ] Completed 3 async request execution
[ INFO ] Completed 4 async request execution
[ INFO ] Completed 5 async request execution
[ INFO ] Completed 6 async request execution
[ INFO ] Completed 7 async request execution
[ INFO ] Completed 8 async request execution
[ INFO ] Completed 9 async request execution
[ INFO ] Completed 10 async request execution
[ INFO ] Completed async requests execution
"""

DOCUMENTED_OPTIONS = """\
  -h, --help            Show this help message and exit.
  -m MODEL, --model MODEL
                        Required. Path to an .xml or .onnx file with a trained
                        model"""


def masked(log):
    """The log with paths and figures replaced; a class id keeps the width of its column."""
    log = re.sub(r"(Reading the model|Image path): .+", r"\1: PATH", log)
    return re.sub(r"^(\[ INFO \] )\d+ +(?=\d\.\d{7}$)\d\.\d{7}", column, log, flags=re.M)


def column(row):
    before_probability = re.match(r"\[ INFO \] \d+ +", row[0])[0]
    return f"ROW {len(before_probability)}"


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory):
    """EfficientNet-Lite0 without the label file beside it."""
    folder = tmp_path_factory.mktemp("unlabelled")
    for suffix in (".xml", ".bin"):
        (folder / f"efficientnet{suffix}").symlink_to(EFFICIENTNET.with_suffix(suffix))
    return folder / "efficientnet.xml"


def test_the_default_log_is_that_of_the_official_python_sample(unlabelled):
    done = run("-m", unlabelled, "-i", *PHOTOS[:2])
    assert (done.returncode, done.stderr) == (0, "")
    assert masked(done.stdout) == masked(DOCUMENTED)
    assert f"Reading the model: {unlabelled}\n" in done.stdout
    assert [name for name, _ in tables(done.stdout)] == [str(photo) for photo in PHOTOS[:2]]


@pytest.mark.parametrize("device", ["CPU", "MULTI:CPU", "AUTO"])
def test_openvinos_own_smoke_test(unlabelled, device):
    """As its tests/samples_tests/smoke_tests/test_classification_sample_async.py checks."""
    done = run("-m", unlabelled, "-i", DATA / "images" / "coffee.bmp", "-d", device)
    assert done.returncode == 0
    lines = [line.replace("[ INFO ]", "").strip() for line in done.stdout.split("\n")]
    first = next(line for line in lines if re.match(r"\d+ +\d+.\d+$", line))
    assert first.split(" ")[0] == "967"  # espresso


def test_verbose_adds_the_lines_of_the_cpp_sample(unlabelled):
    plain = run("-m", unlabelled, "-i", *PHOTOS[:2]).stdout
    done = run("-m", unlabelled, "-i", *PHOTOS[:2], "-v")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    documented = [
        r"OpenVINO Runtime version \.{9} \d+\.\d+\.\d+",
        r"Build \.{11} \d+\.\d+\.\d+-.+",
        "",
        "Parsing input parameters",
        "Files were added: 2",
        *[f"    {re.escape(str(photo))}" for photo in PHOTOS[:2]],
        "Creating OpenVINO Runtime Core",
        "Reading the model: .+",
        "model name: efficientnet-lite0",
        "    inputs",
        "        input name: image",
        "        input type: f32",
        r"        input shape: \{1, 3, 224, 224\}",
        "    outputs",
        "        output name: probabilities",
        "        output type: f32",
        r"        output shape: \{1, 1000\}",
        "Read input images",
        "Set batch size 2",
        "model name: efficientnet-lite0",
        "    inputs",
        "        input name: image",
        "        input type: u8",
        r"        input shape: \{2, 224, 224, 3\}",
        "    outputs",
        "        output name: probabilities",
        "        output type: f32",
        r"        output shape: \{2, 1000\}",
        "Loading the model to the plugin",
        "Loading model to the device CPU",
        "Create infer request",
        "Starting inference in asynchronous mode",
        "Completed 1 async request execution",
    ]
    for line, expected in zip(lines, documented):
        assert re.fullmatch(rf"\[ INFO \] {expected}" if expected else r"\[ INFO \]", line), (
            line,
            expected,
        )
    assert lines[-2] == "[ INFO ] Completed async requests execution"
    remaining = iter(lines)
    assert all(line in remaining for line in plain.splitlines()), (
        "the default log is part of it, in its order"
    )


@pytest.mark.parametrize("device", ["CPU", "MULTI:CPU"])
def test_verbose_with_ten_iterations_is_the_log_of_the_cpp_sample(unlabelled, device):
    """In its order. The Python sample's two lines that say the same stand in place of its own."""
    log = DOCUMENTED_CPP
    for documented, expected in (
        ("<version>", ov.get_version().partition("-")[0]),
        ("<build>", ov.get_version()),
        ("/images/dog.bmp", str(PHOTOS[0])),
        (
            "Loading model files:\n[ INFO ] /models/googlenet-v1.xml",
            f"Reading the model: {unlabelled}",
        ),
        ("GoogleNet", "efficientnet-lite0"),
        ("input name: data", "input name: image"),
        ("output name: prob", "output name: probabilities"),
        ("Loading model to the device GPU", f"Loading model to the device {device}"),
        ("Start inference (asynchronous executions)", "Starting inference in asynchronous mode"),
    ):
        assert documented in log
        log = log.replace(documented, expected)
    done = run("-m", unlabelled, "-i", PHOTOS[0], "-ni", "10", "-v", "-d", device)
    assert (done.returncode, done.stderr) == (0, "")
    documented = log.splitlines()
    printed = [
        line for line in done.stdout.splitlines() if line in documented
    ]  # without the table, and a line more
    tables_end = printed.index("[ INFO ] Completed 2 async request execution") - 1
    assert printed.pop(tables_end) == "[ INFO ]", (
        "the end of the table, which comes after the first iteration"
    )
    assert printed == documented


def test_verbose_adds_the_traceback_of_an_error():
    path = ROOT / "no-such-path"
    options = ("-m", LENET, "-i", path)
    line = f"[ ERROR ] Cannot read {path}: No such file or directory\n"
    assert fails_with_one_line(*options) == line
    done = run(*options, "-v")
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback (most recent call last):\n") and done.stderr.endswith(
        "\n" + line
    )
    assert "\nFileNotFoundError: " in done.stderr and ", in classify_images\n" in done.stderr


def test_fewer_classes_than_number_top(channel_model):
    [(_, rows)] = classify("-m", channel_model, "-i", PHOTOS[0], "--softmax")
    assert sorted(class_id for class_id, _, _ in rows) == [0, 1, 2]


def test_number_iter_reports_throughput_before_the_closing_line():
    done = run("-m", LENET, "-i", DIGITS, "-b", "10", "-ni", "20", "-nireq", "2", "-v")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert float(re.fullmatch(r"\[ INFO \] Throughput: (\d+\.\d\d) FPS", lines[-2])[1]) > 0
    assert len(tables(done.stdout)) == 10
    assert [line for line in lines if "async request execution" in line] == [
        f"[ INFO ] Completed {number} async request execution" for number in range(1, 21)
    ]


def test_perf_counts():
    done = run("-m", LENET, "-i", DIGITS, "-pc", "--infer_precision", "f32")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.removeprefix("[ INFO ] ") for line in done.stdout.splitlines()]
    start, end = (
        lines.index("Performance counters:"),
        next(i for i, line in enumerate(lines) if line.startswith("Total time")),
    )
    rows = [re.split(r"\s{2,}", line) for line in lines[start + 1 : end]]
    assert rows[0] == ["name", "layer_type", "exec_type", "status", "real_time_us"]
    assert all(len(row) == 5 for row in rows)
    executed = [row for row in rows[1:] if row[3] == "EXECUTED"]
    assert [row[1] for row in executed].count("Convolution") == 2  # LeNet has two
    assert [row[1] for row in executed].count("FullyConnected") == 2
    assert lines[end] == f"Total time: {sum(int(row[4]) for row in rows[1:])} us"


@pytest.mark.parametrize(
    "option",
    [
        ("-c", "x"),
        ("-cach", "x"),
        ("-cache_dir", "x"),
        ("-nir=4",),
        ("-nireq4",),
        ("-nt3",),
        ("-numb", "3"),
        ("-pcv",),
        ("-soft",),
        ("--mean", "127"),
        ("--soft",),
        ("--cache_d=x",),
        ("--verb",),
        ("--nireq", "4"),
    ],
    ids=" ".join,
)
def test_no_option_may_be_abbreviated(tmp_path, monkeypatch, option):
    """allow_abbrev=False is about long options only: nothing in argparse switches `-nir` off."""
    monkeypatch.chdir(tmp_path)
    done = run("-m", LENET, "-i", DIGITS, *option)
    assert (done.returncode, done.stdout, list(tmp_path.iterdir())) == (2, "", [])
    assert done.stderr.endswith(f" error: unrecognized arguments: {' '.join(option)}\n")


@pytest.mark.parametrize(
    "option, reason",
    [
        (("-n", "3"), "ambiguous option: -n could match -nt, -ni, -nireq"),
        (("-p", "x"), "ambiguous option: -p could match -pp, -pc"),
        (("-mean", "127"), "unrecognized arguments: 127"),  # and a model "ean"
        (("-labels", "x"), "unrecognized arguments: x"),  # and an extension "abels"
        (("-device", "GPU"), "unrecognized arguments: GPU"),  # and a device "evice"
        (("-batch", "2"), "argument -b/--batch_size: must be an integer from 1 to .* not 'atch'"),
        (("-verbose",), ".*erbose.*"),  # argparse words it in two ways
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_begins_like_a_short_option_is_an_error(option, reason):
    done = run("-m", LENET, "-i", DIGITS, *option)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.search(rf"\n\S+ error: {reason}\n\Z", done.stderr)


@pytest.mark.parametrize("option", ["-nir", "-nire", "-nireq"])
def test_argparse_takes_the_beginning_of_nireq_for_it(option):
    """As README says. Like the option itself, it is not read as `-ni` with a value."""
    args = sample.parse_args(["-m", "x.xml", "-i", "x.png", option, "4"])
    assert (args.number_infer_requests, args.number_iter) == (4, None)


def test_an_attached_value_makes_a_short_option_of_it():
    """`-m` with the value "ean=127": there is no such model, and the error says so."""
    line = fails_with_one_line("-m", LENET, "-i", DIGITS, "-mean=127")
    assert line == "[ ERROR ] Cannot read ean=127: No such file or directory\n"


@pytest.mark.parametrize(
    "options",
    [
        ("-nt=3", "-b=2", "-dCPU"), ("-d=CPU", "-nt=3", "-b2"),
        ("--number_top=3", "--device=CPU", "--batch_size=2"), ("-d", "CPU", "-nt", "3", "-b", "2"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_values_may_be_attached_to_their_options(options):
    done = run(f"-m{LENET}", f"--input={DIGITS}", "-v", *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert [len(rows) for _, rows in tables(done.stdout)] == [3] * 10
    assert (
        "[ INFO ] Set batch size 2\n" in done.stdout
        and "[ INFO ] Loading model to the device CPU\n" in done.stdout
    )


BROKEN_NAMES = ["two\n\nlines\r\n", "\n[ ERROR ] forged"]


@pytest.mark.parametrize("name", BROKEN_NAMES)
@pytest.mark.parametrize("option", ["-m", "-i", "--labels", "-l", "-pp"])
def test_a_missing_path_with_a_newline(tmp_path, option, name):
    """The error begins with what it is about, whatever comes behind it."""
    arguments = {"-m": LENET, "-i": DIGITS, option: tmp_path / name}
    done = run(*[word for pair in arguments.items() for word in pair])
    path = f"{tmp_path}/{name}" + ("/plugins.xml" if option == "-pp" else "")
    assert (done.returncode, done.stderr) == (
        1,
        f"[ ERROR ] Cannot read {path}: No such file or directory\n",
    )


@pytest.mark.parametrize("name", BROKEN_NAMES)
@pytest.mark.parametrize(
    "option, suffix, content, beginning",
    [
        ("-m", ".xml", b"no model", "[ ERROR ] Cannot read the model PATH: "),
        ("-m", ".onnx", b"", "[ ERROR ] Cannot read the model PATH: "),
        (
            "-m",
            ".h5",
            b"",
            "[ ERROR ] Cannot read the model PATH: convert it first with ov.convert_model",
        ),
        ("-m", "", None, "[ ERROR ] Cannot read the model PATH: it has to hold one .xml file"),
        ("-i", ".png", b"no image", "[ WARNING ] PATH: cannot be decoded as an image\n"),
        ("-i", ".heic", b"", "[ WARNING ] PATH: is a photo that OpenCV does not read"),
        ("-i", ".ubyte", b"", "[ WARNING ] PATH: is not an IDX file of images"),
        ("-i", "", None, "[ ERROR ] Cannot read the folder PATH: there are no images in it\n"),
        (
            "--labels",
            "",
            b"a\0b",
            "[ ERROR ] Cannot read the labels PATH: binary, or text in UTF-16\n",
        ),
        ("--labels", "", b"one", "[ WARNING ] PATH has 1 labels, the model 10 classes"),
        ("-l", ".so", b"no library", "[ ERROR ] Cannot load the extension PATH: "),
        ("--cache_dir", "", b"a file", "[ ERROR ] Cannot write to the cache folder PATH: "),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 9 else "",
)
def test_the_beginning_of_a_message_is_whole_whatever_the_path(
    tmp_path, name, option, suffix, content, beginning
):
    path = tmp_path / (name + suffix)
    path.mkdir() if content is None else path.write_bytes(content)
    arguments = {"-m": LENET, "-i": DIGITS, option: path}
    done = run(*[word for pair in arguments.items() for word in pair])
    assert done.returncode == (0 if "labels, the model" in beginning else 1)
    assert done.stderr.startswith(beginning.replace("PATH", str(path)))


@pytest.mark.parametrize("name", BROKEN_NAMES)
def test_the_beginning_of_a_message_about_a_models_content_is_whole(tmp_path, picture, name):
    path = save_model(tmp_path / f"{name}.xml", channel_means, (1, 4, 8, 8))
    done = run("-m", path, "-i", picture)
    assert done.returncode == 1
    assert done.stderr.startswith(
        f"[ ERROR ] Cannot use the model {path}: only 1 or 3 channels are supported"
    )


@pytest.mark.parametrize("device", ["FOO\nBAR", "\n[ ERROR ] forged", "CPU\n", "HETERO:FOO\n,CPU"])
def test_a_device_name_with_a_newline(device):
    done = run("-m", LENET, "-i", DIGITS, "-d", device)
    assert (done.returncode, tables(done.stdout)) == (1, [])
    assert done.stderr.startswith(
        f"[ ERROR ] Cannot load the model to the device '{device}' (available target dev"
    )


def test_the_help_has_the_form_of_the_official_python_sample():
    done = run("-h")
    assert (done.returncode, done.stderr) == (0, "")
    usage, options = done.stdout.split("\nOptions:\n")
    assert usage.startswith(
        "usage: classification_sample_async.py [-h] -m MODEL -i INPUT [INPUT ...]\n"
    )
    printed, documented = (
        " ".join(text.split()) for text in (as_before_python_3_13(options), DOCUMENTED_OPTIONS)
    )
    assert printed.startswith(documented)
    names = re.findall(r"^  (-\w+)", options, flags=re.M)
    assert names[:4] == ["-h", "-m", "-i", "-d"]
    assert set(names) >= {"-l", "-pp", "-nt", "-ni", "-nireq", "-pc", "-b", "-v"}
    assert re.search(
        r"\n\nOpenVINO Runtime version \.{9} \d+\.\d+\.\d+\nBuild \.{11} \S+\n\n"
        r"Available target devices: .*CPU",
        options,
    )


def test_no_arguments_print_the_whole_help_and_an_error():
    done = run_process()
    assert (done.returncode, done.stdout) == (2, "")
    assert run("-h").stdout in done.stderr
    assert "error: the following arguments are required: -m/--model, -i/--input" in done.stderr


def test_cache_folder(tmp_path, channel_model, picture):
    """It is made, then used, and other options do not get what is cached for these."""
    folder = tmp_path / "new" / "cache"
    arguments = ("-m", channel_model, "-i", picture, "--cache_dir", folder)
    first = scores(*arguments)
    cached = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert first == scores(*arguments[:-2]) and len(cached) == 1
    assert scores(*arguments) == first
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == cached
    [rows] = scores(*arguments, "--mean_values", "10,20,30")
    assert rows == pytest.approx({0: 190, 1: 80, 2: 10}, abs=1e-3)
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("inside", ["", "inside"])
def test_a_cache_folder_that_is_a_file(tmp_path, inside):
    (tmp_path / "file").write_text("kept")
    folder = tmp_path / "file" / inside
    line = fails_with_one_line("-m", LENET, "-i", DIGITS, "--cache_dir", folder)
    assert line.startswith(f"[ ERROR ] Cannot write to the cache folder {folder}: ")
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.skipif(
    not os.path.isdir("/proc/self"), reason="there is no folder that even root cannot write to"
)
@pytest.mark.parametrize("folder", ["/proc", "/proc/self/cache"])
def test_a_cache_folder_that_cannot_be_written(folder):
    line = fails_with_one_line("-m", LENET, "-i", DIGITS, "--cache_dir", folder)
    assert line.startswith(f"[ ERROR ] Cannot write to the cache folder {folder}: ")


def usage_error_of(option, value):
    """The error's text behind the option's name."""
    arguments = {"-m": LENET, "-i": DIGITS, option: value}
    done = run(*[word for pair in arguments.items() for word in pair])
    assert (done.returncode, done.stdout, done.stderr.count("error: ")) == (2, "", 1)
    return re.search(
        rf"error: argument (?:{option}|{option}/\S+|\S+/{option}): (.*)\n\Z", done.stderr
    )[1]


@pytest.mark.parametrize(
    "option",
    [
        "-m",
        "-i",
        "-l",
        "-pp",
        "--labels",
        "--cache_dir",
        "--model",
        "--cpu_extension",
        "--plugin_dir",
    ],
)
def test_an_empty_path_is_a_usage_error(option):
    assert usage_error_of(option, "") == "must be a path, not ''"


@pytest.mark.parametrize("value", ["2147483648", "99999999999999999999", "-1", "1.5", "many", ""])
@pytest.mark.parametrize("option, least", [("-nt", 1), ("-ni", 1), ("-b", 1), ("-nireq", 0)])
def test_what_is_no_count_is_a_usage_error(option, least, value):
    assert (
        usage_error_of(option, value)
        == f"must be an integer from {least} to 2147483647, not '{value}'"
    )


@pytest.mark.parametrize(
    "option, value, least",
    [
        ("--mean_values", "1,2", "0"),
        ("--mean_values", "a", "0"),
        ("--mean_values", "1.1e18", "0"),
        ("--mean_values", "1,2,-2e18", "0"),
        ("--mean_values", "inf", "0"),
        ("--mean_values", "", "0"),
        ("--scale_values", "1,0,1", "1e-18"),
        ("--scale_values", "nan", "1e-18"),
        ("--scale_values", "9e-19", "1e-18"),
        ("--scale_values", "1,1,1e-19", "1e-18"),
        ("--scale_values", "[-1e-300]", "1e-18"),
        ("--scale_values", "0", "1e-18"),
        ("--scale_values", "1e19", "1e-18"),
    ],
)
def test_values_that_are_none_or_that_f32_does_not_bear_are_usage_errors(option, value, least):
    expected = (
        f"must be one number or three separated by commas, {least} to 1e18 in size, not '{value}'"
    )
    assert usage_error_of(option, value) == expected


@pytest.mark.parametrize("option", ["-nt", "-ni", "-b"])
def test_zero_is_a_usage_error_that_names_the_option(option):
    assert usage_error_of(option, "0") == "must be an integer from 1 to 2147483647, not '0'"


@pytest.mark.parametrize("option", ["-m", "-i", "--labels", "-l", "-pp"])
def test_a_path_that_does_not_exist_is_an_error_before_any_work(option):
    arguments = {"-m": LENET, "-i": DIGITS, option: ROOT / "no-such-path"}
    done = run(*[word for pair in arguments.items() for word in pair])
    assert (done.returncode, done.stdout) == (1, "")
    path = f"{ROOT}/no-such-path" + ("/plugins.xml" if option == "-pp" else "")
    assert done.stderr == f"[ ERROR ] Cannot read {path}: No such file or directory\n"


def test_ties_go_to_the_lower_class_id(tmp_path):
    """Of sixty, so that an unstable sort would show: every third one 0.025, the others 0.0125."""
    model = save_model(
        tmp_path / "ties.xml", always(np.where(np.arange(60) % 3 == 1, 0.025, 0.0125))
    )
    [(_, rows)] = classify("-m", model, "-i", PHOTOS[0], "-nt", "30")
    high, low = range(1, 60, 3), [class_id for class_id in range(60) if class_id % 3 != 1][:10]
    assert rows == [(class_id, 0.025, None) for class_id in high] + [
        (class_id, 0.0125, None) for class_id in low
    ]


def test_an_undecodable_file_is_a_warning_and_the_others_are_classified(tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n nothing else")
    done = run("-m", EFFICIENTNET, "-i", PHOTOS[0], broken, PHOTOS[1])
    assert done.returncode == 1
    assert [name for name, _ in tables(done.stdout)] == [str(PHOTOS[0]), str(PHOTOS[1])]
    assert f"[ WARNING ] {broken}: cannot be decoded as an image\n" in done.stderr


def test_nan_never_ranks_above_a_number(tmp_path):
    """Log of -1, 0 and 1 at classes 0, 1, 2 and again: NaN, -inf, 0."""
    constants = np.array([[-1, 0, 1, -1, 0, 1]], np.float32)

    def build(image):
        zero = ops.multiply(ops.reduce_mean(image, np.array([1, 2, 3])), np.float32(0))
        return ops.log(ops.add(ops.unsqueeze(zero, np.array(1)), constants))

    done = run(
        "-m", save_model(tmp_path / "nan.xml", build), "-i", PHOTOS[0], "--infer_precision", "f32"
    )
    assert done.returncode == 0
    assert warnings(done) == [
        "The model's outputs contain NaN: check mean and scale values, or try --infer_precision f32"
    ]
    [(_, rows)] = tables(done.stdout)
    assert top_ids(rows) == [2, 5, 1, 4, 0, 3]
    assert [str(row[1]) for row in rows] == ["0.0", "0.0", "-inf", "-inf", "nan", "nan"]
