"""Where labels come from, which of them win, and what a label file may look like."""

import codecs
import re

import numpy as np
import pytest
from helpers import (
    DATA,
    EFFICIENTNET,
    PHOTOS,
    channel_means,
    classify,
    fails_with_one_line,
    protobuf,
    run,
    save_model,
    tables,
    warnings,
)


def test_labels_beside_the_model_and_number_top():
    done = run("-m", EFFICIENTNET, "-i", DATA / "images" / "chelsea.png", "-nt", "3", "--infer_precision", "f32")
    assert done.returncode == 0
    table = done.stdout.splitlines()[5:11]
    assert table[:3] == [
        "[ INFO ] Top 3 results:", "[ INFO ] class_id probability label", "[ INFO ] --------------------------"
    ]  # fmt: skip
    # The figure is what `reference_probabilities` of test_results.py gives.
    assert re.fullmatch(r"\[ INFO \] 285      0\.785\d{4}   Egyptian cat", table[3])


def labels_of(model, picture, *options, stderr=""):
    [(_, rows)] = classify("-m", model, "-i", picture, "--softmax", *options, stderr=stderr)
    return {class_id: label for class_id, _, label in rows}


def test_label_files_with_and_without_wordnet_ids(tmp_path, channel_model):
    plain, wordnet = tmp_path / "plain.txt", tmp_path / "wordnet.txt"
    plain.write_text("tench, Tinca tinca\ngoldfish\nshark\n")
    wordnet.write_text("n01440764 tench, Tinca tinca\nn01443537 goldfish\nn01484850 shark")
    for labels in (plain, wordnet):
        assert labels_of(channel_model, PHOTOS[0], "--labels", labels) == {
            0: "tench, Tinca tinca",
            1: "goldfish",
            2: "shark",
        }


def not_as_many(source, count):
    """The warning for the channel model, which has 3 classes."""
    return (
        f"{source} has {count} labels, the model 3 classes: no label is printed. Expected: one label a line in "
        "class id order, without a header, and with 'background' only if it is a class"
    )


@pytest.mark.parametrize(
    "content, expected, counted",
    [
        (b"one\n", [None, None, None], 1),
        (b"one\ntwo\nthree\nfour\n", [None, None, None], 4),
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
    assert done.stdout.count("class_id probability label\n") == (counted is None)
    assert warnings(done) == ([] if counted is None else [not_as_many(labels, counted)])


def test_label_files_that_are_none(tmp_path, channel_model):
    utf16 = tmp_path / "utf16.txt"
    utf16.write_text("one\ntwo\nthree\n", encoding="utf-16")
    for path in (utf16, tmp_path):
        fails_with_one_line("-m", channel_model, "-i", PHOTOS[0], "--labels", path, naming=["labels", path])


def test_labels_beside_a_model_with_dots_in_its_name(tmp_path, picture):
    model = save_model(tmp_path / "fer.v1.0.xml", channel_means)
    (tmp_path / "fer.labels").write_text("of\nanother\nmodel\n")
    (tmp_path / "fer.v1.0.labels").write_text("blue\ngreen\nred\n")
    assert labels_of(model, picture) == {0: "blue", 1: "green", 2: "red"}


def save_saved_model(folder):
    """Saves TensorFlow's kind of model, a folder, whose scores for images [1,8,8,3] are the means of the channels."""

    def attribute(key, number, value):
        return 5, protobuf((1, key), (2, protobuf((number, value))))

    def shape(*sizes):
        return protobuf(*[(2, protobuf((1, size))) for size in sizes])

    def tensor_info(name, *sizes):
        return protobuf((1, name), (2, 1), (3, shape(*sizes)))

    axes = protobuf((1, 3), (2, shape(2)), (4, np.array([1, 2], np.int32).tobytes()))
    image = ((1, "image"), (2, "Placeholder"), attribute("dtype", 6, 1), attribute("shape", 7, shape(1, 8, 8, 3)))
    constant = ((1, "axes"), (2, "Const"), attribute("dtype", 6, 3), attribute("value", 8, axes))
    mean = ((1, "means"), (2, "Mean"), (3, "image"), (3, "axes"), attribute("T", 6, 1), attribute("Tidx", 6, 3))
    graph = protobuf(*[(1, protobuf(*node)) for node in (image, constant, mean)])
    signature = protobuf(
        (1, protobuf((1, "image"), (2, tensor_info("image:0", 1, 8, 8, 3)))),
        (2, protobuf((1, "means"), (2, tensor_info("means:0", 1, 3)))),
        (3, "tensorflow/serving/predict"),
    )
    meta_graph = protobuf(
        (1, protobuf((4, "serve"))), (2, graph), (5, protobuf((1, "serving_default"), (2, signature)))
    )
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(protobuf((1, 1), (2, meta_graph)))
    return folder


@pytest.mark.parametrize("ending", ["", "/", "/."])
def test_labels_beside_a_model_that_is_a_folder(tmp_path, picture, ending):
    """A folder's name has no suffix, dots or not."""
    folder = save_saved_model(tmp_path / "fer_v1.0")
    (tmp_path / "fer_v1.labels").write_text("of\nanother\nmodel\n")
    model = f"{folder}{ending}"
    assert labels_of(model, picture) == {0: None, 1: None, 2: None}
    (tmp_path / "fer_v1.0.labels").write_text("blue\ngreen\nred\n")
    assert labels_of(model, picture) == {0: "blue", 1: "green", 2: "red"}


def test_a_model_name_as_long_as_a_file_system_allows(tmp_path, channel_model, picture):
    """With `.xml` it has 253 letters; with `.labels` it would have 256, one too many."""
    model = tmp_path / f"{'m' * 249}.xml"
    for suffix in (".xml", ".bin"):
        model.with_suffix(suffix).symlink_to(channel_model.with_suffix(suffix))
    assert labels_of(model, picture) == {0: None, 1: None, 2: None}


def test_whose_labels_win(tmp_path, channel_model, with_info, picture):
    """Those of --labels over those in model_info over those beside the model."""
    model, given = with_info(labels="sky_blue grass red_hot_fire"), tmp_path / "given.txt"
    (tmp_path / "model.labels").write_text("one\ntwo\nthree\n")
    given.write_text("eins\nzwei\ndrei\n")
    assert labels_of(model, picture) == {0: "sky blue", 1: "grass", 2: "red hot fire"}
    assert labels_of(model, picture, "--labels", given) == {0: "eins", 1: "zwei", 2: "drei"}
    assert labels_of(with_info(labels=""), picture) == {0: "one", 1: "two", 2: "three"}


def test_another_number_of_labels_than_classes(with_info, picture):
    warning = re.escape(f"[ WARNING ] {not_as_many('model_info', 2)}\n")
    assert labels_of(with_info(labels="sky grass"), picture, stderr=warning) == {0: None, 1: None, 2: None}
