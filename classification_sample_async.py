#!/usr/bin/env python3
"""Classifies images with OpenVINO's asynchronous API and prints the most probable classes of each.

    python classification_sample_async.py -m data/efficientnet-lite0.xml -i data/images

The steps of `classify_images`, at the end, are those of any program that infers with OpenVINO: create a `Core`, read a
model, build the preprocessing into it, set its batch, compile it for a device, start infer requests, use what they
return. `infer_in_order` is the part to copy for an `AsyncInferQueue`.
"""

import argparse
import codecs
import math
import os
import re
import signal
import sys
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import NamedTuple

if __name__ == "__main__" and os.name == "posix":
    # Ctrl-C ends the program at once, also during the imports below and inside OpenVINO's calls, which Python cannot
    # interrupt; so does a reader of standard output that has seen enough (`| head`).
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    threading.Thread(target=lambda: os._exit(128 + signal.sigwait([signal.SIGINT])), daemon=True).start()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)

import cv2
import numpy as np
import openvino as ov
from openvino import opset13 as ops
from openvino.preprocess import PrePostProcessor
from openvino.properties import enable_profiling, hint

IDX_SUFFIX = "ubyte"  # digits.ubyte, and train-images-idx3-ubyte as MNIST has it
IMAGE_SUFFIXES = (
    ".avif", ".bmp", ".dib", ".exr", ".gif", ".hdr", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pfm", ".pgm", ".pic",
    ".png", ".pnm", ".ppm", ".ras", ".sr", ".tif", ".tiff", ".webp", IDX_SUFFIX,
)  # fmt: skip
IDX_IMAGES_MAGIC = 0x00000803  # u8, three dimensions: https://yann.lecun.org/exdb/mnist/index.html
IDX_LABELS_MAGIC = 0x00000801  # u8, one dimension
BATCH_LIMIT = 8
BATCHES_READ_AHEAD = 2
RESULTS_PER_REQUEST = 8


class SampleError(Exception):
    """What the user can mend: `main` prints it as one `[ ERROR ]` line."""


class Image(NamedTuple):
    name: str
    path: str
    pixels: np.ndarray | None = None  # u8 [H,W] of an image in an IDX file, else None: still to be decoded
    problem: str | None = None  # why the image cannot be classified, if that is known before decoding


class Batch(NamedTuple):
    images: list[Image]
    errors: list[BaseException | None]  # one per image: why it could not be read
    tensor: ov.Tensor  # u8 [N,H,W,C]; rows without a readable image are zero


class Result(NamedTuple):
    batch: Batch
    iteration: int
    output: np.ndarray  # f32 [N,classes], [N,classes,1,1] or [N,1,1,classes]


# Errors


@contextmanager
def failing(what):
    """Turns any exception into a SampleError that says in one line what could not be done, and why."""
    try:
        yield
    except SampleError:
        raise
    except Exception as error:
        raise SampleError(f"{what}: {reason(error)}") from error


