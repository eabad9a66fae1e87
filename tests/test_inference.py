"""`infer_in_order`, in the sample and alone.

What waits is bounded, a failure is reported, any end is a clean end.
"""

import re
import sys
import weakref

import cv2
import numpy as np
import openvino as ov
import pytest
from helpers import (
    DIGITS,
    FAILING_CALLBACK,
    LENET,
    NO_PROBABILITIES,
    PHOTOS,
    at_once,
    classify,
    paste,
    repeated_products,
    run_process,
    run_python,
    tables,
)
from openvino import opset13 as ops

import classification_sample_async as sample

REQUESTS_IN_FLIGHT = f"""
core = ov.Core()
model = core.read_model({str(LENET)!r})
model.reshape([64, 1, 28, 28])  # small to load, and yet long to infer
throughput = {{"PERFORMANCE_HINT": "THROUGHPUT"}}
queue = ov.AsyncInferQueue(core.compile_model(model, "CPU", throughput), 4)

def inputs(lost=None):
    for number in range(12):
        if number == lost:
            raise ConnectionError("lost")
        yield number, np.zeros((64, 1, 28, 28), np.float32)
"""


ENDS = {
    "exhausted": (
        "assert [key for key, _ in infer_in_order(queue, inputs())] == list(range(12))",
        0,
        "",
    ),
    "break": ("for key, output in infer_in_order(queue, inputs()):\n    break", 0, ""),
    "left": ("results = infer_in_order(queue, inputs())\nnext(results)", 0, ""),
    "exception": (
        "for key, output in infer_in_order(queue, inputs()):\n    raise KeyError(key)",
        1,
        "KeyError: 0",
    ),
    "exit": ("for key, output in infer_in_order(queue, inputs()):\n    sys.exit(7)", 7, ""),
    "source": (
        "for key, output in infer_in_order(queue, inputs(6)):\n    pass",
        1,
        "ConnectionError: lost",
    ),
    "queue-first": (
        """
def infer(compiled_model, count):
    queue = ov.AsyncInferQueue(compiled_model, 4)
    return [key for key, _ in islice(infer_in_order(queue, inputs()), count)]

compiled_model = core.compile_model(model, "CPU", {"PERFORMANCE_HINT": "THROUGHPUT"})
for count in (12, 1, 12):
    assert infer(compiled_model, count) == list(range(count))
""",
        0,
        "",
    ),
    "callback": (
        f"{FAILING_CALLBACK}\nfor result in infer_in_order(queue, inputs()):\n    pass",
        1,
        "MemoryError: no memory for the output",
    ),
    "callback-and-again": (
        f"""
get_output_tensor = ov._pyopenvino.InferRequest.get_output_tensor
{FAILING_CALLBACK}
try:
    list(infer_in_order(queue, inputs()))
except MemoryError:
    ov._pyopenvino.InferRequest.get_output_tensor = get_output_tensor
assert [key for key, _ in infer_in_order(queue, inputs())] == list(range(12))
""",
        0,
        "",
    ),
    "failed-inference": (  # after twenty that succeed
        """
queue = ov.AsyncInferQueue(core.compile_model(sys.argv[1], "CPU"), 4)
images = [np.full((1, 3, 8, 8), 3 if number < 20 else 200, np.float32) for number in range(40)]
for key, output in infer_in_order(queue, enumerate(images)):
    assert key < 20
""",
        1,
        "RuntimeError: ",
    ),
}
# What is wrong with these shows by luck: OpenVINO's threads may let go of the callback in time. The
# others went wrong in each run in which `infer_in_order` left requests running.
TIMING_DECIDES = {
    "exhausted",
    "break",
    "left",
    "queue-first",
    "callback-and-again",
    "failed-inference",
}


@pytest.fixture(scope="module")
def done_ends(tmp_path_factory, failing_model):
    """{end: its runs}. All of them in one queue: a run alone would leave a core idle."""
    folder = tmp_path_factory.mktemp("ends")
    paths = {
        end: paste(folder / f"{end}.py", ["infer_in_order"], REQUESTS_IN_FLIGHT + program)
        for end, (program, _, _) in ENDS.items()
    }
    ends = [end for end in ENDS for _ in range(2 if end in TIMING_DECIDES else 1)]
    env = {
        "OPENBLAS_NUM_THREADS": "1"
    }  # as the script has it: its other threads only take time to start
    runs = at_once(lambda end: run_python(paths[end], failing_model, timeout=20, env=env), ends)
    return {end: [done for name, done in zip(ends, runs) if name == end] for end in ENDS}


@pytest.mark.parametrize("end", ENDS)
def test_any_end_is_a_clean_end(done_ends, end):
    _, status, error = ENDS[end]
    assert done_ends[end]
    for done in done_ends[end]:
        assert (done.returncode, done.stdout) == (status, ""), done.stderr
        if error:
            assert [line for line in done.stderr.splitlines() if line.startswith(error)], (
                done.stderr
            )
        else:
            assert done.stderr == ""


