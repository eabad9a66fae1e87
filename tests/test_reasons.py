"""The reason in an error is the line of OpenVINO's that names the cause."""

import numpy as np
import pytest
from helpers import channel_means, fails_with_one_line, protobuf, save_model, scores
from onnx_files import POOLED, integer_attribute, save_onnx, text_attribute

import classification_sample_async as sample

# What OpenVINO 2026.4.1's frontends and devices said, in 2026-11, of files that they cannot convert

FROM = "Exception from src/inference/src/cpp/core.cpp:84:\n"
NOT_CONVERTED = (
    "Check 'false' failed at src/frontends/common_translators/src/unconverted_ops_report.cpp:151:\n"
    "FrontEnd API failed with OpConversionFailure:\n"
    "Model wasn't fully converted."
)
DETAILED = f"{NOT_CONVERTED} Failed operations detailed log:\n"
FACILITATE = (
    "To facilitate the conversion of unsupported operations, refer to Frontend Extension "
    "documentation: https://docs.openvino.ai/latest/openvino_docs_Extensibility_UG_Frontend_"
    "Extensions.html \n\n"
)
RESIZE = (
    "-- Resize-17 with a message:\n"
    "Check '(false)' failed at src/frontends/onnx/frontend/src/op/resize.cpp:76:\n"
    "While validating ONNX node '<Node(Resize): z>':\n"
    "foo - this type of interpolation mode is not supported. Choose one of the following modes: "
    "cubic, linear, nearest\n\n"
)
NO_FOO = (
    "foo - this type of interpolation mode is not supported. Choose one of the following modes: "
    "cubic, linear, nearest"
)
CONV = (
    "-- Conv-17 with a message:\n"
    "While validating ONNX node '<Node(Conv): v>': Check 'data_rank.is_dynamic()' failed at "
    "src/core/shape_inference/include/convolution_shape_inference_util.hpp:307:\n"
    "While validating node 'opset1::Convolution Convolution_8 (...) -> (dynamic[...])' with "
    "friendly_name 'Convolution_8':\n"
    "Data batch channel count (3) does not match filter input channel count (5).\n\n"
)
TEXTS = {
    "onnx": (
        f"{FROM}{NOT_CONVERTED}\nSummary:\n"
        "-- No conversion rule found for operations: Det-17, com.acme.MyOp\n\n",
        "No conversion rule found for operations: Det-17, com.acme.MyOp",
    ),
    "onnx-failed": (
        f"{FROM}{DETAILED}{RESIZE}Summary:\n-- Conversion is failed for: Resize-17\n\n",
        NO_FOO,
    ),
    "onnx-two-failed": (
        f"{FROM}{DETAILED}{CONV}{RESIZE}Summary:\n-- Conversion is failed for: Conv-17, Resize-17",
        NO_FOO,
    ),
    "onnx-failed-and-unknown": (
        f"{FROM}{DETAILED}{RESIZE}Summary:\n-- No conversion rule found for operations: Det-17\n"
        "-- Conversion is failed for: Resize-17\n\n",
        "No conversion rule found for operations: Det-17",
    ),
    "tensorflow": (
        f"{FROM}{NOT_CONVERTED}\nSummary:\n"
        f"-- No conversion rule found for operations: Betainc\n{FACILITATE}\n",
        "No conversion rule found for operations: Betainc",
    ),
    "tensorflow-failed": (
        f"{FROM}{DETAILED}-- VarHandleOp with a message:\n"
        "Variable or resource `Variable` is not initialized, model is inconsistent\n"
        "Summary:\n-- Conversion is failed for: VarHandleOp\n\n",
        "Variable or resource `Variable` is not initialized, model is inconsistent",
    ),
    "tflite": (
        f"{FROM}Check 'translate_map.count(decoder->get_op_type())' failed at "
        "src/frontends/tensorflow_lite/src/frontend.cpp:221:\n"
        "FrontEnd API failed with OpConversionFailure:\nNo translator found for Betainc node.\n\n",
        "No translator found for Betainc node.",
    ),
    "paddle": (
        f"{FROM}Check 'creator_it != CREATORS_MAP.end()' failed at "
        "src/frontends/paddle/src/frontend.cpp:62:\n"
        "FrontEnd API failed with OpConversionFailure:\nNo creator found for lgamma node.\n\n",
        "No creator found for lgamma node.",
    ),
    "pytorch": (
        f"{DETAILED}-- aten.view_as_real.default with a message:\n"
        "Exception happened during conversion of operation view_as_real with schema NONE\n"
        "Check '(complex_type_mark)' failed at src/frontends/pytorch/src/op/complex.cpp:25:\n"
        "FrontEnd API failed with OpConversionFailure:\n"
        "[PyTorch Frontend] aten::view_as_real is only supported for complex tensors\n\n"
        "Summary:\n-- No conversion rule found for operations: aten.linalg_qr.default\n"
        "-- Conversion is failed for: aten.view_as_real.default\n",
        "No conversion rule found for operations: aten.linalg_qr.default",
    ),
    "ir": (
        f"{FROM}Exception from src/core/xml_util/src/xml_deserialize_util.cpp:1286:\n"
        "Opset opset1 doesn't contain the operation with type: FooMul\n\n",
        "Opset opset1 doesn't contain the operation with type: FooMul",
    ),
    "inference": (
        "Exception from src/inference/src/cpp/infer_request.cpp:224:\n"
        "Exception from src/plugins/intel_cpu/src/node.cpp:794:\n"
        "[CPU] Add node with name 'Add_16448' Check 'input_shape[j] == 1' failed at "
        "src/plugins/intel_cpu/src/shape_inference/custom/eltwise.cpp:52:\n"
        "Eltwise shape infer input shapes dim index: 0 mismatch\n\n\n",
        "Eltwise shape infer input shapes dim index: 0 mismatch",
    ),
    "device": (
        "Exception from src/inference/src/cpp/core.cpp:117:\n"
        'Device with "FOO" name is not registered in the OpenVINO Runtime\n\n',
        'Device with "FOO" name is not registered in the OpenVINO Runtime',
    ),
    "one-line": ("std::bad_alloc", "std::bad_alloc"),
    "empty": ("\n", "RuntimeError"),
}


