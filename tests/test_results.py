"""Classes and probabilities, against paths that share nothing with the script but the model."""

import shutil
import subprocess
import sys

import cv2
import numpy as np
import openvino as ov
import pytest
from helpers import (
    DATA,
    DIGITS,
    EFFICIENTNET,
    LENET,
    PHOTOS,
    SCRIPT,
    classify,
    run,
    tables,
    top_ids,
)
from numbered import save_numbered_images, wrong_answers


def reference_probabilities(model_path, photo):
    """One image, synchronously, without PrePostProcessor: f32 [1,3,224,224], the model's input."""
    core = ov.Core()
    compiled = core.compile_model(
        core.read_model(model_path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    pixels = cv2.resize(cv2.imread(str(photo)), (224, 224))
    return compiled(pixels.astype(np.float32).transpose(2, 0, 1)[None])[0][0]


def test_photos_equal_a_synchronous_path_without_preprocessor():
    results = classify("-m", EFFICIENTNET, "-i", DATA / "images", "--infer_precision", "f32")
    assert [name for name, _ in results] == [str(photo) for photo in PHOTOS]
    for photo, (_, rows) in zip(PHOTOS, results):
        expected = reference_probabilities(EFFICIENTNET, photo)
        ids = sorted(range(1000), key=lambda class_id: (-expected[class_id], class_id))[:10]
        assert top_ids(rows) == ids
        assert [probability for _, probability, _ in rows] == pytest.approx(expected[ids], abs=1e-4)


def test_digits_are_0_to_9():
    results = classify("-m", LENET, "-i", DIGITS)
    assert [name for name, _ in results] == [f"{DIGITS}[{index}]" for index in range(10)]
    assert [top_ids(rows)[0] for _, rows in results] == list(range(10))


def test_lenet_equals_opencvs_own_onnx_runtime():
    network = cv2.dnn.readNetFromONNX(str(LENET))
    digits = (
        np.frombuffer(DIGITS.read_bytes()[16:], np.uint8).reshape(10, 1, 28, 28).astype(np.float32)
    )
    results = classify("-m", LENET, "-i", DIGITS, "--infer_precision", "f32")
    for digit, (_, rows) in zip(digits, results):
        network.setInput(digit[None])
        expected = network.forward().ravel()
        assert sorted(top_ids(rows)) == list(range(10))
        for class_id, probability, _ in rows:
            assert probability == pytest.approx(expected[class_id], abs=1e-4)


@pytest.fixture(scope="module")
def many_photos(tmp_path_factory):
    """11 files: above the limit on the batch, and no multiple of any batch that is tried."""
    folder = tmp_path_factory.mktemp("many")
    for index in range(11):
        photo = PHOTOS[index * index % len(PHOTOS)]
        shutil.copy(photo, folder / f"{index:02}{photo.suffix}")
    return folder


@pytest.fixture(scope="module")
def one_by_one(many_photos):
    return classify(
        "-m", EFFICIENTNET, "-i", many_photos, "-b", "1", "-nireq", "1", "--infer_precision", "f32"
    )


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-b", "5"),
        ("-b", "16"),
        ("-b", "2", "-nireq", "5"),
        ("-nireq", "7", "-b", "1", "-ni", "3"),
        ("-d", "BATCH:CPU"),
    ],
    ids=" ".join,
)
def test_tables_do_not_depend_on_batch_requests_or_iterations(many_photos, one_by_one, options):
    results = classify("-m", EFFICIENTNET, "-i", many_photos, "--infer_precision", "f32", *options)
    assert [name for name, _ in results] == [name for name, _ in one_by_one]
    for (name, rows), (_, expected) in zip(results, one_by_one):
        # Other batches add up in another order: 1e-6 apart at most, and classes that close may
        # change places.
        assert [probability for _, probability, _ in rows] == pytest.approx(
            [row[1] for row in expected], abs=2e-6
        ), name
        assert top_ids(rows)[0] == top_ids(expected)[0]


def test_runs_at_once_print_the_same_bytes_as_one_alone_whatever_completes_first(many_photos):
    """`tests/benchmark.py soak` has hundreds, on all kinds of devices."""
    arguments = ("-m", EFFICIENTNET, "-i", many_photos, "-b", "1", "-nireq", "6")
    alone = run(*arguments).stdout
    assert len(tables(alone)) == 11
    command = [sys.executable, SCRIPT, *arguments]
    together = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(4)
    ]
    for process in together:
        assert process.communicate(timeout=100) == (alone.encode(), b"")
        assert process.returncode == 0


@pytest.mark.parametrize(
    "count, batches", [(1, [1]), (8, [8]), (9, [5, 4]), (17, [6, 6, 5]), (33, [7, 7, 7, 7, 5])]
)
def test_the_batch_comes_from_the_image_count(many_photos, count, batches):
    photos = sorted(many_photos.iterdir()) * 3
    done = run("-m", LENET, "-i", *photos[:count], "-v", "-nt", "1")
    assert f"[ INFO ] Set batch size {batches[0]}\n" in done.stdout
    assert done.stdout.count(" async request execution\n") == len(batches)
    assert len(tables(done.stdout)) == count


@pytest.mark.parametrize(
    "count, options",
    [(3_000, ("-b", "32")), (1_000, ("-b", "1", "-ni", "2"))],
    ids=["batches", "one-by-one-and-twice"],
)
def test_thousands_of_images_each_with_its_own_answer(tmp_path, count, options):
    """`tests/benchmark.py long` has twenty times as many."""
    images = save_numbered_images(tmp_path, count)
    common = (
        "-m",
        tmp_path / "numbers.xml",
        "-i",
        images,
        "-nt",
        "2",
        "-nireq",
        "4",
        "--infer_precision",
        "f32",
    )
    done = run(*common, *options)
    assert done.returncode == 0
    assert wrong_answers(done.stdout, images, count) == 0
