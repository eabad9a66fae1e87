"""Fixtures that several files use."""

import os
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import openvino as ov
import pytest

# A failed assertion there is to say what it compared, as one in a test
pytest.register_assert_rewrite("helpers")

from helpers import channel_means, save_model, softmax_of_means  # noqa: E402


@pytest.fixture(scope="session")
def channel_model(tmp_path_factory):
    """Its three scores are the means of the channels, B, G and R for a model that gets BGR."""
    return save_model(tmp_path_factory.mktemp("models") / "channels.xml", channel_means)


@pytest.fixture(scope="session")
def softmax_model(tmp_path_factory):
    """Its three probabilities are the softmax of the channels' means over 64."""
    return save_model(tmp_path_factory.mktemp("models") / "softmax.xml", softmax_of_means)


@pytest.fixture(scope="session")
def picture(tmp_path_factory):
    """One colour: B 200, G 100, R 40."""
    path = tmp_path_factory.mktemp("picture") / "colour.png"
    cv2.imwrite(str(path), np.full((8, 8, 3), (200, 100, 40), np.uint8))
    return path


@pytest.fixture(scope="session")
def custom_op_library(tmp_path_factory):
    """custom_op.cpp, compiled against the openvino wheel."""
    compiler = shutil.which("c++")
    runtime = list(Path(ov.__file__).parent.glob("libs/libopenvino.so.*"))
    if not compiler or not runtime:
        assert "CI" not in os.environ, "CI installs a C++ compiler"
        pytest.skip("no C++ compiler, or a wheel without libopenvino.so")
    built = tmp_path_factory.mktemp("extension") / "libcustom_op.so"
    options = ["-std=c++17", "-shared", "-fPIC", f"-I{Path(ov.__file__).parent / 'include'}"]
    source = Path(__file__).with_name("custom_op.cpp")
    subprocess.run([compiler, *options, source, "-o", built, *runtime], check=True)
    return built
