#!/usr/bin/env python3
"""Classifies images with OpenVINO's asynchronous API and prints the most probable classes of each.

    python classification_sample_async.py -m data/efficientnet-lite0.xml -i data/images

The file has two parts. First the pieces, to copy: each works alone below the imports, and a program needs them in this
order.

    build_preprocessing   makes a model take images as OpenCV decodes them
    apply_batch_size      sets how many images one inference takes
    decode                reads an image file
    read_ahead            fills tensors with images, on all cores, ahead of the inference
    infer_in_order        runs an AsyncInferQueue and yields its results in the order of the inputs
    top_class_ids         ranks the classes

Then the sample that uses them: command line, log, files, and `classify_images`, the recipe from the model to the tables
in numbered steps.
"""

import argparse
import atexit
import codecs
import math
import os
import re
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    # Ctrl-C ends the program at once, also during the imports below and inside OpenVINO, where Python could not react;
    # a parent that has it ignored (nohup, say) means it. So does a reader that has seen enough (`| head`).
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)

# OpenVINO reports its import to Google Analytics if this package is there: a forked process, a quarter of the import's
# time, and seconds where no name server answers. A sample has no need of it.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

import cv2
import numpy as np
import openvino as ov
from openvino import opset13 as ops
from openvino.preprocess import PrePostProcessor
from openvino.properties import cache_dir, enable_profiling, hint

# The pieces


def build_preprocessing(
    model: ov.Model,
    reverse_channels: bool = False,
    mean: float | Sequence[float] | np.ndarray | None = None,
    scale: float | Sequence[float] | np.ndarray | None = None,
    softmax: bool = False,
) -> ov.Model:
    """Makes `model`, with one image input of any layout, take u8 [N,H,W,C], as OpenCV decodes images, and return f32.

    The device then runs the conversion, in this order: `reverse_channels` turns BGR into RGB, `mean` is subtracted, the
    rest is divided by `scale`. Both are in units of 0..255, one number for each channel of the model or one for all.
    `softmax` turns logits of any shape into probabilities [N,classes]. A layout that the model does not state is NCHW
    where the second dimension is 1 or 3, else NHWC.

    Changes `model`: use only what is returned. Raises ValueError for an input that is no batch of images, RuntimeError
    where `mean` or `scale` has another number of values than the input has channels.
    https://docs.openvino.ai/2026/openvino-workflow/running-inference/optimize-inference/optimize-preprocessing.html
    """
    port = model.input()
    layout = ov.layout_helpers.get_layout(port)
    if port.partial_shape.rank != 4:
        raise ValueError(f"an input of shape {port.partial_shape} takes no images: [N,C,H,W] or [N,H,W,C] does")
    if not set("NCHW") <= set(str(layout)):
        layout = ov.Layout("NCHW" if port.partial_shape[1] in (1, 3) else "NHWC")
    if not port.element_type.is_real() and not (mean is None and scale is None):
        raise ValueError(f"an input of {port.element_type.get_type_name()} takes neither mean nor scale")

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
    results = ppp.output().postprocess().convert_element_type(ov.Type.f32)
    if softmax:
        results.custom(lambda output: ops.softmax(ops.reshape(output, [0, -1], special_zero=True), 1).output(0))
    return ppp.build()


def apply_batch_size(model: ov.Model, batch_size: int) -> int:
    """Sets the batch of `model`, whose input has a layout with N, and returns the batch size that it has then.

    That is the model's own where its graph takes no other: some have it written into a Reshape, so that `ov.set_batch`
    raises or the output's first dimension stays as it was. Raises RuntimeError without a layout, ValueError where the
    output's first dimension is not the batch.
    https://docs.openvino.ai/2026/openvino-workflow/running-inference/changing-input-shape.html
    """
    own_batch = ov.get_batch(model)
    for size in (batch_size, own_batch.get_length() if own_batch.is_static else 1):
        with suppress(RuntimeError):
            ov.set_batch(model, size)
            shape = model.output().partial_shape
            if shape.rank.is_static and shape[0] == size:
                return size
    raise ValueError(f"the output's shape {model.output().partial_shape} does not follow the batch size")


