"""`resize` and `center_box`: what Pillow and torchvision make of an image, and --antialias.

The numbers that they gave are in resize_data.json; make_resize_data.py made it.
"""

import json
import runpy
import time
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import cv2
import numpy as np
import pytest
from helpers import PHOTOS, idx, paste, run, save_model, save_with_info, scores
from make_resize_data import CROPPED_SIZE, DATA, RESIZED, RESIZED_AND_CROPPED, pattern
from openvino import opset13 as ops
from test_inputs import pixels_given_to_the_model

import classification_sample_async as sample

FILTERS = ["bilinear", "bicubic"]
CASES = json.loads(DATA.read_text(encoding="utf-8"))


def pixels_of(case, filter_name):
    """What Pillow or torchvision made of `pattern` in this case."""
    width, height = case.get("size", [CROPPED_SIZE, CROPPED_SIZE])
    pixels = np.frombuffer(bytes.fromhex(case[filter_name]), np.uint8)
    return pixels.reshape(height, width, *case["shape"][2:])


def resize_as_in(case, filter_name):
    pixels = pattern(*case["shape"])
    if "resize" in case:
        size = [CROPPED_SIZE, CROPPED_SIZE]
        box = sample.center_box(pixels, *size, Fraction(CROPPED_SIZE, case["resize"]))
    else:
        size, box = case["size"], case["box"]
    return sample.resize(pixels, *size, cubic=filter_name == "bicubic", box=box)


def levels_off(found, expected):
    assert found.shape == expected.shape
    return np.abs(found.astype(float) - expected)


# The numbers of Pillow and torchvision


def test_the_data_is_of_the_cases_of_its_program():
    resized = [(case["shape"], case["size"], case["box"]) for case in CASES if "size" in case]
    cropped = [(case["shape"], case["resize"]) for case in CASES if "resize" in case]
    assert json.dumps([resized, cropped]) == json.dumps([RESIZED, RESIZED_AND_CROPPED])


@pytest.mark.parametrize("filter_name", FILTERS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: str(list(case.values())[:-2]))
def test_pixels_are_pillows(case, filter_name):
    found = resize_as_in(case, filter_name)
    assert found.dtype == np.uint8
    assert levels_off(found, pixels_of(case, filter_name)).max() <= 1


@pytest.mark.parametrize("filter_name", FILTERS)
def test_99_of_100_values_are_exactly_pillows(filter_name):
    """The others are half a level in theory, which Pillow's integers round another way."""
    off = [levels_off(resize_as_in(case, filter_name), pixels_of(case, filter_name)).ravel()
           for case in CASES]  # fmt: skip
    assert np.mean(np.concatenate(off) == 0) >= 0.99


# What follows from the definition


@pytest.mark.parametrize("cubic", [False, True])
@pytest.mark.parametrize("value", [0, 1, 128, 254, 255])
def test_one_colour_stays_as_it_is(value, cubic):
    for shape in ((1, 1), (1, 9), (40, 3), (61, 47), (300, 200, 3)):
        height, width = shape[:2]
        pixels = np.full(shape, value, np.uint8)
        for box in (None, (0.3 * width, 0.2 * height, 0.9 * width, 0.7 * height)):
            for size in ((1, 1), (7, 13), (50, 50)):
                resized = sample.resize(pixels, *size, cubic, box)
                assert resized.shape == (*size[::-1], *shape[2:])
                assert (resized == value).all(), (shape, box, size)


