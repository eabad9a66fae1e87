"""Prints ANSWERS of test_model_api.py: what OpenVINO's Model API says of small models and pictures.

    python -m venv venv && venv/bin/pip install openvino-model-api && cd tests
    ../venv/bin/python make_model_api_data.py

An environment of its own, as Model API brings 20 packages. The tests import what is above `main`.
"""

import json
import logging
import os
import tempfile

import numpy as np
import openvino as ov
from openvino import opset13 as ops

SIZE = 8
CLASSES = 6


def picture(number):
    """u8 [8,8,3] in BGR order, of the model's own size: nothing is resized."""
    y, x, channel = np.mgrid[:SIZE, :SIZE, :3]
    values = 37 * y + 91 * x + 53 * channel + 29 * number + 7 * y * x
    return (values % (256 - 60 * number)).astype(np.uint8)


def linear_model(gain):
    """f32 [?,3,8,8] -> logits [?,6]: a linear map of the image averaged over squares of 2x2."""
    image = ops.parameter([-1, 3, SIZE, SIZE], np.float32, name="image")
    averaged = ops.avg_pool(image, [2, 2], [0, 0], [0, 0], [2, 2], True)
    numbers = np.arange(48 * CLASSES).reshape(48, CLASSES)
    weights = ((numbers * 7919 % 101 - 50) / 50 * gain).astype(np.float32)
    rows = ops.reshape(averaged, [0, -1], special_zero=True)
    logits = ops.matmul(rows, ops.constant(weights), False, False)
    logits.output(0).set_names({"logits"})
    return ov.Model([ops.result(logits)], [image], "linear")


HEADS = {
    "num_multiclass_heads": 2,
    "num_multilabel_classes": 1,
    "num_single_label_classes": 5,
    "head_idx_to_logits_range": {"0": [0, 2], "1": [2, 5]},
    "all_groups": [["a", "b"], ["c", "d", "e"], ["f"]],
    "label_to_idx": {label: number for number, label in enumerate("abcdef")},
    "class_to_group_idx": {},
}
HIERARCHY = {
    "hierarchical": "True",
    "hierarchical_config": json.dumps({"cls_heads_info": HEADS, "label_tree_edges": []}),
}
GETI = {
    "mean_values": "0.485 0.456 0.406",
    "scale_values": "0.229 0.224 0.225",
    "reverse_input_channels": "True",
}
EVERY_NAME = {
    "input_dtype": "u8",
    "intensity_percentile_low": "1.0",
    "intensity_percentile_high": "99.0",
    "intensity_scale_factor": "1.0",
    "intensity_min_value": "0.0",
    "interpolation_mode": "LINEAR",
    "resize_type": "standard",
    "pad_value": "0",
    "topk": "2",
    "confidence_threshold": "0.9",
    "output_raw_scores": "True",
}
UNIT = {"intensity_mode": "scale_to_unit"}


def window(center, width):
    return {
        "intensity_mode": "window",
        "intensity_window_center": center,
        "intensity_window_width": width,
    }


def value_range(factor, lowest, highest):
    return {
        "intensity_mode": "range_scale",
        "intensity_scale_factor": factor,
        "intensity_min_value": lowest,
        "intensity_max_value": highest,
    }


CASES = {  # name: gain, model_info
    "nothing": (0.01, {}),
    "mean": (0.01, {"mean_values": "100 50 20", "scale_values": "2 3 4"}),
    "unit": (1.0, UNIT),
    "unit 100": (1.0, UNIT | {"intensity_max_value": "100"}),
    "unit geti": (0.3, UNIT | GETI | {"intensity_max_value": "255.0"}),
    "unit scale": (0.3, UNIT | {"scale_values": "0.25"}),
    "unit mean": (1.0, UNIT | {"mean_values": "0.5 0.4 0.3"}),
    "unit every name": (0.3, UNIT | GETI | EVERY_NAME | {"reverse_input_channels": "False"}),
    "window": (1.0, window("128.0", "100.0")),
    "window geti": (0.3, window("128.0", "100.0") | GETI),
    "window from below 0": (1.0, window("10", "100.5")),
    "window of all": (1.0, window("127.5", "255")),
    "range": (1.0, value_range("0.5", "20.0", "100.0")),
    "range geti": (0.3, value_range("0.5", "20.0", "100.0") | GETI),
    "range from below 0": (1.0, value_range("2", "-10", "300")),
    "range of defaults": (1.0, {"intensity_mode": "range_scale", "intensity_max_value": "200"}),
    "multilabel": (0.01, {"multilabel": "True"}),
    "multilabel unit geti": (0.3, UNIT | GETI | {"multilabel": "YES"}),
    "hierarchical": (0.01, HIERARCHY),
    "both": (0.01, HIERARCHY | {"multilabel": "True"}),
}


def save(path, gain, info):
    model = linear_model(gain)
    for name, value in info.items():
        model.set_rt_info(value, ["model_info", name])
    ov.save_model(model, path, compress_to_fp16=False)
    return path


def main():
    from model_api.models import ClassificationModel

    logging.disable(logging.CRITICAL)
    print("ANSWERS = {")
    with tempfile.TemporaryDirectory() as folder:
        for name, (gain, info) in CASES.items():
            path = save(os.path.join(folder, f"{name}.xml"), gain, info)
            options = {"output_raw_scores": True}
            model = ClassificationModel.create_model(path, "Classification", options, device="CPU")
            print(f'    "{name}": [')
            for number in range(3):
                scores = np.ravel(model(picture(number)).raw_scores)
                print(f"        {[round(float(score), 6) for score in scores]},")
            print("    ],")
    print("}")


if __name__ == "__main__":
    main()
