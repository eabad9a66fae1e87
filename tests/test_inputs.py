"""What `-i` takes: files, folders and IDX files, and the pixels that come of them."""

import gzip
import os
import re
import shlex
import shutil
import struct
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers import (
    DATA,
    DIGITS,
    LENET,
    NO_LOGITS_EITHER,
    NO_PROBABILITIES,
    PHOTOS,
    TRICKY_NAMES,
    at_once,
    channel_means,
    classify,
    fails_with_one_line,
    idx,
    run,
    save_model,
    scores,
    tables,
    top_ids,
    warnings,
)
from openvino import opset13 as ops


def test_files_and_folders_in_the_order_given(channel_model):
    results = classify(
        "-m", channel_model, "-i", PHOTOS[3], DATA / "images", PHOTOS[1], PHOTOS[1], "--softmax"
    )
    assert [name for name, _ in results] == [
        str(path) for path in [PHOTOS[3], *PHOTOS, PHOTOS[1], PHOTOS[1]]
    ]


def test_the_option_given_twice_adds_up(channel_model):
    results = classify(
        "-m", channel_model, "-i", PHOTOS[3], PHOTOS[0], "--softmax", "-i", PHOTOS[1]
    )
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
    assert [os.path.basename(name) for name, _ in results] == [
        "C.JPG",
        "a.bmp",
        "b.png",
        "no-suffix",
    ]


def test_an_idx_file_for_a_three_channel_model_is_gray_in_all_channels(tmp_path, channel_model):
    digits = tmp_path / "three.ubyte"
    digits.write_bytes(idx(0x803, 3, 4, 5, data=bytes([10] * 20 + [20] * 20 + [30] * 20)))
    results = classify(
        "-m", channel_model, "-i", digits, "--infer_precision", "f32", stderr=NO_PROBABILITIES
    )
    assert results == [
        (f"{digits}[{index}]", [(class_id, value, None) for class_id in range(3)])
        for index, value in enumerate((10, 20, 30))
    ]


def test_idx_files_stand_beside_others(channel_model):
    results = classify("-m", channel_model, "-i", PHOTOS[0], DIGITS, PHOTOS[1], "--softmax")
    assert [name for name, _ in results] == [
        str(PHOTOS[0]),
        *[f"{DIGITS}[{i}]" for i in range(10)],
        str(PHOTOS[1]),
    ]


@pytest.mark.parametrize(
    "model_size, ratio, image_size, rows, columns",
    [
        ((8, 8), "1", (60, 40), (0, 40), (10, 50)),
        ((8, 8), "1.0", (40, 60), (10, 50), (0, 40)),
        ((8, 8), "0.5", (60, 40), (10, 30), (20, 40)),
        ((8, 8), "0.875", (60, 40), (2, 37), (12, 47)),  # as ImageNet's 224 of 256
        ((8, 8), "0.01", (60, 40), (19, 20), (29, 30)),  # one pixel at least
        # 16 x 8: the largest rectangle of these proportions in 60 x 40 is 60 x 30
        ((16, 8), "1", (60, 40), (5, 35), (0, 60)),
        ((16, 8), "0.5", (60, 40), (12, 27), (15, 45)),
        ((16, 8), "1", (40, 60), (20, 40), (0, 40)),
        # 4 x 8: 20 x 40
        ((4, 8), "1", (60, 40), (0, 40), (20, 40)),
        ((4, 8), "0.5", (60, 40), (10, 30), (25, 35)),
        ((8, 8), "1", (41, 7), (0, 7), (17, 24)),
    ],
    ids=str,
)
def test_center_crop(tmp_path, noise, model_size, ratio, image_size, rows, columns):
    width, height = model_size
    model = save_model(tmp_path / "model.xml", channel_means, (1, 3, height, width))
    pixels = cv2.imread(str(noise[image_size]))
    part = pixels[slice(*rows), slice(*columns)]
    assert part.shape != pixels.shape
    expected = cv2.resize(part, model_size).mean(axis=(0, 1))
    [found] = scores("-m", model, "-i", noise[image_size], "--center_crop", ratio)
    assert found == pytest.approx(dict(enumerate(expected)), abs=1e-3)


