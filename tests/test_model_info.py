"""What a model states in its model_info, as OpenVINO's Model API, Geti and Ultralytics write it."""

import re

import cv2
import numpy as np
import pytest
from helpers import by_class, channel_means, error_line, run, save_model, tables, values
from openvino import opset13 as ops

AS_IT_IS = (200, 100, 40)  # the means of the fixture `picture`, B, G and R


@pytest.fixture
def with_info(tmp_path):
    """Returns a function that saves a model that scores the channels' means, with its info."""
    return lambda **info: save_model(tmp_path / "model.xml", channel_means, **info)


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """Returns the path of an image of noise, 60x20, and its pixels."""
    path = tmp_path_factory.mktemp("wide") / "noise.png"
    pixels = np.random.default_rng(0).integers(0, 256, (20, 60, 3), np.uint8)
    cv2.imwrite(str(path), pixels)
    return path, pixels


def taken(done):
    return re.findall(r"model_info: (\w+) (.+)", done.stdout)


@pytest.mark.parametrize(
    "info, expected",
    [
        ({"reverse_input_channels": "YES"}, (40, 100, 200)),
        ({"reverse_input_channels": "true"}, (40, 100, 200)),
        ({"reverse_input_channels": "NO", "multilabel": "False"}, AS_IT_IS),
        ({"mean_values": "10 20 30", "scale_values": "2.0"}, (95, 40, 5)),
        ({"mean_values": "", "scale_values": "None", "resize_type": "standard"}, AS_IT_IS),
        ({"intensity_mode": "scale_to_unit"}, (200 / 255, 100 / 255, 40 / 255)),
        (
            {
                "intensity_mode": "scale_to_unit",
                "intensity_max_value": "100",
                "mean_values": "0.5",
                "scale_values": "0.1 0.2 0.5",
            },
            ((2 - 0.5) / 0.1, (1 - 0.5) / 0.2, (0.4 - 0.5) / 0.5),
        ),
    ],
    ids=str,
)
def test_what_the_model_states_is_done(with_info, picture, info, expected):
    assert values("-m", with_info(**info), "-i", picture) == [by_class(expected)]


def test_two_models_give_what_model_api_gives(tmp_path, wide):
    """As unit.xml and multilab.xml that were checked against Model API 0.4.7; here by numpy."""
    path, pixels = wide
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    rgb = cv2.resize(pixels, (8, 8))[..., ::-1]
    expected = ((rgb / 255 - mean) / std).mean(axis=(0, 1))
    common = {"reverse_input_channels": "True", "labels": "a b c", "model_type": "Classification"}

    def save(name, **info):
        return save_model(tmp_path / name, channel_means, (-1, 3, 8, 8), **common, **info)

    unit = save(
        "unit.xml",
        intensity_mode="scale_to_unit",
        intensity_max_value="255.0",
        mean_values="0.485 0.456 0.406",
        scale_values="0.229 0.224 0.225",
        resize_type="standard",
    )
    assert values("-m", unit, "-i", path, path) == [by_class(expected)] * 2
    multilabel = save(
        "multilab.xml",
        multilabel="True",
        mean_values="123.675 116.28 103.53",
        scale_values="58.395 57.12 57.375",
        confidence_threshold="0.5",
    )
    expected = by_class(1 / (1 + np.exp(-expected)), abs=1e-4)
    assert values("-m", multilabel, "-i", path, path) == [expected] * 2
    assert run("-m", multilabel, "-i", path).stderr == ""


def test_a_stated_crop_is_a_center_crop_of_1(with_info, wide):
    path, pixels = wide
    model = with_info(resize_type="crop")
    expected = cv2.resize(pixels[:, 20:40], (8, 8)).mean(axis=(0, 1))
    assert values("-m", model, "-i", path) == [by_class(expected)]
    expected = cv2.resize(pixels[5:15, 25:35], (8, 8)).mean(axis=(0, 1))
    assert values("-m", model, "-i", path, "--center_crop", "0.5") == [by_class(expected)]


