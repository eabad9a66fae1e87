"""What is decoded, and how far ahead.

The same pixels as `cv2.imread` and `cv2.resize` with defaults, in any order.
"""

import os
import pty
import random
import re
import struct
import sys
import threading
import time
import zlib
from itertools import count

import cv2
import numpy as np
import pytest
from helpers import (
    DIGITS,
    LENET,
    NO_PROBABILITIES,
    SCRIPT,
    classify,
    fails_with_one_line,
    run,
    save_model,
    tables,
    warnings,
)
from openvino import opset13 as ops

import classification_sample_async as sample


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Two sizes, colour and gray, alpha, 16 bits, a turned photo, a black one; and damaged ones."""
    folder = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    for size in ((40, 60), (64, 48)):
        name = "x".join(map(str, size))
        colour = cv2.resize(
            generator.integers(0, 256, (8, 8, 3), np.uint8),
            size[::-1],
            interpolation=cv2.INTER_CUBIC,
        )
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
        tiff = struct.pack("<2sHI3H2LI", b"II", 42, 8, 1, 274, 3, 1, 6, 0)
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
            decoded.append(
                sample.decode(str(pictures / f"40x60-short-colour.{kind}"), buffer=buffer)
            )
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
    results = classify(
        "-m", model, "-i", *paths, "-nt", "192", "--infer_precision", "f32", stderr=NO_PROBABILITIES
    )
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


def save_tiff(path, pixels, orientation=1):
    """Saves `pixels` [H,W] or [H,W,RGB], of any type, not compressed; returns the path."""
    height, width, channels = np.atleast_3d(pixels).shape
    data = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    sample_format = {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]
    long, short = 4, 3
    tags = [  # number, type, values; those with several values stand between the tags and the data
        (256, long, [width]), (257, long, [height]),
        (258, short, [8 * pixels.itemsize] * channels), (259, short, [1]),
        (262, short, [2 if channels == 3 else 1]), (273, long, [0]), (274, short, [orientation]),
        (277, short, [channels]), (278, long, [height]), (279, long, [len(data)]),
        (339, short, [sample_format] * channels),
    ]  # fmt: skip
    position = 8 + 2 + 12 * len(tags) + 4
    strip = position + (2 * 2 * channels if channels > 1 else 0)
    entries, apart = b"", b""
    for number, kind, values in tags:
        values = [strip] if number == 273 else values
        packed = struct.pack(f"<{len(values)}{'I' if kind == long else 'H'}", *values)
        if len(packed) > 4:
            apart, packed = apart + packed, struct.pack("<I", position + len(apart))
        entries += struct.pack("<2HI", number, kind, len(values)) + packed.ljust(4, b"\0")
    header = struct.pack("<2sHIH", b"II", 42, 8, len(tags))
    path.write_bytes(header + entries + bytes(4) + apart + data)
    return path


# By the TIFF specification: where the first row and the first column of what is stored are seen.
AS_SEEN = {
    1: lambda stored: stored,  # top, left
    2: lambda stored: stored[:, ::-1],  # top, right
    3: lambda stored: stored[::-1, ::-1],  # bottom, right
    4: lambda stored: stored[::-1],  # bottom, left
    5: lambda stored: stored.swapaxes(0, 1),  # left, top
    6: lambda stored: np.rot90(stored, -1),  # right, top: 90 degrees clockwise
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),  # right, bottom
    8: lambda stored: np.rot90(stored, 1),  # left, bottom: 90 degrees counterclockwise
}


@pytest.mark.parametrize("buffer_shape", [None, (4, 6, 3), (6, 4, 3), (5, 5, 3)], ids=str)
@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize("element_type", [np.uint8, np.uint16])
@pytest.mark.parametrize("orientation", AS_SEEN)
def test_a_tiff_is_turned_as_its_orientation_says(
    tmp_path, orientation, element_type, channels, buffer_shape
):
    """With a buffer of the size that is stored, of the one that is seen, another, and without."""
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, channels), np.uint8)
    stored = pixels.astype(element_type) * (np.iinfo(element_type).max // 255)
    tiff = save_tiff(
        tmp_path / "turned.tiff", stored if channels == 3 else stored[:, :, 0], orientation
    )
    expected = AS_SEEN[orientation](np.broadcast_to(pixels, (4, 6, 3)))[:, :, ::-1]
    buffer = None if buffer_shape is None else np.full(buffer_shape, 7, np.uint8)
    assert np.array_equal(sample.decode(str(tiff), buffer=buffer), expected)
    if channels == 1:
        buffer = None if buffer_shape is None else np.full(buffer_shape[:2], 7, np.uint8)
        assert np.array_equal(
            sample.decode(str(tiff), cv2.IMREAD_GRAYSCALE, buffer), expected[:, :, 0]
        )


def test_a_turned_tiff_between_others_is_classified(tmp_path, channel_model):
    """The means of its channels, R 40, G 100, B 200 in the file; its neighbours have both sizes."""
    pixels = np.full((8, 12, 3), (40, 100, 200), np.uint8)
    names = ["1.tif", "6.tif", "8.tif", "lying.png", "5.tif", "upright.png", "7.tif"]
    for name in names:
        if name[0].isdigit():
            save_tiff(tmp_path / name, pixels, int(name[0]))
    cv2.imwrite(str(tmp_path / "lying.png"), np.full((8, 12, 3), 50, np.uint8))
    cv2.imwrite(str(tmp_path / "upright.png"), np.full((12, 8, 3), 70, np.uint8))
    paths = [tmp_path / name for name in names]
    results = classify(
        "-m", channel_model, "-i", *paths, "--infer_precision", "f32", stderr=NO_PROBABILITIES
    )
    expected = {"lying.png": (50, 50, 50), "upright.png": (70, 70, 70)}
    assert [{row[0]: row[1] for row in rows} for _, rows in results] == [
        pytest.approx(dict(enumerate(expected.get(name, (200, 100, 40)))), abs=1e-3)
        for name in names
    ]


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize("type_name", ["float32", "float64", "int32", "uint32"])
def test_a_tiff_of_more_than_16_bits_gets_its_reason(tmp_path, type_name, channels, orientation):
    pixels = np.linspace(0, 1, 4 * 6 * channels).reshape(4, 6, channels).astype(type_name)
    tiff = save_tiff(
        tmp_path / "deep.tiff", pixels if channels == 3 else pixels[:, :, 0], orientation
    )
    for buffer in (None, np.full((4, 6, 3), 7, np.uint8), np.full((6, 4, 3), 7, np.uint8)):
        with pytest.raises(
            ValueError, match=rf"^holds pixels in {type_name}: 8 and 16 bits are supported$"
        ):
            sample.decode(str(tiff), buffer=buffer)


@pytest.mark.parametrize(
    "suffix", ["png", "jpg", "bmp", "tiff", "gif", "webp", "hdr", "jp2", "exr", "none"]
)
def test_empty_files_are_no_images(tmp_path, suffix):
    (tmp_path / f"empty.{suffix}").touch()
    for buffer in (None, np.full((4, 6, 3), 7, np.uint8)):
        with pytest.raises(ValueError, match=r"^cannot be decoded as an image$"):
            sample.decode(str(tmp_path / f"empty.{suffix}"), buffer=buffer)


def test_files_too_large_for_memory_are_warnings(tmp_path, channel_model, picture):
    """A million million bytes each, of which none is on the disk."""
    names = [f"sparse.{suffix}" for suffix in ("jpg", "tiff")]
    for name in names:
        (tmp_path / name).touch()
        os.truncate(tmp_path / name, 10**12)
    (tmp_path / "last.png").write_bytes(picture.read_bytes())
    paths = [*(tmp_path / name for name in names), tmp_path / "last.png"]
    done = run("-m", channel_model, "-i", *paths, "--softmax", timeout=30)
    assert (done.returncode, [name for name, _ in tables(done.stdout)]) == (
        1,
        [str(tmp_path / "last.png")],
    )
    assert warnings(done) == [f"{tmp_path / name}: cannot be decoded as an image" for name in names]


def test_read_ahead_leaves_rows_without_an_item_zero():
    def read(item, row):
        row[:] = item

    batches = list(sample.read_ahead(range(1, 6), (3, 2, 2, 1), read))
    assert [items for items, _ in batches] == [[1, 2, 3], [4, 5]]
    assert [tensor.data.max(axis=(1, 2, 3)).tolist() for _, tensor in batches] == [
        [1, 2, 3],
        [4, 5, 0],
    ]
    assert list(sample.read_ahead([], (3, 2, 2, 1), read)) == []


@pytest.mark.parametrize(
    "cores, batch_size, window",
    [
        (1, 8, 16),
        (2, 8, 16),
        (16, 8, 24),
        (64, 8, 72),
        (1, 1, 2),
        (2, 1, 3),
        (16, 1, 17),
        (64, 1, 65),
    ],
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


def test_closed_after_the_first_batch_it_reads_no_more(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0})
    reader = Reader()
    batches = sample.read_ahead(range(1000), (8, 2, 2, 1), reader.read)
    next(batches)
    batches.close()
    read = len(reader.items)
    assert read < 8 + 16, "what had been taken"
    assert not any(thread.is_alive() for thread in reader.threads)
    time.sleep(0.06)
    assert len(reader.items) == read


def test_closed_before_the_first_batch_it_reads_what_it_has_taken_and_ends(monkeypatch):
    """A generator that has not begun cannot end the threads at once; they do when it is gone."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0})
    reader = Reader()
    taken = []
    batches = sample.read_ahead(map_taken(taken, range(1000)), (8, 2, 2, 1), reader.read)
    batches.close()
    del batches
    deadline = time.monotonic() + 10
    while len(reader.items) < 16 or any(thread.is_alive() for thread in reader.threads):
        assert time.monotonic() < deadline, (reader.items, reader.threads)
        time.sleep(0.01)
    time.sleep(0.06)
    assert reader.items == taken == list(range(16))


