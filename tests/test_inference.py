"""Asynchronous inference and reading ahead: as functions, and in whole runs."""

import re
import threading

import numpy as np
import openvino as ov
import pytest
from helpers import (
    DIGITS,
    EFFICIENTNET,
    LENET,
    SCRIPT,
    idx,
    means_or_failure,
    run,
    run_process,
    run_python,
    save_model,
    values,
)
from openvino import opset13 as ops

import classification_sample_async as sample

F32 = {"INFERENCE_PRECISION_HINT": "f32"}


# infer_in_order


@pytest.fixture(scope="module")
def slow_model():
    """Returns its one value, after as many matrix products as that value says."""
    image = ops.parameter([1, 1], np.float32)
    matrix = ops.parameter([150, 150], np.float32)
    go_on = ops.constant(np.array(True))
    product = ops.matmul(matrix, matrix, False, False)
    loop = ops.loop(ops.squeeze(ops.convert(image, np.int32), np.array([0, 1])), go_on)
    loop.set_function(ov.Model([product, ops.constant(np.array(True))], [matrix]))
    loop.set_special_body_ports([-1, 1])
    zeros = ops.constant(np.zeros((150, 150), np.float32))
    loop.set_merged_input(matrix, zeros.output(0), product.output(0))
    zero = ops.reduce_max(loop.get_iter_value(product.output(0), -1), np.array([0, 1]))
    model = ov.Model([ops.add(image, zero)], [image])
    return ov.Core().compile_model(model, "CPU", {"NUM_STREAMS": "2", **F32})


def tensors(numbers):
    for number in numbers:
        yield f"key {number}", ov.Tensor(np.full((1, 1), number, np.float32))


def expected(numbers):
    return [(f"key {number}", number) for number in numbers]


def as_numbers(results):
    return [(key, output.item()) for key, output in list(results)]


@pytest.mark.parametrize("requests", [1, 4])
def test_each_output_belongs_to_its_key_in_the_order_of_the_inputs(slow_model, requests):
    numbers = [1, 2000, *range(2, 60)]  # the second is overtaken
    queue = ov.AsyncInferQueue(slow_model, requests)
    for _ in range(2):
        assert as_numbers(sample.infer_in_order(queue, tensors(numbers))) == expected(numbers)


def test_results_come_while_inputs_go_on(slow_model):
    """With one request a tensor is started when the one before is done, which is then yielded."""
    taken = []

    def inputs():
        for pair in tensors(range(20)):
            taken.append(pair)
            yield pair

    results = sample.infer_in_order(ov.AsyncInferQueue(slow_model, 1), inputs())
    for count, _ in enumerate(results, start=1):
        assert len(taken) <= count + 1
    assert count == 20


def test_leaving_the_loop_early_waits_for_what_runs_and_the_queue_works_on(slow_model):
    queue = ov.AsyncInferQueue(slow_model, 4)
    results = sample.infer_in_order(queue, tensors([100, *[3000] * 4]))
    for _ in results:
        break
    results.close()
    assert queue.is_ready()
    assert as_numbers(sample.infer_in_order(queue, tensors(range(9)))) == expected(range(9))


def test_an_exception_of_the_inputs_comes_out_and_the_queue_works_on(slow_model):
    def inputs():
        yield from tensors([1, 2, 3000])
        raise ConnectionError("the camera is gone")

    queue = ov.AsyncInferQueue(slow_model, 4)
    with pytest.raises(ConnectionError, match="the camera is gone"):
        list(sample.infer_in_order(queue, inputs()))
    assert queue.is_ready()
    assert as_numbers(sample.infer_in_order(queue, tensors(range(9)))) == expected(range(9))


@pytest.mark.parametrize("wrong", [np.zeros((2, 2), np.float32), np.zeros((1, 1), np.uint8)])
def test_a_tensor_that_does_not_fit_raises_and_a_new_queue_works(slow_model, wrong):
    queue = ov.AsyncInferQueue(slow_model, 2)
    with pytest.raises(RuntimeError):
        list(sample.infer_in_order(queue, [*tensors([1, 2]), ("wrong", ov.Tensor(wrong))]))
    queue = ov.AsyncInferQueue(slow_model, 2)
    assert as_numbers(sample.infer_in_order(queue, tensors(range(9)))) == expected(range(9))


