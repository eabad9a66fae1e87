"""`infer_in_order` after what goes wrong: its queue serves the next call.

What would hang runs in a process of its own, as one of the functions `child_...` of this file.
"""

import contextlib
import faulthandler
import gc
import linecache
import os
import signal
import sys
import threading
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from helpers import DIGITS, LENET, ROOT, classify, repeated_products, run_python
from openvino import opset13 as ops

import classification_sample_async as sample

SHAPE = (1, 3, 32, 32)
REQUESTS = 4


def compile_means(shape=SHAPE):
    """A model with one stream, so that requests wait for each other: the means of channels."""
    image = ops.parameter(list(shape), np.float32)
    model = ov.Model([ops.reduce_mean(image, np.array([2, 3]))], [image])
    config = {"NUM_STREAMS": "1", "INFERENCE_PRECISION_HINT": "f32"}
    return ov.Core().compile_model(model, "CPU", config)


def frame(number):
    return np.full(SHAPE, number, np.float32)


def frames(numbers):
    return ((number, frame(number)) for number in numbers)


def assert_works(queue):
    """More calls than one, and more inputs than requests."""
    for start in (0, 100):
        numbers = range(start, start + 2 * len(queue) + 1)
        results = [
            (key, output.tolist()) for key, output in sample.infer_in_order(queue, frames(numbers))
        ]
        assert results == [(number, [[number] * 3]) for number in numbers]


def run_child(function, *names):
    """Runs a function of this file on each of `names`, in a process that ends if one hangs."""
    call = f"test_queue.child({function.__name__!r}, {names!r})"
    path = os.pathsep.join([str(Path(__file__).parent), str(ROOT)])
    done = run_python("-c", f"import test_queue; {call}", env={"PYTHONPATH": path}, timeout=100)
    expected = "".join(f"{name}\n" for name in names)
    assert (done.returncode, done.stdout, done.stderr) == (0, expected, ""), done.stderr


def child(function, names):
    for name in names:
        print(name, flush=True)
        faulthandler.dump_traceback_later(20, exit=True)  # of all threads
        globals()[function](name)
    faulthandler.cancel_dump_traceback_later()


# Wrong inputs

WRONG = {
    "shape": np.zeros((2, 2), np.float32),
    "rank": np.zeros(SHAPE[1:], np.float32),
    "empty": np.zeros((0, *SHAPE[1:]), np.float32),
    "type": np.zeros(SHAPE, np.float64),
    "bytes": np.zeros(SHAPE, np.uint8),
    "tensor-shape": ov.Tensor(np.zeros((1, 3, 32, 31), np.float32)),
    "tensor-type": ov.Tensor(np.zeros(SHAPE, np.uint8)),
    "none": None,
    "text": "image",
    "number": np.float32(1),
    "list": np.zeros(SHAPE, np.float32).tolist(),
    "dict": {0: np.zeros(SHAPE, np.float32)},
}


def child_wrong(kind):
    """Three errors on a queue of one request: each would take it for ever."""
    queue = ov.AsyncInferQueue(compile_means(), 1)
    for is_first in (True, False, False):
        before = [] if is_first else [(0, frame(7))]
        with pytest.raises(TypeError):
            list(sample.infer_in_order(queue, [*before, (1, WRONG[kind])]))
        assert queue.is_ready()
        assert_works(queue)


def test_a_wrong_input_takes_no_request():
    run_child(child_wrong, *WRONG)


@pytest.mark.parametrize("kind", ["shape", "tensor-shape", "tensor-type"])
def test_start_async_itself_loses_a_request(kind):
    """The control: why `infer_in_order` looks at an input before."""
    queue = ov.AsyncInferQueue(compile_means(), 2)
    for is_ready in (True, False):
        with pytest.raises((RuntimeError, TypeError)):
            queue.start_async(WRONG[kind])
        assert queue.is_ready() == is_ready


# Another call after an interruption


