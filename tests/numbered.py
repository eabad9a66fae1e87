"""Images whose right answer is their own number, for runs of any length."""

import re
import struct

import numpy as np
import openvino as ov
from openvino import opset13 as ops


def save_numbered_images(folder, count):
    """Saves an IDX file of `count` images of 2x2 pixels; returns its path.

    The first two pixels of each are its number's bytes. The model beside it, `numbers.xml`, has 512
    classes. The score of class c is -|c - first pixel| for the first 256, and
    -|c - 256 - second pixel| - 0.5 for the others: so the two best classes are the two bytes, the
    high one first.
    """
    pixels = np.zeros((count, 2, 2), np.uint8)
    pixels[:, 0, 0], pixels[:, 0, 1] = np.divmod(np.arange(count), 256)
    path = folder / "numbers.ubyte"
    path.write_bytes(struct.pack(">4I", 0x803, count, 2, 2) + pixels.tobytes())

    image = ops.parameter([1, 1, 2, 2], np.float32, name="image")
    first_row = ops.reshape(
        ops.slice(image, np.array([0]), np.array([1]), np.array([1]), np.array([2])),
        np.array([-1, 2, 1]),
        False,
    )
    distances = ops.abs(ops.subtract(first_row, np.arange(256, dtype=np.float32)))
    scores = ops.negative(ops.add(distances, np.array([[0], [0.5]], np.float32)))
    model = ov.Model([ops.reshape(scores, np.array([-1, 512]), False)], [image], "numbers")
    ov.save_model(model, folder / "numbers.xml", compress_to_fp16=False)
    return path


def wrong_answers(stdout, path, count):
    """How many tables are missing, out of the images' order, or another image's."""
    tables = re.findall(
        r"Image path: (.+)\n.*\n.*\n.*\n\[ INFO \] (\d+) .*\n\[ INFO \] (\d+) ", stdout
    )
    right = [
        (f"{path}[{number}]", str(number // 256), str(256 + number % 256))
        for number in range(count)
    ]
    return abs(len(tables) - count) + sum(table != answer for table, answer in zip(tables, right))
