#!/usr/bin/env python3
"""Classifies images with OpenVINO's asynchronous API and prints the most probable classes of each.

    python classification_sample_async.py -m data/efficientnet-lite0.xml -i data/images

The asynchronous API in a few lines:

    def keep_output(request, userdata):                # called when a request is done
        outputs, _ = userdata
        outputs.append(request.get_output_tensor().data.copy())

    queue = ov.AsyncInferQueue(compiled_model)         # a pool of infer requests
    queue.set_callback(keep_output)
    started = []
    for tensor in tensors:
        outputs = []
        queue.start_async(tensor, (outputs, tensor))   # waits only while no request is idle
        started.append(outputs)
    queue.wait_all()
    print(started)                                     # in the order of `tensors`

`infer_in_order` is that, with its inputs checked, and each result yielded once all earlier ones
are available. `classify_images`, below the imports, is the whole sample in eight steps. The pieces
to copy follow: first `infer_in_order`, the rest in the order of the steps. All after them is for
the command line: options, images, checks of the model, labels, and what is printed.
"""

import argparse
import ctypes
import math
import os
import re
import shlex
import signal
import sys
import tempfile
import threading
import time
import traceback
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import Any


def prepare_process() -> None:
    """Prepares this process for the sample; a program that copies from it needs none of this."""
    # OpenVINO's model converter takes longer to import than the rest of it, and reports its use to
    # Google Analytics. None makes its import fail, and `import openvino` goes on without it
    sys.modules["openvino.tools.ovc"] = None  # type: ignore[assignment]
    # Otherwise numpy starts a thread for each core, and a short run takes a fifth more CPU time
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # OpenCV's own warnings do not name the file
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    # Ctrl-C ends the process at once, even inside OpenVINO, unless the parent ignores Ctrl-C
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    prepare_process()

import cv2
import numpy as np
import openvino as ov
from openvino import opset13 as ops
from openvino.preprocess import PrePostProcessor
from openvino.properties import cache_dir, enable_profiling, hint


def classify_images(args: argparse.Namespace) -> int:
    """Runs the sample; returns its exit status: 1 if an image could not be read, else 0."""
    log_detail = log if args.verbose else log_nothing
    log_detail(*VERSION_LINES, "", "Parsing input parameters")
    files = list_files(args)
    log_detail(f"Files were added: {len(files)}", *(f"    {file}" for file in files))
    images = [image for file in files for image in list_images(file)]

    # Step 1. Create the core (ov.Core), which finds the devices
    log("Creating OpenVINO Runtime Core")
    core = ov.Core()
    add_plugins_and_extensions(core, args)

    # Step 2. Read the model (read_model)
    with on_error(f"Cannot read the model {args.model}"):
        model_path = find_model_file(args.model)
        log(f"Reading the model: {model_path}")
        model = core.read_model(model_path)
    log_detail(*describe(model), "Read input images")

    with on_error(f"Cannot use the model {model_path}"):
        # Step 3. Add the preprocessing to the model (PrePostProcessor), for the device to run
        settings = read_settings(args, model)  # sets the image size of a model that resizes
        check_model(model)
        keep_16_bit_clamps(model)  # OpenVINO 2026.4 loses them
        output_type = model.output().element_type.get_type_name()  # before it becomes f32
        model = build_preprocessing(
            model,
            find_layout(model),
            reverse_channels=settings.reverse_channels,
            clamp=settings.clamp,
            mean=settings.mean,
            scale=settings.scale,
            softmax=args.softmax,
            sigmoid=settings.sigmoid,
        )

        # Step 4. Set the batch size (ov.set_batch) by the image count. Up to 8 images are one
        # batch: give -b 1 to see several requests at work
        wanted_size = args.batch_size or default_batch_size(len(images))
        batch_size = apply_batch_size(model, wanted_size)
        class_count = count_classes(model, batch_size, output_type, args.softmax)
    warn_of_batch(model, wanted_size, batch_size)
    log_detail(f"Set batch size {batch_size}", *describe(model))
    labels = read_labels(args.labels, settings.labels, model_path, class_count)

    # Step 5. Start to read the images into tensors (ov.Tensor): threads go on during step 6
    reader = ImageReader(settings.crop_ratio, args.antialias)
    with on_error(f"Cannot read images in batches of {batch_size}"):
        batches = read_ahead(images, model.input().shape, reader.read)

    # Step 6. Compile the model (compile_model) and create infer requests (ov.AsyncInferQueue)
    log("Loading the model to the plugin")
    log_detail(f"Loading model to the device {args.device}")
    iterations = args.number_iter or 1
    run_count = math.ceil(len(images) / batch_size) * iterations
    request_count = min(args.number_infer_requests, run_count)  # 0: the device chooses
    mode = hint.PerformanceMode.THROUGHPUT
    if run_count == 1 or request_count == 1:
        mode = hint.PerformanceMode.LATENCY  # one request at a time
    config = {hint.performance_mode: mode, **optional_properties(args)}
    with on_device_error(core, args.device):
        compiled_model = core.compile_model(model, args.device, config)
        queue = ov.AsyncInferQueue(compiled_model, request_count)
    log_detail("Create infer request")

    # Step 7. Infer asynchronously (set_callback, start_async, wait_all: see infer_in_order, below),
    # and print the tables of one batch while others are inferred
    log("Starting inference in asynchronous mode")
    start = time.perf_counter()
    done_count = 0
    is_warned = False
    with on_error("Inference failed"):
        results = infer_in_order(queue, repeat_batches(batches, iterations))
        for run_number, ((batch, iteration), output) in enumerate(results, start=1):
            log_detail(f"Completed {run_number} async request execution")
            if iteration == 0:
                outputs = output.reshape(batch_size, class_count)[: len(batch)]  # without padding
                if not is_warned:
                    is_warned = warn_unless_probabilities(
                        batch, outputs, output_type, settings.is_multiclass
                    )
                log_tables(batch, outputs, args.number_top, labels)
                done_count += len(batch)
                log_progress(done_count, len(images))
    seconds = time.perf_counter() - start  # of inference, waiting for images, and printing

    # Step 8. Report (profiling_info)
    log_detail("Completed async requests execution")
    if args.perf_counts:
        log_perf_counts(queue[0].profiling_info)
    unread_count = sum(1 for image in images if image.error)
    if args.number_iter:
        frame_count = (len(images) - unread_count) * iterations
        log(f"Throughput: {frame_count / seconds:.2f} FPS")
    log(CLOSING_LINE)
    return 1 if unread_count else 0


# Pieces to copy. Each needs the imports and nothing else of this file, except that
#   infer_in_order needs keep_output and callback_on,
#   build_preprocessing needs check_element_types and add_integer_arithmetic,
#   decode needs decode_into, resize needs resize_rows and filter_weights


def infer_in_order(
    queue: ov.AsyncInferQueue, inputs: Iterable[tuple]
) -> Iterator[tuple[Any, np.ndarray]]:
    """Infers the tensor of each (key, tensor) in `inputs`; yields (key, output) in the same order.

    `queue` is of a model with one input and one output. An array is copied. An ov.Tensor is used in
    place: do not refill it before the result of this tensor is there. A finished result is yielded
    once the next input has been started.
    Raises what `inputs` raises, TypeError if an input does not fit the model, RuntimeError if
    inference fails: make a new queue then. Types that numpy lacks, such as bf16, are raw bits.
    https://docs.openvino.ai/2026/api/ie_python_api/_autosummary/openvino.AsyncInferQueue.html
    """
    port = queue[0].model_inputs[0]
    started: deque[tuple[Any, list]] = deque()

    def finished() -> Iterator[tuple[Any, np.ndarray]]:
        while started and started[0][1]:  # the first request has added its output
            key, outputs = started.popleft()
            if isinstance(outputs[0], Exception):
                raise outputs[0]
            yield key, outputs[0]

    with callback_on(queue, keep_output):
        for key, data in inputs:
            if isinstance(data, ov.Tensor):
                tensor = data
            else:  # converts the byte order, which ov.Tensor ignores, and raises if types differ
                dtype = port.element_type.to_dtype()
                tensor = ov.Tensor(np.asarray(data).astype(dtype, casting="equiv"))
            is_of_type = tensor.element_type == port.element_type
            is_of_shape = port.partial_shape.compatible(ov.PartialShape(tensor.shape))
            if not is_of_type or not is_of_shape:
                # start_async would raise too, but the queue would lose a request
                raise TypeError(f"{tensor} does not fit the input {port}")

            outputs: list = []
            queue.start_async(tensor, userdata=(outputs, tensor))  # waits while no request is idle
            started.append((key, outputs))
            if len(started) > 8 * len(queue):  # behind a slow request results pile up in memory
                queue.wait_all()
            yield from finished()
        queue.wait_all()  # raises if an inference failed: its callback is not called
        yield from finished()
    if started:
        raise RuntimeError("somebody has replaced the callback of the queue")