def test_center_crop_of_a_gray_idx_image(tmp_path):
    """6 x 4 pixels; the middle 2 x 2 of them are 80, 90, 100 and 110."""
    digits = tmp_path / "one.ubyte"
    pixels = np.zeros((4, 6), np.uint8)
    pixels[1:3, 2:4] = [[80, 90], [100, 110]]
    digits.write_bytes(idx(0x803, 1, 4, 6, data=pixels.tobytes()))
    model = save_model(tmp_path / "gray.xml", channel_means, (1, 1, 2, 2))
    assert scores("-m", model, "-i", digits, "--center_crop", "0.5", stderr=NO_LOGITS_EITHER) == [
        {0: 95}
    ]


def pixels_given_to_the_model(folder, shape, image, *options):
    """Returns [H,W,C] as a model of `shape` [C,H,W] gets it, from a table of scores, the pixels."""
    count = int(np.prod(shape))
    model = save_model(
        folder / "pixels.xml", lambda pixels: ops.reshape(pixels, [-1, count], False), (1, *shape)
    )
    [found] = scores("-m", model, "-i", image, "-nt", str(count), *options)
    return np.array([found[index] for index in range(count)]).reshape(shape).transpose(1, 2, 0)


def save_noise(path, *shape):
    pixels = np.random.default_rng(shape[0]).integers(0, 256, shape, np.uint8)
    cv2.imwrite(str(path), pixels)
    return pixels


IMAGE_SIZES = [  # height and width; the model's are 8 and 8
    (64, 64), (16, 16), (24, 40), (80, 9), (61, 47), (200, 300), (8, 8), (8, 80), (80, 8), (4, 4),
    (7, 5), (1, 1), (4, 64), (64, 4), (7, 200),
]  # fmt: skip


@pytest.mark.parametrize("height, width", IMAGE_SIZES)
def test_without_antialias_pixels_are_those_of_the_default(tmp_path, height, width):
    pixels = save_noise(tmp_path / "noise.png", height, width, 3)
    found = pixels_given_to_the_model(tmp_path, (3, 8, 8), tmp_path / "noise.png")
    assert np.array_equal(found, cv2.resize(pixels, (8, 8)))


@pytest.mark.parametrize(
    "model_size, ratio, image_size, rows, columns",
    [
        ((8, 8), "1", (60, 40), (0, 40), (10, 50)),
        ((8, 8), "0.875", (60, 40), (2, 37), (12, 47)),
        ((16, 8), "0.5", (60, 40), (12, 27), (15, 45)),
        # The picture is larger than the model's input, its part is not
        ((8, 8), "0.1", (60, 40), (18, 22), (28, 32)),
        ((32, 32), "0.5", (60, 40), (10, 30), (20, 40)),
    ],
    ids=str,
)
def test_without_antialias_pixels_of_the_center_are_those_of_the_default(
    tmp_path, noise, model_size, ratio, image_size, rows, columns
):
    width, height = model_size
    part = cv2.imread(str(noise[image_size]))[slice(*rows), slice(*columns)]
    found = pixels_given_to_the_model(
        tmp_path, (3, height, width), noise[image_size], "--center_crop", ratio
    )
    assert np.array_equal(found, cv2.resize(part, model_size))


