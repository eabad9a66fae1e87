"""Standard output, standard error and Ctrl-C of the program; what it and its import leave alone."""

import os
import re
import shutil
import signal
import subprocess
import sys

import pytest
from helpers import DIGITS, LENET, ROOT, SCRIPT, run_process, run_python, tables

needs_posix = pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
COMMAND = [sys.executable, SCRIPT, "-m", LENET, "-i"]
ENDLESS = [*COMMAND, DIGITS, "-nt", "1", "-ni", "1000000000"]


def classes(stdout):
    return [rows[0][0] for _, rows in tables(stdout)]


def start(command):
    """Starts `command` in a process group of its own."""
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def press_ctrl_c(process):
    """Sends SIGINT to the group of `process`, as a terminal does, when it prints its first table.

    Returns what it prints from there on.
    """
    try:
        while "Image path" not in process.stdout.readline():
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)
        return process.communicate(timeout=30)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


@needs_posix
def test_head_ends_it_without_a_word():
    """More tables than a pipe holds, so that it has not printed all of them before."""
    process = start([*COMMAND, *[DIGITS] * 100])
    assert "Creating" in process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(timeout=30) == -signal.SIGPIPE


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_an_error():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, DIGITS], stdout=full, stderr=subprocess.PIPE, text=True, timeout=30
        )
    assert done.returncode == 1
    assert re.fullmatch(r"\[ ERROR \] .*No space left.*\n", done.stderr)


def test_a_label_that_the_terminal_lacks_is_escaped(tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join(["Käse"] * 10), encoding="utf-8")
    done = run_process(
        "-m", LENET, "-i", DIGITS, "--labels", labels, "-nt", "1",
        env={"PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert [rows[0][2] for _, rows in tables(done.stdout)] == [r"K\xe4se"] * 10


@needs_posix
def test_ctrl_c_ends_it_without_a_word():
    process = start(ENDLESS)
    _, printed = press_ctrl_c(process)
    assert (process.returncode, printed) == (-signal.SIGINT, "")


def test_ctrl_c_ends_the_first_process_of_a_container():
    unshare = ["unshare", "-p", "-f", "--mount-proc"]
    if not shutil.which("unshare") or subprocess.run([*unshare, "true"]).returncode:
        pytest.skip("unshare is missing, or not permitted")
    process = start([*unshare, *ENDLESS])
    _, printed = press_ctrl_c(process)
    assert (process.returncode, printed) == (130, "")


def test_python_has_nothing_to_warn_of():
    done = run_python("-W", "error", "-X", "dev", SCRIPT, "-m", LENET, "-i", DIGITS)
    assert (done.returncode, done.stderr) == (0, "")
    assert classes(done.stdout) == [*range(10)]


# Runs the script as a program; prints the events of the network, and OpenVINO's telemetry
WATCH = """
import runpy, sys

def watch(event, args):
    if event.startswith(("socket.", "subprocess.", "os.fork", "os.posix_spawn", "os.exec")):
        print(event, args, file=sys.stderr)

sys.addaudithook(watch)
del sys.argv[0]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    print([name for name in sys.modules if "telemetry" in name], file=sys.stderr)
"""


def test_it_starts_no_process_and_uses_no_network():
    """Telemetry would, except where the environment says CI."""
    done = run_python("-c", WATCH, SCRIPT, "-m", LENET, "-i", DIGITS, env={"CI": ""})
    assert (done.returncode, done.stderr) == (0, "[]\n")
    assert classes(done.stdout) == [*range(10)]


# Prints what the lines that replace `CHANGE` have changed
STATE = """
import io, os, runpy, signal, sys
import cv2, numpy, openvino, openvino.tools.ovc

def state():
    handlers = {str(number): signal.getsignal(number) for number in signal.valid_signals()}
    streams = [(id(stream), stream.errors) for stream in (sys.stdout, sys.stderr)]
    logging = cv2.utils.logging.getLogLevel()
    return {**handlers, **os.environ, "streams": streams, "logging": logging,
            "converter": sys.modules["openvino.tools.ovc"]}

before = state()
CHANGE
after = state()
print({name: after[name] for name in after if after[name] != before.get(name)})
"""


def test_its_import_changes_nothing():
    program = STATE.replace("CHANGE", "import classification_sample_async")
    done = run_python("-c", program, env={"PYTHONPATH": str(ROOT)})
    assert (done.returncode, done.stdout, done.stderr) == (0, "{}\n", "")


def test_in_a_notebook_the_signals_and_streams_stay_as_they_are():
    """`%run` runs the script in the notebook's process, where standard output is not a file."""
    change = """
del sys.argv[0]
stdout, sys.stdout = sys.stdout, io.StringIO()
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as exit:
    status = exit.code
output, sys.stdout = sys.stdout.getvalue(), stdout
print(status, output.count("Image path"))
before.update(os.environ, converter=sys.modules["openvino.tools.ovc"])  # these may change
"""
    done = run_python("-c", STATE.replace("CHANGE", change), SCRIPT, "-m", LENET, "-i", DIGITS)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0 10\n{}\n", "")
