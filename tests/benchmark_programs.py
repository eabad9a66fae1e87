"""What benchmark.py runs in a process of its own: parts of the sample, and the sample changed.

    python tests/benchmark_programs.py decode FOLDER
    python tests/benchmark_programs.py infer MODEL COUNT
    python tests/benchmark_programs.py cores COUNT -m MODEL -i ...
    python tests/benchmark_programs.py buffer again|fresh -m MODEL -i ...

A file of its own, with no imports but the sample's: whole runs of `cores` and `buffer` are
measured, start-up included.
"""

import os
import sys
import time

# As the sample does where it is the program: what it imports reads them
sys.modules["openvino.tools.ovc"] = None
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import cv2
import numpy as np
import openvino as ov

import classification_sample_async as sample


def decode(folder):
    """Prints the CPU seconds that the sample's reading and resizing take alone, in one thread."""
    images = [image for path in sample.list_folder(folder) for image in sample.list_images(path)]
    reader = sample.ImageReader(crop_ratio=None, antialias=False)
    row = np.empty((224, 224, 3), np.uint8)
    start = time.process_time()
    for image in images:
        reader.read(image, row)
    seconds = time.process_time() - start
    if any(image.error for image in images):  # kept, not raised, and faster than decoding
        raise SystemExit("not all images could be read")
    print(seconds)


def infer(model_path, count):
    """Prints the CPU seconds of inference alone, with the sample's model, batch and hint."""
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
    """The sample where it finds `count` cores, and decoding an image takes 20 ms of each."""

    def decode_for_20_ms(path, *_):
        time.sleep(0.02)
        return np.full((64, 64), 99, np.uint8)

    os.sched_getaffinity = lambda process: range(int(count))
    cv2.imread = decode_for_20_ms
    sys.exit(sample.main(arguments))


def buffer(memory, *arguments):
    """The sample as it is ("again"), or with "fresh" memory for the pixels of each photo."""
    if memory == "fresh":
        sample.decode_into = lambda *_: None
    sys.exit(sample.main(arguments))


if __name__ == "__main__":
    programs = {"decode": decode, "infer": infer, "cores": cores, "buffer": buffer}
    programs[sys.argv[1]](*sys.argv[2:])
