"""What `-i` takes: files, folders and IDX files, and the pixels that come of them."""

import gzip
import os
import shutil
import struct
import sys
import zlib

import cv2
import numpy as np
import pytest
from helpers import (
    DIGITS,
    LENET,
    PHOTOS,
    by_class,
    channel_means,
    error_line,
    idx,
    run,
    run_process,
    save_model,
    tables,
    values,
    warning_lines,
)

import classification_sample_async as sample


def classified(done):
    """The names, without their folders, of the images that have a table."""
    return [os.path.basename(name) for name, _ in tables(done.stdout)]


def png(height, width, colour_type, rows, *chunks):
    """Returns a PNG file of 8 bits, with (kind, data) `chunks` after its header."""
    header = struct.pack(">2I5B", width, height, 8, colour_type, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    content = b"\x89PNG\r\n\x1a\n"
    for kind, data in [(b"IHDR", header), *chunks, (b"IDAT", pixels), (b"IEND", b"")]:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        content += struct.pack(">I", len(data)) + kind + data + checksum
    return content


def encoded(suffix, pixels, *parameters):
    return cv2.imencode(suffix, pixels, parameters)[1].tobytes()


def column_means(image):
    """What `save_model` builds a model of that scores the means of the columns."""
    return channel_means(image, axes=(1, 2))


@pytest.fixture
def folder(tmp_path, picture):
    """A folder with one image, z.png."""
    (tmp_path / "folder").mkdir()
    shutil.copy(picture, tmp_path / "folder" / "z.png")
    return tmp_path / "folder"


# Folders


def test_a_folder_is_sorted_without_hidden_files_and_subfolders(folder, softmax_model, picture):
    (folder / "inner.png").mkdir()
    for name in ("b.bmp", "a.png", "C.PNG", ".hidden.png", "._b.bmp", "inner.png/a.png"):
        shutil.copy(picture, folder / name)
    (folder / ".DS_Store").touch()
    done = run("-m", softmax_model, "-i", folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert classified(done) == ["C.PNG", "a.png", "b.bmp", "z.png"]


def test_what_a_folder_holds_besides_images_is_named_in_one_warning(folder, softmax_model):
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)
    others = {"notes.txt": b"text", "photo.heic": heic, "train-labels": idx(0x801, 1, data=b"7")}
    for name, content in others.items():
        (folder / name).write_bytes(content)
    done = run("-m", softmax_model, "-i", folder)
    assert (done.returncode, classified(done)) == (0, ["z.png"])
    [warning] = warning_lines(done)
    for part in (str(folder), "3", *others):
        assert part in warning


def test_of_many_files_that_are_no_images_only_some_are_named(folder, softmax_model):
    for number in range(400):
        (folder / f"{number}.txt").touch()
    [warning] = warning_lines(run("-m", softmax_model, "-i", folder))
    assert "400" in warning
    assert len(warning) < len(str(folder)) + 200


def test_an_image_in_a_folder_is_known_by_its_content(folder, softmax_model):
    for name in ("no-suffix", "wrong.txt"):
        shutil.copy(PHOTOS[0], folder / name)
    (folder / "digits").write_bytes(idx(0x803, 1, 2, 2, data=bytes(4)))
    done = run("-m", softmax_model, "-i", folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert classified(done) == ["digits[0]", "no-suffix", "wrong.txt", "z.png"]


def test_a_folder_without_images_is_a_warning_that_names_it(tmp_path, softmax_model, picture):
    for name in ("empty", "classes/cat"):
        (tmp_path / name).mkdir(parents=True)
    shutil.copy(picture, tmp_path / "classes" / "cat")
    inputs = (tmp_path / "empty", tmp_path / "classes", tmp_path / "classes" / "cat")
    done = run("-m", softmax_model, "-i", *inputs)
    assert (done.returncode, classified(done)) == (0, [picture.name])
    [empty, classes] = warning_lines(done)
    assert f"{inputs[0]}:" in empty
    assert f"{inputs[1]}:" in classes


def test_no_image_at_all_is_an_error(tmp_path, softmax_model):
    assert "images" in error_line("-m", softmax_model, "-i", tmp_path)


# Files that cannot be read


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no image",
        PHOTOS[0].read_bytes()[:20_000],
        png(60_000, 60_000, 2, []),
        gzip.compress(b"an image"),
        idx(0x801, 3, data=b"\1\2\3"),
        idx(0x803, 3, 2, 2, data=bytes(11)),
        idx(0x803, 3, 2, 2, data=bytes(13)),
        idx(0x803, 0, 28, 28),
        idx(0x803, 3, 2)[:10],
    ],
    ids=[
        "empty", "text", "truncated JPEG", "too many pixels", "gzip", "IDX of labels",
        "IDX too short", "IDX too long", "IDX of no image", "IDX without a whole header",
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_one_warning_and_the_others_are_classified(
    tmp_path, softmax_model, picture, content
):
    assert PHOTOS[0].suffix == ".jpg"
    damaged = tmp_path / "damaged.jpg"
    damaged.write_bytes(content)
    done = run("-m", softmax_model, "-i", PHOTOS[1], damaged, picture)
    assert (done.returncode, classified(done)) == (1, [PHOTOS[1].name, picture.name])
    [warning] = warning_lines(done)
    assert warning.startswith(f"[ WARNING ] {damaged}: ")


@pytest.mark.skipif(os.name != "posix", reason="Windows has other permissions")
def test_an_image_without_permission_is_one_warning(folder, softmax_model):
    """Root may read everything, so it gives that up for the run."""
    as_root = os.geteuid() == 0
    if as_root and not shutil.which("setpriv"):
        pytest.skip("root cannot give up its rights without setpriv")
    shutil.copy(PHOTOS[0], folder / "closed.jpg")
    (folder / "closed.jpg").chmod(0)
    prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if as_root else []
    done = run_process("-m", softmax_model, "-i", folder, prefix=prefix)
    assert (done.returncode, classified(done)) == (1, ["z.png"])
    [warning] = warning_lines(done)
    assert f"{folder / 'closed.jpg'}: " in warning


# IDX files


def test_an_idx_file_is_known_by_its_content_and_its_images_have_numbers(tmp_path):
    for name in ("digits", "digits.png"):
        shutil.copy(DIGITS, tmp_path / name)
        done = run("-m", LENET, "-i", tmp_path / name, "-nt", "1")
        assert (done.returncode, done.stderr) == (0, "")
        assert [(image, rows[0][0]) for image, rows in tables(done.stdout)] == [
            (f"{tmp_path / name}[{digit}]", digit) for digit in range(10)
        ]


def test_an_idx_image_is_gray_in_all_channels_and_resized(tmp_path, channel_model):
    digits = tmp_path / "two.ubyte"
    digits.write_bytes(idx(0x803, 2, 4, 5, data=bytes([10] * 20 + [200] * 20)))
    expected = [dict.fromkeys(range(3), value) for value in (10, 200)]
    assert values("-m", channel_model, "-i", digits) == expected


# Pixels

COLOUR = np.full((8, 8, 3), (200, 100, 40), np.uint8)  # B, G, R
ALPHA = np.full((8, 8, 1), 7, np.uint8)
GRAY = np.full((8, 8), 90, np.uint8)
PALETTE = (b"PLTE", bytes([1, 2, 3, 40, 100, 200]))  # R, G, B
KINDS = {
    "PNG": (".png", encoded(".png", COLOUR), [200, 100, 40]),
    "BMP": (".bmp", encoded(".bmp", COLOUR), [200, 100, 40]),
    "16 bits": (".png", encoded(".png", COLOUR.astype(np.uint16) * 256 + 120), [200, 100, 40]),
    "alpha": (".png", encoded(".png", np.dstack([COLOUR, ALPHA])), [200, 100, 40]),
    "palette": (".png", png(8, 8, 3, [b"\1" * 8] * 8, PALETTE), [200, 100, 40]),
    "gray": (".png", encoded(".png", GRAY), [90, 90, 90]),
    "gray of 16 bits": (".png", encoded(".png", GRAY.astype(np.uint16) * 256 + 120), [90, 90, 90]),
}


@pytest.mark.parametrize("suffix, content, expected", KINDS.values(), ids=KINDS)
def test_a_three_channel_model_gets_the_colours(tmp_path, channel_model, suffix, content, expected):
    image = tmp_path / f"image{suffix}"
    image.write_bytes(content)
    [found] = values("-m", channel_model, "-i", image)
    assert found == by_class(expected)


HALVES = np.full((8, 8, 3), (10, 10, 250), np.uint8)  # B, G, R
HALVES[:, 4:] = (240, 10, 10)
RGB_ROWS = [row.tobytes() for row in HALVES[:, :, ::-1]]
COLOUR_SPACE = (b"sRGB", b"\0"), (b"gAMA", struct.pack(">I", 45455))
GRAY_KINDS = {
    "plain PNG": (png(8, 8, 2, RGB_ROWS), 0),
    "PNG with sRGB": (png(8, 8, 2, RGB_ROWS, *COLOUR_SPACE), 0),
    "BMP": (encoded(".bmp", HALVES), 0),
    # Its colours in full resolution: else the halves run into each other
    "JPEG": (encoded(".jpg", HALVES, cv2.IMWRITE_JPEG_QUALITY, 100,
                     cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444), 2),
}  # fmt: skip


@pytest.fixture(scope="module")
def gray_model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "gray.xml"
    return save_model(path, column_means, (1, 1, 8, 8))


@pytest.mark.parametrize("content, tolerance", GRAY_KINDS.values(), ids=GRAY_KINDS)
def test_a_one_channel_model_gets_the_gray_of_the_colours(tmp_path, gray_model, content, tolerance):
    """0.299 R + 0.587 G + 0.114 B is 81.76 on the left, and 36.22 on the right."""
    image = tmp_path / "image.png"
    image.write_bytes(content)
    [found] = values("-m", gray_model, "-i", image)
    assert found == by_class([82] * 4 + [36] * 4, abs=tolerance + 1e-3)


def test_a_photo_is_turned_as_its_exif_block_says(tmp_path):
    """Its upper half is white: seen turned by 90 degrees clockwise, that is the right half."""
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:8] = 255
    jpeg = encoded(".jpg", pixels)
    block = b"Exif\0\0" + struct.pack("<2sHI3H2LI", b"II", 42, 8, 1, 274, 3, 1, 6, 0)
    photo = tmp_path / "turned.jpg"
    photo.write_bytes(jpeg[:2] + struct.pack(">2H", 0xFFE1, len(block) + 2) + block + jpeg[2:])
    [found] = values("-m", save_model(tmp_path / "model.xml", column_means), "-i", photo)
    assert found == by_class([0] * 4 + [255] * 4, abs=1)


def test_a_file_name_need_not_be_ascii(folder, channel_model):
    image = folder / "Größe 中.png"
    (folder / "z.png").rename(image)
    expected = [by_class([200, 100, 40])]
    assert values("-m", channel_model, "-i", image) == expected
    assert values("-m", channel_model, "-i", folder) == expected


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_file_name_need_not_be_utf_8(folder, softmax_model):
    """In a process of its own: OpenCV could end it."""
    (folder / "z.png").rename(folder / os.fsdecode(b"\xff.png"))
    done = run_process("-m", softmax_model, "-i", folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert classified(done) == [r"\udcff.png"]


def test_decode_raises_what_its_docstring_says(tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(FileNotFoundError):
        sample.decode(str(tmp_path / "none.png"))
    for name in ("empty.png", "text.png"):
        with pytest.raises(ValueError):
            sample.decode(str(tmp_path / name))
