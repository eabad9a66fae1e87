#!/usr/bin/env python3
"""Classifies images with OpenVINO's asynchronous API; prints each image's most probable classes.

    python classification_sample_async.py -m data/efficientnet-lite0.xml -i data/images

Read `classify_images` first: it is the whole sample in eight steps. The functions below it can be
copied individually: start with `infer_in_order`, the asynchronous part. The rest is for the command
line: options, images, the model, labels, and output.
"""

import argparse
import atexit
import ctypes
import io
import math
import os
import re
import signal
import sys
import threading
import time
import traceback
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import islice
from typing import Any

if __name__ == "__main__":
    # Skip OpenVINO's model converter: it doubles the time of `import openvino`, and reports its use
    # to Google Analytics
    sys.modules["openvino.tools.ovc"] = None  # type: ignore[assignment]
    # Limit numpy to one thread: with --antialias, images are resized on one thread per core
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Silence OpenCV's own warnings: they do not name the file
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

import cv2
import numpy as np
import openvino as ov
from openvino import opset13 as ops
from openvino.preprocess import PrePostProcessor
from openvino.properties import cache_dir, enable_profiling, hint


def classify_images(args: argparse.Namespace) -> int:
    """Runs the sample; returns its exit status: 1 if an image could not be read, else 0.

    The log messages are those of OpenVINO's C++ and Python samples of 2022.
    """
    log_detail = log if args.verbose else ignore
    log_detail(*VERSION_LINES, "", "Parsing input parameters")
    files = list_files(args.input)
    log_detail(f"Files were added: {len(files)}", *(f"    {file}" for file in files))
    images = list_images(files)

    # Step 1. Create the core, which finds the devices
    log("Creating OpenVINO Runtime Core")
    core = ov.Core()
    add_plugins_and_extensions(core, args)

    # Step 2. Read the model
    model_path = find_model_file(args.model)
    log(f"Reading the model: {model_path}")
    model = core.read_model(model_path)
    log_detail(*describe(model), "Read input images")
    layout = check_model(model)
    model_options, model_labels = read_model_info(model)
    log_detail(*fill_options(args, model_options))

    # Step 3. Add the preprocessing to the model, so that the device does it
    model = build_preprocessing(
        model,
        layout,
        reverse_channels=args.reverse_input_channels,
        mean=args.mean_values,
        scale=args.scale_values,
        activation=args.activation,
    )

    # Step 4. Set the batch size from the image count. With 8 images or fewer there is one batch, so
    # the model runs once, and nothing overlaps. Use -b 1 to see several runs overlap
    wanted_size = args.batch_size or default_batch_size(len(images))
    batch_size = apply_batch_size(model, wanted_size)
    if batch_size != wanted_size:
        log_warning(f"The model does not support batch size {wanted_size}: using {batch_size}")
    log_detail(f"Set batch size {batch_size}", *describe(model))
    class_count = count_classes(model, args.activation)
    labels = read_labels(args.labels, model_labels, model_path, class_count)

    # Step 5. Compile the model for the device: for throughput if runs can overlap, else for latency
    log("Loading the model to the plugin")
    log_detail(f"Loading model to the device {args.device}")
    iterations = args.number_iter or 1
    run_count = math.ceil(len(images) / batch_size) * iterations
    mode = hint.PerformanceMode.THROUGHPUT
    if run_count == 1 or args.number_infer_requests == 1:
        mode = hint.PerformanceMode.LATENCY
    properties = {hint.performance_mode: mode, **optional_properties(args)}
    try:
        compiled_model = core.compile_model(model, args.device, properties)
    except RuntimeError as error:
        raise RuntimeError(device_error_text(core, args.device, error)) from error

    # Step 6. Create a queue of infer requests, each for one run at a time. If -nireq is not given,
    # it is 0, and OpenVINO chooses how many
    queue = ov.AsyncInferQueue(compiled_model, min(args.number_infer_requests, run_count))
    log_detail("Create infer request")

    # Step 7. Infer asynchronously: infer_in_order, the next function, calls set_callback,
    # start_async and wait_all. Nothing starts until the loop below iterates over it
    log("Starting inference in asynchronous mode")
    start = time.perf_counter()
    read = partial(read_image, crop_ratio=args.center_crop, antialias=args.antialias)
    batches = read_ahead(images, model.input().shape, read)
    results = infer_in_order(queue, repeat_batches(batches, iterations))
    is_warned = False
    for run_number, (batch, output) in enumerate(results, start=1):
        log_detail(f"Completed {run_number} async request execution")
        rows = [row for image, row in zip(batch, output) if not image.error]
        if rows and not is_warned:
            is_warned = warn_unless_probabilities(rows)
        log_tables(batch, class_probabilities(output), args.number_top, labels)
    seconds = time.perf_counter() - start
    log_detail("Completed async requests execution")

    # Step 8. Report
    if args.perf_counts:
        log_perf_counts(queue[0].profiling_info)
    unread = [image for image in images if image.error]
    if args.number_iter:
        frames = (len(images) - len(unread)) * iterations
        log(f"Throughput: {frames / seconds:.2f} FPS")
    log(CLOSING_LINE)
    return 1 if unread else 0


