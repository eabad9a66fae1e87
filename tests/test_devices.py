"""Devices that combine others, that are not there or come with a folder; extensions; the cache."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import openvino as ov
import pytest
from helpers import (
    DIGITS,
    LENET,
    PHOTOS,
    channel_means,
    error_line,
    run_process,
    save_model,
    save_model_with_twice,
    tables,
    values,
)
from openvino import opset13 as ops

DIGITS_BY_LENET = ("-m", LENET, "-i", DIGITS)
DEVICES_HERE = ov.Core().available_devices
CPU_PLUGIN = Path(ov.__file__).parent / "libs" / "libopenvino_intel_cpu_plugin.so"
needs_cpu_plugin = pytest.mark.skipif(
    not CPU_PLUGIN.is_file(), reason="this platform's CPU plugin has another name"
)


@pytest.fixture(scope="module")
def on_cpu():
    return list(map(pytest.approx, values(*DIGITS_BY_LENET, "-d", "CPU")))


# Devices


@pytest.mark.parametrize("device", ["AUTO", "MULTI:CPU", "HETERO:CPU", "BATCH:CPU(4)", "AUTO:CPU"])
def test_a_device_that_combines_others_gives_the_tables_of_the_cpu(device, on_cpu):
    options = ("-b", "1", "-nireq", "4", "-d")
    assert values(*DIGITS_BY_LENET, *options, device) == on_cpu


@pytest.mark.parametrize("device", ["FOO", "HETERO:FOO,CPU", "cpu", ""])
def test_a_device_that_does_not_exist_is_named_and_those_that_do_are_listed(device):
    line = error_line(*DIGITS_BY_LENET, "-d", device)
    assert f" {device} (" in line
    assert f"({'available target devices: ' + ', '.join(DEVICES_HERE)})" in line


@pytest.fixture(scope="module")
def plugin_folder(tmp_path_factory):
    """A device MYCPU: the wheel's CPU plugin under another name, as a vendor's would come."""
    folder = tmp_path_factory.mktemp("plugins")
    shutil.copy(CPU_PLUGIN, folder / "libmycpu.so")
    (folder / "plugins.xml").write_text(
        '<ie><plugins><plugin name="MYCPU" location="libmycpu.so"/></plugins></ie>'
    )
    return folder


@needs_cpu_plugin
def test_a_plugin_folder_brings_its_device(plugin_folder, on_cpu, monkeypatch):
    monkeypatch.chdir(plugin_folder.parent)
    assert values(*DIGITS_BY_LENET, "-d", "MYCPU", "-pp", plugin_folder.name) == on_cpu
    assert "MYCPU" in error_line(*DIGITS_BY_LENET, "-d", "MYCPU")  # without the folder


def test_a_plugin_folder_without_plugins_xml_is_an_error(tmp_path):
    assert str(tmp_path / "plugins.xml") in error_line(*DIGITS_BY_LENET, "-pp", tmp_path)


# Extensions


@pytest.fixture(scope="module")
def twice_model(tmp_path_factory):
    """Returns twice the channels' means."""
    path = tmp_path_factory.mktemp("custom") / "twice.xml"
    return save_model_with_twice(path, lambda image: ops.relu(channel_means(image)))


def test_an_extension_computes_its_operation(custom_op_library, twice_model, picture, monkeypatch):
    monkeypatch.chdir(custom_op_library.parent)
    [found] = values("-m", twice_model, "-i", picture, "-l", custom_op_library.name)
    assert found == pytest.approx({0: 400, 1: 200, 2: 80}, rel=1e-5)


def test_a_run_with_an_extension_ends_the_process_cleanly(custom_op_library, twice_model, picture):
    """Unloaded before what is made of its code, the library crashes the process, with HETERO."""
    options = ("-m", twice_model, "-i", picture, "-l", custom_op_library, "-d", "HETERO:CPU")
    done = run_process(*options)
    assert (done.returncode, len(tables(done.stdout))) == (0, 1), done.stderr


def test_without_its_extension_the_error_names_the_operation(twice_model, picture):
    assert "Twice" in error_line("-m", twice_model, "-i", picture)


def test_an_extension_that_is_no_library_is_named():
    assert str(PHOTOS[0]) in error_line(*DIGITS_BY_LENET, "-l", PHOTOS[0])


# The cache and the precision


def test_a_cache_folder_is_made_and_used_again(tmp_path, on_cpu):
    folder = tmp_path / "made" / "cache"

    def run_with_cache():
        assert values(*DIGITS_BY_LENET, "--cache_dir", folder) == on_cpu
        return {path: path.stat().st_mtime_ns for path in folder.iterdir()}

    written = run_with_cache()
    assert written
    assert run_with_cache() == written


def test_a_cache_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("no folder")
    folder = tmp_path / "file" / "cache"
    assert str(folder) in error_line(*DIGITS_BY_LENET, "--cache_dir", folder)


def test_f32_computes_in_f32(tmp_path):
    """Where the CPU has bf16 instructions, 257 would be 256 by default, without a word."""
    model = save_model(
        tmp_path / "convolution.xml",
        lambda image: ops.reduce_mean(
            ops.convolution(
                image, np.ones((32, 3, 1, 1), np.float32), [1, 1], [0, 0], [0, 0], [1, 1]
            ),
            np.array([2, 3]),
        ),
    )
    picture = tmp_path / "picture.png"
    cv2.imwrite(str(picture), np.full((8, 8, 3), (200, 40, 17), np.uint8))
    [found] = values("-m", model, "-i", picture)
    assert found == dict.fromkeys(range(10), 257)