def keep_output(request: ov.InferRequest, userdata: tuple[list, ov.Tensor]) -> None:
    """The callback: OpenVINO calls it on a thread of its own when `request` is done."""
    outputs, _ = userdata  # the tensor is there to stay alive while the request reads it
    try:
        outputs.append(request.get_output_tensor().data.copy())  # the next run overwrites it
    except Exception as error:
        # An exception that leaves a callback ends the process at a later call on the queue, so
        # infer_in_order raises it instead: without its traceback, which keeps the callback alive
        outputs.append(error.with_traceback(None))


def build_preprocessing(
    model: ov.Model,
    layout: str,
    reverse_channels: bool = False,
    mean: float | Sequence[float] | np.ndarray | None = None,
    scale: float | Sequence[float] | np.ndarray | None = None,
    softmax: bool = False,
    sigmoid: bool = False,
    clamp: tuple[float, float] | None = None,
) -> ov.Model:
    """Adds preprocessing to `model`, so that it takes images as OpenCV decodes them: u8 [N,H,W,C].

    `model` has one input, an image in `layout`: "NCHW", "NHWC" or as ov.Layout writes it, such as
    "[N,C,H,W]". It is modified: use the one that is returned, whose output is f32. The device runs,
    in this order:

    - `reverse_channels` turns BGR into RGB;
    - `clamp` limits the pixels to (lowest, highest);
    - `mean` is subtracted and the result divided by `scale`, for pixels in 0..255: one number for
      each channel of the model, or one for all;
    - the model;
    - `softmax` turns logits of any shape into probabilities [N,classes], `sigmoid` each logit into
      a probability of its own.

    Raises ValueError or RuntimeError if preprocessing cannot be added.
    https://docs.openvino.ai/2026/api/ie_python_api/_autosummary/openvino.preprocess.PrePostProcessor.html
    """
    check_element_types(model, softmax)
    ppp = PrePostProcessor(model)
    ppp.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    ppp.input().model().set_layout(ov.Layout(layout))  # the two layouts imply a conversion

    steps = ppp.input().preprocess()
    if reverse_channels:
        # pixels[:, :, :, -1:-5:-1], from the last channel to the first. OpenVINO 2026 loses
        # steps.reverse_channels() in some graphs
        steps.custom(lambda pixels: ops.slice(pixels, [-1], [-5], [-1], axes=[3]).output(0))
    steps.convert_element_type(ov.Type.f32)
    if clamp is not None:
        steps.custom(lambda pixels: ops.clamp(pixels, *clamp).output(0))
    if mean is not None:
        steps.mean(np.ravel(mean).tolist())
    if scale is not None:
        steps.scale(np.ravel(scale).tolist())

    output_steps = ppp.output().postprocess()
    output_steps.convert_element_type(ov.Type.f32)
    has_mean_or_scale = mean is not None or scale is not None
    add_integer_arithmetic(model, ppp, has_mean_or_scale)
    if softmax:
        output_steps.custom(lambda x: ops.reshape(x, [0, -1], special_zero=True).output(0))
        output_steps.custom(lambda logits: ops.softmax(logits, axis=1).output(0))
    if sigmoid:
        output_steps.custom(lambda logits: ops.sigmoid(logits).output(0))
    return ppp.build()


def check_element_types(model: ov.Model, softmax: bool) -> None:
    """Raises ValueError for a `model` that can take no 8-bit images, or no softmax."""
    input_type, output_type = model.input().element_type, model.output().element_type
    type_in, type_out = input_type.get_type_name(), output_type.get_type_name()
    has_whole_bytes = type_in in ("i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64")
    if not (input_type.is_real() or has_whole_bytes) or type_out == "u1":
        raise ValueError(f"types {type_in} in and {type_out} out are not supported")
    shape = model.output().partial_shape
    is_one_value = all(size == 1 for size in list(shape)[1:])
    if softmax and (is_one_value or not output_type.is_real()):
        raise ValueError(f"softmax needs several classes in floating point, not {type_out} {shape}")


def add_integer_arithmetic(model: ov.Model, ppp: PrePostProcessor, has_mean_or_scale: bool) -> None:
    """Adds to the steps of `ppp` what an integer input or output needs, as TensorFlow Lite's have.

    The input is rounded and clamped to its type; i8 gets pixel - 128, unless it has a mean or scale
    of its own. An output q becomes the probability q / 256 if it is u8, (q + 128) / 256 if i8.
    https://ai.google.dev/edge/litert/models/quantization_spec
    """
    input_type, output_type = model.input().element_type, model.output().element_type
    if not input_type.is_real():
        limits = np.iinfo(input_type.to_dtype())
        lowest = max(limits.min, -(2**31))  # the CPU converts larger types by way of i32
        highest = min(limits.max, 2**31 - 128)  # the largest f32 that is an i32
        steps = ppp.input().preprocess()
        if input_type == ov.Type.i8 and not has_mean_or_scale:
            steps.mean(128.0)
        steps.custom(lambda x: ops.round(ops.clamp(x, lowest, highest)).output(0))
    if output_type in (ov.Type.u8, ov.Type.i8):
        zero_point = np.float32(np.iinfo(output_type.to_dtype()).min)
        output_steps = ppp.output().postprocess()
        output_steps.custom(lambda q: ops.subtract(q, zero_point).output(0))
        output_steps.custom(lambda q: ops.divide(q, np.float32(256)).output(0))


def apply_batch_size(model: ov.Model, batch_size: int) -> int:
    """Sets the batch size of `model` and returns the one that it accepted.

    Some graphs accept only their original batch size, hard-coded in a Reshape. Raises RuntimeError
    if the input has no layout with N, ValueError if the output's first dimension is not the batch.
    https://docs.openvino.ai/2026/openvino-workflow/running-inference/model-input-output/changing-input-shape.html
    """
    own_batch = ov.get_batch(model)
    probe = 99_991  # no other dimension has this size: where it is in the output, there is N
    with suppress(RuntimeError):  # the graph accepts its own batch only, and keeps it
        ov.set_batch(model, probe)
    axes = [axis for axis, size in enumerate(model.output().partial_shape) if size == probe]
    output_follows_batch = 0 in axes
    if not output_follows_batch:
        batch_size = own_batch.get_length() if own_batch.is_static else 1
    ov.set_batch(model, batch_size)

    shape = model.output().partial_shape
    begins_with_batch = shape.rank.get_length() > 0 and shape[0] == batch_size
    layout = ov.layout_helpers.get_layout(model.output())
    states_another_axis = layout.has_name("N") and layout.get_index_by_name("N") != 0
    follows_elsewhere = any(axis != 0 for axis in axes)
    if not begins_with_batch or follows_elsewhere or states_another_axis:
        raise ValueError(f"the first dimension of its output {shape} is not the batch")
    return batch_size