# Functions to copy. Each needs only the imports, except that
#   infer_in_order needs Run and callback_on,
#   resize needs resize_rows, which needs filter_weights


@dataclass
class Run:
    """One inference, started or finished."""

    key: Any
    tensor: ov.Tensor  # kept alive while the request uses it
    output: Any = None  # set by the callback


def infer_in_order(
    queue: ov.AsyncInferQueue, inputs: Iterable[tuple[Any, ov.Tensor]]
) -> Iterator[tuple[Any, np.ndarray]]:
    """Runs inference on each (key, tensor) in `inputs`; yields (key, output) in the same order.

    The model has one input and one output. A tensor is not copied: leave it unchanged until its
    output is yielded. Finished outputs are yielded each time a new run starts, the rest at the end.
    Use the queue from one thread. Raises RuntimeError if a tensor does not fit the model, or if
    inference fails. Create a new queue after an error.
    https://docs.openvino.ai/2026/api/ie_python_api/_autosummary/openvino.AsyncInferQueue.html
    """
    started: deque[Run] = deque()

    def keep_output(request: ov.InferRequest, run: Run) -> None:
        """The callback: OpenVINO calls it on one of its threads when a request is done."""
        run.output = request.get_output_tensor().data.copy()  # the next run overwrites it

    def finished() -> Iterator[tuple[Any, np.ndarray]]:
        while started and started[0].output is not None:
            run = started.popleft()
            yield run.key, run.output

    with callback_on(queue, keep_output):
        for key, tensor in inputs:
            run = Run(key, tensor)
            queue.start_async(tensor, userdata=run)  # blocks only if all requests are busy
            started.append(run)
            yield from finished()
        queue.wait_all()
        yield from finished()


@contextmanager
def callback_on(
    queue: ov.AsyncInferQueue, callback: Callable[[ov.InferRequest, Any], None]
) -> Iterator[None]:
    """Sets the callback of `queue`; at the end, waits until OpenVINO no longer refers to it.

    One of OpenVINO's threads can refer to it for a moment after its request is done. If Python
    exits in that moment, the process aborts. If the compiled model is deleted in that moment, the
    process hangs (OpenVINO 2026.4).
    """
    released = threading.Event()

    def forward(request: ov.InferRequest, userdata: Any) -> None:
        callback(request, userdata)

    def end() -> None:
        for request in queue:
            with suppress(RuntimeError):  # a failed request raises its error again
                request.wait()
        queue.set_callback(lambda request, userdata: None)
        released.wait(timeout=1)

    weakref.finalize(forward, released.set)  # when nothing refers to `forward` any more
    queue.set_callback(forward)
    del forward  # from here on, only OpenVINO refers to it
    atexit.register(end)  # in case Python exits first
    try:
        yield
    finally:
        atexit.unregister(end)
        end()