@pytest.mark.parametrize(
    "length, count, cubic, expected",
    [
        # Each of the new ones lies between two old ones, whose distances from it are 0.5 and 1.5;
        # the triangle is 2 wide to each side: 3/4, 1/4. At the edges the rest counts as the whole
        (8, 4, False, [[3, 3, 1, 0, 0, 0, 0, 0], [0, 1, 3, 3, 1, 0, 0, 0],
                       [0, 0, 0, 1, 3, 3, 1, 0], [0, 0, 0, 0, 0, 1, 3, 3]]),
        (4, 2, False, [[3, 3, 1, 0], [0, 1, 3, 3]]),
        # A third: distances 0, 1 and 2 of 3
        (3, 1, False, [[2, 3, 2]]),
        # Where an image grows, the triangle is 1 wide: the new ones lie at -1/4, 1/4, 3/4 and 5/4
        (2, 4, False, [[1, 0], [3, 1], [1, 3], [0, 1]]),
        (3, 3, False, np.eye(3)),
        (3, 3, True, np.eye(3)),
        (1, 3, False, [[1], [1], [1]]),
        (1, 3, True, [[1], [1], [1]]),
        # Keys' cubic at 1/4, 3/4, 5/4 and 7/4 is 111, 29, -9 and -3 of 128
        (2, 4, True, [[111, -9], [111, 29], [29, 111], [-9, 111]]),
        (16, 8, True, [None, None, [0, -3, -9, 29, 111, 111, 29, -9, -3, *[0] * 7], *[None] * 5]),
        (8, 16, True, [*[None] * 5, [0, -9, 111, 29, -3, 0, 0, 0], *[None] * 10]),
    ],
    ids=str,
)  # fmt: skip
def test_weights_calculated_by_hand(length, count, cubic, expected):
    """In proportion: each row adds up to 1."""
    weights = sample.filter_weights(length, count, 0, length, cubic)
    assert weights.shape == (count, length) and weights.dtype == np.float32
    assert weights.sum(axis=1) == pytest.approx(np.ones(count))
    for found, by_hand in zip(weights, expected):
        if by_hand is not None:
            assert found == pytest.approx(np.divide(by_hand, np.sum(by_hand)), abs=1e-6)


def test_rows_are_resized_first_and_half_a_level_is_rounded_up():
    """Two by two pixels to one: first the two of each row, whose means are whole numbers again."""
    for pixels, expected in (
        ([[0, 2], [1, 1]], 1),  # 1, 1; the columns first would be 1 and 2, and then 2
        ([[0, 1], [2, 1]], 2),  # 1, 2; the columns first would be 1 and 1
    ):
        for cubic in (False, True):
            assert sample.resize(np.array(pixels, np.uint8), 1, 1, cubic).tolist() == [[expected]]


def test_what_a_cubic_overshoots_is_cut_off():
    """An edge, twice as large: the fourth of 8 pixels is 255 * (29 - 3) / 128."""
    edge = np.array([[0, 0, 255, 255]], np.uint8)
    assert sample.resize(edge, 8, 1, cubic=True).tolist() == [[0, 0, 0, 52, 203, 255, 255, 255]]
    assert sample.resize(edge.T, 1, 8, cubic=True).ravel().tolist() == [
        0, 0, 0, 52, 203, 255, 255, 255
    ]  # fmt: skip


@pytest.mark.parametrize("cubic", [False, True])
@pytest.mark.parametrize("channels", [0, 3])
@pytest.mark.parametrize("height, width", [(61, 47), (300, 200), (20, 25), (400, 31), (29, 500)])
def test_a_box_gives_a_part_of_what_the_whole_is_resized_to(height, width, channels, cubic):
    shape = (height, width, *[channels] * bool(channels))
    pixels = np.random.default_rng(height).integers(0, 256, shape, np.uint8)
    for (new_width, new_height), (left, top, right, bottom) in (
        ((40, 50), (10, 20, 33, 41)), ((9, 7), (0, 2, 8, 7)), ((64, 64), (63, 0, 64, 1))
    ):  # fmt: skip
        whole = sample.resize(pixels, new_width, new_height, cubic)
        x, y = width / new_width, height / new_height
        box = (left * x, top * y, right * x, bottom * y)
        part = sample.resize(pixels, right - left, bottom - top, cubic, box)
        off = levels_off(part, whole[top:bottom, left:right])
        assert off.max() <= 1 and (off == 0).mean() >= 0.99


def test_views_are_resized_as_copies_and_stay_as_they_are():
    pixels = np.random.default_rng(0).integers(0, 256, (60, 50, 4), np.uint8)
    before = pixels.copy()
    for view in (pixels[5:-5, 7:-7], pixels[::-1, ::2], pixels[..., 2::-1], pixels[..., 1],
                 pixels.transpose(1, 0, 2)):  # fmt: skip
        for cubic in (False, True):
            found = sample.resize(view, 13, 11, cubic, (1.5, 2.5, 20, 25))
            assert np.array_equal(
                found, sample.resize(view.copy(), 13, 11, cubic, (1.5, 2.5, 20, 25))
            )
    assert np.array_equal(pixels, before)


# The box of Resize and CenterCrop


