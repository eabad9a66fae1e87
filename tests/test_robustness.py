"""Whatever people point it at: the right table, or a line that says what is wrong with which file."""

import codecs
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import openvino as ov
import pytest
from helpers import (
    DATA,
    DIGITS,
    EFFICIENTNET,
    FAILING_CALLBACK,
    LENET,
    NO_PROBABILITIES,
    PHOTOS,
    SCRIPT,
    at_once,
    channel_means,
    classify,
    fails_with_one_line,
    our_lines,
    run,
    run_process,
    run_python,
    save_model,
    tables,
    top_ids,
)
from numbered import save_numbered_images, wrong_answers
from openvino import opset13 as ops

import classification_sample_async as sample


def warnings(done):
    """All that the script has printed to standard error, which must be `[ WARNING ]` lines."""
    lines = our_lines(done.stderr)
    assert all(line.startswith("[ WARNING ] ") for line in lines), done.stderr
    return [line.removeprefix("[ WARNING ] ").rstrip("\n") for line in lines]


@pytest.fixture(scope="module")
def good_and_damaged(tmp_path_factory):
    """20 good images, 540 damaged ones and, as a folder of its own, the good ones alone."""
    folder = tmp_path_factory.mktemp("damaged")
    good = tmp_path_factory.mktemp("good")
    generator = np.random.default_rng(5)
    sources = [(photo.suffix, photo.read_bytes()) for photo in PHOTOS]
    small = cv2.resize(cv2.imread(str(PHOTOS[2])), (160, 120))
    for suffix in (".webp", ".tiff", ".gif", ".ppm", ".jp2"):
        sources.append((suffix, cv2.imencode(suffix, small)[1].tobytes()))
    sources.append((".ubyte", DIGITS.read_bytes()))

    def damage(kind, suffix, data):
        data = bytearray(data)
        if kind == "cut":
            data = data[: generator.integers(1, len(data))]
        elif kind == "flip":
            for position in generator.integers(0, len(data), 30):
                data[position] ^= 1 << generator.integers(8)
        elif kind == "head":
            for position in generator.integers(0, min(64, len(data)), 4):
                data[position] = generator.integers(256)
        elif kind == "zero":
            start = generator.integers(len(data))
            data[start : start + 3000] = bytes(len(data[start : start + 3000]))
        elif kind == "empty":
            data = bytearray()
        elif kind == "huge":
            size = {".png": (16, ">II"), ".bmp": (18, "<II"), ".gif": (6, "<HH"), ".jpg": None}.get(suffix)
            if suffix == ".jpg":
                frame = re.search(rb"\xff[\xc0-\xc2]", data).start()
                data[frame + 5 : frame + 9] = struct.pack(">HH", 60_000, 60_000)
            elif size:
                struct.pack_into(size[1], data, size[0], 60_000, 60_000)
        elif kind == "other":
            suffix = {".png": ".jpg", ".jpg": ".png", ".bmp": ".tiff"}.get(suffix, ".bmp")
        return suffix, bytes(data)

    count = 0
    for number in range(9):
        for kind in ("cut", "flip", "head", "zero", "cut", "flip", "zero", "empty", "huge", "other"):
            for source in sources[: -1 if kind == "other" else None]:
                if kind in ("empty", "huge", "other") and number > 1:
                    continue
                suffix, data = damage(kind, *source)
                (folder / f"{count:04}-{kind}{suffix}").write_bytes(data)
                count += 1
    assert count >= 500
    for number in range(20):
        photo = PHOTOS[number % len(PHOTOS)]
        shutil.copy(photo, folder / f"{number * 27:04}-good{photo.suffix}")
        shutil.copy(photo, good / f"{number * 27:04}-good{photo.suffix}")
    return folder, good