def read_ahead(
    items: Iterable, shape: Sequence[int], read: Callable[[Any, np.ndarray], None]
) -> Iterator[tuple[list, ov.Tensor]]:
    """Yields (batch, tensor): up to shape[0] of `items` as a list, and a u8 tensor of `shape`.

    On a pool of threads, `read(item, row)` writes each item into its row. Exceptions from `read`
    propagate. Unused rows are zero. When a batch is yielded, at least one more is already being
    read, and enough of them to keep all cores busy.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))  # those that this process may use
    else:
        cores = os.cpu_count() or 1
    most_ahead = 1 + math.ceil(cores / shape[0])
    started: deque[tuple[list, ov.Tensor, Iterator]] = deque()

    def finish_oldest() -> tuple[list, ov.Tensor]:
        batch, tensor, reads = started.popleft()
        list(reads)  # waits for all of them
        return batch, tensor

    remaining = iter(items)
    with ThreadPoolExecutor(cores) as pool:
        while batch := list(islice(remaining, shape[0])):
            tensor = ov.Tensor(ov.Type.u8, ov.Shape(shape))
            tensor.data.fill(0)
            reads = pool.map(read, batch, tensor.data)  # each row is a view of the tensor
            started.append((batch, tensor, reads))
            if len(started) > most_ahead:
                yield finish_oldest()
        while started:
            yield finish_oldest()


def find_layout(model: ov.Model) -> str:
    """Returns the layout of the input, such as "NCHW": specified in `model`, or else guessed.

    Raises ValueError if the input does not have four dimensions.
    """
    port = model.inputs[0]
    shape = port.partial_shape
    if shape.rank != 4:
        raise ValueError(f"The model's input {shape} is not an image, [N,C,H,W] or [N,H,W,C]")
    layout = ov.layout_helpers.get_layout(port).to_string()  # such as "[N,C,H,W]"
    layout = re.sub(r"\W", "", layout)
    if set(layout) == set("NCHW"):
        return layout
    return "NHWC" if shape[3] in (1, 3) and shape[1] not in (1, 3) else "NCHW"


def build_preprocessing(
    model: ov.Model,
    layout: str,
    reverse_channels: bool = False,
    mean: float | Sequence[float] | None = None,
    scale: float | Sequence[float] | None = None,
    activation: str | None = None,
) -> ov.Model:
    """Adds preprocessing to `model`, so that it takes images as OpenCV decodes them: u8 [N,H,W,C].

    `model` has one input, an image in `layout`, such as "NCHW". Do not use it afterwards. The
    returned model turns BGR into RGB (`reverse_channels`), subtracts `mean`, divides by `scale`,
    runs `model`, and applies `activation`, "softmax" or "sigmoid". Its output is f32. `mean` and
    `scale` are for pixels in 0..255: one number, or one for each channel. An i8 input gets
    pixel - 128. An 8-bit output becomes a probability, as TensorFlow Lite defines it for softmax:
    https://ai.google.dev/edge/litert/models/quantization_spec
    Raises ValueError if `mean` or `scale` is given for an integer input, or `activation` for an
    8-bit output.
    https://docs.openvino.ai/2026/api/ie_python_api/_autosummary/openvino.preprocess.PrePostProcessor.html
    """
    input_type = model.input().element_type.get_type_name()
    output_type = model.output().element_type.get_type_name()
    is_integer = not model.input().element_type.is_real()
    if is_integer and (mean is not None or scale is not None):
        raise ValueError(f"The model's input is {input_type}, which takes no mean and no scale")
    if output_type in ("u8", "i8") and activation:
        raise ValueError(f"The model's output is {output_type}, which takes no {activation}")

    ppp = PrePostProcessor(model)
    ppp.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    ppp.input().model().set_layout(ov.Layout(layout))  # OpenVINO transposes between the two

    steps = ppp.input().preprocess()
    if reverse_channels:
        # Like pixels[..., ::-1]. OpenVINO 2026 drops steps.reverse_channels() for some models that
        # were exported with torch.export, such as ConvNeXt and Swin
        steps.custom(lambda pixels: ops.slice(pixels, [-1], [-5], [-1], axes=[3]).output(0))
    steps.convert_element_type(ov.Type.f32)
    if mean is not None:
        steps.mean(np.ravel(mean).tolist())
    if scale is not None:
        steps.scale(np.ravel(scale).tolist())
    if input_type == "i8":
        steps.mean(128.0)

    output_steps = ppp.output().postprocess()
    output_steps.convert_element_type(ov.Type.f32)
    if output_type in ("u8", "i8"):
        zero_point = np.float32(0 if output_type == "u8" else -128)
        output_steps.custom(lambda q: ops.subtract(q, zero_point).output(0))
        output_steps.custom(lambda q: ops.divide(q, np.float32(256)).output(0))
    if activation == "softmax":
        output_steps.custom(lambda x: ops.reshape(x, [0, -1], special_zero=True).output(0))
        output_steps.custom(lambda logits: ops.softmax(logits, axis=1).output(0))
    if activation == "sigmoid":
        output_steps.custom(lambda logits: ops.sigmoid(logits).output(0))
    return ppp.build()


def apply_batch_size(model: ov.Model, batch_size: int) -> int:
    """Sets the batch size of `model` if it supports it; returns the batch size that `model` has.

    The layout of the input must have an N. A model may reject a new batch size, or ignore it in a
    hard-coded Reshape. Such a model keeps its own batch size, or is set to 1 if that is dynamic.
    Raises ValueError if the first dimension of the output is not the batch.
    https://docs.openvino.ai/2026/openvino-workflow/running-inference/model-input-output/changing-input-shape.html
    """
    own_batch = ov.get_batch(model)
    with suppress(RuntimeError):
        ov.set_batch(model, batch_size)
    if model.output().partial_shape[0] != batch_size:
        batch_size = own_batch.get_length() if own_batch.is_static else 1
        ov.set_batch(model, batch_size)
    shape = model.output().partial_shape
    if shape[0] != batch_size:
        raise ValueError(f"The first dimension of the model's output {shape} is not the batch")
    return batch_size


def class_probabilities(output: np.ndarray) -> np.ndarray:
    """Returns the output of a model as [N,classes]; a single value is class 1's probability."""
    rows = output.reshape(len(output), -1)
    if rows.shape[1] == 1:
        return np.hstack([1 - rows, rows])
    return rows


def top_class_ids(probabilities: np.ndarray, number_top: int) -> np.ndarray:
    """Returns the ids of the most probable classes in f32 [classes], the most probable one first.

    Of equally probable classes, the one with the lower id comes first.
    """
    return np.argsort(-probabilities, kind="stable")[:number_top]


def decode(path: str) -> np.ndarray:
    """Reads an image file as u8 [H,W,3], BGR.

    Raises OSError if the file cannot be read, and ValueError or cv2.error if it cannot be decoded.
    Unlike `cv2.imread` it accepts any file name on Windows, and rejects truncated files.
    https://docs.opencv.org/5.x/d4/da8/group__imgcodecs.html
    """
    content = np.fromfile(path, np.uint8)
    pixels = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
    if pixels is None:
        raise ValueError("cannot be decoded as an image")
    return pixels


