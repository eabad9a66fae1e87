#!/usr/bin/env python3
"""Classifies images with OpenVINO's asynchronous API and prints the most probable classes of each.

    python classification_sample_async.py -m data/efficientnet-lite0.xml -i data/images

Seven functions to copy come first: each needs only the imports. The sample's recipe is `classify_images`.
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
from functools import partial
from itertools import islice
from typing import Any

if __name__ == "__main__":
    # OpenCV's own messages name no file, and the threads that OpenBLAS starts for numpy would be idle.
    os.environ.update({"OPENCV_LOG_LEVEL": "SILENT", "OPENBLAS_NUM_THREADS": "1", **os.environ})
    # Ctrl-C ends the program at once, also in the imports and in OpenVINO, unless the parent ignored SIGINT.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

# Keeps OpenVINO from reporting its import to Google Analytics, which takes seconds without a network.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

import cv2
import numpy as np
import openvino as ov
from openvino import opset13 as ops
from openvino.preprocess import PrePostProcessor
from openvino.properties import cache_dir, enable_profiling, hint


def build_preprocessing(
    model: ov.Model,
    layout: str,
    reverse_channels: bool = False,
    mean: float | Sequence[float] | np.ndarray | None = None,
    scale: float | Sequence[float] | np.ndarray | None = None,
    softmax: bool = False,
) -> ov.Model:
    """Makes `model`, with an image input of `layout` ("NCHW" or "NHWC"), take u8 [N,H,W,3 or 1], and return f32.

    The device then runs the conversion, in this order: `reverse_channels` turns BGR into RGB, `mean` is subtracted, the
    result is divided by `scale`. Both are in units of 0..255, one number for each channel of the model or one for all;
    for an integer input the result is rounded and clamped, and i8 with neither gets TFLite's mean, 128.
    `softmax` turns logits of any shape into probabilities [N,classes]; 8-bit outputs become TFLite's: q/256 for u8,
    (q + 128)/256 for i8. Use the returned model only. Raises ValueError or RuntimeError if it does not fit.
    https://docs.openvino.ai/2026/api/ie_python_api/_autosummary/openvino.preprocess.PrePostProcessor.html
    """
    input_type, output_type = model.input().element_type, model.output().element_type
    type_in, type_out = input_type.get_type_name(), output_type.get_type_name()
    if not (input_type.is_real() or type_in[1:] in ("8", "16", "32", "64")) or type_out == "u1":
        raise ValueError(f"types {type_in} in and {type_out} out are not supported")
    output_shape = model.output().partial_shape
    if softmax and (not output_type.is_real() or all(size == 1 for size in list(output_shape)[1:])):
        raise ValueError(f"softmax needs several classes in floating point, not {type_out} {output_shape}")
    if type_in == "i8" and mean is None and scale is None:
        mean = 128

    ppp = PrePostProcessor(model)
    ppp.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    ppp.input().model().set_layout(ov.Layout(layout))
    steps = ppp.input().preprocess()
    if reverse_channels:  # steps.reverse_channels() is lost in graphs of torch.export: OpenVINO fuses it away
        steps.custom(lambda pixels: ops.slice(pixels, [2], [-4], [-1], [3]).output(0))
    if mean is not None:
        steps.convert_element_type(ov.Type.f32).mean(np.ravel(mean).tolist())
    if scale is not None:
        steps.convert_element_type(ov.Type.f32).scale(np.ravel(scale).tolist())
    if not input_type.is_real() and (mean is not None or scale is not None):
        limits = np.iinfo(input_type.to_dtype())  # in f32 the greatest 32-bit integers would be rounded up
        steps.custom(lambda pixels: ops.round(ops.clamp(pixels, limits.min, limits.max * (1 - 2**-24))).output(0))
    output_steps = ppp.output().postprocess().convert_element_type(ov.Type.f32)
    if type_out in ("u8", "i8"):
        zero_point = np.float32(0 if type_out == "u8" else -128)
        output_steps.custom(lambda output: ops.divide(ops.subtract(output, zero_point), np.float32(256)).output(0))
    if softmax:
        output_steps.custom(lambda output: ops.softmax(ops.reshape(output, [0, -1], special_zero=True), 1).output(0))
    return ppp.build()


def apply_batch_size(model: ov.Model, batch_size: int) -> int:
    """Sets the batch of `model`, whose input has a layout with N, and returns the size that it then has.

    It stays the model's own if the graph allows no other: some fix it in a Reshape, so that `ov.set_batch` raises or
    the output does not follow. Raises RuntimeError without a layout, ValueError if the output begins with no batch.
    https://docs.openvino.ai/2026/openvino-workflow/running-inference/model-input-output/changing-input-shape.html
    """
    own_batch = ov.get_batch(model)
    prime = 991 if 997 in model.output().partial_shape else 997  # no other size: it shows where N is
    with suppress(RuntimeError):
        ov.set_batch(model, prime)
    is_first, *others = [size == prime for size in model.output().partial_shape] or [False]  # or a scalar
    if not is_first:
        batch_size = own_batch.get_length() if own_batch.is_static else 1
    ov.set_batch(model, batch_size)
    shape = model.output().partial_shape
    if list(shape)[:1] != [batch_size] or any(others) or "N" in str(ov.layout_helpers.get_layout(model.output()))[2:]:
        raise ValueError(f"the first dimension of its output {shape} is not the batch")
    return batch_size


def decode(path: str, flags: int = cv2.IMREAD_COLOR, buffer: np.ndarray | None = None) -> np.ndarray:
    """Reads an image file as `cv2.imread(path, flags)` does: u8 [H,W,3] in BGR order, or [H,W] for IMREAD_GRAYSCALE.

    `buffer`, from an earlier call, is overwritten and returned if the image has its size: allocating the memory for a
    photo takes almost as long as decoding it. A JPEG that ends early is returned as far as it goes. Raises OSError if
    the file cannot be opened, ValueError if it is no file or no image. https://docs.opencv.org/5.x/d4/da8/group__imgcodecs.html
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError("is not a regular file")
    file_name: Any = os.fsencode(path)  # OpenCV 5.0.0 crashes on a str that is not UTF-8
    if buffer is not None:
        buffer.fill(0)  # in case the file ends early: nothing of the last image is to show
        with suppress(cv2.error):  # the image has another size
            pixels = cv2.imread(file_name, buffer, flags)
            if pixels is not None and cv2.hasNonZero(pixels.reshape(-1)):  # else it may have failed
                return pixels
    try:
        pixels = cv2.imread(file_name, flags)
        if pixels is None:  # also for turned TIFFs and, on Windows, for names that are not ASCII
            content = np.fromfile(path, np.uint8, count=2**28)  # no more than that: it may be no image at all
            pixels = cv2.imdecode(content, flags) if content.size else None
        if pixels is None:
            stored = cv2.imdecode(content, cv2.IMREAD_UNCHANGED) if content.size else None
            if stored is not None and stored.itemsize > 2:
                raise ValueError(f"holds pixels in {stored.dtype}: 8 and 16 bits are supported")
            is_heic = content[4:11].tobytes() in (b"ftyphei", b"ftyphev", b"ftypmif")
            raise ValueError("is HEIC, which OpenCV does not read" if is_heic else "cannot be decoded as an image")
    except cv2.error as error:  # such as its limits, by the names of the environment variables that set them
        raise ValueError(f"cannot be decoded as an image: {error.err.replace(' CV_IO', ' OPENCV_IO')}") from error
    return pixels