def decode(
    path: str, flags: int = cv2.IMREAD_COLOR, buffer: np.ndarray | None = None
) -> np.ndarray:
    """Reads an image file as `cv2.imread(path, flags)` does, and says why if it cannot.

    Returns u8 [H,W,3] in BGR order, or [H,W] for IMREAD_GRAYSCALE. `buffer`, from an earlier call,
    is overwritten and returned if the image has its size. A JPEG that ends early is returned as far
    as it goes. Raises OSError if the file cannot be opened, ValueError if it is not an image.
    https://docs.opencv.org/5.x/d4/da8/group__imgcodecs.html
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError("is not a regular file")
    pixels = None if buffer is None else decode_into(buffer, path, flags)
    if pixels is not None:
        return pixels
    file_name: Any = os.fsencode(path)  # OpenCV 5.0.0 crashes on a str that is not UTF-8
    try:
        pixels = cv2.imread(file_name, flags)
        if pixels is not None:
            return pixels
        # It fails on TIFFs that are turned and, on Windows, on names that are not ASCII
        content = np.fromfile(path, np.uint8, count=2**28)  # a file that is no image has any size
        pixels = cv2.imdecode(content, flags) if content.size else None
        if pixels is not None:
            return pixels
        stored = cv2.imdecode(content, cv2.IMREAD_UNCHANGED) if content.size else None
    except cv2.error as error:  # one of its limits; an environment variable sets it
        limit = error.err.replace(" CV_IO", " OPENCV_IO")
        raise ValueError(f"cannot be decoded as an image: {limit}") from error
    if stored is not None and stored.itemsize > 2:
        raise ValueError(f"holds pixels in {stored.dtype}: 8 and 16 bits are supported")
    raise ValueError("cannot be decoded as an image")


def decode_into(buffer: np.ndarray, path: str, flags: int) -> np.ndarray | None:
    """Decodes the image in `path` into `buffer`; returns None if it has another size, or fails.

    A run over photos takes 0.97 of the time that it takes with fresh memory for each
    (`tests/benchmark.py buffer`).
    """
    buffer.fill(0)  # so that no pixels of the previous image remain where the file ends early
    file_name: Any = os.fsencode(path)
    try:
        pixels = cv2.imread(file_name, buffer, flags)
    except cv2.error:  # the size differs
        return None
    # After some failures imread returns the buffer as it was
    is_decoded = pixels is not None and cv2.hasNonZero(pixels.reshape(-1))
    return pixels if is_decoded else None


def center_crop(pixels: np.ndarray, width: int, height: int, ratio: float | Fraction) -> np.ndarray:
    """Returns a view of the center of `pixels` [H,W,...], in the proportions `width`:`height`.

    It is the largest such part, scaled by `ratio`, which is above 0 and at most 1.
    """
    scale = ratio * min(pixels.shape[0] / height, pixels.shape[1] / width)
    crop_height = max(1, round(height * scale))
    crop_width = max(1, round(width * scale))
    top = (pixels.shape[0] - crop_height) // 2
    left = (pixels.shape[1] - crop_width) // 2
    return pixels[top : top + crop_height, left : left + crop_width]


def resize(
    pixels: np.ndarray,
    width: int,
    height: int,
    cubic: bool = False,
    box: tuple[float, float, float, float] | None = None,
) -> np.ndarray:
    """Resizes u8 `pixels` [H,W] or [H,W,3] as Pillow does, with its BILINEAR or BICUBIC filter.

    torchvision, timm, Hugging Face and Ultralytics resize with Pillow. 996 of 1000 values are
    Pillow 12's, the others differ by 1, rarely 2; cv2.resize, which skips pixels where an image
    shrinks, differs by 8 on average (32 photos of 1280x960 with grain, to 224x224).
    `box`, (left, top, right, bottom) in pixels and fractions of them, is the part to resize, as in
    Pillow: its edges still see the pixels outside it.
    https://pillow.readthedocs.io/en/stable/reference/Image.html#PIL.Image.Image.resize
    """
    left, top, right, bottom = box or (0, 0, pixels.shape[1], pixels.shape[0])
    reach = 2 * max(1, (right - left) / width, (bottom - top) / height) + 1  # of the filter
    x, y = max(0, int(left - reach)), max(0, int(top - reach))
    pixels = pixels[y : int(bottom + reach) + 1, x : int(right + reach) + 1]

    columns = resize_rows(cv2.transpose(pixels), width, left - x, right - x, cubic)
    return resize_rows(cv2.transpose(columns), height, top - y, bottom - y, cubic)


def resize_rows(
    pixels: np.ndarray, count: int, start: float, end: float, cubic: bool
) -> np.ndarray:
    """Makes `count` rows of those of `pixels` [H,W] or [H,W,C] between `start` and `end`."""
    rows = pixels.reshape(len(pixels), -1)
    weights = filter_weights(len(rows), count, start, end, cubic)
    resized = np.empty((count, rows.shape[1]), np.uint8)
    for first in range(0, count, 6):  # a few at once: the weights of many are mostly zeros
        used = np.flatnonzero(weights[first : first + 6].any(axis=0))
        part = slice(used[0], used[-1] + 1)
        sums = weights[first : first + 6, part] @ rows[part].astype(np.float32)
        resized[first : first + 6] = np.clip(sums + 0.5, 0, 255)
    return resized.reshape(count, *pixels.shape[1:])


def filter_weights(length: int, count: int, start: float, end: float, cubic: bool) -> np.ndarray:
    """Returns Pillow's weights f32 [count,length]: how much each row counts for each new one."""
    scale = (end - start) / count
    stretch = max(1, scale)  # where an image shrinks, the filter covers all its pixels
    reach = (2 if cubic else 1) * stretch
    centers = start + scale * (np.arange(count)[:, np.newaxis] + 0.5) - 0.5
    taps = min(length, int(2 * reach) + 2)
    near = np.clip(centers - reach, 0, length - taps).astype(int) + np.arange(taps)

    x = np.abs(near - centers) / stretch
    if cubic:  # Keys' filter with a = -0.5
        inner = (1.5 * x - 2.5) * x * x + 1
        outer = ((2.5 - 0.5 * x) * x - 4) * x + 2
        kernel = np.where(x < 1, inner, np.where(x < 2, outer, 0))
    else:
        kernel = np.maximum(0, 1 - x)
    weights = np.zeros((count, length), np.float32)
    np.put_along_axis(weights, near, kernel / kernel.sum(axis=1, keepdims=True), axis=1)
    return weights


def center_box(
    pixels: np.ndarray, width: int, height: int, ratio: float | Fraction
) -> tuple[float, float, float, float]:
    """Returns the `box` for `resize` that gives torchvision's Resize followed by its CenterCrop.

    Resize makes the shorter side of `pixels` [H,W,...] the model's over `ratio`, rounded down as
    timm does: 256 for 224 and 0.875, 232 for 224 and Fraction(224, 232). The box is what becomes
    the central `width` and `height`.
    https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.CenterCrop.html
    """
    old_height, old_width = pixels.shape[:2]
    if old_width * height >= old_height * width:
        new_height = math.floor(height / ratio)
        new_width = new_height * old_width // old_height
    else:
        new_width = math.floor(width / ratio)
        new_height = new_width * old_height // old_width
    left = round((new_width - width) / 2)
    top = round((new_height - height) / 2)
    x_scale, y_scale = old_width / new_width, old_height / new_height
    return left * x_scale, top * y_scale, (left + width) * x_scale, (top + height) * y_scale