def center_box(
    pixels: np.ndarray, width: int, height: int, crop_ratio: float | Fraction
) -> tuple[float, float, float, float]:
    """Returns the part of `pixels` that torchvision's Resize and CenterCrop keep.

    It is (left, top, right, bottom) in pixels. `crop_ratio` is CenterCrop's size over Resize's. For
    a `width` of 224, 0.875 stands for Resize(256), and Fraction(224, 232) for Resize(232). Resize's
    size is rounded down, as in timm.
    https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.CenterCrop.html
    """
    old_height, old_width = pixels.shape[:2]
    if old_width * height >= old_height * width:
        new_height = math.floor(height / crop_ratio)
        new_width = new_height * old_width // old_height
    else:
        new_width = math.floor(width / crop_ratio)
        new_height = new_width * old_height // old_width
    left, top = round((new_width - width) / 2), round((new_height - height) / 2)
    x_scale, y_scale = old_width / new_width, old_height / new_height
    return left * x_scale, top * y_scale, (left + width) * x_scale, (top + height) * y_scale


def resize(
    pixels: np.ndarray,
    width: int,
    height: int,
    cubic: bool = False,
    box: tuple[float, float, float, float] | None = None,
) -> np.ndarray:
    """Resizes u8 `pixels` [H,W] or [H,W,3], or the part in `box`, like Pillow 13.

    The filter is Pillow's BILINEAR or BICUBIC, which torchvision, timm and Hugging Face use. When
    downscaling it averages all pixels, while `cv2.resize` skips most of them.
    https://pillow.readthedocs.io/en/stable/reference/Image.html#PIL.Image.Image.resize
    """
    old_height, old_width = pixels.shape[:2]
    left, top, right, bottom = box or (0, 0, old_width, old_height)
    # The order is Pillow's. It matters, because each pass rounds its result to u8
    rows_first = old_height - height > max(0, 2 * (old_width - width))
    if rows_first:
        pixels = resize_rows(pixels, height, top, bottom, cubic)
    columns = resize_rows(cv2.transpose(pixels), width, left, right, cubic)
    pixels = cv2.transpose(columns)
    if not rows_first:
        pixels = resize_rows(pixels, height, top, bottom, cubic)
    return pixels


def resize_rows(
    pixels: np.ndarray, count: int, start: float, end: float, cubic: bool
) -> np.ndarray:
    """Returns `count` weighted averages of the rows of `pixels` from `start` to `end`."""
    scale = (end - start) / count
    filter_scale = max(1, scale)  # when downscaling, the filter covers all pixels
    reach = (2 if cubic else 1) * filter_scale
    centers = start + scale * (np.arange(count) + 0.5)

    rows = pixels.reshape(len(pixels), -1)
    averages = np.empty((count, rows.shape[1]), np.uint8)
    for i in range(0, count, 6):  # six at once, because they share most of their rows
        some = centers[i : i + 6, np.newaxis]
        first = max(0, int(some[0, 0] - reach))
        last = min(len(rows), int(some[-1, 0] + reach) + 1)
        distances = np.abs(np.arange(first, last) + 0.5 - some)
        weights = filter_weights(distances / filter_scale, cubic)
        exact = weights @ rows[first:last].astype(np.float32)
        averages[i : i + 6] = np.clip(exact + 0.5, 0, 255)
    return averages.reshape(count, *pixels.shape[1:])


def filter_weights(x: np.ndarray, cubic: bool) -> np.ndarray:
    """Returns the filter's weights, f32, at the distances `x` [M,N]; each row's sum is 1."""
    if cubic:  # Keys' filter with a = -0.5
        inner = (1.5 * x - 2.5) * x * x + 1
        outer = ((2.5 - 0.5 * x) * x - 4) * x + 2
        weights = np.where(x < 1, inner, np.where(x < 2, outer, 0))
    else:
        weights = np.maximum(0, 1 - x)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


# Options


class Parser(argparse.ArgumentParser):
    """Adds OpenVINO's version and the devices to the help, as the C++ sample does."""

    def format_help(self) -> str:
        devices = f"Available target devices: {', '.join(ov.Core().available_devices)}"
        return "\n".join([super().format_help(), *VERSION_LINES, "", devices, ""])


