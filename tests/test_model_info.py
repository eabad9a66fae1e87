"""What a model states of itself in its `model_info`, as OpenVINO's Model API and Geti write it."""

import re

import cv2
import numpy as np
import openvino as ov
import pytest
from helpers import (
    NO_PROBABILITIES,
    channel_means,
    classify,
    fails_with_one_line,
    run,
    save_model,
    save_with_info,
    scores,
    tables,
)
from openvino import opset13 as ops
from openvino.preprocess import PrePostProcessor, ResizeAlgorithm

AS_IT_IS = (200, 100, 40)  # what the channel model says of the picture: B, G, R


def approximately(values):
    return pytest.approx(dict(enumerate(values)), abs=1e-3)


@pytest.mark.parametrize(
    "info, expected",
    [
        ({"reverse_input_channels": "YES"}, (40, 100, 200)),
        ({"reverse_input_channels": "True"}, (40, 100, 200)),
        ({"reverse_input_channels": "NO"}, AS_IT_IS),
        ({"reverse_input_channels": "False"}, AS_IT_IS),
        ({"mean_values": "10 20 30"}, (190, 80, 10)),
        ({"mean_values": "50"}, (150, 50, -10)),
        ({"mean_values": "0 0 -0.5"}, (200, 100, 40.5)),
        ({"scale_values": "2.0 4.0 5.0"}, (100, 25, 8)),
        # reverse: 40, 100, 200; minus mean: 30, 80, 170; over scale: 15, 20, 34
        (
            {"reverse_input_channels": "YES", "mean_values": "10 20 30", "scale_values": "2 4 5"},
            (15, 20, 34),
        ),
        (
            {
                "mean_values": "",
                "scale_values": "None",
                "reverse_input_channels": "",
                "resize_type": "None",
            },
            AS_IT_IS,
        ),
        (
            {"model_type": "Classification", "confidence_threshold": "0.5", "multilabel": "False"},
            AS_IT_IS,
        ),
        ({"embedded_processing": "NO", "mean_values": "10 20 30"}, (190, 80, 10)),
    ],
    ids=str,
)
def test_preprocessing_is_taken(with_info, picture, info, expected):
    assert scores("-m", with_info(**info), "-i", picture) == [approximately(expected)]


def means_of(pixels):
    return approximately(cv2.resize(pixels, (8, 8)).mean(axis=(0, 1)))


@pytest.mark.parametrize("resize_type, left, right", [("standard", 0, 60), ("crop", 10, 50)])
def test_resize_type(with_info, noise, resize_type, left, right):
    expected = means_of(cv2.imread(str(noise[60, 40]))[:, left:right])
    assert scores("-m", with_info(resize_type=resize_type), "-i", noise[60, 40]) == [expected]


@pytest.mark.parametrize(
    "info, taken",
    [
        ({"mean_values": "10 20 30"}, ["mean_values [10.0, 20.0, 30.0]"]),
        ({"scale_values": "0.5"}, ["scale_values [0.5]"]),
        (
            {"reverse_input_channels": "YES", "resize_type": "crop"},
            ["center_crop 1", "reverse_input_channels True"],
        ),
        ({"labels": "sky_blue grass fire"}, ["labels ['sky_blue', 'grass', 'fire']"]),
        ({"mean_values": "", "labels": "None", "model_type": "Classification"}, []),
    ],
    ids=str,
)
def test_verbose_says_what_was_taken(with_info, picture, info, taken):
    done = run("-m", with_info(**info), "-i", picture, "-v")
    assert done.returncode == 0, done.stderr
    assert (
        sorted(re.findall(r"^\[ INFO \] Taken from its model_info: (.*)$", done.stdout, flags=re.M))
        == taken
    )


@pytest.mark.parametrize(
    "options, expected",
    [
        (("--mean_values", "100"), (50, 0, -12)),
        (("--scale_values", "10,5,1"), (19, 16, 10)),
        (("--mean_values", "0", "--scale_values", "1"), AS_IT_IS),
    ],
    ids=str,
)
def test_the_command_line_wins(with_info, picture, options, expected):
    """In place of the model's mean 10, 20, 30 and scale 2, 4, 5, which give 95, 20, 2."""
    model = with_info(mean_values="10 20 30", scale_values="2 4 5")
    assert scores("-m", model, "-i", picture) == [approximately((95, 20, 2))]
    assert scores("-m", model, "-i", picture, *options) == [approximately(expected)]
    stdout = run("-m", model, "-i", picture, *options, "-v").stdout
    for name in options[::2]:
        assert f"Taken from its model_info: {name[2:]} " not in stdout


