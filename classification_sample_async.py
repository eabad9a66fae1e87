#!/usr/bin/env python3
"""Classifies images with OpenVINO's asynchronous API and prints the most probable classes of each.

    python classification_sample_async.py -m data/efficientnet-lite0.xml -i data/images

Two parts: the pieces, to copy, each of which works alone below the imports, and the sample that uses them, down to
`classify_images`, the recipe in numbered steps. A program uses the pieces in this order:

    build_preprocessing   makes a model take images as OpenCV decodes them
    apply_batch_size      sets how many images one inference takes
    decode                reads an image file
    center_crop           crops an image to its center, as most models expect
    read_ahead            fills tensors with images, on all cores, ahead of the inference
    infer_in_order        runs an AsyncInferQueue and yields its results in the order of the inputs
    top_class_ids         ranks the classes
"""

import argparse
import atexit
import ctypes
import math
import os
import re
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
from functools import partial
from itertools import islice
from typing import Any

if __name__ == "__main__":
    # OpenCV's own messages name no file, and the threads that OpenBLAS starts for numpy would be idle.
    os.environ.update({"OPENCV_LOG_LEVEL": "SILENT", "OPENBLAS_NUM_THREADS": "1", **os.environ})
    # Ctrl-C ends the program at once, even in the imports below and inside OpenVINO, unless the parent ignored SIGINT.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

# OpenVINO reports its import to Google Analytics if this package is there: a forked process, a quarter of the import's
# time, and seconds where no name server answers. A sample does not need it.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

import cv2
import numpy as np
import openvino as ov
from openvino import opset13 as ops
from openvino.preprocess import PrePostProcessor
from openvino.properties import cache_dir, enable_profiling, hint


def build_preprocessing(
    model: ov.Model,
    reverse_channels: bool = False,
    mean: float | Sequence[float] | np.ndarray | None = None,
    scale: float | Sequence[float] | np.ndarray | None = None,
    softmax: bool = False,
) -> ov.Model:
    """Makes `model`, with one image input of any layout, take u8 [N,H,W,C], as OpenCV decodes images, and return f32.

    The device then runs the conversion, in this order: `reverse_channels` turns BGR into RGB, `mean` is subtracted, the
    result is divided by `scale`. Both are in units of 0..255, one number for each channel of the model or one for all;
    for an integer input the result is rounded and clamped, and i8 with neither gets TFLite's mean, 128.
    `softmax` turns logits of any shape into probabilities [N,classes]. 8-bit outputs become TFLite's probabilities,
    q/256 for u8 and (q + 128)/256 for i8. A layout that is not stated is NCHW if shape[1] is 1 or 3, else NHWC.

    Use only the returned model. Raises ValueError if input or output is unsuitable, RuntimeError if `mean` or `scale`
    has the wrong number of values.
    https://docs.openvino.ai/2025/api/ie_python_api/_autosummary/openvino.preprocess.PrePostProcessor.html
    """
    shape, input_type = model.input().partial_shape, model.input().element_type
    output_type, output_shape = model.output().element_type, model.output().partial_shape
    if shape.rank != 4 or 0 in shape:
        raise ValueError(f"an input of shape {shape} is not for images: [N,C,H,W] or [N,H,W,C] is")
    type_in, type_out = input_type.get_type_name(), output_type.get_type_name()
    if not (input_type.is_real() or type_in[1:] in ("8", "16", "32", "64")) or type_out == "u1":
        raise ValueError(f"types {type_in} in and {type_out} out are not supported")
    if softmax and (not output_type.is_real() or all(size == 1 for size in list(output_shape)[1:])):
        raise ValueError(f"softmax needs several classes in floating point, not {type_out} {output_shape}")
    layout = ov.layout_helpers.get_layout(model.input())
    if not set("NCHW") <= set(str(layout)):
        layout = ov.Layout("NCHW" if shape[1] in (1, 3) else "NHWC")
    if input_type == ov.Type.i8 and mean is None and scale is None:
        mean = 128

    ppp = PrePostProcessor(model)
    ppp.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    ppp.input().model().set_layout(layout)
    steps = ppp.input().preprocess()
    if reverse_channels:
        steps.reverse_channels()
    if mean is not None:
        steps.convert_element_type(ov.Type.f32).mean(np.ravel(mean).tolist())
    if scale is not None:
        steps.convert_element_type(ov.Type.f32).scale(np.ravel(scale).tolist())
    if not input_type.is_real() and not (mean is None and scale is None):
        limits = np.iinfo(input_type.to_dtype())  # in f32 the greatest 32-bit integers would be rounded up
        steps.custom(lambda pixels: ops.round(ops.clamp(pixels, limits.min, limits.max * (1 - 2**-24))).output(0))
    output_steps = ppp.output().postprocess().convert_element_type(ov.Type.f32)
    if output_type in (ov.Type.u8, ov.Type.i8):
        zero_point = np.float32(0 if output_type == ov.Type.u8 else -128)
        output_steps.custom(lambda output: ops.divide(ops.subtract(output, zero_point), np.float32(256)).output(0))
    if softmax:
        output_steps.custom(lambda output: ops.softmax(ops.reshape(output, [0, -1], special_zero=True), 1).output(0))
    return ppp.build()