@pytest.mark.parametrize(
    "image_size, model_size, ratio, resized_to, left_top",
    [  # all sizes are width and height
        # 256 * 640 / 480 is 341 1/3; (341 - 224) / 2 is 58.5, which Python rounds to 58
        ((640, 480), (224, 224), "0.875", (341, 256), (58, 16)),
        ((480, 640), (224, 224), "0.875", (256, 341), (16, 58)),
        ((640, 480), (224, 224), "224/232", (309, 232), (42, 4)),  # 309 1/3, 42.5
        ((640, 480), (224, 224), "0.9", (330, 248), (53, 12)),  # 248.9, 330 2/3
        ((480, 640), (224, 224), "0.9", (248, 330), (12, 53)),
        ((640, 480), (224, 224), "0.95", (313, 235), (44, 6)),  # 235.8, 313 1/3; 44.5, 5.5
        ((640, 480), (224, 224), "1", (298, 224), (37, 0)),  # 298 2/3
        ((500, 375), (224, 224), "0.5", (597, 448), (186, 112)),  # 597 1/3; 186.5
        ((224, 224), (224, 224), "1", (224, 224), (0, 0)),
        ((100, 100), (224, 224), "0.7", (320, 320), (48, 48)),  # grows; 224 / 0.7 is no 319.99
        ((8000, 500), (224, 224), "0.875", (4096, 256), (1936, 16)),
        ((500, 8000), (224, 224), "0.875", (256, 4096), (16, 1936)),
        # As wide as 192 / 0.875 is 219.4; 219 * 480 / 640 is 164 1/4; (219 - 192) / 2 is 13.5
        ((640, 480), (192, 48), "0.875", (219, 164), (14, 58)),
        ((640, 480), (48, 192), "0.875", (292, 219), (122, 14)),
        ((800, 200), (192, 48), "1", (192, 48), (0, 0)),  # of the model's form
        ((801, 200), (192, 48), "1", (192, 48), (0, 0)),  # 192.24
        ((799, 200), (192, 48), "1", (192, 48), (0, 0)),  # 48.06
    ],
    ids=str,
)
def test_boxes_worked_out_by_hand(image_size, model_size, ratio, resized_to, left_top):
    pixels = np.empty((*image_size[::-1], 3), np.uint8)
    scales = np.divide(image_size, resized_to)
    expected = [*(left_top * scales), *(np.add(left_top, model_size) * scales)]
    found = sample.center_box(pixels, *model_size, Fraction(ratio))
    assert found == pytest.approx(expected, abs=1e-9)
    assert sample.center_box(pixels[..., 0], *model_size, Fraction(ratio)) == found


def test_a_box_in_numbers():
    """16 of 256 rows are 31.25 of 500; with nothing to round, the same from all sides."""
    assert sample.center_box(np.empty((500, 8000)), 224, 224, 0.875) == (
        3781.25, 31.25, 4218.75, 468.75
    )  # fmt: skip


# The program


def save_image(folder, pixels, kind):
    path = folder / f"image.{kind}"
    if kind == "ubyte":
        path.write_bytes(idx(0x803, 1, *pixels.shape, data=pixels.tobytes()))
    else:
        cv2.imwrite(str(path), pixels)
    return path


PROGRAM_CASES = [  # the place in CASES, and the options besides --antialias
    (0, ()),
    (2, ()),
    (3, ()),
    (9, ()),
    (15, ("--center_crop", "0.875")),
    (15, ("--center_crop", "7/8")),
    (16, ("--center_crop", "0.7")),
    (17, ("--center_crop", "1")),
    (17, ("--center_crop", "224/232")),  # 7.25 rows, of which 7 remain
    (18, ("--center_crop", ".875")),
]


PICTURES = [(kind, channels) for kind in ("png", "ubyte") for channels in (1, 3)]


@pytest.mark.parametrize("antialias", [(), ("bicubic",)], ids=str)
@pytest.mark.parametrize(
    "number, options, kind, channels",
    [
        (number, options, kind, channels)
        for number, options in PROGRAM_CASES
        for kind, channels in (PICTURES if len(CASES[number]["shape"]) == 2 else [("png", 3)])
    ],
    ids=str,
)
def test_the_model_gets_pillows_pixels(tmp_path, number, options, kind, channels, antialias):
    case = CASES[number]
    pixels = pattern(*case["shape"])
    expected = pixels_of(case, *(antialias or ["bilinear"]))
    if pixels.ndim == 2:
        expected = expected[:, :, np.newaxis].repeat(channels, axis=2)
    shape = (channels, *expected.shape[:2])
    path = save_image(tmp_path, pixels, kind)
    found = pixels_given_to_the_model(tmp_path, shape, path, "--antialias", *antialias, *options)
    assert levels_off(found, expected).max() <= 1