def test_hundreds_of_damaged_images_among_good_ones(good_and_damaged):
    folder, good = good_and_damaged
    options = ("-b", "8", "-nt", "5", "--infer_precision", "f32")
    done = run_process("-m", EFFICIENTNET, "-i", folder, *options, timeout=100)
    assert done.returncode == 1
    found = tables(done.stdout)
    warned = [re.match(rf"({re.escape(str(folder))}/[^:]+): ", line)[1] for line in warnings(done)]
    named = [re.sub(r"\[[\d.]+\]$", "", name) for name in [name for name, _ in found] + warned]
    for path in map(str, folder.iterdir()):
        if path.endswith(".ubyte"):
            assert path in named
        else:
            assert named.count(path) == 1, path
    assert set(named) == set(map(str, folder.iterdir()))
    assert len(warned) > 200 and len(found) > 100

    expected = {Path(name).name: rows for name, rows in classify("-m", EFFICIENTNET, "-i", good, *options)}
    of_good = {Path(name).name: rows for name, rows in found if "-good" in name}
    assert of_good.keys() == expected.keys()
    for name, rows in of_good.items():
        assert top_ids(rows) == top_ids(expected[name])
        assert [row[1] for row in rows] == pytest.approx([row[1] for row in expected[name]], abs=1e-6)


NAMES = [
    b"plain.png", b"with spaces.png", b"new\nline.png", b"quote'\".png", "é中.png".encode(), b"not-utf8-\xff\xfe.png",
    b"[3].png", b"%s{}.png", b"-nt.png", b"l" * 251 + b".png",
]  # fmt: skip


@pytest.mark.parametrize(
    "environment", [{}, {"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}]
)
def test_names_and_labels_are_printed_as_the_bytes_they_are(tmp_path, channel_model, environment):
    for name in NAMES:
        with open(os.fsencode(tmp_path) + b"/" + name, "wb") as file:
            file.write(cv2.imencode(".png", np.full((8, 8, 3), (9, 5, 1), np.uint8))[1].tobytes())
    broken = b"broken-\xff\n.png"
    open(os.fsencode(tmp_path) + b"/" + broken, "wb").close()
    labels = tmp_path / "labels.txt"
    labels.write_bytes("Käse\n中\n".encode() + b"latin-1 \xe9\n")
    done = subprocess.run(
        [sys.executable, SCRIPT, "-m", channel_model, "-i", tmp_path, "--labels", labels, "--softmax"],
        capture_output=True, env={**os.environ, **environment}, timeout=60,
    )  # fmt: skip
    folder = os.fsencode(tmp_path)
    assert done.returncode == 1
    assert done.stderr == b"[ WARNING ] " + folder + b"/" + broken + b": cannot be decoded as an image\n"
    paths = re.findall(rb"\[ INFO \] Image path: (.*?)\n\[ INFO \] Top", done.stdout, flags=re.S)
    # Python sorts names as text, in which bytes that are not UTF-8 come after all else.
    assert sorted(paths) == sorted(folder + b"/" + name for name in NAMES)
    assert done.stdout.count("   Käse\n".encode()) == done.stdout.count("   中\n".encode()) == len(NAMES)
    assert done.stdout.count(b"   latin-1 \xe9\n") == len(NAMES)


def test_links_fifos_devices_and_folders_in_a_folder(tmp_path, channel_model):
    image = tmp_path / "image.png"
    cv2.imwrite(str(image), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "link.png").symlink_to(image)
    (tmp_path / "self.png").symlink_to("self.png")
    (tmp_path / "dangling.png").symlink_to("nowhere")
    (tmp_path / "self").symlink_to("self")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    (tmp_path / "device").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "fifo.png")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder.png").mkdir()
    done = run("-m", channel_model, "-i", tmp_path, image, image, "--softmax", timeout=20)
    assert done.returncode == 1
    assert [Path(name).name for name, _ in tables(done.stdout)] == ["image.png", "link.png", "image.png", "image.png"]
    assert warnings(done) == [
        f"{tmp_path}/dangling.png: No such file or directory",
        f"{tmp_path}/device.png: is not a regular file",
        f"{tmp_path}/fifo.png: is not a regular file",
        f"{tmp_path}/self.png: Too many levels of symbolic links",
    ]


def test_paths_that_lead_nowhere(tmp_path, channel_model):
    (tmp_path / "self").symlink_to("self")
    os.mkfifo(tmp_path / "fifo")
    neither = "it is neither a file nor a folder"
    reasons = {
        tmp_path / "self": "Too many levels of symbolic links",
        tmp_path / "fifo": neither,
        "/dev/zero": neither,
        tmp_path / ("l" * 300): "File name too long",
        PHOTOS[0] / "inside": "Not a directory",
    }
    for path, reason in reasons.items():
        line = fails_with_one_line("-m", channel_model, "-i", PHOTOS[0], path)
        assert line == f"[ ERROR ] Cannot read {path}: {reason}\n"


@pytest.mark.parametrize(
    "option", ["-m", "-i", "-l", "-pp", "--labels", "-cdir", "--model", "--cpu_extension", "--plugin_dir"]
)
def test_an_empty_path_is_a_usage_error(option):
    done = run("-m", LENET, "-i", DIGITS, option, "")
    assert (done.returncode, done.stdout) == (2, "")
    assert re.search(rf": error: argument (\S+/)?{option}(/\S+)?: must be a path, not ''\n$", done.stderr)


def test_a_folder_without_images(tmp_path, channel_model):
    (tmp_path / "text").write_text("no image")
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "folder.png").mkdir()
    line = fails_with_one_line("-m", channel_model, "-i", PHOTOS[0], tmp_path)
    assert line == f"[ ERROR ] Cannot read the folder {tmp_path}: there are no images in it\n"


