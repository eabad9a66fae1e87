"""What the tests share: runs of the sample, its tables, README's programs, small real models."""

import ast
import io
import os
import re
import shutil
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from itertools import chain
from pathlib import Path
from unittest import mock

import numpy as np
import openvino as ov
from openvino import opset13 as ops

import classification_sample_async as sample

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "classification_sample_async.py"
DATA = ROOT / "data"
EFFICIENTNET = DATA / "efficientnet-lite0.xml"
LENET = DATA / "lenet.onnx"
DIGITS = DATA / "digits.ubyte"
PHOTOS = sorted((DATA / "images").iterdir())

SOURCE = SCRIPT.read_text(encoding="utf-8")
TREE = ast.parse(SOURCE)
FUNCTIONS = {node.name: node for node in TREE.body if isinstance(node, ast.FunctionDef)}
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMPILER = (
    shutil.which(os.environ.get("CXX", "c++")) or shutil.which("g++") or shutil.which("clang++")
)
COLUMNS = {"COLUMNS": "80"}  # argparse breaks its lines there

# Each a file's or folder's; a shell would make something else of it without quotes.
TRICKY_NAMES = ["a b", "it's", 'say "hi"', "$HOME"]


def run(*args, **options):
    """Runs the sample with `args`: as a process if there are `options` for it, else in this one."""
    return run_process(*args, **options) if options else run_here(*args)


def run_here(*args):
    """Runs `main` in this process, which saves the imports."""
    args = list(map(os.fspath, args))
    with (
        mock.patch.object(sys, "argv", [str(SCRIPT), *args]),
        mock.patch.dict(os.environ, COLUMNS),
        redirect_stdout(io.StringIO()) as stdout,
        redirect_stderr(io.StringIO()) as stderr,
    ):
        try:
            status = sample.main(args)
        except SystemExit as exit:
            status = exit.code
    return subprocess.CompletedProcess(args, status, stdout.getvalue(), stderr.getvalue())


def run_process(*args, prefix=(), **options):
    """Runs the script as a program, by the command `prefix` if there is one."""
    return run_python(SCRIPT, *args, prefix=prefix, **options)


def run_python(*args, timeout=60, cwd=ROOT, env=(), prefix=()):
    """Runs Python with `args`. Its output comes as text in which any byte survives."""
    return subprocess.run(
        [*prefix, sys.executable, *map(os.fspath, args)],
        capture_output=True, encoding="utf-8", errors="surrogateescape",
        timeout=timeout, cwd=cwd, env={**os.environ, **COLUMNS, **dict(env)},
    )  # fmt: skip


def line_of(heading):
    """The number of the one line of the script that begins with `heading`."""
    [number] = [n for n, line in enumerate(SOURCE.splitlines(), 1) if line.startswith(heading)]
    return number


def functions_to_copy():
    """The names of the functions between the two headings, in their order."""
    start, end = line_of("# Pieces to copy"), line_of("# The options")
    return [name for name, node in FUNCTIONS.items() if start < node.lineno < end]