def decode(path: str, flags: int = cv2.IMREAD_COLOR, buffer: np.ndarray | None = None) -> np.ndarray:
    """Reads an image file as `cv2.imread(path, flags)` does: u8 [H,W,3] in BGR order, or [H,W] for IMREAD_GRAYSCALE.

    `buffer`, what an earlier call returned, is overwritten and returned where the image has its size: getting the
    pages of a photo from the operating system costs almost as much as decoding it.
    Raises OSError where the file cannot be opened, ValueError where it cannot be decoded.
    """
    file_name: Any = os.fsencode(path)  # OpenCV 5.0.0 crashes on a str that is not UTF-8
    pixels = None
    if buffer is not None:
        buffer.fill(0)  # a file that ends early leaves the rest as it is: not the image before
        with suppress(cv2.error):  # another size
            pixels = cv2.imread(file_name, buffer, flags)
        if pixels is not None and not cv2.hasNonZero(pixels.reshape(-1)):
            pixels = None  # some failures return the buffer as it is, others None
    try:
        if pixels is None:
            pixels = cv2.imread(file_name, flags)
    except cv2.error as error:
        raise ValueError(f"cannot be decoded as an image: {error.err}") from error
    if pixels is None:
        with open(path, "rb"):  # raises if that is the reason
            raise ValueError("cannot be decoded as an image")
    return pixels


def read_ahead(
    items: Iterable[Any], shape: Sequence[int], read: Callable[[Any, np.ndarray], None]
) -> Iterator[tuple[list[Any], ov.Tensor]]:
    """Starts to read `items` at once; returns an iterator over lists of shape[0] items and a u8 tensor of `shape` each.

    `read(item, row)` is called on a pool of threads, to write an item into its row of the tensor; what it raises is
    raised here. The last list may be shorter: rows without an item are zero.
    As many batches are read ahead as give each core an item while one more is waited for, however many items there are.
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

    def finished() -> Iterator[tuple[list[Any], ov.Tensor]]:
        try:
            while reading:
                batch, tensor, jobs = reading.popleft()
                reading.extend(map(start_reading, islice(batches, 1)))
                for job in jobs:
                    job.result()
                yield batch, tensor
        finally:
            pool.shutdown(cancel_futures=True)

    return finished()


def infer_in_order(
    queue: ov.AsyncInferQueue, inputs: Iterable[tuple[Any, ov.Tensor | np.ndarray]]
) -> Iterator[tuple[Any, np.ndarray]]:
    """Infers the tensors of `inputs`, pairs of a key and a tensor; yields each key with a copy of the output, in order.

    `queue` is of a model with one input and one output. A result is yielded once the next input is there and all
    results before it are; behind a slow request at most eight for each request of the queue wait.
    Raises what inference or `inputs` raises. However it ends, no request is left running.
    https://docs.openvino.ai/2026/api/ie_python_api/_autosummary/openvino.AsyncInferQueue.html
    """
    started: deque[tuple[Any, Future]] = deque()

    def keep_output(request: ov.InferRequest, output: Future) -> None:
        # An exception that leaves a callback ends the process at the queue's second call after it.
        try:
            output.set_result(request.get_output_tensor().data.copy())  # the request's next run overwrites its tensor
        except Exception as error:
            output.set_exception(error)

    def wait_for_requests() -> None:
        for request in queue:
            with suppress(Exception):  # a failed request raises once more
                request.wait()

    queue.set_callback(keep_output)
    # A request that runs while the interpreter ends takes it down, and only `atexit` comes before that to a generator
    # that is still bound to a name.
    atexit.register(wait_for_requests)
    try:
        for key, tensor in inputs:
            started.append((key, Future()))
            # Waits for an idle request, which takes an ov.Tensor as it is and copies anything else.
            queue.start_async(tensor, userdata=started[-1][1])
            if len(started) > 8 * len(queue):
                queue.wait_all()
            while started and started[0][1].done():
                key, output = started.popleft()
                yield key, output.result()
        queue.wait_all()
        for key, output in started:
            yield key, output.result()
    finally:
        wait_for_requests()
        atexit.unregister(wait_for_requests)


def top_class_ids(probabilities: np.ndarray, number_top: int) -> np.ndarray:
    """The class ids of `probabilities` [classes], the most probable first; of equal ones the lower id, NaN last."""
    return np.argsort(-probabilities, kind="stable")[:number_top]


# The sample

IDX_SUFFIX = "ubyte"  # digits.ubyte, and train-images-idx3-ubyte as MNIST has it
IMAGE_SUFFIXES = (
    ".avif", ".bmp", ".dib", ".exr", ".gif", ".hdr", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pfm", ".pgm", ".pic",
    ".png", ".pnm", ".ppm", ".ras", ".sr", ".tif", ".tiff", ".webp", IDX_SUFFIX,
)  # fmt: skip
IDX_IMAGES_MAGIC = 0x00000803  # u8, three dimensions
IDX_LABELS_MAGIC = 0x00000801  # u8, one dimension
DEFAULT_BATCH_LIMIT = 8


class SampleError(Exception):
    """Its message is all that the user needs to read."""


@contextmanager
def on_error(message: str) -> Iterator[None]:
    """Turns any exception into a SampleError that says in one line what failed, and why."""
    try:
        yield
    except SampleError:
        raise
    except Exception as error:
        raise SampleError(f"{message}: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """One line: the last of OpenVINO's messages, which begin with where in its sources they were raised."""
    text = (isinstance(error, OSError) and error.strerror) or str(error)
    return text.strip().rpartition("\n")[2].strip() or type(error).__name__


