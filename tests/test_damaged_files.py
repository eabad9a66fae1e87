"""Damaged files, of images and of models: a line says what is wrong; the others are classified."""

import re
import shutil
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers import (
    DIGITS,
    EFFICIENTNET,
    LENET,
    PHOTOS,
    classify,
    fails_with_one_line,
    idx,
    run,
    run_process,
    run_python,
    save_model,
    softmax_of_means,
    tables,
    top_ids,
    warnings,
)


@pytest.fixture(scope="module")
def good_and_damaged(tmp_path_factory):
    """20 good images, 757 damaged ones and, as a folder of its own, the good ones alone."""
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
            size = {".png": (16, ">II"), ".bmp": (18, "<II"), ".gif": (6, "<HH"), ".jpg": None}.get(
                suffix
            )
            if suffix == ".jpg":
                frame = re.search(rb"\xff[\xc0-\xc2]", data).start()
                data[frame + 5 : frame + 9] = struct.pack(">HH", 60_000, 60_000)
            elif size:
                struct.pack_into(size[1], data, size[0], 60_000, 60_000)
        elif kind == "other":
            suffix = {".png": ".jpg", ".jpg": ".png", ".bmp": ".tiff"}.get(suffix, ".bmp")
        return suffix, bytes(data)

    count = 0
    at_random, always_alike = (
        ("cut", "flip", "head", "zero", "cut", "flip", "zero"),
        ("empty", "huge", "other"),
    )
    for kind in (*at_random, *always_alike) * 2 + at_random * 7:
        for source in sources[: -1 if kind == "other" else None]:
            suffix, data = damage(kind, *source)
            (folder / f"{count:04}-{kind}{suffix}").write_bytes(data)
            count += 1
    assert count >= 500
    for number in range(20):
        photo = PHOTOS[number % len(PHOTOS)]
        shutil.copy(photo, folder / f"{number * 27:04}-good{photo.suffix}")
        shutil.copy(photo, good / f"{number * 27:04}-good{photo.suffix}")
    return folder, good


def test_hundreds_of_damaged_images_among_good_ones(tmp_path, good_and_damaged):
    """With a quick model, so that the time goes into decoding."""
    model = save_model(tmp_path / "shares.xml", softmax_of_means)
    folder, good = good_and_damaged
    options = ("-m", model, "-b", "8", "--infer_precision", "f32", "-i")
    done = run_process(*options, folder, timeout=100)
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

    expected = {Path(name).name: rows for name, rows in classify(*options, good)}
    of_good = {Path(name).name: rows for name, rows in found if "-good" in name}
    assert of_good.keys() == expected.keys()
    for name, rows in of_good.items():
        assert top_ids(rows) == top_ids(expected[name])
        assert [row[1] for row in rows] == pytest.approx(
            [row[1] for row in expected[name]], abs=1e-6
        )


def no_idx(*header):
    expected = "2051, count, height and width"
    return f": is not an IDX file of images: it begins with {list(header)}, not {expected}"


@pytest.mark.parametrize(
    "content, complaint",
    [
        (b"", no_idx()),
        (b"\x00\x00\x08\x03\x00", no_idx(2051)),
        (idx(2051, 10, 28), no_idx(2051, 10, 28)),
        (b"\xffnonsense, and a lot of it", no_idx(0xFF6E6F6E, 0x73656E73, 0x652C2061, 0x6E642061)),
        (PHOTOS[1].read_bytes(), no_idx(0x89504E47, 0x0D0A1A0A, 13, 0x49484452)),
        (idx(0x703, 1, 4, 4, data=bytes(16)), no_idx(0x703, 1, 4, 4)),
        (idx(0x801, 10, data=bytes(10)), no_idx(0x801, 10, 0, 0)),
        (idx(0xD04, 1, 3, 4, 4, data=bytes(192)), no_idx(0xD04, 1, 3, 4)),
        (idx(0xD03, 1, 4, 4, data=bytes(64)), no_idx(0xD03, 1, 4, 4)),
        (idx(0x804, 1, 3, 4, 4, data=bytes(48)), no_idx(0x804, 1, 3, 4)),
        (idx(0x803, 0, 28, 28), no_idx(2051, 0, 28, 28)),
        (idx(0x803, 10, 0, 0), no_idx(2051, 10, 0, 0)),
        (idx(0x803, 10, 0, 28), no_idx(2051, 10, 0, 28)),
        (idx(0x803, 10, 28, 0), no_idx(2051, 10, 28, 0)),
        (
            idx(0x803, *[2**32 - 1] * 3, data=bytes(100)),
            "[0..4294967294]: missing: the file ends early",
        ),
    ],
    ids=[
        "empty", "short-header", "no-width", "bad-magic", "png", "bad-type", "labels", "f32-4d",
        "f32", "4d", "no-images", "0x0", "0x28", "28x0", "gigantic",
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
    """At an image's end, and within one. As a program: a file mapped into memory would end it."""
    at_an_end, within = tmp_path / "at_an_end.ubyte", tmp_path / "within.ubyte"
    sizes = {str(at_an_end): 16 + 3 * 784, str(within): 16 + 4 * 784 + 100}
    for path in sizes:
        shutil.copy(DIGITS, path)
    program = f"""
import os, sys, classification_sample_async as sample
read_ahead = sample.read_ahead
def shrink_and_read_ahead(*arguments):
    for path, size in {sizes}.items():
        os.truncate(path, size)
    return read_ahead(*arguments)
sample.read_ahead = shrink_and_read_ahead
sys.exit(sample.main(sys.argv[1:]))
"""
    done = run_python("-c", program, "-m", LENET, "-i", *sizes, DIGITS, "-nt", "1", timeout=20)
    assert done.returncode == 1
    read = [*range(3), *range(4), *range(10)]
    assert [top_ids(rows) for _, rows in tables(done.stdout)] == [[digit] for digit in read]
    missing = [(at_an_end, number) for number in range(3, 10)] + [
        (within, number) for number in range(4, 10)
    ]
    assert warnings(done) == [
        f"{path}[{number}]: missing: the file ends early" for path, number in missing
    ]


def test_model_files(tmp_path):
    text, cut, no_bin, cut_bin, empty = (
        tmp_path / name
        for name in ("text.xml", "cut.xml", "no_bin.xml", "cut_bin.xml", "empty.onnx")
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
