"""Where labels come from, which of them win, and what a label file may look like."""

import re
import shutil

import pytest
from helpers import DIGITS, LENET, channel_means, error_line, run, save_model, tables, warning_lines

import classification_sample_async as sample


@pytest.fixture
def copy_of_model(tmp_path, channel_model):
    """Returns a function that copies the model to a path in an empty folder."""

    def copy(name):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        for suffix in (".xml", ".bin"):
            shutil.copy(channel_model.with_suffix(suffix), path.with_suffix(suffix))
        return path

    return copy


def labels_of(model, picture, *options):
    """Runs the sample, which must print labels without a word about them; returns the labels."""
    done = run("-m", model, "-i", picture, "--softmax", *options)
    assert (done.returncode, done.stderr) == (0, "")
    [(_, rows)] = tables(done.stdout)
    return [label for _, _, label in sorted(rows)]


def test_a_label_stands_in_a_third_column():
    done = run("-m", LENET, "-i", DIGITS, "-nt", "1")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    start = lines.index("[ INFO ] class_id probability label")
    assert lines[start + 1] == "[ INFO ] --------------------------"
    assert re.fullmatch(r"\[ INFO \] 0        [01]\.\d{7}   zero", lines[start + 2])


def test_the_label_file_beside_the_model_has_its_name(copy_of_model, picture):
    model = copy_of_model("fer.v1.0.xml")
    (model.parent / "fer.labels").write_text("of\nanother\nmodel\n")
    assert labels_of(model, picture) == [None] * 3
    (model.parent / "fer.v1.0.labels").write_text("blue\ngreen\nred\n")
    assert labels_of(model, picture) == ["blue", "green", "red"]


@pytest.mark.parametrize("ending", ["", "/"])
def test_the_label_file_of_a_model_in_a_folder_is_beside_it(copy_of_model, picture, ending):
    model = copy_of_model("folder_v1.0/model.xml")
    model.with_suffix(".labels").write_text("blue\ngreen\nred\n")
    assert labels_of(f"{model.parent}{ending}", picture) == ["blue", "green", "red"]


def test_the_label_file_of_a_folder_that_is_a_model_is_beside_the_folder(tmp_path):
    """Such as TensorFlow's SavedModel; a folder's name has no suffix."""
    (tmp_path / "saved_v1.0").mkdir()
    (tmp_path / "saved_v1.0.labels").write_text("blue\ngreen\nred\n")
    for model in (tmp_path / "saved_v1.0", f"{tmp_path / 'saved_v1.0'}/"):
        assert sample.read_labels(None, [], str(model), 3) == ["blue", "green", "red"]


def test_labels_in_model_info_have_underscores_for_blanks(tmp_path, picture):
    labels = "sky_blue grass red_hot_fire"
    model = save_model(tmp_path / "model.xml", channel_means, labels=labels)
    assert labels_of(model, picture) == ["sky blue", "grass", "red hot fire"]


def test_given_labels_win_over_those_in_model_info_over_those_beside_the_model(tmp_path, picture):
    model = save_model(tmp_path / "model.xml", channel_means, labels="one two three")
    given = tmp_path / "given.txt"
    given.write_text("eins\nzwei\ndrei\n")
    model.with_suffix(".labels").write_text("un\ndeux\ntrois\n")
    assert labels_of(model, picture, "--labels", given) == ["eins", "zwei", "drei"]
    assert labels_of(model, picture) == ["one", "two", "three"]


FISH = ["tench, Tinca tinca", "gold fish", "shark"]


@pytest.mark.parametrize(
    "content, expected",
    [
        ("tench, Tinca tinca\ngold fish\nshark", FISH),
        ("tench, Tinca tinca\r\ngold fish\r\nshark\r\n\r\n\r\n", FISH),
        ("\ufefftench, Tinca tinca\ngold fish\nshark\n", FISH),
        ("one\n\nthree\n", ["one", None, "three"]),
        ("Käse\n中\nshark\n", ["Käse", "中", "shark"]),
        ("n01440764 tench, Tinca tinca\nn01443537 gold fish\nn01484850 shark\n", FISH),
        ("0 tench, Tinca tinca\n1 gold fish\n2 shark\n", FISH),
        ("0: n01440764 tench, Tinca tinca\n1: n01443537 gold fish\n2: n01484850 shark\n", FISH),
        # Numbers that are a part of the label
        ("1 tench\n2 gold fish\n3 shark\n", ["1 tench", "2 gold fish", "3 shark"]),
        ("0 tench\n1 gold fish\nshark\n", ["0 tench", "1 gold fish", "shark"]),
        ("0\n1\n2\n", ["0", "1", "2"]),
    ],
    ids=[
        "plain", "Windows", "BOM", "a blank line", "not ASCII", "WordNet ids", "numbers",
        "numbers and WordNet ids", "numbers from 1", "some numbers", "nothing but numbers",
    ],
)  # fmt: skip
def test_label_files(tmp_path, channel_model, picture, content, expected):
    labels = tmp_path / "labels.txt"
    labels.write_bytes(content.encode())
    assert labels_of(channel_model, picture, "--labels", labels) == expected


@pytest.mark.parametrize(
    "content, count",
    [("tench\nshark\n", 2), ("background\ntench\ngold fish\nshark\n", 4)],
    ids=["fewer", "background"],
)
def test_of_labels_that_do_not_fit_none_is_printed(copy_of_model, picture, content, count):
    model = copy_of_model("model.xml")
    labels = model.with_suffix(".labels")
    labels.write_text(content)
    done = run("-m", model, "-i", picture, "--softmax")
    assert done.returncode == 0
    assert "[ INFO ] class_id probability\n[ INFO ] --------------------\n" in done.stdout
    [(_, rows)] = tables(done.stdout)
    assert [label for _, _, label in rows] == [None] * 3
    [warning] = warning_lines(done)
    for part in (str(labels), str(count), "3", "background"):
        assert part in warning


def test_of_labels_in_model_info_that_do_not_fit_none_is_printed(tmp_path, picture):
    model = save_model(tmp_path / "model.xml", channel_means, labels="sky grass")
    model.with_suffix(".labels").write_text("blue\ngreen\nred\n")
    done = run("-m", model, "-i", picture, "--softmax")
    [(_, rows)] = tables(done.stdout)
    assert (done.returncode, [label for _, _, label in rows]) == (0, [None] * 3)
    [warning] = warning_lines(done)
    assert "model_info" in warning


def test_a_file_that_is_not_text_is_an_error_that_names_it(tmp_path, channel_model, picture):
    utf16 = tmp_path / "utf16.txt"
    utf16.write_text("one\ntwo\nthree\n", encoding="utf-16")
    for labels in (utf16, tmp_path):
        line = error_line("-m", channel_model, "-i", picture, "--labels", labels)
        assert str(labels) in line
