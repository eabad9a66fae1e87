"""Each piece of the script works alone: pasted below the imports into a program of its own.

The programs run in this process, which saves the imports. test_readme.py and test_inference.py run
such ones alone.
"""

import ast
import re
import runpy
import textwrap

import numpy as np
import openvino as ov
import pytest
from helpers import (
    DIGITS,
    EFFICIENTNET,
    FUNCTIONS,
    LENET,
    PHOTOS,
    SOURCE,
    TREE,
    companions,
    functions_to_copy,
    names_in,
    paste,
    readme_section,
)

NAMED = {
    piece: re.findall(r"`(\w+)`", named)
    for piece, named in re.findall(
        r"^\| `(\w+)`(?: with ([^|]+))? \|", readme_section("## Copy from it"), flags=re.M
    )
}
PIECES = [
    "build_preprocessing", "apply_batch_size", "decode", "center_crop", "resize", "center_box",
    "read_ahead", "infer_in_order", "callback_on", "top_class_ids",
]  # fmt: skip


def test_the_readme_names_the_pieces():
    assert list(NAMED) == PIECES


def test_the_recipe_is_the_first_function_and_then_come_the_pieces_with_their_companions():
    """Only `prepare_process` is above: OpenCV and numpy read the environment when imported."""
    kinds = [node for node in TREE.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    prepare, recipe, *below = [node.name for node in kinds]
    assert (prepare, recipe) == ("prepare_process", "classify_images")
    last_import = [node for node in TREE.body if isinstance(node, ast.Import | ast.ImportFrom)][-1]
    assert FUNCTIONS[prepare].lineno < last_import.lineno < FUNCTIONS[recipe].lineno
    to_copy = functions_to_copy()
    assert below[: len(to_copy)] == to_copy
    assert set(to_copy) == {*PIECES, *(name for piece in PIECES for name in companions(piece))}


@pytest.mark.parametrize("piece", PIECES)
def test_the_readme_names_what_a_piece_needs_and_that_is_little(piece):
    assert sorted(NAMED[piece]) == sorted(companions(piece))
    assert len(companions(piece)) <= 2


@pytest.mark.parametrize("piece", PIECES)
def test_a_piece_refers_to_nothing_else_of_the_script(piece):
    defined = {node.name for node in TREE.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in TREE.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            defined |= {target.id for target in targets if isinstance(target, ast.Name)}
    group = {piece, *NAMED[piece]}
    used = {name for function in group for name in names_in(FUNCTIONS[function])}
    assert not used & (defined - group)


DECODE = f"""
for path in {list(map(str, PHOTOS))}:
    for flags in (cv2.IMREAD_COLOR, cv2.IMREAD_GRAYSCALE):
        expected = cv2.imread(path, flags)
        assert np.array_equal(decode(path, flags), expected)
        assert np.array_equal(decode(path, flags, np.full_like(expected, 7)), expected)
        assert np.array_equal(decode(path, flags, np.full((4, 4), 7, np.uint8)), expected)
    assert np.array_equal(decode(path), cv2.imread(path))
"""

# Each pixel is its own row and column. 60 rows in the form 48x192 are 15 columns wide, half of that
# is 30 rows of 7.5 columns, which round() makes 8; 100 columns in the form 192x48 are 25 rows high.
CENTER_CROP = """
rows, columns = np.mgrid[:60, :100]
pixels = np.dstack([rows, columns, rows ^ columns]).astype(np.uint8)
for width, height, ratio, top, bottom, left, right in (
    (224, 224, 0.5, 15, 45, 35, 65), (224, 224, 1, 0, 60, 20, 80), (50, 30, 1, 0, 60, 0, 100),
    (48, 192, 1, 0, 60, 42, 57), (48, 192, 0.5, 15, 45, 46, 54), (192, 48, 1, 17, 42, 0, 100),
    (224, 224, 0.001, 29, 30, 49, 50),
):
    for image in (pixels, pixels[:, :, 0]):
        crop = center_crop(image, width, height, ratio)
        assert np.array_equal(crop, image[top:bottom, left:right]), (width, height, ratio)
        assert np.shares_memory(crop, image)
"""

# A picture of 3x5 pixels. A square model sees the columns 1 to 3 of it; a third of that is the one
# pixel in the middle.
CENTER_CROP_OF_A_SMALL_IMAGE = """
image = np.arange(15).reshape(3, 5)
assert center_crop(image, 8, 8, 1).tolist() == [[1, 2, 3], [6, 7, 8], [11, 12, 13]]
crop = center_crop(image, 8, 8, 1 / 3)
assert crop.tolist() == [[7]]
crop[:] = 70
assert image[1, 2] == 70
"""

READ_AHEAD = f"""
paths = {list(map(str, PHOTOS))} * 3

def read(path, row):
    row[:] = cv2.resize(cv2.imread(path), (32, 24))

read_paths = []
for batch, tensor in read_ahead(paths, (4, 24, 32, 3), read):
    read_paths += batch
    assert isinstance(tensor, ov.Tensor) and tensor.data.dtype == np.uint8
    assert len(tensor.data) == 4
    for path, row in zip(batch, tensor.data):
        assert np.array_equal(row, cv2.resize(cv2.imread(path), (32, 24)))
assert read_paths == paths
"""

READ_AHEAD_RAISES = """
class Unreadable(Exception):
    pass

raised = Unreadable("7")

def read(item, row):
    if item == 7:
        raise raised

batches = read_ahead(range(100), (4, 2, 2, 3), read)
assert next(batches)[0] == [0, 1, 2, 3]
try:
    next(batches)
except Unreadable as error:
    assert error is raised
else:
    raise AssertionError
"""

INFER_IN_ORDER = f"""
f32 = {{"INFERENCE_PRECISION_HINT": "f32"}}
compiled_model = ov.Core().compile_model({str(LENET)!r}, "CPU", f32)
queue = ov.AsyncInferQueue(compiled_model, 3)
digits = np.fromfile({str(DIGITS)!r}, np.uint8, offset=16)
digits = digits.reshape(10, 1, 1, 28, 28).astype(np.float32)
keys = [object() for _ in range(50)]
for of_type in (lambda array: array, ov.Tensor):
    inputs = ((key, of_type(digits[i % 10])) for i, key in enumerate(keys))
    results = list(infer_in_order(queue, inputs))
    assert [id(key) for key, _ in results] == [id(key) for key in keys]
    outputs = [output for _, output in results]
    assert [int(output.argmax()) for output in outputs] == [i % 10 for i in range(50)]
    for i, output in enumerate(outputs):
        assert np.allclose(output, compiled_model(digits[i % 10])[0], atol=1e-6)
    for request in queue:
        memory = request.get_output_tensor().data
        assert not any(np.shares_memory(output, memory) for output in outputs)
"""

# A model that is no classifier: its output is its input, [N,C,H,W] or [N,H,W,C].
BUILD_PREPROCESSING = """
pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), np.uint8)
for layout, shape, axes in (
    ("NCHW", [2, 3, 4, 5], (0, 3, 1, 2)), ("[N,H,W,C]", [2, 4, 5, 3], (0, 1, 2, 3)),
):
    for mean, scale in (
        (np.array([10, 20, 30]), np.array([2, 4, 8])), ([10, 20, 30], [2, 4, 8]), (127, 128.0),
        (np.float32(5), None), (None, 255), (None, None), (np.full((1, 1, 3), 7.0), np.array(128)),
    ):
        image = ops.parameter(shape, np.float32)
        model = ov.Model([ops.relu(image)], [image])
        model = build_preprocessing(model, layout, True, mean, scale)
        assert model.input().shape == ov.Shape([2, 4, 5, 3])
        assert model.input().element_type == ov.Type.u8
        subtract = np.float32(0 if mean is None else mean)
        divide = np.float32(1 if scale is None else scale)
        expected = np.maximum((pixels[..., ::-1] - subtract) / divide, 0).transpose(axes)
        f32 = {"INFERENCE_PRECISION_HINT": "f32"}
        [output] = ov.Core().compile_model(model, "CPU", f32)(pixels).values()
        assert output.dtype == np.float32
        assert np.allclose(output, expected, atol=1e-4), (layout, mean, scale)
"""

BUILD_PREPROCESSING_REFUSES = """
image = ops.parameter([1, 10], np.float32)
try:
    build_preprocessing(ov.Model([ops.relu(image)], [image]), "NCHW")
except RuntimeError as error:
    assert "Layout is not consistent with input shape [1,10]" in str(error)
else:
    raise AssertionError
"""

# Without a layout OpenVINO's own error says what to do; with one the batch is set.
APPLY_BATCH_SIZE = f"""
model = ov.Core().read_model({str(EFFICIENTNET)!r})
model.input().node.set_layout(ov.Layout())
try:
    apply_batch_size(model, 4)
except RuntimeError as error:
    assert "set_layout" in str(error)
else:
    raise AssertionError
ov.layout_helpers.set_layout(model.input(), ov.Layout("NCHW"))
assert apply_batch_size(model, 4) == 4
assert model.input().shape[0] == model.output().shape[0] == 4
"""

TOP_CLASS_IDS = """
assert top_class_ids(np.array([0.1, 0.4, 0.1, 0.4]), 3).tolist() == [1, 3, 0]
assert top_class_ids(np.array([0.1, np.nan, 0.3]), 10).tolist() == [2, 0, 1]
"""


# Halved, a value has the weights 1/8, 3/8, 3/8 and 1/8 of four pixels, at the edge 3/7, 3/7 and
# 1/7 of three. In twice the size it has 3/4 of one pixel and 1/4 of its neighbour.
RESIZE = """
row = np.array([[0, 80, 160, 240]], np.uint8)
left, right = (3 * 0 + 3 * 80 + 160) / 7, (80 + 3 * 160 + 3 * 240) / 7
assert resize(row, 2, 1).tolist() == [[round(left), round(right)]]
assert resize(row, 8, 1).tolist() == [[0, 20, 60, 100, 140, 180, 220, 240]]
assert resize(row, 4, 1, cubic=True).tolist() == row.tolist()
colours = np.dstack([row, row // 2, 255 - row])
assert resize(colours, 8, 3).shape == (3, 8, 3)
assert resize(colours, 2, 2, True, (1, 0, 3, 1)).shape == (2, 2, 3)
"""

# 640x480 becomes 341x256, of which the columns 58 or 59 to 282 and the rows 16 to 240 are taken.
CENTER_BOX = """
left, top, right, bottom = center_box(np.zeros((480, 640, 3)), 224, 224, Fraction(7, 8))
assert np.allclose([left, right], [58 * 640 / 341, 282 * 640 / 341])
assert np.allclose([top, bottom], [16 * 480 / 256, 240 * 480 / 256])
assert center_box(np.zeros((480, 480)), 224, 224, 1) == (0, 0, 480, 480)
"""

CALLBACK_ON = f"""
compiled_model = ov.Core().compile_model({str(LENET)!r}, "CPU")
queue = ov.AsyncInferQueue(compiled_model, 3)
digits = np.fromfile({str(DIGITS)!r}, np.uint8, offset=16).reshape(10, 1, 1, 28, 28)
found = {{}}

def keep_class(request, number):
    found[number] = int(request.get_output_tensor().data.argmax())

for _ in range(50):
    found.clear()
    with callback_on(queue, keep_class):
        for number, digit in enumerate(digits):
            queue.start_async(ov.Tensor(digit.astype(np.float32)), userdata=number)
    assert found == {{number: number for number in range(10)}}
"""


PROGRAMS = [
    ("decode", DECODE),
    ("resize", RESIZE),
    ("center_box", CENTER_BOX),
    ("callback_on", CALLBACK_ON),
    ("center_crop", CENTER_CROP),
    ("center_crop", CENTER_CROP_OF_A_SMALL_IMAGE),
    ("read_ahead", READ_AHEAD),
    ("read_ahead", READ_AHEAD_RAISES),
    ("infer_in_order", INFER_IN_ORDER),
    ("build_preprocessing", BUILD_PREPROCESSING),
    ("build_preprocessing", BUILD_PREPROCESSING_REFUSES),
    ("apply_batch_size", APPLY_BATCH_SIZE),
    ("top_class_ids", TOP_CLASS_IDS),
]


@pytest.mark.parametrize("piece, program", PROGRAMS, ids=[piece for piece, _ in PROGRAMS])
def test_alone_in_a_program(tmp_path, monkeypatch, capfd, piece, program):
    path = paste(tmp_path / "program.py", [piece], program)
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(path), run_name="__main__")
    assert capfd.readouterr() == ("", "")


def test_the_lines_at_the_top_of_the_script_infer(capfd):
    """They print the outputs in the order of the inputs."""
    [lines] = re.findall(r"in a few lines:\n\n(.*?)\n\n`infer_in_order`", SOURCE, flags=re.S)
    compiled_model = ov.Core().compile_model(LENET, "CPU")
    digits = np.fromfile(DIGITS, np.uint8, offset=16).reshape(10, 1, 1, 28, 28).astype(np.float32)
    names = {"ov": ov, "compiled_model": compiled_model, "tensors": map(ov.Tensor, digits)}
    exec(textwrap.dedent(lines), names)
    assert [int(output.argmax()) for [output] in names["started"]] == list(range(10))
    assert capfd.readouterr().out


def test_each_piece_has_a_program():
    assert {piece for piece, _ in PROGRAMS} == set(PIECES)