def test_a_model_whose_name_is_not_utf8_is_read_or_an_error(tmp_path):
    model = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.onnx")
    shutil.copy(LENET, model)
    done = run_process("-m", model, "-i", DIGITS)
    if done.returncode == 0:
        assert [top_ids(rows)[0] for _, rows in tables(done.stdout)] == list(range(10))
    else:
        assert done.stderr.startswith(f"[ ERROR ] Cannot read the model {model}: ") and done.stderr.count("\n") == 1


def test_no_permission(tmp_path, channel_model):
    """Root may read everything: it gives that up for the run."""
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("root cannot give up its rights without setpriv")
    prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    for name in ("closed.png", "closed.ubyte", "closed"):  # the last one could be anything
        shutil.copy(PHOTOS[1], tmp_path / name)
        (tmp_path / name).chmod(0)
    shutil.copy(PHOTOS[1], tmp_path / "open.png")
    (tmp_path / "folder").mkdir(mode=0)
    done = run("-m", channel_model, "-i", tmp_path, "--softmax", prefix=prefix)
    assert done.returncode == 1
    assert [name for name, _ in tables(done.stdout)] == [str(tmp_path / "open.png")]
    assert warnings(done) == [f"{tmp_path}/closed{suffix}: Permission denied" for suffix in ("", ".png", ".ubyte")]
    line = fails_with_one_line("-m", channel_model, "-i", tmp_path / "folder", prefix=prefix)
    assert line == f"[ ERROR ] Cannot read the folder {tmp_path}/folder: Permission denied\n"


def idx(magic, *sizes, data=b""):
    return struct.pack(f">{1 + len(sizes)}I", magic, *sizes) + data


@pytest.mark.parametrize(
    "content, complaint",
    [
        (b"", ": is not an IDX file: it begins with b''"),
        (b"\x00\x00\x08\x03\x00", r": is not an IDX file: it begins with b'\x00\x00\x08\x03'"),
        (b"\xffnonsense, and a lot of it", r": is not an IDX file: it begins with b'\xffnon'"),
        (PHOTOS[1].read_bytes(), r": is not an IDX file: it begins with b'\x89PNG'"),
        (idx(0x703, 1, 4, 4, data=bytes(16)), r": is not an IDX file: it begins with b'\x00\x00\x07\x03'"),
        (idx(0x801, 10, data=bytes(10)), ": holds u8 in 1-D; images are u8 in 3-D"),
        (idx(0xD04, 1, 3, 4, 4, data=bytes(192)), ": holds f32 in 4-D; images are u8 in 3-D"),
        (idx(0xD03, 1, 4, 4, data=bytes(64)), ": holds f32 in 3-D; images are u8 in 3-D"),
        (idx(0x804, 1, 3, 4, 4, data=bytes(48)), ": holds u8 in 4-D; images are u8 in 3-D"),
        (idx(0x803, 0, 28, 28), ": holds 0 images of 28x28 pixels"),
        (idx(0x803, 10, 0, 0), ": holds 10 images of 0x0 pixels"),
        (idx(0x803, *[2**32 - 1] * 3, data=bytes(100)), "[0..4294967294]: missing: the file ends early"),
    ],
    ids=[
        "empty", "short-header", "bad-magic", "png", "bad-type", "labels", "f32-4d", "f32", "4d", "no-images", "0x0",
        "gigantic",
    ],
)  # fmt: skip
def test_idx_files_without_an_image(tmp_path, content, complaint):
    path = tmp_path / "some.ubyte"
    path.write_bytes(content)
    done = run("-m", LENET, "-i", DIGITS, path)
    assert done.returncode == 1
    assert len(tables(done.stdout)) == 10
    assert warnings(done) == [f"{path}{complaint}"]


