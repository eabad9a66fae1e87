"""Each function to copy works in a program of its own, with the file's imports and nothing else."""

import ast
import re

import pytest
from helpers import DIGITS, LENET, PHOTOS, SCRIPT, run_python

SOURCE = SCRIPT.read_text(encoding="utf-8")
TREE = ast.parse(SOURCE)
IMPORTS = [node for node in TREE.body if isinstance(node, ast.Import | ast.ImportFrom)]
DEFINED = {
    node.name: node for node in TREE.body if isinstance(node, ast.FunctionDef | ast.ClassDef)
}
COMMENT, CODE = re.search(
    r"\n(# Functions to copy\..*?\n)\n(.*?)\n# Options\n", SOURCE, flags=re.DOTALL
).groups()
TO_COPY = [node.name for node in ast.parse(CODE).body if hasattr(node, "name")]
COMPANIONS = {}
for line in re.findall(r"^#   \w+ needs .+", COMMENT, flags=re.MULTILINE):
    needy, *needed = [name for name in re.findall(r"\w+", line) if name in DEFINED]
    COMPANIONS[needy] = needed

# Two digits at the same time; the second is in flight when the program ends
INFER_IN_ORDER = f"""
compiled_model = ov.Core().compile_model({str(LENET)!r}, "CPU", {{"NUM_STREAMS": "2"}})
digits = np.fromfile({str(DIGITS)!r}, np.uint8, offset=16).reshape(10, 1, 1, 28, 28)
tensors = [ov.Tensor(digit.astype(np.float32)) for digit in digits] * 5
queue = ov.AsyncInferQueue(compiled_model, 2)
found = [(key, output.argmax()) for key, output in infer_in_order(queue, enumerate(tensors))]
assert found == [(number, number % 10) for number in range(50)]
for key, output in infer_in_order(queue, enumerate(tensors)):
    sys.exit("ended in the loop")
"""

FIND_LAYOUT = """
def layout(shape, stated=None):
    image = ops.parameter(shape, np.float32)
    model = ov.Model([ops.relu(image)], [image])
    if stated:
        ov.layout_helpers.set_layout(model.input(), ov.Layout(stated))
    return find_layout(model)

assert layout([1, 3, 224, 224]) == layout([1, 3, 224, 3]) == layout([1, 5, 5, 5]) == "NCHW"
assert layout([-1, 224, 224, 3]) == layout([1, 28, 28, 1]) == "NHWC"
assert layout([1, 3, 224, 224], "NHWC") == "NHWC"
assert layout([3, 8, 8, 1], "CHWN") == "CHWN"
try:
    layout([1, 10])
except ValueError as error:
    assert "[1,10]" in str(error)
else:
    raise AssertionError
"""

# (30 - 10) / 2 is 10, (20 - 20) / 4 is 0, (10 - 30) / 8 is -2.5
BUILD_PREPROCESSING = """
image = ops.parameter([1, 3, 1, 2], np.float32)
model = ov.Model([ops.abs(image)], [image])
model = build_preprocessing(model, "NCHW", True, [10, 20, 30], [2, 4, 8], "sigmoid")
pixels = np.array([[[[10, 20, 30], [30, 20, 10]]]], np.uint8)
f32 = {"INFERENCE_PRECISION_HINT": "f32"}
[output] = ov.Core().compile_model(model, "CPU", f32)(pixels).values()
logits = np.array([[[[10, 0]], [[0, 0]], [[2.5, 0]]]])
assert np.allclose(output, 1 / (1 + np.exp(-logits)), atol=1e-5)
"""

APPLY_BATCH_SIZE = """
def model_with(shape_of_output):
    image = ops.parameter([1, 3, 8, 8], np.float32)
    means = ops.reduce_mean(image, np.array([2, 3]))
    model = ov.Model([ops.reshape(means, np.array(shape_of_output), False)], [image])
    ov.layout_helpers.set_layout(model.input(), ov.Layout("NCHW"))
    return model

for shape, batch_size in (([-1, 3], 4), ([1, 3], 1), ([1, -1], 1)):
    model = model_with(shape)
    assert apply_batch_size(model, 4) == batch_size
    assert model.input().shape == ov.Shape([batch_size, 3, 8, 8])
    assert model.output().shape == ov.Shape([batch_size, 3])
try:
    apply_batch_size(model_with([3, -1]), 4)
except ValueError as error:
    assert "[3,1]" in str(error)
else:
    raise AssertionError
"""

