"""What is decoded, and how far ahead: the same pixels as `cv2.imread` and `cv2.resize` with defaults, in any order."""

import os
import pty
import random
import struct
import sys
import threading
import time
import zlib
from itertools import count

import cv2
import numpy as np
import pytest
from helpers import DIGITS, LENET, NO_PROBABILITIES, SCRIPT, classify, fails_with_one_line, run, save_model
from openvino import opset13 as ops

import classification_sample_async as sample


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Two sizes, colour and gray, alpha, 16 bits, a turned photo, a black one; and damaged ones among them."""
    folder = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    for size in ((40, 60), (64, 48)):
        name = "x".join(map(str, size))
        colour = cv2.resize(generator.integers(0, 256, (8, 8, 3), np.uint8), size[::-1], interpolation=cv2.INTER_CUBIC)
        written = {
            "colour.jpg": colour,
            "colour.png": colour,
            "colour.tiff": colour,
            "gray.png": colour[:, :, 0],
            "alpha.png": np.dstack([colour, colour[:, :, :1]]),
            "deep.png": colour.astype(np.uint16) * 257,
            "white.bmp": np.full_like(colour, 255),
            "black.bmp": np.zeros_like(colour),
        }
        for kind, pixels in written.items():
            assert cv2.imwrite(str(folder / f"{name}-{kind}"), pixels)
        for kind in ("colour.jpg", "colour.png", "colour.tiff", "white.bmp"):
            data = (folder / f"{name}-{kind}").read_bytes()
            (folder / f"{name}-short-{kind}").write_bytes(data[: len(data) * 2 // 3])
            (folder / f"{name}-no-header-{kind}").write_bytes(data[:12])
        jpeg = (folder / f"{name}-colour.jpg").read_bytes()
        # an Exif block with the one tag Orientation = 6: to be turned by 90 degrees
        tiff = b"II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00"
        block = b"Exif\x00\x00" + tiff
        exif = b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block
        (folder / f"{name}-turned.jpg").write_bytes(jpeg[:2] + exif + jpeg[2:])
    return folder


def whole(path):
    return "short" not in path.name and "no-header" not in path.name


@pytest.mark.parametrize("flags", [cv2.IMREAD_COLOR, cv2.IMREAD_GRAYSCALE])
def test_decode_equals_imread_in_any_order(pictures, flags):
    paths = sorted(pictures.iterdir()) * 8
    random.Random(0).shuffle(paths)
    buffer = None
    turned = cv2.imread(str(pictures / "40x60-turned.jpg"))
    assert turned.shape == (60, 40, 3), "the Exif block is right"
    for path in paths:
        expected = cv2.imread(str(path), flags)
        if expected is None:
            with pytest.raises(ValueError):
                sample.decode(str(path), flags, buffer)
        else:
            buffer = sample.decode(str(path), flags, buffer)
            if whole(path):
                assert np.array_equal(buffer, expected), path.name


@pytest.mark.parametrize("kind", ["jpg", "png", "tiff"])
def test_in_a_damaged_file_the_image_before_it_does_not_show(pictures, kind):
    """A file that ends early, after a white picture of its size and after a black one."""
    decoded = []
    for before in ("white", "black"):
        buffer = sample.decode(str(pictures / f"40x60-{before}.bmp"))
        try:
            decoded.append(sample.decode(str(pictures / f"40x60-short-colour.{kind}"), buffer=buffer))
        except ValueError:
            decoded.append(None)
    assert (decoded[0] is None) == (decoded[1] is None)
    assert decoded[0] is None or np.array_equal(*decoded)


def test_tables_hold_the_pixels_of_imread_and_resize(pictures, tmp_path):
    """A model whose 192 scores are its input's pixels, so that the tables say what was decoded."""
    model = save_model(
        tmp_path / "pixels.xml",
        lambda image: ops.reshape(image, np.array([-1, 192]), False),
    )
    paths = [path for path in sorted(pictures.iterdir()) if whole(path)] * 5
    random.Random(1).shuffle(paths)
    results = classify("-m", model, "-i", *paths, "-nt", "192", "--infer_precision", "f32", stderr=NO_PROBABILITIES)
    assert [name for name, _ in results] == list(map(str, paths))
    for path, (_, rows) in zip(paths, results):
        expected = cv2.resize(cv2.imread(str(path)), (8, 8)).transpose(2, 0, 1).ravel()
        values = np.empty(192)
        for class_id, score, _ in rows:
            values[class_id] = score
        assert np.array_equal(values, expected), path.name