def center_crop(pixels: np.ndarray, width: int, height: int, ratio: float) -> np.ndarray:
    """Returns a view of the center of `pixels` [H,W,...]: the largest `width`:`height`, scaled by `ratio`."""
    scale = ratio * min(pixels.shape[0] / height, pixels.shape[1] / width)
    crop_height, crop_width = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (pixels.shape[0] - crop_height) // 2, (pixels.shape[1] - crop_width) // 2
    return pixels[top : top + crop_height, left : left + crop_width]


def read_ahead(items: Iterable, shape: Sequence[int], read: Callable) -> Iterator[tuple[list, ov.Tensor]]:
    """Starts to read `items` at once; returns an iterator of pairs: shape[0] items, and a u8 tensor of `shape`.

    `read(item, row)` writes an item into its row, on a pool of threads; what it raises is raised here. The last list
    may be shorter: rows without an item are zero. One batch is read ahead, plus as many as give each core an item.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

    def start_batches(pool: ThreadPoolExecutor, items: Iterator) -> Iterator[tuple[list, ov.Tensor, list[Future]]]:
        while batch := list(islice(items, shape[0])):
            tensor = ov.Tensor(ov.Type.u8, ov.Shape(shape))
            tensor.data.fill(0)
            yield batch, tensor, [pool.submit(read, item, row) for item, row in zip(batch, tensor.data)]

    def generate() -> Iterator[Any]:
        pool = ThreadPoolExecutor(cores)
        try:
            batches = start_batches(pool, iter(items))
            reading = deque(islice(batches, 1 + math.ceil(cores / shape[0])))
            yield  # read_ahead returns here, with reading begun: now `close` runs what is under `finally`
            while reading:
                batch, tensor, jobs = reading.popleft()
                reading.extend(islice(batches, 1))
                for job in jobs:
                    job.result()
                yield batch, tensor
        finally:
            pool.shutdown(cancel_futures=True)

    results = generate()
    next(results)
    return results


def infer_in_order(queue: ov.AsyncInferQueue, inputs: Iterable[tuple]) -> Iterator[tuple[Any, np.ndarray]]:
    """Infers the tensors of `inputs`, pairs of a key and a tensor; yields each key with a copy of the output, in order.

    `queue` is of a model with one input and one output, and serves one call at a time. An array is copied, and may be
    refilled for the next input; an ov.Tensor is used in place: leave it alone until its result comes, which may be
    after many more inputs were taken. Raises what inference (then make a new queue) or `inputs` raises, RuntimeError if
    another call uses the queue. Output types that numpy lacks come as raw bits, bf16 in what looks like float16.
    https://docs.openvino.ai/2026/api/ie_python_api/_autosummary/openvino.AsyncInferQueue.html
    """
    started: deque[tuple[Any, Any, Future]] = deque()
    if vars(queue).setdefault("used_by", started) is not started:  # at once, also between threads
        raise RuntimeError("another infer_in_order uses this queue: end it first, or give each a queue of its own")

    def keep_output(request: ov.InferRequest, future: Future) -> None:
        try:
            future.set_result(request.get_output_tensor().data.copy())  # the next run overwrites its tensor
        except Exception as error:  # one that escapes ends the process when the queue is used again
            future.set_exception(error.with_traceback(None))  # the traceback would keep this function alive

    def end_requests() -> None:
        for request in queue:
            with suppress(Exception):  # a failed request raises again
                request.wait()
        queue.set_callback(lambda request, future: None)
        callback_released.wait(timeout=1)
        del vars(queue)["used_by"]

    # Threads of OpenVINO let go of the callback a moment after a request is done, and need the interpreter for it. If
    # the core or the compiled model is deleted in that moment, the program hangs; if the interpreter ends, it aborts.
    callback_released = threading.Event()
    weakref.finalize(keep_output, callback_released.set)
    queue.set_callback(keep_output)
    del keep_output
    finish = weakref.finalize(queue, end_requests)  # under `finally`, or at exit if this is still open
    try:
        for key, tensor in inputs:
            future: Future = Future()
            tensor = tensor if isinstance(tensor, ov.Tensor) else ov.Tensor(np.asarray(tensor))  # its own copy
            started.append((key, tensor, future))  # the tensor too: its memory must outlive the request's run
            queue.start_async(tensor, userdata=future)  # waits for an idle request, not for the result
            if len(started) > 8 * len(queue):
                queue.wait_all()
            while started and started[0][2].done():
                key, _, future = started.popleft()
                yield key, future.result()
        queue.wait_all()
        for key, _, future in started:
            yield key, future.result(timeout=0)  # done, unless the callback was replaced
    finally:
        finish()


def top_class_ids(probabilities: np.ndarray, number_top: int) -> np.ndarray:
    """The class ids of `probabilities` [classes], the most probable first; ties by lower id, NaN last."""
    return np.argsort(np.negative(probabilities, dtype=float), kind="stable")[:number_top]


# The sample

DEFAULT_BATCH_LIMIT = 8
IDX_SUFFIX = "ubyte"  # of the files of MNIST: https://yann.lecun.org/exdb/mnist/index.html
UNREAD_PHOTO_SUFFIXES = (".arw", ".cr2", ".cr3", ".dng", ".heic", ".heif", ".jxl", ".nef", ".orf", ".raf", ".rw2")
HEIC_SIGNATURES = (b"ftyphei", b"ftyphev", b"ftypmif")  # from a file's fifth byte on
THREAD = threading.local()  # its `pixels`: what this thread of read_ahead has decoded last, as a buffer
VERSION, BUILD = ov.get_version().partition("-")[0], ov.get_version()
VERSION_LINES = (f"OpenVINO Runtime version ......... {VERSION}", f"Build ........... {BUILD}")


@dataclass
class Image:
    name: str
    decode: Callable[..., np.ndarray]  # called with flags and buffer: `decode`, or `decode_image` of an IDX file
    error: str = ""  # why it could not be read


@contextmanager
def on_error(message: str) -> Iterator[None]:
    """Says what failed, before the reason why."""
    try:
        yield
    except Exception as error:
        raise ValueError(f"{message}: {reason(error)}") from error


def reason(error: BaseException) -> str:
    text = (error.strerror if isinstance(error, OSError) else None) or str(error).strip()
    if isinstance(error, RuntimeError | cv2.error):  # the cause is their last line
        text = printable(text.rpartition("\n")[2], 1000)
    return text or type(error).__name__


def printable(text: str, length: int = 80) -> str:
    """What comes from a model, as a part of a line: it may hold anything, and any amount of it."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:length]).strip()


