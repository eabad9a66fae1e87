"""Where labels come from, which of them win, and what a label file may look like."""

import codecs
import re

import numpy as np
import pytest
from helpers import (
    DATA,
    EFFICIENTNET,
    PHOTOS,
    always,
    channel_means,
    classify,
    fails_with_one_line,
    run,
    save_model,
    save_saved_model,
    tables,
    warnings,
)


def test_labels_beside_the_model_and_number_top():
    done = run(
        "-m",
        EFFICIENTNET,
        "-i",
        DATA / "images" / "chelsea.png",
        "-nt",
        "3",
        "--infer_precision",
        "f32",
    )
    assert done.returncode == 0
    table = done.stdout.splitlines()[5:11]
    assert table[:3] == [
        "[ INFO ] Top 3 results:",
        "[ INFO ] class_id probability label",
        "[ INFO ] --------------------------",
    ]
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
        f"{source} has {count} labels, the model 3 classes: no label is printed. "
        "Expected: one label per line in class id order, no header, no added 'background'"
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


NOT_FITTING = {
    "fewer": ("tench\ngoldfish\n", 2),
    "more": ("tench\ngoldfish\nshark\nray\n", 4),
    "background": ("background\ntench\ngoldfish\nshark\n", 4),
    "numbered-background": ("0 background\n1 tench\n2 goldfish\n3 shark\n", 4),
    "numbered-fewer": ("0: tench\n1: goldfish\n", 2),
    "wordnet": ("n01440764 tench\nn01443537 goldfish\n", 2),
    "csv": ("class_id,name\n0,tench\n1,goldfish\n2,shark\n", 4),
    "yaml": ("names:\n- tench\n- goldfish\n- shark\n", 4),
    "yaml-of-numbers": ("names:\n  0: tench\n  1: goldfish\n  2: shark\n", 4),
    "json": ('{\n  "0": "tench",\n  "1": "goldfish",\n  "2": "shark"\n}\n', 5),
    "json-in-one-line": ('["tench", "goldfish", "shark"]', 1),
    "empty": ("", 0),
}


@pytest.mark.parametrize(
    "content, count, beside",
    [*((*case, False) for case in NOT_FITTING.values()), (*NOT_FITTING["background"], True)],
)
def test_of_labels_that_do_not_fit_none_is_printed(
    tmp_path, channel_model, picture, content, count, beside
):
    """Not even those that might be right: the table is the one of a model without labels."""
    labels = tmp_path / "model.labels"
    labels.write_text(content)
    model = channel_model
    if beside:
        model = tmp_path / "model.xml"
        for suffix in (".xml", ".bin"):
            model.with_suffix(suffix).symlink_to(channel_model.with_suffix(suffix))
    arguments = (
        "-m",
        model,
        "-i",
        picture,
        "--scale_values",
        "340",
        *(() if beside else ("--labels", labels)),
    )
    done = run(*arguments, "--infer_precision", "f32")
    assert done.returncode == 0, done.stderr
    assert warnings(done) == [not_as_many(labels, count)]
    table = done.stdout.split(f"[ INFO ] Image path: {picture}\n")[1].splitlines()[:6]
    assert table == [
        "[ INFO ] Top 3 results:",
        "[ INFO ] class_id probability",
        "[ INFO ] --------------------",
        f"[ INFO ] 0        {np.float32(200 / 340):.7f}",
        f"[ INFO ] 1        {np.float32(100 / 340):.7f}",
        f"[ INFO ] 2        {np.float32(40 / 340):.7f}",
    ]


@pytest.mark.parametrize("info, count", [("sky", 1), ("sky grass fire water", 4)])
def test_labels_in_model_info_that_do_not_fit(with_info, picture, info, count):
    done = run("-m", with_info(labels=info), "-i", picture, "--softmax")
    assert done.returncode == 0, done.stderr
    assert warnings(done) == [not_as_many("model_info", count)]
    assert "[ INFO ] class_id probability\n[ INFO ] --------------------\n" in done.stdout
    assert not any(word in done.stdout for word in info.split())


FISH = ["tench", "goldfish", "shark"]


