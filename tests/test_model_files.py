"""What `-m` takes: files and folders of models, their names, and other frameworks' files."""

import os
import shlex
import shutil

import pytest
from helpers import (
    DIGITS,
    LENET,
    TRICKY_NAMES,
    channel_means,
    fails_with_one_line,
    run,
    run_process,
    save_model,
    save_saved_model,
    scores,
    tables,
    top_ids,
)


def test_a_model_whose_name_is_not_utf8_is_read_or_an_error(tmp_path):
    model = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.onnx")
    shutil.copy(LENET, model)
    done = run_process("-m", model, "-i", DIGITS)
    if done.returncode == 0:
        assert [top_ids(rows)[0] for _, rows in tables(done.stdout)] == list(range(10))
    else:
        assert (
            done.stderr.startswith(f"[ ERROR ] Cannot read the model {model}: ")
            and done.stderr.count("\n") == 1
        )


@pytest.mark.parametrize("ending", ["", "/", "/."])
def test_a_folder_with_one_model_is_that_model(tmp_path, picture, ending):
    """As Ultralytics and Optimum write it; macOS puts `._net.xml` beside it."""
    folder = tmp_path / "net_openvino_model"
    folder.mkdir()
    save_model(folder / "net.xml", channel_means)
    (folder / "net.labels").write_text("blue\ngreen\nred\n")
    (folder / "._net.xml").write_bytes(b"\x00\x05\x16\x07")
    (folder / "metadata.yaml").write_text("task: classify\n")
    (tmp_path / "net_openvino_model.labels").write_text("of\nanother\nmodel\n")
    done = run("-m", f"{folder}{ending}", "-i", picture, "--softmax")
    assert (done.returncode, done.stderr) == (0, "")
    [(_, rows)] = tables(done.stdout)
    assert {row[0]: row[2] for row in rows} == {0: "blue", 1: "green", 2: "red"}
    assert f"Reading the model: {folder}{ending.rstrip('/')}/net.xml\n" in done.stdout.replace(
        "//", "/"
    )


def test_the_current_folder_may_be_the_model(tmp_path, picture):
    save_model(tmp_path / "net.xml", channel_means)
    expected = [pytest.approx({0: 200, 1: 100, 2: 40}, abs=1e-3)]
    assert scores("-m", ".", "-i", picture, cwd=tmp_path) == expected


def test_the_current_folder_is_no_model(tmp_path, picture):
    line = fails_with_one_line("-m", ".", "-i", picture, cwd=tmp_path)
    assert line.startswith("[ ERROR ] Cannot read the model .: ")


@pytest.mark.parametrize(
    "names, named",
    [
        (["b.xml", "a.xml", "._a.xml"], "not a.xml, b.xml"),
        (["FP16.xml", "FP32.xml", "int8.xml"], "not FP16.xml, FP32.xml, int8.xml"),
        (["net.onnx", "net.bin"], "not neither"),
        (["._net.xml"], "not neither"),
        ([], "not neither"),
    ],
    ids=["two", "three", "others", "hidden", "empty"],
)
def test_a_folder_with_several_models_or_none(tmp_path, picture, names, named):
    for name in names:
        (tmp_path / name).touch()
    line = fails_with_one_line("-m", tmp_path, "-i", picture)
    wanted = "it has to hold one .xml file or a saved_model.pb"
    assert line == f"[ ERROR ] Cannot read the model {tmp_path}: {wanted}, {named}\n"


def folder_to_give(line, path):
    """What the error `line` about TensorFlow's model file in `path` says to give -m."""
    prefix = f"[ ERROR ] Cannot read the model {path}: give the SavedModel's folder: "
    assert line.startswith(prefix)
    option, folder = shlex.split(line.removeprefix(prefix))
    assert option == "-m"
    return folder


@pytest.mark.parametrize("name", [*TRICKY_NAMES, "plain"])
def test_the_file_in_a_saved_model_says_what_folder_to_give(tmp_path, picture, name):
    folder = save_saved_model(tmp_path / name)
    path = folder / "saved_model.pb"
    assert folder_to_give(fails_with_one_line("-m", path, "-i", picture), path) == str(folder)
    assert scores("-m", folder, "-i", picture) == [pytest.approx({0: 200, 1: 100, 2: 40}, abs=1e-3)]


@pytest.mark.parametrize(
    "path, folder",
    [("saved_model.pb", "."), ("./saved_model.pb", "."), ("../net/saved_model.pb", "../net")],
)
def test_the_file_in_a_saved_model_by_relative_path(
    tmp_path, picture, monkeypatch, capfd, path, folder
):
    """OpenVINO would print nine lines before ours if it were given the file."""
    monkeypatch.chdir(save_saved_model(tmp_path / "net"))
    assert folder_to_give(fails_with_one_line("-m", path, "-i", picture), path) == folder
    assert capfd.readouterr().err == ""
    assert scores("-m", folder, "-i", picture) == [pytest.approx({0: 200, 1: 100, 2: 40}, abs=1e-3)]


@pytest.mark.parametrize(
    "name, content",
    [
        ("net.keras", b"PK\x03\x04"),
        ("net.h5", b"\x89HDF\r\n\x1a\n"),
        ("n e t.Keras", b""),
        ("net.pt", b"PK\x03\x04"),
    ],
)
def test_a_file_of_another_framework_is_to_be_exported(tmp_path, picture, capfd, name, content):
    """Nothing of OpenVINO's stands before it."""
    (tmp_path / name).write_bytes(content)
    line = fails_with_one_line("-m", tmp_path / name, "-i", picture)
    assert capfd.readouterr().err == ""
    advice = (
        "convert it first with ov.convert_model, or the export of Keras or Ultralytics: "
        "README.md, under 'Your own model', shows how"
    )
    assert line == f"[ ERROR ] Cannot read the model {tmp_path / name}: {advice}\n"