def require(condition: Any, message: str) -> None:
    if not condition:
        raise ValueError(message)


class Parser(argparse.ArgumentParser):
    def format_help(self) -> str:
        devices = f"Available target devices: {', '.join(ov.Core().available_devices)}"
        return "\n".join([super().format_help(), *VERSION_LINES, "", devices, ""])

    def print_help(self, file: Any = None) -> None:
        log(*self.format_help().splitlines(), prefix="")  # argparse does not notice that it cannot be written

    def _get_option_tuples(self, option_string: str) -> list:  # else -c is -cdir, despite allow_abbrev
        return [match for match in super()._get_option_tuples(option_string) if option_string.startswith(match[1])]


def checked(convert: Callable[[str], Any], is_valid: Callable[[Any], bool], expected: str, text: str) -> Any:
    """The type of an option, once `partial` has set all but its `text`."""
    with suppress(ValueError):
        if is_valid(value := convert(text)):
            return value
    raise argparse.ArgumentTypeError(f"must be {expected}, not '{text}'")


def channel_values(smallest: float, text: str) -> list[float]:
    with suppress(ValueError):
        values = [float(value) for value in text.strip("[]()").replace(",", " ").split()]
        if len(values) in (1, 3) and all(smallest <= abs(value) <= 1e18 for value in values):
            return values
    expected = f"one number or three separated by commas, {smallest:g} to 1e18 in size"
    raise argparse.ArgumentTypeError(f"must be {expected}, not '{text}'")