def reason(error):
    """The exception's message in one line, without where in OpenVINO's sources it was raised."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    lines = [line.strip() for line in str(error).splitlines() if not line.startswith("Exception from ")]
    text = re.sub(r"Check '.*?' failed at \S+:\d+:", "", " ".join(lines))
    return " ".join(text.split()) or type(error).__name__


# Command line


class Parser(argparse.ArgumentParser):
    def format_help(self):
        devices = f"Available target devices: {', '.join(ov.Core().available_devices)}"
        return "\n".join([super().format_help(), *version_lines(), "", devices, ""])


def whole_number(minimum):
    def convert(text):
        if not text.isdecimal() or int(text) < minimum:
            raise argparse.ArgumentTypeError(f"'{text}' is no whole number of {minimum} or more")
        return int(text)

    return convert


def channel_values(text):
    """`R,G,B`, `[R,G,B]` or one number, as `ovc` and `benchmark_app` take them."""
    try:
        values = [float(value) for value in text.strip("[]()").split(",")]
    except ValueError:
        values = []
    if len(values) not in (1, 3) or not np.isfinite(values).all():
        raise argparse.ArgumentTypeError(f"'{text}' is neither one number nor three with commas between them")
    return values


def scale_values(text):
    values = channel_values(text)
    if 0 in values:
        raise argparse.ArgumentTypeError(f"'{text}': cannot divide by 0")
    return values


def parse_args(argv):
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
        help="Optional. Labels mapping file, one label a line in class id order. By default the file beside the model "
        "that has its name and the suffix .labels, if there is one.")
    add("-nt", "--number_top", type=whole_number(1), default=10,
        help="Optional. Number of top results. Default value is 10.")
    add("-ni", "--number_iter", type=whole_number(1),
        help="Optional. Number of inference iterations; if given, the throughput is reported. Default value is 1.")
    add("-nireq", "--number_infer_requests", type=whole_number(0), default=0,
        help="Optional. Number of infer requests. Default value is 0: as many as are optimal for the device.")
    add("-pc", "--perf_counts", action="store_true", help="Optional. Report performance counters.")
    add("-b", "--batch_size", type=whole_number(1),
        help="Optional. Batch size. By default the number of images, split evenly into batches of "
        f"{BATCH_LIMIT} at most.")
    add("--reverse_input_channels", action="store_true",
        help="Optional. Give the model its images in RGB order in place of BGR.")
    add("--mean_values", type=channel_values, metavar="VALUES",
        help="Optional. Mean values, subtracted after the channels are reversed: one for each channel of the model's "
        'input, in its order, or one for all; for example "123.675,116.28,103.53".')
    add("--scale_values", type=scale_values, metavar="VALUES",
        help="Optional. Scale values, divided by after the mean values are subtracted.")
    add("--softmax", action="store_true", help="Optional. Turn the model's outputs (logits) into probabilities.")
    add("--infer_precision", choices=("f32", "f16", "bf16"),
        help="Optional. Precision to infer with. By default the device's own choice.")
    add("-v", "--verbose", action="store_true",
        help="Optional. Log versions, files, the model's inputs and outputs, the batch size and completed requests, "
        "and let libraries print to standard error.")
    # fmt: on
    if not argv:
        parser.print_help(sys.stderr)
    return parser.parse_args(argv)


# Log


def log(*lines):
    """Prints to standard output in one write, so that tables stay whole where several runs share a terminal."""
    print("\n".join(f"[ INFO ] {line}" if line else "[ INFO ]" for line in lines))


def log_warning(message):
    print(f"[ WARNING ] {message}", file=sys.stderr)


def version_lines():
    build = ov.get_version()
    return f"OpenVINO Runtime version ......... {build.partition('-')[0]}", f"Build ........... {build}"


def port_name(port):
    return port.any_name if port.names else "NONE"


def log_model_info(model):
    lines = [f"model name: {model.friendly_name}"]
    for kind, ports in (("input", model.inputs), ("output", model.outputs)):
        lines.append(f"    {kind}s")
        for port in ports:
            lines.append(f"        {kind} name: {port_name(port)}")
            lines.append(f"        {kind} type: {port.element_type.get_type_name()}")
            lines.append(f"        {kind} shape: {{{', '.join(str(dimension) for dimension in port.partial_shape)}}}")
    log(*lines)


# Files


def check_paths(*paths):
    """Raises SampleError for a path that leads to no file or folder; None stands for an option not given."""
    for path in paths:
        if path is not None:
            with failing(f"Cannot read {path}"):
                os.stat(path)
                if not (os.path.isfile(path) or os.path.isdir(path)):
                    raise ValueError("neither a file nor a folder")


def list_files(inputs):
    """The files that `inputs` name, in their order; a folder stands for the images in it, sorted by name.

    Raises SampleError for a folder without images.
    """
    files = []
    for path in inputs:
        if not os.path.isdir(path):
            files.append(path)
            continue
        with failing(f"Cannot read the folder {path}"):
            in_folder = [os.path.join(path, name) for name in sorted(os.listdir(path))]
        images = [file for file in in_folder if looks_like_image(file)]
        if not images:
            raise SampleError(f"No images in the folder {path}")
        files += images
    return files


def looks_like_image(path):
    """By its suffix, so that damaged images are reported and not left out; else by its signature."""
    if path.lower().endswith(IMAGE_SUFFIXES):
        return not os.path.isdir(path)
    return os.path.isfile(path) and cv2.haveImageReader(os.fsencode(path))


def list_images(files):
    images = []
    for path in files:
        if not os.path.isfile(path):
            images.append(Image(path, path, problem="is no regular file"))
        elif path.lower().endswith(IDX_SUFFIX):
            images += list_idx_images(path)
        else:
            images.append(Image(path, path))
    return images


def list_idx_images(path):
    """The images of an IDX file (u8 [N,H,W] behind four big-endian u32: magic, N, H, W), mapped and not read.

    What is wrong with the file becomes the problem of an image, so that it is reported in its place.
    """
    try:
        data = np.memmap(path, np.uint8, mode="r")
        magic, images, height, width = (int(value) for value in data[:16].view(">u4"))
    except OSError as error:
        return [Image(path, path, problem=error.strerror)]
    except ValueError:
        return [Image(path, path, problem="ends before its IDX header does")]
    if magic != IDX_IMAGES_MAGIC:
        kind = "labels" if magic == IDX_LABELS_MAGIC else "no images"
        return [Image(path, path, problem=f"is an IDX file of {kind} (magic number {magic}, images have 2051)")]
    if images * height * width == 0:
        return [Image(path, path, problem=f"holds {images} images of {height}x{width} pixels")]

    data = np.asarray(data[16:])
    size = height * width
    complete = min(images, len(data) // size)
    found = [
        Image(f"{path}[{index}]", path, data[index * size : (index + 1) * size].reshape(height, width))
        for index in range(complete)
    ]
    if complete < images:
        found.append(Image(f"{path}[{complete}..{images - 1}]", path, problem="missing: the file ends early"))
    elif len(data) > images * size:
        log_warning(
            f"{path}: the {len(data) - images * size} bytes behind the {images} images of its header are ignored"
        )
    return found


def labels_beside(model_path):
    path = Path(model_path).with_suffix(".labels")
    return path if path.is_file() else None


def read_labels(path):
    """Labels in class id order, in UTF-8 or any other encoding that extends ASCII; a blank line is a class without one.

    A WordNet id in front of a label, as in ImageNet's `n01440764 tench, Tinca tinca`, is left out.
    """
    with failing(f"Cannot read the labels {path}"):
        content = Path(path).read_bytes().removeprefix(codecs.BOM_UTF8)
        if b"\0" in content:
            raise ValueError("no text in UTF-8")
    return [re.sub(r"^n\d{8}\s+", "", os.fsdecode(line).strip()) for line in content.rstrip().splitlines()]


# Model


def create_core(cpu_extension, plugin_dir):
    core = ov.Core()
    if plugin_dir is not None:
        plugins = os.path.join(plugin_dir, "plugins.xml")
        check_paths(plugins)
        with failing(f"Cannot register the plugins of {plugins}"):
            core.register_plugins(plugins)
    if cpu_extension is not None:
        with failing(f"Cannot load the extension {cpu_extension}"):
            # a bare file name would be looked for among the system's libraries
            core.add_extension(os.path.abspath(cpu_extension))
    return core


def read_model(core, path):
    try:
        model = core.read_model(path)
    except Exception as error:
        why = reason(error)
        if "unsupported opset" in why or "No conversion rule" in why:
            why += ": if it is a custom operation, name the library that implements it with -l"
        raise SampleError(f"Cannot read the model {path}: {why}") from error
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise SampleError(
            "Models with only 1 input and output are supported. "
            f"{path} has {len(model.inputs)} inputs and {len(model.outputs)} outputs."
        )
    return model


def input_layout(model):
    """The layout that the model states, else NCHW or NHWC, by where its shape has 1 or 3 channels.

    Raises SampleError for an input that is no image of fixed height and width with 1 or 3 channels.
    """
    name, shape = port_name(model.input()), model.input().partial_shape
    what_it_is = f"The model's input {name} has the shape {shape}"
    layout = ov.layout_helpers.get_layout(model.input())
    if shape.rank != 4:
        raise SampleError(f"{what_it_is}: it takes no images, [N,C,H,W] or [N,H,W,C]")
    if not set("NCHW") <= set(str(layout)):
        layout = ov.Layout("NCHW" if shape[1] in (1, 3) else "NHWC")
    channels, height, width = (shape[layout.get_index_by_name(dimension)] for dimension in "CHW")
    if channels not in (1, 3):
        raise SampleError(f"{what_it_is}: only 1 or 3 channels are supported")
    if height.is_dynamic or width.is_dynamic:
        raise SampleError(
            f"{what_it_is}: fix its height and width when converting it, "
            f'for example `ovc model.onnx --input "{name}[1,3,224,224]"`'
        )
    return layout


def class_axis(model):
    """The axis of the classes in the output: 1 of [N,C] and [N,C,1,1], 3 of [N,1,1,C]; SampleError for other shapes."""
    shape = model.output().partial_shape
    dimensions = list(shape) if shape.rank.is_static else []
    if len(dimensions) == 2 or (len(dimensions) == 4 and dimensions[2:] == [1, 1]):
        return 1
    if len(dimensions) == 4 and dimensions[1:3] == [1, 1]:
        return 3
    raise SampleError(f"The model's output shape {shape} is none of a classifier's: [N,C], [N,C,1,1] or [N,1,1,C]")


def check_channel_values(option, values, port, layout):
    channels = port.partial_shape[layout.get_index_by_name("C")].get_length()
    if len(values) not in (1, channels):
        raise SampleError(f"{option} has {len(values)} values, the model's input {port_name(port)} {channels} channel")
    if not port.element_type.is_real():
        type_name = port.element_type.get_type_name()
        raise SampleError(f"{option} needs a floating point input, the model's input {port_name(port)} is {type_name}")


def build_preprocessing(model, reverse_channels=False, mean=None, scale=None, softmax=False):
    """The model with input u8 [N,H,W,C], BGR, as OpenCV decodes images, and output f32.

    `mean` and `scale` are one number for each channel of the model, or one for all.
    https://docs.openvino.ai/2025/api/ie_python_api/_autosummary/openvino.preprocess.PrePostProcessor.html
    """
    axis = class_axis(model)
    layout = input_layout(model)
    for option, values in (("--mean_values", mean), ("--scale_values", scale)):
        if values:
            check_channel_values(option, values, model.input(), layout)

    ppp = PrePostProcessor(model)
    ppp.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    ppp.input().model().set_layout(layout)
    steps = ppp.input().preprocess()
    if reverse_channels:
        steps.reverse_channels()
    if mean or scale:
        steps.convert_element_type(ov.Type.f32)
    if mean:
        steps.mean(mean[0] if len(mean) == 1 else mean)
    if scale:
        steps.scale(scale[0] if len(scale) == 1 else scale)
    ppp.output().postprocess().convert_element_type(ov.Type.f32)
    if softmax:
        ppp.output().postprocess().custom(lambda output: ops.softmax(output, axis).output(0))
    return ppp.build()


def apply_batch_size(model, batch_size):
    """Sets the batch and returns it: `batch_size`, or the model's own where its graph does not take another.

    Some graphs have the batch written into a Reshape: `ov.set_batch` raises, or the output's first dimension stays.
    """
    own = model.input().partial_shape[0]
    for size in (batch_size, own.get_length() if own.is_static else 1):
        with suppress(RuntimeError):
            ov.set_batch(model, size)
            output_shape = model.output().partial_shape
            if output_shape.is_static and output_shape[0] == size:
                break
    else:
        raise SampleError(f"The model's output shape {model.output().partial_shape} does not follow its batch size")
    if size != batch_size:
        log_warning(f"The model does not take the batch size {batch_size}, it runs with batch size {size}")
    return size


def even_batch_size(image_count):
    """Up to BATCH_LIMIT all images make one batch; above it they are split evenly, so that little is padded."""
    batches = math.ceil(image_count / BATCH_LIMIT)
    return math.ceil(image_count / batches)


def compile_model(core, model, device, config):
    """Raises SampleError with the devices that there are, if the model cannot be loaded to `device`."""
    try:
        return core.compile_model(model, device, config)
    except Exception as error:
        available = core.available_devices
        why = what_is_missing(device, available) or reason(error)
        raise SampleError(
            f"Cannot load the model to the device {device!r}: {why.rstrip('.')}. "
            f"Available target devices: {', '.join(available)}"
        ) from error


def what_is_missing(device, available):
    """Says which of the devices in `device` (`CPU`, `HETERO:GPU.1,CPU`, `BATCH:GPU(4)`) is not there, if one is not."""
    virtual, _, listed = device.partition(":")
    if virtual in ("AUTO", "BATCH", "HETERO", "MULTI"):
        names = [re.sub(r"^-|\(.*\)$", "", name) for name in listed.split(",") if name]
        if not names and virtual != "AUTO":
            return f"{virtual} needs a list of devices, for example {virtual}:{available[0]}"
    else:
        names = [device]
    known = {*available, *(name.partition(".")[0] for name in available), *(f"{name}.0" for name in available)}
    for name in names:
        if name not in known:
            suggestion = f" (did you mean {name.upper()}?)" if name.upper() in known else ""
            return f"{name or 'that device'} is not available on this machine{suggestion}"
    return None


# Inference


def read_ahead(images, shape):
    """Starts to read `images` in a pool of threads; returns an iterator over them as batches of `shape` [N,H,W,C].

    No more than BATCHES_READ_AHEAD batches are in memory before they are asked for, however many images there are.
    """
    pool = ThreadPoolExecutor(os.cpu_count())
    buffers = threading.local()
    images = iter(images)

    def start_reading(chunk):
        tensor = ov.Tensor(ov.Type.u8, shape)
        tensor.data.fill(0)
        return chunk, tensor, [pool.submit(read_image, image, slot, buffers) for image, slot in zip(chunk, tensor.data)]

    chunks = iter(lambda: list(islice(images, shape[0])), [])  # itertools.batched, before Python 3.12
    window = deque(map(start_reading, islice(chunks, BATCHES_READ_AHEAD)))

    def batches():
        with pool:
            while window:
                chunk, tensor, reads = window.popleft()
                window.extend(map(start_reading, islice(chunks, 1)))
                yield Batch(chunk, [read.exception() for read in reads], tensor)

    return batches()


def read_image(image, slot, buffers):
    """Decodes an image and resizes it into `slot`, u8 [H,W,C]: BGR for three channels, grayscale for one."""
    if image.problem:
        raise SampleError(image.problem)
    height, width, channels = slot.shape
    if image.pixels is None:
        pixels = decode(image.path, cv2.IMREAD_COLOR if channels == 3 else cv2.IMREAD_GRAYSCALE, buffers)
    else:
        pixels = cv2.cvtColor(image.pixels, cv2.COLOR_GRAY2BGR) if channels == 3 else image.pixels
    slot[:] = cv2.resize(pixels, (width, height)).reshape(slot.shape)


def decode(path, flags, buffers):
    """What `cv2.imread(path, flags)` returns; valid until this thread decodes its next image.

    Where the thread's last image had the same size, its memory is used again: getting the pages of a photo from the
    operating system costs almost as much as decoding it.
    """
    path = os.fsencode(path)  # OpenCV 5.0.0 crashes on a str that is not UTF-8
    pixels = decode_into(buffers.pixels, path, flags) if hasattr(buffers, "pixels") else None
    if pixels is None:
        with suppress(cv2.error):  # more pixels than OpenCV allows
            pixels = cv2.imread(path, flags)
    if pixels is None:
        with open(path, "rb"):  # raises OSError if that is the reason
            raise SampleError("cannot be decoded as an image")
    buffers.pixels = pixels
    return pixels


def decode_into(buffer, path, flags):
    """The image in `buffer`, or None if it has another size or cannot be decoded."""
    buffer.fill(0)  # a file that ends early leaves the rest as it was: not the last image
    with suppress(cv2.error):  # another size
        pixels = cv2.imread(path, buffer, flags)
        # Some failures return None, others the buffer as it was.
        if pixels is not None and cv2.hasNonZero(pixels.reshape(-1)):
            return pixels
    return None


def infer_in_order(queue, batches, iterations):
    """Infers each batch `iterations` times and yields the Results in order, whatever order they complete in.

    A result is yielded as soon as all earlier ones are; RESULTS_PER_REQUEST of each request may wait for a slow one.
    Raises SampleError when inference fails.
    https://docs.openvino.ai/2025/api/ie_python_api/_autosummary/openvino.AsyncInferQueue.html
    """
    outputs = {}

    def collect(request, number):
        # An exception that leaves a callback ends the process at the queue's second call after it: keep it instead.
        try:
            outputs[number] = request.get_output_tensor().data.copy()  # the request's next run overwrites its tensor
        except Exception as error:
            outputs[number] = error

    def completed():
        while started and started[0][0] in outputs:
            number, batch, iteration = started.popleft()
            output = outputs.pop(number)
            if isinstance(output, Exception):
                raise output
            yield Result(batch, iteration, output)

    queue.set_callback(collect)
    started = deque()
    runs = ((batch, iteration) for batch in batches for iteration in range(iterations))
    with failing("Inference failed"):
        try:
            for number, (batch, iteration) in enumerate(runs):
                started.append((number, batch, iteration))
                # Waits for an idle request, which takes an ov.Tensor as it is and copies anything else.
                queue.start_async(batch.tensor, userdata=number)
                if len(started) > RESULTS_PER_REQUEST * len(queue):
                    queue.wait_all()
                yield from completed()
            queue.wait_all()
            yield from completed()
        finally:
            # However this ends: a request that is still running at the program's end takes it down.
            for request in queue:
                with suppress(Exception):  # a failed request raises once more
                    request.wait()


# Results


def top_class_ids(probabilities, number_top):
    """The most probable classes first; of equally probable ones the lower class id, NaN last."""
    return np.argsort(-probabilities, kind="stable")[:number_top]


def log_table(name, probabilities, number_top, labels):
    class_ids = top_class_ids(probabilities, number_top)
    header = "class_id probability" if labels is None else "class_id probability label"
    lines = [f"Image path: {name}", f"Top {len(class_ids)} results:", header, "-" * len(header)]
    for class_id in class_ids:
        row = f"{class_id:<8} {probabilities[class_id]:.7f}"
        if labels is not None:
            row = f"{row:<20} {labels[class_id] if class_id < len(labels) else ''}".rstrip()
        lines.append(row)
    log(*lines, "")


def log_batch(batch, output, number_top, labels):
    """Returns how many of the batch's images could not be read: each of them gets a warning in place of a table."""
    for image, error, probabilities in zip(batch.images, batch.errors, output):
        if error is None:
            log_table(image.name, probabilities.ravel(), number_top, labels)
        else:
            log_warning(f"{image.name}: {reason(error)}")
    return sum(error is not None for error in batch.errors)