def names_in(tree):
    """The names in the code, without attributes, and without those in strings and comments."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def companions(piece):
    """The functions to copy that `piece` needs, directly or through another one."""
    group = [piece]
    for name in group:  # it grows on the way
        used = names_in(FUNCTIONS[name])
        group += [other for other in functions_to_copy() if other in used and other not in group]
    return group[1:]


def paste(path, pieces, program):
    """Writes the script's imports, its functions `pieces` with their companions, and `program`."""
    imports = [node for node in TREE.body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = dict.fromkeys(chain(*([piece, *companions(piece)] for piece in pieces)))
    lines = SOURCE.splitlines()
    copied = []
    for node in [*imports, *(FUNCTIONS[name] for name in names)]:
        first = min([node.lineno, *(above.lineno for above in getattr(node, "decorator_list", []))])
        copied += lines[first - 1 : node.end_lineno]
    path.write_text("\n".join([*copied, program]), encoding="utf-8")
    return path


def readme_section(heading):
    """The text of README below `heading`, which begins with its #s, to the next of its level."""
    level = heading.partition(" ")[0]
    pattern = rf"^{re.escape(heading)}$(.*?)(?=^#{{2,{len(level)}}} |\Z)"
    return re.search(pattern, README, flags=re.M | re.S)[1]


def python_programs(text):
    return re.findall(r"^```python\n(.*?)^```$", text, flags=re.M | re.S)


KEEP_ONE_OUTPUT, GIVE_A_SIZE, FREE_THE_BATCH = range(3)  # the programs of "Change a model"


def change_model(model, number, replaced=(), changed="changed.xml"):
    """Runs program `number` of "Change a model" beside `model`; returns the path of the result.

    `replaced` says which of its text is to be what, besides the names of the two files.
    """
    program = python_programs(readme_section("### Change a model"))[number]
    new = {"model.onnx": model.name, "changed.xml": changed, **dict(replaced)}
    assert all(program.count(old) == 1 for old in new)
    program = re.sub("|".join(map(re.escape, new)), lambda old: new[old[0]], program)
    folder = os.getcwd()
    os.chdir(model.parent)
    try:
        exec(program, {})
    finally:
        os.chdir(folder)
    return model.with_name(changed)


def at_once(function, *items):
    """[function(item) for item in items], two at a time, where each is a process of its own."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(function, *items))


def our_lines(stderr):
    """The script's own lines: ours may come in the middle of one that a library prints."""
    return re.findall(r"\[ (?:WARNING|ERROR) \] .*\n", stderr)


def outputs_warning(text):
    """The pattern of the warning about the outputs; `(LO to HI)` stands for any two numbers."""
    number = r"-?[\d.]+(?:e[+-]\d+)?"
    return (
        re.escape(f"[ WARNING ] The model's outputs {text}\n")
        .replace("LO", number)
        .replace("HI", number)
    )


NO_PROBABILITIES = outputs_warning(
    "are not probabilities (LO to HI): if they are logits, add --softmax"
)
NO_LOGITS_EITHER = outputs_warning("are not probabilities (LO to HI)")
NOT_ADDING_UP = outputs_warning("do not add up to 1 (LO to HI)")


def classify(*args, stderr="", **options):
    """Runs the sample, which must succeed and whose errors `stderr` matches; returns its tables."""
    done = run(*args, **options)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(stderr, done.stderr), done.stderr
    return tables(done.stdout)


def scores(*args, stderr=NO_PROBABILITIES, **options):
    """{class id: score} for each image, of a model whose outputs are no probabilities."""
    results = classify(*args, "--infer_precision", "f32", stderr=stderr, **options)
    return [{class_id: score for class_id, score, _ in rows} for _, rows in results]


def tables(stdout):
    """[(image path, [(class id, probability, label)])] in the order of the output."""
    found = []
    for line in stdout.split("\n"):
        if line.startswith("[ INFO ] Image path: "):
            found.append((line.removeprefix("[ INFO ] Image path: "), []))
        elif row := re.fullmatch(r"\[ INFO \] (\d+) +(-?[\d.]+|-?inf|nan)(?: +(\S.*))?", line):
            found[-1][1].append((int(row[1]), float(row[2]), row[3]))
    return found


def as_before_python_3_13(usage_message):
    """`-d DEVICE, --device DEVICE` for what argparse has printed as `-d, --device DEVICE` since."""
    return re.sub(
        r"^  (-\w+), (--\w+) ([A-Z_]+(?: \[.*?\])?)(?=\s)",
        r"  \1 \3, \2 \3",
        usage_message,
        flags=re.M,
    )


def fails_with_one_line(*args, naming=(), **options):
    """Exit status 1, no table, one `[ ERROR ]` line with all of `naming` in it; returns that."""
    done = run(*args, **options)
    assert (done.returncode, tables(done.stdout)) == (1, [])
    assert re.fullmatch(r"\[ ERROR \] [^\n]+\n", done.stderr), done.stderr
    for name in naming:
        assert str(name) in done.stderr
    return done.stderr


def top_ids(rows):
    return [class_id for class_id, _, _ in rows]


def save_model(path, build, shape=(1, 3, 8, 8), element_type=np.float32, layout=None):
    """Saves the model whose one output `build` makes of its one input, as IR; returns the path."""
    image = ops.parameter(list(shape), element_type, name="image")
    image.output(0).set_names({"image"})
    outputs = build(image)
    model = ov.Model(outputs if isinstance(outputs, list) else [outputs], [image], path.stem)
    if layout:
        ov.layout_helpers.set_layout(model.input(), ov.Layout(layout))
    ov.save_model(model, path, compress_to_fp16=False)
    return path


def always(outputs, element_type=np.float32):
    """What `save_model` builds a model of that has the same `outputs` for every image."""

    def build(image):
        zeros = ops.multiply(
            ops.reduce_mean(image, np.array([1, 2, 3]), keep_dims=False), np.float32(0)
        )
        rows = ops.add(ops.unsqueeze(zeros, np.array(1)), np.array([outputs], np.float32))
        return ops.convert(rows, element_type)

    return build


def protobuf(*fields):
    """A protocol buffer message of (number, value) pairs: an integer, a text or a message."""

    def varint(value):
        return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)

    def field(number, value):
        if isinstance(value, int):
            return varint(number << 3) + varint(value)
        value = value.encode() if isinstance(value, str) else value
        return varint(number << 3 | 2) + varint(len(value)) + value

    return b"".join(field(*pair) for pair in fields)