def parse_args(argv: Sequence[str]) -> argparse.Namespace:
    parser = Parser(add_help=False)
    add = parser.add_argument_group("Options").add_argument
    path = partial(checked, str, bool, "a path")
    count = partial(checked, int, lambda value: 1 <= value < 2**31, f"an integer from 1 to {2**31 - 1}")
    count_or_0 = partial(checked, int, lambda value: 0 <= value < 2**31, f"an integer from 0 to {2**31 - 1}")
    ratio = partial(checked, float, lambda value: 0 < value <= 1, "above 0, at most 1")
    mean, scale = partial(channel_values, 0), partial(channel_values, 1e-18)
    # fmt: off
    add("-h", "--help", action="help", help="Show this help message and exit.")
    add("-m", "--model", required=True, type=path, help="Required. Path to an .xml or .onnx file with a trained model.")
    add("-i", "--input", required=True, type=path, nargs="+", action="extend",
        help="Required. Path to an image file(s), to a folder(s) with images, or to an IDX file(s) (.ubyte).")
    add("-d", "--device", default="CPU",
        help="Optional. Specify the target device to infer on; CPU, GPU, NPU, AUTO, HETERO:, MULTI: or BATCH: is "
        "acceptable. The sample will look for a suitable plugin for device specified. Default value is CPU.")
    add("-l", "--cpu_extension", type=path, help="Optional. Path to a shared library with custom operations.")
    add("-pp", "--plugin_dir", type=path, help="Optional. Path to a folder whose plugins.xml brings devices for -d.")
    add("--labels", type=path, help="Optional. Labels mapping file. Default: model_info or .labels file of the model.")
    add("-nt", "--number_top", type=count, default=10, help="Optional. Number of top results. Default value is 10.")
    add("-ni", "--number_iter", type=count, help="Optional. Number of inference iterations; adds the throughput.")
    add("-nireq", "--number_infer_requests", type=count_or_0, default=0,
        help="Optional. Number of infer requests. Default value is 0: as many as are optimal for the device.")
    add("-pc", "--perf_counts", action="store_true", help="Optional. Report performance counters.")
    add("-b", "--batch_size", type=count, help="Optional. Batch size. Default: all images, or equal parts up to 8.")
    add("--reverse_input_channels", action="store_true", default=None, help="Optional. Give the model RGB, not BGR.")
    add("--mean_values", type=mean, metavar="A,B,C", help="Optional. Values to subtract: 123.675,116.28,103.53.")
    add("--scale_values", type=scale, metavar="A,B,C", help="Optional. Values to divide by after that: 58.4,57.1,57.4.")
    add("--center_crop", type=ratio, metavar="RATIO", help="Optional. Classify the center, RATIO of the shorter side.")
    add("--antialias", action="store_true", help="Optional. Average pixels where an image shrinks, as PyTorch does.")
    add("--softmax", action="store_true", help="Optional. Turn the model's outputs (logits) into probabilities.")
    add("--infer_precision", choices=("f32", "f16", "bf16"), help="Optional. Default is the device's own choice.")
    add("-cdir", "--cache_dir", type=path, help="Optional. Path to a folder to cache compiled models in.")
    add("-v", "--verbose", action="store_true", help="Optional. Log every step, and the traceback of an error.")
    # fmt: on
    if not argv:
        log_to_stderr(parser.format_help())
    return parser.parse_args(argv)


def log(*lines: str, prefix: str = "[ INFO ] ") -> None:
    """Prints to standard output in one write: tables stay whole where several runs share a terminal."""
    with on_error("Cannot write to standard output"):
        require(sys.stdout is not None, "it is closed")
        print("\n".join(prefix + line if line else prefix.rstrip() for line in lines), flush=True)


def log_to_stderr(text: str, end: str = "\n") -> None:
    """Prints in one write, or not at all where standard error cannot be written: the tables matter more."""
    try:
        if sys.stderr:
            print(text + end, end="", file=sys.stderr, flush=True)
    except OSError:
        sys.stderr = None  # type: ignore[assignment]


def log_progress(done: int, total: int) -> None:
    is_seen_alone = sys.stderr and sys.stderr.isatty() and not sys.stdout.isatty()
    if total > DEFAULT_BATCH_LIMIT and is_seen_alone:
        log_to_stderr(f"{done}/{total} images", end="\n" if done == total else "\r")  # to overwrite


def log_perf_counts(layers: Sequence[ov.ProfilingInfo]) -> None:
    rows = [("name", "layer_type", "exec_type", "status", "real_time_us")]
    for layer in layers:
        time_us = str(round(layer.real_time.total_seconds() * 1e6))
        rows.append((printable(layer.node_name), layer.node_type, layer.exec_type, layer.status.name, time_us))
    widths = [max(map(len, column)) for column in zip(*rows)]
    table = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    log("Performance counters:", *table, f"Total time: {sum(int(row[4]) for row in rows[1:])} us", "")