class InterruptedQueue(ov.AsyncInferQueue):
    """Sends SIGINT, as Ctrl-C does, at `moment` when that comes for the `count`th time."""

    moment, count = "", 1

    def interrupt(self, method):
        if method == self.moment:
            self.count -= 1
            if self.count == 0:
                signal.raise_signal(signal.SIGINT)

    def __iter__(self):
        for request in super().__iter__():
            yield request
            self.interrupt("wait")

    def set_callback(self, callback):
        self.interrupt("before")
        super().set_callback(callback)
        self.interrupt("after")


MOMENTS = {
    "as it sets the callback": ("before", 1),
    "when it has set it": ("after", 1),
    "as it waits for the first request": ("wait", 1),
    "as it waits for the last": ("wait", REQUESTS),
    "as it takes the callback back": ("before", 2),
    "when it has": ("after", 2),
}


def child_interrupted(moment):
    queue = InterruptedQueue(compile_means(), REQUESTS)
    queue.moment, queue.count = MOMENTS[moment]
    with pytest.raises(KeyboardInterrupt):
        results = sample.infer_in_order(queue, frames(range(50)))
        try:
            for _ in results:
                signal.raise_signal(signal.SIGINT)  # the first Ctrl-C
        finally:
            results.close()
    assert queue.count <= 0, "it was not interrupted"
    for request in queue:
        request.wait()  # what still runs may say "busy", which is true
    assert_works(queue)


def test_a_second_ctrl_c_leaves_a_queue_that_works():
    run_child(child_interrupted, *MOMENTS)


# At these the queue is marked and its clean-up has not begun, or it is done and the mark is still
# there: Python protects no code that begins to clean up.
BEFORE_THE_END = (
    "end_once = weakref.finalize(queue, end)  # runs when it is called, or else when Python exits",
    "try:",
    "if threading.get_ident() != own_thread:",
    "finish()",
    'del vars(queue)["callback_owner"]',
)


def child_interrupted_at_each_line(_):
    """By what a signal raises between any two lines of the script, but BEFORE_THE_END."""
    compiled_model, is_interrupted, line = compile_means(), True, 0
    sys.unraisablehook = lambda unraisable: None  # what is raised in a finalizer
    while is_interrupted:
        line += 1
        queue = ov.AsyncInferQueue(compiled_model, 2)
        is_interrupted = False
        count = 0
        text = ""

        def trace(stack, event, _):
            nonlocal count, is_interrupted, text
            if stack.f_code.co_filename != sample.__file__:
                return None
            count += event == "line"
            if count == line:  # noqa: B023
                is_interrupted = True
                text = linecache.getline(sample.__file__, stack.f_lineno).strip()
                sys.settrace(None)
                raise KeyboardInterrupt
            return trace

        results = sample.infer_in_order(queue, frames(range(4)))
        sys.settrace(trace)
        with contextlib.suppress(KeyboardInterrupt):
            list(results)
        sys.settrace(None)
        for request in queue:
            request.wait()
        if text not in BEFORE_THE_END:
            assert_works(queue)
    assert line > 50


def test_ctrl_c_at_any_line_leaves_a_queue_that_works():
    run_child(child_interrupted_at_each_line, "interrupted")


def compile_slow():
    """A model that multiplies matrices as often as its input says, which it adds to them."""
    image, products = repeated_products()
    result = ops.add(ops.multiply(products, np.float32(0)), image)
    return ov.Core().compile_model(ov.Model([result], [image]), "CPU", {"NUM_STREAMS": "1"})


def child_busy(_):
    queue = ov.AsyncInferQueue(compile_slow(), 2)
    images = [(number, np.full((1, 1), number, np.float32)) for number in range(1, 6)]
    for _ in range(2):
        queue.start_async(np.full((1, 1), 3000, np.float32))
        with pytest.raises(RuntimeError, match="busy"):
            list(sample.infer_in_order(queue, images))
        queue.wait_all()
        results = list(sample.infer_in_order(queue, images))
        assert [(key, round(output.max())) for key, output in results] == [
            (n, n) for n in range(1, 6)
        ]