def save_saved_model(folder):
    """Saves TensorFlow's kind of model, for images [1,8,8,3]; it scores the channels' means."""

    def attribute(key, number, value):
        return 5, protobuf((1, key), (2, protobuf((number, value))))

    def shape(*sizes):
        return protobuf(*[(2, protobuf((1, size))) for size in sizes])

    def tensor_info(name, *sizes):
        return protobuf((1, name), (2, 1), (3, shape(*sizes)))

    axes = protobuf((1, 3), (2, shape(2)), (4, np.array([1, 2], np.int32).tobytes()))
    image = (
        (1, "image"),
        (2, "Placeholder"),
        attribute("dtype", 6, 1),
        attribute("shape", 7, shape(1, 8, 8, 3)),
    )
    constant = ((1, "axes"), (2, "Const"), attribute("dtype", 6, 3), attribute("value", 8, axes))
    mean = (
        (1, "means"),
        (2, "Mean"),
        (3, "image"),
        (3, "axes"),
        attribute("T", 6, 1),
        attribute("Tidx", 6, 3),
    )
    graph = protobuf(*[(1, protobuf(*node)) for node in (image, constant, mean)])
    signature = protobuf(
        (1, protobuf((1, "image"), (2, tensor_info("image:0", 1, 8, 8, 3)))),
        (2, protobuf((1, "means"), (2, tensor_info("means:0", 1, 3)))),
        (3, "tensorflow/serving/predict"),
    )
    meta_graph = protobuf(
        (1, protobuf((4, "serve"))),
        (2, graph),
        (5, protobuf((1, "serving_default"), (2, signature))),
    )
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(protobuf((1, 1), (2, meta_graph)))
    return folder


def channel_means(image, axes=(2, 3)):
    return ops.reduce_mean(image, np.array(axes), keep_dims=False)


def softmax_of_means(image, axes=(2, 3)):
    """Softmax of the channels' means over 64: the output of a model that is quick to compile."""
    return ops.softmax(ops.divide(channel_means(image, axes), np.float32(64)), 1)


def own_batch_raises(image):
    """The means of the channels, by a Reshape that fits one image: another batch is refused."""
    return ops.reshape(channel_means(image), np.array([1, 3]), special_zero=False)


def own_batch_stays(image):
    """As `own_batch_raises`, but another batch is taken, and makes more classes of it."""
    return ops.reshape(channel_means(image), np.array([1, -1]), special_zero=False)


def channel_means_or_failure(image):
    """Fails unless the image's brightest pixel is 3: that many rows fit into its reshape."""
    brightest = ops.convert(
        ops.reduce_max(image, np.array([0, 1, 2, 3]), keep_dims=False), np.int64
    )
    ones = ops.broadcast(np.float32(1), ops.reshape(brightest, np.array([1]), False))
    return ops.add(channel_means(image), ops.reshape(ones, np.array([1, 3]), False))


def save_model_with_twice(path, build):
    """`save_model`, with Twice in place of the one ReLU that `build` makes."""
    text = save_model(path, build).read_text()
    relu, twice = 'type="ReLU" version="opset1"', 'type="Twice" version="extension"'
    assert text.count(relu) == 1
    path.write_text(text.replace(relu, twice))
    return path


# OpenVINO's own request is made to raise when the callback asks it for the output.
FAILING_CALLBACK = """
def fail(request):
    raise MemoryError("no memory for the output")
ov._pyopenvino.InferRequest.get_output_tensor = fail
"""


def warnings(done):
    """All that the script has printed to standard error, which must be `[ WARNING ]` lines."""
    lines = our_lines(done.stderr)
    assert all(line.startswith("[ WARNING ] ") for line in lines), done.stderr
    return [line.removeprefix("[ WARNING ] ").rstrip("\n") for line in lines]


def idx(magic, *sizes, data=b""):
    return struct.pack(f">{1 + len(sizes)}I", magic, *sizes) + data


def save_with_info(path, model, **info):
    """Saves `model`, or that of a path, with `info` in its model_info; returns the path."""
    if not isinstance(model, ov.Model):
        model = ov.Core().read_model(model)
    for name, value in info.items():
        model.set_rt_info(value, ["model_info", name])
    ov.save_model(model, path, compress_to_fp16=False)
    return path


def repeated_products():
    """An input [1,1], and a matrix that is multiplied by itself as often as the input says."""
    image, matrix = ops.parameter([1, 1], np.float32), ops.parameter([150, 150], np.float32)
    product = ops.tanh(ops.matmul(matrix, matrix, False, False))
    always = ops.constant(np.array(True))
    loop = ops.loop(ops.squeeze(ops.convert(image, np.int32), np.array([0, 1])), always)
    loop.set_function(ov.Model([product, ops.constant(np.array(True))], [matrix]))
    loop.set_special_body_ports([-1, 1])
    start = ops.constant(np.full((150, 150), 0.001, np.float32))
    loop.set_merged_input(matrix, start.output(0), product.output(0))
    return image, loop.get_iter_value(product.output(0), -1)