def model_lines(model: ov.Model) -> list[str]:
    lines = [f"model name: {printable(model.friendly_name)}"]
    for kind, ports in (("input", model.inputs), ("output", model.outputs)):
        lines.append(f"    {kind}s")
        for port in ports:
            lines.append(f"        {kind} name: {printable(port.any_name) if port.names else 'NONE'}")
            lines.append(f"        {kind} type: {port.element_type.get_type_name()}")
            lines.append(f"        {kind} shape: {{{', '.join(map(str, port.partial_shape))}}}")
    return lines


def list_inputs(args: argparse.Namespace) -> list[Image]:
    """Lists the images of --input, after checking that this and every other path given exists."""
    plugins = os.path.join(args.plugin_dir, "plugins.xml") if args.plugin_dir else None
    for path in filter(None, (args.model, *args.input, args.labels, args.cpu_extension, plugins)):
        with on_error(f"Cannot read {path}"):
            os.stat(path)
            require(os.path.isfile(path) or os.path.isdir(path), "it is neither a file nor a folder")
    files = [file for path in args.input for file in (list_folder(path) if os.path.isdir(path) else [path])]
    if args.verbose:
        log(f"Files were added: {len(files)}", *(f"    {file}" for file in files))
    return [image for file in files for image in list_images(file)]


def list_folder(path: str) -> list[str]:
    """Lists the images in a folder, sorted by name, without hidden files."""
    with on_error(f"Cannot read the folder {path}"):
        found = sorted(entry.path for entry in os.scandir(path) if not entry.name.startswith("."))
        files = [file for file in found if not os.path.isdir(file)]
        require(not found or files, f"it holds only folders, which are not searched: give {shlex.quote(path)}/*")
        images = list(filter(looks_like_image, files))
        require(images, "there are no images in it")
    return images


def looks_like_image(path: str) -> bool:
    """Decides by the suffix, or else the signature; a file that cannot be read counts, to be reported."""
    file_name: Any = os.fsencode(path)
    name = os.path.basename(path).lower()
    if name.endswith((IDX_SUFFIX, IDX_SUFFIX + ".gz")):  # of MNIST torchvision keeps both; idx1 are labels
        return "idx1-" not in name and not (name.endswith(".gz") and os.path.exists(path[:-3]))
    if name.endswith((".exr", *UNREAD_PHOTO_SUFFIXES)) or cv2.haveImageWriter(file_name):  # which refuses .exr
        return True
    if not os.path.isfile(path) or not os.access(path, os.R_OK):
        return os.path.isfile(path)
    return cv2.haveImageReader(file_name) or np.fromfile(path, np.uint8, 11).tobytes()[4:] in HEIC_SIGNATURES


def list_images(path: str) -> list[Image]:
    """Lists the image in a file, or those of an IDX file: u8 [N,H,W] after big-endian u32 0x803, N, H, W."""
    if not path.lower().endswith(IDX_SUFFIX) or not os.path.isfile(path):
        return [Image(path, partial(decode, path))]
    try:
        header = np.fromfile(path, ">u4", count=4).tolist()
        is_idx = len(header) == 4 and header[0] == 0x803 and 0 not in header
        require(is_idx, f"is not an IDX file of images: it begins with {header}, not 2051, count, height and width")
    except (OSError, ValueError) as error:
        return [Image(path, partial(decode, path), reason(error))]
    _, count, height, width = header
    size = height * width
    complete = min(count, (os.path.getsize(path) - 16) // size)

    def decode_image(index: int, flags: int, _: Any) -> np.ndarray:
        require(16 + (index + 1) * size <= os.path.getsize(path), "missing: the file ends early")
        pixels = np.fromfile(path, np.uint8, size, offset=16 + index * size).reshape(height, width)
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR) if flags == cv2.IMREAD_COLOR else pixels

    names = [f"{path}[{index}]" for index in range(complete)]
    names += [f"{path}[{complete}..{count - 1}]"] if complete < count else []  # all that are missing: it raises
    return [Image(name, partial(decode_image, index)) for index, name in enumerate(names)]


def read_image(ratio: float | None, antialias: bool, image: Image, row: np.ndarray) -> None:
    """Reads `image` into `row` [H,W,C], as `read_ahead` wants, or says in its `error` why it cannot."""
    height, width, channels = row.shape
    flags = cv2.IMREAD_COLOR if channels == 3 else cv2.IMREAD_GRAYSCALE
    name = image.name.lower()
    try:
        require(not image.error, image.error)
        require(not name.endswith(UNREAD_PHOTO_SUFFIXES), "is a photo that OpenCV does not read: convert it to JPEG")
        require(not name.endswith(".gz"), "is compressed: gunzip it first")
        THREAD.pixels = image.decode(flags, getattr(THREAD, "pixels", None))
        part = center_crop(THREAD.pixels, width, height, ratio) if ratio else THREAD.pixels
        grows = part.shape[0] < height or part.shape[1] < width
        interpolation = cv2.INTER_AREA if antialias and not grows else cv2.INTER_LINEAR
        row[:] = cv2.resize(part, (width, height), interpolation=interpolation).reshape(row.shape)
    except Exception as error:
        image.error = reason(error)


