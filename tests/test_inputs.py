"""What `-i` takes: files, folders and IDX files, and the pixels that come of them."""

import os
import struct

import cv2
import numpy as np
from conftest import DATA, DIGITS, NO_PROBABILITIES, PHOTOS, classify, run

import classification_sample_async as sample


def test_files_and_folders_in_the_order_given(channel_model):
    results = classify("-m", channel_model, "-i", PHOTOS[3], DATA / "images", PHOTOS[1], PHOTOS[1], "--softmax")
    assert [name for name, _ in results] == [str(path) for path in [PHOTOS[3], *PHOTOS, PHOTOS[1], PHOTOS[1]]]


def test_the_option_given_twice_adds_up(channel_model):
    results = classify("-m", channel_model, "-i", PHOTOS[3], PHOTOS[0], "--softmax", "-i", PHOTOS[1])
    assert [name for name, _ in results] == [str(PHOTOS[number]) for number in (3, 0, 1)]


def test_a_folder_is_sorted_not_recursive_and_without_what_is_no_image(tmp_path, channel_model):
    pixels = np.full((4, 4, 3), 100, np.uint8)
    for name in ("b.png", "a.bmp", "C.JPG", "inner/z.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), pixels)
    (tmp_path / "no-suffix").write_bytes((tmp_path / "b.png").read_bytes())
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "empty").touch()
    results = classify("-m", channel_model, "-i", tmp_path, "--softmax")
    assert [os.path.basename(name) for name, _ in results] == ["C.JPG", "a.bmp", "b.png", "no-suffix"]


def test_an_idx_file_for_a_three_channel_model_is_gray_in_all_channels(tmp_path, channel_model):
    digits = tmp_path / "three.ubyte"
    digits.write_bytes(struct.pack(">4I", 0x803, 3, 4, 5) + bytes([10] * 20 + [20] * 20 + [30] * 20))
    results = classify("-m", channel_model, "-i", digits, "--infer_precision", "f32", stderr=NO_PROBABILITIES)
    assert results == [
        (f"{digits}[{index}]", [(class_id, value, None) for class_id in range(3)])
        for index, value in enumerate((10, 20, 30))
    ]


def test_idx_files_stand_beside_others(channel_model):
    results = classify("-m", channel_model, "-i", PHOTOS[0], DIGITS, PHOTOS[1], "--softmax")
    assert [name for name, _ in results] == [str(PHOTOS[0]), *[f"{DIGITS}[{i}]" for i in range(10)], str(PHOTOS[1])]


def test_an_idx_image_is_read_when_its_turn_comes(tmp_path):
    path = tmp_path / "some.ubyte"
    path.write_bytes(DIGITS.read_bytes())
    errors = {}
    images = sample.list_images(str(path), errors)
    os.truncate(path, 16 + 3 * 28 * 28)
    row = np.zeros((28, 28, 1), np.uint8)
    read = sample.image_reader((1, 28, 28, 1), None, errors)
    for image in images:
        read(image, row)
    assert errors == dict.fromkeys(images[3:], "missing: the file ends early")
    assert np.array_equal(row.ravel(), np.frombuffer(DIGITS.read_bytes(), np.uint8)[16 + 2 * 784 : 16 + 3 * 784])


def test_a_folder_without_images_is_an_error(tmp_path, channel_model):
    done = run("-m", channel_model, "-i", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"[ ERROR ] Cannot read the folder {tmp_path}: there are no images in it\n"