def parse_args(argv: Sequence[str]) -> argparse.Namespace:
    parser = Parser(add_help=False, allow_abbrev=False)
    group = parser.add_argument_group("Options")
    add = group.add_argument
    # fmt: off
    add("-h", "--help", action="help",
        help="Show this help message and exit.")
    add("-m", "--model", required=True, type=existing_path,
        help="Required. Path to an .xml or .onnx file with a trained model.")
    add("-i", "--input", required=True, type=existing_path, nargs="+", action="extend",
        help="Required. Path to an image file(s), a folder(s) with images, or an IDX file(s) "
        "(.ubyte).")
    add("-d", "--device", default="CPU",
        help="Optional. Specify the target device to infer on; CPU, GPU, NPU, AUTO, HETERO:, "
        "MULTI: or BATCH: is acceptable. The sample will look for a suitable plugin for device "
        "specified. Default value is CPU.")
    add("-l", "--cpu_extension", type=existing_path,
        help="Optional. Path to a shared library with custom operations.")
    add("-pp", "--plugin_dir", type=existing_path,
        help="Optional. Path to a folder containing a plugins.xml that registers devices.")
    add("--labels", type=existing_path,
        help="Optional. Labels mapping file, one label per line. Default: the labels in the "
        "model's model_info, else the .labels file next to the model.")
    add("-nt", "--number_top", type=positive_integer, default=10,
        help="Optional. Number of top results. Default value is 10.")
    add("-ni", "--number_iter", type=positive_integer,
        help="Optional. Number of inference iterations; also prints the throughput.")
    add("-nireq", "--number_infer_requests", type=positive_integer, default=0,
        help="Optional. Number of infer requests. Default: OpenVINO chooses.")
    add("-pc", "--perf_counts", action="store_true",
        help="Optional. Report performance counters.")
    add("-b", "--batch_size", type=positive_integer,
        help="Optional. Images per inference. Default: all images, split evenly into batches of at "
        "most 8.")
    add("--reverse_input_channels", action=argparse.BooleanOptionalAction,
        help="Optional. Give the model RGB, not BGR.")
    add("--mean_values", type=channel_values, metavar="A,B,C",
        help="Optional. Values to subtract from the pixels (0..255), such as "
        "123.675,116.28,103.53, or one value for all channels.")
    add("--scale_values", type=nonzero_channel_values, metavar="A,B,C",
        help="Optional. Values to divide by after that, such as 58.395,57.12,57.375, or one value "
        "for all channels.")
    add("--center_crop", type=ratio_up_to_1, metavar="RATIO",
        help="Optional. Crop the center, to RATIO of the shorter side, such as 0.875 or 224/232.")
    add("--antialias", nargs="?", const="bilinear", choices=("bilinear", "bicubic"),
        help="Optional. Resize as Pillow and PyTorch do, bilinear if no value is given. Default: "
        "as OpenCV does.")
    add_activation = group.add_mutually_exclusive_group().add_argument
    add_activation("--softmax", dest="activation", action="store_const", const="softmax",
        help="Optional. Turn the model's outputs (logits) into probabilities.")
    add_activation("--sigmoid", dest="activation", action="store_const", const="sigmoid",
        help="Optional. Like --softmax, for models with one output or several classes per image.")
    add("--infer_precision", choices=("f32", "f16", "bf16"),
        help="Optional. Type to compute in. Default: the device chooses.")
    add("--cache_dir",
        help="Optional. Path to a folder for compiled models, which makes the next start faster.")
    add("-v", "--verbose", action="store_true",
        help="Optional. Log every step, and print the traceback of an error.")
    # fmt: on
    if not argv:
        parser.print_help(sys.stderr)
    return parser.parse_args(argv)


def existing_path(text: str) -> str:
    if not os.path.exists(text):
        raise argparse.ArgumentTypeError(f"no such file or folder: '{text}'")
    return text


def positive_integer(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"must be a positive integer, not '{text}'")
    return int(text)


def channel_values(text: str) -> list[float]:
    """Reads one number, or one for each of three channels: "127", "1,2,3", "[1,2,3]" or "1 2 3"."""
    with suppress(ValueError):
        values = [float(value) for value in text.strip("[]").replace(",", " ").split()]
        if len(values) in (1, 3) and all(map(math.isfinite, values)):
            return values
    raise argparse.ArgumentTypeError(f"must be one number or three, not '{text}'")


def nonzero_channel_values(text: str) -> list[float]:
    values = channel_values(text)
    if 0 in values:
        raise argparse.ArgumentTypeError(f"must not contain 0: '{text}'")
    return values


def ratio_up_to_1(text: str) -> Fraction:
    with suppress(ValueError, ZeroDivisionError):
        if 0 < Fraction(text) <= 1:
            return Fraction(text)
    raise argparse.ArgumentTypeError(
        f"must be above 0 and at most 1, such as 0.875 or 224/232, not '{text}'"
    )


def default_batch_size(image_count: int) -> int:
    """Divides the images into nearly equal batches of at most 8: more is no faster on a CPU."""
    return math.ceil(image_count / math.ceil(image_count / 8))


# Images


@dataclass
class Image:
    """An image: a file of its own, or one of many in an IDX file."""

    name: str
    load: Callable[[], np.ndarray]  # returns u8 [H,W,3], BGR
    error: str = ""  # why it could not be read


def list_files(paths: Sequence[str]) -> list[str]:
    """Lists the given files, and the images in each given folder sorted by name."""
    files = []
    for path in paths:
        files += list_folder(path) if os.path.isdir(path) else [path]
    return files


def list_folder(path: str) -> list[str]:
    """Lists the images in a folder, and warns of other files unless they are hidden."""
    entries = sorted(os.scandir(path), key=lambda entry: entry.name)
    files = [e.path for e in entries if not e.is_dir() and not e.name.startswith(".")]
    images = [file for file in files if is_image(file)]
    others = sorted(set(files) - set(images))
    if others:
        names = ", ".join(os.path.basename(file) for file in others[:5])
        log_warning(f"{path}: skipped files that are not images ({len(others)}): {names}")
    if not images:
        log_warning(f"{path}: no images found (subfolders are not searched)")
    return images