class Parser(argparse.ArgumentParser):
    def format_help(self) -> str:
        devices = f"Available target devices: {', '.join(ov.Core().available_devices)}"
        return "\n".join([super().format_help(), *version_lines(), "", devices, ""])


def integer_from(minimum: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        if not text.isdecimal() or int(text) < minimum:
            raise argparse.ArgumentTypeError(f"must be an integer, {minimum} or greater, not '{text}'")
        return int(text)

    return convert


def channel_values(smallest: float) -> Callable[[str], list[float]]:
    def convert(text: str) -> list[float]:
        try:
            values = [float(value) for value in text.strip("[]()").split(",")]
        except ValueError:
            values = []
        if len(values) not in (1, 3) or not all(smallest <= abs(value) <= 1e18 for value in values):
            form = f"one number or three separated by commas, {smallest:g} to 1e18 in size"
            raise argparse.ArgumentTypeError(f"must be {form}, not '{text}'")
        return values

    return convert


def parse_args(argv: Sequence[str]) -> argparse.Namespace:
    parser = Parser(add_help=False)
    add = parser.add_argument_group("Options").add_argument
    # fmt: off
    add("-h", "--help", action="help", help="Show this help message and exit.")
    add("-m", "--model", required=True,
        help="Required. Path to an .xml or .onnx file with a trained model, or to any other model that OpenVINO reads.")
    add("-i", "--input", required=True, nargs="+", action="extend",
        help="Required. Path to an image file(s), to a folder(s) with images, or to an IDX file(s) (.ubyte).")
    add("-d", "--device", default="CPU",
        help="Optional. Specify the target device to infer on; CPU, GPU, NPU, AUTO, HETERO:, MULTI: or BATCH: is "
        "acceptable. The sample will look for a suitable plugin for device specified. Default value is CPU.")
    add("-l", "--cpu_extension",
        help="Optional. Required for custom operations. Path to a shared library with their implementations.")
    add("-pp", "--plugin_dir",
        help="Optional. Path to a plugin folder. The devices that its plugins.xml names become available to -d.")
    add("--labels",
        help="Optional. Labels mapping file, a label a line. Default is the model's name with the suffix .labels.")
    add("-nt", "--number_top", type=integer_from(1), default=10,
        help="Optional. Number of top results. Default value is 10.")
    add("-ni", "--number_iter", type=integer_from(1),
        help="Optional. Number of inference iterations; if given, the throughput is reported. Default value is 1.")
    add("-nireq", "--number_infer_requests", type=integer_from(0), default=0,
        help="Optional. Number of infer requests. Default value is 0: as many as are optimal for the device.")
    add("-pc", "--perf_counts", action="store_true", help="Optional. Report performance counters.")
    add("-b", "--batch_size", type=integer_from(1),
        help=f"Optional. Batch size. Default is the number of images, split evenly above {DEFAULT_BATCH_LIMIT}.")
    add("--reverse_input_channels", action="store_true",
        help="Optional. Give the model its images in RGB order instead of BGR.")
    add("--mean_values", type=channel_values(0), metavar="VALUES",
        help="Optional. Mean values to subtract, in the model's order of channels: 123.675,116.28,103.53 or 127.")
    add("--scale_values", type=channel_values(1e-18), metavar="VALUES",
        help="Optional. Scale values to divide by after that.")
    add("--softmax", action="store_true", help="Optional. Turn the model's outputs (logits) into probabilities.")
    add("--infer_precision", choices=("f32", "f16", "bf16"),
        help="Optional. Precision to infer with. Default is the device's own choice.")
    add("-cdir", "--cache_dir",
        help="Optional. Path to a folder where compiled models are cached, to load faster the next time.")
    add("-v", "--verbose", action="store_true",
        help="Optional. Log every step, and the traceback of an error.")
    # fmt: on
    if not argv:
        parser.print_help(sys.stderr)
    return parser.parse_args(argv)


def log(*lines: str) -> None:
    """Prints to standard output in one write, so that tables stay whole where several runs share a terminal."""
    with on_error("Cannot write to standard output"):
        print("\n".join(f"[ INFO ] {line}" if line else "[ INFO ]" for line in lines), flush=True)


def log_warning(message: str) -> None:
    print(f"[ WARNING ] {message}\n", end="", file=sys.stderr)


def log_progress(done: int, total: int) -> None:
    """Shows the progress of many images on a terminal, while the tables go elsewhere; the next line overwrites it."""
    if total > DEFAULT_BATCH_LIMIT and sys.stderr and sys.stderr.isatty() and not sys.stdout.isatty():
        print(f"{done}/{total} images", end="\n" if done == total else "\r", file=sys.stderr)


def version_lines() -> tuple[str, str]:
    build = ov.get_version()
    return f"OpenVINO Runtime version ......... {build.partition('-')[0]}", f"Build ........... {build}"


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
    """Logs `profiling_info` of an infer request."""
    microseconds = [round(layer.real_time.total_seconds() * 1e6) for layer in layers]
    rows = [("name", "layer_type", "exec_type", "status", "real_time_us")]
    for layer, time_us in zip(layers, microseconds):
        rows.append((layer.node_name, layer.node_type, layer.exec_type, layer.status.name, str(time_us)))
    widths = [max(map(len, column)) for column in zip(*rows)]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    log("Performance counters:", *table, f"Total time: {sum(microseconds)} us", "")


class Image:
    def __init__(self, name: str, decode: Callable[..., np.ndarray] | None = None, error: str = "") -> None:
        self.name = name
        self.decode = decode  # decode(flags, buffer), the piece or what does the same for an IDX file
        self.error = error  # why it cannot be read, once that is known


def check_path(path: str) -> None:
    with on_error(f"Cannot read {path}"):
        os.stat(path)
        if not (os.path.isfile(path) or os.path.isdir(path)):
            raise ValueError("it is neither a file nor a folder")


def list_files(inputs: Iterable[str]) -> list[str]:
    """Lists the files that `inputs` name, in their order; a folder stands for the images in it, sorted by name."""
    files = []
    for path in inputs:
        if os.path.isdir(path):
            with on_error(f"Cannot read the folder {path}"):
                paths = [os.path.join(path, name) for name in sorted(os.listdir(path))]
                if not (images := list(filter(looks_like_image, paths))):
                    raise ValueError("there are no images in it")
            files += images
        else:
            files.append(path)
    return files


def looks_like_image(path: str) -> bool:
    """Decides by the suffix, so that damaged images are reported and not left out, else by the file's signature."""
    if path.lower().endswith(IMAGE_SUFFIXES):
        return not os.path.isdir(path)
    file_name: Any = os.fsencode(path)
    return os.path.isfile(path) and cv2.haveImageReader(file_name)


def list_images(files: Iterable[str]) -> list[Image]:
    """Lists an image for each file, more for an IDX file; what is wrong with a file becomes the error of its image."""
    images = []
    for path in files:
        try:
            if not os.path.isfile(path):
                raise ValueError("is not a regular file")
            is_idx = path.lower().endswith(IDX_SUFFIX)
            images += list_idx_images(path) if is_idx else [Image(path, partial(decode, path))]
        except (OSError, ValueError) as error:
            images.append(Image(path, error=reason(error)))
    return images


def list_idx_images(path: str) -> list[Image]:
    """Lists the images of an IDX file: u8 [N,H,W] after four big-endian u32 (magic number, N, H, W).

    https://yann.lecun.org/exdb/mnist/index.html
    """
    header = np.fromfile(path, ">u4", 4).tolist()
    if len(header) < 4:
        raise ValueError("ends before its IDX header does")
    magic, count, height, width = header
    if magic != IDX_IMAGES_MAGIC:
        kind = "labels" if magic == IDX_LABELS_MAGIC else "no images"
        raise ValueError(f"is an IDX file of {kind} (magic number {magic}, images have {IDX_IMAGES_MAGIC})")
    if count * height * width == 0:
        raise ValueError(f"holds {count} images of {height}x{width} pixels")
    data_size = os.path.getsize(path) - 16
    complete = min(count, data_size // (height * width))
    images = [Image(f"{path}[{i}]", partial(decode_idx_image, path, i, height, width)) for i in range(complete)]
    if complete < count:
        images.append(Image(f"{path}[{complete}..{count - 1}]", error="missing: the file ends early"))
    elif data_size > count * height * width:
        log_warning(f"{path}: {data_size - count * height * width} bytes after its last image are ignored")
    return images


def decode_idx_image(
    path: str, index: int, height: int, width: int, flags: int, buffer: np.ndarray | None
) -> np.ndarray:
    pixels = np.fromfile(path, np.uint8, height * width, offset=16 + index * height * width)
    if len(pixels) < height * width:
        raise ValueError("missing: the file has become shorter")
    gray = pixels.reshape(height, width)
    return cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR) if flags == cv2.IMREAD_COLOR else gray


def image_reader(channels: int) -> Callable[[Image, np.ndarray], None]:
    """Returns the `read` of `read_ahead`: it fills u8 [H,W,channels], or sets the image's `error`."""
    if channels not in (1, 3):
        raise ValueError(f"only 1 or 3 channels are supported, the model's input has {channels}")
    flags = cv2.IMREAD_COLOR if channels == 3 else cv2.IMREAD_GRAYSCALE
    thread = threading.local()

    def read(image: Image, row: np.ndarray) -> None:
        if image.decode is None:
            return
        try:
            thread.pixels = image.decode(flags, getattr(thread, "pixels", None))
            row[:] = cv2.resize(thread.pixels, row.shape[1::-1]).reshape(row.shape)
        except Exception as error:
            image.error = reason(error)

    return read


def read_labels(path: str) -> list[str]:
    """Reads labels in class id order, in UTF-8 or any other encoding that extends ASCII; a blank line is a class too.

    A WordNet id in front of a label, as in ImageNet's `n01440764 tench, Tinca tinca`, is left out.
    """
    with on_error(f"Cannot read the labels {path}"):
        content = Path(path).read_bytes().removeprefix(codecs.BOM_UTF8)
        if b"\0" in content:
            raise ValueError("not a text in UTF-8")
    return [re.sub(r"^n\d{8}\s+", "", os.fsdecode(line).strip()) for line in content.rstrip().splitlines()]


def check_model(model: ov.Model, path: str) -> None:
    """Raises ValueError for a model that is no classifier of images of one size."""
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        counts = f"{len(model.inputs)} inputs and {len(model.outputs)} outputs"
        raise ValueError(f"Models with only 1 input and output are supported, this one has {counts}")
    shape = model.output().partial_shape
    sizes = list(shape) if shape.rank.is_static else []
    if not (len(sizes) == 2 or (len(sizes) == 4 and [1, 1] in (sizes[1:3], sizes[2:]))):
        raise ValueError(f"its output shape {shape} is none of a classifier's: [N,C], [N,C,1,1] or [N,1,1,C]")
    name, shape = model.input().any_name, model.input().partial_shape
    if shape.rank == 4 and any(size.is_dynamic for size in list(shape)[1:]):
        raise ValueError(
            f"its input {name} has the shape {shape}: fix its height and width when converting it, "
            f'for example `ovc {path} --input "{name}[1,3,224,224]"`'
        )


def probability_warning(outputs: np.ndarray, output_type: ov.Type) -> str:
    """Says what keeps `outputs`, f32 [N,classes] of a model that computes them in `output_type`, from being probabilities.

    Returns nothing for probabilities as devices round them: a GPU's f16 softmax of 1000 classes adds up to 1.025, and
    8 bits are off by up to 1/512 for each class.
    """
    low, high, classes = outputs.min(), outputs.max(), outputs.shape[1]
    if np.isnan(low):
        return "The model's outputs contain NaN: check mean and scale values, or try --infer_precision f32"
    if low < 0 or high > 1.1:
        advice = ": if they are logits, add --softmax" if classes > 1 and output_type.is_real() else ""
        return f"The model's outputs are not probabilities ({low:g} to {high:g}){advice}"
    sums = outputs.sum(axis=1)
    rounding = max(0.1, classes / 512 if output_type in (ov.Type.u8, ov.Type.i8) else 0)
    if classes > 1 and np.abs(sums - 1).max() > rounding:
        return f"The model's outputs do not add up to 1 ({sums.min():g} to {sums.max():g})"
    return ""


def prepare_streams() -> None:
    """Makes names of files and labels print as the bytes they are, in any locale, and OpenCV keep quiet."""
    stream: Any
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.reconfigure(encoding=sys.getfilesystemencoding(), errors=sys.getfilesystemencodeerrors())
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # its lines name no file


def main(argv: Sequence[str]) -> int:
    """Returns the exit status: 1 with a line on standard error if anything went wrong, else 0."""
    args = parse_args(argv)
    try:
        return classify_images(args)
    except Exception as error:
        if args.verbose:
            traceback.print_exc()
        print(f"[ ERROR ] {reason(error)}\n", end="", file=sys.stderr)
        return 1


def classify_images(args: argparse.Namespace) -> int:
    """Returns the exit status: 1 if an image could not be read, else 0."""
    log_detail = log if args.verbose else lambda *lines: None
    log_detail(*version_lines(), "", "Parsing input parameters")
    plugins = args.plugin_dir and os.path.join(args.plugin_dir, "plugins.xml")
    for path in filter(None, (args.model, *args.input, args.labels, args.cpu_extension, plugins)):
        check_path(path)
    files = list_files(args.input)
    log_detail(f"Files were added: {len(files)}", *(f"    {file}" for file in files))
    images = list_images(files)
    labels_path = args.labels or str(Path(args.model).with_suffix(".labels"))
    labels = read_labels(labels_path) if os.path.isfile(labels_path) else None

    # Step 1. The core knows the devices; plugins bring more of them, extensions more operations
    log("Creating OpenVINO Runtime Core")
    core = ov.Core()
    if plugins:
        with on_error(f"Cannot register the plugins of {plugins}"):
            core.register_plugins(plugins)
    if args.cpu_extension:
        with on_error(f"Cannot load the extension {args.cpu_extension}"):
            core.add_extension(os.path.abspath(args.cpu_extension))  # a bare name would mean a library of the system

    # Step 2. Read the model
    log(f"Reading the model: {args.model}")
    with on_error(f"Cannot read the model {args.model}"):
        model = core.read_model(args.model)
    log_detail(*model_lines(model))

    output_type = model.output().element_type

    with on_error(f"Cannot use the model {args.model}"):
        # Step 3. Build into the model what turns decoded images into its input, so that the device runs it
        check_model(model, args.model)
        model = build_preprocessing(
            model, args.reverse_input_channels, args.mean_values, args.scale_values, args.softmax
        )
        # Step 4. Set the batch by the number of images; this needs the layout that step 3 has set
        batch_count = math.ceil(len(images) / DEFAULT_BATCH_LIMIT)
        wanted_batch_size = args.batch_size or math.ceil(len(images) / batch_count)
        batch_size = apply_batch_size(model, wanted_batch_size)
    if batch_size != wanted_batch_size:
        log_warning(f"The model does not take the batch size {wanted_batch_size}, it runs with batch size {batch_size}")
    log_detail(f"Set batch size {batch_size}", *model_lines(model))
    classes = math.prod(model.output().shape) // batch_size
    if labels is not None and len(labels) != classes:
        log_warning(f"{labels_path} has {len(labels)} labels, the model {classes} classes")

    # Step 5. Start to read the images, so that they are there when the model is
    with on_error(f"Cannot make batches of {batch_size} images"):
        shape = model.input().shape
        batches = read_ahead(images, shape, image_reader(channels=shape[3]))

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
            tempfile.TemporaryFile(dir=args.cache_dir).close()  # OpenVINO keeps quiet where it cannot write
        config[cache_dir] = args.cache_dir
    try:
        compiled_model = core.compile_model(model, args.device, config)
    except Exception as error:
        devices, upper = core.available_devices, args.device.upper()
        advice = f" (did you mean {upper}?)" if upper != args.device and upper in (*devices, "AUTO") else ""
        raise SampleError(
            f"Cannot load the model to the device '{args.device}'{advice}: {reason(error).rstrip('.')}. "
            f"Available target devices: {', '.join(devices)}"
        ) from error

    # Step 7. Infer, and print the tables of one batch while the next ones are inferred
    log("Starting inference in asynchronous mode")
    queue = ov.AsyncInferQueue(compiled_model, request_count)
    runs = (((batch, iteration), tensor) for batch, tensor in batches for iteration in range(iterations))
    warning, done = "", 0
    start = time.perf_counter()
    with on_error("Inference failed"):
        for run_number, ((batch, iteration), output) in enumerate(infer_in_order(queue, runs), start=1):
            log_detail(f"Completed {run_number} async request execution")
            if iteration > 0:
                continue
            outputs = output.reshape(batch_size, classes)[: len(batch)]  # what is behind them is padding
            if not warning and len(of_images := outputs[[not image.error for image in batch]]):
                if warning := probability_warning(of_images, output_type):
                    log_warning(warning)
            for image, probabilities in zip(batch, outputs):
                if image.error:
                    log_warning(f"{image.name}: {image.error}")
                else:
                    log_table(image.name, probabilities, args.number_top, labels)
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
    prepare_streams()
    sys.exit(main(sys.argv[1:]))