class RecordingQueue(ov.AsyncInferQueue):
    """Keeps a weak reference to the first callback that it is given."""

    callback = None

    def set_callback(self, callback):
        self.callback = self.callback or weakref.ref(callback)
        super().set_callback(callback)


@pytest.fixture(scope="module")
def compiled_lenet():
    return ov.Core().compile_model(LENET, "CPU", {"PERFORMANCE_HINT": "THROUGHPUT"})


@pytest.fixture
def patient_threads():
    """A thread that waits for the interpreter does not ask for it before a minute is over."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(60)
    yield
    sys.setswitchinterval(usual)


def digits(lost=None):
    for number in range(20):
        if number == lost:
            raise ConnectionError
        yield number, np.zeros((1, 1, 28, 28), np.float32)


@pytest.mark.parametrize(
    "end, times", [("exhausted", 100), ("closed", 400), ("source", 200), ("callback", 2)]
)
def test_at_the_end_nothing_holds_the_callback(
    compiled_lenet, monkeypatch, patient_threads, end, times
):
    """OpenVINO's threads have let go of it, though each needs the interpreter of this one first."""

    def no_memory(request):
        raise MemoryError

    if end == "callback":
        monkeypatch.setattr(ov._pyopenvino.InferRequest, "get_output_tensor", no_memory)
    for _ in range(times):
        queue = RecordingQueue(compiled_lenet, 4)
        results = sample.infer_in_order(queue, digits(10 if end == "source" else None))
        try:
            for _ in results:
                assert queue.callback()
                if end == "closed":
                    break
            results.close()
        except (ConnectionError, MemoryError) as error:
            raised = type(error)
            assert queue.callback() is None, "while the error is dealt with"
        else:
            raised = None
        assert raised == {"source": ConnectionError, "callback": MemoryError}.get(end)
        assert queue.callback() is None


def test_results_that_wait_for_a_slow_one_are_bounded():
    """A model that multiplies matrices as often as its input says: 3000 times, then once each."""
    image, products = repeated_products()
    model = ov.Model([products], [image])
    queue = ov.AsyncInferQueue(ov.Core().compile_model(model, "CPU", {"NUM_STREAMS": "2"}), 4)
    taken = []

    def inputs():
        for number in range(1000):
            taken.append(number)
            yield number, np.full((1, 1), 1 if number else 3000, np.float32)

    results = sample.infer_in_order(queue, inputs())
    assert next(results)[0] == 0
    assert 4 < len(taken) <= 4 * 8 + 1
    assert [number for number, _ in results] == list(range(1, 1000))


@pytest.fixture(scope="module")
def compiled_means():
    """One stream: the memory of what waits for it is overwritten before, if nobody holds it."""
    image = ops.parameter([1, 3, 64, 64], np.float32)
    model = ov.Model([ops.reduce_mean(image, np.array([2, 3]))], [image])
    return ov.Core().compile_model(
        model, "CPU", {"NUM_STREAMS": "1", "INFERENCE_PRECISION_HINT": "f32"}
    )


def tensors_that_share(numbers):
    for number in numbers:
        yield number, ov.Tensor(np.full((1, 3, 64, 64), number, np.float32), shared_memory=True)


def tensors_of_their_own(numbers):
    for number in numbers:
        tensor = ov.Tensor(ov.Type.f32, ov.Shape([1, 3, 64, 64]))
        tensor.data[:] = number
        yield number, tensor


def new_arrays(numbers):
    for number in numbers:
        yield number, np.full((1, 3, 64, 64), number, np.float32)


def one_array_refilled(numbers):
    array = np.empty((1, 3, 64, 64), np.float32)
    for number in numbers:
        array[:] = number
        yield number, array


@pytest.mark.parametrize("requests", [1, 2, 8])
@pytest.mark.parametrize(
    "inputs", [tensors_that_share, tensors_of_their_own, new_arrays, one_array_refilled]
)
def test_results_are_those_of_the_inputs_that_nobody_else_holds(compiled_means, inputs, requests):
    """The mean of each is its number. An array may be refilled: it is copied."""
    queue = ov.AsyncInferQueue(compiled_means, requests)
    results = [
        (key, output.tolist()) for key, output in sample.infer_in_order(queue, inputs(range(300)))
    ]
    assert results == [(number, [[number] * 3]) for number in range(300)]