def is_image(path: str) -> bool:
    """Returns whether a file is an image, by its name or its content."""
    name: Any = os.fsencode(path)  # OpenCV crashes on a str that is not UTF-8
    if cv2.haveImageWriter(name):  # OpenCV knows its suffix
        return True
    return os.path.isfile(path) and (cv2.haveImageReader(name) or is_idx(path))


def is_idx(path: str) -> bool:
    """Returns whether a file is in the IDX format of MNIST, with u8 images.

    https://yann.lecun.org/exdb/mnist/index.html
    """
    with suppress(OSError), open(path, "rb") as file:
        return file.read(4) == b"\0\0\x08\x03"
    return False


def list_images(files: Sequence[str]) -> list[Image]:
    """Lists the image in each file, or all images in an IDX file.

    Raises ValueError if there are none.
    """
    images = []
    for path in files:
        images += list_idx_images(path) or [Image(path, partial(decode, path))]
    if not images:
        raise ValueError("There are no images to classify")
    return images


def list_idx_images(path: str) -> list[Image]:
    """Lists the images in an IDX file; returns an empty list for any other file.

    The file has a header of 16 bytes, 0x803, N, H and W, and then pixels u8 [N,H,W].
    """
    if not is_idx(path):
        return []
    header = np.fromfile(path, ">u4", 3, offset=4).tolist()
    if os.path.getsize(path) != 16 + math.prod(header):
        return []
    count, height, width = header
    images = []
    for number in range(count):
        offset = 16 + number * height * width
        load = partial(read_idx_image, path, offset, height, width)
        images.append(Image(f"{path}[{number}]", load))
    return images


def read_idx_image(path: str, offset: int, height: int, width: int) -> np.ndarray:
    pixels = np.fromfile(path, np.uint8, height * width, offset=offset)
    return cv2.cvtColor(pixels.reshape(height, width), cv2.COLOR_GRAY2BGR)


def read_image(
    image: Image, row: np.ndarray, crop_ratio: Fraction | None, antialias: str | None
) -> None:
    """Reads `image` into `row` [H,W,C]; on failure, stores the reason in `image.error`."""
    height, width, channels = row.shape
    try:
        pixels = image.load()
        if channels == 1:
            pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
        box = center_box(pixels, width, height, crop_ratio) if crop_ratio else None
        if antialias:
            pixels = resize(pixels, width, height, cubic=antialias == "bicubic", box=box)
        else:
            if box:
                left, top, right, bottom = map(round, box)
                pixels = pixels[top : max(bottom, top + 1), left : max(right, left + 1)]
            pixels = cv2.resize(pixels, (width, height))
        row[:] = pixels.reshape(row.shape)
    except OSError as error:
        image.error = error.strerror or str(error)
    except (ValueError, cv2.error) as error:
        image.error = error_text(error)


def repeat_batches(
    batches: Iterable[tuple[list, ov.Tensor]], iterations: int
) -> Iterator[tuple[list, ov.Tensor]]:
    """Yields each (batch, tensor), then `iterations` - 1 times ([], tensor)."""
    for batch, tensor in batches:
        yield batch, tensor
        for _ in range(iterations - 1):
            yield [], tensor  # infer it again, without tables


# The model


def add_plugins_and_extensions(core: ov.Core, args: argparse.Namespace) -> None:
    if args.plugin_dir:
        core.register_plugins(os.path.join(args.plugin_dir, "plugins.xml"))
    if args.cpu_extension:
        library = os.path.abspath(args.cpu_extension)
        ctypes.CDLL(library)  # keep it loaded for longer than the model
        core.add_extension(library)


def find_model_file(path: str) -> str:
    """Returns the path for `read_model`; for a folder with exactly one .xml file, that file."""
    if path.endswith((".keras", ".h5", ".pt", ".pth")):
        raise ValueError(f"Convert {path} first: see 'Your own model' in README.md")
    if os.path.isdir(path):
        models = [entry.path for entry in os.scandir(path) if entry.name.endswith(".xml")]
        if len(models) == 1:
            return models[0]
    return path


def check_model(model: ov.Model) -> str:
    """Returns the layout of `model`.

    Raises ValueError unless it classifies images of a fixed size.
    """
    inputs, outputs = model.inputs, model.outputs
    if len(inputs) != 1 or len(outputs) != 1:
        raise ValueError(
            f"The model must have 1 input and 1 output, not {len(inputs)} and {len(outputs)}: "
            "see 'Change a model' in README.md"
        )
    output_type, shape = outputs[0].element_type, outputs[0].partial_shape
    sizes = list(shape) if shape.rank.is_static else []
    is_image_of_1_pixel = len(sizes) == 4 and (sizes[1:3] == [1, 1] or sizes[2:] == [1, 1])
    is_vector = len(sizes) == 2 or is_image_of_1_pixel
    if not is_vector or not (output_type.is_real() or output_type.size == 1):
        name = output_type.get_type_name()
        raise ValueError(f"The model's output {name} {shape} is not one probability per class")

    layout = find_layout(model)
    shape = inputs[0].partial_shape
    channels, height, width = (shape[layout.index(letter)] for letter in "CHW")
    if channels.is_dynamic or height.is_dynamic or width.is_dynamic:
        common_sizes = {"N": -1, "C": 3, "H": 224, "W": 224}
        example = [common_sizes[letter] for letter in layout]
        raise ValueError(
            f"The model's input {layout} {shape} has no fixed size. Give it one, such as "
            f"model.reshape({example}): see 'Change a model' in README.md"
        )
    if channels not in (1, 3):
        raise ValueError(f"The model's input {layout} {shape} does not have 1 or 3 channels")
    return layout