def test_idx_files_that_are_too_short_or_too_long(tmp_path):
    digits = DIGITS.read_bytes()
    path = tmp_path / "some.ubyte"
    path.write_bytes(digits[: 16 + 7 * 784 + 100])
    done = run("-m", LENET, "-i", path, "-nt", "1")
    assert done.returncode == 1
    assert [top_ids(rows) for _, rows in tables(done.stdout)] == [[digit] for digit in range(7)]
    assert warnings(done) == [f"{path}[7..9]: missing: the file ends early"]

    path.write_bytes(digits + b"more")
    done = run("-m", LENET, "-i", path, "-nt", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert [top_ids(rows) for _, rows in tables(done.stdout)] == [[digit] for digit in range(10)]


def test_an_idx_file_that_shrinks_while_it_is_read(tmp_path):
    """As a program: of a file that is mapped into memory, what is gone would end the process."""
    path = tmp_path / "some.ubyte"
    shutil.copy(DIGITS, path)
    program = f"""
import os, sys, classification_sample_async as sample
read_ahead = sample.read_ahead
def shrink_and_read_ahead(*arguments):
    os.truncate({str(path)!r}, 16 + 4 * 784 + 100)
    return read_ahead(*arguments)
sample.read_ahead = shrink_and_read_ahead
sys.exit(sample.main(sys.argv[1:]))
"""
    done = run_python("-c", program, "-m", LENET, "-i", path, DIGITS, "-nt", "1", timeout=20)
    assert done.returncode == 1
    assert [top_ids(rows) for _, rows in tables(done.stdout)] == [[digit] for digit in [*range(4), *range(10)]]
    assert warnings(done) == [f"{path}[{number}]: missing: the file ends early" for number in range(4, 10)]


def with_open_files(count):
    """A command's prefix that lets it have that many files open at once."""
    return ["sh", "-c", f'ulimit -n {count}; exec "$@"', "sh"]


def test_more_idx_files_than_may_be_open(tmp_path):
    """One picture of each digit in turn, each in a file of its own."""
    content = DIGITS.read_bytes()
    for number in range(1_100):
        start = 16 + number % 10 * 784
        (tmp_path / f"{number:04}.ubyte").write_bytes(idx(0x803, 1, 28, 28, data=content[start : start + 784]))
    done = run("-m", LENET, "-i", tmp_path, "-nt", "1", prefix=with_open_files(256), timeout=20)
    assert (done.returncode, done.stderr) == (0, "")
    expected = [(f"{tmp_path}/{number:04}.ubyte[0]", [number % 10]) for number in range(1_100)]
    assert [(name, top_ids(rows)) for name, rows in tables(done.stdout)] == expected


def test_hardly_any_files_may_be_open():
    """Besides the standard streams five or three: each image has a table or a warning, or one line says why not."""
    counts = (8, 6)
    for done in at_once(
        lambda count: run("-m", LENET, "-i", DIGITS, prefix=with_open_files(count), timeout=20), counts
    ):
        missing = 10 - len(tables(done.stdout))
        assert done.returncode == (missing > 0)
        warning = rf"\[ WARNING \] {re.escape(str(DIGITS))}(\[\d\])?: Too many open files\n"
        error = r"\[ ERROR \] Cannot [^\n]+: Too many open files[^\n]*\n"
        assert re.fullmatch(rf"{error}|({warning}){{{missing}}}|{warning}", done.stderr) or not missing, done.stderr


def test_with_verbose_an_error_shows_its_traceback(tmp_path):
    none = tmp_path / "none.xml"
    line = f"[ ERROR ] Cannot read {none}: No such file or directory\n"
    assert fails_with_one_line("-m", none, "-i", DIGITS) == line
    done = run("-m", none, "-i", DIGITS, "-v")
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback (most recent call last):\n") and done.stderr.endswith("\n" + line)
    assert "\nFileNotFoundError: " in done.stderr and ", in classify_images\n" in done.stderr


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("numbers")
    return folder / "numbers.xml", save_numbered_images(folder, 60_000)


def test_60000_images_each_with_its_own_answer(numbers):
    model, images = numbers
    done = run("-m", model, "-i", images, "-nt", "2", "-b", "32", "-nireq", "4", "--infer_precision", "f32")
    assert done.returncode == 0
    assert wrong_answers(done.stdout, images, 60_000) == 0


def test_each_answer_at_its_image_with_single_image_requests(tmp_path, numbers):
    images = save_numbered_images(tmp_path, 5_000)
    done = run(
        "-m", numbers[0], "-i", images, "-nt", "2", "-b", "1", "-nireq", "4", "-ni", "2", "--infer_precision", "f32"
    )
    assert done.returncode == 0
    assert wrong_answers(done.stdout, images, 5_000) == 0


def test_model_files(tmp_path):
    text, cut, no_bin, cut_bin, empty = (
        tmp_path / name for name in ("text.xml", "cut.xml", "no_bin.xml", "cut_bin.xml", "empty.onnx")
    )
    text.write_text("no model at all\n" * 100)
    xml, weights = EFFICIENTNET.read_bytes(), EFFICIENTNET.with_suffix(".bin").read_bytes()
    cut.write_bytes(xml[: len(xml) // 2])
    cut.with_suffix(".bin").write_bytes(weights)
    no_bin.write_bytes(xml)
    cut_bin.write_bytes(xml)
    cut_bin.with_suffix(".bin").write_bytes(weights[: len(weights) // 2])
    empty.touch()
    paths = (tmp_path / "none.xml", text, cut, no_bin, cut_bin, empty, PHOTOS[0], tmp_path)
    for path in paths:
        fails_with_one_line("-m", path, "-i", PHOTOS[0], naming=[path])


def test_models_with_two_inputs_or_outputs(tmp_path):
    left, right = (ops.parameter([1, 3, 8, 8], np.float32, name=name) for name in ("left", "right"))
    ov.save_model(ov.Model([channel_means(ops.add(left, right))], [left, right]), tmp_path / "inputs.xml")
    outputs = save_model(
        tmp_path / "outputs.xml", lambda image: [channel_means(image), channel_means(ops.negative(image))]
    )
    sentence = "Models with only 1 input and output are supported"
    fails_with_one_line("-m", tmp_path / "inputs.xml", "-i", PHOTOS[0], naming=[sentence, "not 2 and 1"])
    fails_with_one_line("-m", outputs, "-i", PHOTOS[0], naming=[sentence, "not 1 and 2"])


@pytest.mark.parametrize(
    "shape, named",
    [
        ((1, 3), "[1,3]"),
        ((3, 8, 8), "[3,8,8]"),
        ((1, 3, 1, 8, 8), "[1,3,1,8,8]"),
        ((1, 4, 8, 8), "only 1 or 3 channels are supported"),
    ],
    ids=str,
)
def test_inputs_that_are_no_images(tmp_path, shape, named):
    model = save_model(tmp_path / "model.xml", lambda image: ops.reshape(image, np.array([1, -1]), False), shape)
    fails_with_one_line("-m", model, "-i", PHOTOS[0], naming=[named])


def test_integer_output(tmp_path, picture):
    def classified(element_type):
        path = tmp_path / f"{element_type.__name__}.xml"
        model = save_model(path, lambda image: ops.convert(channel_means(image), element_type))
        return run("-m", model, "-i", picture)

    for element_type in (np.int32, np.int64):
        done = classified(element_type)
        assert done.returncode == 0
        assert tables(done.stdout) == [(str(picture), [(0, 200, None), (1, 100, None), (2, 40, None)])]
        assert warnings(done) == ["The model's outputs are not probabilities (40 to 200)"]
    done = classified(np.uint8)  # of 256
    assert tables(done.stdout) == [(str(picture), [(0, 0.78125, None), (1, 0.390625, None), (2, 0.15625, None)])]
    assert warnings(done) == ["The model's outputs do not add up to 1 (1.32812 to 1.32812)"]


def test_nan_never_ranks_above_a_number(tmp_path):
    """Log of -1, 0 and 1 at classes 0, 1, 2 and again: NaN, -inf, 0."""
    constants = np.array([[-1, 0, 1, -1, 0, 1]], np.float32)

    def build(image):
        zero = ops.multiply(ops.reduce_mean(image, np.array([1, 2, 3])), np.float32(0))
        return ops.log(ops.add(ops.unsqueeze(zero, np.array(1)), constants))

    done = run("-m", save_model(tmp_path / "nan.xml", build), "-i", PHOTOS[0], "--infer_precision", "f32")
    assert done.returncode == 0
    assert warnings(done) == [
        "The model's outputs contain NaN: check mean and scale values, or try --infer_precision f32"
    ]
    [(_, rows)] = tables(done.stdout)
    assert top_ids(rows) == [2, 5, 1, 4, 0, 3]
    assert [str(row[1]) for row in rows] == ["0.0", "0.0", "-inf", "-inf", "nan", "nan"]


@pytest.mark.parametrize(
    "content, expected, counted",
    [
        (b"one\n", ["one", None, None], 1),
        (b"one\ntwo\nthree\nfour\n", ["one", "two", "three"], 4),
        (b"", [None, None, None], 0),
        (b"\n\n\n", [None, None, None], 0),
        (b"one\n\nthree\n\n", ["one", None, "three"], None),
        (b"one\r\ntwo\r\nthree\r\n", ["one", "two", "three"], None),
        (b"one\rtwo\rthree\r", ["one", "two", "three"], None),
        (codecs.BOM_UTF8 + b"one\ntwo\nthree", ["one", "two", "three"], None),
        (b"\xe9\ntwo\nthree", ["\udce9", "two", "three"], None),
    ],
    ids=["few", "many", "empty", "blank", "blank-line", "crlf", "cr", "bom", "latin-1"],
)
def test_label_files(tmp_path, channel_model, content, expected, counted):
    labels = tmp_path / "labels.txt"
    labels.write_bytes(content)
    done = run("-m", channel_model, "-i", PHOTOS[0], "--softmax", "--labels", labels)
    assert done.returncode == 0
    [(_, rows)] = tables(done.stdout)
    assert {class_id: label for class_id, _, label in rows} == dict(enumerate(expected))
    assert warnings(done) == ([] if counted is None else [f"{labels} has {counted} labels, the model 3 classes"])


def test_label_files_that_are_none(tmp_path, channel_model):
    utf16 = tmp_path / "utf16.txt"
    utf16.write_text("one\ntwo\nthree\n", encoding="utf-16")
    for path in (utf16, tmp_path):
        fails_with_one_line("-m", channel_model, "-i", PHOTOS[0], "--labels", path, naming=["labels", path])


def test_a_batch_that_does_not_fit_into_memory():
    line = fails_with_one_line("-m", LENET, "-i", DIGITS, "-b", "2000000000")
    assert line.startswith("[ ERROR ] Cannot read images in batches of 2000000000: ")


@pytest.mark.parametrize("option", ["-b", "-nireq", "-ni", "-nt"])
def test_numbers_beyond_what_openvino_takes_are_usage_errors(option):
    done = run("-m", LENET, "-i", DIGITS, option, str(10**18))
    assert (done.returncode, done.stdout) == (2, "")
    [line] = [line for line in done.stderr.splitlines() if "error" in line]
    smallest = 0 if option == "-nireq" else 1
    assert line.endswith(f": must be an integer from {smallest} to {2**31 - 1}, not '{10**18}'")


def test_failure_inside_inference(failing_model, tmp_path):
    dark = tmp_path / "dark.png"
    cv2.imwrite(str(dark), np.full((8, 8, 3), 3, np.uint8))
    classify("-m", failing_model, "-i", dark, stderr=NO_PROBABILITIES)
    for images in ([PHOTOS[0]], [PHOTOS[0]] * 50, [dark] * 20 + [PHOTOS[0]] * 20):
        done = run_process("-m", failing_model, "-i", *images, "-b", "1", "-nireq", "4", timeout=20)
        assert done.returncode == 1
        assert re.search(r"^\[ ERROR \] Inference failed: .+$", done.stderr, flags=re.M)
        assert done.stderr.count("[ ERROR ]") == 1 and "Traceback" not in done.stderr


def test_failure_inside_the_callback():
    """As a program: test_copying.py has it several times, for what it does to the process."""
    program = f"""
import sys, openvino as ov, classification_sample_async as sample
{FAILING_CALLBACK}
sys.exit(sample.main(sys.argv[1:]))
"""

    def failed(options):
        done = run_python("-c", program, "-m", LENET, "-i", DIGITS, *options, timeout=20)
        return done.returncode, tables(done.stdout), done.stderr

    options = [(), ("-b", "1", "-nireq", "3", "-ni", "5")]
    assert at_once(failed, options) == [(1, [], "[ ERROR ] Inference failed: no memory for the output\n")] * 2


def test_results_that_wait_for_a_slow_one_are_bounded():
    """A model that multiplies matrices as often as its input says; the first image is a thousand times as slow."""
    image, matrix = ops.parameter([1, 1], np.float32), ops.parameter([150, 150], np.float32)
    product = ops.tanh(ops.matmul(matrix, matrix, False, False))
    always = ops.constant(np.array(True))
    loop = ops.loop(ops.squeeze(ops.convert(image, np.int32), np.array([0, 1])), always)
    loop.set_function(ov.Model([product, ops.constant(np.array(True))], [matrix]))
    loop.set_special_body_ports([-1, 1])
    start = ops.constant(np.full((150, 150), 0.001, np.float32))
    loop.set_merged_input(matrix, start.output(0), product.output(0))
    model = ov.Model([loop.get_iter_value(product.output(0), -1)], [image])
    queue = ov.AsyncInferQueue(ov.Core().compile_model(model, "CPU", {"NUM_STREAMS": "2"}), 4)
    taken = []

    def inputs():
        for number in range(1000):
            taken.append(number)
            yield number, np.full((1, 1), 1 if number else 3000, np.float32)

    results = sample.infer_in_order(queue, inputs())
    assert next(results)[0] == 0
    assert 4 < len(taken) <= 4 * 8 + 1
    assert [number for number, _ in results] == list(range(1, 1000))


def test_head_ends_it_quietly():
    done = subprocess.run(
        f"{sys.executable} {SCRIPT} -m {LENET} -i {DIGITS} {DIGITS} {DIGITS} | head -3",
        shell=True, capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    assert (done.stdout.count("\n"), done.stderr) == (3, "")


def start_until_it_imports(*args, prefix=()):
    """Starts the script and waits until it loads OpenCV: by then it has dealt with SIGINT."""
    process = subprocess.Popen(
        [*prefix, sys.executable, SCRIPT, *args], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None and "/cv2" not in Path(f"/proc/{process.pid}/maps").read_text():
        time.sleep(0.001)
    return process


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux's /proc")
@pytest.mark.parametrize("delay", [0, 0.1, 0.2, 0.35, 0.6])
def test_ctrl_c_at_any_moment(good_and_damaged, delay):
    _, good = good_and_damaged
    process = start_until_it_imports("-m", EFFICIENTNET, "-i", *[good] * 20, "-ni", "1000")
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    _, printed = process.communicate(timeout=2)
    assert (process.returncode, printed) == (-signal.SIGINT, "")


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux's /proc")
def test_ctrl_c_is_ignored_where_the_parent_ignores_it():
    """As behind nohup, or in the background of a shell script."""
    ignoring = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"]
    process = start_until_it_imports("-m", LENET, "-i", DIGITS, prefix=ignoring)
    process.send_signal(signal.SIGINT)
    _, printed = process.communicate(timeout=20)
    assert (process.returncode, printed) == (0, "")


def test_eight_runs_at_once():
    command = [sys.executable, SCRIPT, "-m", EFFICIENTNET, "-i", DATA / "images"]
    alone = subprocess.run(command, capture_output=True, timeout=60).stdout
    together = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(8)]
    for process in together:
        assert process.communicate(timeout=100) == (alone, b"")
        assert process.returncode == 0
