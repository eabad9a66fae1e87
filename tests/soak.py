"""Stress for infer_in_order, for what takes time and bad luck: hangs, aborts, wrong results.

    PYTHONPATH=. python tests/soak.py [ROUNDS]

A round is a process for each way in which a program can end while requests run, and one with many
queues: called again, closed early, given failing images and tensors that do not fit. Two busy
processes for each core make threads wait at odd moments. For each kind it prints how many were
right, wrong, aborted (by a signal) or hung (two minutes). Exit status 0: all were right.

3 rounds on two cores (AMD EPYC, OpenVINO 2026.4.1) took a minute. All were right. Without
callback_on, `global` and `exception` aborted each time.
"""

import os
import random
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
import openvino as ov
import pytest
from helpers import means_or_failure
from openvino import opset13 as ops

from classification_sample_async import infer_in_order

RESULTS = ("right", "wrong", "aborted", "hung")
BUSY = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: pass"  # ends with it
DARK, BRIGHT = 3, 200  # for BRIGHT the inference fails


def make_queue(requests=4):
    image = ops.parameter([1, 3, 32, 32], np.float32)
    zeros = [np.zeros(shape, np.float32) for shape in ((32, 1000), (1000, 1000))]
    rows = ops.reshape(image, np.array([96, 32]), False)
    slow = ops.matmul(ops.matmul(rows, zeros[0], False, False), zeros[1], False, False)  # some ms
    means = ops.add(means_or_failure(image), ops.reduce_max(slow, np.array([0, 1])))
    config = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}
    compiled_model = ov.Core().compile_model(ov.Model([means], [image]), "CPU", config)
    return ov.AsyncInferQueue(compiled_model, requests)


def inputs(count, last=DARK):
    """The first channel tells the images apart."""
    for number in range(count):
        array = np.full((1, 3, 32, 32), last if number == count - 1 else DARK, np.float32)
        array[:, 0] -= number / 100
        yield number, ov.Tensor(array, shared_memory=True)


def check(results):
    for number, output in results:
        assert np.allclose(output, [[4 - number / 100, 4, 4]], atol=1e-4), (number, output)
        yield number


def use_many_queues():
    for _ in range(5):
        queue = make_queue(random.choice([1, 2, 4, 8]))
        for _ in range(10):
            assert list(check(infer_in_order(queue, inputs(30)))) == list(range(30))
            results = infer_in_order(queue, inputs(60))
            list(check(islice(results, random.randrange(1, 20))))
            results.close()
        wrong = (0, ov.Tensor(np.zeros((2, 2), np.float32)))
        for last in ([*inputs(random.randrange(1, 9)), wrong], inputs(20, BRIGHT)):
            queue = make_queue(random.choice([1, 2, 4]))
            with pytest.raises(RuntimeError):
                list(check(infer_in_order(queue, last)))


def end(how):
    """The queue is freed before the process ends, as in the sample, but not if it is global."""
    queue = make_queue()
    results = infer_in_order(queue, inputs(40, BRIGHT if how == "failure" else DARK))
    for number in check(results):
        if number == 20 and how in ("exception", "exit"):
            raise KeyError(number) if how == "exception" else SystemExit(7)
        if number == 20 and how in ("break", "global"):
            globals().update(kept=results if how == "global" else None)
            break


KINDS = {  # and how they end
    "return": (0, b""), "break": (0, b""), "global": (0, b""), "queues": (0, b""), "exit": (7, b""),
    "exception": (1, b"KeyError: 20"), "failure": (1, b"RuntimeError: "),
}  # fmt: skip


def run_kind(kind):
    try:
        child = [sys.executable, __file__, "child", kind]
        done = subprocess.run(child, stderr=subprocess.PIPE, timeout=120)
    except subprocess.TimeoutExpired:
        return kind, "hung"
    status, text = KINDS[kind]
    is_right = done.returncode == status and text in done.stderr
    return kind, "right" if is_right else "aborted" if done.returncode < 0 else "wrong"


def main(rounds):
    cores = os.cpu_count() or 1
    busy = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(2 * cores)]
    with ThreadPoolExecutor(2 * cores) as pool:
        counts = Counter(pool.map(run_kind, [*KINDS] * rounds))
    for process in busy:
        process.kill()
    for kind in KINDS:
        print(kind, *(f"{counts[kind, result]} {result}" for result in RESULTS), sep=", ")
    return int(any(result != "right" for _, result in counts))


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        use_many_queues() if sys.argv[2] == "queues" else end(sys.argv[2])
    else:
        sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100))
