"""What is decoded, and how far ahead: the same pixels as `cv2.imread` and `cv2.resize` with defaults, in any order."""

import os
import pty
import random
import sys
from functools import partial

import cv2
import numpy as np
import openvino as ov
import pytest
from conftest import LENET, NO_PROBABILITIES, SCRIPT, classify, run, save_model
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
    for wrong in (tmp_path / "none.png", tmp_path):
        with pytest.raises(OSError):
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


def test_no_more_is_read_ahead_than_two_batches(pictures):
    taken = []

    def images():
        for index in range(1000):
            taken.append(index)
            yield sample.Image(str(index), partial(sample.decode, str(pictures / "40x60-white.bmp")))

    batches = sample.read_ahead(images(), ov.Shape([4, 8, 8, 3]), sample.image_reader(channels=3))
    assert len(taken) == 4 * 2
    for count in range(1, 5):
        batch, tensor = next(batches)
        assert [image.name for image in batch] == [str(index) for index in range(4 * count - 4, 4 * count)]
        assert tensor.data.min() == 255
        assert len(taken) == 4 * (2 + count)
    batches.close()


def run_on_terminal(folder, stdout):
    """Standard error, which is a terminal, of a run whose standard output is a "terminal", "null" or "closed"."""
    terminal, its_end = pty.openpty()
    actions = {
        "terminal": (os.POSIX_SPAWN_DUP2, its_end, 1),
        "null": (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        "closed": (os.POSIX_SPAWN_CLOSE, 1),
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


def test_many_images_without_a_standard_output(tmp_path):
    save_black_images(tmp_path, 30)
    assert "ERROR" not in run_on_terminal(tmp_path, "closed")


def test_no_progress_for_a_few_images(tmp_path):
    save_black_images(tmp_path, 5)
    assert run_on_terminal(tmp_path, "null") == ""
