"""Makes resize_data.json: what Pillow 13 makes of small images, for test_resize.py.

    python tests/make_resize_data.py

It was run with Pillow 13.0.0, which the sample does not need: in an environment of its own.
Earlier versions always resize the columns first.
"""

import json
from pathlib import Path

import numpy as np

DATA = Path(__file__).with_name("resize_data.json")
FILTERS = ("bilinear", "bicubic")

CASES = [  # shape [H,W] or [H,W,3]; new width and height; box; what is kept of that
    ((7, 5), (3, 3), None),  # 4 rows go, not more than twice 2 columns: columns first
    ((8, 5), (3, 3), None),  # 5 rows go: rows first
    ((20, 3), (4, 19), None),  # rows first, and the width grows
    ((10, 5), (3, 3), (0.5, 3.25, 4.5, 6.25)),  # the image's size, not the box's: rows first
    ((6, 8), (3, 3), (1.25, 0.5, 6.75, 5.5)),
    ((2, 3), (5, 3), None),
    ((4, 5, 3), (2, 3), None),
    ((5, 4), (4, 5), None),  # of the same size
    ((29, 31), (20, 17), None),
    ((12, 16), (5, 5), None),
    ((12, 16), (8, 6), None, (2, 0, 7, 5)),  # torchvision's Resize(6) and CenterCrop(5)
]


def pattern(height, width, channels=0):
    """Returns u8 pixels [H,W] or [H,W,C] of much contrast, the same with every numpy."""
    y, x, channel = np.ogrid[:height, :width, : channels or 1]
    waves = (x * x * 37 + y * y * 53 + x * y * 29 + channel * 91) % 400 - 72
    pixels = np.clip(waves, 0, 255).astype(np.uint8)
    return pixels if channels else pixels[:, :, 0]


def make_cases():
    """Yields what is given, and the pixels that come of it in hexadecimal."""
    from PIL import Image

    for shape, size, box, *crop in CASES:
        case = {"shape": shape, "size": size, "box": box}
        for name in FILTERS:
            image = Image.fromarray(pattern(*shape))
            made = image.resize(size, Image.Resampling[name.upper()], box)
            case[name] = made.crop(*crop).tobytes().hex()
        yield case


if __name__ == "__main__":
    lines = ",\n".join(json.dumps(case) for case in make_cases())
    DATA.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
