"""Mixes what a program can do to `infer_in_order`, for a minute or as many seconds as it is told.

    python tests/soak.py [SECONDS [ACTION ...]]

Wrong inputs, Ctrl-C at any moment, results that are closed early or lost in a reference cycle,
callbacks in which the garbage collector runs, new queues and models. After each action the queue
must give right results. Prints how often each happened; exits with 0, or with 1 after an error, and
after the traceback of each thread if nothing advances for 20 seconds. The actions are the methods
of `Soak` that are in ACTIONS; by default it takes all, at random.
"""

import faulthandler
import gc
import random
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
import openvino as ov
from openvino import opset13 as ops

import classification_sample_async as sample

SHAPE = (1, 3, 32, 32)
WRONG = [
    np.zeros((2, 2), np.float32),
    np.zeros(SHAPE),
    np.zeros(SHAPE, np.uint8),
    ov.Tensor(np.zeros(SHAPE, np.uint8)),
    ov.Tensor(np.zeros((1, 3, 32, 31), np.float32)),
    None,
    "image",
    [1.0, 2.0],
]
HANG = 20  # seconds
keep_output = sample.keep_output
collect_in = set()  # the callbacks in which to collect: "own" and "other"


def compile_means(streams):
    image = ops.parameter(list(SHAPE), np.float32)
    model = ov.Model([ops.reduce_mean(image, np.array([2, 3]))], [image])
    config = {"NUM_STREAMS": str(streams), "INFERENCE_PRECISION_HINT": "f32"}
    return ov.Core().compile_model(model, "CPU", config)


def keep_and_perhaps_collect(request, userdata):
    keep_output(request, userdata)
    if "own" in collect_in and random.random() < 0.3:
        gc.collect()


def collect_for_another(request, userdata):
    if "other" in collect_in and random.random() < 0.3:
        gc.collect()


def frames(start, count):
    for number in range(start, start + count):
        array = np.full(SHAPE, number, np.float32)
        yield number, ov.Tensor(array, shared_memory=True) if number % 2 else array


class Camera:
    """Keeps the results, which refer to it: a reference cycle."""

    def __init__(self, queue, count):
        self.results = sample.infer_in_order(queue, self.frames(count))
        next(self.results)

    def frames(self, count):
        yield from frames(0, count)


class Soak:
    def __init__(self):
        self.counts = Counter()
        self.seconds_to_the_second = 0
        self.last_action, self.interrupted = "", []
        self.make_model()

    def make_model(self):
        self.compiled_model = compile_means(random.choice([1, 1, 2]))
        self.make_queues()

    def make_queues(self):
        self.queue = ov.AsyncInferQueue(self.compiled_model, random.choice([1, 2, 4, 8]))
        self.other = ov.AsyncInferQueue(self.compiled_model, 2)
        self.other.set_callback(collect_for_another)

    def check(self, results, start, count):
        found = [(number, output.tolist()) for number, output in results]
        expected = [(number, [[number] * 3]) for number in range(start, start + count)]
        assert found == expected, f"wrong results: {found}"
        self.counts["right results"] += len(found)

    def infer(self):
        start, count = random.randrange(1000), random.randrange(40)
        self.check(sample.infer_in_order(self.queue, frames(start, count)), start, count)

    def wrong(self):
        before = random.randrange(4)
        results = sample.infer_in_order(
            self.queue, [*frames(0, before), (before, random.choice(WRONG))]
        )
        try:
            list(results)
        except TypeError:
            return
        raise AssertionError("a wrong input was taken")

    def close_early(self):
        results = sample.infer_in_order(self.queue, frames(0, 40))
        for _ in range(random.randrange(1, 10)):
            next(results)
        if random.random() < 0.5:
            results.close()

    def lose_in_its_own_callback(self):
        self.lose("own")

    def lose_in_the_callback_of_another_queue(self):
        self.lose("other")

    def lose(self, callback):
        """The collector runs in the callback only."""
        gc.disable()
        camera = Camera(self.queue, 40)
        collect_in.add(callback)
        for _ in range(2):
            self.other.start_async(np.zeros(SHAPE, np.float32))
        del camera
        self.queue.wait_all()
        self.other.wait_all()
        collect_in.clear()
        gc.enable()
        gc.collect()

    def lose_to_the_default_collector(self):
        """As soon as it counts one object too many, on whatever thread."""
        thresholds = gc.get_threshold()
        gc.disable()
        camera = Camera(self.queue, 40)
        gc.set_threshold(random.randrange(1, 60), 1, 1)
        gc.enable()
        del camera
        self.queue.wait_all()
        gc.set_threshold(*thresholds)
        gc.collect()

    def on_signal(self, number, stack):
        signal.setitimer(signal.ITIMER_REAL, self.seconds_to_the_second)
        self.seconds_to_the_second = 0
        raise KeyboardInterrupt

    def interrupt(self):
        """By a signal of a timer's, and in half of the cases by a second one."""
        self.seconds_to_the_second = random.choice([0, random.uniform(1e-5, 1e-3)])
        try:
            try:
                signal.signal(signal.SIGALRM, self.on_signal)
                signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, 2e-3))
                for _ in sample.infer_in_order(self.queue, frames(0, 40)):
                    pass
            finally:
                signal.signal(signal.SIGALRM, signal.SIG_IGN)
        except KeyboardInterrupt as error:
            signal.signal(signal.SIGALRM, signal.SIG_IGN)  # of two, the second may come before
            self.interrupted = traceback.format_exception(error)
            self.counts["KeyboardInterrupt"] += 1

    def settle(self):
        """Waits for what still runs, as a call would say "busy", and for the script's threads."""
        for request in self.queue:
            request.wait()
        for thread in threading.enumerate():
            if thread.name.startswith("Thread-"):
                thread.join()

    def step(self, action):
        self.last_action, self.interrupted = action, []
        getattr(self, action)()
        self.counts[action] += 1
        self.settle()
        try:
            self.infer()
        except RuntimeError as error:
            # A signal has come as the clean-up began: the message says to make a second queue
            if not self.interrupted or "make a second queue" not in str(error):
                raise
            self.counts["queue left in use by a signal"] += 1
            self.queue = ov.AsyncInferQueue(self.compiled_model, len(self.queue))
            self.infer()


ACTIONS = [
    "infer",
    "wrong",
    "close_early",
    "lose_in_its_own_callback",
    "lose_in_the_callback_of_another_queue",
    "lose_to_the_default_collector",
    "interrupt",
]


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60
    actions = sys.argv[2:] or ACTIONS
    sys.unraisablehook = lambda unraisable: None  # an interrupt while a generator is closed
    sample.keep_output = keep_and_perhaps_collect
    soak = Soak()
    gc.collect()
    gc.freeze()  # so that each collection is quick, and a full one
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            faulthandler.dump_traceback_later(HANG, exit=True)
            soak.step(random.choice(actions))
            if random.random() < 0.05:
                soak.make_queues()
                soak.counts["new queues"] += 1
            if random.random() < 0.005:
                soak.make_model()
                soak.counts["new models"] += 1
    except BaseException:
        print(f"after {soak.last_action}:", *soak.interrupted, sep="\n", file=sys.stderr)
        raise
    finally:
        for name, count in sorted(soak.counts.items()):
            print(f"{count:9} {name}", flush=True)


if __name__ == "__main__":
    main()