@pytest.mark.parametrize(
    "text, reason",
    [pytest.param(*case, id=name) for name, case in TEXTS.items()],
)
def test_the_line_with_the_cause(text, reason):
    assert sample.error_text(RuntimeError(text)) == reason


# Files that the installed OpenVINO reads

TRAINING = {"ratio": np.array(0.5, np.float32), "training": np.array(True)}
FILTERS = {"filters": np.zeros((3, 5, 3, 3), np.float32)}
NO_RULE = "No conversion rule found for operations: "
ONNX_FILES = {
    "unknown": ([("Det", ["image"], ["means"])], {}, f"{NO_RULE}Det-13"),
    "custom": ([("com.acme:MyOp", ["image"], ["means"])], {}, f"{NO_RULE}com.acme.MyOp"),
    "two": (
        [("com.acme:MyOp", ["image"], ["x"]), ("Det", ["x"], ["means"])],
        {},
        f"{NO_RULE}Det-13, com.acme.MyOp",
    ),
    "training": (
        [*POOLED, ("Dropout", ["means", "ratio", "training"], ["dropped"])],
        TRAINING,
        "Training mode is not supported for Dropout op",
    ),
    "channels": (
        [("Conv", ["image", "filters"], ["means"])],
        FILTERS,
        "Data batch channel count (3) does not match filter input channel count (5).",
    ),
    "attribute": (
        [*POOLED, ("LpNormalization", ["means"], ["normal"], integer_attribute("p", 7))],
        {},
        "Invalid `p` attribute value: 7 Only normalization of 1st or 2nd order is supported.",
    ),
    "padding": (
        [("Conv", ["image", "filters"], ["means"], text_attribute("auto_pad", "FOO"))],
        FILTERS,
        "Provided `auto_pad` attribute value: 'FOO' is invalid.",
    ),
    "failed-and-unknown": (
        [("Conv", ["image", "filters"], ["x"]), ("Det", ["x"], ["means"])],
        FILTERS,
        f"{NO_RULE}Det-13",
    ),
}