@pytest.mark.parametrize("antialias", FILTERS)
@pytest.mark.parametrize(
    "image_size, model_size, ratio, resized_to, left_top",
    [
        ((80, 60), (56, 56), "224/232", (77, 58), (10, 1)),
        ((60, 80), (56, 56), "0.875", (64, 85), (4, 14)),
        ((64, 48), (48, 12), "0.875", (54, 40), (3, 14)),
        ((64, 48), (12, 48), "0.875", (72, 54), (30, 3)),
    ],
    ids=str,
)
@pytest.mark.parametrize("channels", [1, 3])
def test_resize_then_crop(
    tmp_path, image_size, model_size, ratio, resized_to, left_top, channels, antialias
):
    """A colour image: the model of one channel gets it as OpenCV decodes it to gray."""
    colour = np.random.default_rng(0).integers(0, 256, (*image_size[::-1], 3), np.uint8)
    path = save_image(tmp_path, colour, "png")
    image = colour if channels == 3 else cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    resized = sample.resize(image, *resized_to, cubic=antialias == "bicubic")
    width, height = model_size
    left, top = left_top
    expected = resized.reshape(*resized.shape[:2], channels)
    expected = expected[top : top + height, left : left + width]
    found = pixels_given_to_the_model(
        tmp_path, (channels, height, width), path,
        "--antialias", antialias, "--center_crop", ratio,
    )  # fmt: skip
    off = levels_off(found, expected)
    assert off.max() <= 1 and (off == 0).mean() >= 0.99
    cropped = sample.center_crop(image, width, height, Fraction(ratio))
    without = cv2.resize(cropped, model_size).reshape(expected.shape)
    assert np.array_equal(
        without,
        pixels_given_to_the_model(
            tmp_path, (channels, height, width), path, "--center_crop", ratio
        ),
    )
    assert levels_off(without, expected).mean() > 3, "without --antialias it is another image"


def test_the_model_may_state_the_crop(tmp_path):
    """Its resize_type is a --center_crop 1, after --antialias as well."""
    case = CASES[17]
    expected = pixels_of(case, "bilinear").ravel()
    path = save_image(tmp_path, pattern(*case["shape"]), "png")
    model = save_model(
        tmp_path / "plain.xml", lambda pixels: ops.reshape(pixels, [-1, 49], False), (1, 1, 7, 7)
    )
    model = save_with_info(tmp_path / "model.xml", model, resize_type="crop")
    [found] = scores("-m", model, "-i", path, "--antialias", "-nt", "49")
    assert levels_off(np.array([found[index] for index in range(49)]), expected).max() <= 1


@pytest.mark.parametrize("crop_ratio", [None, Fraction(7, 8)])
@pytest.mark.parametrize("antialias", FILTERS)
def test_many_threads_give_the_pixels_of_one(tmp_path, crop_ratio, antialias):
    """Images of few sizes, so that the memory of one serves for another."""
    random = np.random.default_rng(0)
    paths = []
    for number in range(12):
        size = [(90, 120, 3), (120, 90, 3), (33, 200, 3)][number % 3]
        paths.append(tmp_path / f"{number}.png")
        cv2.imwrite(str(paths[-1]), random.integers(0, 256, size, np.uint8))

    def read(path):
        image, row = sample.Image(path.name, str(path)), np.empty((24, 32, 3), np.uint8)
        reader.read(image, row)
        assert image.error == ""
        return row

    reader = sample.ImageReader(crop_ratio, antialias)
    expected = [read(path) for path in paths]
    assert len({row.tobytes() for row in expected}) == len(paths)
    reader = sample.ImageReader(crop_ratio, antialias)
    with ThreadPoolExecutor(16) as pool:
        for number, row in enumerate(pool.map(read, paths * 8)):
            assert np.array_equal(row, expected[number % len(paths)])


# The options


@pytest.mark.parametrize(
    "text, ratio",
    [
        ("224/232", Fraction(28, 29)), ("7/8", Fraction(7, 8)), (".5", Fraction(1, 2)),
        ("0.875", Fraction(7, 8)), ("0.7", Fraction(7, 10)), ("1", 1), ("1.0", 1), ("1.", 1),
        ("232/232", 1), ("0.01", Fraction(1, 100)),
    ],
)  # fmt: skip
def test_ratios(text, ratio):
    assert sample.ratio_up_to_1(text) == ratio


WRONG_RATIOS = [
    "0", "0.0", "0/5", "1/0", "0/0", "3/2", "1.0000001", "-1", "-1/2", "1e-9", "nan", "inf", "half",
    "", "/", "1/", "/2", "1/2/3", "0.5/1", "1 / 2", "1,2", "50%",
    f"0.{'0' * 30}1",
]  # fmt: skip


