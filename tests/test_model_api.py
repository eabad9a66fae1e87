"""What `model_info` states is done as Model API does it, or is a warning, or has no effect."""

import re

import numpy as np
import openvino as ov
import pytest
from helpers import (
    NO_LOGITS_EITHER,
    NO_PROBABILITIES,
    PHOTOS,
    always,
    channel_means,
    classify,
    run,
    save_model,
    save_with_info,
    scores,
    tables,
    warnings,
)
from make_model_api_data import CASES, GETI, HIERARCHY, UNIT, picture, save, value_range, window
from onnx_files import POOLED, save_onnx
from openvino import opset13 as ops
from openvino.preprocess import PrePostProcessor

import classification_sample_async as sample

# Printed by make_model_api_data.py, with openvino-model-api 0.4.7 and openvino 2026.4.1: for each
# of CASES the probabilities of three pictures
ANSWERS = {
    "nothing": [
        [0.054588, 0.05509, 0.816249, 0.028954, 0.03184, 0.013278],
        [0.033533, 0.119854, 0.419819, 0.109139, 0.307669, 0.009986],
        [0.062504, 0.363721, 0.380139, 0.126259, 0.047339, 0.020036],
    ],
    "mean": [
        [0.237045, 0.133316, 0.230146, 0.133755, 0.106404, 0.159333],
        [0.151252, 0.175494, 0.174774, 0.180397, 0.217938, 0.100144],
        [0.200184, 0.234277, 0.179468, 0.16975, 0.088255, 0.128066],
    ],
    "unit": [
        [0.141727, 0.142236, 0.409382, 0.110524, 0.11472, 0.081411],
        [0.100629, 0.165828, 0.271113, 0.159848, 0.240004, 0.062578],
        [0.126917, 0.2532, 0.257622, 0.167211, 0.113812, 0.081237],
    ],
    "unit 100": [
        [0.054588, 0.05509, 0.816249, 0.028954, 0.03184, 0.013278],
        [0.033533, 0.119854, 0.419819, 0.109139, 0.307669, 0.009986],
        [0.062504, 0.363721, 0.380139, 0.126259, 0.047339, 0.020036],
    ],
    "unit geti": [
        [0.071181, 0.20901, 0.24939, 0.156048, 0.21815, 0.09622],
        [0.108615, 0.112698, 0.124259, 0.188738, 0.35133, 0.11436],
        [0.126681, 0.23574, 0.09652, 0.200573, 0.14957, 0.190915],
    ],
    "unit scale": [
        [0.131448, 0.132015, 0.469424, 0.097535, 0.101995, 0.067582],
        [0.088875, 0.161845, 0.291939, 0.154867, 0.252216, 0.05026],
        [0.117867, 0.269976, 0.275643, 0.164092, 0.103418, 0.069004],
    ],
    "unit mean": [
        [0.227988, 0.126328, 0.245682, 0.100547, 0.129267, 0.170188],
        [0.15893, 0.1446, 0.159742, 0.142772, 0.265517, 0.128438],
        [0.197482, 0.21752, 0.149546, 0.147138, 0.124048, 0.164266],
    ],
    "unit every name": [
        [0.218246, 0.109811, 0.256594, 0.080724, 0.145207, 0.189418],
        [0.130158, 0.12441, 0.137505, 0.123474, 0.358495, 0.125959],
        [0.182013, 0.227085, 0.132519, 0.135235, 0.13953, 0.183617],
    ],
    "window": [
        [0.167923, 0.127715, 0.374074, 0.09952, 0.129931, 0.100837],
        [0.0958, 0.140747, 0.268879, 0.169968, 0.261324, 0.063283],
        [0.14565, 0.220083, 0.231182, 0.168815, 0.135687, 0.098583],
    ],
    "window geti": [
        [0.065477, 0.156217, 0.26701, 0.148168, 0.270995, 0.092134],
        [0.094516, 0.089843, 0.091236, 0.238717, 0.38027, 0.105417],
        [0.120219, 0.198387, 0.079466, 0.189247, 0.190886, 0.221796],
    ],
    "window from below 0": [
        [0.079546, 0.159282, 0.549473, 0.125059, 0.06328, 0.02336],
        [0.067326, 0.194097, 0.417581, 0.159499, 0.140293, 0.021204],
        [0.061255, 0.293453, 0.415132, 0.151604, 0.057347, 0.021208],
    ],
    "window of all": [
        [0.141727, 0.142236, 0.409382, 0.110524, 0.11472, 0.081411],
        [0.100629, 0.165828, 0.271113, 0.159848, 0.240004, 0.062578],
        [0.126917, 0.2532, 0.257622, 0.167211, 0.113812, 0.081237],
    ],
    "range": [
        [0.15293, 0.134514, 0.397565, 0.109114, 0.118201, 0.087675],
        [0.091227, 0.155381, 0.286379, 0.147937, 0.260873, 0.058203],
        [0.137147, 0.237184, 0.252284, 0.169264, 0.117948, 0.086174],
    ],
    "range geti": [
        [0.061052, 0.179337, 0.264938, 0.166911, 0.24391, 0.083853],
        [0.091561, 0.107851, 0.110817, 0.197664, 0.392399, 0.099708],
        [0.127934, 0.224437, 0.082271, 0.199697, 0.159339, 0.206322],
    ],
    "range from below 0": [
        [0.124263, 0.139134, 0.487256, 0.106996, 0.095369, 0.046982],
        [0.075932, 0.16171, 0.347771, 0.156047, 0.224788, 0.033753],
        [0.094826, 0.30487, 0.323753, 0.153751, 0.078956, 0.043844],
    ],
    "range of defaults": [
        [0.135632, 0.136697, 0.449122, 0.106516, 0.105739, 0.066294],
        [0.08469, 0.160112, 0.299661, 0.152788, 0.256531, 0.046217],
        [0.114467, 0.276128, 0.282291, 0.162689, 0.099617, 0.064809],
    ],
    "multilabel": [
        [0.514646, 0.516931, 0.940671, 0.359969, 0.382134, 0.205038],
        [0.218983, 0.500537, 0.778285, 0.477141, 0.720088, 0.077066],
        [0.324888, 0.736867, 0.745338, 0.492925, 0.267117, 0.133646],
    ],
    "multilabel unit geti": [
        [0.285502, 0.53987, 0.583329, 0.466949, 0.550482, 0.350709],
        [0.433267, 0.442348, 0.466554, 0.570529, 0.712053, 0.445963],
        [0.427758, 0.581773, 0.362871, 0.542026, 0.468813, 0.529753],
    ],
    "hierarchical": [
        [0.497713, 0.502287, 0.930683, 0.033014, 0.036304, 0.205038],
        [0.218616, 0.781384, 0.501799, 0.130451, 0.367749, 0.077066],
        [0.146646, 0.853354, 0.686497, 0.228013, 0.08549, 0.133646],
    ],
    "both": [
        [0.514646, 0.516931, 0.940671, 0.359969, 0.382134, 0.205038],
        [0.218983, 0.500537, 0.778285, 0.477141, 0.720088, 0.077066],
        [0.324888, 0.736867, 0.745338, 0.492925, 0.267117, 0.133646],
    ],
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Those of make_model_api_data.py; PNG keeps every pixel."""
    folder = tmp_path_factory.mktemp("pictures")
    paths = [folder / f"{number}.png" for number in range(3)]
    for number, path in enumerate(paths):
        assert sample.cv2.imwrite(str(path), picture(number))
    return paths


def unsupported(name, text):
    return f"Ignoring the unsupported {name} '{text}' in model_info"


def probabilities(model, images, *options, expected_warnings=()):
    """The probabilities [N,6] of a model whose run gives no warnings but those."""
    done = run("-m", model, "-i", *images, *options, "--infer_precision", "f32")
    assert done.returncode == 0, done.stderr
    assert warnings(done) == list(expected_warnings)
    return np.array([[row[1] for row in sorted(rows)] for _, rows in tables(done.stdout)])


@pytest.mark.parametrize("name", [name for name in CASES if name != "hierarchical"])
def test_probabilities_are_those_of_model_api(tmp_path, pictures, name):
    """A sigmoid comes of itself, a softmax only when asked for: the graph does not tell."""
    gain, info = CASES[name]
    is_multilabel = "multilabel" in info
    found = probabilities(
        save(tmp_path / "model.xml", gain, info),
        pictures,
        *([] if is_multilabel else ["--softmax"]),
        expected_warnings=[unsupported("hierarchical", "True")] if name == "both" else [],
    )
    assert found == pytest.approx(np.array(ANSWERS[name]), abs=2e-6)


def test_the_answers_tell_one_case_from_another():
    """Or else a name that is ignored would not show. Four cases are made to be another's."""
    twins = {"unit 100": "nothing", "window of all": "unit", "both": "multilabel"}
    for name, answers in ANSWERS.items():
        others = [others for other, others in ANSWERS.items() if other != name]
        nearest = min(np.abs(np.subtract(answers, other)).max() for other in others)
        if name not in (*twins, *twins.values()):
            assert nearest > 0.005, name
    for name, twin in twins.items():
        assert ANSWERS[name] == ANSWERS[twin]


@pytest.mark.parametrize("option, sigmoid_wins", [((), True), (("--softmax",), False)])
def test_softmax_on_the_command_line_wins_over_multilabel(tmp_path, pictures, option, sigmoid_wins):
    """The linear model is the same in both cases, so the softmax has Model API's answers, too."""
    model = save(tmp_path / "model.xml", *CASES["multilabel"])
    expected = ANSWERS["multilabel" if sigmoid_wins else "nothing"]
    assert probabilities(model, pictures, *option) == pytest.approx(np.array(expected), abs=2e-6)


def by_hand(pixels, low, high, mean, scale):
    """The means of the channels of what `build_preprocessing` hands to the model, in numpy."""
    values = np.clip(pixels.astype(np.float64), low, high)
    return ((values - mean) / scale).mean(axis=(1, 2))


@pytest.mark.parametrize("shape, layout", [((-1, 3, 8, 8), "NCHW"), ((-1, 8, 8, 3), "NHWC")])
def test_clamp_comes_first_then_mean_then_scale(tmp_path, shape, layout):
    """In any other order, the numbers differ by 10 and more; the channels turn before all."""
    axes = (2, 3) if layout == "NCHW" else (1, 2)
    path = save_model(tmp_path / "m.xml", lambda image: channel_means(image, axes), shape)
    pixels = np.stack([picture(number) for number in range(2)])
    mean, scale = [40, 90, 20], [2, 0.5, -4]
    model = sample.build_preprocessing(
        ov.Core().read_model(path),
        layout,
        reverse_channels=True,
        clamp=(60.5, 130),
        mean=mean,
        scale=scale,
    )
    [means] = ov.Core().compile_model(model, "CPU")(pixels).values()
    rgb = pixels[..., ::-1]
    assert means == pytest.approx(by_hand(rgb, 60.5, 130, mean, scale), abs=1e-3)


def test_sigmoid_is_for_each_logit_and_any_shape(tmp_path):
    path = save_model(tmp_path / "m.xml", always([-3, 0, 0.25]), (1, 3, 8, 8))
    model = sample.build_preprocessing(ov.Core().read_model(path), "NCHW", sigmoid=True)
    [found] = ov.Core().compile_model(model, "CPU")(np.zeros((1, 8, 8, 3), np.uint8)).values()
    assert found == pytest.approx(1 / (1 + np.exp([[3, 0, -0.25]])), abs=1e-6)


RANGE = value_range("2", "100", "300")
STATED = {**UNIT, "mean_values": "0.2", "scale_values": "0.5"}


@pytest.mark.parametrize(
    "info, options, expected",
    [
        # B 200, G 100, R 40; without options (x / 255 - 0.2) / 0.5 and so on
        ({**UNIT}, (), (200 / 255, 100 / 255, 40 / 255)),
        ({**UNIT}, ("--scale_values", "10"), (20, 10, 4)),
        ({**UNIT}, ("--mean_values", "51"), (149 / 255, 49 / 255, -11 / 255)),
        (STATED, (), (298 / 255, 98 / 255, -22 / 255)),
        (STATED, ("--scale_values", "2"), (74.5, 24.5, -5.5)),
        (STATED, ("--mean_values", "0"), (200 / 127.5, 100 / 127.5, 40 / 127.5)),
        (STATED, ("--mean_values", "1,2,3", "--scale_values", "1,2,4"), (199, 49, 9.25)),
        # the window's clamp to 78..178 stays: nothing on the command line speaks of it
        (window("128", "100"), (), (1, 0.22, 0)),
        (window("128", "100"), ("--mean_values", "0", "--scale_values", "1"), (178, 100, 78)),
        (RANGE, (), (1, 0.5, 0)),
        (RANGE, ("--mean_values", "50", "--scale_values", "5"), (20, 10, 0)),
    ],
    ids=str,
)  # fmt: skip
def test_mean_and_scale_on_the_command_line_replace_the_stated(
    with_info, red_green_blue, info, options, expected
):
    """With what the intensity makes of them: those on the command line are for 0..255."""
    done = run("-m", with_info(**info), "-i", red_green_blue, *options, "--infer_precision", "f32")
    assert done.returncode == 0, done.stderr
    [(_, rows)] = tables(done.stdout)
    assert {row[0]: row[1] for row in rows} == pytest.approx(dict(enumerate(expected)), abs=1e-4)
    assert all("outputs" in line for line in warnings(done)), "about no probabilities, nothing else"


@pytest.fixture(scope="session")
def red_green_blue(picture):
    """The picture of conftest.py, under a name that `picture` of this file leaves."""
    return picture


AS_IT_IS = pytest.approx({0: 200, 1: 100, 2: 40}, abs=1e-3)


NO_NUMBERS = ["nan", "inf", "many"]
NOT_POSITIVE = ["0", "-1", "-0.0", *NO_NUMBERS]


@pytest.mark.parametrize(
    "info, name, numbers",
    [
        (UNIT, "intensity_max_value", NOT_POSITIVE),
        (window("128", "100"), "intensity_window_width", NOT_POSITIVE),
        (value_range("1", "0", "200"), "intensity_scale_factor", NOT_POSITIVE),
        (value_range("1", "0", "200"), "intensity_max_value", NOT_POSITIVE),
        (value_range("1", "0", "200"), "intensity_min_value", [*NO_NUMBERS, "200", "201"]),
        pytest.param(
            window("128", "100"),
            "intensity_window_center",
            NO_NUMBERS,
        ),
    ],
    ids=["unit", "width", "factor", "highest", "lowest", "center"],
)
def test_a_number_without_sense_is_one_warning(with_info, red_green_blue, info, name, numbers):
    """The pixels stay as they are."""
    for number in numbers:
        done = run("-m", with_info(**{**info, name: number}), "-i", red_green_blue)
        assert done.returncode == 0, done.stderr
        [(_, rows)] = tables(done.stdout)
        assert {row[0]: row[1] for row in rows} == AS_IT_IS
        [about_intensity, about_outputs] = warnings(done)
        mode = info["intensity_mode"]
        assert about_intensity.startswith(f"Ignoring the unsupported intensity_mode '{mode}")
        assert about_outputs.startswith("The model's outputs are not probabilities (40 to 200)")


@pytest.mark.parametrize(
    "info",
    [
        {"intensity_mode": "window"},
        {"intensity_mode": "window", "intensity_window_center": "128"},
        {"intensity_mode": "window", "intensity_window_width": "100"},
        {"intensity_mode": "range_scale"},
        {"intensity_mode": "range_scale", "intensity_min_value": "20"},
        value_range("1", "200", "200"),
        value_range("1", "200", "100"),
        value_range("-1", "-200", "-10"),
        window("center", "100"),
        {"intensity_mode": "percentile"},
        {"intensity_mode": "percentile", "intensity_percentile_low": "5"},
        {"intensity_mode": "Scale_To_Unit"},
        {"intensity_mode": "standardise"},
    ],
    ids=str,
)
def test_an_intensity_that_cannot_be_done_is_one_warning(with_info, red_green_blue, info):
    done = run("-m", with_info(**info), "-i", red_green_blue)
    assert done.returncode == 0, done.stderr
    [(_, rows)] = tables(done.stdout)
    assert {row[0]: row[1] for row in rows} == AS_IT_IS
    [about_intensity, about_outputs] = warnings(done)
    assert about_intensity.startswith(
        f"Ignoring the unsupported intensity_mode '{info['intensity_mode']}"
    )
    assert about_outputs.startswith("The model's outputs are not probabilities (40 to 200)")


# Of each name a value that the sample cannot do
UNSUPPORTED = {
    "hierarchical": "True",
    "input_dtype": "f32",
    "intensity_mode": "percentile",
    "interpolation_mode": "CUBIC",
    "multilabel": "maybe",
    "path_to_labels": "/home/somebody/labels.txt",
    "resize_type": "fit_to_window",
    "reverse_input_channels": "maybe",
}


@pytest.mark.parametrize("names", [*([name] for name in UNSUPPORTED), list(UNSUPPORTED)], ids=str)
def test_each_name_that_is_not_supported_is_one_warning(with_info, red_green_blue, names):
    """Whether there are several images or one, several batches or one."""
    info = {name: UNSUPPORTED[name] for name in names}
    done = run("-m", with_info(**info), "-i", *[red_green_blue] * 3, "-b", "1")
    assert done.returncode == 0, done.stderr
    assert sorted(line for line in warnings(done) if "model_info" in line) == sorted(
        unsupported(*item) for item in info.items()
    )
    assert [{row[0]: row[1] for row in rows} for _, rows in tables(done.stdout)] == [AS_IT_IS] * 3


WITHOUT_EFFECT = {
    "confidence_threshold": "0.99",
    "hierarchical": "False",
    "hierarchical_config": HIERARCHY["hierarchical_config"],
    "hierarchical_postproc": "greedy",
    "input_dtype": "u8",
    "intensity_max_value": "9",
    "intensity_mode": "none",
    "intensity_repeat_channels": "True",
    "intensity_scale_factor": "3",
    "intensity_window_center": "10",
    "intensity_window_width": "20",
    "interpolation_mode": "LINEAR",
    "model_type": "Classification",
    "multilabel": "NO",
    "orig_height": "4",
    "orig_width": "4",
    "output_raw_scores": "True",
    "pad_value": "114",
    "resize_type": "standard",
    "task_type": "classification",
    "topk": "1",
}


@pytest.mark.parametrize("names", [*([name] for name in WITHOUT_EFFECT), list(WITHOUT_EFFECT)])
def test_names_without_effect_are_no_warning(with_info, red_green_blue, names):
    info = {name: WITHOUT_EFFECT[name] for name in names}
    assert scores("-m", with_info(**info), "-i", red_green_blue) == [AS_IT_IS]


def ignored(name, text):
    return re.escape(f"[ WARNING ] {unsupported(name, text)}\n")


@pytest.mark.parametrize(
    "info, warning",
    [
        ({}, NO_PROBABILITIES),
        ({"multilabel": "False"}, NO_PROBABILITIES),
        (HIERARCHY, ignored("hierarchical", "True") + NO_LOGITS_EITHER),
        ({"hierarchical": "YES"}, ignored("hierarchical", "YES") + NO_LOGITS_EITHER),
    ],
    ids=["nothing", "multiclass", "hierarchical", "hierarchical-without-heads"],
)  # fmt: skip
def test_the_advice_softmax_is_for_one_class_of_all(with_info, red_green_blue, info, warning):
    assert scores("-m", with_info(**info), "-i", red_green_blue, stderr=warning) == [AS_IT_IS]


@pytest.mark.parametrize("flag", ["multilabel", "hierarchical"])
@pytest.mark.parametrize("outputs", [[0.9, 0.8, 0.7], [0.1, 0.2, 0.1]], ids=str)
def test_several_labels_at_once_need_not_add_up_to_1(tmp_path, red_green_blue, flag, outputs):
    """0.9, 0.8 and 0.7 are sigmoids of heads; the multilabel model's logits give a sum of 2.05."""
    model = save_model(tmp_path / "m.xml", always(outputs))
    plain = run("-m", model, "-i", red_green_blue)
    assert "do not add up to 1" in plain.stderr
    done = run(
        "-m", save_with_info(tmp_path / "stated.xml", model, **{flag: "True"}), "-i", red_green_blue
    )
    assert done.returncode == 0 and "add up" not in done.stderr
    [(_, rows)] = tables(done.stdout)
    wanted = 1 / (1 + np.exp(-np.array(outputs))) if flag == "multilabel" else outputs
    assert [row[1] for row in sorted(rows)] == pytest.approx(list(wanted), abs=1e-6)


@pytest.mark.parametrize("yes", ["YES", "True"])
def test_embedded_processing_keeps_what_comes_after_the_graph(tmp_path, red_green_blue, yes):
    """Mean, scale, intensity and channels are in the graph; sigmoid and labels are not."""
    path = save_model(tmp_path / "m.xml", channel_means)
    ppp = PrePostProcessor(ov.Core().read_model(path))
    ppp.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    ppp.input().model().set_layout(ov.Layout("NCHW"))
    steps = ppp.input().preprocess().reverse_channels().convert_element_type(ov.Type.f32)
    steps.mean([40, 100, 197]).scale([1, 2, 3])
    graph = ppp.build()
    info = {
        **window("12", "34"),
        "embedded_processing": yes,
        "labels": "red green blue",
        "mean_values": "40 100 197",
        "resize_type": "fit_to_window",
        "reverse_input_channels": "YES",
        "scale_values": "1 2 3",
    }
    logits = np.array([0, 0, 1])
    for more, expected, warning in (
        ({}, logits, ""),
        ({"multilabel": yes}, 1 / (1 + np.exp(-logits)), ""),
        ({"hierarchical": yes}, logits, ignored("hierarchical", yes)),
    ):
        model = save_with_info(tmp_path / "embedded.xml", graph.clone(), **info, **more)
        [(_, rows)] = classify(
            "-m", model, "-i", red_green_blue, "--infer_precision", "f32", stderr=warning
        )
        assert [row[1] for row in sorted(rows)] == pytest.approx(list(expected), abs=1e-5)
        assert [row[2] for row in sorted(rows)] == ["red", "green", "blue"]


# The numbers that PyTorch's pages print: torchvision's for ImageNet, and those of other data sets
FOR_0_TO_1 = [
    ("0.485,0.456,0.406", "0.229,0.224,0.225"),
    ("[0.485, 0.456, 0.406]", "[0.229, 0.224, 0.225]"),
    ("0.4914,0.4822,0.4465", "0.2023,0.1994,0.2010"),  # CIFAR-10
    ("0.5", "0.5"),
    ("0.1307", "0.3081"),  # MNIST
    ("0", "0.00392157"),  # 1 / 255: to multiply by
    (None, "0.229,0.224,0.225"),
]
FOR_0_TO_255 = [
    ("123.675,116.28,103.53", "58.395,57.12,57.375"),
    ("127.5", "127.5"),
    ("0", "255"),
    ("0.485,0.456,0.406", "255"),
    ("123.675,116.28,103.53", "0.5"),
    ("0.485,0.456,0.406", "1,0.5,0.5"),
    ("0.485,0.456,0.406", None),
    (None, "1"),
]
ABOUT_255 = (
    "The values to divide by are all below 1: mean and scale are for pixels in 0..255. "
    "Multiply values that are for 0..1 by 255"
)


def count_about_255(done):
    assert done.returncode == 0, done.stderr
    return warnings(done).count(ABOUT_255)


@pytest.mark.parametrize(
    "mean, scale, expected",
    [*((*values, 1) for values in FOR_0_TO_1), *((*values, 0) for values in FOR_0_TO_255)],
)
def test_mean_and_scale_for_0_to_1_are_a_warning(
    tmp_path, channel_model, red_green_blue, mean, scale, expected
):
    """Whether options or model_info state them; with an intensity to 0..1, they are right."""
    options = [
        *(("--mean_values", mean) if mean else ()),
        *(("--scale_values", scale) if scale else ()),
    ]
    given = run("-m", channel_model, "-i", *[red_green_blue] * 3, "-b", "1", *options)
    assert count_about_255(given) == expected

    names = {"mean_values": mean, "scale_values": scale}
    info = {name: re.sub(r"[][,]+ *", " ", text) for name, text in names.items() if text}
    for more, count in (({}, expected), (UNIT, 0)):
        model = save_with_info(tmp_path / "stated.xml", channel_model, **info, **more)
        assert count_about_255(run("-m", model, "-i", red_green_blue)) == count, more
    # the options replace what is stated, for 0..255 again
    assert count_about_255(run("-m", model, "-i", red_green_blue, *options)) == (
        expected and bool(scale)
    )


@pytest.mark.parametrize("element_type", [np.uint8, np.int8, np.int32])
def test_values_below_1_are_right_for_an_integer_input(tmp_path, red_green_blue, element_type):
    """As TensorFlow Lite's quantisation of 0..1: pixel / 0.5 fills a range of 8 bits."""
    model = save_model(
        tmp_path / "integer.xml",
        lambda image: channel_means(ops.convert(image, np.float32)),
        element_type=element_type,
    )
    options = ("--mean_values", "0.485,0.456,0.406", "--scale_values", "0.229,0.224,0.225")
    assert count_about_255(run("-m", model, "-i", red_green_blue, *options)) == 0


def test_geti_s_model_on_photos(tmp_path, channel_model):
    """Of real photos the values are near 0, and ((x / 255) - mean) / std by hand."""
    model = save_with_info(tmp_path / "geti.xml", channel_model, **UNIT, **GETI)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    for (path, rows), photo in zip(
        classify("-m", model, "-i", *PHOTOS, "--infer_precision", "f32", stderr=NO_PROBABILITIES),
        PHOTOS,
    ):
        assert path == str(photo)
        rgb = sample.cv2.resize(sample.cv2.imread(str(photo)), (8, 8))[..., ::-1]
        by_hand = ((rgb / 255 - mean) / std).mean(axis=(0, 1))
        assert [row[1] for row in sorted(rows)] == pytest.approx(list(by_hand), abs=1e-4)
        assert np.abs(by_hand).max() < 3


@pytest.mark.parametrize("prefix", ["model_info ", ""], ids=["Model API's", "bare"])
def test_the_metadata_of_an_onnx_file_count_as_model_info(tmp_path, red_green_blue, prefix):
    """Model API's export to ONNX writes `model_info labels` and so on."""
    info = {
        **UNIT,
        "labels": "sky_blue grass fire",
        "mean_values": "0.1 0.2 0.3",
        "multilabel": "True",
        "reverse_input_channels": "True",
    }
    metadata = {f"{prefix}{name}": text for name, text in info.items()}
    metadata |= {"author": "somebody", "description": "a model", "names": "{0: 'x'}"}
    model = save_onnx(tmp_path / "model.onnx", POOLED, metadata=metadata)
    [(_, rows)] = classify("-m", model, "-i", red_green_blue, "--infer_precision", "f32")
    logits = np.array([40, 100, 200]) / 255 - [0.1, 0.2, 0.3]
    assert [row[1] for row in sorted(rows)] == pytest.approx(
        list(1 / (1 + np.exp(-logits))), abs=1e-6
    )
    assert [row[2] for row in sorted(rows)] == ["sky blue", "grass", "fire"]

    metadata = {f"{prefix}hierarchical": "True", f"{prefix}input_dtype": "f32"}
    model = save_onnx(tmp_path / "model.onnx", POOLED, metadata=metadata)
    done = run("-m", model, "-i", red_green_blue)
    assert [line for line in warnings(done) if "unsupported" in line] == [
        unsupported("hierarchical", "True"), unsupported("input_dtype", "f32")
    ]  # fmt: skip


def test_an_onnx_file_without_metadata(tmp_path, red_green_blue):
    model = save_onnx(tmp_path / "model.onnx", POOLED)
    assert scores("-m", model, "-i", red_green_blue) == [AS_IT_IS]