@pytest.mark.parametrize(
    "content, expected",
    [
        ("0 tench\n1 goldfish\n2 shark\n", FISH),
        ("0: tench\n1: goldfish\n2: shark\n", FISH),
        ("0  background\n1  tench\n2  goldfish\n", ["background", "tench", "goldfish"]),
        ("0\ttench\n1\tgoldfish\n2\tshark\n", FISH),
        ("  0 tench\n  1 goldfish\n  2 shark\n", FISH),
        ("\ufeff0 tench\r\n1 goldfish\r\n2 shark\r\n", FISH),
        ("0 n01440764 tench\n1 n01443537 goldfish\n2 n01484850 shark\n", FISH),
        ("0: n01440764 tench, Tinca tinca\n1: n01443537 gold fish\n2: n01484850 3 sharks\n",
         ["tench, Tinca tinca", "gold fish", "3 sharks"]),
        ("0: 3 sharks\n1 2: a draw\n2 n0 such id\n", ["3 sharks", "2: a draw", "n0 such id"]),
        # a part of the name: not every line has its own number, in order, from 0
        ("1 tench\n2 goldfish\n3 shark\n", ["1 tench", "2 goldfish", "3 shark"]),
        ("1: tench\n2: goldfish\n3: shark\n", ["1: tench", "2: goldfish", "3: shark"]),
        ("0 tench\n2 goldfish\n1 shark\n", ["0 tench", "2 goldfish", "1 shark"]),
        ("0 tench\n0 goldfish\n0 shark\n", ["0 tench", "0 goldfish", "0 shark"]),
        ("0 tench\n1 goldfish\nshark\n", ["0 tench", "1 goldfish", "shark"]),
        ("tench\n1 goldfish\n2 shark\n", ["tench", "1 goldfish", "2 shark"]),
        ("0 tench\n\n2 shark\n", ["0 tench", None, "2 shark"]),
        ("0tench\n1goldfish\n2shark\n", ["0tench", "1goldfish", "2shark"]),
        ("30 km/h\n50 km/h\n70 km/h\n", ["30 km/h", "50 km/h", "70 km/h"]),
        # digits are labels, too
        ("0\n1\n2\n", ["0", "1", "2"]),
        ("7\n8\n9\n", ["7", "8", "9"]),
        ("0 \n1 \n2 \n", ["0", "1", "2"]),
    ],
)  # fmt: skip
def test_a_number_before_each_label_is_taken_off(
    tmp_path, channel_model, picture, content, expected
):
    labels = tmp_path / "labels.txt"
    labels.write_bytes(content.encode())
    assert labels_of(channel_model, picture, "--labels", labels) == dict(enumerate(expected))


def test_a_thousand_numbers_are_taken_off_or_all_stay(tmp_path, picture):
    """The last of 1000 decides as the first does."""
    model = save_model(tmp_path / "model.xml", always([0] * 967 + [1] + [0] * 32))
    numbered = [f"{number}: name {number}" for number in range(1000)]
    for last, expected in (("999: name 999", "name 967"), ("1000: name 999", "967: name 967")):
        (tmp_path / "model.labels").write_text("\n".join([*numbered[:-1], last]))
        [(_, rows)] = classify("-m", model, "-i", picture, "-nt", "1")
        assert rows == [(967, 1.0, expected)]


def test_label_files_that_are_none(tmp_path, channel_model):
    utf16 = tmp_path / "utf16.txt"
    utf16.write_text("one\ntwo\nthree\n", encoding="utf-16")
    for path in (utf16, tmp_path):
        fails_with_one_line(
            "-m", channel_model, "-i", PHOTOS[0], "--labels", path, naming=["labels", path]
        )


def test_labels_beside_a_model_with_dots_in_its_name(tmp_path, picture):
    model = save_model(tmp_path / "fer.v1.0.xml", channel_means)
    (tmp_path / "fer.labels").write_text("of\nanother\nmodel\n")
    (tmp_path / "fer.v1.0.labels").write_text("blue\ngreen\nred\n")
    assert labels_of(model, picture) == {0: "blue", 1: "green", 2: "red"}


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


def test_one_label_fewer_in_model_info_leaves_the_first_class_to_other(
    tmp_path, with_info, picture
):
    """As Model API does, for models that were trained with a background; not in a label file."""
    assert labels_of(with_info(labels="sky_blue grass"), picture) == {
        0: "other",
        1: "sky blue",
        2: "grass",
    }
    given = tmp_path / "given.txt"
    given.write_text("sky\ngrass\n")
    warning = re.escape(f"[ WARNING ] {not_as_many(given, 2)}\n")
    assert labels_of(
        with_info(labels="sky_blue grass"), picture, "--labels", given, stderr=warning
    ) == {0: None, 1: None, 2: None}
