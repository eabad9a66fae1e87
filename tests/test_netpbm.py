"""PGM, PPM, PAM and PFM: read as the format says, or refused with the reason.

A sample of a Netpbm file is a part of its greatest value, maxval, which its header states last:
https://netpbm.sourceforge.net/doc/pgm.html and ppm.html. OpenCV 5.0 knows only some of them.
"""

import re

import cv2
import numpy as np
import pytest
from helpers import channel_means, classify, run, save_model, scores, tables, warnings
from openvino import opset13 as ops

WIDTH, HEIGHT = 4, 2
PARTS = np.arange(WIDTH * HEIGHT) / (WIDTH * HEIGHT - 1)  # of maxval, from 0 to 1


@pytest.fixture(scope="module", params=[1, 3], ids=["gray", "colour"])
def pixel_model(request, tmp_path_factory):
    """Its scores [N,8] or [N,24] are the pixels as they are."""
    channels = request.param
    path = tmp_path_factory.mktemp("pixels") / "pixels.xml"
    count = channels * WIDTH * HEIGHT
    save_model(
        path,
        lambda image: ops.reshape(image, np.array([0, count]), special_zero=True),
        (1, HEIGHT, WIDTH, channels),
    )
    return path, channels


def samples(maxval, channels):
    """Of the pixels: `channels` values, which are the same, for each of PARTS."""
    return np.round(PARTS * maxval).astype(int).repeat(channels)


def netpbm(kind, maxval, values=None, header=b"P%d\n%d %d\n%d\n"):
    """A file of the kind 2 (PGM) or 3 (PPM) as text, 5 or 6 as binary."""
    if values is None:
        values = samples(maxval, 3 if kind in (3, 6) else 1)
    start = header % (kind, WIDTH, HEIGHT, maxval)
    if kind in (2, 3):
        return start + b" ".join(b"%d" % value for value in values) + b"\n"
    return start + np.array(values).astype(">u2" if maxval > 255 else "u1").tobytes()


def suffix(kind):
    return ".ppm" if kind in (3, 6) else ".pgm"


READ = [(kind, 255) for kind in (2, 3, 5, 6)] + [(5, 65535), (6, 65535)]
READ += [(kind, maxval) for kind in (2, 3) for maxval in (1, 15, 100, 127, 254)]
REFUSED = [
    (kind, maxval) for kind in (5, 6) for maxval in (1, 15, 100, 254, 256, 1023, 4095, 65534)
]
REFUSED += [(kind, maxval) for kind in (2, 3) for maxval in (256, 1023, 4095)]


@pytest.mark.parametrize("kind, maxval", READ)
def test_files_that_are_read_have_the_values_of_the_format(tmp_path, pixel_model, kind, maxval):
    """A pixel is 255 * sample / maxval; OpenCV's may be 1 less, as it cuts off."""
    model, channels = pixel_model
    path = tmp_path / f"image{suffix(kind)}"
    path.write_bytes(netpbm(kind, maxval))
    [rows] = scores("-m", model, "-i", path, "-nt", "24")
    expected = (samples(maxval, channels) * 255 / maxval).tolist()
    assert [rows[index] for index in range(len(expected))] == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("kind, maxval", REFUSED)
def test_a_maxval_that_opencv_ignores_is_refused(tmp_path, pixel_model, kind, maxval):
    path = tmp_path / f"image{suffix(kind)}"
    path.write_bytes(netpbm(kind, maxval))
    assert refusal(pixel_model[0], path) == (
        f"has the maxval {maxval}, which OpenCV ignores: convert it to PNG"
    )


def refusal(model, path):
    """Why the image `path` is not classified; it is the only one."""
    done = run("-m", model, "-i", path)
    assert (done.returncode, tables(done.stdout)) == (1, [])
    [line] = warnings(done)
    assert line.startswith(f"{path}: ")
    return line.removeprefix(f"{path}: ")


@pytest.mark.parametrize("kind, maxval", [(5, 1023), (6, 100), (2, 4095)])
def test_without_the_refusal_it_would_be_wrong(tmp_path, kind, maxval):
    """Or else OpenCV reads it as the format says by now, and the refusal may go."""
    path = tmp_path / f"image{suffix(kind)}"
    path.write_bytes(netpbm(kind, maxval))
    pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert np.abs(pixels.ravel() - PARTS * 255).max() > 50


# Headers as programs write them, and as the format allows them
HEADERS = [
    b"P%d\n%d %d\n%d\n",
    b"P%d %d %d %d ",
    b"P%d\r\n%d %d\r\n%d\n",
    b"P%d\t%d\t%d\t%d\t",
    b"P%d\n# made by GIMP\n%d %d\n%d\n",
    b"P%d # 255\n%d %d\n%d\n",
    b"P%d\n%d %d\n# 255\n%d\n",
    b"P%d\n%d # 7 255\n%d\n%d\n",
    b"P%d\n#\n#x\n  # y\n%d %d\n%d\n",
    b"P%d\n%d %d\n0%d\n",
    b"P%d\n# " + b"a long comment " * 30 + b"\n%d %d\n%d\n",
]


@pytest.mark.parametrize("header", HEADERS)
def test_the_maxval_is_the_third_number_of_the_header(tmp_path, header):
    model = save_model(tmp_path / "model.xml", channel_means, (1, 1, HEIGHT, WIDTH))
    path = tmp_path / "image.pgm"
    path.write_bytes(netpbm(5, 255, header=header))
    [rows] = scores("-m", model, "-i", path, stderr=".*not probabilities.*\n")
    assert rows == {0: pytest.approx(samples(255, 1).mean(), abs=1e-3)}
    path.write_bytes(netpbm(5, 1023, header=header))
    assert refusal(model, path).startswith("has the maxval 1023, ")