def test_decode_says_what_is_wrong(tmp_path):
    with pytest.raises(FileNotFoundError):
        sample.decode(str(tmp_path / "none.png"))
    (tmp_path / "self.png").symlink_to("self.png")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        sample.decode(str(tmp_path / "self.png"))
    os.mkfifo(tmp_path / "fifo.png")
    for wrong in (tmp_path, tmp_path / "fifo.png", "/dev/zero"):
        with pytest.raises(ValueError, match=r"^is not a regular file$"):
            sample.decode(str(wrong))
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(ValueError, match=r"^cannot be decoded as an image$"):
        sample.decode(str(tmp_path / "text.png"))


def test_read_ahead_leaves_rows_without_an_item_zero():
    def read(item, row):
        row[:] = item

    batches = list(sample.read_ahead(range(1, 6), (3, 2, 2, 1), read))
    assert [items for items, _ in batches] == [[1, 2, 3], [4, 5]]
    assert [tensor.data.max(axis=(1, 2, 3)).tolist() for _, tensor in batches] == [[1, 2, 3], [4, 5, 0]]
    assert list(sample.read_ahead([], (3, 2, 2, 1), read)) == []


@pytest.mark.parametrize(
    "cores, batch_size, window",
    [(1, 8, 16), (2, 8, 16), (16, 8, 24), (64, 8, 72), (1, 1, 2), (2, 1, 3), (16, 1, 17), (64, 1, 65)],
)
def test_what_is_read_ahead_depends_on_cores_and_batch_size(monkeypatch, cores, batch_size, window):
    """And not on how many items there are: here they have no end."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(cores)))
    taken = []

    def items():
        for number in count():
            taken.append(number)
            yield number

    def read(number, row):
        row[:] = number % 256

    batches = sample.read_ahead(items(), (batch_size, 2, 2, 1), read)
    assert len(taken) == window
    for number in range(1, 6):
        batch, tensor = next(batches)
        assert batch == list(range(batch_size * (number - 1), batch_size * number))
        assert tensor.data[:, 0, 0, 0].tolist() == batch
        assert len(taken) == window + batch_size * number
    batches.close()
    assert len(taken) == window + batch_size * 5


@pytest.mark.parametrize("batch_size", [1, 8])
def test_while_the_first_batch_is_waited_for_each_core_has_an_item(monkeypatch, batch_size):
    """64 reads of 64 that each wait until all of them have begun."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(64)))
    all_reading = threading.Barrier(64)

    def read(number, row):
        if number < 64:
            all_reading.wait(timeout=10)

    batches = sample.read_ahead(range(1000), (batch_size, 2, 2, 1), read)
    assert next(batches)[0] == list(range(batch_size))
    batches.close()


class Reader:
    """Its `read` takes 20 ms; it keeps what was read, and the threads."""

    def __init__(self):
        self.threads = set()
        self.items = []

    def read(self, item, row):
        self.threads.add(threading.current_thread())
        time.sleep(0.02)
        self.items.append(item)


@pytest.mark.parametrize("started", [1, 0], ids=["after-the-first-batch", "before-the-first-batch"])
def test_closed_early_it_reads_no_more(monkeypatch, started):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0})
    reader = Reader()
    batches = sample.read_ahead(range(1000), (8, 2, 2, 1), reader.read)
    for _ in range(started):
        next(batches)
    batches.close()
    read = len(reader.items)
    assert read < 8 * started + 16, "what had been taken"
    assert not any(thread.is_alive() for thread in reader.threads)
    time.sleep(0.06)
    assert len(reader.items) == read