def test_a_model_of_ultralytics_gets_a_center_crop_and_antialias(with_info, channel_model, wide):
    path, _ = wide
    options = ("--center_crop", "1", "--antialias")
    expected = values("-m", channel_model, "-i", path, *options)
    assert values("-m", with_info(model_type="YOLO"), "-i", path) == expected
    assert values("-m", channel_model, "-i", path, *options[:2]) != expected


@pytest.mark.parametrize(
    "options, expected",
    [
        ("", (15, 20, 34)),  # of 40, 100, 200
        ("--mean_values 0", (20, 25, 40)),
        ("--scale_values 10", (3, 8, 17)),
        ("--no-reverse_input_channels", (95, 20, 2)),
    ],
)
def test_an_option_on_the_command_line_wins(with_info, picture, options, expected):
    model = with_info(reverse_input_channels="YES", mean_values="10 20 30", scale_values="2 4 5")
    arguments = ("-m", model, "-i", picture, *options.split())
    assert values(*arguments) == [by_class(expected)]
    given = [option.split()[0].removeprefix("no-") for option in options.split("--")[1:]]
    stated = {"mean_values", "scale_values", "reverse_input_channels"}
    assert {name for name, _ in taken(run(*arguments, "-v"))} == stated - set(given)


def test_softmax_on_the_command_line_wins_over_multilabel(tmp_path, picture):
    model = save_model(
        tmp_path / "model.xml",
        lambda image: ops.divide(channel_means(image), np.float32(64)),
        multilabel="True",
    )
    logits = np.array(AS_IT_IS) / 64
    sigmoid, softmax = 1 / (1 + np.exp(-logits)), np.exp(logits) / np.exp(logits).sum()
    assert values("-m", model, "-i", picture) == [by_class(sigmoid, abs=1e-5)]
    assert values("-m", model, "-i", picture, "--softmax") == [by_class(softmax, abs=1e-5)]


def test_of_a_model_with_embedded_processing_only_labels_and_multilabel_count(tmp_path, wide):
    path, pixels = wide
    model = save_model(
        tmp_path / "model.xml",
        lambda image: ops.divide(channel_means(image), np.float32(64)),
        embedded_processing="True",
        multilabel="True",
        labels="blue green red",
        mean_values="10 20 30",
        scale_values="no number",
        reverse_input_channels="YES",
        resize_type="crop",
        model_type="YOLO",
    )
    done = run("-m", model, "-i", path, "--infer_precision", "f32")
    [(_, rows)] = tables(done.stdout)
    expected = 1 / (1 + np.exp(-cv2.resize(pixels, (8, 8)).mean(axis=(0, 1)) / 64))
    assert {row[0]: row[1] for row in rows} == by_class(expected, abs=1e-5)
    assert {row[0]: row[2] for row in rows} == {0: "blue", 1: "green", 2: "red"}


def test_another_intensity_mode_is_one_warning_that_names_it(with_info, picture):
    model = with_info(intensity_mode="window", intensity_window_center="128")
    assert values("-m", model, "-i", picture) == [by_class(AS_IT_IS)]
    [line] = re.findall(".*window.*", run("-m", model, "-i", picture).stderr)
    assert line.startswith("[ WARNING ] ") and "intensity_mode" in line


def test_a_wrong_number_is_an_error_that_names_it_and_model_info(tmp_path, picture):
    for info, named in (
        ({"mean_values": "1 2"}, "1 2"),
        ({"scale_values": "1 0 1"}, "1 0 1"),
        ({"intensity_mode": "scale_to_unit", "intensity_max_value": "many"}, "many"),
    ):
        model = save_model(tmp_path / f"{named}.xml", channel_means, **info)
        line = error_line("-m", model, "-i", picture)
        assert "model_info" in line and named in line