def test_a_call_while_a_request_of_the_callers_runs_is_refused_and_the_next_works():
    run_child(child_busy, "busy")


# The garbage collector


class Camera:
    """Keeps the results, which refer to it: a reference cycle."""

    closed_on = None

    def __init__(self, queue, inputs):
        self.inputs = inputs
        self.results = sample.infer_in_order(queue, self.frames())
        assert next(self.results)[0] == 0

    def frames(self):
        try:
            yield from self.inputs
        finally:
            Camera.closed_on = threading.current_thread()


def end_threads():
    """Waits for the threads that the script has started."""
    for thread in threading.enumerate():
        if thread.name.startswith("Thread-"):
            thread.join()


class CollectingQueue(ov.AsyncInferQueue):
    """Runs the collector before the script's callback, within it or after it.

    That is when the camera has been dropped; it begins with the first result.
    """

    def __init__(self, moment):
        super().__init__(compile_means(), REQUESTS)
        self.moment, self.count = moment, 0
        self.dropped, self.collected = threading.Event(), threading.Event()

    def collect_at(self, moment):
        if moment == self.moment and self.count > 1:
            self.dropped.wait()
            gc.collect()
            self.collected.set()

    def set_callback(self, callback):
        def call(request, userdata):
            self.count += 1
            self.collect_at("before")
            callback(request, userdata)
            self.collect_at("after")

        super().set_callback(call)


def child_collected_in_its_own_callback(moment):
    keep_output = sample.keep_output

    def keep_and_collect(request, userdata):
        keep_output(request, userdata)
        queue.collect_at("within")

    queue = CollectingQueue(moment)
    gc.disable()  # but for the callback's
    sample.keep_output = keep_and_collect
    camera = Camera(queue, frames(range(50)))
    del camera
    assert Camera.closed_on is None, "a cycle lives until it is collected"
    queue.dropped.set()
    queue.collected.wait()
    end_threads()
    assert Camera.closed_on not in (None, threading.main_thread())
    assert_works(queue)
    sample.keep_output = keep_output
    assert_works(queue)


def test_a_generator_that_the_collector_closes_in_its_own_callback():
    run_child(child_collected_in_its_own_callback, "within")


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_generator_that_the_collector_closes_around_its_own_callback(moment):
    """Since Python 3.12 the collector may run as a function begins."""
    run_child(child_collected_in_its_own_callback, moment)


def child_collected_in_the_callback_of_another_queue(_):
    """Of the same model, whose one stream its callback keeps."""
    first, dropped = threading.Event(), threading.Event()
    compiled_model = compile_means()
    queue, other = (ov.AsyncInferQueue(compiled_model, REQUESTS) for _ in range(2))

    def collect(request, event):
        event.wait()
        gc.collect()

    def inputs():
        other.start_async(frame(1), first)
        yield 0, frame(0)  # done when `first` is set
        other.start_async(frame(1), dropped)
        yield 1, frame(1)  # done when `dropped` is set
        first.set()
        yield from frames(range(2, 50))

    gc.disable()
    other.set_callback(collect)
    camera = Camera(queue, inputs())
    del camera
    dropped.set()
    other.wait_all()
    end_threads()
    assert Camera.closed_on not in (None, threading.main_thread())
    assert_works(queue)
    assert_works(other)


def test_a_generator_that_the_collector_closes_in_the_callback_of_another_queue():
    run_child(child_collected_in_the_callback_of_another_queue, "collected")