def model_file(path: str) -> str:
    """Returns what `read_model` takes: of a folder with one .xml file, as of Ultralytics, that file."""
    name = os.path.basename(path).lower()
    require(name != "saved_model.pb", f"give the SavedModel's folder: -m {shlex.quote(os.path.dirname(path) or '.')}")
    require(not name.endswith((".keras", ".h5", ".pt", ".pth")), "give what Keras' export or torch.onnx.export makes")
    if not os.path.isdir(path) or os.path.exists(os.path.join(path, "saved_model.pb")):
        return path
    models = sorted(name for name in os.listdir(path) if name.endswith(".xml") and not name.startswith("."))
    require(len(models) == 1, f"it has to hold one .xml file or a saved_model.pb, not {', '.join(models) or 'neither'}")
    return os.path.join(path, models[0])


def check_model(model: ov.Model, path: str) -> str:
    """Raises ValueError unless `model` classifies images of one size; returns its layout, or a guess."""
    changed = os.path.splitext(path)[0] + "-changed.xml"
    start = f"in Python `import openvino as ov; model = ov.Core().read_model({path!r}); "
    end = f"; ov.save_model(model, {changed!r}, compress_to_fp16=False)`, then give -m {shlex.quote(changed)}"
    message = f"Models with only 1 input and output are supported, not {len(model.inputs)} and {len(model.outputs)}"
    require(len(model.inputs) == 1, message)
    names = ", ".join(printable(port.any_name) if port.names else "NONE" for port in model.outputs)
    change = f"{start}[model.remove_result(result) for result in model.get_results()[1:]]{end}"
    require(len(model.outputs) == 1, f"{message} ({names}). To keep the first, {change}")
    require(not model.get_variables(), "it keeps a state from one inference to the next (ReadValue, Assign)")
    shape = model.output().partial_shape
    sizes = list(shape) if shape.rank.is_static else []
    is_vector = len(sizes) == 2 or (len(sizes) == 4 and [1, 1] in (sizes[1:3], sizes[2:]))
    require(is_vector and 0 not in sizes, f"its output shape {shape} is not [N,C], [N,C,1,1] or [N,1,1,C]")
    shape = model.input().partial_shape
    require(shape.rank == 4 and 0 not in shape, f"an input of shape {shape} is no image: [N,C,H,W] or [N,H,W,C] is")
    layout = str(ov.layout_helpers.get_layout(model.input()))
    if not set("NCHW") <= set(layout[1:-1].split(",")):
        layout = "[N,H,W,C]" if shape[3] in (1, 3) and shape[1] not in (1, 3) else "[N,C,H,W]"
    size_of = dict(zip(layout[1:-1].split(","), shape))
    has_channels = size_of["C"].is_dynamic or size_of["C"] in (1, 3)
    require(has_channels, f"only 1 or 3 channels are supported, its input {layout} is {shape}")
    fixed = ",".join(letter if size.is_dynamic else str(size) for letter, size in size_of.items())
    change = f"{start}model.reshape([{fixed.replace('N', '-1').replace('C', '3')}]){end}"
    is_fixed = all(size_of[letter].is_static for letter in "CHW")
    require(is_fixed, f"its input {layout} is {shape}: give it a height H and width W, {change}")
    return layout


def settle_options(args: argparse.Namespace, model: ov.Model) -> argparse.Namespace:
    """Returns `args` completed from model_info, whose image size, if one is needed, it sets in `model`."""
    info = dict(model.rt_info.items()).get("model_info")
    values = info.items() if isinstance(info, dict) else ()
    stated = {name: text for name, value in values if (text := str(getattr(value, "value", ""))) not in ("", "None")}
    if stated.get("embedded_processing") in ("YES", "True"):  # see github.com/open-edge-platform/model_api
        shape = model.inputs[0].partial_shape
        sizes = [stated.get(name, "") for name in ("orig_height", "orig_width")]
        are_sizes = all(re.fullmatch(r"[1-9]\d{0,4}", size) for size in sizes)
        resizes = are_sizes and str(shape) in ("[1,?,?,3]", "[?,?,?,3]", "[1,?,?,1]", "[?,?,?,1]")
        if resizes:
            model.reshape([shape[0], *map(int, sizes), shape[3]])
        stated = {name: stated[name] for name in stated if name == "labels" or (resizes and name == "resize_type")}
    converters: dict[str, Callable[[str], Any]] = {
        "labels": str.split,
        "mean_values": partial(channel_values, 0),
        "resize_type": {"standard": False, "crop": 1.0}.get,
        "reverse_input_channels": {"YES": True, "True": True, "NO": False, "False": False}.get,
        "scale_values": partial(channel_values, 1e-18),
    }
    options = argparse.Namespace(model_labels=None, **vars(args))
    for name in filter(stated.get, converters):
        option = {"labels": "model_labels", "resize_type": "center_crop"}.get(name, name)
        value = None
        with suppress(argparse.ArgumentTypeError):
            value = converters[name](stated[name])
        if value is None:
            log_to_stderr(f"[ WARNING ] Ignoring the unsupported {name} '{printable(stated[name])}' in model_info")
        elif value and getattr(options, option) is None:
            setattr(options, option, value)
            if args.verbose:
                log(f"Taken from its model_info: {option.removeprefix('model_')} {str(value)[:80]}")
    return options