@pytest.mark.parametrize("height, width", [(61, 47), (64, 4)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("suffix", ["png", "ubyte"])
def test_without_antialias_pixels_of_a_gray_image(tmp_path, height, width, channels, suffix):
    path = tmp_path / f"gray.{suffix}"
    pixels = save_noise(tmp_path / "gray.png", height, width)
    if suffix == "ubyte":
        path.write_bytes(idx(0x803, 1, height, width, data=pixels.tobytes()))
    expected = cv2.resize(pixels, (8, 8))[:, :, None].repeat(channels, axis=2)
    assert np.array_equal(pixels_given_to_the_model(tmp_path, (channels, 8, 8), path), expected)


def test_without_center_crop_the_whole_image_is_stretched(channel_model, noise):
    for path in noise.values():
        expected = cv2.resize(cv2.imread(str(path)), (8, 8)).mean(axis=(0, 1))
        assert scores("-m", channel_model, "-i", path) == [
            pytest.approx(dict(enumerate(expected)), abs=1e-3)
        ]


@pytest.mark.parametrize("ratio", ["0", "-0.5", "1.001", "nan", "inf", "half", ""])
def test_center_crop_takes_a_part_of_the_image(channel_model, noise, ratio):
    done = run("-m", channel_model, "-i", noise[60, 40], f"--center_crop={ratio}")
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        f"error: argument --center_crop: must be above 0, at most 1, not '{ratio}'\n" in done.stderr
    )


@pytest.mark.parametrize("suffix", [
    "avif", "bmp", "dib", "exr", "gif", "hdr", "jp2", "jpe", "jpeg", "jpg", "pbm", "pfm", "pgm",
    "pic", "png", "pnm", "ppm", "ras", "sr", "tif", "tiff", "webp", "ubyte",
])  # fmt: skip
def test_no_file_with_the_suffix_of_an_image_is_left_out_of_a_folder(
    tmp_path, channel_model, picture, suffix
):
    """Only its name looks like an image: it is reported, and the image beside it classified."""
    (tmp_path / "image.png").write_bytes(picture.read_bytes())
    broken = tmp_path / f"broken.{suffix.upper()}"
    broken.write_text("no image")
    done = run("-m", channel_model, "-i", tmp_path, "--softmax")
    assert (done.returncode, [name for name, _ in tables(done.stdout)]) == (
        1,
        [str(tmp_path / "image.png")],
    )
    assert done.stderr.startswith(f"[ WARNING ] {broken}: ") and done.stderr.count("\n") == 1


def test_links_fifos_devices_and_folders_in_a_folder(tmp_path, channel_model):
    image = tmp_path / "image.png"
    cv2.imwrite(str(image), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "link.png").symlink_to(image)
    (tmp_path / "self.png").symlink_to("self.png")
    (tmp_path / "dangling.png").symlink_to("nowhere")
    (tmp_path / "self").symlink_to("self")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    (tmp_path / "device").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "fifo.png")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder.png").mkdir()
    done = run("-m", channel_model, "-i", tmp_path, image, image, "--softmax", timeout=20)
    assert done.returncode == 1
    assert [Path(name).name for name, _ in tables(done.stdout)] == [
        "image.png",
        "link.png",
        "image.png",
        "image.png",
    ]
    assert warnings(done) == [
        f"{tmp_path}/dangling.png: No such file or directory",
        f"{tmp_path}/device.png: is not a regular file",
        f"{tmp_path}/fifo.png: is not a regular file",
        f"{tmp_path}/self.png: Too many levels of symbolic links",
    ]


def test_paths_that_lead_nowhere(tmp_path, channel_model):
    (tmp_path / "self").symlink_to("self")
    os.mkfifo(tmp_path / "fifo")
    neither = "it is neither a file nor a folder"
    reasons = {
        tmp_path / "self": "Too many levels of symbolic links",
        tmp_path / "fifo": neither,
        "/dev/zero": neither,
        tmp_path / ("l" * 300): "File name too long",
        PHOTOS[0] / "inside": "Not a directory",
    }
    for path, reason in reasons.items():
        line = fails_with_one_line("-m", channel_model, "-i", PHOTOS[0], path)
        assert line == f"[ ERROR ] Cannot read {path}: {reason}\n"


def test_a_folder_without_images_is_an_error(tmp_path, channel_model):
    empty, full = tmp_path / "empty", tmp_path / "full"
    for folder in (empty, full, full / "folder.png"):
        folder.mkdir()
    (full / "text").write_text("no image")
    (full / "notes.txt").write_text("no image")
    for folder in (empty, full):
        done = run("-m", channel_model, "-i", PHOTOS[0], folder)
        assert (done.returncode, done.stdout) == (1, "")
        assert (
            done.stderr == f"[ ERROR ] Cannot read the folder {folder}: there are no images in it\n"
        )


@pytest.fixture
def one_image(tmp_path, picture):
    """A folder with one image, which comes last in it."""
    (tmp_path / "folder").mkdir()
    shutil.copy(picture, tmp_path / "folder" / "z.png")
    return tmp_path / "folder"