@pytest.fixture(scope="module")
def mean_model():
    """Returns the mean of an image, in one stream."""
    image = ops.parameter([1, 3, 64, 64], np.float32)
    model = ov.Model([ops.reduce_mean(image, np.array([1, 2, 3]))], [image])
    return ov.Core().compile_model(model, "CPU", {"NUM_STREAMS": "1", **F32})


def test_tensors_that_nobody_else_holds_stay_as_they_are_until_inferred(mean_model):
    """Of eight requests most wait, while later ones take memory."""

    def inputs():
        for number in range(300):
            array = np.full((1, 3, 64, 64), number, np.float32)
            yield f"key {number}", ov.Tensor(array, shared_memory=True)

    results = sample.infer_in_order(ov.AsyncInferQueue(mean_model, 8), inputs())
    assert as_numbers(results) == expected(range(300))


@pytest.fixture(scope="module")
def failing_model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("failing") / "fails.xml", means_or_failure)


MANY_RUNS = f"""
import numpy as np
import openvino as ov
from classification_sample_async import infer_in_order

def compile_model():
    return ov.Core().compile_model({str(EFFICIENTNET)!r}, "CPU", {{"PERFORMANCE_HINT": "LATENCY"}})

tensor = ov.Tensor(np.zeros((1, 3, 224, 224), np.float32))
inputs = [(number, tensor) for number in range(20)]
"""

AN_EXCEPTION_IN_THE_LOOP = """
results = infer_in_order(ov.AsyncInferQueue(compile_model(), 4), inputs)
for number, output in results:
    raise ValueError("of the program that uses it")
"""

THE_QUEUE_FREED_BEFORE_THE_MODEL = """
for _ in range(5):
    compiled_model = compile_model()
    assert len(list(infer_in_order(ov.AsyncInferQueue(compiled_model, 4), inputs))) == 20
    del compiled_model
"""


@pytest.mark.parametrize(
    ("program", "status"), [(AN_EXCEPTION_IN_THE_LOOP, 1), (THE_QUEUE_FREED_BEFORE_THE_MODEL, 0)]
)
def test_a_program_neither_aborts_nor_hangs_when_it_is_done(program, status):
    done = run_python("-c", MANY_RUNS + program, env={"PYTHONPATH": str(SCRIPT.parent)})
    assert done.returncode == status, done.stderr


def test_a_failing_inference_raises_runtime_error_after_the_results_before_it(failing_model):
    queue = ov.AsyncInferQueue(ov.Core().compile_model(failing_model, "CPU", F32), 4)
    images = [np.full((1, 3, 8, 8), 3 if number < 20 else 200) for number in range(40)]
    inputs = ((n, ov.Tensor(image.astype(np.float32))) for n, image in enumerate(images))
    keys = []
    with pytest.raises(RuntimeError):
        for key, output in sample.infer_in_order(queue, inputs):
            keys.append(key)
            assert output.tolist() == [[4, 4, 4]]
    assert keys == list(range(len(keys))) and len(keys) <= 20


def test_a_failing_inference_is_one_error_line_and_the_process_ends_cleanly(failing_model, picture):
    done = run_process("-m", failing_model, "-i", *[picture] * 20, "-b", "1", "-nireq", "4")
    assert done.returncode == 1, done.stderr
    assert re.findall(r"^\[ (?!WARNING)(\w+) \]", done.stderr, flags=re.M) == ["ERROR"]


# read_ahead


def write(item, row):
    row[:] = item


def test_batches_are_full_but_the_last_whose_other_rows_are_zero():
    found = [
        (batch, tensor.element_type, tensor.data[:, 0, 0, 0].tolist())
        for batch, tensor in sample.read_ahead(iter(range(1, 8)), (3, 2, 2, 1), write)
    ]
    assert found == [
        ([1, 2, 3], ov.Type.u8, [1, 2, 3]),
        ([4, 5, 6], ov.Type.u8, [4, 5, 6]),
        ([7], ov.Type.u8, [7, 0, 0]),
    ]


def test_nothing_to_read_yields_nothing():
    assert list(sample.read_ahead([], (3, 2, 2, 1), write)) == []