def log_results(results, image_count, labels, args):
    """Prints the tables while `results` come in, once for all iterations; returns how many images have none."""
    show_progress = image_count > BATCH_LIMIT and is_terminal(sys.stderr) and not is_terminal(sys.stdout)
    expect_probabilities = not args.softmax
    done = unclassified = 0
    for number, (batch, iteration, output) in enumerate(results, start=1):
        if args.verbose:
            log(f"Completed {number} async request execution")
        if iteration > 0:
            continue
        output = output[: len(batch.images)]  # what is behind them is padding
        if expect_probabilities and not are_probabilities(output):
            expect_probabilities = False
            value_range = f"{output.min():g} to {output.max():g}"
            log_warning(f"The model's outputs are no probabilities ({value_range}): if they are logits, add --softmax")
        unclassified += log_batch(batch, output, args.number_top, labels)
        done += len(batch.images)
        if show_progress:  # the next line overwrites it
            print(f"{done}/{image_count} images", end="\n" if done == image_count else "\r", file=sys.stderr)
    return unclassified


def are_probabilities(output):
    """Whether every row of `output` is within 0..1 and adds up to 1, but for the rounding of 16-bit floats."""
    rows = output.reshape(len(output), -1)
    return np.all((rows >= 0) & (rows <= 1)) and np.allclose(rows.sum(axis=1), 1, rtol=0, atol=0.01)