def test_center_crop_on_the_command_line_wins(with_info, noise):
    expected = means_of(cv2.imread(str(noise[60, 40]))[10:30, 20:40])
    assert scores(
        "-m", with_info(resize_type="crop"), "-i", noise[60, 40], "--center_crop", "0.5"
    ) == [expected]


@pytest.mark.parametrize(
    "name, value",
    [
        ("reverse_input_channels", "maybe"),
        ("reverse_input_channels", "1"),
        ("multilabel", "maybe"),
        ("mean_values", "1 2"),
        ("mean_values", "red green blue"),
        ("mean_values", "nan"),
        ("scale_values", "1 0 1"),
        ("scale_values", "1e-19"),
        ("resize_type", "fit_to_window"),
        ("resize_type", "fit_to_window_letterbox"),
    ],
)
def test_what_is_not_supported_is_a_warning(with_info, picture, name, value):
    warning = f"[ WARNING ] Ignoring the unsupported {name} '{value}' in model_info\n"
    stderr = re.escape(warning) + NO_PROBABILITIES
    assert scores("-m", with_info(**{name: value}), "-i", picture, stderr=stderr) == [
        approximately(AS_IT_IS)
    ]


FORGERIES = {
    "newlines": "one\n[ ERROR ] forged\r\n[ INFO ] Image path: forged\n\n",
    "begins-with-a-newline": "\n[ WARNING ] forged",
    "escape-codes": "\x1b[2J\x1b]0;title\x07\x1b[31mred\x1b[0m\x08\x08",
    "other-line-ends": "one\x0b[ ERROR ]\x0cforged\x1c[ ERROR ]\x85forged"
    "\u2028[ ERROR ]\u2029forged",
    "right-to-left": "one\u202eforged\u200b\ufeff",
    "long": "x" * 2_000_000,
    "long-lines": "one\n" * 50_000,
}


def assert_lines_are_ours(done, text, folder):
    """Each line begins with its prefix, is short without `folder`, and has 80 letters of `text`."""
    for stream, prefixes in (
        (done.stdout, ("[ INFO ]",)),
        (done.stderr, ("[ WARNING ] ", "[ ERROR ] ")),
    ):
        for line in stream.removesuffix("\n").split("\n") if stream else []:
            assert line.startswith(prefixes), line[:200]
            assert line.isprintable(), repr(line[:200])
            assert len(line.replace(str(folder), "")) < 600, line[:200]
    shown = text[:81]
    assert len(text) < 81 or shown not in done.stdout + done.stderr


def save_forged(path, source, text, element):
    """Saves the channel model with `text` as its name, its tensors' names, or its model_info."""
    model = ov.Core().read_model(source)
    if element == "name":
        model.set_friendly_name(text)
    elif element == "tensors":
        text = text[:20_000]  # OpenVINO itself crashes where it reads a tensor's name of megabytes
        model.input().set_names({f"{text} in"})
        for output in model.outputs:
            output.set_names({f"{text} out {output.index}"})
        for operation in model.get_ops():
            operation.set_friendly_name(f"{text} {operation.get_name()}")
    else:
        for name in (
            "labels",
            "mean_values",
            "scale_values",
            "resize_type",
            "reverse_input_channels",
            "orig_width",
        ):
            model.set_rt_info(text, ["model_info", name])
    ov.save_model(model, path, compress_to_fp16=False)
    return path


@pytest.mark.parametrize("text", FORGERIES.values(), ids=FORGERIES)
@pytest.mark.parametrize("element", ["name", "tensors", "info"])
def test_nothing_in_a_model_makes_a_line_of_its_own(
    tmp_path, channel_model, picture, text, element
):
    model = save_forged(tmp_path / "forged.xml", channel_model, text, element)
    done = run("-m", model, "-i", picture, "-v", "-pc")
    assert done.returncode == 0
    assert_lines_are_ours(done, text, tmp_path)
    if element == "info":
        names = ("mean_values", "scale_values", "resize_type", "reverse_input_channels")
        lines = [line for line in done.stderr.split("\n") if "in model_info" in line]
        assert sorted(
            re.match(r"\[ WARNING \] Ignoring the unsupported (\w+) '", line)[1] for line in lines
        ) == (sorted(names))
    [(_, rows)] = tables(done.stdout)
    assert {row[0]: row[1] for row in rows} == approximately(AS_IT_IS)