def read_labels(options: argparse.Namespace, model_path: str, classes: int) -> list[str] | None:
    """Returns a label for each class: from --labels, else the model_info, else the file beside the model."""
    beside = (os.path.abspath(model_path) if os.path.isdir(model_path) else os.path.splitext(model_path)[0]) + ".labels"
    path = options.labels or (None if options.model_labels or not os.path.isfile(beside) else beside)
    labels = [printable(label.replace("_", " ")) for label in options.model_labels or ()] or None
    if path:
        with on_error(f"Cannot read the labels {path}"), open(path, "rb") as file:
            content = file.read().removeprefix("\ufeff".encode())
            require(b"\0" not in content, "binary, or text in UTF-16")
        labels = [os.fsdecode(line).strip() for line in content.rstrip().splitlines()]
        numbered = [re.fullmatch(r"(\d+)(?::\s*|\s+)(.*)", label) for label in labels]
        if all(match and match[1] == str(number) for number, match in enumerate(numbered)):
            labels = [match[2] for match in numbered if match]
        labels = [re.sub(r"^n\d{8}\s+", "", label) for label in labels]  # WordNet's ids
    if labels is None or len(labels) == classes:
        return labels
    counts = f"{path or 'model_info'} has {len(labels)} labels, the model {classes} classes: no label is printed"
    log_to_stderr(f"[ WARNING ] {counts}. Expected: a label a line in class id order, no header, no added 'background'")
    return None


def compile_config(args: argparse.Namespace, one_at_a_time: bool) -> dict[Any, Any]:
    mode = hint.PerformanceMode.LATENCY if one_at_a_time else hint.PerformanceMode.THROUGHPUT
    config = {hint.performance_mode: mode, enable_profiling: args.perf_counts}
    if args.infer_precision:
        config[hint.inference_precision] = args.infer_precision
    if args.cache_dir:
        with on_error(f"Cannot write to the cache folder {args.cache_dir}"):
            os.makedirs(args.cache_dir, exist_ok=True)
            tempfile.TemporaryFile(dir=args.cache_dir).close()  # OpenVINO is silent if it cannot write
        config[cache_dir] = args.cache_dir
    return config


def probability_warning(images: Sequence[Image], outputs: np.ndarray, model_type: str) -> str:
    """Says why `outputs` [N,classes], which the model has in `model_type`, are no probabilities, or nothing."""
    is_real = not model_type.startswith(("i", "u", "boolean"))
    outputs = outputs[[not image.error for image in images]]
    low, high, classes = outputs.min(initial=np.inf), outputs.max(initial=-np.inf), outputs.shape[1]
    if np.isnan(low):
        return "The model's outputs contain NaN: check mean and scale values, or try --infer_precision f32"
    if low < 0 or high > 1.1:
        advice = ": if they are logits, add --softmax" if classes > 1 and is_real else ""
        return f"The model's outputs are not probabilities ({low:g} to {high:g}){advice}"
    sums = outputs.sum(axis=1)  # up to 1.025 on a GPU in f16; in 8 bits each class is off by 1/512
    if classes > 1 and np.abs(sums - 1).max(initial=0) > (0.1 if is_real else max(0.1, classes / 512)):
        return f"The model's outputs do not add up to 1 ({sums.min():g} to {sums.max():g})"
    return ""


def log_tables(images: Sequence[Image], outputs: np.ndarray, number_top: int, labels: Sequence[str] | None) -> None:
    """Logs a table of each image's row of `outputs` [N,classes], or a warning if it could not be read."""
    header = "class_id probability" if labels is None else "class_id probability label"
    for image, probabilities in zip(images, outputs):
        if image.error:
            log_to_stderr(f"[ WARNING ] {image.name}: {image.error}")
            continue
        class_ids = top_class_ids(probabilities, number_top)
        lines = [f"Image path: {image.name}", f"Top {len(class_ids)} results:", header, "-" * len(header)]
        for class_id in class_ids:
            row = f"{class_id:<8} {probabilities[class_id]:.7f}"
            lines.append(row if labels is None else f"{row:<20} {labels[class_id]}".rstrip())
        log(*lines, "")


def main(argv: Sequence[str]) -> int:
    try:
        return classify_images(parse_args(argv))
    except Exception as error:
        trace = traceback.format_exc() if {"-v", "--verbose"} & set(argv) else ""
        log_to_stderr(f"{trace}[ ERROR ] {reason(error)}")
        return 1