def apply_batch_size(model: ov.Model, batch_size: int) -> int:
    """Sets the batch of `model`, whose input has a layout with N, and returns the batch size that it then has.

    It stays the model's own if the graph allows no other: some fix it in a Reshape, so that `ov.set_batch` raises or
    the output's first dimension does not follow. Raises RuntimeError without a layout, ValueError if the output's
    first dimension is not the batch.
    https://docs.openvino.ai/2025/openvino-workflow/running-inference/changing-input-shape.html
    """

    def output_sizes(size: int) -> list[ov.Dimension]:
        with suppress(RuntimeError):
            ov.set_batch(model, size)
            return list(model.output().partial_shape)
        return []

    own_batch = ov.get_batch(model)
    probe = 991 if 997 in model.output().partial_shape else 997  # an odd batch size shows where N is in the output
    sizes = output_sizes(probe)
    if sizes[:1] != [probe]:
        batch_size = own_batch.get_length() if own_batch.is_static else 1
    layout = str(ov.layout_helpers.get_layout(model.output()))
    if probe in sizes[1:] or output_sizes(batch_size)[:1] != [batch_size] or "N" in layout[2:]:
        raise ValueError(f"the first dimension of its output {model.output().partial_shape} is not the batch")
    return batch_size


def decode(path: str, flags: int = cv2.IMREAD_COLOR, buffer: np.ndarray | None = None) -> np.ndarray:
    """Reads an image file as `cv2.imread(path, flags)` does: u8 [H,W,3] in BGR order, or [H,W] for IMREAD_GRAYSCALE.

    `buffer`, from an earlier call, is overwritten and returned if the image has its size: allocating the memory for a
    photo takes almost as long as decoding it.
    Raises OSError if the file cannot be opened, ValueError if it is not a regular file or cannot be decoded.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError("is not a regular file")
    file_name: Any = os.fsencode(path)  # OpenCV 5.0.0 crashes on a str that is not UTF-8
    pixels = None
    if buffer is not None:
        buffer.fill(0)  # a truncated file leaves the rest as it is: no remains of the last image
        with suppress(cv2.error):  # another size
            pixels = cv2.imread(file_name, buffer, flags)
        if pixels is not None and not cv2.hasNonZero(pixels.reshape(-1)):
            pixels = None  # on failure OpenCV returns None or the buffer untouched
    try:
        if pixels is None:
            pixels = cv2.imread(file_name, flags)
    except cv2.error as error:
        raise ValueError(f"cannot be decoded as an image: {error.err}") from error
    if pixels is None:
        with open(path, "rb"):  # raises if that is why
            raise ValueError("cannot be decoded as an image")
    return pixels


def center_crop(pixels: np.ndarray, width: int, height: int, ratio: float) -> np.ndarray:
    """Returns a view of the center of `pixels` [H,W,...]: `ratio` of its largest part of width:height."""
    scale = ratio * min(pixels.shape[0] / height, pixels.shape[1] / width)
    crop_height, crop_width = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (pixels.shape[0] - crop_height) // 2, (pixels.shape[1] - crop_width) // 2
    return pixels[top : top + crop_height, left : left + crop_width]


def read_ahead(
    items: Iterable[Any], shape: Sequence[int], read: Callable[[Any, np.ndarray], None]
) -> Iterator[tuple[list[Any], ov.Tensor]]:
    """Starts to read `items` at once; returns an iterator over pairs: shape[0] items and a u8 tensor of `shape`.

    `read(item, row)` is called on a pool of threads, to write an item into its row of the tensor; what it raises is
    raised here. The last list may be shorter: rows without an item are zero. One batch is read ahead, plus as many as
    give each core an item: that bounds the memory, however many items there are.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    pool = ThreadPoolExecutor(cores)
    items = iter(items)

    def start_reading(batch: list[Any]) -> tuple[list[Any], ov.Tensor, list[Future]]:
        tensor = ov.Tensor(ov.Type.u8, ov.Shape(shape))
        tensor.data.fill(0)
        return batch, tensor, [pool.submit(read, item, row) for item, row in zip(batch, tensor.data)]

    batches = iter(lambda: list(islice(items, shape[0])), [])  # itertools.batched, before Python 3.12
    reading = deque(map(start_reading, islice(batches, 1 + math.ceil(cores / shape[0]))))

    def generate() -> Iterator[tuple[list[Any], ov.Tensor]]:
        try:
            yield [], ov.Tensor(ov.Type.u8, [0])  # for `next` below: `finally` needs a generator that has begun
            while reading:
                batch, tensor, jobs = reading.popleft()
                reading.extend(map(start_reading, islice(batches, 1)))
                for job in jobs:
                    job.result()
                yield batch, tensor
        finally:
            pool.shutdown(cancel_futures=True)

    results = generate()
    next(results)
    return results