@pytest.mark.parametrize("text", FORGERIES.values(), ids=FORGERIES)
@pytest.mark.parametrize("element", ["name", "tensors"])
@pytest.mark.parametrize(
    "count, options", [(2, ()), (1, ("--mean_values", "1,2,3", "-d", "FOO"))], ids=["two", "device"]
)
def test_nothing_in_a_model_makes_an_error_longer(tmp_path, picture, text, element, count, options):
    source = save_model(
        tmp_path / "plain.xml", lambda image: [channel_means(image) for _ in range(count)]
    )
    model = save_forged(tmp_path / "forged.xml", source, text, element)
    done = run("-m", model, "-i", picture, *options)
    assert (
        done.returncode,
        done.stderr.count("\n[ ERROR ] ") + done.stderr.startswith("[ ERROR ] "),
    ) == (1, 1)
    assert_lines_are_ours(done, text, tmp_path)


@pytest.mark.parametrize("text", FORGERIES.values(), ids=FORGERIES)
def test_what_openvino_says_of_such_a_model_is_one_line(tmp_path, picture, text):
    """It repeats an operation's type that it does not know."""
    forged = "".join(f"&#{ord(letter)};" for letter in f"Unknown {text[:100_000]} ")
    model = save_model(tmp_path / "forged.xml", channel_means)
    xml, known = model.read_text(), 'type="ReduceMean"'
    assert xml.count(known) == 1
    model.write_text(xml.replace(known, f'type="{forged}"'))
    line = fails_with_one_line("-m", model, "-i", picture)
    assert line.startswith(f"[ ERROR ] Cannot read the model {model}: ")
    assert "Unknown" in line or "\n" in text, "or else it is another error"
    assert line[:-1].isprintable() and len(line) < 1200


@pytest.mark.parametrize(
    "labels, expected",
    [
        ("sky\x1b[31m grass\x07 f\x08ire", ("sky [31m", "grass", "f ire")),
        ("sky\n[_ERROR_]\nfire", ("sky", "[ ERROR ]", "fire")),
        ("sky\u202e gr\u200bass fi\ufeffre", ("sky", "gr ass", "fi re")),
        (f"{'s' * 1_000_000} grass {'f' * 81}", ("s" * 80, "grass", "f" * 80)),
        ("h\u00eatre \u6a39 b\u00f6\u00f6m", ("h\u00eatre", "\u6a39", "b\u00f6\u00f6m")),
    ],
    ids=["escape-codes", "newlines", "invisible", "long", "other-letters"],
)
def test_labels_of_a_model_are_text(with_info, picture, labels, expected):
    [(_, rows)] = classify("-m", with_info(labels=labels), "-i", picture, "--softmax")
    assert {row[0]: row[2] for row in rows} == dict(enumerate(expected))


@pytest.mark.parametrize(
    "keys", [["model_info"], ["model_info", "other", "deep"], ["model_info", "labels", "deep"]]
)
def test_a_model_info_of_another_form_does_not_stop_the_run(tmp_path, channel_model, picture, keys):
    model = ov.Core().read_model(channel_model)
    model.set_rt_info("text", keys)
    ov.save_model(model, tmp_path / "form.xml")
    done = run("-m", tmp_path / "form.xml", "-i", picture)
    assert done.returncode == 0, done.stderr
    assert [{row[0]: row[1] for row in rows} for _, rows in tables(done.stdout)] == [
        approximately(AS_IT_IS)
    ]


def embedded(channel_model, resized):
    """The channel model with all preprocessing in its graph; `resized`: pictures of any size."""
    ppp = PrePostProcessor(ov.Core().read_model(channel_model))
    tensor = ppp.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    ppp.input().model().set_layout(ov.Layout("NCHW"))
    steps = ppp.input().preprocess()
    if resized:
        tensor.set_spatial_dynamic_shape()
        steps.resize(ResizeAlgorithm.RESIZE_LINEAR)
    steps.reverse_channels().convert_element_type(ov.Type.f32).mean([10, 20, 30]).scale([2, 4, 5])
    model = ppp.build()
    assert model.input().partial_shape == ov.PartialShape(
        [1, -1, -1, 3] if resized else [1, 8, 8, 3]
    )
    return model


