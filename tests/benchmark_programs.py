"""What benchmark.py runs in a process of its own: parts of the sample's work alone, and the sample on more cores.

    python tests/benchmark_programs.py decode FOLDER
    python tests/benchmark_programs.py infer MODEL COUNT
    python tests/benchmark_programs.py cores COUNT -m MODEL -i ...

A file of its own, with no imports but the sample's: whole runs of `cores` are measured, start-up included.
"""

import os
import sys
import time

import cv2
import numpy as np

import classification_sample_async as sample

ov = sample.ov  # which the sample has to import first: it switches OpenVINO's telemetry off before


def decode(folder):
    """Prints the CPU seconds that decoding and resizing take alone, in one thread, with the sample's own function."""
    images = [image for path in sample.list_folder(folder) for image in sample.list_images(path)]
    row = np.empty((224, 224, 3), np.uint8)
    start = time.process_time()
    for image in images:
        sample.read_image(None, False, image, row)
    seconds = time.process_time() - start
    if any(
        image.error for image in images
    ):  # it is kept, not raised, and takes less time than decoding
        raise SystemExit("not all images could be read")
    print(seconds)


def infer(model_path, count):
    """Prints the CPU seconds that inference of as many images takes alone, with the sample's model, batch and hint."""
    core = ov.Core()
    model = sample.build_preprocessing(core.read_model(model_path), "NCHW")
    batch_size = sample.apply_batch_size(model, sample.DEFAULT_BATCH_LIMIT)
    queue = ov.AsyncInferQueue(core.compile_model(model, "CPU", {"PERFORMANCE_HINT": "THROUGHPUT"}))
    tensor = ov.Tensor(ov.Type.u8, model.input().shape)
    tensor.data[:] = 127
    start = time.process_time()
    for _ in range(int(count) // batch_size):
        queue.start_async(tensor)
    queue.wait_all()
    print(time.process_time() - start)


def cores(count, *arguments):
    """The sample where it finds as many cores as it is told, and decoding an image takes 20 ms of each."""

    def decode_for_20_ms(path, *_):
        time.sleep(0.02)
        return np.full((64, 64), 99, np.uint8)

    os.sched_getaffinity = lambda process: range(int(count))
    cv2.imread = decode_for_20_ms
    sys.exit(sample.main(arguments))


if __name__ == "__main__":
    {"decode": decode, "infer": infer, "cores": cores}[sys.argv[1]](*sys.argv[2:])