def results_of(channel_model, *inputs):
    """Exit status, names in the folder that are classified, warnings."""
    done = run("-m", channel_model, "-i", *inputs, "--softmax")
    return (
        done.returncode,
        [os.path.basename(name) for name, _ in tables(done.stdout)],
        warnings(done),
    )


@pytest.mark.parametrize(
    "name",
    ["._z.png", "._photo.jpg", ".DS_Store", ".hidden.png", ".photo.heic", "._raw.CR2", ".hidden",
     "._train-images-idx3-ubyte", "._digits.ubyte", ".train-images-idx3-ubyte.gz", "..png"],
)  # fmt: skip
def test_hidden_files_are_left_out_of_a_folder(channel_model, picture, one_image, name):
    """What macOS leaves there has the names of images, and begins with its own signature."""
    apple_double = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        "
    for content in (apple_double, picture.read_bytes()):
        (one_image / name).write_bytes(content)
        assert results_of(channel_model, one_image) == (0, ["z.png"], [])


def test_a_folder_of_nothing_but_hidden_files_holds_no_images(tmp_path, channel_model, picture):
    (tmp_path / ".hidden").mkdir()
    shutil.copy(picture, tmp_path / ".hidden.png")
    line = fails_with_one_line("-m", channel_model, "-i", tmp_path)
    assert line == f"[ ERROR ] Cannot read the folder {tmp_path}: there are no images in it\n"


def test_a_hidden_file_or_folder_given_itself_is_read(tmp_path, channel_model, picture):
    (tmp_path / ".folder").mkdir()
    for path in (tmp_path / ".hidden.png", tmp_path / ".folder" / "a.png"):
        shutil.copy(picture, path)
    found = results_of(channel_model, tmp_path / ".hidden.png", tmp_path / ".folder")
    assert found == (0, [".hidden.png", "a.png"], [])


def heic(brand):
    """The beginning of a photo as phones save it: the first box of its file."""
    return struct.pack(">I4s4sI8s", 24, b"ftyp", brand.encode(), 0, b"mif1heic") + bytes(200)


