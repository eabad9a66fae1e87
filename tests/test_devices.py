"""Devices: those that combine others, that a plugin folder brings, that are not there."""

import shutil
from pathlib import Path

import openvino as ov
import pytest
from helpers import DIGITS, LENET, classify, fails_with_one_line, run, top_ids

DEVICES_HERE = ", ".join(ov.Core().available_devices)
CPU_PLUGIN = Path(ov.__file__).parent / "libs" / "libopenvino_intel_cpu_plugin.so"
needs_cpu_plugin = pytest.mark.skipif(
    not CPU_PLUGIN.is_file(),
    reason="the openvino wheel of this platform has its CPU plugin under another name",
)


def digits_on(device, *options, **run_options):
    results = classify("-m", LENET, "-i", DIGITS, "-d", device, *options, **run_options)
    return [top_ids(rows)[0] for _, rows in results]


@pytest.mark.parametrize("options", [(), ("-b", "1", "-nireq", "4")], ids=["default", "one-by-one"])
@pytest.mark.parametrize("device", ["HETERO:CPU", "MULTI:CPU", "AUTO", "AUTO:CPU", "BATCH:CPU(2)"])
def test_devices_that_combine_others(device, options):
    assert digits_on(device, *options) == list(range(10))


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
@pytest.mark.parametrize("device", ["MYCPU", "HETERO:MYCPU,CPU", "MULTI:MYCPU,CPU"])
def test_plugin_folder(plugin_folder, device):
    assert digits_on(device, "-pp", plugin_folder) == list(range(10))


@needs_cpu_plugin
def test_plugin_folder_by_relative_path(plugin_folder):
    assert digits_on("MYCPU", "-pp", plugin_folder.name, cwd=plugin_folder.parent) == list(
        range(10)
    )


def test_without_its_folder_the_device_is_not_there():
    error_for("MYCPU")


def test_plugin_folder_without_plugins_xml(tmp_path):
    done = run("-m", LENET, "-i", DIGITS, "-pp", tmp_path)
    assert done.returncode == 1
    assert (
        done.stderr == f"[ ERROR ] Cannot read {tmp_path}/plugins.xml: No such file or directory\n"
    )


def error_for(device, *options):
    line = fails_with_one_line("-m", LENET, "-i", DIGITS, "-d", device, *options)
    available = f"(available target devices: {DEVICES_HERE})"
    prefix = f"[ ERROR ] Cannot load the model to the device '{device}' {available}: "
    assert line.startswith(prefix)
    return line.removeprefix(prefix).removesuffix("\n")


@pytest.mark.skipif("GPU" in DEVICES_HERE, reason="there is a GPU")
@pytest.mark.parametrize("device", ["GPU", "GPU.1", "HETERO:GPU,CPU", "BATCH:GPU(4)"])
def test_no_gpu(device):
    assert error_for(device)


@pytest.mark.parametrize(
    "device, named",
    [
        ("FOO", '"FOO"'),
        ("cpu", '"cpu"'),
        ("HETERO:FOO,CPU", '"FOO"'),
        ("CPU,GPU", '"CPU,GPU"'),
        ("CPU.7", "device id"),
    ],
)
def test_misspelled(device, named):
    """The reason is OpenVINO's own."""
    assert named in error_for(device)


@pytest.mark.parametrize(
    "device, named",
    [
        ("", '""'),
        ("HETERO:", ""),
        ("MULTI", ""),
        ("BATCH:", '""'),
        ("BATCH:CPU(x)", ""),
        ("MULTI:AUTO", "AUTO"),
        ("CPU,", '"CPU,"'),
    ],
)
def test_incomplete_or_not_combinable(device, named):
    reason = error_for(device)
    assert reason and named in reason and "did you mean" not in reason.lower()


@needs_cpu_plugin
@pytest.mark.parametrize("device", ["MINE", "HETERO:MINE,CPU"])
@pytest.mark.parametrize(
    "library, named",
    [
        (CPU_PLUGIN, "is used for MINE , while it contains implementation for CPU"),
        (
            CPU_PLUGIN.with_name("no-such-library.so"),
            "cannot open shared object file: No such file or directory",
        ),
    ],
    ids=["another-name", "not-there"],
)
def test_a_plugin_that_cannot_be_loaded(tmp_path, library, named, device):
    """The other devices are there, and the error lists them."""
    (tmp_path / "plugins.xml").write_text(
        f'<ie><plugins><plugin name="MINE" location="{library}"/></plugins></ie>'
    )
    reason = error_for(device, "-pp", tmp_path)
    assert str(library) in reason and named in reason
    assert digits_on("CPU", "-pp", tmp_path) == list(range(10))