def infer_in_order(
    queue: ov.AsyncInferQueue, inputs: Iterable[tuple[Any, ov.Tensor | np.ndarray]]
) -> Iterator[tuple[Any, np.ndarray]]:
    """Infers the tensors of `inputs`, pairs of a key and a tensor; yields each key with a copy of the output, in order.

    `queue` is of a model with one input and one output. A result is yielded once the next input is there and all
    results before it are; at most eight per request of the queue wait behind a slow one.
    Raises what inference or `inputs` raises. However it ends, no request is left running.
    https://docs.openvino.ai/2025/api/ie_python_api/_autosummary/openvino.AsyncInferQueue.html
    """
    started: deque[tuple[Any, Future]] = deque()

    def keep_output(request: ov.InferRequest, future: Future) -> None:
        # An exception that escapes a callback ends the process at the second use of the queue after it.
        try:
            future.set_result(request.get_output_tensor().data.copy())  # the request's next run overwrites its tensor
        except Exception as error:
            future.set_exception(error.with_traceback(None))  # it would keep this function alive

    def finish() -> None:
        for request in queue:
            with suppress(Exception):  # a failed request raises again
                request.wait()
        queue.set_callback(lambda request, future: None)
        callback_released.wait(timeout=1)

    # Threads of OpenVINO let go of the callback a moment after a request is done, and need the interpreter for it. If
    # the core or the compiled model is deleted in that moment, the program hangs; if the interpreter ends, it aborts.
    callback_released = threading.Event()
    weakref.finalize(keep_output, callback_released.set)
    queue.set_callback(keep_output)
    del keep_output
    atexit.register(finish)  # a generator that is still bound to a name is not closed before the interpreter ends
    try:
        for key, tensor in inputs:
            started.append((key, Future()))
            # Waits for an idle request, which takes an ov.Tensor as it is and copies anything else.
            queue.start_async(tensor, userdata=started[-1][1])
            if len(started) > 8 * len(queue):
                queue.wait_all()
            while started and started[0][1].done():
                key, future = started.popleft()
                yield key, future.result()
        queue.wait_all()
        for key, future in started:
            yield key, future.result()
    finally:
        finish()
        atexit.unregister(finish)


def top_class_ids(probabilities: np.ndarray, number_top: int) -> np.ndarray:
    """The class ids of `probabilities` [classes], the most probable first; ties by lower id, NaN last."""
    return np.argsort(-probabilities, kind="stable")[:number_top]


# The sample

IDX_SUFFIX = "ubyte"  # of the files of MNIST: https://yann.lecun.org/exdb/mnist/index.html
IDX_TYPES = {0x08: "u8", 0x09: "i8", 0x0B: "i16", 0x0C: "i32", 0x0D: "f32", 0x0E: "f64"}
DEFAULT_BATCH_LIMIT = 8
Image = tuple[str, Callable[..., np.ndarray]]  # a name, and decode(flags, buffer): the piece, or its like for IDX


class SampleError(Exception):
    """Its message is all that the user needs to read."""


@contextmanager
def on_error(message: str, advice: Callable[[], str] = str) -> Iterator[None]:
    """Turns any exception into a SampleError that says in one line what failed, why, and what `advice` returns."""
    try:
        yield
    except SampleError:
        raise
    except Exception as error:
        raise SampleError(f"{message}: {reason(error)}{advice()}") from error


def reason(error: BaseException) -> str:
    """Returns one line, the last: OpenVINO names places in its sources first and the cause at the end."""
    text = (isinstance(error, OSError) and error.strerror) or str(error)
    return text.strip().rpartition("\n")[2].strip() or type(error).__name__


class Parser(argparse.ArgumentParser):
    def format_help(self) -> str:
        devices = f"Available target devices: {', '.join(ov.Core().available_devices)}"
        return "\n".join([super().format_help(), *version_lines(), "", devices, ""])