@pytest.mark.parametrize("text", WRONG_RATIOS)
def test_what_is_no_ratio_is_refused(channel_model, picture, text):
    done = run("-m", channel_model, "-i", picture, "--antialias", f"--center_crop={text}")
    assert (done.returncode, done.stdout) == (2, "")
    expected = f"error: argument --center_crop: must be above 0, at most 1, not '{text}'\n"
    assert done.stderr.endswith(expected)


@pytest.mark.parametrize("text", ["0", "1/0", "3/2", "-1", "1e-9", "nan"])
def test_what_is_no_ratio_is_refused_as_a_word_of_its_own(channel_model, picture, text):
    done = run("-m", channel_model, "-i", picture, "--center_crop", text, "--antialias")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"error: argument --center_crop: must be above 0, at most 1, not '{text}'" in done.stderr


@pytest.mark.parametrize(
    "text",
    ["9" * 1_000_000, "1/" + "9" * 1_000_000, "0." + "3" * 1_000_000, "1e-3000000", "1e3000000",
     "." * 100_000, "1" + "_1" * 100_000],
    ids=lambda text: f"{text[:12]}, {len(text)} characters",
)  # fmt: skip
def test_no_text_takes_long(text):
    """Fraction alone makes an integer of three million digits of 1e3000000, for two seconds."""
    start = time.process_time()
    with pytest.raises(sample.argparse.ArgumentTypeError):
        sample.ratio_up_to_1(text)
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize("filter_name", ["lanczos", "Bilinear", "area", "", "bi"])
def test_another_filter_is_refused(channel_model, picture, filter_name):
    done = run("-m", channel_model, "-i", picture, "--antialias", filter_name)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"error: argument --antialias: invalid choice: '{filter_name}'" in done.stderr


def test_an_image_where_the_filter_belongs_is_no_filter(channel_model, picture):
    done = run("-m", channel_model, "--antialias", picture, "-i", picture)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"error: argument --antialias: invalid choice: '{picture}'" in done.stderr


def test_an_option_may_follow_antialias(tmp_path):
    case = CASES[0]
    path = save_image(tmp_path, pattern(*case["shape"]), "png")
    given_last = pixels_given_to_the_model(tmp_path, (1, 8, 9), path, "--antialias")
    model = tmp_path / "pixels.xml"
    [first] = scores("--antialias", "-i", path, "-m", model, "-nt", "72")
    assert [first[index] for index in range(72)] == given_last.ravel().tolist()


# Pasted into a program of its own

RESIZE = f"""
for path in {list(map(str, PHOTOS[:2]))}:
    pixels = cv2.imread(path)
    for image in (pixels, pixels[:, :, 0], pixels[:, :, :1].repeat(4, axis=2)):
        for cubic in (False, True):
            small = resize(image, 24, 16, cubic)
            assert small.shape == (16, 24, *image.shape[2:]) and small.dtype == np.uint8
            mean_off = np.abs(small.mean(axis=(0, 1)) - image.mean(axis=(0, 1))).max()
            assert mean_off < 2, mean_off
            part = resize(image, 12, 8, cubic, box=(0, 0, image.shape[1] / 2, image.shape[0] / 2))
            assert np.abs(part.astype(int) - small[:8, :12]).max() <= 1
assert resize(np.array([[0, 100]], np.uint8), 4, 1).tolist() == [[0, 25, 75, 100]]
"""

CENTER_BOX = """
pixels = np.zeros((500, 8000, 3), np.uint8)
expected = (3781.25, 31.25, 4218.75, 468.75)  # 8000x500 becomes 4096x256, of that 224x224
assert center_box(pixels, 224, 224, 0.875) == expected
assert center_box(pixels[:, :, 0], 224, 224, Fraction(224, 256)) == expected
assert center_box(np.zeros((60, 60)), 20, 20, 0.5) == (15, 15, 45, 45)
assert center_box(np.zeros((60, 60)), 20, 20, 1) == (0, 0, 60, 60)
"""


@pytest.mark.parametrize(
    "pieces, program",
    [(["resize", "resize_rows", "filter_weights"], RESIZE), (["center_box"], CENTER_BOX)],
    ids=["resize", "center_box"],
)
def test_alone_in_a_program(tmp_path, pieces, program):
    runpy.run_path(str(paste(tmp_path / "program.py", pieces, program)), run_name="__main__")