def read_ahead(
    items: Iterable, shape: Sequence[int], read: Callable[[Any, np.ndarray], None]
) -> Iterator[tuple[list, ov.Tensor]]:
    """Starts to read `items` at once; returns an iterator of (batch, tensor).

    A batch is a list of shape[0] items, or fewer at the end; its tensor is u8 of `shape`. On a pool
    of threads, `read(item, row)` writes each item into its row; what it raises is raised here. Rows
    without an item are zero.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))  # those that this process may use
    else:
        cores = os.cpu_count() or 1
    pool = ThreadPoolExecutor(cores)

    def start_batches() -> Iterator[tuple[list, ov.Tensor, list[Future]]]:
        remaining = iter(items)
        while batch := list(islice(remaining, shape[0])):
            tensor = ov.Tensor(ov.Type.u8, ov.Shape(shape))
            tensor.data.fill(0)
            jobs = [pool.submit(read, item, row) for item, row in zip(batch, tensor.data)]
            yield batch, tensor, jobs

    starting = start_batches()  # each next() starts a batch
    # Read one batch ahead, plus an item for each core. When it was three batches on any machine,
    # 64 cores decoded at 0.29 of what they can (tests/benchmark.py cores)
    started = deque(islice(starting, 1 + math.ceil(cores / shape[0])))

    def finish_batches() -> Iterator[tuple[list, ov.Tensor]]:
        try:
            while started:
                batch, tensor, jobs = started.popleft()
                started.extend(islice(starting, 1))
                for job in jobs:
                    job.result()
                yield batch, tensor
        finally:
            pool.shutdown(cancel_futures=True)

    return finish_batches()


def top_class_ids(probabilities: np.ndarray, number_top: int) -> np.ndarray:
    """Returns the ids of the most probable classes, in order; ties by lower id, NaN last."""
    descending = -probabilities.astype(float)  # unsigned integers have no negative
    return np.argsort(descending, kind="stable")[:number_top]


@contextmanager
def callback_on(
    queue: ov.AsyncInferQueue, callback: Callable[[ov.InferRequest, Any], None]
) -> Iterator[None]:
    """Sets the callback of `queue`; at the end waits until OpenVINO has released it.

    Skip it on a first reading: it works around faults of OpenVINO 2026.4. A thread of OpenVINO's
    drops its reference to the callback shortly after the request is done, and needs the GIL for
    that. If the compiled model is deleted in that moment, the program deadlocks; if Python exits,
    it aborts. Used from two threads, a queue mixes up results, hangs or crashes: RuntimeError is
    raised if somebody else uses it.
    """
    owner = object()
    own_thread = threading.get_ident()
    unreleased = threading.Lock()  # not an Event, whose own lock a Ctrl-C can leave locked
    unreleased.acquire()

    def watched(request: ov.InferRequest, userdata: Any) -> None:
        callback(request, userdata)

    def end() -> None:
        for request in queue:
            with suppress(RuntimeError):  # a failed request raises again
                request.wait()
        queue.set_callback(lambda request, userdata: None)  # lets go of `watched`
        unreleased.acquire(timeout=1)  # not longer: a debugger, say, may hold it too

    on_release = weakref.finalize(watched, unreleased.release)  # runs when `watched` is freed,
    on_release.atexit = False  # and only then: `end` has to wait for it also when Python exits

    def finish() -> None:
        try:
            end_once()
        finally:  # also after a second Ctrl-C, in a program that goes on after it
            del vars(queue)["callback_owner"]

    # One atomic step marks the queue, or finds another mark
    if vars(queue).setdefault("callback_owner", owner) is not owner:
        raise RuntimeError("the queue is in use: end what uses it, or make a second queue")
    end_once = weakref.finalize(queue, end)  # runs when it is called, or else when Python exits
    try:
        queue.set_callback(watched)
        del watched  # from here on only OpenVINO refers to it
        yield
    finally:
        if threading.get_ident() != own_thread:
            # The garbage collector closes infer_in_order on any thread, also within a callback,
            # where `end` would wait for the very request that it runs in
            threading.Thread(target=finish).start()
        else:
            finish()


# The options

DEFAULT_BATCH_LIMIT = 8  # larger batches were not faster, and the first table comes later
LARGEST_INTEGER = 2**31 - 1


class Parser(argparse.ArgumentParser):
    """Adds OpenVINO's version and the devices to the help, as the C++ sample does."""

    def format_help(self) -> str:
        devices = f"Available target devices: {', '.join(ov.Core().available_devices)}"
        return "\n".join([super().format_help(), *VERSION_LINES, "", devices, ""])

    def print_help(self, file: Any = None) -> None:
        log(*self.format_help().splitlines(), prefix="")  # argparse ignores that it cannot write


def parse_args(argv: Sequence[str]) -> argparse.Namespace:
    parser = Parser(add_help=False, allow_abbrev=False)
    add = parser.add_argument_group("Options").add_argument
    # fmt: off
    add("-h", "--help", action="help",
        help="Show this help message and exit.")
    add("-m", "--model", required=True, type=path_text,
        help="Required. Path to an .xml or .onnx file with a trained model.")
    add("-i", "--input", required=True, type=path_text, nargs="+", action="extend",
        help="Required. Path to an image file(s), to a folder(s) with images, or to an IDX file(s) "
        "(.ubyte).")
    add("-d", "--device", default="CPU",
        help="Optional. Specify the target device to infer on; CPU, GPU, NPU, AUTO, HETERO:, "
        "MULTI: or BATCH: is acceptable. The sample will look for a suitable plugin for device "
        "specified. Default value is CPU.")
    add("-l", "--cpu_extension", type=path_text,
        help="Optional. Path to a shared library with custom operations.")
    add("-pp", "--plugin_dir", type=path_text,
        help="Optional. Path to a folder containing a plugins.xml that registers devices.")
    add("--labels", type=path_text,
        help="Optional. Labels mapping file. Default: model_info or .labels file of the model.")
    add("-nt", "--number_top", type=positive_integer, default=10,
        help="Optional. Number of top results. Default value is 10.")
    add("-ni", "--number_iter", type=positive_integer,
        help="Optional. Number of inference iterations; also prints the throughput.")
    add("-nireq", "--number_infer_requests", type=integer_from_0, default=0,
        help="Optional. Number of infer requests. Default value is 0: as many as are optimal for "
        "the device.")
    add("-pc", "--perf_counts", action="store_true",
        help="Optional. Report performance counters.")
    add("-b", "--batch_size", type=positive_integer,
        help="Optional. Batch size. Default: all images, or equal parts up to 8.")
    add("--reverse_input_channels", action="store_true", default=None,
        help="Optional. Give the model RGB, not BGR.")
    add("--mean_values", type=mean_values, metavar="A,B,C",
        help="Optional. Values to subtract: 123.675,116.28,103.53.")
    add("--scale_values", type=scale_values, metavar="A,B,C",
        help="Optional. Values to divide by after that: 58.4,57.1,57.4.")
    add("--center_crop", type=ratio_up_to_1, metavar="RATIO",
        help="Optional. Classify the center, RATIO of the shorter side: 0.875, 224/232.")
    add("--antialias", nargs="?", const="bilinear", choices=("bilinear", "bicubic"),
        help="Optional. Resize like Pillow, and so PyTorch, before cropping rather than after. "
        "Default filter is bilinear. Without this option: like OpenCV.")
    add("--softmax", action="store_true",
        help="Optional. Turn the model's outputs (logits) into probabilities.")
    add("--infer_precision", choices=("f32", "f16", "bf16"),
        help="Optional. Default is the device's own choice.")
    add("--cache_dir", type=path_text,
        help="Optional. Path to a folder to cache compiled models in.")
    add("-v", "--verbose", action="store_true",
        help="Optional. Log every step, and the traceback of an error.")
    # fmt: on
    if not argv:
        log_to_stderr(parser.format_help())
    return parser.parse_args(argv)


def finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a finite number")
    return number