def test_an_exception_of_read_comes_out_after_the_batches_before_it():
    def read(item, row):
        if item == 5:
            raise EOFError("item 5")

    batches = sample.read_ahead(range(100), (2, 2, 2, 1), read)
    assert [next(batches)[0], next(batches)[0]] == [[0, 1], [2, 3]]
    with pytest.raises(EOFError, match="item 5"):
        next(batches)


def test_the_next_batch_is_read_while_one_is_used_but_not_all(monkeypatch):
    monkeypatch.setattr(sample.os, "sched_getaffinity", lambda process: range(4), raising=False)
    is_read = [threading.Event() for _ in range(1000)]
    lock, count = threading.Lock(), 0

    def read(item, row):
        nonlocal count
        with lock:
            count += 1
        is_read[item].set()

    batches = sample.read_ahead(range(1000), (8, 2, 2, 1), read)
    for number in range(1, 4):
        assert next(batches)[0][0] == 8 * (number - 1)
        assert is_read[8 * (number + 1) - 1].wait(timeout=30)
        with lock:
            assert count <= 8 * (number + 2)
    batches.close()
    assert count <= 8 * 5


def test_every_core_reads_even_if_a_batch_is_one_image(monkeypatch):
    monkeypatch.setattr(sample.os, "sched_getaffinity", lambda process: range(6), raising=False)
    all_read = threading.Barrier(6)
    batches = sample.read_ahead(range(12), (1, 2, 2, 1), lambda *_: all_read.wait(timeout=30))
    assert [batch for batch, _ in batches] == [[item] for item in range(12)]


# Outputs


@pytest.mark.parametrize(
    "output, rows",
    [
        ([[0.25, 0.75]], [[0.25, 0.75]]),
        ([[[[0.25]], [[0.75]]], [[[1]], [[0]]]], [[0.25, 0.75], [1, 0]]),  # [2,2,1,1]
        ([[0.25], [1]], [[0.75, 0.25], [0, 1]]),
    ],
    ids=["vector", "with-sizes-of-1", "class-1-only"],
)
def test_class_probabilities_are_a_row_for_each_image(output, rows):
    assert sample.class_probabilities(np.array(output, np.float32)).tolist() == rows


@pytest.mark.parametrize(
    "probabilities, number_top, class_ids",
    [
        ([0.1, 0.4, 0.1, 0.4], 3, [1, 3, 0]),
        ([0.1, np.nan, 0.3], 10, [2, 0, 1]),
    ],
    ids=["ties", "nan-and-few"],
)
def test_top_class_ids(probabilities, number_top, class_ids):
    assert sample.top_class_ids(np.float32(probabilities), number_top).tolist() == class_ids


# Whole runs


@pytest.fixture(scope="module")
def numbered(tmp_path_factory):
    """300 images of 2 pixels, which are the image's number, and a model that returns them."""
    folder = tmp_path_factory.mktemp("numbered")
    pixels = np.arange(300, dtype=">u2").tobytes()
    (folder / "numbers.ubyte").write_bytes(idx(0x803, 300, 1, 2, data=pixels))
    save_model(
        folder / "numbers.xml",
        lambda image: ops.reshape(image, np.array([-1, 2]), False),
        (1, 1, 1, 2),
        layout="NCHW",
    )
    return "-m", folder / "numbers.xml", "-i", folder / "numbers.ubyte"


@pytest.mark.parametrize(
    "options",
    ["", "-b 1 -nireq 4", "-b 7 -nireq 3", "-b 512", "-b 1 -nireq 1 -ni 2", "-b 64 -ni 3"],
)
def test_each_table_belongs_to_its_image(numbered, options):
    """And -ni prints one table for each image, too."""
    found = values(*numbered, *options.split())
    assert [256 * row[0] + row[1] for row in found] == list(range(300))


@pytest.mark.parametrize(
    "options, hint",
    [("-b 10", "LATENCY"), ("-b 1 -nireq 1", "LATENCY"), ("-b 1", "THROUGHPUT")],
)
def test_the_model_is_compiled_for_requests_that_overlap_or_not(monkeypatch, options, hint):
    hints = []

    class RecordingCore(ov.Core):
        def compile_model(self, *args):
            compiled_model = super().compile_model(*args)
            hints.append(compiled_model.get_property("PERFORMANCE_HINT"))
            return compiled_model

    monkeypatch.setattr(ov, "Core", RecordingCore)
    run("-m", LENET, "-i", DIGITS, *options.split())
    assert hints == [hint]