def test_no_thread_is_left_at_the_end():
    reader = Reader()
    batches = sample.read_ahead(range(5), (2, 2, 2, 1), reader.read)
    assert [batch for batch, _ in batches] == [[0, 1], [2, 3], [4]]
    assert reader.threads and not any(thread.is_alive() for thread in reader.threads)


def test_no_thread_is_left_after_an_error(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0})
    reader = Reader()

    def read(item, row):
        reader.read(item, row)
        if item == 3:
            raise KeyError(item)

    with pytest.raises(KeyError):
        list(sample.read_ahead(range(1000), (8, 2, 2, 1), read))
    assert not any(thread.is_alive() for thread in reader.threads)
    assert len(reader.items) < 24, "what had been taken"


def save_png_header(path, width, height):
    """A PNG with correct checksums that claims a size, and has no pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b""))
    return path


def test_opencv_says_why_an_image_is_not_decoded(tmp_path):
    huge = save_png_header(tmp_path / "huge.png", 60_000, 60_000)
    for buffer in (None, np.zeros((4, 4, 3), np.uint8)):
        with pytest.raises(ValueError) as caught:
            sample.decode(str(huge), buffer=buffer)
        assert str(caught.value) == "cannot be decoded as an image: pixels <= OPENCV_IO_MAX_IMAGE_PIXELS"
    done = run("-m", LENET, "-i", huge)
    assert (done.returncode, done.stdout.count("Image path")) == (1, 0)
    # The condition that does not hold, by the name of the environment variable that sets the limit, and without the
    # file and line of OpenCV's source that tests it.
    assert done.stderr == f"[ WARNING ] {huge}: cannot be decoded as an image: pixels <= OPENCV_IO_MAX_IMAGE_PIXELS\n"


def run_on_terminal(folder, stdout):
    """Standard error, which is a terminal, of a run whose standard output is a "terminal" or "null"."""
    terminal, its_end = pty.openpty()
    actions = {
        "terminal": (os.POSIX_SPAWN_DUP2, its_end, 1),
        "null": (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
    }
    arguments = [sys.executable, str(SCRIPT), "-m", str(LENET), "-i", str(folder), "-nt", "1"]
    child = os.posix_spawn(
        sys.executable, arguments, os.environ,
        file_actions=[actions[stdout], (os.POSIX_SPAWN_DUP2, its_end, 2)],
    )  # fmt: skip
    os.close(its_end)
    printed = b""
    while True:
        try:
            printed += os.read(terminal, 1 << 16)
        except OSError:  # the other end is closed
            break
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, printed
    return printed.decode()


def save_black_images(folder, count):
    for index in range(count):
        cv2.imwrite(str(folder / f"{index}.png"), np.zeros((8, 8), np.uint8))


def test_progress_of_many_images_on_a_terminal(tmp_path):
    save_black_images(tmp_path, 30)
    progress = run_on_terminal(tmp_path, "null")
    assert progress.endswith("\r30/30 images\r\n")
    assert progress.count("\n") == 1
    assert [int(step.split("/")[0]) for step in progress.strip().split("\r")] == [8, 16, 24, 30]
    assert "/30 images" not in run_on_terminal(tmp_path, "terminal")
    assert run("-m", LENET, "-i", tmp_path, "-nt", "1").stderr == ""


def test_no_progress_for_a_few_images(tmp_path):
    save_black_images(tmp_path, 5)
    assert run_on_terminal(tmp_path, "null") == ""


def test_a_batch_that_does_not_fit_into_memory():
    line = fails_with_one_line("-m", LENET, "-i", DIGITS, "-b", "2000000000")
    assert line.startswith("[ ERROR ] Cannot read images in batches of 2000000000: ")