def map_taken(taken, items):
    """Yields `items`, and notes in `taken` which were asked for."""
    for item in items:
        taken.append(item)
        yield item


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


TOO_LARGE = "cannot be decoded as an image: pixels <= OPENCV_IO_MAX_IMAGE_PIXELS"


def save_png_header(path, width, height):
    """A PNG with correct checksums that claims a size, and has no pixels."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = chunk(b"IHDR", struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )
    return path


def test_opencv_says_why_an_image_is_not_decoded(tmp_path):
    huge = save_png_header(tmp_path / "huge.png", 60_000, 60_000)
    for buffer in (None, np.zeros((4, 4, 3), np.uint8)):
        with pytest.raises(ValueError) as caught:
            sample.decode(str(huge), buffer=buffer)
        assert str(caught.value) == TOO_LARGE
    done = run("-m", LENET, "-i", huge)
    assert (done.returncode, done.stdout.count("Image path")) == (1, 0)
    # The condition that does not hold, by the name of the environment variable that sets the limit,
    # and without the file and line of OpenCV's source that tests it.
    assert done.stderr == f"[ WARNING ] {huge}: {TOO_LARGE}\n"


def with_size(kind, width, height):
    """A small image's file whose header claims another size."""
    if kind in ("ppm", "pgm"):
        return f"P{6 if kind == 'ppm' else 5}\n{width} {height}\n255\n".encode() + bytes(100)
    data = bytearray(cv2.imencode(f".{kind}", np.full((64, 48, 3), 100, np.uint8))[1].tobytes())
    position, form, sizes = {
        "bmp": (18, "<2i", (width, height)),
        "gif": (6, "<2H", (width, height)),
        "jpg": (
            re.search(rb"\xff[\xc0-\xc2]", data).start() + 5 if kind == "jpg" else 0,
            ">2H",
            (height, width),
        ),
        "ras": (4, ">2i", (width, height)),
    }[kind]
    struct.pack_into(form, data, position, *sizes)
    return bytes(data)


