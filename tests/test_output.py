"""The log, the usage message and the exit status, against the documentation of the official samples."""

import re

import numpy as np
import pytest
from conftest import (
    DATA,
    DIGITS,
    EFFICIENTNET,
    LENET,
    PHOTOS,
    ROOT,
    always,
    as_before_python_3_13,
    classify,
    run,
    run_process,
    save_model,
    tables,
)

# The output that the documentation of the official Python sample of 2022 shows, up to the second table.
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
[ INFO ] This sample is an API example. Use the dedicated `benchmark_app` tool for any performance measurements.
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
    """The check of openvino's tests/samples_tests/smoke_tests/test_classification_sample_async.py."""
    done = run_process("-m", unlabelled, "-i", DATA / "images" / "coffee.bmp", "-d", device)
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
        "Starting inference in asynchronous mode",
        "Completed 1 async request execution",
    ]
    for line, expected in zip(lines, documented):
        assert re.fullmatch(rf"\[ INFO \] {expected}" if expected else r"\[ INFO \]", line), (line, expected)
    assert lines[-2] == "[ INFO ] Completed async requests execution"
    remaining = iter(lines)
    assert all(line in remaining for line in plain.splitlines()), "the default log is part of it, in its order"


def test_verbose_adds_the_traceback_of_an_error():
    options = ("-m", LENET, "-i", ROOT / "no-such-path")
    plain, verbose = run(*options).stderr, run(*options, "-v").stderr
    assert "Traceback" not in plain
    assert verbose.startswith("Traceback (most recent call last):\n") and verbose.endswith(f"\n{plain}")


def test_labels_beside_the_model_and_number_top():
    done = run("-m", EFFICIENTNET, "-i", DATA / "images" / "chelsea.png", "-nt", "3", "--infer_precision", "f32")
    assert done.returncode == 0
    table = done.stdout.splitlines()[5:11]
    assert table[:3] == [
        "[ INFO ] Top 3 results:", "[ INFO ] class_id probability label", "[ INFO ] --------------------------"
    ]  # fmt: skip
    # The figure is what `reference_probabilities` of test_results.py gives.
    assert re.fullmatch(r"\[ INFO \] 285      0\.785\d{4}   Egyptian cat", table[3])


def test_fewer_classes_than_number_top(channel_model):
    [(_, rows)] = classify("-m", channel_model, "-i", PHOTOS[0], "--softmax")
    assert sorted(class_id for class_id, _, _ in rows) == [0, 1, 2]


def test_label_files_with_and_without_wordnet_ids(tmp_path, channel_model):
    plain, wordnet = tmp_path / "plain.txt", tmp_path / "wordnet.txt"
    plain.write_text("tench, Tinca tinca\ngoldfish\nshark\n")
    wordnet.write_text("n01440764 tench, Tinca tinca\nn01443537 goldfish\nn01484850 shark")
    options = ("-m", channel_model, "-i", PHOTOS[0], "--softmax", "--labels")
    for labels in (plain, wordnet):
        [(_, rows)] = classify(*options, labels)
        assert {row[0]: row[2] for row in rows} == {0: "tench, Tinca tinca", 1: "goldfish", 2: "shark"}


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


def test_the_help_has_the_form_of_the_official_python_sample():
    done = run("-h")
    assert (done.returncode, done.stderr) == (0, "")
    usage, options = done.stdout.split("\nOptions:\n")
    assert usage.startswith("usage: classification_sample_async.py [-h] -m MODEL -i INPUT [INPUT ...]\n")
    printed, documented = (" ".join(text.split()) for text in (as_before_python_3_13(options), DOCUMENTED_OPTIONS))
    assert printed.startswith(documented)
    names = re.findall(r"^  (-\w+)", options, flags=re.M)
    assert names[:4] == ["-h", "-m", "-i", "-d"]
    assert set(names) >= {"-l", "-pp", "-nt", "-ni", "-nireq", "-pc", "-b", "-v"}
    assert re.search(
        r"\n\nOpenVINO Runtime version \.{9} \d+\.\d+\.\d+\nBuild \.{11} \S+\n\nAvailable target devices: .*CPU",
        options,
    )


def test_no_arguments_print_the_whole_help_and_an_error():
    done = run_process()
    assert (done.returncode, done.stdout) == (2, "")
    assert run("-h").stdout in done.stderr
    assert "error: the following arguments are required: -m/--model, -i/--input" in done.stderr


@pytest.mark.parametrize("option", ["-nt", "-ni", "-b"])
def test_zero_is_a_usage_error_that_names_the_option(option):
    done = run("-m", LENET, "-i", DIGITS, option, "0")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"error: argument {option}/" in done.stderr


@pytest.mark.parametrize("option", ["-m", "-i", "--labels", "-l", "-pp"])
def test_a_path_that_does_not_exist_is_an_error_before_any_work(option):
    arguments = {"-m": LENET, "-i": DIGITS, option: ROOT / "no-such-path"}
    done = run(*[word for pair in arguments.items() for word in pair])
    assert (done.returncode, done.stdout) == (1, "")
    path = f"{ROOT}/no-such-path" + ("/plugins.xml" if option == "-pp" else "")
    assert done.stderr == f"[ ERROR ] Cannot read {path}: No such file or directory\n"


def test_ties_go_to_the_lower_class_id(tmp_path):
    """Sixty classes, so that an unstable sort would show: every third one 0.025, the others 0.0125."""
    model = save_model(tmp_path / "ties.xml", always(np.where(np.arange(60) % 3 == 1, 0.025, 0.0125)))
    [(_, rows)] = classify("-m", model, "-i", PHOTOS[0], "-nt", "30")
    high, low = range(1, 60, 3), [class_id for class_id in range(60) if class_id % 3 != 1][:10]
    assert rows == [(class_id, 0.025, None) for class_id in high] + [(class_id, 0.0125, None) for class_id in low]


def test_an_undecodable_file_is_a_warning_and_the_others_are_classified(tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n nothing else")
    done = run("-m", EFFICIENTNET, "-i", PHOTOS[0], broken, PHOTOS[1])
    assert done.returncode == 1
    assert [name for name, _ in tables(done.stdout)] == [str(PHOTOS[0]), str(PHOTOS[1])]
    assert f"[ WARNING ] {broken}: cannot be decoded as an image\n" in done.stderr