def test_tensors_stay_alive_while_requests_run_that_nobody_waits_for(monkeypatch):
    """The caller's own memory, which he has dropped: what the callback makes would overwrite it."""
    keep_output, outputs, others = sample.keep_output, [], []

    def keep(request, userdata):
        keep_output(request, userdata)
        outputs.append(userdata[0][0].tolist())
        others.append(frame(-1))

    def tensors():
        for number in range(50):
            yield number, ov.Tensor(frame(number), shared_memory=True)

    monkeypatch.setattr(sample, "keep_output", keep)
    compiled_model = compile_means()
    count = 0
    for _ in range(100):
        outputs.clear(), others.clear()
        results = sample.infer_in_order(ov.AsyncInferQueue(compiled_model, 8), tensors())
        next(results)
        at_close = len(outputs)
        results.close()
        assert outputs == [[[number] * 3] for number in range(len(outputs))]
        count += len(outputs) - at_close
    assert count > 0, "nothing was running"


# Types


@pytest.mark.parametrize("of_type", ["f2", "f4", "f8", "i2", "i4", "i8", "u2", "u4", "u8"])
def test_an_array_in_either_byte_order_gives_the_same_results(of_type):
    image = ops.parameter([1, 4], np.dtype(of_type))
    model = ov.Model([ops.convert(image, np.float32)], [image])
    config = {"INFERENCE_PRECISION_HINT": "f32"}
    queue = ov.AsyncInferQueue(ov.Core().compile_model(model, "CPU", config), 2)
    values = [[0, 1, 2, 258]]
    arrays = [(order, np.array(values, order + of_type)) for order in "<>=<>"]
    results = [(order, output.tolist()) for order, output in sample.infer_in_order(queue, arrays)]
    assert results == [(order, values) for order in "<>=<>"]
    assert all(array.tolist() == values for _, array in arrays), "the caller's own stay as they are"


@pytest.mark.parametrize("of_type", [np.uint32, np.int32, np.uint64, np.int64])
def test_values_beyond_an_integer_input_are_clamped(of_type):
    """To the largest f32 that the CPU converts: it does so by way of i32."""
    pixels = np.array([0, 1, 255], np.uint8).reshape(1, 1, 1, 3)
    largest, least = 2**31 - 128, max(np.iinfo(of_type).min, -(2**31))
    for scale, expected in {
        2**-20: [0, 2**20, 255 * 2**20],
        2**-24: [0, 2**24, largest],
        2**-31: [0, largest, largest],
        2**-40: [0, largest, largest],
        -(2**-24): [0, max(least, -(2**24)), least],
        -(2**-40): [0, least, least],
    }.items():
        image = ops.parameter([1, 1, 1, 3], of_type)
        model = ov.Model([ops.convert(image, np.float32)], [image])
        model = sample.build_preprocessing(model, "NHWC", scale=scale)
        compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        [output] = compiled(pixels).values()
        assert output.ravel().tolist() == expected


# What the sample asks of a device


@pytest.mark.parametrize(
    "options, expected",
    [
        (["-b", "10"], "LATENCY"),
        (["-b", "10", "-nireq", "4"], "LATENCY"),
        (["-b", "1", "-nireq", "1"], "LATENCY"),
        (["-b", "1"], "THROUGHPUT"),
        (["-b", "1", "-nireq", "2"], "THROUGHPUT"),
        (["-b", "10", "-ni", "2"], "THROUGHPUT"),
        (["-b", "10", "-ni", "2", "-nireq", "1"], "LATENCY"),
    ],
)
def test_the_hint_says_whether_requests_overlap(monkeypatch, options, expected):
    """Of ten images: a model compiled for LATENCY has one stream, where nothing overlaps."""
    hints = []

    class RecordingCore(ov.Core):
        def compile_model(self, *args):
            compiled_model = super().compile_model(*args)
            hints.append(compiled_model.get_property("PERFORMANCE_HINT"))
            return compiled_model

    monkeypatch.setattr(ov, "Core", RecordingCore)
    assert len(classify("-m", LENET, "-i", DIGITS, *options)) == 10
    assert hints == [expected]