@pytest.mark.parametrize(
    "header",
    [b"P%d\n# " + b"a longer comment " * 70 + b"\n%d %d\n%d\n", b"P%d\r# by a Mac\r%d %d\r%d\r"],
    ids=["1200-letters", "carriage-returns"],
)
def test_comments_of_other_forms(tmp_path, header):
    model = save_model(tmp_path / "model.xml", channel_means, (1, 1, HEIGHT, WIDTH))
    path = tmp_path / "image.pgm"
    path.write_bytes(netpbm(5, 1023, header=header))
    assert refusal(model, path).startswith("has the maxval 1023, ")


def pam(depth, maxval, tuple_type):
    values = samples(maxval, depth).astype(">u2" if maxval > 255 else "u1")
    lines = [
        f"P7\nWIDTH {WIDTH}\nHEIGHT {HEIGHT}\nDEPTH {depth}\nMAXVAL {maxval}",
        f"TUPLTYPE {tuple_type}\nENDHDR\n",
    ]
    return "\n".join(lines).encode() + values.tobytes()


def pfm(kind, byte_order, scale):
    channels = 3 if kind == "PF" else 1
    number = scale if byte_order == ">" else -scale
    values = PARTS.repeat(channels).astype(f"{byte_order}f4")
    return f"{kind}\n{WIDTH} {HEIGHT}\n{number}\n".encode() + values.tobytes()


OTHERS = {
    "image.pam": pam(1, 255, "GRAYSCALE"),
    "colour.pam": pam(3, 255, "RGB"),
    "alpha.pam": pam(4, 255, "RGB_ALPHA"),
    "deep.pam": pam(3, 65535, "RGB"),
    "bits.pam": pam(1, 1, "BLACKANDWHITE"),
    "image.pfm": pfm("Pf", "<", 1.0),
    "colour.pfm": pfm("PF", "<", 1.0),
    "big-endian.pfm": pfm("PF", ">", 1.0),
    "scaled.pfm": pfm("Pf", "<", 255.0),
    "named.png": pfm("PF", "<", 1.0),
    "named-too.pgm": pam(1, 255, "GRAYSCALE"),
    "without-suffix": pfm("Pf", "<", 1.0),
}


@pytest.mark.parametrize("name, content", OTHERS.items(), ids=OTHERS)
def test_pam_and_pfm_are_refused(tmp_path, channel_model, name, content):
    (tmp_path / name).write_bytes(content)
    expected = "is PAM or PFM, which OpenCV misreads: convert it to PNG"
    assert refusal(channel_model, tmp_path / name) == expected


def test_pfm_would_be_nearly_black(tmp_path):
    """Or else OpenCV scales 0..1 by now, and the refusal may go."""
    path = tmp_path / "image.pfm"
    path.write_bytes(OTHERS["image.pfm"])
    assert cv2.imread(str(path), cv2.IMREAD_GRAYSCALE).max() <= 1


def test_bits_have_no_maxval(tmp_path):
    """PBM, of which 1 is black: 4 numbers stand where a PGM has its header and first samples."""
    model = save_model(tmp_path / "model.xml", channel_means, (1, 1, HEIGHT, WIDTH))
    files = {"text.pbm": b"P1\n4 2\n1 0 1 1\n0 0 0 0\n", "bits.pbm": b"P4\n4 2\n\xb0\x00"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        [rows] = scores("-m", model, "-i", tmp_path / name, stderr=".*not probabilities.*\n")
        assert rows == {0: pytest.approx(255 * 5 / 8, abs=1e-3)}


BROKEN = [b"P5", b"P5\n", b"P5\n4 2\n", b"P5\n4 2\n-5\n", b"P5 four two 255\n", b"P9\n4 2\n1023\n"]


@pytest.mark.parametrize("content", [*BROKEN, b"P5\n" * 400], ids=str)
def test_files_that_only_begin_like_one(tmp_path, channel_model, content):
    (tmp_path / "image.pgm").write_bytes(content)
    assert refusal(channel_model, tmp_path / "image.pgm") == "cannot be decoded as an image"


def test_a_folder_with_some_of_them(tmp_path, channel_model):
    """Each has its line, in its place; the others are classified, and the status is 1."""
    files = {
        "a.pgm": netpbm(5, 1023),
        "b.pgm": netpbm(5, 255),
        "c.ppm": netpbm(6, 255),
        "d.ppm": netpbm(6, 15),
        "e.pam": OTHERS["image.pam"],
        "f.pfm": OTHERS["image.pfm"],
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    done = run("-m", channel_model, "-i", tmp_path, "--softmax")
    assert done.returncode == 1
    classified = [path for path, _ in tables(done.stdout)]
    assert classified == [str(tmp_path / name) for name in ("b.pgm", "c.ppm")]
    lines = warnings(done)
    assert [re.match(rf"{tmp_path}/(.)\.", line)[1] for line in lines] == ["a", "d", "e", "f"]


def test_a_colour_keeps_its_order(tmp_path, channel_model):
    """P6 is R, G, B; the channel model's scores are B, G, R."""
    path = tmp_path / "colour.ppm"
    path.write_bytes(netpbm(6, 255, [40, 100, 200] * WIDTH * HEIGHT))
    [(_, rows)] = classify("-m", channel_model, "-i", path, "--scale_values", "340")
    assert [round(row[1] * 340) for row in sorted(rows)] == [200, 100, 40]