EMBEDDED = {
    "labels": "red green blue",
    "mean_values": "10 20 30",
    "orig_height": "8",
    "orig_width": "8",
    "reverse_input_channels": "YES",
    "scale_values": "2 4 5",
}


@pytest.mark.parametrize(
    "resized, resize_type, cropped",
    [
        (True, "standard", False),
        (True, "crop", True),
        (True, "", False),
        (False, "fit_to_window_letterbox", False),
    ],
)
@pytest.mark.parametrize("yes", ["YES", "True"])
def test_nothing_is_added_to_embedded_processing(
    tmp_path, channel_model, noise, yes, resized, resize_type, cropped
):
    """What is stated is in the graph; `resize_type` counts only if the graph resizes."""
    model = save_with_info(
        tmp_path / "embedded.xml", embedded(channel_model, resized),
        **EMBEDDED, embedded_processing=yes, resize_type=resize_type,
    )  # fmt: skip
    pixels = cv2.imread(str(noise[60, 40]))[:, 10:50] if cropped else cv2.imread(str(noise[60, 40]))
    rgb = cv2.resize(pixels, (8, 8)).mean(axis=(0, 1))[::-1]
    [(_, rows)] = classify(
        "-m", model, "-i", noise[60, 40], "--infer_precision", "f32", stderr=NO_PROBABILITIES
    )
    assert {row[0]: row[1] for row in rows} == approximately((rgb - [10, 20, 30]) / [2, 4, 5])
    assert {row[0]: row[2] for row in rows} == {0: "red", 1: "green", 2: "blue"}


def test_several_pictures_for_embedded_processing(tmp_path, channel_model, picture):
    """The graph's mean and scale make 40, 100, 200 into 15, 20, 34."""
    model = save_with_info(
        tmp_path / "embedded.xml",
        embedded(channel_model, True),
        **EMBEDDED,
        embedded_processing="YES",
    )
    assert scores("-m", model, "-i", picture, picture, picture) == [approximately((15, 20, 34))] * 3


@pytest.mark.parametrize(
    "info",
    [
        {"embedded_processing": "YES", "orig_height": "8"},
        {**EMBEDDED, "embedded_processing": "NO"},
        EMBEDDED,
        *[
            {**EMBEDDED, "embedded_processing": "YES", "orig_height": height}
            for height in ("eight", "8.5", "99999999999999999999")
        ],
    ],
    ids=["no-width", "NO", "not-stated", "no-number", "no-integer", "too-large"],
)
def test_without_a_stated_size_a_dynamic_one_is_an_error(tmp_path, channel_model, picture, info):
    model = save_with_info(tmp_path / "embedded.xml", embedded(channel_model, True), **info)
    line = fails_with_one_line("-m", model, "-i", picture)
    assert line == (
        f"[ ERROR ] Cannot use the model {model}: its input [N,H,W,C] is [1,?,?,3], of no fixed "
        "size. README.md, under 'Change a model', shows how to give it one; but it resizes images "
        "itself, and images stretched before that may change class\n"
    )


@pytest.mark.parametrize(
    "shapes, named",
    [
        ([(1, 3, 8, 8)] * 2, "not 2 and 1"),
        ([(3,)], "shape [3]"),
        ([(1, 3)], "shape [1,3]"),
    ],
    ids=["two-inputs", "rank-1", "rank-2"],
)
def test_embedded_processing_of_what_is_no_image(tmp_path, picture, shapes, named):
    """The error is that of a model without a model_info."""
    inputs = [
        ops.parameter(list(shape), np.float32, name=f"input{index}")
        for index, shape in enumerate(shapes)
    ]
    output = ops.reshape(inputs[0], np.array([1, -1]), special_zero=False)
    if len(inputs) == 2:
        output = channel_means(ops.add(*inputs))
    model = ov.Model([output], inputs, "odd")
    plain = save_with_info(tmp_path / "odd.xml", model)
    expected = fails_with_one_line("-m", plain, "-i", picture, naming=[named])
    stated = save_with_info(
        tmp_path / "odd.xml", model, embedded_processing="YES", orig_height="8", orig_width="8"
    )
    assert fails_with_one_line("-m", stated, "-i", picture) == expected


def test_a_model_without_model_info(channel_model, picture):
    done = run("-m", channel_model, "-i", picture, "-v")
    assert done.returncode == 0 and "model_info" not in done.stdout + done.stderr
