"""A plain sample in the style of the official one, to measure against.

One image per request, no hint, tables printed in the callback.
"""

import argparse
import logging
import sys

import cv2
import numpy as np
import openvino as ov


def print_table(request, path):
    probabilities = next(iter(request.results.values())).ravel()
    logging.info(f"Image path: {path}")
    logging.info("Top 10 results:")
    logging.info("class_id probability")
    logging.info("--------------------")
    for class_id in np.argsort(probabilities)[::-1][:10]:
        logging.info(f"{class_id:<8} {probabilities[class_id]:.7f}")
    logging.info("")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-m")
    parser.add_argument("-i", nargs="+")
    args = parser.parse_args()
    logging.basicConfig(
        format="[ %(levelname)s ] %(message)s", level=logging.INFO, stream=sys.stdout
    )
    core = ov.Core()
    model = core.read_model(args.m)
    ppp = ov.preprocess.PrePostProcessor(model)
    ppp.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    ppp.input().model().set_layout(ov.Layout("NCHW"))
    ppp.output().tensor().set_element_type(ov.Type.f32)
    model = ppp.build()
    _, height, width, _ = model.input().shape
    queue = ov.AsyncInferQueue(core.compile_model(model, "CPU"))
    queue.set_callback(print_table)
    for path in args.i:
        image = cv2.imread(path)
        resized = cv2.resize(image, (width, height))
        queue.start_async({0: resized[np.newaxis]}, path)
    queue.wait_all()


if __name__ == "__main__":
    main()