TWO_CALLS = """
image = ops.parameter([1, 3, 64, 64], np.float32)
model = ov.Model([ops.reduce_mean(image, np.array([2, 3]))], [image])
compiled_model = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

def call(queue, start, count):
    numbers = range(start, start + count)
    arrays = (np.full((1, 3, 64, 64), number, np.float32) for number in numbers)
    return infer_in_order(queue, zip(numbers, arrays))

def check(results, start, count):
    found = [(number, output.tolist()) for number, output in results]
    assert found == [(number, [[number] * 3]) for number in range(start, start + count)], found

def refused(queue):
    try:
        next(call(queue, 0, 50))
    except RuntimeError as error:
        assert str(error).startswith("the queue is in use: "), error
    else:
        raise AssertionError("a second call has begun")

def refused_in_a_thread(queue):
    with ThreadPoolExecutor(1) as pool:
        pool.submit(refused, queue).result()

for use in (refused, refused_in_a_thread):
    for count in (20, 200):  # no more inputs than may wait, eight for each request, and more
        queue = ov.AsyncInferQueue(compiled_model, 4)
        first = call(queue, 1000, count)
        assert next(first)[0] == 1000
        use(queue)
        check(first, 1001, count - 1)
        check(call(queue, 0, 50), 0, 50)
        left = call(queue, 1000, count)
        next(left)
        left = call(queue, 2000, count)  # in place of the one before, which ends
        check(left, 2000, count)
"""


def test_of_two_calls_on_one_queue_the_second_is_refused_and_the_first_goes_on(tmp_path):
    """It gets the queue when the first is exhausted, closed or deleted."""
    done = run_python(paste(tmp_path / "program.py", ["infer_in_order"], TWO_CALLS), timeout=20)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_callback_that_somebody_else_has_set_ends_the_call(compiled_means):
    queue = ov.AsyncInferQueue(compiled_means, 2)

    def inputs():
        for number in range(5):
            if number == 3:
                queue.wait_all()
                queue.set_callback(lambda request, future: None)
            yield number, np.zeros(compiled_means.input(0).shape, np.float32)

    with pytest.raises(RuntimeError, match="replaced the callback"):
        list(sample.infer_in_order(queue, inputs()))


@pytest.mark.parametrize(
    "wrong", [None, np.zeros((2, 2), np.float32), "image"], ids=["None", "shape", "text"]
)
def test_what_is_no_input_is_an_error_and_not_the_result_before(compiled_means, wrong):
    """The queue itself takes None for the request's last input."""
    queue = ov.AsyncInferQueue(compiled_means, 2)
    good = np.zeros(compiled_means.input(0).shape, np.float32)
    with pytest.raises((RuntimeError, TypeError)):
        list(sample.infer_in_order(queue, [(0, good), (1, wrong)]))
    assert [key for key, _ in sample.infer_in_order(queue, [(0, good), (1, good)])] == [0, 1]


def test_arrays_among_tensors_stay_out_of_them():
    """The queue copies an array into its request's last tensor, even into one of the caller's."""
    image = ops.parameter([1, 1], np.float32)
    compiled = ov.Core().compile_model(
        ov.Model([ops.multiply(image, np.float32(2))], [image]), "CPU"
    )
    owned = np.ones((1, 1), np.float32)
    tensor = ov.Tensor(owned, shared_memory=True)
    inputs = [(0, tensor), (1, np.full((1, 1), 50, np.float32)), (2, tensor)]
    for _ in range(2):
        results = sample.infer_in_order(ov.AsyncInferQueue(compiled, 1), inputs)
        assert [output.item() for _, output in results] == [2, 100, 2]
        assert owned.item() == 1


def test_failure_inside_inference(failing_model, tmp_path):
    dark = tmp_path / "dark.png"
    cv2.imwrite(str(dark), np.full((8, 8, 3), 3, np.uint8))
    classify("-m", failing_model, "-i", dark, stderr=NO_PROBABILITIES)
    for images in ([PHOTOS[0]], [dark] * 20 + [PHOTOS[0]] * 20):
        done = run_process("-m", failing_model, "-i", *images, "-b", "1", "-nireq", "4", timeout=20)
        assert done.returncode == 1
        assert re.search(r"^\[ ERROR \] Inference failed: .+$", done.stderr, flags=re.M)
        assert done.stderr.count("[ ERROR ]") == 1 and "Traceback" not in done.stderr


def test_failure_inside_the_callback():
    """In the sample; what it does to the process of a program shows among `ENDS`."""
    program = f"""
import sys, openvino as ov, classification_sample_async as sample
{FAILING_CALLBACK}
sys.exit(sample.main(sys.argv[1:]))
"""

    def failed(options):
        done = run_python("-c", program, "-m", LENET, "-i", DIGITS, *options, timeout=20)
        return done.returncode, tables(done.stdout), done.stderr

    options = [(), ("-b", "1", "-nireq", "3", "-ni", "5")]
    assert (
        at_once(failed, options)
        == [(1, [], "[ ERROR ] Inference failed: no memory for the output\n")] * 2
    )