def option_type(convert: Callable[[str], Any], is_valid: Callable[[Any], bool], expected: str) -> Callable[[str], Any]:
    """Returns an argparse type whose errors say what the option's value must be."""

    def parse(text: str) -> Any:
        with suppress(ValueError):
            value = convert(text)
            if is_valid(value):
                return value
        raise argparse.ArgumentTypeError(f"must be {expected}, not '{text}'")

    return parse


def channel_values(smallest: float) -> Callable[[str], list[float]]:
    return option_type(
        lambda text: [float(value) for value in text.strip("[]()").replace(",", " ").split()],
        lambda values: len(values) in (1, 3) and all(smallest <= abs(value) <= 1e18 for value in values),
        f"one number or three separated by commas, {smallest:g} to 1e18 in size",
    )


def parse_args(argv: Sequence[str]) -> argparse.Namespace:
    parser = Parser(add_help=False)
    add = parser.add_argument_group("Options").add_argument
    path_type = option_type(str, bool, "a path")
    count_type = option_type(int, lambda value: 1 <= value < 2**31, f"an integer from 1 to {2**31 - 1}")
    count_or_0_type = option_type(int, lambda value: 0 <= value < 2**31, f"an integer from 0 to {2**31 - 1}")
    # fmt: off
    add("-h", "--help", action="help", help="Show this help message and exit.")
    add("-m", "--model", required=True, type=path_type,
        help="Required. Path to an .xml or .onnx file with a trained model, or to any other model that OpenVINO reads.")
    add("-i", "--input", required=True, type=path_type, nargs="+", action="extend",
        help="Required. Path to an image file(s), to a folder(s) with images, or to an IDX file(s) (.ubyte).")
    add("-d", "--device", default="CPU",
        help="Optional. Specify the target device to infer on; CPU, GPU, NPU, AUTO, HETERO:, MULTI: or BATCH: is "
        "acceptable. The sample will look for a suitable plugin for device specified. Default value is CPU.")
    add("-l", "--cpu_extension", type=path_type,
        help="Optional. Required for custom operations. Path to a shared library with their implementations.")
    add("-pp", "--plugin_dir", type=path_type,
        help="Optional. Path to a plugin folder. The devices that its plugins.xml names become available to -d.")
    add("--labels", type=path_type,
        help="Optional. Labels mapping file, a label a line. Default: the model's model_info or .labels file.")
    add("-nt", "--number_top", type=count_type, default=10,
        help="Optional. Number of top results. Default value is 10.")
    add("-ni", "--number_iter", type=count_type,
        help="Optional. Number of inference iterations; if given, the throughput is reported. Default value is 1.")
    add("-nireq", "--number_infer_requests", type=count_or_0_type, default=0,
        help="Optional. Number of infer requests. Default value is 0: as many as are optimal for the device.")
    add("-pc", "--perf_counts", action="store_true", help="Optional. Report performance counters.")
    add("-b", "--batch_size", type=count_type,
        help=f"Optional. Batch size. Default is all images, or equal batches of at most {DEFAULT_BATCH_LIMIT}.")
    add("--reverse_input_channels", action="store_true", default=None,
        help="Optional. Give the model its images in RGB order instead of BGR.")
    add("--mean_values", type=channel_values(0), metavar="VALUES",
        help="Optional. Mean values to subtract, in the model's channel order: 123.675,116.28,103.53 or 127.")
    add("--scale_values", type=channel_values(1e-18), metavar="VALUES",
        help="Optional. Scale values to divide by after the mean values are subtracted.")
    add("--center_crop", type=option_type(float, lambda ratio: 0 < ratio <= 1, "above 0, at most 1"), metavar="RATIO",
        help="Optional. Classify the center of each image, RATIO of its shorter side. Default is the whole image.")
    add("--softmax", action="store_true", help="Optional. Turn the model's outputs (logits) into probabilities.")
    add("--infer_precision", choices=("f32", "f16", "bf16"),
        help="Optional. Precision to infer with. Default is the device's own choice.")
    add("-cdir", "--cache_dir", type=path_type,
        help="Optional. Path to a folder where compiled models are cached, to load faster the next time.")
    add("-v", "--verbose", action="store_true", help="Optional. Log every step, and the traceback of an error.")
    # fmt: on
    if not argv:
        parser.print_help(sys.stderr)
    return parser.parse_args(argv)


def log(*lines: str) -> None:
    """Prints to standard output in one write, so that tables stay whole where several runs share a terminal."""
    with on_error("Cannot write to standard output"):
        if sys.stdout is None:
            raise ValueError("it is closed")
        print("\n".join(f"[ INFO ] {line}" if line else "[ INFO ]" for line in lines), flush=True)