def classify_images(args: argparse.Namespace) -> int:
    """Returns the exit status: 1 if an image could not be read, else 0."""
    log_detail = log if args.verbose else lambda *lines: None
    log_detail(*VERSION_LINES, "", "Parsing input parameters")
    images = list_inputs(args)

    # Step 1. The core knows the devices; plugins bring more of them, extensions more operations
    log("Creating OpenVINO Runtime Core")
    core = ov.Core()
    if args.plugin_dir:
        with on_error(f"Cannot register the plugins of {args.plugin_dir}"):
            core.register_plugins(os.path.join(args.plugin_dir, "plugins.xml"))
    if args.cpu_extension:
        with on_error(f"Cannot load the extension {args.cpu_extension}"):
            ctypes.CDLL(os.path.abspath(args.cpu_extension))  # stays loaded: the model may outlive the core
            core.add_extension(os.path.abspath(args.cpu_extension))

    # Step 2. Read the model, check it, and complete the options with what it says of itself
    with on_error(f"Cannot read the model {args.model}"):
        model_path = model_file(args.model)
        log(f"Reading the model: {model_path}")
        model = core.read_model(model_path)
    log_detail(*model_lines(model), "Read input images")
    with on_error(f"Cannot use the model {model_path}"):
        options = settle_options(args, model)
        layout = check_model(model, model_path)
        output_type = model.output().element_type.get_type_name()  # now: build_preprocessing makes it f32
        # Step 3. Add to the model what turns decoded images into its input (PrePostProcessor): the device runs it
        mean, scale = options.mean_values, options.scale_values
        model = build_preprocessing(model, layout, options.reverse_input_channels, mean, scale, args.softmax)
        # Step 4. Set the batch (ov.set_batch) by the number of images: all of them, or equal parts up to a limit
        batch_count = math.ceil(len(images) / DEFAULT_BATCH_LIMIT)
        wanted_size = args.batch_size or math.ceil(len(images) / batch_count)
        batch_size = apply_batch_size(model, wanted_size)
        classes = math.prod(model.output().shape) // batch_size  # of [N,C], [N,C,1,1] or [N,1,1,C]
        message = f"one value for an image ({output_type}) is a class id (ArgMax), or 1 after softmax: no probability"
        require(classes > 1 or not (args.softmax or re.fullmatch("[iu](16|32|64)", output_type)), message)
    if batch_size != wanted_size:
        message = f"The model does not take the batch size {wanted_size}; it runs with batch size {batch_size}"
        log_to_stderr(f"[ WARNING ] {message}. README.md shows how to convert one with a dynamic batch")
    log_detail(f"Set batch size {batch_size}", *model_lines(model))
    labels = read_labels(options, model_path, classes)

    # Step 5. Start to decode the images into tensors, on threads, while the model is compiled
    with on_error(f"Cannot read images in batches of {batch_size}"):
        batches = read_ahead(images, model.input().shape, partial(read_image, options.center_crop, args.antialias))

    # Step 6. Compile the model for the device: for LATENCY if there is one run at a time, else for THROUGHPUT
    log("Loading the model to the plugin")
    log_detail(f"Loading model to the device {args.device}")
    iterations = args.number_iter or 1
    run_count = math.ceil(len(images) / batch_size) * iterations
    request_count = min(args.number_infer_requests, run_count)  # 0: as many as are optimal for the device
    config = compile_config(args, one_at_a_time=run_count == 1 or request_count == 1)
    devices = ", ".join(core.available_devices) if args.device != "CPU" else "CPU"  # for the error; listing is slow
    with on_error(f"Cannot load the model to the device '{args.device}' (available target devices: {devices})"):
        compiled_model = core.compile_model(model, args.device, config)
        queue = ov.AsyncInferQueue(compiled_model, request_count)
    log_detail("Create infer request")

    # Step 7. Infer (start_async, in infer_in_order), and print the tables of one batch while others are inferred
    log("Starting inference in asynchronous mode")
    runs = (((batch, iteration), tensor) for batch, tensor in batches for iteration in range(iterations))
    done, warning, start = 0, "", time.perf_counter()  # the clock also counts waiting for images and printing
    with on_error("Inference failed"):
        for run_number, ((batch, iteration), output) in enumerate(infer_in_order(queue, runs), start=1):
            log_detail(f"Completed {run_number} async request execution")
            if iteration == 0:
                outputs = output.reshape(batch_size, classes)[: len(batch)]  # the rest is padding
                if not warning and (warning := probability_warning(batch, outputs, output_type)):
                    log_to_stderr(f"[ WARNING ] {warning}")
                log_tables(batch, outputs, args.number_top, labels)
                done += len(batch)
                log_progress(done, len(images))
    seconds = time.perf_counter() - start

    # Step 8. Report
    log_detail("Completed async requests execution")
    if args.perf_counts:
        log_perf_counts(queue[0].profiling_info)
    unread = sum(bool(image.error) for image in images)
    if args.number_iter:
        log(f"Throughput: {(len(images) - unread) * iterations / seconds:.2f} FPS")
    log("This sample is an API example. Use the dedicated `benchmark_app` tool for any performance measurements.")
    return 1 if unread else 0


if __name__ == "__main__":
    stream: Any
    for stream in filter(None, (sys.stdout, sys.stderr)):  # names and labels print as their bytes
        stream.reconfigure(encoding=sys.getfilesystemencoding(), errors=sys.getfilesystemencodeerrors())
        if os.name == "posix":
            os.set_blocking(stream.fileno(), True)  # writes to a full pipe wait
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends the program
    sys.exit(main(sys.argv[1:]))