def count_classes(model: ov.Model, activation: str | None) -> int:
    """Returns the number of classes; a single output, the probability of class 1, counts as two.

    Raises ValueError if the number depends on the image, or for the softmax of a single output.
    """
    if model.output().partial_shape.is_dynamic:
        raise ValueError("The model's number of classes depends on the image")
    output_count = math.prod(model.output().shape[1:])
    if output_count == 1 and activation == "softmax":
        raise ValueError("The softmax of a single output is always 1: use --sigmoid")
    return max(2, output_count)


YES = ("YES", "True", "true")  # OpenVINO, Python and C++ write it differently in model_info


def read_model_info(model: ov.Model) -> tuple[dict[str, Any], list[str]]:
    """Returns the options, by name, and the labels in the `model_info` of `model`.

    OpenVINO's Model API, Geti and Ultralytics write it. Raises ValueError if a number is invalid.
    https://github.com/open-edge-platform/model_api
    """
    stated = dict(model.rt_info.items()).get("model_info", {})
    texts = {name: str(getattr(value, "value", "")) for name, value in stated.items()}
    info = {name: text for name, text in texts.items() if text not in ("", "None")}
    options: dict[str, Any] = {}
    if info.get("multilabel") in YES:
        options["activation"] = "sigmoid"
    if info.get("embedded_processing") not in YES:  # otherwise the graph does all of this itself
        if info.get("reverse_input_channels") in YES:
            options["reverse_input_channels"] = True
        if info.get("resize_type") == "crop":
            options["center_crop"] = Fraction(1)
        if info.get("model_type") == "YOLO":  # Ultralytics
            options |= {"center_crop": Fraction(1), "antialias": "bilinear"}
        try:
            options |= read_mean_and_scale(info)
        except argparse.ArgumentTypeError as error:
            raise ValueError(f"Invalid value in the model's model_info: {error}") from error
    return options, info.get("labels", "").split()


def read_mean_and_scale(info: dict[str, str]) -> dict[str, list[float]]:
    """Returns the mean and the scale in `info`, a model's model_info, for pixels in 0..255."""
    maximum = 1.0
    mode = info.get("intensity_mode", "none")
    if mode == "scale_to_unit":  # its mean and scale are for pixels in 0..1
        maximum = nonzero_channel_values(info.get("intensity_max_value", "255"))[0]
    elif mode != "none":
        log_warning(f"The sample does not support intensity_mode '{mode}' in model_info")
    options = {}
    if "mean_values" in info:
        options["mean_values"] = [maximum * value for value in channel_values(info["mean_values"])]
    if "scale_values" in info or maximum != 1:
        scale = nonzero_channel_values(info.get("scale_values", "1"))
        options["scale_values"] = [maximum * value for value in scale]
    return options


def fill_options(args: argparse.Namespace, model_options: dict[str, Any]) -> list[str]:
    """Fills in the options that the user did not give; returns lines to log."""
    lines = []
    for name, value in model_options.items():
        if getattr(args, name) is None:
            setattr(args, name, value)
            lines.append(f"Taken from the model's model_info: {name} {value}")
    for values in (args.mean_values, args.scale_values):
        if values and 0 < max(map(abs, values)) < 1:
            log_warning(
                f"Mean and scale are for pixels in 0..255. If {values} are for pixels in 0..1, "
                "multiply them by 255"
            )
    return lines


def optional_properties(args: argparse.Namespace) -> dict[Any, Any]:
    """Returns the compile properties that the user's options set."""
    properties: dict[Any, Any] = {}
    if args.perf_counts:
        properties[enable_profiling] = True
    if args.infer_precision:
        properties[hint.inference_precision] = args.infer_precision
    if args.cache_dir:
        properties[cache_dir] = args.cache_dir
    return properties


def device_error_text(core: ov.Core, device: str, error: RuntimeError) -> str:
    devices = ", ".join(core.available_devices)
    text = f"Cannot load the model onto the device {device} (available target devices: {devices})"
    return f"{text}: {error_text(error)}"


# Labels


def read_labels(
    path: str | None, model_labels: list[str], model_path: str, class_count: int
) -> list[str] | None:
    """Returns a label for each class: those in `path`, or else in the model, or else in a file
    beside it.
    """
    if not path and model_labels:
        source = "The model_info"
        labels = [label.replace("_", " ") for label in model_labels]
    else:
        is_folder = os.path.isdir(model_path)
        stem = os.path.normpath(model_path) if is_folder else os.path.splitext(model_path)[0]
        source = path or stem + ".labels"
        if not path and not os.path.isfile(source):
            return None
        labels = read_label_file(source)
    if len(labels) != class_count:
        log_warning(
            f"{source} has {len(labels)} labels, but the model has {class_count} classes. Labels "
            "are not shown: there must be one per line, with 'background' if it is a class"
        )
        return None
    return labels