@pytest.mark.parametrize("itself", [False, True], ids=["in-a-folder", "itself"])
@pytest.mark.parametrize(
    "name, content",
    [
        *[(f"photo.{suffix}", heic("heic")) for suffix in ("HEIC", "heif")],
        *[("photo", heic(brand)) for brand in ("heic", "hevc", "mif1")],
        *[("photo.jpg", heic(brand)) for brand in ("heic", "mif1")],
        *[
            (f"photo.{suffix}", b"II*\0 some camera's own")
            for suffix in ("dng", "CR2", "nef", "ARW")
        ],
        ("photo.cr3", b"\0\0\0\x18ftypcrx "),
        ("photo.RAF", b"FUJIFILMCCD-RAW "),
        ("photo.jxl", b"\xff\x0a"),
        ("photo.heic", b""),
        ("photo.dng", PHOTOS[0].read_bytes()),  # which may have a preview that OpenCV reads
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_photo_that_opencv_does_not_read_is_a_warning(
    channel_model, one_image, name, content, itself
):
    photo = one_image / name
    photo.write_bytes(content)
    status, names, [warning] = results_of(
        channel_model, *([photo, one_image / "z.png"] if itself else [one_image])
    )
    assert (status, names) == (1, ["z.png"])
    assert warning.startswith(f"{photo}: ") and "OpenCV does not read" in warning


def test_a_folder_of_nothing_but_such_photos_has_a_warning_for_each(tmp_path, channel_model):
    for name in ("1.heic", "2.DNG", "3"):
        (tmp_path / name).write_bytes(heic("heic"))
    status, names, warned = results_of(channel_model, tmp_path)
    assert (status, names, [warning.partition(": ")[0] for warning in warned]) == (
        1, [], [str(tmp_path / name) for name in ("1.heic", "2.DNG", "3")]
    )  # fmt: skip


@pytest.mark.parametrize("name", TRICKY_NAMES)
def test_a_folder_of_folders_says_what_to_give_instead(tmp_path, channel_model, picture, name):
    """One for each class, as for training. What the message says is pasted into a shell."""
    classes = [tmp_path / name / label for label in ("cat", "dog")]
    for folder in classes:
        folder.mkdir(parents=True)
        shutil.copy(picture, folder)
    line = fails_with_one_line("-m", channel_model, "-i", tmp_path / name)
    reason = "it holds only folders, which are not searched"
    prefix = f"[ ERROR ] Cannot read the folder {tmp_path / name}: {reason}: give "
    assert line.startswith(prefix)
    advice = line.removeprefix(prefix).rstrip("\n")
    assert shlex.split(advice) == [f"{tmp_path / name}/*"]
    pasted = subprocess.run(
        ["sh", "-c", f"printf '%s\\0' {advice}"], capture_output=True, check=True
    ).stdout
    given = [os.fsdecode(path) for path in pasted.split(b"\0")[:-1]]
    assert given == list(map(str, classes))
    assert results_of(channel_model, *given) == (0, [picture.name] * 2, [])


def test_a_folder_of_folders_and_a_file_is_one_without_images(tmp_path, channel_model):
    (tmp_path / "cat").mkdir()
    (tmp_path / "notes.txt").touch()
    fails_with_one_line(
        "-m", channel_model, "-i", tmp_path, naming=[f"{tmp_path}: there are no images in it\n"]
    )


MNIST = {
    "train-images-idx3-ubyte": idx(0x803, 2, 4, 4, data=bytes(32)),
    "train-labels-idx1-ubyte": idx(0x801, 2, data=bytes(2)),
    "t10k-images-idx3-ubyte": idx(0x803, 1, 4, 4, data=bytes(16)),
    "t10k-labels-idx1-ubyte": idx(0x801, 1, data=bytes(1)),
}
MNIST_IMAGES = [
    "t10k-images-idx3-ubyte[0]",
    "train-images-idx3-ubyte[0]",
    "train-images-idx3-ubyte[1]",
]


def save_mnist(folder, form="{}", but=()):
    for name, content in MNIST.items():
        (folder / form.format(name)).write_bytes(content)
        (folder / form.format(f"{name}.gz")).write_bytes(gzip.compress(content))
    for name in but:
        (folder / form.format(name)).unlink()
    return folder


@pytest.mark.parametrize("form", ["{}", "emnist-letters-{}"])
def test_torchvisions_folder_of_mnist(tmp_path, channel_model, form):
    """Labels are no images, and what is packed stands beside it unpacked."""
    found = results_of(channel_model, save_mnist(tmp_path, form))
    assert found == (0, [form.format(name) for name in MNIST_IMAGES], [])


@pytest.mark.parametrize(
    "missing, left, packed",
    [
        (["train-images-idx3-ubyte"], MNIST_IMAGES[:1], ["train-images-idx3-ubyte.gz"]),
        (["t10k-images-idx3-ubyte"], MNIST_IMAGES[1:], ["t10k-images-idx3-ubyte.gz"]),
        (["train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte"], MNIST_IMAGES, []),
        (list(MNIST), [], ["t10k-images-idx3-ubyte.gz", "train-images-idx3-ubyte.gz"]),
    ],
    ids=["train", "t10k", "labels", "all"],
)
def test_packed_images_of_mnist_are_to_be_unpacked_first(
    tmp_path, channel_model, missing, left, packed
):
    expected = [f"{tmp_path / name}: is compressed: gunzip it first" for name in packed]
    assert results_of(channel_model, save_mnist(tmp_path, but=missing)) == (
        bool(packed),
        left,
        expected,
    )


def test_packed_images_given_themselves(tmp_path, channel_model, picture):
    packed = save_mnist(tmp_path) / "train-images-idx3-ubyte.gz"
    (tmp_path / "DIGITS.UBYTE.GZ").write_bytes(packed.read_bytes())
    (tmp_path / "photo.png.gz").write_bytes(gzip.compress(picture.read_bytes()))
    paths = [packed, tmp_path / "DIGITS.UBYTE.GZ", tmp_path / "photo.png.gz"]
    expected = [f"{path}: is compressed: gunzip it first" for path in paths]
    assert results_of(channel_model, *paths, picture) == (1, [picture.name], expected)


def test_labels_of_mnist_given_themselves_are_a_warning(tmp_path, channel_model, picture):
    labels = tmp_path / "train-labels-idx1-ubyte"
    labels.write_bytes(idx(0x801, 100, data=bytes([1] * 100)))
    status, names, [warning] = results_of(channel_model, labels, picture)
    assert (status, names) == (1, [picture.name])
    assert warning.startswith(f"{labels}: is not an IDX file of images: ")


@pytest.mark.parametrize("name", ["idx10.ubyte", "digits-idx12-ubyte", "part.idx1.UBYTE"])
def test_only_what_is_named_as_labels_is_left_out(tmp_path, channel_model, name):
    (tmp_path / name).write_bytes(MNIST["t10k-images-idx3-ubyte"])
    assert results_of(channel_model, tmp_path) == (0, [f"{name}[0]"], [])


def test_nothing_but_labels_of_mnist_is_a_folder_without_images(tmp_path, channel_model):
    save_mnist(
        tmp_path, but=[name for stem in MNIST if "images" in stem for name in (stem, f"{stem}.gz")]
    )
    fails_with_one_line(
        "-m", channel_model, "-i", tmp_path, naming=[f"{tmp_path}: there are no images in it\n"]
    )


def test_no_permission(tmp_path, channel_model):
    """Root may read everything: it gives that up for the run."""
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("root cannot give up its rights without setpriv")
    prefix = (
        ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    )
    for name in ("closed.png", "closed.ubyte", "closed"):  # the last one could be anything
        shutil.copy(PHOTOS[1], tmp_path / name)
        (tmp_path / name).chmod(0)
    shutil.copy(PHOTOS[1], tmp_path / "open.png")
    (tmp_path / "folder").mkdir(mode=0)
    done = run("-m", channel_model, "-i", tmp_path, "--softmax", prefix=prefix)
    assert done.returncode == 1
    assert [name for name, _ in tables(done.stdout)] == [str(tmp_path / "open.png")]
    assert warnings(done) == [
        f"{tmp_path}/closed{suffix}: Permission denied" for suffix in ("", ".png", ".ubyte")
    ]
    line = fails_with_one_line("-m", channel_model, "-i", tmp_path / "folder", prefix=prefix)
    assert line == f"[ ERROR ] Cannot read the folder {tmp_path}/folder: Permission denied\n"


def with_open_files(count):
    """A command's prefix that lets it have that many files open at once."""
    return ["sh", "-c", f'ulimit -n {count}; exec "$@"', "sh"]


def test_more_idx_files_than_may_be_open(tmp_path):
    """One picture of each digit in turn, each in a file of its own."""
    content = DIGITS.read_bytes()
    for number in range(400):
        start = 16 + number % 10 * 784
        (tmp_path / f"{number:04}.ubyte").write_bytes(
            idx(0x803, 1, 28, 28, data=content[start : start + 784])
        )
    done = run("-m", LENET, "-i", tmp_path, "-nt", "1", prefix=with_open_files(256), timeout=20)
    assert (done.returncode, done.stderr) == (0, "")
    expected = [(f"{tmp_path}/{number:04}.ubyte[0]", [number % 10]) for number in range(400)]
    assert [(name, top_ids(rows)) for name, rows in tables(done.stdout)] == expected


def test_hardly_any_files_may_be_open():
    """Besides the standard streams five or three: tables or warnings, or one line says why not."""
    counts = (8, 6)
    for done in at_once(
        lambda count: run("-m", LENET, "-i", DIGITS, prefix=with_open_files(count), timeout=20),
        counts,
    ):
        missing = 10 - len(tables(done.stdout))
        assert done.returncode == (missing > 0)
        warning = rf"\[ WARNING \] {re.escape(str(DIGITS))}(\[\d\])?: Too many open files\n"
        error = r"\[ ERROR \] Cannot [^\n]+: Too many open files[^\n]*\n"
        assert (
            re.fullmatch(rf"{error}|({warning}){{{missing}}}|{warning}", done.stderr) or not missing
        ), done.stderr