DECODE = f"""
for path in {list(map(str, PHOTOS))}:
    assert np.array_equal(decode(path), cv2.imread(path))
with open({str(PHOTOS[0])!r}, "rb") as photo, open("half.jpg", "wb") as half, open("empty", "wb"):
    half.write(photo.read(50_000))
for path, error in (("half.jpg", ValueError), ("empty", ValueError), ("not there", OSError)):
    try:
        decode(path)
    except error:
        continue
    raise AssertionError(path)
"""

# 640x480 becomes 341x256, of which the columns 58 to 282 and the rows 16 to 240 are taken
CENTER_BOX = """
box = center_box(np.zeros((480, 640, 3)), 224, 224, 0.875)
assert np.allclose(box, [58 * 640 / 341, 16 * 480 / 256, 282 * 640 / 341, 240 * 480 / 256])
assert center_box(np.zeros((480, 480)), 224, 224, 1) == (0, 0, 480, 480)
"""

# Halved, a value has the weights 1/8, 3/8, 3/8 and 1/8 of four pixels, at the edge 3/7, 3/7 and
# 1/7 of three. In twice the size it has 3/4 of one pixel and 1/4 of its neighbour,
# or the bicubic weights -9/128, 111/128, 29/128 and -3/128 of four
RESIZE = """
row = np.array([[0, 80, 160, 240]], np.uint8)
left, right = (3 * 0 + 3 * 80 + 160) / 7, (80 + 3 * 160 + 3 * 240) / 7
assert resize(row, 2, 1).tolist() == [[round(left), round(right)]]
assert resize(row, 8, 1).tolist() == [[0, 20, 60, 100, 140, 180, 220, 240]]
assert resize(row.T, 1, 8)[:, 0].tolist() == [0, 20, 60, 100, 140, 180, 220, 240]
assert resize(row, 2, 1, cubic=True, box=(1, 0, 3, 1)).tolist() == [[80, 160]]
step = np.array([[0, 0, 0, 0, 128, 128, 128, 128]], np.uint8)
assert resize(step, 16, 1, cubic=True)[0, 5:11].tolist() == [0, 0, 26, 102, 137, 131]
"""

READ_AHEAD = """
def read(name, row):
    row[:] = len(name)

[(batch, tensor), (last, last_tensor)] = read_ahead(["a", "bb", "ccc"], [2, 1, 1, 3], read)
assert (batch, last) == (["a", "bb"], ["ccc"])
assert tensor.data.tolist() == [[[[1, 1, 1]]], [[[2, 2, 2]]]]
assert last_tensor.data.tolist() == [[[[3, 3, 3]]], [[[0, 0, 0]]]]
"""

CLASS_PROBABILITIES = """
assert class_probabilities(np.array([[[[0.25]], [[0.75]]]])).tolist() == [[0.25, 0.75]]
assert class_probabilities(np.array([[0.25], [1]])).tolist() == [[0.75, 0.25], [0, 1]]
"""

TOP_CLASS_IDS = """
assert top_class_ids(np.array([0.1, 0.4, 0.1, 0.4], np.float32), 3).tolist() == [1, 3, 0]
"""

PROGRAMS = {
    "infer_in_order": INFER_IN_ORDER,
    "find_layout": FIND_LAYOUT,
    "build_preprocessing": BUILD_PREPROCESSING,
    "apply_batch_size": APPLY_BATCH_SIZE,
    "decode": DECODE,
    "center_box": CENTER_BOX,
    "resize": RESIZE,
    "read_ahead": READ_AHEAD,
    "class_probabilities": CLASS_PROBABILITIES,
    "top_class_ids": TOP_CLASS_IDS,
}


def test_every_function_to_copy_has_a_program_here_and_only_two_need_others():
    assert COMPANIONS == {
        "infer_in_order": ["Run", "callback_on"],
        "resize": ["resize_rows", "filter_weights"],
    }
    needed = [name for names in COMPANIONS.values() for name in names]
    assert sorted(TO_COPY) == sorted([*PROGRAMS, *needed])


@pytest.mark.parametrize("function", PROGRAMS)
def test_a_function_works_in_a_program_of_its_own(function, tmp_path):
    pieces = [DEFINED[name] for name in (*COMPANIONS.get(function, ()), function)]
    pasted = ast.unparse([*IMPORTS, *pieces])
    (tmp_path / "program.py").write_text(pasted + PROGRAMS[function], encoding="utf-8")
    done = run_python("program.py", cwd=tmp_path)
    end = (1, "ended in the loop\n") if function == "infer_in_order" else (0, "")
    assert (done.returncode, done.stderr) == end
