"""Fixtures that several files use."""

import os
import subprocess
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import openvino as ov
import pytest

# A failed assertion there is to say what it compared, as one in a test
pytest.register_assert_rewrite("helpers")

from helpers import (  # noqa: E402
    COMPILER,
    channel_means,
    channel_means_or_failure,
    save_model,
    save_with_info,
)


@pytest.fixture(scope="session")
def channel_model(tmp_path_factory):
    """Its three scores are the means of the channels, B, G and R for a model that gets BGR."""
    return save_model(tmp_path_factory.mktemp("models") / "channels.xml", channel_means)


@pytest.fixture(scope="session")
def picture(tmp_path_factory):
    """One colour: B 200, G 100, R 40."""
    path = tmp_path_factory.mktemp("picture") / "colour.png"
    cv2.imwrite(str(path), np.full((8, 8, 3), (200, 100, 40), np.uint8))
    return path


@pytest.fixture(scope="session")
def failing_model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("failing") / "fails.xml", channel_means_or_failure)


@pytest.fixture(scope="session")
def custom_op_library(tmp_path_factory):
    """The operation Twice: custom_op.cpp, compiled against the openvino wheel."""
    if COMPILER is None:
        assert "CI" not in os.environ, "CI installs a C++ compiler"
        pytest.skip("no C++ compiler")
    package = Path(ov.__file__).parent
    [runtime] = (package / "libs").glob("libopenvino.so.*")
    built = tmp_path_factory.mktemp("extension") / "libcustom_op.so"
    source = Path(__file__).with_name("custom_op.cpp")
    subprocess.run(
        [
            COMPILER,
            "-std=c++17",
            "-shared",
            "-fPIC",
            f"-I{package / 'include'}",
            source,
            "-o",
            built,
            runtime,
        ],
        check=True,
    )
    return built


@pytest.fixture
def with_info(tmp_path, channel_model):
    """Returns a function that saves the channel model with the model_info it is given."""
    return lambda **info: save_with_info(tmp_path / "model.xml", channel_model, **info)


@pytest.fixture(scope="session")
def noise(tmp_path_factory):
    """Pictures of which no two parts are alike, by width and height."""
    folder, pictures = tmp_path_factory.mktemp("noise"), {}
    for width, height in ((60, 40), (40, 60), (41, 7)):
        pictures[width, height] = folder / f"{width}x{height}.png"
        pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)
        cv2.imwrite(str(pictures[width, height]), pixels)
    return pictures


def pytest_terminal_summary(terminalreporter):
    """Says why tests were skipped, a line for each reason."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    for reason, count in reasons.items():
        terminalreporter.write_line(f"{count} skipped: {reason}")