def read_label_file(path: str) -> list[str]:
    """Reads one label per line, without the line's number or WordNet id in front of it."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            labels = [line.strip() for line in file.read().rstrip().split("\n")]
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text") from error
    numbered = [re.fullmatch(r"(\d+)(?::\s*|\s+)(.*)", label) for label in labels]
    if all(match and match[1] == str(index) for index, match in enumerate(numbered)):
        labels = [match[2] for match in numbered if match]
    return [re.sub(r"^n\d{8}\s+", "", label) for label in labels]


# Output

VERSION_LINES = (
    f"OpenVINO Runtime version ......... {ov.get_version().partition('-')[0]}",
    f"Build ........... {ov.get_version()}",
)
CLOSING_LINE = (
    "This sample is an API example. "
    "Use the dedicated `benchmark_app` tool for any performance measurements."
)


def log(*lines: str) -> None:
    """Prints in one write, so that tables stay whole if several programs share a terminal."""
    text = "".join(f"[ INFO ] {line}".rstrip() + "\n" for line in lines)
    print(text, end="", flush=True)


def ignore(*lines: str) -> None:
    pass


def log_warning(text: str) -> None:
    print(f"[ WARNING ] {text}", file=sys.stderr, flush=True)


def describe(model: ov.Model) -> list[str]:
    lines = [f"model name: {model.friendly_name}"]
    for kind, ports in (("input", model.inputs), ("output", model.outputs)):
        lines.append(f"    {kind}s")
        for port in ports:
            sizes = ", ".join(map(str, port.partial_shape))
            lines.append(f"        {kind} name: {port.any_name if port.names else 'NONE'}")
            lines.append(f"        {kind} type: {port.element_type.get_type_name()}")
            lines.append(f"        {kind} shape: {{{sizes}}}")
    return lines


def log_tables(
    images: Sequence[Image], rows: np.ndarray, number_top: int, labels: Sequence[str] | None
) -> None:
    """Logs a table of each image's row of `rows` [N,classes], or why it could not be read.

    A last batch can have fewer images than rows.
    """
    header = "class_id probability" if labels is None else "class_id probability label"
    for image, probabilities in zip(images, rows):
        if image.error:
            log_warning(f"{image.name}: {image.error}")
            continue
        class_ids = top_class_ids(probabilities, number_top)
        lines = [f"Image path: {image.name}", f"Top {len(class_ids)} results:"]
        lines += [header, "-" * len(header)]
        for class_id in class_ids:
            row = f"{class_id:<8} {probabilities[class_id]:.7f}"
            lines.append(row if labels is None else f"{row:<20} {labels[class_id]}")
        log(*lines, "")


def warn_unless_probabilities(rows: Sequence[np.ndarray]) -> bool:
    """Warns if values are out of the range of probabilities; returns whether it did."""
    low, high = np.min(rows), np.max(rows)
    if low >= 0 and high <= 1.1:  # in f16, probabilities reach 1.025
        return False
    log_warning(
        f"The model's outputs are not probabilities ({low:g} to {high:g}). If they are logits, "
        "add --softmax, or --sigmoid for one output or several classes per image"
    )
    return True


def log_perf_counts(layers: Sequence[ov.ProfilingInfo]) -> None:
    rows = [("name", "layer_type", "exec_type", "status", "real_time_us")]
    for layer in layers:
        time_us = round(layer.real_time.total_seconds() * 1e6)
        rows.append(
            (layer.node_name, layer.node_type, layer.exec_type, layer.status.name, str(time_us))
        )
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ["  ".join(map(str.ljust, row, widths)) for row in rows]
    log("Performance counters:", *lines, f"Total time: {sum(int(r[-1]) for r in rows[1:])} us", "")


def error_text(error: Exception) -> str:
    """Returns the message of `error` on one line, without locations in OpenVINO's source."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    lines = [line for line in str(error).splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith(("Exception from ", "Check '"))]
    return " ".join(said or lines) or type(error).__name__


# The program


def main(argv: Sequence[str]) -> int:
    args = parse_args(argv)
    try:
        return classify_images(args)
    except (OSError, RuntimeError, ValueError, cv2.error) as error:
        if args.verbose:
            traceback.print_exc()
        print(f"[ ERROR ] {error_text(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # in a container or a notebook: see set_up_process
        return 130


def set_up_process() -> None:
    """Prepares the process of the command line; a copied function needs none of this."""
    # Let Ctrl-C end the program at once, even inside OpenVINO. In the first process of a container
    # the default action does nothing: leave Python's there
    if os.getpid() != 1:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # let `| head` end it without an error
    # Escape characters in labels and file names that the terminal cannot show
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    # Reuse the memory of freed images (glibc): a run over many photos takes a quarter less time
    with suppress(AttributeError, OSError, TypeError):
        for option in (-1, -3):  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
            ctypes.CDLL(None).mallopt(option, 2**25)


if __name__ == "__main__":
    if isinstance(sys.stdout, io.TextIOWrapper):  # a notebook's process is not ours to set up
        set_up_process()
    sys.exit(main(sys.argv[1:]))