def log_to_stderr(text: str) -> None:
    """Prints in one write, or not at all where standard error cannot be written: the tables matter more."""
    try:
        if sys.stderr:
            print(text, end="", file=sys.stderr, flush=True)
    except OSError:
        sys.stderr = None  # type: ignore[assignment]


def log_warning(message: str) -> None:
    log_to_stderr(f"[ WARNING ] {message}\n")


def version_lines() -> tuple[str, str]:
    version, build = ov.get_version().partition("-")[0], ov.get_version()
    return f"OpenVINO Runtime version ......... {version}", f"Build ........... {build}"


def model_lines(model: ov.Model) -> list[str]:
    lines = [f"model name: {model.friendly_name}"]
    for kind, ports in (("input", model.inputs), ("output", model.outputs)):
        lines.append(f"    {kind}s")
        for port in ports:
            lines.append(f"        {kind} name: {port.any_name if port.names else 'NONE'}")
            lines.append(f"        {kind} type: {port.element_type.get_type_name()}")
            lines.append(f"        {kind} shape: {{{', '.join(map(str, port.partial_shape))}}}")
    return lines


def log_table(name: str, probabilities: np.ndarray, number_top: int, labels: Sequence[str] | None) -> None:
    class_ids = top_class_ids(probabilities, number_top)
    header = "class_id probability" if labels is None else "class_id probability label"
    lines = [f"Image path: {name}", f"Top {len(class_ids)} results:", header, "-" * len(header)]
    for class_id in class_ids:
        row = f"{class_id:<8} {probabilities[class_id]:.7f}"
        if labels is not None:
            row = f"{row:<20} {labels[class_id] if class_id < len(labels) else ''}".rstrip()
        lines.append(row)
    log(*lines, "")


def log_perf_counts(layers: Sequence[ov.ProfilingInfo]) -> None:
    microseconds = [round(layer.real_time.total_seconds() * 1e6) for layer in layers]
    rows = [("name", "layer_type", "exec_type", "status", "real_time_us")]
    for layer, time_us in zip(layers, microseconds):
        rows.append((layer.node_name, layer.node_type, layer.exec_type, layer.status.name, str(time_us)))
    widths = [max(map(len, column)) for column in zip(*rows)]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    log("Performance counters:", *table, f"Total time: {sum(microseconds)} us", "")


def list_files(path: str) -> list[str]:
    """Lists the images in a folder, sorted by name; a file stands for itself."""
    if not os.path.isdir(path):
        return [path]
    with on_error(f"Cannot read the folder {path}"):
        if not (images := list(filter(looks_like_image, sorted(entry.path for entry in os.scandir(path))))):
            raise ValueError("there are no images in it")
    return images


def looks_like_image(path: str) -> bool:
    """Decides by the suffix, or else the signature; a file that cannot be read counts, so that it is reported."""
    file_name: Any = os.fsencode(path)
    if path.lower().endswith((IDX_SUFFIX, ".exr")) or cv2.haveImageWriter(file_name):  # which refuses the suffix .exr
        return not os.path.isdir(path)
    return os.path.isfile(path) and (not os.access(path, os.R_OK) or cv2.haveImageReader(file_name))


