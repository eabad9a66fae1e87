"""Standard output, standard error, Ctrl-C, and what is not to happen.

A run prints no warnings of Python's, does not fork or use the network; an import changes nothing.
"""

import ast
import os
import re
import select
import signal
import subprocess
import sys
import time
from importlib.machinery import PathFinder
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers import (
    DATA,
    DIGITS,
    EFFICIENTNET,
    LENET,
    SCRIPT,
    TREE,
    at_once,
    run,
    run_python,
    tables,
    top_ids,
)
from numbered import save_numbered_images, wrong_answers

DIGIT_TABLES = [(f"{DIGITS}[{digit}]", digit) for digit in range(10)]
pytestmark = pytest.mark.skipif(os.name != "posix", reason="a shell's redirections, and signals")


def first_classes(stdout):
    return [(name, top_ids(rows)[0]) for name, rows in tables(stdout)]


def redirected(redirection, *images):
    """Runs the sample with its standard output or error redirected by the shell."""
    return run(
        "-m",
        LENET,
        "-i",
        *images,
        DIGITS,
        prefix=["sh", "-c", f'exec "$@" {redirection}', "sh"],
        timeout=20,
    )


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


def test_a_help_that_cannot_be_written_is_an_error():
    """By itself argparse says nothing, and exits with 0."""

    def help_redirected(redirection):
        return run("-h", prefix=["sh", "-c", f'exec "$@" {redirection}', "sh"], timeout=20)

    for done, reason in zip(at_once(help_redirected, NO_STDOUT), NO_STDOUT.values()):
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
        [
            *(sys.executable, SCRIPT, "-m", tmp_path / "numbers.xml", "-i", images),
            *("-nt", "2", "--infer_precision", "f32"),
        ],
        stdout=writing_end, stderr=subprocess.PIPE,
    )  # fmt: skip
    while (
        select.select([], [writing_end], [], 0)[1] and process.poll() is None
    ):  # the pipe is not full yet
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
    """Ctrl-C is a SIGINT to all of the group. A shell goes on unless its child has died of it."""
    loop = f'{parent}for run in 1 2 3; do "$@"; done; echo the end'
    command = [sys.executable, SCRIPT, "-m", LENET, "-i", DIGITS, "-nt", "1"]
    if not parent:
        command += ["-ni", "1000000"]  # the run is not over before the signal comes
    process = subprocess.Popen(
        ["bash", "-c", loop, "bash", *command],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0, start_new_session=True,
    )  # fmt: skip
    first_line = process.stdout.readline()  # and no more, as there is no buffer
    os.killpg(process.pid, signal.SIGINT)
    output, printed = process.communicate(timeout=20)
    output = (first_line + output).decode()
    assert output.startswith("[ INFO ] Creating OpenVINO Runtime Core\n")
    if parent:
        assert first_classes(output) == DIGIT_TABLES * 3
        assert (process.returncode, printed, output.endswith("\nthe end\n")) == (0, b"", True)
    else:
        assert (process.returncode, printed) == (-signal.SIGINT, b"")
        assert output.count("Creating OpenVINO Runtime Core") == 1, "of a second run"


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
    """Runs the script at `path`; OpenVINO's telemetry is silent under CI, and has files at home."""
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
    """The control of the test above: without the line that keeps its one importer out."""
    line = r'^    sys\.modules\["openvino\.tools\.ovc"\] = None.*\n'
    source, count = re.subn(line, "", SCRIPT.read_text(), flags=re.M)
    assert count == 1
    changed = tmp_path / "changed.py"
    changed.write_text(source)
    done = watched(changed, tmp_path)
    seen = ("os.fork", "subprocess.Popen", "socket.__new__")
    assert done.returncode == 3 and done.stderr.splitlines()[-1] in seen


# Prints what the import at its start has left of the process.
STATE = """
import os, signal, sys
handlers = {int(number): str(signal.getsignal(number)) for number in signal.valid_signals()}
streams = [(s.encoding, s.errors, os.get_blocking(s.fileno())) for s in (sys.stdout, sys.stderr)]
modules = {name: str(sys.modules[name]) for name in ("openvino.tools.ovc", "openvino_telemetry")}
print(sorted(os.environ.items()), handlers, streams, modules, sep="\\n")
"""