@pytest.mark.parametrize("kind", ["bmp", "gif", "jpg", "pgm", "ppm", "ras"])
def test_more_pixels_than_opencv_reads(tmp_path, kind):
    """40,000 x 40,000 is more than 2^30."""
    (tmp_path / f"huge.{kind}").write_bytes(with_size(kind, 40_000, 40_000))
    for flags, buffer in [
        (1, None),
        (1, np.full((4, 4, 3), 7, np.uint8)),
        (0, None),
        (0, np.full((4, 4), 7, np.uint8)),
    ]:
        with pytest.raises(ValueError) as caught:
            sample.decode(str(tmp_path / f"huge.{kind}"), flags, buffer)
        assert str(caught.value) == TOO_LARGE


@pytest.mark.parametrize("orientation", [1, 6])
def test_more_pixels_than_opencv_reads_in_a_tiff(tmp_path, orientation):
    tiff = save_tiff(tmp_path / "huge.tiff", np.zeros((4, 6, 3), np.uint8), orientation)
    data = bytearray(tiff.read_bytes())
    for position in (10, 22):  # of the tags of width and height; the value comes after 8 bytes
        struct.pack_into("<I", data, position + 8, 40_000)
    tiff.write_bytes(data)
    with pytest.raises(ValueError) as caught:
        sample.decode(str(tiff))
    assert str(caught.value) == TOO_LARGE


def test_the_limit_has_the_name_by_which_it_can_be_set(channel_model, picture):
    """The picture has 64 pixels."""
    [named] = re.findall(r"\w+$", TOO_LARGE)
    arguments = ("-m", channel_model, "-i", picture, "--softmax")
    done = run(*arguments, env={named: "63"})
    assert (done.returncode, warnings(done)) == (1, [f"{picture}: {TOO_LARGE}"])
    assert run(*arguments, env={named: "64"}).returncode == 0


def run_on_terminal(folder, stdout):
    """Standard error, a terminal, of a run whose standard output is a "terminal" or "null"."""
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