def list_idx_images(path: str) -> list[Image]:
    """Lists the images of an IDX file: u8 [N,H,W] after a header of 0, 0, type, 3 and big-endian u32 N, H, W."""
    with open(path, "rb") as file:
        header = file.read(16)
    if len(header) < 16 or header[:2] != b"\0\0" or header[2] not in IDX_TYPES:
        raise ValueError(f"is not an IDX file: it begins with {header[:4]!r}")
    if IDX_TYPES[header[2]] != "u8" or header[3] != 3:
        raise ValueError(f"holds {IDX_TYPES[header[2]]} in {header[3]}-D; images are u8 in 3-D")
    count, height, width = np.frombuffer(header[4:], ">u4").tolist()
    size = height * width
    if count * size == 0:
        raise ValueError(f"holds {count} images of {height}x{width} pixels")

    def decode_image(index: int, flags: int, _: Any) -> np.ndarray:
        if 16 + (index + 1) * size > os.path.getsize(path):
            raise ValueError("missing: the file ends early")
        pixels = np.fromfile(path, np.uint8, size, offset=16 + index * size).reshape(height, width)
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR) if flags == cv2.IMREAD_COLOR else pixels

    complete = min(count, (os.path.getsize(path) - 16) // size)
    names = [f"{path}[{index}]" for index in range(complete)]
    names += [f"{path}[{complete}..{count - 1}]"] if complete < count else []
    return [(name, partial(decode_image, index)) for index, name in enumerate(names)]


def list_images(path: str, errors: dict[Image, str]) -> list[Image]:
    """Lists the images in a file, more than one in an IDX file; `errors` says why if that holds none."""
    whole_file = (path, partial(decode, path))
    if path.lower().endswith(IDX_SUFFIX) and os.path.isfile(path):
        try:
            return list_idx_images(path)
        except (OSError, ValueError) as error:
            errors[whole_file] = reason(error)
    return [whole_file]


def image_reader(shape: ov.Shape, ratio: float | None, errors: dict[Image, str]) -> Callable[[Image, np.ndarray], None]:
    """Returns the `read` of `read_ahead` for `shape` [N,H,W,C]; `errors` says why an image was not read."""
    if shape[3] not in (1, 3):
        raise ValueError(f"only 1 or 3 channels are supported, its input is {shape} as [N,H,W,C]")
    flags = cv2.IMREAD_COLOR if shape[3] == 3 else cv2.IMREAD_GRAYSCALE
    thread = threading.local()

    def read(image: Image, row: np.ndarray) -> None:
        height, width, _ = row.shape
        try:
            thread.pixels = image[1](flags, getattr(thread, "pixels", None))
            part = center_crop(thread.pixels, width, height, ratio) if ratio else thread.pixels
            row[:] = cv2.resize(part, (width, height)).reshape(row.shape)
        except Exception as error:
            errors.setdefault(image, reason(error))

    return read


def labels_beside(model_path: str) -> str | None:
    path = os.path.abspath(model_path)
    path = (path if os.path.isdir(path) else os.path.splitext(path)[0]) + ".labels"
    return path if os.path.isfile(path) else None


def read_labels(path: str) -> list[str]:
    """Reads one label per class id, in any encoding that extends ASCII, without WordNet ids (`n01440764 tench`)."""
    with on_error(f"Cannot read the labels {path}"), open(path, "rb") as file:
        content = file.read().removeprefix("\ufeff".encode())
        if b"\0" in content:
            raise ValueError("binary, or text in UTF-16")
    return [re.sub(r"^n\d{8}\s+", "", os.fsdecode(line).strip()) for line in content.rstrip().splitlines()]


def options_in_model_info(model: ov.Model) -> Iterator[tuple[str, Any]]:
    """Yields the options that `model` states in its `model_info`, as OpenVINO's Model API, Geti and others write it.

    With `embedded_processing` the graph does all that itself; if it also resizes, its input is set to the size that it
    resizes to. https://github.com/open-edge-platform/model_api
    """
    info = dict(model.rt_info.items()).get("model_info")
    values = info.items() if isinstance(info, dict) else ()
    stated = {name: text for name, value in values if (text := str(getattr(value, "value", ""))) not in ("", "None")}
    if stated.get("embedded_processing") in ("YES", "True"):
        shape = model.inputs[0].partial_shape
        sizes = [stated.get(name, "") for name in ("orig_height", "orig_width")]
        resizes = shape.rank == 4 and shape[1].is_dynamic and all(re.fullmatch(r"[1-9]\d{0,4}", size) for size in sizes)
        if resizes:
            model.reshape([shape[0], *map(int, sizes), shape[3]])
        stated = {name: stated[name] for name in stated if name == "labels" or (resizes and name == "resize_type")}
    converters: dict[str, Callable[[str], Any]] = {
        "labels": lambda text: [label.replace("_", " ") for label in text.split()],
        "mean_values": channel_values(0),
        "resize_type": {"standard": None, "crop": 1.0}.__getitem__,
        "reverse_input_channels": {"YES": True, "True": True, "NO": None, "False": None}.__getitem__,
        "scale_values": channel_values(1e-18),
    }
    for name in [name for name in converters if name in stated]:
        try:
            yield "center_crop" if name == "resize_type" else name, converters[name](stated[name])
        except (KeyError, argparse.ArgumentTypeError):
            log_warning(f"Ignoring the unsupported {name} '{stated[name]}' in the model's model_info")


def check_model(model: ov.Model, path: str) -> None:
    """Raises ValueError unless `model` classifies images of one fixed size."""
    inputs, outputs = len(model.inputs), len(model.outputs)
    if (inputs, outputs) != (1, 1):
        raise ValueError(f"Models with only 1 input and output are supported, not {inputs} and {outputs}")
    if model.get_variables():
        raise ValueError("it keeps a state from one inference to the next (ReadValue, Assign)")
    shape, output_shape = model.input().partial_shape, model.output().partial_shape
    sizes = list(output_shape) if output_shape.rank.is_static else []
    if 0 in sizes or not (len(sizes) == 2 or (len(sizes) == 4 and [1, 1] in (sizes[1:3], sizes[2:]))):
        raise ValueError(f"its output shape {output_shape} is not a classifier's: [N,C], [N,C,1,1] or [N,1,1,C]")
    if shape.rank == 4 and any(size.is_dynamic for size in list(shape)[1:]):
        name, layout = model.input().node.friendly_name, str(ov.layout_helpers.get_layout(model.input()))
        guess = "[N,C,H,W]" if shape[1] in (1, 3) else "[N,H,W,C]"
        letters = (layout if set("NCHW") <= set(layout) else guess)[1:-1].split(",")
        fixed = ",".join(letter if size.is_dynamic else str(size) for letter, size in zip(letters, shape))
        command = f"model.reshape([{fixed}])" if path.endswith(".xml") else f'ovc {path} --input "{name}[{fixed}]"'
        raise ValueError(f"its input {name} has the shape {shape}: set its height and width with `{command}`")


def probability_warning(outputs: np.ndarray, output_type: ov.Type) -> str:
    """Says why `outputs`, f32 [N,classes] computed in `output_type`, are not probabilities, or nothing.

    A GPU's f16 softmax of 1000 classes adds up to 1.025, and each class in 8 bits is off by up to 1/512.
    """
    low, high, classes = outputs.min(), outputs.max(), outputs.shape[1]
    if np.isnan(low):
        return "The model's outputs contain NaN: check mean and scale values, or try --infer_precision f32"
    if low < 0 or high > 1.1:
        advice = ": if they are logits, add --softmax" if classes > 1 and output_type.is_real() else ""
        return f"The model's outputs are not probabilities ({low:g} to {high:g}){advice}"
    sums = outputs.sum(axis=1)
    if classes > 1 and np.abs(sums - 1).max() > (0.1 if output_type.is_real() else max(0.1, classes / 512)):
        return f"The model's outputs do not add up to 1 ({sums.min():g} to {sums.max():g})"
    return ""


def prepare_streams() -> None:
    """Makes names and labels print as their bytes in any locale; writes to a full pipe wait."""
    stream: Any
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.reconfigure(encoding=sys.getfilesystemencoding(), errors=sys.getfilesystemencodeerrors())
        if os.name == "posix":
            os.set_blocking(stream.fileno(), True)
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # a reader that has seen enough (`| head`) ends the program


def main(argv: Sequence[str]) -> int:
    """Returns the exit status: 1 with a line on standard error if anything went wrong, else 0."""
    args = parse_args(argv)
    try:
        return classify_images(args)
    except Exception as error:
        log_to_stderr((traceback.format_exc() if args.verbose else "") + f"[ ERROR ] {reason(error)}\n")
        return 1


def classify_images(args: argparse.Namespace) -> int:
    """Returns the exit status: 1 if an image could not be read, else 0."""
    log_detail = log if args.verbose else lambda *lines: None
    log_detail(*version_lines(), "", "Parsing input parameters")
    plugins = args.plugin_dir and os.path.join(args.plugin_dir, "plugins.xml")
    for path in filter(None, (args.model, *args.input, args.labels, args.cpu_extension, plugins)):
        with on_error(f"Cannot read {path}"):
            os.stat(path)
            if not (os.path.isfile(path) or os.path.isdir(path)):
                raise ValueError("it is neither a file nor a folder")
    files = [file for path in args.input for file in list_files(path)]
    log_detail(f"Files were added: {len(files)}", *(f"    {file}" for file in files))
    errors: dict[Image, str] = {}
    images = [image for file in files for image in list_images(file, errors)]

    # Step 1. The core knows the devices; plugins bring more of them, extensions more operations
    log("Creating OpenVINO Runtime Core")
    core = ov.Core()
    if plugins:
        with on_error(f"Cannot register the plugins of {plugins}"):
            core.register_plugins(plugins)
    if args.cpu_extension:
        with on_error(f"Cannot load the extension {args.cpu_extension}"):
            extension = os.path.abspath(args.cpu_extension)  # a bare name is looked for in the system's folders
            ctypes.CDLL(extension)  # keeps it loaded: a model that outlives the core still needs its operations
            core.add_extension(extension)

    # Step 2. Read the model
    log(f"Reading the model: {args.model}")
    with on_error(f"Cannot read the model {args.model}"):
        model = core.read_model(args.model)
    log_detail(*model_lines(model))

    with on_error(f"Cannot use the model {args.model}"):
        labels_path = args.labels
        for option, value in options_in_model_info(model):
            if value and getattr(args, option) is None:
                setattr(args, option, value)
                log_detail(f"Taken from its model_info: {option} {str(value)[:80]}")
        check_model(model, args.model)
        output_type = model.output().element_type

        # Step 3. Build into the model what turns decoded images into its input, so that the device runs it
        model = build_preprocessing(
            model, args.reverse_input_channels, args.mean_values, args.scale_values, args.softmax
        )
        # Step 4. Set the batch by the number of images; this needs the layout that step 3 has set
        wanted_batch_size = args.batch_size or math.ceil(len(images) / math.ceil(len(images) / DEFAULT_BATCH_LIMIT))
        batch_size = apply_batch_size(model, wanted_batch_size)
        classes = math.prod(model.output().shape) // batch_size
    if batch_size != wanted_batch_size:
        log_warning(f"The model does not take the batch size {wanted_batch_size}; it runs with batch size {batch_size}")
    log_detail(f"Set batch size {batch_size}", *model_lines(model))
    labels_path = labels_path or (None if args.labels else labels_beside(args.model))
    labels = read_labels(labels_path) if labels_path else args.labels
    if labels is not None and len(labels) != classes:
        log_warning(f"{labels_path or 'model_info'} has {len(labels)} labels, the model {classes} classes")

    # Step 5. Start to read the images, so that they are there when the model is
    with on_error(f"Cannot read images in batches of {batch_size}"):
        shape = model.input().shape
        batches = read_ahead(images, shape, image_reader(shape, args.center_crop, errors))

    # Step 6. Compile the model for the device, with the hint for one run at a time or for several
    log("Loading the model to the plugin")
    iterations = args.number_iter or 1
    run_count = math.ceil(len(images) / batch_size) * iterations
    request_count = min(args.number_infer_requests, run_count)
    mode = hint.PerformanceMode.LATENCY if 1 in (run_count, request_count) else hint.PerformanceMode.THROUGHPUT
    config = {hint.performance_mode: mode, enable_profiling: args.perf_counts}
    if args.infer_precision:
        config[hint.inference_precision] = args.infer_precision
    if args.cache_dir:
        with on_error(f"Cannot write to the cache folder {args.cache_dir}"):
            os.makedirs(args.cache_dir, exist_ok=True)
            tempfile.TemporaryFile(dir=args.cache_dir).close()  # OpenVINO is silent if it cannot write
        config[cache_dir] = args.cache_dir
    with on_error(
        f"Cannot load the model to the device '{args.device}'",
        lambda: f". Available target devices: {', '.join(core.available_devices)}",
    ):
        compiled_model = core.compile_model(model, args.device, config)
        queue = ov.AsyncInferQueue(compiled_model, request_count)

    # Step 7. Infer, and print the tables of one batch while the next ones are inferred
    log("Starting inference in asynchronous mode")
    runs = (((batch, iteration), tensor) for batch, tensor in batches for iteration in range(iterations))
    show_progress = len(images) > DEFAULT_BATCH_LIMIT and sys.stderr and sys.stderr.isatty() and not sys.stdout.isatty()
    warning, done, start = "", 0, time.perf_counter()
    with on_error("Inference failed"):
        for run_number, ((batch, iteration), output) in enumerate(infer_in_order(queue, runs), start=1):
            log_detail(f"Completed {run_number} async request execution")
            if iteration > 0:
                continue
            outputs = output.reshape(batch_size, classes)[: len(batch)]  # the rest is padding
            of_images = outputs[[image not in errors for image in batch]]
            if not warning and len(of_images) and (warning := probability_warning(of_images, output_type)):
                log_warning(warning)
            for image, probabilities in zip(batch, outputs):
                if image in errors:
                    log_warning(f"{image[0]}: {errors[image]}")
                else:
                    log_table(image[0], probabilities, args.number_top, labels)
            done += len(batch)
            if show_progress:  # the next line overwrites it
                log_to_stderr(f"{done}/{len(images)} images" + ("\n" if done == len(images) else "\r"))
    seconds = time.perf_counter() - start

    # Step 8. Report
    log_detail("Completed async requests execution")
    if args.perf_counts:
        log_perf_counts(queue[0].profiling_info)
    if args.number_iter:
        log(f"Throughput: {(len(images) - len(errors)) * iterations / seconds:.2f} FPS")
    log("This sample is an API example. Use the dedicated `benchmark_app` tool for any performance measurements.")
    return 1 if errors else 0


if __name__ == "__main__":
    prepare_streams()
    sys.exit(main(sys.argv[1:]))