@pytest.mark.skipif(not PathFinder.find_spec("openvino_telemetry"), reason="no openvino_telemetry")
def test_importing_the_script_changes_nothing_but_what_its_imports_do():
    """OpenCV sets environment variables of its own."""

    def state_after(statement):
        unset = ["env", "-u", "OPENBLAS_NUM_THREADS", "-u", "OPENCV_LOG_LEVEL"]
        done = run_python("-c", statement + STATE, prefix=unset, timeout=20)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout

    libraries, script = at_once(
        state_after, ["import cv2, numpy, openvino", "import classification_sample_async"]
    )
    assert script == libraries
    assert "<module 'openvino.tools.ovc' from" in script
    assert "<module 'openvino_telemetry' from" in script
    assert "default_int_handler" in script
    assert "OPENBLAS_NUM_THREADS" not in script and "OPENCV_LOG_LEVEL" not in script


def test_importing_the_script_calls_none_of_its_functions():
    program = """
import sys

def called(frame, event, argument):
    if event == "call" and frame.f_code.co_filename.endswith("classification_sample_async.py"):
        print(frame.f_code.co_name)

sys.setprofile(called)
import classification_sample_async
sys.setprofile(None)
"""
    done = run_python("-c", program, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")
    called = set(done.stdout.split())
    classes = [node.name for node in TREE.body if isinstance(node, ast.ClassDef)]
    assert "<module>" in called <= {"<module>", *classes}


NAMES = [
    b"plain.png", b"with spaces.png", b"new\nline.png", b"quote'\".png", "é中.png".encode(),
    b"not-utf8-\xff\xfe.png", b"[3].png", b"%s{}.png", b"-nt.png", b"l" * 251 + b".png",
]  # fmt: skip


@pytest.mark.parametrize(
    "environment",
    [{}, {"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
)
def test_names_and_labels_are_printed_as_the_bytes_they_are(tmp_path, channel_model, environment):
    for name in NAMES:
        with open(os.fsencode(tmp_path) + b"/" + name, "wb") as file:
            file.write(cv2.imencode(".png", np.full((8, 8, 3), (9, 5, 1), np.uint8))[1].tobytes())
    broken = b"broken-\xff\n.png"
    open(os.fsencode(tmp_path) + b"/" + broken, "wb").close()
    labels = tmp_path / "labels.txt"
    labels.write_bytes("Käse\n中\n".encode() + b"latin-1 \xe9\n")
    done = subprocess.run(
        [
            *(sys.executable, SCRIPT, "-m", channel_model, "-i", tmp_path),
            *("--labels", labels, "--softmax"),
        ],
        capture_output=True, env={**os.environ, **environment}, timeout=60,
    )  # fmt: skip
    folder = os.fsencode(tmp_path)
    assert done.returncode == 1
    assert (
        done.stderr
        == b"[ WARNING ] " + folder + b"/" + broken + b": cannot be decoded as an image\n"
    )
    paths = re.findall(rb"\[ INFO \] Image path: (.*?)\n\[ INFO \] Top", done.stdout, flags=re.S)
    # Python sorts names as text, in which bytes that are not UTF-8 come after all else.
    assert sorted(paths) == sorted(folder + b"/" + name for name in NAMES)
    assert (
        done.stdout.count("   Käse\n".encode())
        == done.stdout.count("   中\n".encode())
        == len(NAMES)
    )
    assert done.stdout.count(b"   latin-1 \xe9\n") == len(NAMES)


def test_head_ends_it_quietly():
    done = subprocess.run(
        f"{sys.executable} {SCRIPT} -m {LENET} -i {DIGITS} {DIGITS} {DIGITS} | head -3",
        shell=True, capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    assert (done.stdout.count("\n"), done.stderr) == (3, "")


def start_until_it_imports(*args, prefix=()):
    """Starts the script and waits until it loads OpenCV: by then it has dealt with SIGINT."""
    process = subprocess.Popen(
        [*prefix, sys.executable, SCRIPT, *args],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and "/cv2" not in Path(f"/proc/{process.pid}/maps").read_text():
        time.sleep(0.001)
    return process


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux's /proc")
@pytest.mark.parametrize("delay", [0, 0.15, 0.4])
def test_ctrl_c_at_any_moment(delay):
    process = start_until_it_imports(
        "-m", EFFICIENTNET, "-i", *[DATA / "images"] * 80, "-ni", "1000"
    )
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    _, printed = process.communicate(timeout=2)
    assert (process.returncode, printed) == (-signal.SIGINT, "")


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux's /proc")
def test_ctrl_c_is_ignored_where_the_parent_ignores_it():
    """As behind nohup, or in the background of a shell script."""
    ignoring = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"]
    process = start_until_it_imports("-m", LENET, "-i", DIGITS, prefix=ignoring)
    process.send_signal(signal.SIGINT)
    _, printed = process.communicate(timeout=20)
    assert (process.returncode, printed) == (0, "")