@pytest.mark.parametrize(
    "nodes, constants, reason",
    [pytest.param(*case, id=name) for name, case in ONNX_FILES.items()],
)
def test_onnx_files_that_cannot_be_converted(tmp_path, picture, nodes, constants, reason):
    model = save_onnx(tmp_path / "model.onnx", nodes, constants, domains=["com.acme"])
    line = fails_with_one_line("-m", model, "-i", picture)
    assert line == f"[ ERROR ] Cannot read the model {model}: {reason}\n"


def test_a_frozen_graph_of_tensorflow_that_cannot_be_converted(tmp_path, picture):
    """Behind the cause come a line of advice and an address."""

    def attribute(key, *field):
        return 5, protobuf((1, key), (2, protobuf(field)))

    sizes = [(2, protobuf((1, size))) for size in (1, 8, 8, 3)]
    image = protobuf(
        (1, "image"), (2, "Placeholder"), attribute("dtype", 6, 1),
        attribute("shape", 7, protobuf(*sizes)),
    )  # fmt: skip
    unknown = protobuf((1, "out"), (2, "Betainc"), *[(3, "image")] * 3, attribute("T", 6, 1))
    model = tmp_path / "frozen.pb"
    model.write_bytes(protobuf((1, image), (1, unknown)))
    line = fails_with_one_line("-m", model, "-i", picture)
    assert line == f"[ ERROR ] Cannot read the model {model}: {NO_RULE}Betainc\n"


def test_an_ir_with_an_operation_that_does_not_exist(tmp_path, picture):
    model = save_model(tmp_path / "model.xml", channel_means)
    model.write_text(model.read_text().replace('type="ReduceMean"', 'type="FooMean"'))
    line = fails_with_one_line("-m", model, "-i", picture)
    reason = "Opset opset1 doesn't contain the operation with type: FooMean"
    assert line == f"[ ERROR ] Cannot read the model {model}: {reason}\n"


# An ONNX file whose weights are in another

DOUBLED = [*POOLED, ("Mul", ["means", "factors"], ["doubled"])]
FACTORS = {"factors": np.array([2, 3, 4], np.float32)}
FILTER = {"filters": np.ones((1, 3, 3, 3), np.float32)}
SHAPE = {"shape": np.array([1, 192])}
USES = {
    "multiply": (DOUBLED, FACTORS),
    "convolution": ([("Conv", ["image", "filters"], ["x"]), ("Flatten", ["x"], ["y"])], FILTER),
    "shape": ([("Reshape", ["image", "shape"], ["rows"])], SHAPE),
}
DATA_NAMES = ["model.onnx.data", "weights", "a b, (v2).data", "a, offset: 3.data", "sub/w.bin"]


@pytest.mark.parametrize("nodes, constants", USES.values(), ids=USES)
@pytest.mark.parametrize("name", DATA_NAMES)
def test_a_weights_file_that_is_missing_or_too_short_is_named(
    tmp_path, monkeypatch, picture, name, nodes, constants
):
    """Whether the path is absolute or not; torch's exporter makes such a file by default."""
    [content] = constants.values()
    save_onnx(tmp_path / "model.onnx", nodes, constants, external=name)
    data = tmp_path / name
    data.parent.mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path)
    for stored in (None, b"", content.tobytes()[:-1]):
        if stored is not None:
            data.write_bytes(stored)
        for model in (tmp_path / "model.onnx", "model.onnx"):
            line = fails_with_one_line("-m", model, "-i", picture)
            reason = f"its weights file {name} is missing or too short"
            assert line == f"[ ERROR ] Cannot read the model {model}: {reason}\n"


def test_a_folder_in_place_of_a_weights_file(tmp_path, picture):
    model = save_onnx(tmp_path / "model.onnx", DOUBLED, FACTORS, external="model.onnx.data")
    (tmp_path / "model.onnx.data").mkdir()
    fails_with_one_line("-m", model, "-i", picture, naming=["its weights file model.onnx.data is"])


@pytest.mark.parametrize("name", DATA_NAMES)
def test_a_weights_file_that_is_there(tmp_path, picture, name):
    model = save_onnx(tmp_path / "model.onnx", DOUBLED, FACTORS, external=name)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(FACTORS["factors"].tobytes())
    expected = pytest.approx({0: 400, 1: 300, 2: 160}, abs=1e-3)
    assert scores("-m", model, "-i", picture) == [expected]