def log_perf_counts(layers):
    """`layers`: `profiling_info` of an infer request; times in microseconds."""
    microsecond = timedelta(microseconds=1)
    rows = [("name", "layer_type", "exec_type", "status", "real_time_us")]
    rows += [
        (layer.node_name, layer.node_type, layer.exec_type, layer.status.name, str(layer.real_time // microsecond))
        for layer in layers
    ]
    widths = [max(map(len, column)) for column in zip(*rows)]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    total = sum((layer.real_time for layer in layers), timedelta()) // microsecond
    log("Performance counters:", *table, f"Total time: {total} us", "")


def is_terminal(stream):
    return stream is not None and stream.isatty()


def prepare_streams(verbose):
    """Standard output and error print names of files and labels as the bytes they are, in any locale.

    What libraries print to standard error by themselves (libpng on a damaged image, say) names no file and cuts our
    lines in two: it goes nowhere unless `verbose`.
    """
    encoding = {"encoding": sys.getfilesystemencoding(), "errors": sys.getfilesystemencodeerrors()}
    if sys.stdout is not None:
        sys.stdout.reconfigure(**encoding, line_buffering=True)
    if sys.stderr is not None:
        sys.stderr = open(os.dup(2), "w", buffering=1, **encoding)  # noqa: SIM115
        if not verbose:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def main():
    args = parse_args(sys.argv[1:])
    prepare_streams(args.verbose)
    try:
        return classify_images(args)
    except (SampleError, RuntimeError, MemoryError, OSError) as error:
        print(f"[ ERROR ] {reason(error)}", file=sys.stderr)
        return 1


def classify_images(args):
    """Returns the exit status: 1 if an image could not be classified, else 0."""
    if args.verbose:
        log(*version_lines(), "", "Parsing input parameters")
    check_paths(args.model, *args.input, args.labels, args.cpu_extension, args.plugin_dir)
    files = list_files(args.input)
    if args.verbose:
        log(f"Files were added: {len(files)}", *(f"    {file}" for file in files))
    images = list_images(files)
    if not images:
        raise SampleError(f"No images in {', '.join(files)}")
    labels_path = args.labels or labels_beside(args.model)
    labels = read_labels(labels_path) if labels_path else None

    # Step 1. The core knows the devices and their plugins
    log("Creating OpenVINO Runtime Core")
    core = create_core(args.cpu_extension, args.plugin_dir)

    # Step 2. Read the model
    log(f"Reading the model: {args.model}")
    model = read_model(core, args.model)
    if args.verbose:
        log_model_info(model)

    with failing(f"Cannot prepare the model {args.model}"):
        # Step 3. Build into the model what turns decoded images into its input, so that the device runs it
        model = build_preprocessing(
            model, args.reverse_input_channels, args.mean_values, args.scale_values, args.softmax
        )

        # Step 4. Set the batch by the number of images; this needs the layout that step 3 has set
        batch_size = apply_batch_size(model, args.batch_size or even_batch_size(len(images)))
    classes = math.prod(model.output().shape) // batch_size
    if labels is not None and len(labels) != classes:
        log_warning(f"{labels_path} has {len(labels)} labels, the model {classes} classes")
    if args.verbose:
        log(f"Set batch size {batch_size}")
        log_model_info(model)

    # Step 5. Start to read the images, so that they are there when the model is
    with failing(f"Cannot make batches of {batch_size} images"):
        batches = read_ahead(images, model.input().shape)

    # Step 6. Compile the model for the device, with the hint for one run at a time or for several
    log("Loading the model to the plugin")
    iterations = args.number_iter or 1
    run_count = math.ceil(len(images) / batch_size) * iterations
    request_count = min(args.number_infer_requests, run_count)
    mode = hint.PerformanceMode.LATENCY if 1 in (run_count, request_count) else hint.PerformanceMode.THROUGHPUT
    config = {hint.performance_mode: mode, enable_profiling: args.perf_counts}
    if args.infer_precision:
        config[hint.inference_precision] = args.infer_precision
    compiled_model = compile_model(core, model, args.device, config)

    # Step 7. Infer, and print the tables of one batch while the next ones are inferred
    log("Starting inference in asynchronous mode")
    queue = ov.AsyncInferQueue(compiled_model, request_count)
    start = time.perf_counter()
    unclassified = log_results(infer_in_order(queue, batches, iterations), len(images), labels, args)
    seconds = time.perf_counter() - start

    # Step 8. Report
    if args.verbose:
        log("Completed async requests execution")
    if args.perf_counts:
        log_perf_counts(queue[0].profiling_info)
    if args.number_iter:
        log(f"Throughput: {(len(images) - unclassified) * iterations / seconds:.2f} FPS")
    log("This sample is an API example. Use the dedicated `benchmark_app` tool for any performance measurements.")
    return 1 if unclassified else 0


if __name__ == "__main__":
    sys.exit(main())