def path_text(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("must be a path, not ''")
    return text


def positive_integer(text: str) -> int:
    return integer(text, least=1)


def integer_from_0(text: str) -> int:
    return integer(text, least=0)


def integer(text: str, least: int) -> int:
    with suppress(ValueError):
        if least <= int(text) <= LARGEST_INTEGER:
            return int(text)
    expected = f"an integer from {least} to {LARGEST_INTEGER}"
    raise argparse.ArgumentTypeError(f"must be {expected}, not '{text}'")


def ratio_up_to_1(text: str) -> Fraction:
    with suppress(ValueError, ZeroDivisionError):
        if re.fullmatch(r"[\d./]{1,20}", text) and 0 < Fraction(text) <= 1:
            return Fraction(text)
    raise argparse.ArgumentTypeError(f"must be above 0, at most 1, not '{text}'")


def mean_values(text: str) -> list[float]:
    return channel_values(text, smallest=0)


def scale_values(text: str) -> list[float]:
    return channel_values(text, smallest=1e-18)


def channel_values(text: str, smallest: float) -> list[float]:
    """Reads one number, or one for each of three channels, within the range of f32."""
    with suppress(ValueError):
        values = [float(value) for value in text.strip("[]()").replace(",", " ").split()]
        if len(values) in (1, 3) and all(smallest <= abs(value) <= 1e18 for value in values):
            return values
    expected = f"one number or three separated by commas, {smallest:g} to 1e18 in size"
    raise argparse.ArgumentTypeError(f"must be {expected}, not '{text}'")


def default_batch_size(image_count: int) -> int:
    batch_count = math.ceil(image_count / DEFAULT_BATCH_LIMIT)
    return math.ceil(image_count / batch_count)


# The images

IDX_SUFFIX = "ubyte"  # of the files of MNIST: https://yann.lecun.org/exdb/mnist/index.html
IDX_MAGIC = 0x803
IDX_HEADER_SIZE = 16
HEIC_SIGNATURES = (b"ftyphei", b"ftyphev", b"ftypmif")  # from the fifth byte on
# Of photos that OpenCV does not read, or of which it reads only the thumbnail
UNREAD_SUFFIXES = (
    ".arw", ".cr2", ".cr3", ".dng", ".exr", ".heic", ".heif", ".jxl", ".nef", ".orf", ".raf",
    ".rw2",
)  # fmt: skip


@dataclass
class Image:
    """An image in a file of its own, or one of many in an IDX file."""

    name: str
    path: str
    idx_offset: int = 0
    idx_shape: tuple[int, int] | None = None  # height and width, if it is in an IDX file
    error: str = ""  # why it could not be read


def list_files(args: argparse.Namespace) -> list[str]:
    """Lists the files of --input, in its order, after checking that every given path exists."""
    check_paths(args)
    files: list[str] = []
    for path in args.input:
        files += list_folder(path) if os.path.isdir(path) else [path]
    return files


def check_paths(args: argparse.Namespace) -> None:
    paths = [args.model, *args.input]
    if args.labels:
        paths.append(args.labels)
    if args.cpu_extension:
        paths.append(args.cpu_extension)
    if args.plugin_dir:
        paths.append(os.path.join(args.plugin_dir, "plugins.xml"))
    for path in paths:
        with on_error(f"Cannot read {path}"):
            os.stat(path)
            if not os.path.isfile(path) and not os.path.isdir(path):
                raise ValueError("it is neither a file nor a folder")


def list_folder(path: str) -> list[str]:
    """Lists the images in a folder, sorted by name, without hidden files and subfolders."""
    with on_error(f"Cannot read the folder {path}"):
        found = sorted(entry.path for entry in os.scandir(path) if not entry.name.startswith("."))
        files = [file for file in found if not os.path.isdir(file)]
        if found and not files:
            advice = f"give {shlex.quote(path)}/*"
            raise ValueError(f"it holds only folders, which are not searched: {advice}")
        images = [file for file in files if looks_like_image(file)]
        if not images:
            raise ValueError("there are no images in it")
    return images


def looks_like_image(path: str) -> bool:
    """Decides by the suffix, one of OpenCV's or a camera's, or else by the first bytes."""
    name = os.path.basename(path).lower()
    if name.endswith(IDX_SUFFIX):
        return "idx1-" not in name  # the labels of MNIST
    if name.endswith(IDX_SUFFIX + ".gz"):
        is_unpacked_too = os.path.exists(path.removesuffix(".gz"))  # as torchvision keeps MNIST
        return "idx1-" not in name and not is_unpacked_too

    file_name: Any = os.fsencode(path)
    if cv2.haveImageWriter(file_name) or name.endswith(UNREAD_SUFFIXES):
        return True
    if not os.path.isfile(path):
        return False
    is_readable = os.access(path, os.R_OK)  # if not, it is reported
    return not is_readable or cv2.haveImageReader(file_name) or is_heic(first_bytes(path))


def first_bytes(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(10_000)


def is_heic(start: bytes) -> bool:
    return start[4:11] in HEIC_SIGNATURES


def list_images(path: str) -> list[Image]:
    """Lists the image in a file, or those in an IDX file.

    That is u8 [N,H,W] behind four big-endian u32: 0x803, N, H, W.
    """
    if not path.lower().endswith(IDX_SUFFIX) or not os.path.isfile(path):
        return [Image(path, path)]
    try:
        header = np.fromfile(path, ">u4", count=4).tolist()
    except OSError as error:
        return [Image(path, path, error=error_text(error))]
    if len(header) < 4 or header[0] != IDX_MAGIC or 0 in header:
        expected = f"{IDX_MAGIC}, count, height and width"
        reason = f"is not an IDX file of images: it begins with {header}, not {expected}"
        return [Image(path, path, error=reason)]

    _, count, height, width = header
    size = height * width
    complete_count = min(count, (os.path.getsize(path) - IDX_HEADER_SIZE) // size)
    images = []
    for index in range(complete_count):
        offset = IDX_HEADER_SIZE + index * size
        images.append(Image(f"{path}[{index}]", path, offset, (height, width)))
    if complete_count < count:
        missing = f"{path}[{complete_count}..{count - 1}]"
        images.append(Image(missing, path, error="missing: the file ends early"))
    return images


class ImageReader:
    """Reads images for `read_ahead`."""

    def __init__(self, crop_ratio: Fraction | None, antialias: str | None) -> None:
        self.crop_ratio = crop_ratio
        self.antialias = antialias  # "bilinear", "bicubic" or None
        self.last_decoded = threading.local()  # its `pixels`: the memory for this thread's next

    def read(self, image: Image, row: np.ndarray) -> None:
        """Reads `image` into `row` [H,W,C]; on failure, stores the reason in `image.error`."""
        height, width, channels = row.shape
        try:
            check_format(image)
            pixels = self.decode(image, channels)
            if self.antialias:
                resized = self.resize_then_crop(pixels, width, height)
            else:
                if self.crop_ratio:
                    pixels = center_crop(pixels, width, height, self.crop_ratio)
                resized = cv2.resize(pixels, (width, height))
            row[:] = resized.reshape(row.shape)
        except Exception as error:
            image.error = error_text(error)

    def resize_then_crop(self, pixels: np.ndarray, width: int, height: int) -> np.ndarray:
        box = None
        if self.crop_ratio:
            box = center_box(pixels, width, height, self.crop_ratio)
        return resize(pixels, width, height, cubic=self.antialias == "bicubic", box=box)

    def decode(self, image: Image, channels: int) -> np.ndarray:
        """Returns u8 [H,W,3] for three channels, [H,W] for one."""
        if image.idx_shape:
            pixels = read_idx_pixels(image.path, image.idx_offset, image.idx_shape)
            return cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR) if channels == 3 else pixels
        flags = cv2.IMREAD_COLOR if channels == 3 else cv2.IMREAD_GRAYSCALE
        buffer = getattr(self.last_decoded, "pixels", None)
        self.last_decoded.pixels = decode(image.path, flags, buffer)
        return self.last_decoded.pixels


def check_format(image: Image) -> None:
    """Raises ValueError for what OpenCV does not read, or does not read as the format says."""
    if image.error:
        raise ValueError(image.error)
    if image.idx_shape or not os.path.isfile(image.path):
        return
    name = image.path.lower()
    start = first_bytes(image.path)
    if name.endswith(UNREAD_SUFFIXES):
        raise ValueError("is a photo that OpenCV does not read: convert it to JPEG")
    if is_heic(start):
        raise ValueError("is HEIC, which OpenCV does not read: convert it to JPEG")
    if name.endswith(".gz"):
        raise ValueError("is compressed: gunzip it first")
    if start[:2] in (b"P7", b"PF", b"Pf"):
        raise ValueError("is PAM or PFM, which OpenCV misreads: convert it to PNG")
    check_pnm_header(start)


def check_pnm_header(start: bytes) -> None:
    """Raises ValueError for PGM and PPM files whose greatest value OpenCV 5.0 ignores.

    A header is a number for the kind, then width, height and the greatest value, with white space
    and comments between them: https://netpbm.sourceforge.net/doc/pgm.html
    """
    header = re.match(rb"P([2356])(?:\s+(?:#[^\r\n]*[\r\n]\s*)*(\d+)){3}", start)
    if not header:
        return
    is_text = header[1] in b"23"
    maxval = int(header[2])
    is_scaled = is_text and maxval < 256
    if maxval not in (255, 65535) and not is_scaled:
        raise ValueError(f"has the maxval {maxval}, which OpenCV ignores: convert it to PNG")


def read_idx_pixels(path: str, offset: int, shape: tuple[int, int]) -> np.ndarray:
    pixels = np.fromfile(path, np.uint8, math.prod(shape), offset=offset)
    if pixels.size < math.prod(shape):
        raise ValueError("missing: the file ends early")
    return pixels.reshape(shape)


# The core and the model


def add_plugins_and_extensions(core: ov.Core, args: argparse.Namespace) -> None:
    """Adds devices (--plugin_dir) and operations (--cpu_extension) to what `core` knows."""
    if args.plugin_dir:
        with on_error(f"Cannot register the plugins of {args.plugin_dir}"):
            core.register_plugins(os.path.join(args.plugin_dir, "plugins.xml"))
    if args.cpu_extension:
        with on_error(f"Cannot load the extension {args.cpu_extension}"):
            library = os.path.abspath(args.cpu_extension)
            ctypes.CDLL(library)  # keeps it loaded: unloaded before the model, it crashes at exit
            core.add_extension(library)


def find_model_file(path: str) -> str:
    """Returns what `read_model` takes: for a folder that holds one .xml file, that file."""
    name = os.path.basename(path).lower()
    if name == "saved_model.pb":
        folder = os.path.dirname(path) or "."
        raise ValueError(f"give the SavedModel's folder: -m {shlex.quote(folder)}")
    if name.endswith((".keras", ".h5", ".pt", ".pth")):
        raise ValueError(
            "convert it first with ov.convert_model, or the export of Keras or Ultralytics: "
            "README.md, under 'Your own model', shows how"
        )
    if not os.path.isdir(path) or os.path.exists(os.path.join(path, "saved_model.pb")):
        return path
    names = sorted(name for name in os.listdir(path) if not name.startswith("."))
    models = [name for name in names if name.endswith(".xml")]
    if len(models) != 1:
        found = ", ".join(models) or "neither"
        raise ValueError(f"it has to hold one .xml file or a saved_model.pb, not {found}")
    return os.path.join(path, models[0])


def check_model(model: ov.Model) -> None:
    """Raises ValueError unless `model` classifies images of one size."""
    if ends_in_topk(model):
        raise ValueError(
            "its output comes from TopK or ArgMax: class ids or sorted values, "
            "not a probability for each class"
        )
    check_counts(model)
    check_output(model)
    check_input(model)


# A TopK in front of a layer with weights is part of the network. Select and the ScatterUpdates are
# how graphs keep the values of the best classes, and zero for the others
NOT_BEFORE = (
    "MatMul", "Convolution", "Select", "ScatterUpdate", "ScatterElementsUpdate", "ScatterNDUpdate",
)  # fmt: skip


def ends_in_topk(model: ov.Model) -> bool:
    """Returns whether a TopK, which ArgMax and sort become, follows the last layer."""
    for operation in model.get_results():
        while operation.get_type_name() not in NOT_BEFORE:
            if operation.get_type_name() == "TopK":
                return True
            inputs = [value.get_node() for value in operation.input_values()]
            computed = [node for node in inputs if node.get_type_name() != "Constant"]
            if not computed:
                break
            operation = computed[0]
    return False


def check_counts(model: ov.Model) -> None:
    counts = f"{len(model.inputs)} and {len(model.outputs)}"
    if counts != "1 and 1":
        text = f"Models with only 1 input and output are supported, not {counts}"
        if len(model.inputs) == 1:
            names = ", ".join(name_of(port) for port in model.outputs)
            text += f" ({names}). {CHANGE_A_MODEL} to keep one output"
        raise ValueError(text)
    if model.get_variables():
        raise ValueError("it keeps a state from one inference to the next (ReadValue, Assign)")


def check_output(model: ov.Model) -> None:
    shape = model.output().partial_shape
    sizes = list(shape) if shape.rank.is_static else []
    is_vector = len(sizes) == 2
    is_vector_of_1x1 = len(sizes) == 4 and [1, 1] in (sizes[1:3], sizes[2:])
    if not (is_vector or is_vector_of_1x1) or 0 in sizes:
        raise ValueError(f"its output shape {shape} is not [N,C], [N,C,1,1] or [N,1,1,C]")


def check_input(model: ov.Model) -> None:
    shape = model.input().partial_shape
    if shape.rank != 4 or 0 in shape:
        raise ValueError(f"an input of shape {shape} is not an image's: [N,C,H,W] or [N,H,W,C] is")
    layout = find_layout(model)
    size_of = dict(zip(layout[1:-1].split(","), shape))
    if size_of["C"].is_static and size_of["C"] not in (1, 3):
        raise ValueError(f"only 1 or 3 channels are supported, its input {layout} is {shape}")
    if any(size_of[letter].is_dynamic for letter in "CHW"):
        text = f"its input {layout} is {shape}, of no fixed size. {CHANGE_A_MODEL} to give it one"
        if resizes_images(model):
            text += (
                "; but it resizes images itself, and images stretched before that may change class"
            )
        raise ValueError(text)


def resizes_images(model: ov.Model) -> bool:
    """Returns whether the graph resizes what still has the channels of an image."""
    for operation in model.get_ops():
        if operation.get_type_name() == "Interpolate":
            shape = operation.input_value(0).partial_shape
            if shape.is_dynamic and (1 in list(shape)[1:] or 3 in list(shape)[1:]):
                return True
    return False


def find_layout(model: ov.Model) -> str:
    """Returns the layout of the input that `model` states, or a guess by its shape."""
    stated = str(ov.layout_helpers.get_layout(model.input()))  # "[...]" if there is none
    if {"N", "C", "H", "W"} <= set(stated[1:-1].split(",")):
        return stated
    shape = model.input().partial_shape
    channels_are_last = shape[3] in (1, 3) and shape[1] not in (1, 3)
    return "[N,H,W,C]" if channels_are_last else "[N,C,H,W]"


def count_classes(model: ov.Model, batch_size: int, output_type: str, softmax: bool) -> int:
    """Returns the classes of an output of [N,C], [N,C,1,1] or [N,1,1,C].

    Raises ValueError if the only value is no probability.
    """
    shape = model.output().partial_shape
    if shape.is_dynamic:
        raise ValueError(f"the number of classes in its output {shape} is not known before it runs")
    count = math.prod(model.output().shape) // batch_size
    is_class_id = output_type in ("i16", "u16", "i32", "u32", "i64", "u64")
    if count == 1 and (is_class_id or softmax):
        raise ValueError(
            f"one value for an image ({output_type}) is a class id (ArgMax), "
            "or 1 after softmax: no probability"
        )
    return count


def keep_16_bit_clamps(model: ov.Model) -> None:
    """Adds what OpenVINO 2026.4 loses of a model that is quantized to 16 bits.

    It removes each FakeQuantize of 65,536 levels, and with it the limits of its input, which may
    replace a ReLU: a LeNet that ONNX Runtime had quantized to 16 bits read a 2 as a 3.
    """
    for operation in model.get_ops():
        is_quantization = operation.get_type_name() == "FakeQuantize"
        if is_quantization and operation.get_attributes()["levels"] > 256:
            data, low, high = (operation.input_value(number) for number in range(3))
            clamped = ops.maximum(ops.minimum(data, high), low)
            operation.input(0).replace_source_output(clamped.output(0))


def reduces_over_batch(model: ov.Model) -> bool:
    """Returns whether an operation takes one value, such as a mean or a range, of a whole batch."""
    probe = 99_991  # a size that no other dimension has
    copy = model.clone()
    with suppress(RuntimeError):
        ov.set_batch(copy, probe)
    for operation in copy.get_ops():
        if operation.get_type_name().startswith("Reduce"):
            before, after = (
                operation.input_value(0).partial_shape,
                operation.output(0).partial_shape,
            )
            if probe in before and probe not in after:
                return True
    return False


# What the model states in its model_info


@dataclass
class Settings:
    """What the model wants: by the options or, where they are not given, by its `model_info`."""

    reverse_channels: bool
    clamp: tuple[float, float] | None
    mean: list[float] | None
    scale: list[float] | None
    sigmoid: bool
    is_multiclass: bool  # whether the probabilities of all classes add up to 1
    crop_ratio: Fraction | None
    labels: list[str] | None  # those in model_info, unless --labels is given


NO = ("NO", "False")
YES = ("YES", "True")
# The values in model_info that the sample supports. What is not listed here has no effect on the
# probabilities of 8-bit images: topk, confidence_threshold, intensity_repeat_channels and so on.
# https://github.com/open-edge-platform/model_api
SUPPORTED = {
    "hierarchical": NO,
    "input_dtype": ("u8",),
    "intensity_mode": ("none", "scale_to_unit", "window", "range_scale"),
    "interpolation_mode": ("LINEAR",),
    "multilabel": NO + YES,
    "path_to_labels": (),
    "resize_type": ("standard", "crop"),
    "reverse_input_channels": NO + YES,
}


def read_settings(args: argparse.Namespace, model: ov.Model) -> Settings:
    """Returns the settings; sets the image size of a `model` that resizes images itself."""
    info = read_model_info(model)
    is_multilabel = info.get("multilabel") in YES
    is_hierarchical = info.get("hierarchical") in YES
    if info.get("embedded_processing") in YES:
        info = not_embedded(info, set_embedded_size(model, info))
    info = without_unsupported(info)

    mean = stated_values(info, "mean_values", smallest=0)
    scale = stated_values(info, "scale_values", smallest=1e-18)
    intensity = read_intensity(info)
    if intensity.offset or (mean and intensity.divisor != 1):
        mean = [intensity.offset + intensity.divisor * value for value in mean or [0.0]]
    if intensity.divisor != 1:
        scale = [intensity.divisor * value for value in scale or [1.0]]

    def choose(option: str, stated: Any) -> Any:
        """Returns the value of `option` or, if it is not given, what the model states."""
        given = getattr(args, option, None)
        if given is not None or not stated:
            return given
        if args.verbose:
            log(f"Taken from its model_info: {option} {str(stated)[:80]}")
        return stated

    settings = Settings(
        reverse_channels=bool(
            choose("reverse_input_channels", info.get("reverse_input_channels") in YES)
        ),
        clamp=intensity.clamp,
        mean=choose("mean_values", mean),
        scale=choose("scale_values", scale),
        sigmoid=is_multilabel and not args.softmax,
        is_multiclass=not (is_multilabel or is_hierarchical),
        crop_ratio=choose(
            "center_crop", Fraction(1) if info.get("resize_type") == "crop" else None
        ),
        labels=None if args.labels else choose("labels", info.get("labels", "").split()),
    )
    warn_of_values_for_0_to_1(settings, model)
    return settings


def read_model_info(model: ov.Model) -> dict[str, str]:
    """Returns what OpenVINO's Model API, Geti or Ultralytics have stated in `model`."""
    stated = dict(model.rt_info.items())
    info = stated.get("model_info")
    framework = stated.get("framework")
    if not isinstance(info, dict) and isinstance(framework, dict):
        # In an ONNX file, among its metadata
        info = {name.removeprefix("model_info "): value for name, value in framework.items()}
    if not isinstance(info, dict):
        return {}
    texts = {name: str(getattr(value, "value", "")) for name, value in info.items()}
    return {name: text for name, text in texts.items() if text not in ("", "None")}


def not_embedded(info: dict[str, str], resizes: bool) -> dict[str, str]:
    """Returns the part of `info` that a graph with embedded preprocessing does not do."""
    remaining = ["labels", "multilabel", "hierarchical"]
    if resizes:
        remaining.append("resize_type")  # the graph resizes, and the sample has to crop before
    return {name: text for name, text in info.items() if name in remaining}


def without_unsupported(info: dict[str, str]) -> dict[str, str]:
    """Returns `info` without what the sample cannot do, after a warning for each."""
    supported = {}
    for name, text in info.items():
        if text in SUPPORTED.get(name, (text,)):
            supported[name] = text
        else:
            warn_of_unsupported(name, text)
    return supported


def warn_of_unsupported(name: str, text: str) -> None:
    log_warning(f"Ignoring the unsupported {name} '{printable(text)}' in model_info")


def stated_values(info: dict[str, str], name: str, smallest: float) -> list[float] | None:
    if name not in info:
        return None
    try:
        return channel_values(info[name], smallest)
    except argparse.ArgumentTypeError:
        warn_of_unsupported(name, info[name])
        return None


@dataclass
class Intensity:
    """What is done to pixels before mean and scale: clamp, subtract the offset, divide."""

    offset: float = 0.0
    divisor: float = 1.0
    clamp: tuple[float, float] | None = None


INTENSITY_NUMBERS = (
    "max_value", "min_value", "scale_factor", "window_center", "window_width",
)  # fmt: skip


def read_intensity(info: dict[str, str]) -> Intensity:
    """Returns the `intensity_mode` of Model API: to 0..1, all pixels or those in a range.

    https://github.com/open-edge-platform/model_api/blob/master/docs
    """
    mode = info.get("intensity_mode", "none")
    try:
        if mode == "scale_to_unit":
            intensity = Intensity(divisor=finite(info.get("intensity_max_value", "255")))
        elif mode == "window":
            width = finite(info["intensity_window_width"])
            lowest = finite(info["intensity_window_center"]) - width / 2
            intensity = Intensity(lowest, width, (lowest, lowest + width))
        elif mode == "range_scale":
            factor = finite(info.get("intensity_scale_factor", "1"))
            lowest = finite(info.get("intensity_min_value", "0")) / factor
            highest = finite(info["intensity_max_value"]) / factor
            intensity = Intensity(lowest, highest - lowest, (lowest, highest))
        else:
            intensity = Intensity()
        if not 1e-18 <= intensity.divisor <= 1e18 or abs(intensity.offset) > 1e18:
            raise ValueError("out of the range of f32")
        return intensity
    except (KeyError, ValueError, ZeroDivisionError):
        numbers = {name.removeprefix("intensity_"): text for name, text in info.items()}
        text = ", ".join(f"{name} {numbers[name]}" for name in INTENSITY_NUMBERS if name in numbers)
        warn_of_unsupported("intensity_mode", f"{mode}: {text}")
    return Intensity()


def set_embedded_size(model: ov.Model, info: dict[str, str]) -> bool:
    """Sets the image size of a graph that resizes its input [N,?,?,C], if it is stated."""
    sizes = [info.get("orig_height", ""), info.get("orig_width", "")]
    if not all(re.fullmatch(r"[1-9]\d{0,4}", size) for size in sizes):
        return False
    shape = model.inputs[0].partial_shape if model.inputs else ov.PartialShape.dynamic()
    if str(shape) not in ("[1,?,?,3]", "[?,?,?,3]", "[1,?,?,1]", "[?,?,?,1]"):
        return False
    model.reshape([shape[0], int(sizes[0]), int(sizes[1]), shape[3]])
    return True


# Labels


def read_labels(
    path: str | None, stated: list[str] | None, model_path: str, class_count: int
) -> list[str] | None:
    """Returns a label for each class: of the file `path`, else `stated`, else beside the model."""
    labels = None
    if not path and stated:
        labels = [printable(label.replace("_", " ")) for label in stated]
        if len(labels) == class_count - 1:
            labels.insert(0, "other")  # as Model API does
    elif not path:
        path = find_label_file(model_path)
    if path:
        labels = read_label_file(path)
    if labels is not None and len(labels) != class_count:
        log_warning(
            f"{path or 'model_info'} has {len(labels)} labels, the model {class_count} classes: "
            "no label is printed. Expected: one label per line in class id order, no header, "
            "no added 'background'"
        )
        return None
    return labels


def find_label_file(model_path: str) -> str | None:
    if os.path.isdir(model_path):
        path = os.path.abspath(model_path) + ".labels"
    else:
        path = os.path.splitext(model_path)[0] + ".labels"
    return path if os.path.isfile(path) else None


def read_label_file(path: str) -> list[str]:
    """Reads one label per line, without a number or a WordNet id in front of it."""
    with on_error(f"Cannot read the labels {path}"), open(path, "rb") as file:
        content = file.read().removeprefix("\ufeff".encode())
        if b"\0" in content:
            raise ValueError("binary, or text in UTF-16")
    labels = [os.fsdecode(line).strip() for line in content.rstrip().splitlines()]
    numbered = [re.fullmatch(r"(\d+)(?::\s*|\s+)(.*)", label) for label in labels]
    if all(match and match[1] == str(index) for index, match in enumerate(numbered)):
        labels = [match[2] for match in numbered if match]
    return [re.sub(r"^n\d{8}\s+", "", label) for label in labels]


# The device


def optional_properties(args: argparse.Namespace) -> dict[Any, Any]:
    properties: dict[Any, Any] = {enable_profiling: args.perf_counts}
    if args.infer_precision:
        properties[hint.inference_precision] = args.infer_precision
    if args.cache_dir:
        with on_error(f"Cannot write to the cache folder {args.cache_dir}"):
            os.makedirs(args.cache_dir, exist_ok=True)
            tempfile.TemporaryFile(dir=args.cache_dir).close()  # OpenVINO is silent if it cannot
        properties[cache_dir] = args.cache_dir
    return properties


@contextmanager
def on_device_error(core: ov.Core, device: str) -> Iterator[None]:
    """As `on_error`; lists the devices only after an error, as it takes 20 ms."""
    try:
        yield
    except RuntimeError as error:
        available = f"available target devices: {', '.join(core.available_devices)}"
        message = f"Cannot load the model to the device '{device}' ({available})"
        raise SampleError(f"{message}: {error_text(error)}") from error


def repeat_batches(
    batches: Iterable[tuple[list, ov.Tensor]], iterations: int
) -> Iterator[tuple[tuple[list, int], ov.Tensor]]:
    """Yields ((batch, iteration), tensor) for each batch and each iteration, from 0 on."""
    for batch, tensor in batches:
        for iteration in range(iterations):
            yield (batch, iteration), tensor


# What is printed

VERSION_LINES = (
    f"OpenVINO Runtime version ......... {ov.get_version().partition('-')[0]}",
    f"Build ........... {ov.get_version()}",
)
CLOSING_LINE = (
    "This sample is an API example. "
    "Use the dedicated `benchmark_app` tool for any performance measurements."
)
CHANGE_A_MODEL = "README.md, under 'Change a model', shows how"


def log(*lines: str, prefix: str = "[ INFO ] ") -> None:
    """Prints in one write: tables stay whole where several runs share a terminal."""
    with on_error("Cannot write to standard output"):
        if sys.stdout is None:
            raise ValueError("it is closed")
        print("\n".join(prefix + line if line else prefix.rstrip() for line in lines), flush=True)


def log_nothing(*lines: str) -> None:
    pass


def log_warning(text: str) -> None:
    log_to_stderr(f"[ WARNING ] {text}")


def log_to_stderr(text: str, end: str = "\n") -> None:
    """Prints in one write, or not at all if it cannot be written: the tables matter more."""
    try:
        if sys.stderr:
            print(text + end, end="", file=sys.stderr, flush=True)
    except OSError:
        sys.stderr = None  # type: ignore[assignment]


class SampleError(Exception):
    """Says what failed and why, in one line."""


@contextmanager
def on_error(message: str) -> Iterator[None]:
    """Raises any error within it as a SampleError that begins with `message`."""
    try:
        yield
    except SampleError:
        raise
    except Exception as error:
        raise SampleError(f"{message}: {error_text(error)}") from error


# In OpenVINO's messages, lines that follow the one with the cause
AFTER_THE_CAUSE = ("Summary:", "-- Conversion is failed for:", "To facilitate the conversion")


def error_text(error: BaseException) -> str:
    """Returns what `error` says, of OpenVINO's and OpenCV's many lines the one with the cause."""
    text = str(error).strip()
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror
    if isinstance(error, RuntimeError | cv2.error):
        lines = [line for line in text.split("\n") if line.strip()]
        lines = [line for line in lines if not line.startswith(AFTER_THE_CAUSE)]
        text = printable(lines[-1].removeprefix("-- "), 1000) if lines else ""
        missing = re.search(r"externally stored data in file \((.*), offset: ", text)
        if missing:
            text = f"its weights file {missing[1]} is missing or too short"
    return text or type(error).__name__


def printable(text: str, length: int = 80) -> str:
    """Makes text from a model safe to print on one line."""
    letters = [letter if letter.isprintable() else " " for letter in text[:length]]
    return "".join(letters).strip()


def name_of(port: ov.Output) -> str:
    return printable(port.any_name) if port.names else "NONE"


def describe(model: ov.Model) -> list[str]:
    lines = [f"model name: {printable(model.friendly_name)}"]
    for kind, ports in (("input", model.inputs), ("output", model.outputs)):
        lines.append(f"    {kind}s")
        for port in ports:
            sizes = ", ".join(str(size) for size in port.partial_shape)
            lines.append(f"        {kind} name: {name_of(port)}")
            lines.append(f"        {kind} type: {port.element_type.get_type_name()}")
            lines.append(f"        {kind} shape: {{{sizes}}}")
    return lines


def warn_of_batch(model: ov.Model, wanted_size: int, batch_size: int) -> None:
    if batch_size != wanted_size:
        log_warning(
            f"The model does not take the batch size {wanted_size}; it runs with batch size "
            f"{batch_size}. {CHANGE_A_MODEL} to make the batch dynamic"
        )
    if batch_size > 1 and reduces_over_batch(model):
        log_warning(
            "The model computes a value over its whole batch, so that an image's probabilities "
            "depend on the others: -b 1 infers each alone"
        )


def warn_of_values_for_0_to_1(settings: Settings, model: ov.Model) -> None:
    """Logs a warning for the mean and std that PyTorch's pages print, such as 0.485 and 0.229."""
    is_real = all(port.element_type.is_real() for port in model.inputs)
    values = [*(settings.mean or []), *(settings.scale or [])]
    if is_real and settings.scale and all(abs(value) < 1 for value in values):
        log_warning(
            "The values to divide by are all below 1: mean and scale are for pixels in 0..255. "
            "Multiply values that are for 0..1 by 255"
        )


def warn_unless_probabilities(
    images: Sequence[Image], outputs: np.ndarray, model_type: str, is_multiclass: bool
) -> bool:
    """Logs why `outputs` [N,classes] are not probabilities; returns whether there was a reason.

    `model_type` is the element type that they have in the model; `is_multiclass` says that they
    should add up to 1.
    """
    outputs = outputs[[not image.error for image in images]]
    if outputs.size == 0:
        return False
    class_count = outputs.shape[1]
    is_real = not model_type.startswith(("i", "u", "boolean"))
    low, high = outputs.min(), outputs.max()
    sums = outputs.sum(axis=1)
    tolerance = 0.1  # in f16, a GPU's add up to 1.025
    if not is_real:
        tolerance = max(tolerance, class_count / 512)  # in 8 bits each class is off by 1/512

    if np.isnan(low):
        text = "contain NaN: check mean and scale values, or try --infer_precision f32"
    elif low < 0 or high > 1.1:
        text = f"are not probabilities ({low:g} to {high:g})"
        if class_count > 1 and is_real and is_multiclass:
            text += ": if they are logits, add --softmax"
    elif class_count > 1 and is_multiclass and np.abs(sums - 1).max() > tolerance:
        text = f"do not add up to 1 ({sums.min():g} to {sums.max():g})"
    else:
        return False
    log_warning(f"The model's outputs {text}")
    return True


def log_tables(
    images: Sequence[Image], outputs: np.ndarray, number_top: int, labels: Sequence[str] | None
) -> None:
    """Logs a table of each image's row of `outputs` [N,classes], or why it could not be read."""
    header = "class_id probability" if labels is None else "class_id probability label"
    for image, probabilities in zip(images, outputs):
        if image.error:
            log_warning(f"{image.name}: {image.error}")
            continue
        class_ids = top_class_ids(probabilities, number_top)
        lines = [f"Image path: {image.name}", f"Top {len(class_ids)} results:"]
        lines += [header, "-" * len(header)]
        for class_id in class_ids:
            row = f"{class_id:<8} {probabilities[class_id]:.7f}"
            if labels is not None:
                row = f"{row:<20} {labels[class_id]}".rstrip()
            lines.append(row)
        log(*lines, "")


def log_progress(done: int, total: int) -> None:
    tables_go_elsewhere = sys.stderr and sys.stderr.isatty() and not sys.stdout.isatty()
    if total > DEFAULT_BATCH_LIMIT and tables_go_elsewhere:
        log_to_stderr(f"{done}/{total} images", end="\n" if done == total else "\r")


def log_perf_counts(layers: Sequence[ov.ProfilingInfo]) -> None:
    rows = [("name", "layer_type", "exec_type", "status", "real_time_us")]
    total = 0
    for layer in layers:
        time_us = round(layer.real_time.total_seconds() * 1e6)
        total += time_us
        name, status = printable(layer.node_name), layer.status.name
        rows.append((name, layer.node_type, layer.exec_type, status, str(time_us)))
    widths = [max(len(cell) for cell in column) for column in zip(*rows)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    log("Performance counters:", *lines, f"Total time: {total} us", "")


# The program


def main(argv: Sequence[str]) -> int:
    try:
        return classify_images(parse_args(argv))
    except Exception as error:
        if "-v" in argv or "--verbose" in argv:
            log_to_stderr(traceback.format_exc().rstrip("\n"))
        log_to_stderr(f"[ ERROR ] {error_text(error)}")
        return 1


def prepare_streams() -> None:
    """Makes the streams print names and labels byte for byte, and wait for a slow reader."""
    stream: Any
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.reconfigure(
            encoding=sys.getfilesystemencoding(), errors=sys.getfilesystemencodeerrors()
        )
        if os.name == "posix":
            os.set_blocking(stream.fileno(), True)  # else what a full pipe refuses is lost
    if os.name == "posix":
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends the program


if __name__ == "__main__":
    prepare_streams()
    sys.exit(main(sys.argv[1:]))
