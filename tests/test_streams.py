"""Standard output, standard error, Ctrl-C, and what a run is not to do: print warnings, fork, use the network."""

import os
import re
import select
import signal
import subprocess
import sys
import time
from importlib.machinery import PathFinder
from itertools import product

import pytest
from helpers import DIGITS, LENET, SCRIPT, at_once, run, run_python, tables, top_ids
from numbered import save_numbered_images, wrong_answers

DIGIT_TABLES = [(f"{DIGITS}[{digit}]", digit) for digit in range(10)]
pytestmark = pytest.mark.skipif(os.name != "posix", reason="a shell's redirections, and signals")


def first_classes(stdout):
    return [(name, top_ids(rows)[0]) for name, rows in tables(stdout)]


def redirected(redirection, *images):
    """Runs the sample with its standard output or error redirected by the shell."""
    return run("-m", LENET, "-i", *images, DIGITS, prefix=["sh", "-c", f'exec "$@" {redirection}', "sh"], timeout=20)


NO_STDOUT = {
    ">&-": "it is closed",
    "> /dev/full": "No space left on device",
    "> /dev/full 2> /dev/full": None,
    ">&- 2>&-": None,
}


def test_a_standard_output_that_cannot_be_written_is_an_error():
    for done, reason in zip(at_once(redirected, NO_STDOUT), NO_STDOUT.values()):
        line = f"[ ERROR ] Cannot write to standard output: {reason}\n" if reason else ""
        assert (done.returncode, done.stdout, done.stderr) == (1, "", line)


def test_without_a_standard_error_all_tables_come(tmp_path):
    """The status says whether all images were classified, though the warning is lost."""
    broken = tmp_path / "broken.png"
    broken.touch()
    cases = list(product(["2> /dev/full", "2>&-"], [[], [broken]]))
    for (_, images), done in zip(cases, at_once(lambda case: redirected(case[0], *case[1]), cases)):
        assert (done.returncode, done.stderr) == (1 if images else 0, "")
        assert first_classes(done.stdout) == DIGIT_TABLES


def test_a_pipe_that_does_not_block_and_a_reader_that_is_slow(tmp_path):
    """Ten times as much as a pipe holds, of which nothing is read before the script has to wait."""
    images = save_numbered_images(tmp_path, 3_000)
    reading_end, writing_end = os.pipe()
    os.set_blocking(writing_end, False)
    process = subprocess.Popen(
        [sys.executable, SCRIPT, "-m", tmp_path / "numbers.xml", "-i", images, "-nt", "2", "--infer_precision", "f32"],
        stdout=writing_end, stderr=subprocess.PIPE,
    )  # fmt: skip
    while select.select([], [writing_end], [], 0)[1] and process.poll() is None:  # the pipe is not full yet
        time.sleep(0.01)
    time.sleep(0.2)
    os.close(writing_end)
    with open(reading_end, "rb", buffering=0) as pipe:
        start = b"".join(pipe.read(1000) for _ in range(20) if not time.sleep(0.005))
        output = (start + pipe.readall()).decode()
    _, printed = process.communicate(timeout=20)
    assert process.returncode == 0
    assert len(output) > 10 * 65_536
    assert wrong_answers(output, images, 3_000) == 0
    assert re.fullmatch(rb"\[ WARNING \] The model's outputs are not probabilities .+\n", printed)


def test_python_has_nothing_to_warn_of():
    """Not even of a file that is left open."""
    done = run_python("-W", "error", "-X", "dev", SCRIPT, "-m", LENET, "-i", DIGITS, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    assert first_classes(done.stdout) == DIGIT_TABLES


@pytest.mark.parametrize("parent", ["", 'trap "" INT; '], ids=["default", "ignored"])
def test_ctrl_c_ends_a_shell_loop_of_runs(parent):
    """Ctrl-C is one SIGINT to all processes of the group. A shell goes on unless its child has died of the signal."""
    loop = f'{parent}for run in 1 2 3; do "$@"; done; echo the end'
    process = subprocess.Popen(
        ["bash", "-c", loop, "bash", sys.executable, SCRIPT, "-m", LENET, "-i", DIGITS, "-nt", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    first_line = process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)
    output, printed = process.communicate(timeout=20)
    if parent:
        assert first_classes(first_line + output) == DIGIT_TABLES * 3
        assert (process.returncode, printed, output.endswith("\nthe end\n")) == (0, "", True)
    else:
        assert (process.returncode, printed) == (-signal.SIGINT, "")
        assert output.count("Creating OpenVINO Runtime Core") == 0, "of a second run"


# Runs a script as a program, and ends it at the first thing that it must not do.
WATCH = """
import os, runpy, sys

FORBIDDEN = {
    "os.fork", "os.forkpty", "os.posix_spawn", "os.system", "os.exec", "subprocess.Popen",
    "socket.__new__", "socket.connect", "socket.getaddrinfo", "socket.gethostbyname",
}

def watch(event, arguments):
    if event in FORBIDDEN:
        os.write(2, f"{event}\\n".encode())
        os._exit(3)

sys.addaudithook(watch)
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def watched(path, home):
    """Runs the script at `path`; OpenVINO's telemetry is silent where CI is set, and keeps its files at home."""
    return run_python(
        "-c", WATCH, path, "-m", LENET, "-i", DIGITS,
        prefix=["env", "-u", "CI"], env={"HOME": str(home)}, timeout=20,
    )  # fmt: skip


def test_it_starts_no_process_and_opens_no_connection(tmp_path):
    done = watched(SCRIPT, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert first_classes(done.stdout) == DIGIT_TABLES


@pytest.mark.skipif(not PathFinder.find_spec("openvino_telemetry"), reason="no openvino_telemetry")
def test_the_watch_sees_openvino_telemetry(tmp_path):
    """The control of the test above: the script without the line that keeps it from being imported."""
    source, count = re.subn(r'^sys\.modules\["openvino_telemetry"\] = None.*\n', "", SCRIPT.read_text(), flags=re.M)
    assert count == 1
    changed = tmp_path / "changed.py"
    changed.write_text(source)
    done = watched(changed, tmp_path)
    assert done.returncode == 3 and done.stderr.splitlines()[-1] in ("os.fork", "subprocess.Popen", "socket.__new__")
