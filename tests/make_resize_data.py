"""Makes resize_data.json: what Pillow and torchvision make of small images, for test_resize.py.

    python tests/make_resize_data.py

It needs Pillow and torchvision, which the sample does not: in an environment of their own. Pillow
11.3.0 and 12.0.0 write the same file, with torchvision 0.29.1. Pillow 13.0.0 does but for the image
of 9x4: it resizes the columns first where the height shrinks more, and seven values are 1 off.
"""

import json
from pathlib import Path

import numpy as np

DATA = Path(__file__).with_name("resize_data.json")

RESIZED = [  # shape [H,W] or [H,W,3]; new width and height; box
    [(20, 30), (9, 8), None],
    [(7, 9), (3, 5), None],
    [(3, 4), (8, 7), None],
    [(5, 13), (4, 7), None],  # one side shrinks, the other grows
    [(9, 4), (5, 4), None],
    [(1, 6), (3, 2), None],
    [(6, 1), (2, 3), None],
    [(1, 1), (2, 2), None],
    [(5, 4), (4, 5), None],  # of the same size
    [(6, 8, 3), (3, 2), None],
    [(3, 2, 3), (3, 4), None],
    [(7, 9), (3, 3), (1.5, 0.75, 7.25, 6)],
    [(30, 40), (4, 3), (12.3, 9.1, 27.9, 20.3)],
    [(9, 12), (5, 4), (4, 3, 6.5, 5)],
    [(8, 9), (4, 3), (2, 3, 6, 6)],  # a part as it is
]
CROPPED_SIZE = 7
RESIZED_AND_CROPPED = [  # shape, the size of Resize
    [(24, 33), 8],  # half a pixel remains at the top, which CenterCrop rounds to 0
    [(37, 20), 10],  # one and a half, which it rounds to 2
    [(13, 90), 7],
    [(18, 21, 3), 8],
]


def pattern(height, width, channels=0):
    """The same u8 pixels with every version of numpy: [H,W], or [H,W,C] for some channels."""
    y, x, channel = np.ogrid[:height, :width, : channels or 1]
    pixels = ((x * x * 37 + y * y * 53 + x * y * 29 + channel * 91) % 256).astype(np.uint8)
    return pixels if channels else pixels[:, :, 0]


def make_cases():
    """Yields what was given, with the pixels that came of it in hexadecimal."""
    from PIL import Image
    from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

    for shape, size, box in RESIZED:
        image = Image.fromarray(pattern(*shape))
        case = {"shape": shape, "size": size, "box": box}
        for name in ("bilinear", "bicubic"):
            made = image.resize(size, Image.Resampling[name.upper()], box=box)
            case[name] = made.tobytes().hex()
        yield case
    for shape, resize in RESIZED_AND_CROPPED:
        image = Image.fromarray(pattern(*shape))
        case = {"shape": shape, "resize": resize}
        for name in ("bilinear", "bicubic"):
            mode = InterpolationMode[name.upper()]
            steps = Compose([Resize(resize, mode), CenterCrop(CROPPED_SIZE)])
            case[name] = steps(image).tobytes().hex()
        yield case


if __name__ == "__main__":
    lines = ",\n".join(json.dumps(case) for case in make_cases())
    DATA.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
